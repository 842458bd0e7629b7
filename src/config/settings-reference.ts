/**
 * Settings of the reference (spec raft-and-cluster, 13): the same names, keys and defaults, so that the image can be
 * swapped under an unchanged argument list. `isUsed: false` marks those without a function in this version: they are
 * checked like the others, and listed once at start.
 */
import type { Setting } from "./types.ts";

const SECOND_MS = 1_000;
const MINUTE_MS = 60 * SECOND_MS;
const HOUR_MS = 60 * MINUTE_MS;

export const PROCESS_SETTINGS = [
  {
    name: "target",
    kind: "text",
    default: "metastore",
    help: "Component to run; this program is only ever the metastore",
  },
  {
    name: "config.file",
    kind: "text",
    default: "",
    yaml: null,
    help: "YAML file to read settings from",
  },
  {
    name: "config.expand-env",
    kind: "boolean",
    default: false,
    yaml: null,
    help: "Expand ${NAME} and ${NAME:default} in the YAML file from the environment",
  },
  {
    name: "log.level",
    kind: "choice",
    choices: ["debug", "info", "warn", "error"],
    default: "info",
    yaml: "server.log_level",
    help: "Least important lines that are still written",
  },
  {
    name: "log.format",
    kind: "choice",
    choices: ["logfmt", "json"],
    default: "logfmt",
    yaml: "server.log_format",
    help: "Form of a log line",
  },
  {
    name: "server.http-listen-address",
    kind: "text",
    default: "",
    help: "Address of the HTTP listener (metrics, health, API); empty listens on every interface",
  },
  {
    name: "server.http-listen-port",
    kind: "integer",
    default: 4040,
    min: 0,
    max: 65_535,
    help: "Port of the HTTP listener; 0 lets the system choose",
  },
  {
    name: "shutdown-delay",
    kind: "duration",
    default: 0,
    min: 0,
    help: "Wait between the termination signal and the start of the orderly stop",
  },
] as const satisfies readonly Setting[];

export const METASTORE_SETTINGS = [
  {
    name: "metastore.data-dir",
    kind: "text",
    default: "./data/v2/metastore/data",
    help: "Directory of the index database; a cache of snapshot and log, may be deleted while the process is stopped",
  },
  {
    name: "metastore.min-ready-duration",
    kind: "duration",
    default: 15 * SECOND_MS,
    min: 0,
    help: "Time that a node must have been consistent before /ready says so",
  },
  {
    name: "metastore.raft.dir",
    kind: "text",
    default: "./data/v2/metastore/raft",
    help: "Directory of the durable log, term and vote; must be on a persistent volume",
  },
  {
    name: "metastore.raft.server-id",
    kind: "text",
    default: "localhost:9099",
    help: "Stable name of this node in the list of members",
  },
  {
    name: "metastore.raft.bootstrap-peers",
    kind: "list",
    default: [],
    help: "Peers to form a cluster with: host:port/server-id, or a DNS name with dnssrvnoa+, dnssrv+ or dns+",
  },
  {
    name: "metastore.raft.bootstrap-expect-peers",
    kind: "integer",
    default: 1,
    min: 0,
    max: 64,
    help: "Number of nodes that form the cluster, this one included; 0 never forms one and waits to be added",
  },
  {
    name: "metastore.raft.auto-join",
    kind: "boolean",
    default: false,
    help: "A node without state asks the bootstrap peers to take it in, again and again, and never forms a cluster itself",
  },
  {
    name: "metastore.raft.bind-address",
    kind: "text",
    default: "localhost:9099",
    help: "Address of the listener for other members; :9099 listens on every interface, port 0 lets the system choose",
  },
  {
    name: "metastore.raft.advertise-address",
    kind: "text",
    default: "localhost:9099",
    help: "Address that other members dial; a name is resolved at each attempt",
  },
  {
    name: "metastore.raft.apply-timeout",
    kind: "duration",
    default: 5 * SECOND_MS,
    min: 1,
    help: "Longest wait for the leader: of a write that is forwarded to it, for a read index, for a change of the members",
  },
  {
    name: "metastore.raft.read-index-max-distance",
    kind: "integer",
    default: 10_240,
    min: 0,
    help: "Entries that a follower may be behind a read before the read fails instead of waiting; 0 always waits",
  },
  {
    name: "metastore.raft.snapshots-dir",
    kind: "text",
    default: "",
    help: "Directory of snapshots; empty: metastore.raft.dir. Must be on a persistent volume",
  },
  {
    name: "metastore.raft.snapshots-import-dir",
    kind: "text",
    default: "",
    isUsed: false,
    isAdvanced: true,
    help: "Directory of the reference's snapshots to import at start; cannot be done, so that a start with it is refused",
  },
  {
    name: "metastore.raft.snapshot-interval",
    kind: "duration",
    default: 180 * SECOND_MS,
    min: 0,
    help: "A snapshot is taken after one to two times this, if there are enough entries; 0: by the size of the log alone",
  },
  {
    name: "metastore.raft.snapshot-threshold",
    kind: "integer",
    default: 8_192,
    min: 0,
    help: "Entries since the last snapshot that make another one worthwhile",
  },
  {
    name: "metastore.raft.snapshots-retain",
    kind: "integer",
    default: 3,
    min: 1,
    max: 1_000,
    help: "Snapshots kept",
  },
  {
    name: "metastore.raft.trailing-logs",
    kind: "integer",
    default: 18_432,
    min: 0,
    help: "Entries below the newest snapshot that stay in the log, for members that are behind",
  },
  {
    name: "metastore.snapshot-rate-limit",
    kind: "integer",
    default: 15,
    min: 0,
    max: 1_000_000,
    help: "MB/s written to a snapshot, after compression; 1 to 9 count as 10, 0 is unlimited",
  },
  {
    name: "metastore.snapshot-compression",
    kind: "text",
    default: "zstd",
    help: "Compression of snapshots; anything but zstd is none. Both can be read whatever is set",
  },
  {
    name: "metastore.index.cleanup-interval",
    kind: "duration",
    default: 15 * MINUTE_MS,
    min: 0,
    help: "Time between two retention passes; 0: nothing is ever removed by its age",
  },
  {
    name: "metastore.index.cleanup-grace-period",
    kind: "duration",
    default: 6 * HOUR_MS,
    min: 0,
    help: "Added to the end of a partition before retention looks at it",
  },
  {
    name: "metastore.index.cleanup-max-partitions",
    kind: "integer",
    default: 32,
    min: 0,
    max: 65_536,
    help: "Shards removed in one retention pass; more that are due make the next pass come after a second",
  },
  {
    name: "metastore.index.dlq-recovery-check-interval",
    kind: "duration",
    default: 15 * SECOND_MS,
    min: 0,
    help: "Time between two sweeps of the dead letter queue; 0: it is never looked at",
  },
] as const satisfies readonly Setting[];

/** The files with limits per tenant, read again while the process runs. */
export const RUNTIME_SETTINGS = [
  {
    name: "runtime-config.file",
    kind: "text",
    default: "",
    help: "Files with limits per tenant, separated by commas; a later one has the last word. Read again while the node runs",
  },
  {
    name: "runtime-config.reload-period",
    kind: "duration",
    yaml: "runtime_config.period",
    default: 10 * SECOND_MS,
    min: 100,
    help: "Time between two looks at the files with limits per tenant",
  },
] as const satisfies readonly Setting[];

/** Known, checked, without a function in this version. */
export const UNUSED_SETTINGS: readonly Setting[] = [
  unused("metastore.address", "text", "localhost:9095", "Where clients find the cluster"),
  unused(
    "metastore.snapshot-compact-on-restore",
    "boolean",
    false,
    "Rewrite the database while restoring",
  ),
  unused(
    "metastore.raft.log-index-check-interval",
    "duration",
    14,
    "Poll period of the reference; we wake readers instead",
  ),
  unused("metastore.raft.wal-cache-entries", "integer", 512, "Recent log entries kept in memory"),
  unused("metastore.raft.transport-conn-pool-size", "integer", 10, "Connections per peer"),
  unused(
    "metastore.raft.transport-timeout",
    "duration",
    10 * SECOND_MS,
    "Time limit of a message to a peer",
  ),
  unused(
    "metastore.raft.log-store-timeout",
    "duration",
    10 * SECOND_MS,
    "Time limit of a log write",
  ),
  unused(
    "metastore.index.shard-cache-size",
    "integer",
    2_000,
    "Cache of the reference, replaced by hearth.cache-bytes",
  ),
  unused(
    "metastore.index.block-write-cache-size",
    "integer",
    10_000,
    "Cache of the reference, replaced by hearth.cache-bytes",
  ),
  unused(
    "metastore.index.block-read-cache-size",
    "integer",
    100_000,
    "Cache of the reference, replaced by hearth.cache-bytes",
  ),
];

function unused(
  name: string,
  kind: Setting["kind"],
  value: Setting["default"],
  help: string,
): Setting {
  return { name, kind, default: value, help, isUsed: false, isAdvanced: true };
}
