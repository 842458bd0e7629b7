/**
 * The house rules that a program can check, as data. Each exception stands here with its reason; lists of exceptions
 * may only shrink.
 */

/** Folders of src/ from the ground up. A folder imports lower levels only; folders of one level never each other. */
export const LAYERS: readonly (readonly string[])[] = [
  ["base"],
  // The disk itself: below db, which keeps its mark as log and node keep theirs.
  ["files"],
  // session: a library over an abstract store, below the state machine that uses it.
  // tasks: threads for whole tasks, knows none of them.
  ["protocol", "db", "metrics", "session", "tasks"],
  ["raft", "log", "snapshot", "state", "read", "cluster", "storage", "client"],
  ["replica"],
  ["service", "leader"],
  ["server", "grpc", "admin"],
  ["config"],
  ["cli"],
];

/** Folders that may import only these. */
export const CLOSED_FOLDERS: Readonly<Record<string, readonly string[]>> = {
  // Published as hearth/client: no server code behind it.
  client: ["base", "protocol"],
};

/** Folders that only these may import. */
export const PRIVATE_FOLDERS: Readonly<Record<string, readonly string[]>> = {
  config: ["cli"],
};

/** `import type` from raft is open to the folders that carry its values. */
export const RAFT_TYPE_IMPORTERS: readonly string[] = ["log", "snapshot", "cluster", "protocol"];

/** Packages behind walls, and where in src/ they may be imported. */
export const WALLS: Readonly<Record<string, readonly string[]>> = {
  lmdb: ["src/db/"],
  "prom-client": ["src/metrics/"],
  piscina: ["src/tasks/"],
  "@bokuweb/zstd-wasm": ["src/state/snapshot/"],
  "uWebSockets.js": ["src/server/"],
  ws: ["src/server/", "src/client/"],
  flatbuffers: ["src/protocol/"],
  "@prometheus-io/lezer-promql": ["src/read/engine/"],
  "@lezer/lr": ["src/read/engine/"],
  "@lezer/common": ["src/read/engine/"],
  re2js: ["src/read/engine/"],
};

/** Lines per file. */
export const FILE_LINES_MAX = 500;

/** Files that are longer for a reason their header gives, with the length they may not exceed. */
export const FILE_LINES_RATCHET: Readonly<Record<string, number>> = {};

export const GENERATED = "src/protocol/gen/";

/** Where a state machine must come out the same on every replica: src/raft and what applying reaches. */
export const DETERMINISTIC_ROOTS = ["src/state/apply.ts", "src/raft/index.ts"];

/** Reached from apply, but not part of its decisions. */
export const DETERMINISM_EXCEPTIONS: readonly string[] = [
  // Opening an environment looks at the machine (boot id); what apply calls of it are get, put and scan.
  "src/db/",
  GENERATED,
];

/** Calls that make a result depend on more than the entry and the state. Applied to code without strings. */
export const INDETERMINATE: readonly RegExp[] = [
  /\bDate\.now\b/,
  /\bnew Date\(\s*\)/,
  /\bMath\.random\b/,
  /\bperformance\.now\b/,
  /\bprocess\b/,
  /\bset(?:Timeout|Interval|Immediate)\b/,
  /\bqueueMicrotask\b/,
  /\basync\b/,
  /\bawait\b/,
  /\bPromise\b/,
  /\bcrypto\b/,
];

/** Started by something other than an import. */
export const ENTRY_POINTS: readonly string[] = [
  "src/cli/main.ts",
  "src/cli/reference/write.ts",
  "src/client/index.ts",
  // Threads. Their names are put together at run time, so that they start from sources and from dist/. They all differ:
  // dist/app has them in one folder.
  "src/files/writer-thread.ts",
  "src/server/reader-thread.ts",
  "src/cli/server/node-reader-thread.ts",
  "src/leader/compaction/planner-thread.ts",
  "src/leader/placement/placement-thread.ts",
  // Tasks, started by name in threads.
  "src/state/snapshot/take-thread.ts",
  "src/state/snapshot/fill-thread.ts",
  "src/state/checks/digest-thread.ts",
  "src/config/runtime-thread.ts",
  "src/storage/file/file-thread.ts",
];

/** Packages of `dependencies` that src does not import yet, with the reason. */
export const UNUSED_DEPENDENCIES: Readonly<Record<string, string>> = {
  "@bokuweb/zstd-wasm":
    "loaded by require in src/state/snapshot/zstd.ts, and only where Node.js has no zstd",
};

/** Commands and threads of test/, started by scripts/run-tool.mjs, by a test or by one another. */
export const TEST_TOOLS: readonly string[] = [
  "test/support/vectors/main.ts",
  "test/replica/commit-reader.ts",
  "test/state/snapshot/install-child.ts",
  "test/sim/main.ts",
  "test/sim/worker.ts",
  "test/explore/main.ts",
  "test/mutants/main.ts",
  "test/crashpoints/main.ts",
  "test/crashpoints/bitrot.ts",
  "test/chaos/main.ts",
  "test/chaos/load/flood-process.ts",
  "test/interop/main.ts",
  "test/demo/main.ts",
  "test/support/cluster/faulty-server.ts",
  "test/leader/model/play-thread.ts",
];
