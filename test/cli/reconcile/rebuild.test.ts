/** An index lost and made again from real block objects in a directory, by the commands, against real nodes. */

import assert from "node:assert/strict";
import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  rmSync,
  unlinkSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { after, before, describe, it } from "node:test";
import { LOAD_DEFAULTS, LoadGenerator } from "../../../src/cli/load/index.ts";
import {
  collectBlocks,
  collectLabels,
  connect,
  type HearthClient,
} from "../../../src/client/index.ts";
import { blockObject, type BlockObjectFile } from "../../support/storage/block-objects.ts";
import { type ServerProcess, startServer } from "../../support/server-process.ts";
import { hearth, hearthAt, NOW_MS } from "../support.ts";

const BLOCKS = 600;
const START_MS = Date.parse("2026-11-20T00:00:00Z");
const END_MS = START_MS + 3 * 24 * 3_600_000;
const LOAD = new LoadGenerator({
  ...LOAD_DEFAULTS,
  blockCount: BLOCKS,
  compactedShare: 0.3,
  startAtMs: START_MS,
  endAtMs: END_MS,
});

let directory = "";
let bucket = "";
let original: ServerProcess;
let rebuilt: ServerProcess;
const objects: readonly BlockObjectFile[] = Array.from({ length: BLOCKS }, (_, i) =>
  // Some metadata is longer than what is read at first.
  blockObject(LOAD.block(i), i % 50 === 0 ? 0 : 200),
);

before(async () => {
  directory = mkdtempSync(join(tmpdir(), "hearth-rebuild-"));
  bucket = join(directory, "bucket");
  for (const { key, bytes } of objects) {
    mkdirSync(dirname(join(bucket, key)), { recursive: true });
    writeFileSync(join(bucket, key), bytes);
  }
  const flags = ["-hearth.reader-threads=1", "-metastore.index.cleanup-interval=0s"];
  original = await startServer({ directory: join(directory, "a"), flags });
  rebuilt = await startServer({ directory: join(directory, "b"), flags });
  await using client = await connect({ endpoints: [original.endpoint] });
  for (let i = 0; i < BLOCKS; i += 100)
    await client.addBlocks(objects.slice(i, i + 100).map(({ meta }) => meta));
});
after(async () => {
  await original.kill();
  await rebuilt.kill();
  rmSync(directory, { recursive: true });
});

/** Every answer that a front end could ask for: all blocks of each tenant, and their label values. */
async function answersOf(client: HearthClient): Promise<string> {
  const answers: unknown[] = [await client.getTenants()];
  for (const tenant of LOAD.tenantNames) {
    for (const selector of ["{}", '{service_name=~".*api.*"}']) {
      const query = { tenants: [tenant], selector, startAtMs: START_MS, endAtMs: END_MS };
      answers.push(await collectBlocks(client.queryMetadata(query)));
      const labels = client.queryMetadataLabels({ ...query, labels: ["service_name"] });
      answers.push(await collectLabels(labels));
    }
    answers.push(await client.getTenant(tenant));
  }
  const text = (_key: string, value: unknown): unknown =>
    typeof value === "bigint" ? value.toString() : value;
  return JSON.stringify(answers, text);
}

function command(server: ServerProcess, ...argv: readonly string[]) {
  return hearthAt(server.httpUrl, "index", ...argv, "--bucket", bucket);
}

describe("hearth index rebuild", () => {
  it("adds nothing in a dry run, and says what it would", async () => {
    const { out, code } = await command(rebuilt, "rebuild", "--dry-run");
    assert.equal(out, `dry run: would add ${BLOCKS} blocks from ${BLOCKS} objects`);
    assert.equal(code, 0);
    await using client = await connect({ endpoints: [rebuilt.endpoint] });
    assert.deepEqual(await client.getTenants(), []);
  });

  it("makes an index that answers like the one before, and says which objects gave nothing", async () => {
    const bad = join(bucket, "segments/7/anonymous/01KDVDNA00000000000000000A/block.bin");
    mkdirSync(dirname(bad), { recursive: true });
    writeFileSync(bad, "this is no block");
    const { out, talk, code } = await command(rebuilt, "rebuild");
    assert.equal(out, `added ${BLOCKS} blocks from ${BLOCKS + 1} objects`, talk);
    assert.match(talk, /01KDVDNA00000000000000000A\/block\.bin: Cannot read block object/);
    assert.equal(code, 4);
    const dry = await command(rebuilt, "rebuild", "--dry-run", "--json");
    assert.match(dry.out, /"left":1,.*"problems":\[\{"key":/);
    unlinkSync(bad);
    await using first = await connect({ endpoints: [original.endpoint] });
    await using second = await connect({ endpoints: [rebuilt.endpoint] });
    const expected = await answersOf(first);
    assert.ok(expected.length > 10_000);
    assert.equal(await answersOf(second), expected);
  });

  it("can be repeated", async () => {
    const { out } = await command(rebuilt, "rebuild", "--json");
    assert.equal((JSON.parse(out) as { blocks: number }).blocks, BLOCKS);
    const verified = await command(rebuilt, "verify");
    assert.equal(verified.code, 0, verified.out + verified.talk);
  });
});

describe("hearth index verify", () => {
  it("names exactly the hundredth part of the objects that was deleted, and the objects nobody knows", async () => {
    const deleted = objects.filter((_, i) => i % 100 === 17);
    for (const { key } of deleted) unlinkSync(join(bucket, key));
    const more = Array.from({ length: 6 }, (_, i) => blockObject(LOAD.block(BLOCKS + i)));
    for (const { key, bytes } of more) {
      mkdirSync(dirname(join(bucket, key)), { recursive: true });
      writeFileSync(join(bucket, key), bytes);
      utimesSync(join(bucket, key), END_MS / 1_000, NOW_MS / 1_000 - 30);
    }
    const { out, talk, code } = await command(original, "verify", "--recent", "10s");
    const expected = [
      ...deleted.map(({ key }) => `missing  ${key}`),
      ...more.map(({ key }) => `orphan  ${key}`),
    ];
    assert.deepEqual(out.split("\n").sort(), expected.sort());
    assert.equal(code, 4);
    assert.match(talk, /6 missing, 6 orphan/);
    const { out: text } = await command(original, "verify", "--no-footers", "--json");
    const answer = JSON.parse(text) as { schema: string; counts: Record<string, number> };
    assert.equal(answer.schema, "hearth/index-verify/v1");
    // Those that nobody knows are younger than a minute.
    assert.equal(answer.counts.missing, 6);
    assert.equal(answer.counts.orphan, 0);
  });

  it("goes on past an object that may not be read", {
    skip: process.getuid?.() === 0,
  }, async () => {
    const path = join(bucket, objects[1]!.key);
    chmodSync(path, 0);
    const { out } = await command(original, "verify");
    chmodSync(path, 0o640);
    assert.match(out, new RegExp(`unreadable  ${objects[1]!.key}`));
  });

  it("says so when there is no bucket, or the wrong one", async () => {
    const empty = join(directory, "empty");
    mkdirSync(empty);
    const said = await hearth([
      "index",
      "verify",
      "--bucket",
      empty,
      "--endpoint",
      original.httpUrl,
    ]);
    assert.equal(said.code, 1);
    assert.match(said.talk, /There are no objects in file:/);
    const bad = await hearth(["index", "verify", "--config", join(directory, "no.yaml")]);
    assert.equal(bad.code, 2);
  });
});
