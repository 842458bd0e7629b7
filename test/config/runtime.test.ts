import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { parse } from "yaml";
import type { Scheduler } from "../../src/base/index.ts";
import {
  loadConfig,
  type LoadResult,
  parseRuntimeFiles,
  RuntimeLimits,
  type RuntimeLimitsModules,
  runtimeYaml,
} from "../../src/config/index.ts";
import { messages } from "./support.ts";

const DAY_MS = 86_400_000;
const FILE = "-runtime-config.file=";

/** A configuration whose files are these texts. */
function loadWith(files: Readonly<Record<string, string>>, ...argv: string[]): LoadResult {
  return loadConfig({
    argv: ["-metastore.raft.dir=raft", ...argv],
    environment: {},
    readFile: (file) => {
      const text = files[file];
      if (text === undefined) throw new Error(`ENOENT: no such file, open '${file}'`);
      return text;
    },
  });
}

/** The limits of a loaded configuration, at rest. */
function limitsOf(loaded: LoadResult, modules: Partial<RuntimeLimitsModules> = {}): RuntimeLimits {
  assert.notEqual(loaded.config, null, messages(loaded).join("\n"));
  const { limits } = loaded.config!;
  return new RuntimeLimits(
    { ...limits, initial: loaded.runtime },
    {
      logger: { ...SILENT },
      scheduler: AT_ONCE,
      nowMs: () => 0,
      parse: async (texts) => parseRuntimeFiles(texts),
      ...modules,
    },
  );
}

const SILENT = {
  debug: () => {},
  info: () => {},
  warn: () => {},
  error: () => {},
  child: () => SILENT,
};

/** Waits for nothing. */
const AT_ONCE: Scheduler = {
  monotonicMs: () => 0,
  defer: (task) => task(),
  after: (_, task) => {
    task();
    return () => {};
  },
};

function problemsOf(...texts: string[]): string[] {
  const files = texts.map((text, i) => ({ file: `${i}.yaml`, text }));
  return parseRuntimeFiles(files).problems.map(
    ({ severity, place, message }) => `${severity} ${place} ${message}`,
  );
}

describe("limits per tenant", () => {
  it("are the global ones but for what the tenant's entry names", () => {
    const file =
      "overrides:\n  acme:\n    retention_period: 7d\n  ever:\n    retention_period: 0\n  same:\n";
    const limits = limitsOf(loadWith({ "o.yaml": file }, `${FILE}o.yaml`));
    assert.equal(limits.global.retentionPeriodMs, 31 * DAY_MS);
    assert.equal(limits.of("acme").retentionPeriodMs, 7 * DAY_MS);
    assert.equal(limits.of("ever").retentionPeriodMs, 0);
    assert.equal(limits.of("same").retentionPeriodMs, 31 * DAY_MS);
    assert.equal(limits.of("unheard of"), limits.global);
    assert.deepEqual(limits.tenants, ["acme", "ever", "same"]);
  });

  it("the global ones come from a flag, or from the section that components share", () => {
    const yaml = "limits:\n  retention_period: 1y\n  max_nodes: 7\n";
    const byFile = loadWith({ "c.yaml": yaml }, "-config.file=c.yaml");
    assert.equal(limitsOf(byFile).global.retentionPeriodMs, 365 * DAY_MS);
    assert.deepEqual(byFile.foreign, ["limits.max_nodes"]);
    const byFlag = loadWith({ "c.yaml": yaml }, "-config.file=c.yaml", "-retention-period=24h");
    assert.equal(limitsOf(byFlag).global.retentionPeriodMs, DAY_MS);
  });

  it("of placement are all there, and the larger shard size of a tenant counts", () => {
    const file = `overrides:
  acme:
    adaptive_placement_tenant_shards: 4
    ingestion_tenant_shard_size: 9
    adaptive_placement_load_balancing: round-robin
    adaptive_placement_unit_size_bytes: 65536
    adaptive_placement_burst_window: 1m
`;
    const limits = limitsOf(loadWith({ "o.yaml": file }, `${FILE}o.yaml`));
    assert.deepEqual(limits.of("acme").placement, {
      ...limits.global.placement,
      tenantShards: 9,
      loadBalancing: "round-robin",
      unitBytesPerSec: 65_536,
      burstWindowMs: 60_000,
    });
    assert.deepEqual(limits.global.placement, {
      tenantShards: 0,
      defaultDatasetShards: 1,
      loadBalancing: "dynamic",
      minDatasetShards: 1,
      maxDatasetShards: 1_024,
      unitBytesPerSec: 131_072,
      burstWindowMs: 17 * 60_000,
      decayWindowMs: 19 * 60_000,
    });
  });

  it("of several files: a later one has the last word on each limit", () => {
    const first = "overrides:\n  a:\n    retention_period: 1d\n  b:\n    retention_period: 2d\n";
    const second = "overrides:\n  b:\n    retention_period: 3d\n  c:\n    retention_period: 4d\n";
    const files = { "1.yaml": first, "2.yaml": second };
    const limits = limitsOf(loadWith(files, `${FILE}1.yaml, 2.yaml`));
    const days = limits.tenants.map((tenant) => limits.of(tenant).retentionPeriodMs / DAY_MS);
    assert.deepEqual(days, [1, 3, 4]);
  });

  it("may be shared by anchors and merges", () => {
    const file = `overrides:
  big: &big
    retention_period: 90d
    adaptive_placement_max_dataset_shards: 64
  also: *big
  less:
    <<: *big
    retention_period: 30d
`;
    const limits = limitsOf(loadWith({ "o.yaml": file }, `${FILE}o.yaml`));
    assert.equal(limits.of("also").retentionPeriodMs, 90 * DAY_MS);
    assert.equal(limits.of("less").retentionPeriodMs, 30 * DAY_MS);
    assert.equal(limits.of("less").placement.maxDatasetShards, 64);
  });

  it("a tenant is called what is written, whatever YAML makes of it", () => {
    const file = "overrides:\n  007: {retention_period: 1d}\n  yes: {retention_period: 2d}\n";
    const limits = limitsOf(loadWith({ "o.yaml": file }, `${FILE}o.yaml`));
    assert.deepEqual(limits.tenants, ["007", "yes"]);
  });
});

describe("a file with limits per tenant", () => {
  it("is judged as a whole, every mistake with its place", () => {
    assert.deepEqual(
      problemsOf(`overrides:
  acme:
    retention_period: -1h
    retention_perid: 1h
    adaptive_placement_load_balancing: fast
    adaptive_placement_unit_size_bytes: 0
    adaptive_placement_max_dataset_shards: [1]
  "": {}
  b: 7
overides: {}
`),
      [
        "error 0.yaml:3:23 overrides.acme.retention_period: -1h is below the least value 0s",
        "error 0.yaml:4:5 overrides.acme.retention_perid: unknown limit. Did you mean retention_period?",
        'error 0.yaml:5:40 overrides.acme.adaptive_placement_load_balancing: "fast" is not one of dynamic, fingerprint, round-robin',
        "error 0.yaml:6:41 overrides.acme.adaptive_placement_unit_size_bytes: 0 is below the least value 1",
        "error 0.yaml:7:44 overrides.acme.adaptive_placement_max_dataset_shards: expected a single value",
        "error 0.yaml:8:3 overrides: a tenant without a name",
        "error 0.yaml:9:6 overrides.b: expected a map of limits",
        "error 0.yaml:10:1 overides: unknown key. Did you mean overrides?",
      ],
    );
  });

  it("may hold what belongs to other components", () => {
    const { problems, foreign } = parseRuntimeFiles([
      {
        file: "o.yaml",
        text: "overrides:\n  acme:\n    ingestion_rate_mb: 7\n    max_label_names_per_series: 3\nconfigs: {}\n",
      },
    ]);
    assert.deepEqual(problems, []);
    assert.deepEqual(foreign, ["ingestion_rate_mb", "max_label_names_per_series", "configs"]);
  });

  it("may be empty, and must be a map", () => {
    assert.deepEqual(problemsOf("", "overrides:\n", "overrides: {}\n"), []);
    assert.match(problemsOf("- a\n")[0] ?? "", /must be a map with the key overrides/);
    assert.match(problemsOf("overrides: [a]\n")[0] ?? "", /overrides: expected a map of tenants/);
    assert.match(problemsOf("overrides: {a: \n")[0] ?? "", /^error 0\.yaml:\d+:\d+ /);
  });

  it("a map that merges itself ends", () => {
    assert.deepEqual(problemsOf("overrides:\n  a: &a\n    <<: *a\n    retention_period: 1d\n"), []);
  });

  it("refuses the start when it is bad or missing", () => {
    const bad = loadWith({ "o.yaml": "overrides: 1\n" }, `${FILE}o.yaml`);
    assert.equal(bad.config, null);
    assert.ok(messages(bad).includes("error o.yaml:1:12 overrides: expected a map of tenants"));
    const missing = loadWith({}, `${FILE}o.yaml`);
    assert.ok(
      messages(missing).some((line) => line.startsWith("error o.yaml Cannot read the file")),
    );
  });
});

describe("limits of a running node", () => {
  it("follow their file; a bad one changes nothing and is told once", async () => {
    const texts = { "o.yaml": "overrides:\n  a:\n    retention_period: 1d\n" };
    const reloads: boolean[] = [];
    const warned: unknown[] = [];
    const limits = limitsOf(loadWith(texts, `${FILE}o.yaml`), {
      readFile: async (file) => {
        const text = texts[file as "o.yaml"];
        if (text === "gone") throw new Error("ENOENT");
        return text;
      },
      onReload: (isGood) => reloads.push(isGood),
      logger: { ...SILENT, warn: (_, fields) => warned.push(fields) },
    });
    const days = (): number => limits.of("a").retentionPeriodMs / DAY_MS;
    assert.equal(days(), 1);
    texts["o.yaml"] = "overrides:\n  a:\n    retention_period: 2d\n";
    await limits.reload();
    await limits.reload();
    assert.equal(days(), 2);
    assert.deepEqual(reloads, [true]);
    texts["o.yaml"] = "overrides:\n  a:\n    retention_period: 3\n";
    await limits.reload();
    await limits.reload();
    assert.equal(days(), 2);
    assert.deepEqual(reloads, [true, false]);
    assert.equal(warned.length, 1);
    assert.equal(limits.problems.length, 1);
    texts["o.yaml"] = "gone";
    await limits.reload();
    assert.equal(days(), 2);
    assert.deepEqual(reloads, [true, false, false]);
    texts["o.yaml"] = "overrides: {}\n";
    await limits.reload();
    assert.equal(days(), 31);
    assert.deepEqual(limits.problems, []);
    assert.deepEqual(reloads, [true, false, false, true]);
  });

  it("wait for a file that is being written", async () => {
    const text = "overrides:\n  a:\n    retention_period: 90d\n";
    let reads = 0;
    const limits = limitsOf(loadWith({ "o.yaml": text }, `${FILE}o.yaml`), {
      // Emptied at the first look, complete at the second, as an editor leaves it.
      readFile: async () => (reads++ === 0 ? "" : text),
    });
    await limits.reload();
    assert.equal(limits.of("a").retentionPeriodMs, 90 * DAY_MS);
    await limits.reload();
    assert.equal(limits.of("a").retentionPeriodMs, 90 * DAY_MS);
  });

  it("are read at the next look when the thread that reads them was lost", async () => {
    let isLost = true;
    const limits = limitsOf(loadWith({ "o.yaml": "" }, `${FILE}o.yaml`), {
      readFile: async () => "overrides:\n  a:\n    retention_period: 90d\n",
      parse: async (texts) => {
        if (isLost) throw new Error("the thread exited");
        return parseRuntimeFiles(texts);
      },
    });
    await limits.reload();
    assert.deepEqual(limits.tenants, []);
    isLost = false;
    await limits.reload();
    assert.deepEqual(limits.tenants, ["a"]);
  });

  it("are looked at once per period until they stop", async () => {
    const pending: (() => void)[] = [];
    let cancelled = 0;
    let reads = 0;
    const periods: number[] = [];
    const limits = limitsOf(loadWith({ "o.yaml": "" }, `${FILE}o.yaml`), {
      readFile: async () => {
        reads++;
        return "";
      },
      scheduler: {
        ...AT_ONCE,
        after: (delayMs, task) => {
          if (delayMs < 1_000) task();
          else {
            periods.push(delayMs);
            pending.push(task);
          }
          return () => cancelled++;
        },
      },
    });
    limits.start();
    limits.start();
    assert.deepEqual(periods, [10_000]);
    pending.shift()?.();
    while (pending.length === 0) await new Promise(setImmediate);
    assert.equal(reads, 2, "a look, and one more to see that it settled");
    limits.stop();
    assert.equal(cancelled, 1);
  });

  it("are shown as YAML, whole or as the difference, with what is wrong above", async () => {
    const texts = { "o.yaml": "overrides:\n  a:\n    retention_period: 1d\n  b:\n" };
    const limits = limitsOf(loadWith(texts, `${FILE}o.yaml`), {
      readFile: async (file) => texts[file as "o.yaml"],
    });
    assert.equal(
      runtimeYaml(limits, "diff"),
      "overrides:\n  a:\n    retention_period: 24h\n  b: {}\n",
    );
    const all = parse(runtimeYaml(limits, "all")).overrides;
    assert.equal(all.a.retention_period, "24h");
    assert.equal(all.b.retention_period, "744h");
    assert.equal(all.b.adaptive_placement_unit_size_bytes, 131_072);
    texts["o.yaml"] = "overrides: 7\n";
    await limits.reload();
    assert.match(
      runtimeYaml(limits, "diff"),
      /^# error, not in effect: o\.yaml:1:12 overrides: expected a map of tenants\noverrides:\n/,
    );
  });
});
