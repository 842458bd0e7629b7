/** Histograms around what has none of its own: durable writes of the log, and transactions of the index. */
import type { MetricRegistry } from "../../metrics/index.ts";
import type { CommittedBatch } from "../../protocol/index.ts";
import { CommandTallies } from "./command-tallies.ts";
import type { StateMachine as ReplicatedState } from "../../replica/index.ts";
import type { StateSnapshots } from "../../state/index.ts";

/** Counts the time of every durable write of the log. */
export function observeLogWrite(metrics: MetricRegistry): (durationMs: number) => void {
  return (durationMs) => {
    const seconds = durationMs / 1_000;
    metrics.observe("hearth_log_sync_duration_seconds", seconds);
    metrics.observe("pyroscope_metastore_raft_log_store_write_duration_seconds", seconds);
  };
}

/** The same state machine, with the time and size of every applied range, and its snapshots. */
export function timedState(
  state: ReplicatedState &
    Required<Pick<ReplicatedState, "stage" | "stageAhead" | "abandon" | "writeStaged" | "commit">>,
  images: Pick<StateSnapshots, "open" | "install">,
  metrics: MetricRegistry,
): ReplicatedState {
  const commands = new CommandTallies(metrics);
  const note = (batches: readonly CommittedBatch[], entries: number, startedAtMs: number): void => {
    const seconds = (performance.now() - startedAtMs) / 1_000;
    commands.note(batches, seconds);
    metrics.observe("hearth_apply_batch_duration_seconds", seconds);
    metrics.observe("hearth_apply_batch_entries", entries);
  };
  const timed =
    (apply: ReplicatedState["apply"]): ReplicatedState["apply"] =>
    (batches) => {
      const startedAtMs = performance.now();
      const result = apply(batches);
      note(batches, result.outcomes.length, startedAtMs);
      return result;
    };
  return {
    get appliedIndex() {
      return state.appliedIndex;
    },
    get appliedTerm() {
      return state.appliedTerm;
    },
    apply: timed((batches) => state.apply(batches)),
    stage: timed((batches) => state.stage(batches)),
    stageAhead: (batch) => {
      const startedAtMs = performance.now();
      const result = state.stageAhead(batch);
      if (result !== null) note([batch], batch.count, startedAtMs);
      return result;
    },
    abandon: () => state.abandon(),
    writeStaged: () => state.writeStaged(),
    commit: () => state.commit(),
    sweep: () => state.sweep?.() ?? false,
    openSnapshot: () => images.open(),
    install: async (meta, source) => {
      const startedAtMs = performance.now();
      await images.install(meta, source);
      const seconds = (performance.now() - startedAtMs) / 1_000;
      metrics.observe("pyroscope_metastore_fsm_restore_snapshot_duration_seconds", seconds);
      metrics.observe("pyroscope_metastore_boltdb_restore_snapshot_duration_seconds", seconds);
    },
  };
}
