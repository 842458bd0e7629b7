/** The program in the place of the reference: its argument list, its files, the paths that tools ask. */

import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { type ServerProcess, startServer } from "../support/server-process.ts";

/** Of a file that all components share; what belongs to others is as they write it. */
const SHARED_FILE = `target: metastore
multitenancy_enabled: true
architecture_storage: v2
analytics: {reporting_enabled: false}
self_profiling: {disable_push: true}
tracing: {enabled: false}
memberlist: {join_members: [dns+memberlist:7946]}
distributor: {ring: {kvstore: {store: memberlist}}}
segment_writer: {lifecycler: {ring: {replication_factor: 1}}}
query_backend: {address: dns:///query-backend:9095}
compaction_worker: {job_concurrency: 2}
storage: {backend: filesystem, filesystem: {dir: \${BUCKET:./shared}}}
limits: {max_query_length: 30d, ingestion_rate_mb: 16}
metastore:
  address: metastore:9095
  grpc_client_config: {tls_enabled: false}
  min_ready_duration: 0s
  levels: [{maxblocks: 20, maxage: 36000000000}]
  raft: {trailing_logs: 20000}
`;

describe("a node in the place of the reference", () => {
  let directory = "";
  let server: ServerProcess;
  const overrides = (): string => join(directory, "overrides.yaml");
  const get = async (path: string): Promise<{ status: number; text: string }> => {
    const answer = await fetch(`${server.httpUrl}${path}`);
    return { status: answer.status, text: await answer.text() };
  };

  before(async () => {
    directory = mkdtempSync(join(tmpdir(), "hearth-drop-in-"));
    mkdirSync(directory, { recursive: true });
    writeFileSync(join(directory, "config.yaml"), SHARED_FILE);
    writeFileSync(overrides(), "overrides:\n  acme:\n    retention_period: 7d\n");
    server = await startServer({
      directory,
      flags: [
        `-config.file=${join(directory, "config.yaml")}`,
        "-config.expand-env",
        `-runtime-config.file=${overrides()}`,
        "-runtime-config.reload-period=100ms",
        "-query-backend.address=dns:///query-backend:9095",
        "-memberlist.join=dns+memberlist:7946",
        "-self-profiling.disable-push=true",
      ],
    });
  });
  after(async () => {
    await server.kill();
    rmSync(directory, { recursive: true });
  });

  it("lists once what belongs to other components", () => {
    const lines = server.output().match(/^.*settings of other components ignored.*$/gm) ?? [];
    assert.equal(lines.length, 1);
    for (const name of ["-memberlist.join", "distributor", "limits.max_query_length", "tracing"])
      assert.ok(lines[0]?.includes(name), name);
  });

  it("answers the paths that tools ask", async () => {
    assert.deepEqual(await get("/ready"), { status: 200, text: "ready\n" });
    assert.equal(JSON.parse((await get("/api/v1/status/buildinfo")).text).status, "success");
    const { text: diff } = await get("/api/v1/status/config/diff");
    assert.match(diff, /^ {2}raft:\n(?: {4}.*\n)* {4}trailing_logs: 20000$/m);
    assert.match((await get("/api/v1/status/config/default")).text, /trailing_logs: 18432/);
    assert.match((await get("/metrics")).text, /^pyroscope_build_info\{/m);
  });

  it("follows the limits per tenant", async () => {
    const shown = async (): Promise<string> => (await get("/runtime_config?mode=diff")).text;
    const untilShown = async (wanted: RegExp): Promise<void> => {
      for (let i = 0; i < 200 && !wanted.test(await shown()); i++) await sleep(50);
      assert.match(await shown(), wanted);
    };
    const good = async (): Promise<boolean> =>
      /^hearth_config_last_reload_successful 1$/m.test((await get("/metrics")).text);
    assert.equal(await shown(), "overrides:\n  acme:\n    retention_period: 168h\n");
    writeFileSync(overrides(), "overrides:\n  acme:\n    retention_period: 14d\n");
    await untilShown(/^overrides:\n {2}acme:\n {4}retention_period: 336h\n$/);
    assert.equal(await good(), true);
    writeFileSync(overrides(), "overrides:\n  acme:\n    retention_perod: 14d\n");
    await untilShown(
      /^# error, not in effect: .*overrides\.yaml:3:5 overrides\.acme\.retention_perod/,
    );
    assert.match(await shown(), /retention_period: 336h/);
    assert.equal(await good(), false);
  });
});
