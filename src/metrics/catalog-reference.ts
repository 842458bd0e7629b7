/**
 * Metrics of the reference that its dashboards and alerts ask for and no other list here has (spec raft-and-cluster, 14):
 * names, labels and buckets are its own. docs/pyroscope.md lists those that have no meaning here.
 */
import { type MetricSpec, REQUEST_SIZE_BUCKETS } from "./types.ts";

/** `count` bounds from `first` to `last`, each larger than the one before by the same factor. */
function exponentialBuckets(first: number, last: number, count: number): readonly number[] {
  const factor = (last / first) ** (1 / (count - 1));
  return Array.from({ length: count }, (_, i) => first * factor ** i);
}

/** 48 bounds from 10 ms to 20 s. */
export const STATE_SECONDS_BUCKETS = exponentialBuckets(0.01, 20, 48);
/** 48 bounds from 8 B to 64 KiB. */
export const COMMAND_BYTES_BUCKETS = exponentialBuckets(8, 65_536, 48);

export const REFERENCE: readonly MetricSpec[] = [
  {
    kind: "histogram",
    name: "pyroscope_metastore_fsm_apply_command_duration_seconds",
    help: "Time to apply one command: that of the range it was applied with, divided by the entries. Numbers of commands are the reference's (1 add blocks, 3 compaction plan, 4 truncation); others keep ours.",
    labels: ["command"],
    buckets: STATE_SECONDS_BUCKETS,
  },
  {
    kind: "histogram",
    name: "pyroscope_metastore_fsm_apply_command_size_bytes",
    help: "Size of the payload of one applied command.",
    labels: ["command"],
    buckets: COMMAND_BYTES_BUCKETS,
  },
  {
    kind: "histogram",
    name: "pyroscope_metastore_boltdb_persist_snapshot_duration_seconds",
    help: "Time to write one snapshot and read it back; no BoltDB is involved, the dashboards ask for the name.",
    buckets: STATE_SECONDS_BUCKETS,
  },
  {
    kind: "gauge",
    name: "pyroscope_metastore_boltdb_persist_snapshot_size_bytes",
    help: "Bytes of the newest complete snapshot on the disk.",
  },
  {
    kind: "histogram",
    name: "pyroscope_metastore_boltdb_restore_snapshot_duration_seconds",
    help: "Time to install one snapshot of a peer, until the state is the new one.",
    buckets: STATE_SECONDS_BUCKETS,
  },
  {
    kind: "histogram",
    name: "pyroscope_metastore_fsm_restore_snapshot_duration_seconds",
    help: "Time to install one snapshot of a peer, as pyroscope_metastore_boltdb_restore_snapshot_duration_seconds: a restore has one step here.",
    buckets: STATE_SECONDS_BUCKETS,
  },
  {
    kind: "gauge",
    name: "pyroscope_tcp_connections",
    help: "Open connections now.",
    labels: ["protocol"],
  },
  {
    kind: "histogram",
    name: "pyroscope_request_message_bytes",
    help: "Size of a request body.",
    labels: ["method", "route"],
    buckets: REQUEST_SIZE_BUCKETS,
  },
  {
    kind: "histogram",
    name: "pyroscope_response_message_bytes",
    help: "Size of an answer's body.",
    labels: ["method", "route"],
    buckets: REQUEST_SIZE_BUCKETS,
  },
  {
    kind: "counter",
    name: "pyroscope_panic_total",
    help: "Handlers that threw what they should not have; the request was answered with an internal error.",
  },
];
