/** Configuration, load, offline looks, and the help itself. */
import type { CommandSpec } from "../command.ts";

export const TOOL_COMMANDS: readonly CommandSpec[] = [
  {
    path: ["config", "check"],
    summary: "Check flags, environment and file; report every problem at once",
    operandCount: [0, 0],
    details:
      "Takes the flags of the server. Warnings alone exit with 0. The server runs the same check before it starts.",
    flags: [],
    takesServerFlags: true,
    schema: "hearth/config-check/v1",
    examples: [
      { command: "hearth config check -config.file=hearth.yaml", comment: "a file" },
      {
        command: "hearth config check -config.file=hearth.yaml -log.level=debug --json",
        comment: "a file with a flag over it, for a program",
      },
    ],
    exitCodes: [0, 2],
    load: () => import("./run/config-check.ts"),
  },
  {
    path: ["config", "show"],
    summary: "Effective settings and where each comes from",
    operandCount: [0, 0],
    details: "Takes the flags of the server, and the environment of this shell.",
    flags: [
      { name: "origin", help: "Name the flag, variable or line that a value comes from" },
      { name: "diff", help: "Only settings that differ from their default" },
      { name: "yaml", help: "As a YAML file that gives the same settings" },
    ],
    takesServerFlags: true,
    schema: "hearth/config/v1",
    examples: [
      { command: "hearth config show --origin", comment: "everything, with its origin" },
      {
        command: "hearth config show -config.file=hearth.yaml --diff",
        comment: "what a file changes",
      },
    ],
    exitCodes: [0, 2],
    load: () => import("./run/config-show.ts"),
  },
  {
    path: ["bench", "load"],
    summary: "Write generated blocks through the binary protocol and report rate and latency",
    operandCount: [0, 0],
    details:
      "Blocks are modelled on real entries and depend only on the seed and the start time: fresh segments with the " +
      "datasets of several tenants, and compacted blocks of one tenant. Use it on a node whose data you can throw away.",
    flags: [
      { name: "blocks", value: "COUNT", whenAbsent: "10000", help: "Blocks to write" },
      { name: "tenants", value: "COUNT", whenAbsent: "5", help: "Tenants the data belongs to" },
      { name: "services", value: "COUNT", whenAbsent: "100", help: "Services over all tenants" },
      {
        name: "seed",
        value: "NUMBER",
        whenAbsent: "1",
        help: "The same seed writes the same blocks",
      },
      {
        name: "from",
        value: "TIME",
        whenAbsent: "now-1d",
        help: "Creation time of the oldest block",
      },
      { name: "to", value: "TIME", whenAbsent: "now", help: "Creation time of the newest block" },
      {
        name: "batch",
        value: "COUNT",
        whenAbsent: "1",
        help: "Blocks per request; several are one log entry",
      },
      {
        name: "in-flight",
        value: "COUNT",
        whenAbsent: "64",
        help: "Requests open at the same time",
      },
      {
        name: "websocket",
        value: "HOST:PORT",
        whenAbsent: "what the node at --endpoint says",
        help: "Address of the binary protocol",
      },
    ],
    usesNode: true,
    schema: "hearth/bench-load/v1",
    examples: [
      {
        command: "hearth bench load --blocks 100000 --tenants 5 --services 200 --seed 1",
        comment: "a day of a small cluster",
      },
      {
        command: "hearth bench load --blocks 1000000 --batch 500 --in-flight 8",
        comment: "fill an index quickly",
      },
    ],
    exitCodes: [0, 1, 2, 3, 130],
    load: () => import("./run/bench-load.ts"),
  },
  {
    path: ["bench", "worker"],
    summary: "Take compaction jobs as workers do, without doing the work, and report rates",
    operandCount: [0, 0],
    details:
      "Reads the metadata of the source blocks, waits as long as the work would take, and reports metadata merged from " +
      "them. No profile is read or written: queries for the data of such blocks find nothing in the object store, so use " +
      "it on a node whose data you can throw away. Faults are drawn for each job: fail says why; crash forgets what is in " +
      "hand and starts again as another process; stall is silent and forgets; late is silent and reports then.",
    flags: [
      {
        name: "workers",
        value: "COUNT",
        whenAbsent: "1",
        help: "Workers in this process, 64 at most",
      },
      { name: "capacity", value: "COUNT", whenAbsent: "4", help: "Jobs at once per worker" },
      { name: "work", value: "DURATION", whenAbsent: "1s", help: "How long a job takes" },
      { name: "for", value: "DURATION", whenAbsent: "1m", help: "Stop after this time, in order" },
      { name: "jobs", value: "COUNT", whenAbsent: "no limit", help: "Stop once so many are done" },
      { name: "fail", value: "SHARE", whenAbsent: "0", help: "Share of jobs that fail, 0 to 1" },
      { name: "crash", value: "SHARE", whenAbsent: "0", help: "Share of jobs that end the worker" },
      {
        name: "stall",
        value: "SHARE",
        whenAbsent: "0",
        help: "Share of jobs at which it is silent and forgets",
      },
      {
        name: "late",
        value: "SHARE",
        whenAbsent: "0",
        help: "Share of jobs at which it is silent and reports then",
      },
      {
        name: "silence",
        value: "DURATION",
        whenAbsent: "20s",
        help: "How long it is silent: longer than a lease",
      },
      {
        name: "poll",
        value: "DURATION",
        whenAbsent: "wait at the leader",
        help: "Ask for jobs at this interval instead",
      },
      {
        name: "seed",
        value: "NUMBER",
        whenAbsent: "1",
        help: "The same seed draws the same faults",
      },
      {
        name: "websocket",
        value: "HOST:PORT",
        whenAbsent: "what the node at --endpoint says",
        help: "Address of the binary protocol",
      },
    ],
    usesNode: true,
    schema: "hearth/bench-worker/v1",
    examples: [
      {
        command: "hearth bench worker --workers 3 --for 10m",
        comment: "three workers beside a load",
      },
      {
        command: "hearth bench worker --work 200ms --fail 0.05 --late 0.01",
        comment: "a worker that is not to be relied on",
      },
    ],
    exitCodes: [0, 1, 2, 3, 130],
    load: () => import("./run/bench-worker.ts"),
  },
  {
    path: ["data", "inspect"],
    summary:
      "Look into the log, the snapshots or the index of a stopped node, or into a snapshot of Pyroscope",
    operands: "log|snapshot|index|go-snapshot [file]",
    operandCount: [1, 2],
    details:
      "Reads only. The node must be stopped: a running one changes what is being read. go-snapshot takes the state.bin of a " +
      "snapshot of Pyroscope's metastore, decompressed: it counts the records of each bucket, and shows those of the block " +
      "queue and the tombstones. Nothing is imported.",
    flags: [
      {
        name: "dir",
        value: "DIRECTORY",
        whenAbsent: "the directory of the default settings",
        help: "Value of metastore.raft.dir (log), metastore.raft.snapshots-dir (snapshot) or metastore.data-dir (index)",
      },
      {
        name: "verify",
        help: "Check every record of the index against the others, or all data of the snapshots; reads all of it",
      },
    ],
    schema: "hearth/data-inspect/v1",
    examples: [
      {
        command: "hearth data inspect log --dir ./data/v2/metastore/raft",
        comment: "segments, terms and the end of the log",
      },
      {
        command: "hearth data inspect snapshot --verify",
        comment: "which snapshots are there, and are they what was written?",
      },
      { command: "hearth data inspect index", comment: "rows and bytes per table" },
      { command: "hearth data inspect index --verify", comment: "is it sound?" },
      {
        command: "hearth data inspect go-snapshot state.db",
        comment: "what does the metastore hold that we come from?",
      },
    ],
    exitCodes: [0, 1, 2, 4],
    load: () => import("./run/data-inspect.ts"),
  },
  {
    path: ["completion"],
    summary: "Print a completion script for a shell",
    operands: "bash|zsh|fish",
    operandCount: [1, 1],
    flags: [],
    examples: [{ command: "source <(hearth completion bash)", comment: "for this shell" }],
    exitCodes: [0, 2],
    load: () => import("./run/completion.ts"),
  },
  {
    path: ["version"],
    summary: "Version of this program",
    operandCount: [0, 0],
    flags: [],
    schema: "hearth/version/v1",
    examples: [{ command: "hearth version", comment: "version, Node.js and platform" }],
    exitCodes: [0],
    load: () => import("./run/version.ts"),
  },
  {
    path: ["help"],
    summary: "Help on a command or a topic",
    operands: "[command | exit-codes | config | metrics]",
    operandCount: [0, 3],
    flags: [],
    examples: [
      { command: "hearth help block add", comment: "a command" },
      { command: "hearth help exit-codes", comment: "a topic" },
    ],
    exitCodes: [0, 2],
    load: () => import("./run/help.ts"),
  },
];
