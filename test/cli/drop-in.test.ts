/** The program in the place of the reference: its argument list, its files, the paths that tools ask. */

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { COMPACTION_DEFAULTS } from "../../src/state/index.ts";
import { GrpcClient } from "../support/grpc/client.ts";
import { inRoot } from "../support/project.ts";
import { findFreePorts } from "../support/ports.ts";
import { type ServerProcess, startServer } from "../support/server-process.ts";
import { until } from "../support/until.ts";

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
  levels: [{maxblocks: 7, maxage: 9000000000}]
  cleanupdelay: 5m
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

  it("begins compaction with the levels that the file names", async () => {
    const client = new GrpcClient(server.grpcAddress);
    // The first poll turns it on.
    await client.call("/metastore.v1.CompactionService/PollCompactionJobs", { job_capacity: 1 });
    client.close();
    const { policy } = JSON.parse((await get("/api/v1/compaction")).text) as {
      policy: object;
    };
    assert.deepEqual(policy, {
      ...COMPACTION_DEFAULTS,
      levels: [{ maxBlocks: 7, maxAgeMs: 9_000 }],
      cleanupDelayMs: 300_000,
    });
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
      await until(String(wanted), async () => wanted.test(await shown()));
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

describe("a pod of the Helm chart", () => {
  it("answers from the first second, while it waits for the others", async () => {
    const root = mkdtempSync(join(tmpdir(), "hearth-pod-"));
    const file = (name: string, text: string): string => {
      writeFileSync(join(root, name), text);
      return join(root, name);
    };
    const [http = 0, grpc = 0, peers = 0, websocket = 0] = await findFreePorts(4);
    const host = "pyroscope-metastore-0.pyroscope-metastore-headless.profiling.invalid.";
    const pod = spawn(
      process.execPath,
      [
        inRoot("bin", "hearth.js"),
        "-target=metastore",
        "-self-profiling.disable-push=true",
        `-server.http-listen-port=${http}`,
        `-server.grpc-listen-port=${grpc}`,
        "-memberlist.cluster-label=profiling-pyroscope",
        "-memberlist.join=dns+pyroscope-memberlist.profiling.invalid.:7946",
        `-config.file=${file("config.yaml", "analytics:\n  reporting_enabled: false\n")}`,
        `-runtime-config.file=${file("overrides.yaml", "overrides: {}\n")}`,
        "-log.level=debug",
        "-metastore.address=kubernetes:///pyroscope-metastore-headless.profiling.invalid.:9095",
        "-metastore.data-dir=./data-metastore/data",
        "-metastore.index.cleanup-interval=1m",
        `-metastore.raft.advertise-address=${host}:9099`,
        `-metastore.raft.bind-address=:${peers}`,
        "-metastore.raft.bootstrap-expect-peers=3",
        "-metastore.raft.bootstrap-peers=dnssrvnoa+_raft._tcp.pyroscope-metastore-headless.profiling.invalid.:9099",
        "-metastore.raft.dir=./data-metastore/raft",
        `-metastore.raft.server-id=${host}:9099`,
        "-metastore.raft.snapshots-dir=./data-metastore/raft",
        "-metastore.snapshot-compact-on-restore=true",
        "-query-backend.address=dns:///_grpc._tcp.pyroscope-query-backend-headless.profiling.invalid.:9095",
        "-architecture.storage=v2",
        `-hearth.websocket-listen-port=${websocket}`,
      ],
      { cwd: root, stdio: ["ignore", "ignore", "pipe"] },
    );
    let talk = "";
    pod.stderr.on("data", (part: Buffer) => {
      talk += part.toString();
    });
    const ended = new Promise<number | null>((resolve) => pod.once("close", resolve));
    try {
      const ready = await untilAnswered(`http://127.0.0.1:${http}/ready`);
      assert.equal(ready.status, 503, talk);
      const metrics = await (await fetch(`http://127.0.0.1:${http}/metrics`)).text();
      assert.match(metrics, /^pyroscope_build_info\{/m);
      await until(
        () => `it waits for peers\n${talk}`,
        async () => {
          const { text } = await untilAnswered(`http://127.0.0.1:${http}/ready`);
          return text.startsWith("not ready: waiting for peers");
        },
      );
      assert.ok(
        existsSync(join(root, "data-metastore", "raft")),
        "relative to where it was started",
      );
    } finally {
      pod.kill("SIGTERM");
      assert.equal(await ended, 0, talk);
      rmSync(root, { recursive: true });
    }
  });
});

async function untilAnswered(url: string): Promise<{ status: number; text: string }> {
  let shown: { status: number; text: string } | null = null;
  await until(`${url} answers`, async () => {
    const answer = await fetch(url).catch(() => null);
    if (answer !== null) shown = { status: answer.status, text: await answer.text() };
    return shown !== null;
  });
  return shown as unknown as { status: number; text: string };
}
