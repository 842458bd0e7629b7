/** Metrics of a member among others (catalog.ts has the rules). */
import {
  COUNT_BUCKETS,
  DEFAULT_SECONDS_BUCKETS,
  FINE_SECONDS_BUCKETS,
  type MetricSpec,
} from "./types.ts";

export const CLUSTER: readonly MetricSpec[] = [
  {
    kind: "histogram",
    name: "pyroscope_metastore_raft_read_index_wait_duration_seconds",
    help: "Time from the question for a read index to its answer, on the node that was asked.",
    buckets: DEFAULT_SECONDS_BUCKETS,
  },
  {
    kind: "counter",
    name: "pyroscope_metastore_dns_lookups_total",
    help: "Names looked up to find the peers that form a cluster.",
  },
  {
    kind: "counter",
    name: "pyroscope_metastore_dns_failures_total",
    help: "Look-ups of names to find the peers that form a cluster, those that failed.",
  },
  {
    kind: "gauge",
    name: "pyroscope_metastore_dns_provider_results",
    help: "Records that the last look-up of a name gave.",
    labels: ["addr"],
  },
  {
    kind: "counter",
    name: "hearth_raft_forwarded_total",
    help: "Groups of writes that this node sent to the leader for its clients, by result.",
    labels: ["result"],
  },
  {
    kind: "counter",
    name: "hearth_raft_read_wait_timeouts_total",
    help: "Questions for a read index that no leader answered in time.",
  },
  {
    kind: "counter",
    name: "hearth_raft_leader_changes_total",
    help: "Changes of the leader that this node has seen, the loss of one included.",
  },
  {
    kind: "counter",
    name: "hearth_raft_elections_total",
    help: "Campaigns of this member, by kind: pre_vote (asks whether it could win), vote (asks for votes in a new term), won.",
    labels: ["kind"],
  },
  {
    kind: "histogram",
    name: "hearth_raft_batch_entries",
    help: "Log entries that the leader made of the writes that had come in, at once.",
    buckets: COUNT_BUCKETS,
  },
  {
    kind: "histogram",
    name: "hearth_raft_reads_per_round",
    help: "Reads that one confirmation of the leadership answered for this member.",
    buckets: COUNT_BUCKETS,
  },
  {
    kind: "gauge",
    name: "hearth_raft_snapshot_index",
    help: "Log index of the newest snapshot; 0: none.",
  },
  {
    kind: "gauge",
    name: "hearth_raft_peer_lag_entries",
    help: "Entries that a member does not have yet; only the leader knows it.",
    labels: ["peer"],
  },
  {
    kind: "gauge",
    name: "hearth_raft_peer_connected",
    help: "1 while the connection to a peer is open.",
    labels: ["peer"],
  },
  {
    kind: "gauge",
    name: "hearth_raft_peer_last_contact_seconds",
    help: "Time since bytes last arrived from a peer.",
    labels: ["peer"],
  },
  {
    kind: "histogram",
    name: "hearth_raft_peer_rtt_seconds",
    help: "Round trips to a peer, by pings that queue behind everything else.",
    labels: ["peer"],
    buckets: FINE_SECONDS_BUCKETS,
  },
  {
    kind: "gauge",
    name: "hearth_raft_peer_queued_bytes",
    help: "Bytes that wait to be sent to a peer.",
    labels: ["peer"],
  },
  {
    kind: "counter",
    name: "hearth_raft_peer_bytes_total",
    help: "Bytes exchanged with a peer, by direction.",
    labels: ["peer", "direction"],
  },
];
