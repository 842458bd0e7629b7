/** Files and argument lists of real installations: accepted unchanged, and with the values they mean. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { describe, it } from "node:test";
import { type LoadResult, loadConfig } from "../../src/config/index.ts";
import { inRoot } from "../support/project.ts";
import { load, messages } from "./support.ts";

const SHARED_FILE = readFileSync(inRoot("test", "config", "pyroscope.yaml"), "utf8");
const OVERRIDES = "overrides:\n  acme:\n    retention_period: 7d\n    ingestion_rate_mb: 64\n";

/** The argument list of one pod of the Helm chart (spec grpc-contract, 10.6). */
function chartArguments(pod: string): string[] {
  const host = `${pod}.pyroscope-metastore-headless.profiling.svc.cluster.local.`;
  return [
    "-target=metastore",
    "-self-profiling.disable-push=true",
    "-server.http-listen-port=4040",
    "-memberlist.cluster-label=profiling-pyroscope",
    "-memberlist.join=dns+pyroscope-memberlist.profiling.svc.cluster.local.:7946",
    "-config.file=/etc/pyroscope/config.yaml",
    "-runtime-config.file=/etc/pyroscope/overrides/overrides.yaml",
    "-log.level=debug",
    "-metastore.address=kubernetes:///pyroscope-metastore-headless.profiling.svc.cluster.local.:9095",
    "-metastore.data-dir=./data-metastore/data",
    "-metastore.index.cleanup-interval=1m",
    `-metastore.raft.advertise-address=${host}:9099`,
    "-metastore.raft.bind-address=:9099",
    "-metastore.raft.bootstrap-expect-peers=3",
    "-metastore.raft.bootstrap-peers=dnssrvnoa+_raft._tcp.pyroscope-metastore-headless.profiling.svc.cluster.local.:9099",
    "-metastore.raft.dir=./data-metastore/raft",
    `-metastore.raft.server-id=${host}:9099`,
    "-metastore.raft.snapshots-dir=./data-metastore/raft",
    "-metastore.snapshot-compact-on-restore=true",
    "-query-backend.address=dns:///_grpc._tcp.pyroscope-query-backend-headless.profiling.svc.cluster.local.:9095",
    "-architecture.storage=v2",
  ];
}

function loadChart(config: string, ...more: string[]): LoadResult {
  const files: Readonly<Record<string, string>> = {
    "/etc/pyroscope/config.yaml": config,
    "/etc/pyroscope/overrides/overrides.yaml": OVERRIDES,
  };
  return loadConfig({
    argv: [...chartArguments("pyroscope-metastore-1"), ...more],
    environment: { POD_NAME: "pyroscope-metastore-1" },
    readFile: (file) => files[file] ?? assert.fail(`nobody wrote ${file}`),
  });
}

/** What is left when the warning of a test on tmpfs is taken away. */
function serious(result: LoadResult): string[] {
  return messages(result).filter((line) => !line.includes(" is on tmpfs; "));
}

describe("the Helm chart's arguments", () => {
  it("are accepted unchanged, with a small file and with a complete one", () => {
    for (const config of ["", "analytics:\n  reporting_enabled: false\n", SHARED_FILE]) {
      const result = loadChart(config);
      assert.deepEqual(serious(result), []);
      assert.notEqual(result.config, null);
    }
  });

  it("mean what the reference takes them to mean", () => {
    const { config, runtime } = loadChart("");
    assert.equal(config?.http.port, 4_040);
    assert.equal(config?.logger.level, "debug");
    assert.equal(
      config?.node.serverId,
      "pyroscope-metastore-1.pyroscope-metastore-headless.profiling.svc.cluster.local.:9099",
    );
    assert.equal(config?.node.dataDirectory, "./data-metastore/data");
    assert.equal(config?.snapshots.directory, "./data-metastore/raft");
    assert.equal(config?.cluster.expectPeers, 3);
    assert.deepEqual(config?.cluster.bootstrapPeers, [
      "dnssrvnoa+_raft._tcp.pyroscope-metastore-headless.profiling.svc.cluster.local.:9099",
    ]);
    assert.deepEqual([...runtime.tenants.keys()], ["acme"]);
  });

  it("list what belongs to others, each name once", () => {
    const { foreign } = loadChart(SHARED_FILE);
    assert.equal(new Set(foreign).size, foreign.length);
    for (const name of [
      "-memberlist.join",
      "-query-backend.address",
      "-architecture.storage",
      "-self-profiling.disable-push",
      "distributor",
      "server.graceful_shutdown_timeout",
      "metastore.grpc_client_config",
      "limits.max_query_length",
      "ingestion_rate_mb",
    ])
      assert.ok(foreign.includes(name), `${name} is not in ${foreign.join(" ")}`);
  });

  it("with a slip are refused with the name that was meant", () => {
    assert.deepEqual(serious(loadChart("", "-metastore.raft.snapshot-intervall=1m")), [
      "error flag -metastore.raft.snapshot-intervall: unknown flag. Did you mean -metastore.raft.snapshot-interval?",
    ]);
    assert.deepEqual(serious(loadChart("metastor:\n  data_dir: x\n")), [
      "error /etc/pyroscope/config.yaml:1:1 metastor: unknown key. Did you mean metastore?",
    ]);
  });
});

describe("a file that all components share", () => {
  it("expands variables, with and without a default", () => {
    const host = ".pyroscope-metastore-headless.profiling.svc.cluster.local.:9099";
    const id = (environment: Record<string, string>): unknown =>
      load({ yaml: SHARED_FILE, environment, argv: ["-config.expand-env=true"] }).config?.node
        .serverId;
    assert.equal(id({}), `pyroscope-metastore-0${host}`);
    assert.equal(id({ POD_NAME: "pyroscope-metastore-2" }), `pyroscope-metastore-2${host}`);
  });

  it("sets what is ours of it", () => {
    const { config, values } = load({ yaml: SHARED_FILE, argv: ["-config.expand-env"] });
    assert.equal(values.get("metastore.index.cleanup-interval"), 60_000);
    assert.equal(values.get("retention-period"), 31 * 86_400_000);
    assert.equal(values.get("adaptive-placement.unit-size-bytes"), 131_072);
    assert.equal(config?.snapshots.intervalMs, 180_000);
    assert.deepEqual(config?.compaction.levels?.[1], { maxBlocks: 10, maxAgeMs: 720_000 });
    assert.equal(config?.compaction.cleanupDelayMs, 900_000);
    assert.deepEqual(config?.limits.files, ["/etc/pyroscope/overrides/overrides.yaml"]);
  });

  it("with a key that is nearly one of ours is warned of, or refused where data depends on it", () => {
    const yaml = "server:\n  http_listen_prot: 4040\nlimits:\n  retention_perid: 1d\n";
    assert.deepEqual(messages(load({ yaml })), [
      "error test.yaml:4:3 limits.retention_perid: unknown limit. Did you mean limits.retention_period?",
      "warning test.yaml:2:3 server.http_listen_prot: ignored as a key of another component. Did you mean server.http_listen_port?",
    ]);
  });

  it("cannot have snapshots of the reference imported", () => {
    const yaml = "metastore:\n  raft:\n    snapshots_import_dir: /old\n";
    assert.match(
      messages(load({ yaml }))[0] ?? "",
      /snapshots of the reference cannot be imported/,
    );
  });
});
