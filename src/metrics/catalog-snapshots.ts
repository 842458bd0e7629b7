/** Metrics of snapshots and of the comparison of states (catalog.ts has the rules). */
import type { MetricSpec } from "./types.ts";

export const SNAPSHOTS: readonly MetricSpec[] = [
  {
    kind: "gauge",
    name: "hearth_snapshot_last_success_timestamp_seconds",
    help: "When the newest snapshot that this process took was verified; 0: none yet.",
  },
  {
    kind: "gauge",
    name: "hearth_snapshot_last_duration_seconds",
    help: "How long the newest snapshot that this process took needed, reading back included.",
  },
  {
    kind: "gauge",
    name: "hearth_snapshot_bytes",
    help: "Bytes of the newest complete snapshot on the disk, taken here or received.",
  },
  {
    kind: "counter",
    name: "hearth_snapshot_taken_total",
    help: "Snapshots of the own state that were verified.",
  },
  {
    kind: "counter",
    name: "hearth_snapshot_installed_total",
    help: "Snapshots of a peer that have taken the place of the state.",
  },
  {
    kind: "counter",
    name: "hearth_snapshot_failures_total",
    help: "Snapshots that could not be taken, received or installed, by stage.",
    labels: ["stage"],
  },
  {
    kind: "counter",
    name: "hearth_checksum_mismatches_total",
    help: "Comparisons of the members' states in which one differed, as this node saw them.",
  },
  {
    kind: "gauge",
    name: "hearth_checksum_last_equal_index",
    help: "Newest log index at which the state was compared and equal to that of the majority; 0: none since the start.",
  },
];
