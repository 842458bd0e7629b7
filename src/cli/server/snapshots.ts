/**
 * Snapshots of a node, put together: the files, the images of the state that go into them, and what operators ask for.
 */
import { randomBytes } from "node:crypto";
import { mkdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { formatBytes, formatCount, HearthError, type Logger } from "../../base/index.ts";
import type { Config } from "../../config/index.ts";
import type { IndexDatabase } from "../../db/index.ts";
import { replaceFile } from "../../files/index.ts";
import { NODE_FILES } from "../../log/index.ts";
import type { SnapshotMeta } from "../../raft/index.ts";
import type { SharedState } from "../../read/index.ts";
import type { Replica, ReplicaOptions } from "../../replica/index.ts";
import type { ReaderPool } from "../../server/index.ts";
import type { SnapshotControl, SnapshotTaken, SnapshotView } from "../../service/index.ts";
import { SNAPSHOT_DEFAULTS, SnapshotFiles, snapshotName } from "../../snapshot/index.ts";
import { IMAGE_DEFAULTS, type StateMachine, StateSnapshots } from "../../state/index.ts";
import { TaskThreads } from "../../tasks/index.ts";

export interface NodeSnapshotModules {
  readonly db: IndexDatabase;
  readonly stateMachine: StateMachine;
  readonly sharedState: SharedState;
  readonly clusterId: string;
  /** Ids that this cluster had before recoveries: snapshots of these are its own. */
  readonly formerClusterIds: readonly string[];
  /** Null before readers run. */
  readonly pool: () => ReaderPool | null;
  readonly logger: Logger;
}

/** Smaller than the default: hashing a chunk is the longest that a snapshot keeps the main thread, 0.3 to 0.7 ms. */
const CHUNK_BYTES = 256 * 1024;

/** When snapshots are taken and what of the log they leave: the settings of operators, on top of the driver's own rule. */
export function snapshotSchedule({ snapshots }: Config): Partial<ReplicaOptions> {
  return {
    snapshotIntervalMs: snapshots.intervalMs,
    snapshotThreshold: snapshots.thresholdEntries,
    // At most half of the time goes into snapshots, however large the state is.
    snapshotRestRatio: 1,
    snapshotsRetain: snapshots.retainCount,
    snapshotKeepEntries: snapshots.trailingEntries,
  };
}

export class NodeSnapshots {
  readonly files: SnapshotFiles;
  readonly images: StateSnapshots;
  readonly #directory: string;
  /** Also for others that have long tasks. */
  readonly threads = new TaskThreads();

  /** Errors: the directory belongs to another cluster, or cannot be read or written. */
  static async open(config: Config, modules: NodeSnapshotModules): Promise<NodeSnapshots> {
    const { directory } = config.snapshots;
    claimDirectory(directory, modules);
    const files = await SnapshotFiles.open(
      { ...SNAPSHOT_DEFAULTS, directory, chunkBytes: CHUNK_BYTES },
      {
        files: NODE_FILES,
        logger: modules.logger,
        newId: () => randomBytes(8).toString("hex"),
      },
    );
    return new NodeSnapshots(config, modules, files);
  }

  private constructor(config: Config, modules: NodeSnapshotModules, files: SnapshotFiles) {
    const { db, stateMachine, sharedState, pool, logger } = modules;
    const { rateBytesPerSec, compression } = config.snapshots;
    this.#directory = config.snapshots.directory;
    this.files = files;
    this.images = new StateSnapshots(
      { ...IMAGE_DEFAULTS, rateBytesPerSec, compression },
      {
        db,
        mapSizeBytes: config.storage.indexMapBytes,
        stateMachine,
        threads: this.threads,
        logger,
        onGeneration: (generation) => {
          // First: a reader that starts now, or reads before it hears of it, finds the new one.
          sharedState.setGeneration(generation);
          return pool()?.useGeneration(generation) ?? Promise.resolve();
        },
      },
    );
  }

  controlOf(replica: Pick<Replica, "status" | "takeSnapshot">): SnapshotControl {
    return new NodeSnapshotControl(this.#directory, this.files, replica);
  }

  /** Gives up what is under way; also a start that is installing. */
  cancel(): Promise<void> {
    return this.images.stop();
  }

  async endThreads(): Promise<void> {
    await this.cancel();
    await this.threads.close();
  }

  async close(): Promise<void> {
    await this.endThreads();
    await this.files.close();
  }
}

const OWNER_FILE = "snapshots.json";

/**
 * A snapshot says nothing of its cluster, and one of another cluster must never come into this state: the directory
 * carries the id of the cluster.
 */
function claimDirectory(
  directory: string,
  { clusterId, formerClusterIds }: Pick<NodeSnapshotModules, "clusterId" | "formerClusterIds">,
): void {
  mkdirSync(directory, { recursive: true });
  const path = join(directory, OWNER_FILE);
  const found = ownerOf(path);
  if (found === clusterId) return;
  if (found === null || formerClusterIds.includes(found)) {
    replaceFile(path, `${JSON.stringify({ clusterId })}\n`);
    return;
  }
  throw new HearthError(
    "failed_precondition",
    `Cannot keep snapshots in ${directory}: it holds those of cluster ${found}, this is ${clusterId}`,
    {
      reason: "snapshots_of_other_cluster",
      next: "Give this node an empty metastore.raft.snapshots-dir, or move the old snapshots away",
    },
  );
}

function ownerOf(path: string): string | null {
  try {
    const { clusterId } = JSON.parse(readFileSync(path, "utf8")) as { clusterId?: unknown };
    return typeof clusterId === "string" ? clusterId : "unknown";
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return null;
    if (error instanceof SyntaxError) return "unknown";
    throw error;
  }
}

/** What operators ask about snapshots and of them. */
class NodeSnapshotControl implements SnapshotControl {
  readonly #directory: string;
  readonly #files: Pick<SnapshotFiles, "complete" | "latest">;
  readonly #replica: Pick<Replica, "status" | "takeSnapshot">;

  constructor(
    directory: string,
    files: Pick<SnapshotFiles, "complete" | "latest">,
    replica: Pick<Replica, "status" | "takeSnapshot">,
  ) {
    this.#directory = directory;
    this.#files = files;
    this.#replica = replica;
  }

  list(): readonly SnapshotView[] {
    return this.#files.complete.map((meta) => this.#view(meta)).reverse();
  }

  async take(wish: {
    readonly dryRun: boolean;
    readonly signal: AbortSignal;
  }): Promise<SnapshotTaken> {
    const { latest } = this.#files;
    const { appliedIndex } = this.#replica.status();
    const newest = latest === null ? null : this.#view(latest);
    if (latest?.index === appliedIndex) {
      const text = `The newest snapshot is of log index ${formatCount(appliedIndex)} already`;
      return { changed: false, text, snapshot: newest };
    }
    if (wish.dryRun) {
      const text = `A snapshot of log index ${formatCount(appliedIndex)} or later would be taken`;
      return { changed: true, text, snapshot: newest };
    }
    const meta = await untilAborted(this.#replica.takeSnapshot(), wish.signal);
    const size = formatBytes(meta.sizeBytes);
    const text = `Took and verified a snapshot of log index ${formatCount(meta.index)}, ${size}`;
    return { changed: true, text, snapshot: this.#view(meta) };
  }

  #view(meta: SnapshotMeta): SnapshotView {
    const { id, index, term, sizeBytes } = meta;
    const path = join(this.#directory, "snapshots", snapshotName(meta));
    const found = statSync(path, { throwIfNoEntry: false });
    const takenAtMs = found === undefined ? null : Math.round(found.mtimeMs);
    return { id, index, term, sizeBytes, takenAtMs };
  }
}

/** The snapshot goes on; only its caller does not wait any more. */
function untilAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const onAbort = (): void => reject(signal.reason);
    if (signal.aborted) onAbort();
    signal.addEventListener("abort", onAbort, { once: true });
    work.then(resolve, reject).finally(() => signal.removeEventListener("abort", onAbort));
  });
}
