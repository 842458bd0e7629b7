/** Putting a snapshot in the place of the state, at a start or later; how far it is can be asked meanwhile. */

import { assert, type Scheduler } from "../base/index.ts";
import type { SnapshotMeta } from "../raft/index.ts";
import { installFailed } from "./errors.ts";
import type { SnapshotSource, SnapshotStore } from "./ports.ts";
import type { InstallStatus, StateMachine } from "./types.ts";

export interface Installer {
  readonly stateMachine: StateMachine;
  readonly store: SnapshotStore;
  readonly progress: InstallProgress;
}

/** One install at a time. */
export class InstallProgress {
  readonly #scheduler: Scheduler;
  #meta: SnapshotMeta | null = null;
  #doneBytes = 0;
  #startedAtMs = 0;

  constructor(scheduler: Scheduler) {
    this.#scheduler = scheduler;
  }

  get status(): InstallStatus | null {
    if (this.#meta === null) return null;
    const { index, term, sizeBytes } = this.#meta;
    const elapsedMs = this.#scheduler.monotonicMs() - this.#startedAtMs;
    return { index, term, doneBytes: this.#doneBytes, totalBytes: sizeBytes, elapsedMs };
  }

  started(meta: SnapshotMeta): void {
    this.#meta = meta;
    this.#doneBytes = 0;
    this.#startedAtMs = this.#scheduler.monotonicMs();
  }

  ended(): void {
    this.#meta = null;
  }

  /** The same source, whose pieces are counted when they are asked for. */
  counted(source: SnapshotSource): SnapshotSource {
    const { index, term } = source;
    const next = async (): Promise<Uint8Array | null> => {
      const piece = await source.next();
      this.#doneBytes += piece?.length ?? 0;
      return piece;
    };
    return { index, term, next, close: () => source.close() };
  }
}

/** Errors: HearthError internal "install_failed". */
export async function installSnapshot(installer: Installer, meta: SnapshotMeta): Promise<void> {
  const { stateMachine, store, progress } = installer;
  assert(stateMachine.install !== undefined, "The state machine cannot install snapshots");
  const source = store.open(meta);
  progress.started(meta);
  try {
    await stateMachine.install(meta, progress.counted(source));
  } catch (cause) {
    throw installFailed(meta, cause);
  } finally {
    progress.ended();
    source.close();
  }
  assert(
    stateMachine.appliedIndex === meta.index,
    `Installed ${meta.index}, but the state is at ${stateMachine.appliedIndex}`,
  );
}
