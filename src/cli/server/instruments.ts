/** Histograms around what has none of its own: durable writes of the log, and transactions of the index. */
import type { FileSystem, LogFile } from "../../log/index.ts";
import type { MetricRegistry } from "../../metrics/index.ts";
import type { StateMachine as ReplicatedState } from "../../replica/index.ts";

/** The same files, with the time of every durable write. Cost: two clock reads per write. */
export function timedFiles(files: FileSystem, metrics: MetricRegistry): FileSystem {
  return {
    createDirectory: (path) => files.createDirectory(path),
    list: (directory) => files.list(directory),
    open: async (path, mode) => {
      const file = await files.open(path, mode);
      return mode === "read" ? file : timedFile(file, metrics);
    },
    remove: (path) => files.remove(path),
    rename: (from, to) => files.rename(from, to),
    syncDirectory: (directory) => files.syncDirectory(directory),
  };
}

function timedFile(file: LogFile, metrics: MetricRegistry): LogFile {
  return {
    write: (bytes, range, position, done) => {
      const startedAtMs = performance.now();
      file.write(bytes, range, position, (error, writtenBytes) => {
        const seconds = (performance.now() - startedAtMs) / 1_000;
        metrics.observe("hearth_log_sync_duration_seconds", seconds);
        metrics.observe("pyroscope_metastore_raft_log_store_write_duration_seconds", seconds);
        done(error, writtenBytes);
      });
    },
    read: (target, position) => file.read(target, position),
    sizeBytes: () => file.sizeBytes(),
    close: () => file.close(),
  };
}

/** The same state machine, with the time and size of every applied range. */
export function timedState(state: ReplicatedState, metrics: MetricRegistry): ReplicatedState {
  return {
    get appliedIndex() {
      return state.appliedIndex;
    },
    get appliedTerm() {
      return state.appliedTerm;
    },
    apply: (batches) => {
      const startedAtMs = performance.now();
      const result = state.apply(batches);
      metrics.observe(
        "hearth_apply_batch_duration_seconds",
        (performance.now() - startedAtMs) / 1_000,
      );
      metrics.observe("hearth_apply_batch_entries", result.outcomes.length);
      return result;
    },
    sweep: () => state.sweep?.() ?? false,
  };
}
