/** An index made again from a bucket of S3 over TLS, by the settings of a node, and compared with it. */
import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { LOAD_DEFAULTS, LoadGenerator } from "../../../src/cli/load/index.ts";
import { collectBlocks, connect } from "../../../src/client/index.ts";
import { issueCertificate } from "../../support/grpc/certificates.ts";
import { type ServerProcess, startServer } from "../../support/server-process.ts";
import { blockObject } from "../../support/storage/block-objects.ts";
import { findMoto, type MotoServer, startMoto } from "../../support/storage/moto.ts";
import { storeAt } from "../../support/storage/s3-client.ts";
import { startTlsFront, type TlsFront } from "../../support/storage/tls-front.ts";
import { hearthAt, type Said } from "../support.ts";

const BLOCKS = 40;
const BUCKET = "profiles";
const START_MS = Date.parse("2026-11-20T00:00:00Z");
const END_MS = START_MS + 24 * 3_600_000;
const LOAD = new LoadGenerator({
  ...LOAD_DEFAULTS,
  blockCount: BLOCKS,
  compactedShare: 0.3,
  startAtMs: START_MS,
  endAtMs: END_MS,
});
const OBJECTS = Array.from({ length: BLOCKS }, (_, i) => blockObject(LOAD.block(i)));
const moto = await findMoto();

describe("hearth index, on S3 over TLS", {
  skip: moto.path === null ? moto.reason : false,
}, () => {
  let directory = "";
  let server: MotoServer;
  let front: TlsFront;
  let node: ServerProcess;
  let configFile = "";

  before(async () => {
    directory = mkdtempSync(join(tmpdir(), "hearth-rebuild-s3-"));
    server = await startMoto(moto.path as string);
    const certificate = issueCertificate("s3.store.test");
    front = await startTlsFront(server.endpoint, certificate);
    const caFile = join(directory, "ca.pem");
    writeFileSync(caFile, certificate.certPem);
    configFile = join(directory, "node.yaml");
    const lines = [
      "storage:",
      "  backend: s3",
      "  prefix: team",
      "  s3:",
      `    endpoint: 127.0.0.1:${front.port}`,
      `    bucket_name: ${BUCKET}`,
      "    access_key_id: id",
      "    secret_access_key: secret",
      "hearth:",
      `  storage_s3_ca_file: ${caFile}`,
    ];
    writeFileSync(configFile, `${lines.join("\n")}\n`);
    await fetch(`http://${server.endpoint}/${BUCKET}`, { method: "PUT" });
    const store = storeAt(server.endpoint, { bucket: BUCKET, lookup: "path" });
    await Promise.all(OBJECTS.map(({ key, bytes }) => store.put(`team/${key}`, bytes)));
    await store.close();
    const flags = [
      `-config.file=${configFile}`,
      "-hearth.reader-threads=1",
      "-metastore.index.cleanup-interval=0s",
    ];
    node = await startServer({ directory, flags });
  });
  after(async () => {
    await node.kill();
    front.close();
    server.stop();
    rmSync(directory, { recursive: true });
  });

  const command = (...argv: readonly string[]): Promise<Said> =>
    hearthAt(node.httpUrl, "index", ...argv, "--config", configFile);

  it("is filled from the objects, has what they say, and misses those that go", async () => {
    const { out, talk, code } = await command("rebuild");
    assert.equal(out, `added ${BLOCKS} blocks from ${BLOCKS} objects`, talk);
    assert.equal(code, 0);
    await using client = await connect({ endpoints: [node.endpoint] });
    const ids = new Set<string>();
    for (const tenant of LOAD.tenantNames) {
      const query = { tenants: [tenant], selector: "{}", startAtMs: START_MS, endAtMs: END_MS };
      for (const { id } of await collectBlocks(client.queryMetadata(query))) ids.add(id);
    }
    assert.deepEqual([...ids].sort(), OBJECTS.map(({ meta }) => meta.id).sort());
    const same = await command("verify");
    assert.equal(same.code, 0, same.out + same.talk);
    const gone = OBJECTS.filter((_, i) => i % 20 === 17);
    const store = storeAt(server.endpoint, { bucket: BUCKET, lookup: "path" });
    for (const { key } of gone) await store.delete(`team/${key}`);
    await store.close();
    const missed = await command("verify");
    assert.deepEqual(
      missed.out.split("\n").sort(),
      gone.map(({ key }) => `missing  ${key}`).sort(),
    );
    assert.equal(missed.code, 4);
  });
});
