/** Gauges and counters that are cheaper to read at a scrape than to keep: one function per engine. */
import { SYSTEM_SCHEDULER } from "../../base/index.ts";
import type { TcpPeerNetwork } from "../../cluster/index.ts";
import type { IndexDatabase } from "../../db/index.ts";
import { TABLES } from "../../db/index.ts";
import type { DurableLog } from "../../log/index.ts";
import type { MetricRegistry } from "../../metrics/index.ts";
import type { Replica } from "../../replica/index.ts";
import type { SnapshotFiles } from "../../snapshot/index.ts";
import type { ClusterControl } from "../../service/index.ts";
import type { StateChecks, StateMachine } from "../../state/index.ts";
import type { IndexSpace } from "./index-space.ts";
import { Increases } from "./increases.ts";

export function collectReplica(
  metrics: MetricRegistry,
  replica: Replica,
  control: Pick<ClusterControl, "view">,
): void {
  const increases = new Increases(metrics);
  metrics.onCollect(() => {
    const status = replica.status();
    const isLeader = status.role === "leader" ? 1 : 0;
    metrics.clear("pyroscope_metastore_raft_state");
    metrics.set("pyroscope_metastore_raft_state", 1, {
      state: RAFT_STATES[status.role],
    });
    metrics.set("hearth_raft_term", status.term);
    metrics.set("hearth_raft_has_leader", status.leader === null ? 0 : 1);
    metrics.set("hearth_raft_is_leader", isLeader);
    const cluster = control.view();
    const { voters, reachableVoters } = cluster;
    const majority = Math.floor(voters / 2) + 1;
    metrics.set("hearth_raft_voters", voters);
    metrics.set("hearth_raft_reachable_voters", reachableVoters);
    metrics.set("hearth_raft_failure_tolerance", Math.max(0, reachableVoters - majority));
    metrics.set("hearth_raft_last_index", status.lastIndex);
    metrics.set("hearth_raft_commit_index", status.commitIndex);
    metrics.set("hearth_raft_applied_index", status.appliedIndex);
    metrics.set("hearth_raft_proposals_pending", status.pendingProposals);
    metrics.set("hearth_raft_uncommitted_bytes", status.uncommittedBytes);
    metrics.set("hearth_log_oldest_pending_write_seconds", status.pendingWriteMs / 1_000);
    metrics.set("hearth_log_out_of_space", status.space === null ? 0 : 1);
    metrics.set("hearth_raft_snapshot_index", status.snapshotIndex);
    increases.take("hearth_raft_leader_changes_total", replica.stats.leaderChanges);
    for (const [kind, total] of Object.entries(replica.stats.elections.totals)) {
      increases.take("hearth_raft_elections_total", total, { kind });
    }
    increases.take("hearth_apply_ahead_entries_total", replica.stats.stagedAhead);
    increases.takeTally("hearth_raft_batch_entries", replica.stats.batchEntries);
    increases.takeTally("hearth_raft_reads_per_round", replica.stats.readsPerRound);
    metrics.clear("hearth_raft_peer_lag_entries");
    for (const { serverId: peer, lagEntries } of cluster.members) {
      if (lagEntries !== null) metrics.set("hearth_raft_peer_lag_entries", lagEntries, { peer });
    }
  });
}

export function collectSnapshots(
  metrics: MetricRegistry,
  replica: Replica,
  files: Pick<SnapshotFiles, "latest">,
): void {
  const increases = new Increases(metrics);
  let persistedCount = 0;
  metrics.onCollect(() => {
    const { stats } = replica;
    metrics.set("hearth_snapshot_last_success_timestamp_seconds", stats.lastSnapshotAtMs / 1_000);
    metrics.set("hearth_snapshot_last_duration_seconds", stats.lastSnapshotMs / 1_000);
    const sizeBytes = files.latest?.sizeBytes ?? 0;
    metrics.set("hearth_snapshot_bytes", sizeBytes);
    metrics.set("pyroscope_metastore_boltdb_persist_snapshot_size_bytes", sizeBytes);
    // Snapshots are minutes apart, scrapes are not: one at most is new.
    if (stats.snapshotsTaken > persistedCount) {
      const seconds = stats.lastSnapshotMs / 1_000;
      metrics.observe("pyroscope_metastore_boltdb_persist_snapshot_duration_seconds", seconds);
      persistedCount = stats.snapshotsTaken;
    }
    increases.take("hearth_snapshot_taken_total", stats.snapshotsTaken);
    increases.take("hearth_snapshot_installed_total", stats.snapshotsInstalled);
    for (const [stage, total] of Object.entries(stats.snapshotFailures)) {
      increases.take("hearth_snapshot_failures_total", total, { stage });
    }
  });
}

export function collectChecks(
  metrics: MetricRegistry,
  checks: Pick<StateChecks, "mismatches" | "lastEqualIndex">,
): void {
  const increases = new Increases(metrics);
  // There from the start: an alert on its increase needs the zero.
  metrics.add("hearth_checksum_mismatches_total", {}, 0);
  metrics.onCollect(() => {
    increases.take("hearth_checksum_mismatches_total", checks.mismatches);
    metrics.set("hearth_checksum_last_equal_index", checks.lastEqualIndex);
  });
}

const RAFT_STATES = {
  follower: "Follower",
  preCandidate: "Candidate",
  candidate: "Candidate",
  leader: "Leader",
} as const;

/** Links to the members and to whoever else is connected; a peer that is gone takes its series along. */
export function collectPeers(
  metrics: MetricRegistry,
  network: Pick<TcpPeerNetwork, "peers" | "stats">,
): void {
  const increases = new Increases(metrics);
  metrics.onCollect(() => {
    for (const [reason, total] of Object.entries(network.stats.refused)) {
      const labels = { protocol: "peer", reason };
      if (total > 0) increases.take("hearth_requests_rejected_total", total, labels);
    }
    for (const name of PEER_GAUGES) metrics.clear(name);
    for (const link of network.peers()) {
      const peer = link.serverId;
      metrics.set("hearth_raft_peer_connected", link.isConnected ? 1 : 0, { peer });
      metrics.set("hearth_raft_peer_queued_bytes", link.queuedBytes, { peer });
      if (link.lastContactAtMs !== null) {
        const silentMs = SYSTEM_SCHEDULER.monotonicMs() - link.lastContactAtMs;
        metrics.set("hearth_raft_peer_last_contact_seconds", silentMs / 1_000, { peer });
      }
      const labels = (direction: string) => ({ peer, direction });
      increases.take("hearth_raft_peer_bytes_total", link.sentBytes, labels("sent"));
      increases.take("hearth_raft_peer_bytes_total", link.receivedBytes, labels("received"));
    }
  });
}

const PEER_GAUGES = [
  "hearth_raft_peer_connected",
  "hearth_raft_peer_queued_bytes",
  "hearth_raft_peer_last_contact_seconds",
] as const;

export function collectLog(metrics: MetricRegistry, log: DurableLog): void {
  const increases = new Increases(metrics);
  metrics.onCollect(() => {
    const { stats } = log;
    metrics.set("hearth_log_bytes", log.sizeBytes);
    increases.take("hearth_log_writes_total", stats.writes);
    increases.take("hearth_log_writes_in_place_total", stats.writesInPlace);
    increases.take("hearth_log_writes_queued_total", stats.writesQueued);
    increases.take("hearth_log_written_bytes_total", stats.writtenBytes);
    increases.take("hearth_log_segment_waits_total", stats.stalls);
    increases.take("hearth_log_segments_total", stats.rolls - stats.reuses, { file: "new" });
    increases.take("hearth_log_segments_total", stats.reuses, { file: "reused" });
  });
}

export function collectState(metrics: MetricRegistry, state: StateMachine): void {
  const increases = new Increases(metrics);
  metrics.onCollect(() => {
    const { counters, metrics: done } = state;
    metrics.set("hearth_index_blocks", counters.blocks);
    metrics.set("hearth_index_datasets", counters.datasets);
    metrics.set("hearth_index_block_bytes", counters.bytes);
    metrics.set("hearth_index_shards", counters.shards);
    metrics.set("hearth_index_owners", counters.owners);
    metrics.set("hearth_index_tombstones", counters.tombstones);
    increases.take("hearth_apply_entries_total", done.entries);
    increases.take("hearth_apply_transactions_total", done.transactions);
    const blocks = {
      added: done.blocksAdded,
      duplicate: done.blocksDuplicate,
      tombstoned: done.blocksTombstoned,
      removed: done.blocksRemoved,
    };
    for (const [result, total] of Object.entries(blocks)) {
      increases.take("hearth_apply_blocks_total", total, { result });
    }
    for (const [reason, total] of Object.entries(done.rejected)) {
      increases.take("hearth_apply_rejected_total", total, { reason });
    }
  });
}

export function collectDatabase(
  metrics: MetricRegistry,
  db: IndexDatabase,
  space: Pick<IndexSpace, "freeBytes" | "problem" | "fullProblem">,
): void {
  metrics.onCollect(() => {
    metrics.set("hearth_index_bytes", db.fileSizeBytes());
    metrics.set("hearth_index_low_on_space", space.problem === null ? 0 : 1);
    metrics.set("hearth_index_full", space.fullProblem === null ? 0 : 1);
    if (space.freeBytes !== null) metrics.set("hearth_index_disk_free_bytes", space.freeBytes);
    for (const table of TABLES) {
      const { entries, bytes } = db.tableStats(table);
      metrics.set("hearth_index_rows", entries, { table });
      metrics.set("hearth_index_live_bytes", bytes, { table });
    }
  });
}
