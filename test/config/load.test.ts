import assert from "node:assert/strict";
import { describe, it } from "node:test";
import {
  autoReaderThreads,
  configHash,
  configYaml,
  environmentVariable,
  formatProblems,
  formatValue,
  loadConfig,
  RULES,
  SETTINGS,
  settingByName,
  shownSettings,
  yamlPath,
} from "../../src/config/index.ts";
import { load, messages } from "./support.ts";

describe("precedence", () => {
  const yaml = "metastore:\n  min_ready_duration: 1s\n";
  const environment = { HEARTH_METASTORE_MIN_READY_DURATION: "2s" };
  const argv = ["-metastore.min-ready-duration=3s"];

  it("default, then file, then environment, then flag", () => {
    const read = (sources: Parameters<typeof load>[0]): unknown =>
      load(sources).config?.node.minReadyMs;
    assert.equal(read({}), 15_000);
    assert.equal(read({ yaml }), 1_000);
    assert.equal(read({ yaml, environment }), 2_000);
    assert.equal(read({ yaml, environment, argv }), 3_000);
  });

  it("the origin of the winner is known", () => {
    const origin = (sources: Parameters<typeof load>[0]): unknown =>
      load(sources).origins.get("metastore.min-ready-duration");
    assert.deepEqual(origin({}), { kind: "default" });
    assert.deepEqual(origin({ yaml }), { kind: "file", file: "test.yaml", line: 2, column: 23 });
    assert.deepEqual(origin({ yaml, environment }), {
      kind: "environment",
      variable: "HEARTH_METASTORE_MIN_READY_DURATION",
    });
    assert.deepEqual(origin({ yaml, environment, argv }), { kind: "flag" });
  });

  it("a wrong value in a weaker source is still told", () => {
    const result = load({ yaml: "metastore:\n  min_ready_duration: soon\n", argv });
    assert.equal(result.config, null);
    assert.match(
      messages(result)[0] ?? "",
      /^error test\.yaml:2:23 metastore\.min_ready_duration: "soon"/,
    );
  });

  it("the last of several flags wins, as in Go; a list takes them all", () => {
    const argv2 = [
      "-log.level=debug",
      "-log.level=warn",
      "-metastore.raft.bootstrap-peers=dns+a:1",
      "-metastore.raft.bootstrap-peers=dns+b:1",
    ];
    const { config } = load({ argv: argv2 });
    assert.equal(config?.logger.level, "warn");
    assert.deepEqual(config?.cluster.bootstrapPeers, ["dns+a:1", "dns+b:1"]);
  });

  it("a list of a stronger source replaces the weaker one as a whole", () => {
    const file = "metastore:\n  raft:\n    bootstrap_peers:\n      - dns+x:1\n      - dns+y:1\n";
    assert.deepEqual(load({ yaml: file }).config?.cluster.bootstrapPeers, ["dns+x:1", "dns+y:1"]);
    const { config } = load({
      yaml: file,
      environment: { HEARTH_METASTORE_RAFT_BOOTSTRAP_PEERS: "dns+z:1, dns+q:1" },
    });
    assert.deepEqual(config?.cluster.bootstrapPeers, ["dns+z:1", "dns+q:1"]);
  });

  it("an empty YAML value leaves the default", () => {
    const result = load({ yaml: "metastore:\n  data_dir:\nhearth:\n" });
    assert.deepEqual(messages(result), []);
    assert.equal(result.config?.node.dataDirectory, "./data/v2/metastore/data");
  });
});

describe("problems", () => {
  it("all are told at once, each with its place and its cure", () => {
    const yaml = `metastore:
  min_ready_duration: 15
  raft:
    snapshot_treshold: 10
    apply_timeout: [1s]
    dir: same
  data_dir: same
hearth:
  reader_threads: -1
  listener: fast
  cache_bytes: 64
metastor: {}
memberlist:
  join_members: [a]
limits:
  retention_period: 1h
server:
  http_listen_port: 99999
  http_server_read_timeout: 5s
`;
    const result = load({
      yaml,
      argv: ["-metastore.raft.bootstrap-expect-peers=3", "-metastore.raft.bootstrap-peers=b:1/b"],
    });
    assert.deepEqual(formatProblems(result), [
      "test.yaml: 10 errors",
      "error    test.yaml:2:23             metastore.min_ready_duration: 15 has no unit. Write 15s, 15m or 15h",
      "error    test.yaml:4:5              metastore.raft.snapshot_treshold: unknown key. Did you mean snapshot_threshold?",
      "error    test.yaml:5:20             metastore.raft.apply_timeout: expected a single value",
      "error    test.yaml:9:19             hearth.reader_threads: -1 is below the least value 0",
      'error    test.yaml:10:13            hearth.listener: "fast" is not one of auto, uws, ws',
      "error    test.yaml:11:16            hearth.cache_bytes: 64 has no unit. Write 64B, 64KiB or 64MiB",
      "error    test.yaml:12:1             metastor: unknown key. Did you mean metastore?",
      "error    test.yaml:18:21            server.http_listen_port: 99999 is above the largest value 65535",
      "error    flag                       bootstrap-expect-peers is 3, but bootstrap_peers and this node make 2. Name every node as host:port/server-id",
      "error    test.yaml:7 + test.yaml:6  metastore.data-dir and metastore.raft.dir are the same directory. The index may be deleted, the log never: keep them apart",
    ]);
    assert.equal(result.config, null);
    assert.deepEqual(result.foreign, ["memberlist", "server.http_server_read_timeout"]);
  });

  it("a broken file is told with its place, and nothing is guessed", () => {
    const result = load({ yaml: "metastore:\n  raft: {dir: a\nhearth:\n" });
    assert.equal(result.config, null);
    assert.match(messages(result)[0] ?? "", /^error test\.yaml:\d+:\d+ /);
  });

  it("a key given twice is an error", () => {
    const result = load({ yaml: "target: metastore\ntarget: metastore\n" });
    assert.match(messages(result)[0] ?? "", /^error test\.yaml:2:1 Map keys must be unique/);
  });

  it("a file that is no map is an error", () => {
    assert.match(messages(load({ yaml: "- a\n" }))[0] ?? "", /must be a map of sections/);
    assert.deepEqual(messages(load({ yaml: "" })), []);
  });

  it("a bomb of aliases is refused", () => {
    const levels = Array.from(
      { length: 12 },
      (_, i) => `  a${i}: &a${i} [${i === 0 ? "x" : `*a${i - 1},`.repeat(9)}]`,
    );
    const result = load({ yaml: `limits:\n${levels.join("\n")}\n` });
    assert.match(messages(result)[0] ?? "", /alias/i);
  });

  it("a file that cannot be read is one error, at its name", () => {
    const result = loadConfig({ argv: ["-config.file=/no/such/file.yaml"], environment: {} });
    assert.equal(result.config, null);
    const [problem] = result.problems;
    assert.equal(problem?.place, "/no/such/file.yaml");
    assert.match(problem?.message ?? "", /^Cannot read the file: there is none of that name$/);
  });

  it("an unknown variable is an error, those of Kubernetes services are not ours", () => {
    const environment = {
      HEARTH_METASTORE_DATA_DIRR: "x",
      HEARTH_SERVICE_HOST: "10.0.0.1",
      HEARTH_SERVICE_PORT_HTTP: "4040",
      HEARTH_PORT: "tcp://10.0.0.1:4040",
      HEARTH_PORT_4040_TCP_ADDR: "10.0.0.1",
      HEARTH_HEADLESS_SERVICE_PORT: "9099",
      HEARTH_ENDPOINTS: "http://a:4040",
    };
    assert.deepEqual(messages(load({ environment })), [
      "error env HEARTH_METASTORE_DATA_DIRR HEARTH_METASTORE_DATA_DIRR: unknown setting. Did you mean HEARTH_METASTORE_DATA_DIR?",
    ]);
  });
});

describe("file", () => {
  it("expands variables only when asked to", () => {
    const yaml = "metastore:\n  data_dir: ${DIR:./fallback}/data\n  raft:\n    dir: ${RAFT}\n";
    const environment = { RAFT: "/raft" };
    const expanded = load({ yaml, environment, argv: ["-config.expand-env"] });
    assert.equal(expanded.config?.node.dataDirectory, "./fallback/data");
    assert.equal(expanded.config?.node.logDirectory, "/raft");
    assert.equal(load({ yaml, environment }).config?.node.logDirectory, "${RAFT}");
  });

  it("warns of a variable that is not put in, or that is nothing", () => {
    const yaml =
      "server: {http_tls_config: {key_file: '${OTHER}'}}\nmetastore:\n" +
      "  data_dir: ${DIR:./fallback}/data\n  raft:\n    dir: ${RAFT}\n    bootstrap_peers:\n      - a/${A\n";
    assert.deepEqual(messages(load({ yaml, argv: ["-config.expand-env"] })).slice(-2), [
      "warning test.yaml:5:5 metastore.raft.dir: ${RAFT} is not set and has no default: it stands for nothing",
      'warning test.yaml:7:7 metastore.raft.bootstrap_peers: "${" is taken as written. Variables are ${NAME} and ${NAME:default}',
    ]);
    const said = messages(load({ yaml, environment: { RAFT: "/raft" } }));
    const end = ': "${" is taken as written. -config.expand-env=true puts the variable in';
    assert.deepEqual(said.slice(-3), [
      `warning test.yaml:3:13 metastore.data_dir${end}`,
      `warning test.yaml:5:10 metastore.raft.dir${end}`,
      `warning test.yaml:7:7 metastore.raft.bootstrap_peers${end}`,
    ]);
  });

  it("keys of other components and known ones without a function are accepted and listed", () => {
    const yaml =
      "metastore:\n  snapshot_compact_on_restore: true\n  grpc_client_config: {tls_enabled: true}\nstorage:\n  gcs: {bucket_name: b}\n";
    const result = load({ yaml });
    assert.deepEqual(messages(result), []);
    assert.deepEqual(result.unused, ["metastore.snapshot-compact-on-restore"]);
    assert.deepEqual(result.foreign, ["metastore.grpc_client_config", "storage.gcs"]);
  });
});

describe("keys of the planner", () => {
  const keys =
    "cleanupbatchsize: 4, cleanupdelay: 1m, cleanupjobminlevel: 1, cleanupjobmaxlevel: 2";

  it("are what compaction begins with, in nanoseconds or with a unit", () => {
    const levels = "[{maxblocks: 5, maxage: 2s}, {maxage: 1500000, maxblocks: 3}, {maxblocks: 1}]";
    const yaml = `metastore:\n  {levels: ${levels}, ${keys}, compaction_max_failures: 7}\n`;
    const result = load({ yaml });
    assert.deepEqual(messages(result), []);
    assert.deepEqual(result.unused, []);
    assert.deepEqual(result.config?.compaction, {
      failuresMax: 7,
      leaseMs: 15_000,
      jobsMax: 10_000,
      levels: [
        { maxBlocks: 5, maxAgeMs: 2_000 },
        { maxBlocks: 3, maxAgeMs: 1.5 },
        { maxBlocks: 1, maxAgeMs: 0 },
      ],
      cleanupBatchSize: 4,
      cleanupDelayMs: 60_000,
      cleanupMinLevel: 1,
      cleanupMaxLevel: 2,
    });
    const shown = configYaml(result.values, "diff");
    assert.match(shown, /levels:\n {4}- maxblocks: 5\n {6}maxage: 2s\n/);
  });

  it("leave what they do not name, and have no flag", () => {
    const { config } = load({});
    assert.deepEqual(config?.compaction, { failuresMax: 3, leaseMs: 15_000, jobsMax: 10_000 });
    assert.match(messages(load({ argv: ["-metastore.levels=x"] }))[0] ?? "", /unknown flag/);
    assert.doesNotMatch(configYaml(load({}).values, "all"), /levels|cleanupdelay/);
  });

  it("that mean nothing are errors with a place", () => {
    const bad: readonly [string, RegExp][] = [
      ["levels: 3", /^error test\.yaml:2:11 metastore\.levels: expected a list of 1 to 8 levels$/],
      ["levels: []", /expected a list/],
      ["levels: [1]", /metastore\.levels\[0\]: expected a map with maxblocks and maxage$/],
      ["levels: [{maxage: 1}]", /levels\[0\]\.maxblocks: nothing is not a whole number from 1 to/],
      ["levels: [{maxblocks: 0}]", /levels\[0\]\.maxblocks: 0 is not/],
      ["levels: [{maxblocks: 1, maxage: 5q}]", /levels\[0\]\.maxage: "5q" is not a duration/],
      ["levels: [{maxblocks: 1, maxage: -1}]", /levels\[0\]\.maxage: -1 is not a duration/],
      ["levels: [{maxblocks: 1, max_age: 1}]", /levels\[0\]\.max_age: unknown key$/],
      ["cleanupbatchsize: 1.5", /cleanupbatchsize: 1\.5 is not a whole number from 0 to 16$/],
      ["cleanupdelay: {}", /cleanupdelay: \{\} is not a duration/],
      ["cleanupjobmaxlevel: 99", /cleanupjobmaxlevel: 99 is not/],
    ];
    for (const [line, words] of bad) {
      const result = load({ yaml: `metastore:\n  ${line}\n` });
      assert.match(messages(result)[0] ?? "", words, line);
      assert.equal(result.config, null);
    }
  });
});

describe("rules", () => {
  it("ports must differ, unless the system chooses", () => {
    const same = ["-server.http-listen-port=5000", "-hearth.websocket-listen-port=5000"];
    assert.match(messages(load({ argv: same }))[0] ?? "", /are both 5000\. Give each its own$/);
    const chosen = ["-server.http-listen-port=0", "-hearth.websocket-listen-port=0"];
    assert.deepEqual(messages(load({ argv: chosen })), []);
  });

  it("peers that are named and this node must make the expected number", () => {
    const peers = (...values: string[]): string[] =>
      values.map((value) => `-metastore.raft.bootstrap-peers=${value}`);
    const three = ["-metastore.raft.bootstrap-expect-peers=3", "-metastore.raft.server-id=c"];
    assert.deepEqual(messages(load({ argv: peers("dnssrvnoa+_raft._tcp.x:9099") })), []);
    assert.deepEqual(messages(load({ argv: peers("localhost:9099/localhost:9099") })), []);
    assert.equal(messages(load({ argv: peers("a:9099/a", "b:9099/b") })).length, 1);
    assert.deepEqual(messages(load({ argv: [...three, ...peers("a:9099/a", "b:9099/b")] })), []);
    assert.equal(messages(load({ argv: three })).length, 1);
    const waits = "-metastore.raft.bootstrap-expect-peers=0";
    assert.deepEqual(messages(load({ argv: [waits] })), []);
  });

  it("who joins needs somebody to ask, and no number of nodes", () => {
    const join = "-metastore.raft.auto-join";
    assert.match(messages(load({ argv: [join] }))[0] ?? "", /there is nobody to ask/);
    const argv = [join, "-metastore.raft.bootstrap-peers=a:9099/a"];
    assert.deepEqual(messages(load({ argv })), []);
    assert.equal(load({ argv }).config?.cluster.isAutoJoin, true);
  });

  it("addresses of members are host and port", () => {
    for (const good of [":9099", "[::1]:9099", "a.b.c.:9099", "127.0.0.1:0"]) {
      assert.deepEqual(
        messages(load({ argv: [`-metastore.raft.bind-address=${good}`] })),
        [],
        good,
      );
    }
    for (const bad of ["", "a", ":9099", "a:99999", "a:0", "::1:9099"]) {
      const argv = [`-metastore.raft.advertise-address=${bad}`];
      assert.match(messages(load({ argv }))[0] ?? "", /is not an address\. Write host:port/, bad);
    }
  });

  it("a file of the log must hold the largest writes", () => {
    assert.equal(load({ argv: ["-hearth.frame-max-bytes=64MiB"] }).config, null);
    const fitting = load({
      argv: ["-hearth.frame-max-bytes=64MiB", "-hearth.log-segment-size=132MiB"],
    });
    assert.deepEqual(messages(fitting), []);
    assert.equal(load({ argv: ["-hearth.log-segment-size=66000001B"] }).config, null);
  });

  it("settings of TLS need a certificate, unless they ask for nothing", () => {
    const wish = (type: string): readonly string[] =>
      messages(load({ yaml: `server:\n  grpc_tls_config:\n    client_auth_type: ${type}\n` }));
    assert.deepEqual(wish("NoClientCert"), []);
    assert.deepEqual(wish('""'), []);
    assert.match(wish("RequireAndVerifyClientCert")[0] ?? "", /has no effect without TLS/);
    const ca = messages(load({ argv: ["-server.grpc-tls-ca-path=/ca.crt"] }));
    assert.match(ca[0] ?? "", /^.*grpc-tls-ca-path has no effect without TLS/);
  });

  it("warnings alone leave a configuration", () => {
    const result = load({ argv: ["-hearth.allow-raw-commands"] });
    assert.equal(result.problems[0]?.severity, "warning");
    assert.notEqual(result.config, null);
  });

  it("only the metastore can be the target", () => {
    assert.match(
      messages(load({ argv: ["-target=all"] }))[0] ?? "",
      /this program is only the metastore/,
    );
  });

  it("name settings that exist", () => {
    for (const rule of RULES)
      for (const name of rule.settings) assert.ok(settingByName(name), name);
  });
});

describe("the table of settings", () => {
  it("has unique flags, variables and keys", () => {
    const unique = (names: readonly (string | null)[]): void => {
      const given = names.filter((name) => name !== null);
      assert.equal(new Set(given).size, given.length);
    };
    unique(SETTINGS.map(({ name }) => name));
    unique(SETTINGS.map(environmentVariable));
    unique(SETTINGS.map(yamlPath));
  });

  it("has defaults within their own bounds", () => {
    for (const { name, default: value, min, max, choices } of SETTINGS) {
      if (typeof value === "number") {
        assert.ok(min === undefined || value >= min, name);
        assert.ok(max === undefined || value <= max, name);
      }
      if (choices !== undefined) assert.ok(choices.includes(String(value)), name);
    }
  });

  it("has sentences without a final period", () => {
    for (const { name, help } of SETTINGS) assert.match(help, /^[A-Z].*[^.]$/, name);
  });

  it("has the names of the reference", () => {
    assert.equal(
      environmentVariable(settingByName("metastore.raft.apply-timeout")!),
      "HEARTH_METASTORE_RAFT_APPLY_TIMEOUT",
    );
    assert.equal(
      environmentVariable(settingByName("hearth.reader-threads")!),
      "HEARTH_READER_THREADS",
    );
    assert.equal(yamlPath(settingByName("log.level")!), "server.log_level");
    assert.equal(yamlPath(settingByName("metastore.raft.server-id")!), "metastore.raft.server_id");
  });
});

describe("showing", () => {
  it("every setting is shown in the form it is written in", () => {
    const { values, origins } = load({
      argv: ["-metastore.min-ready-duration=90s", "-hearth.cache-bytes=128MiB"],
    });
    const shown = new Map(shownSettings(values, origins).map((setting) => [setting.name, setting]));
    assert.equal(shown.get("metastore.min_ready_duration")?.value, "1m30s");
    assert.equal(shown.get("hearth.cache_bytes")?.value, "128MiB");
    assert.equal(shown.get("hearth.cache_bytes")?.origin, "flag");
    assert.equal(shown.get("hearth.listener")?.isDefault, true);
  });

  it("secrets are shown as stars, and their absence as nothing", () => {
    const secret = { name: "x", kind: "text", default: "", help: "X" } as const;
    for (const hidden of [{ isSecret: true }, { isMasked: true }]) {
      assert.equal(formatValue({ ...secret, ...hidden }, "hunter2"), "********");
      assert.equal(formatValue({ ...secret, ...hidden }, ""), "");
    }
  });

  it("the hash follows the values and not their origin", () => {
    const byFlag = load({ argv: ["-log.level=debug"] });
    const byVariable = load({ environment: { HEARTH_LOG_LEVEL: "debug" } });
    assert.equal(configHash(byFlag.values), configHash(byVariable.values));
    assert.notEqual(configHash(byFlag.values), configHash(load({}).values));
  });

  it("reader threads leave one processor to the main thread", () => {
    assert.deepEqual([1, 2, 4, 64].map(autoReaderThreads), [1, 1, 3, 8]);
  });
});
