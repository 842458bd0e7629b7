/**
 * Old entries for slow peers: what the core no longer holds in memory is read from the log ahead of its question, one
 * range per peer. Bounded by the number of peers times the size of a read.
 */

import { type HearthError, isHearthError, toHearthError } from "../base/index.ts";
import type { DurableLog } from "../log/index.ts";
import type { Batch, LogView, NodeId } from "../raft/index.ts";
import { batchesFrom } from "./batches.ts";

interface CachedRange {
  readonly fromIndex: number;
  /** Behind the last entry. */
  readonly endIndex: number;
  readonly batches: readonly Batch[];
}

export interface LogCacheHooks {
  /** The core may ask now; `isGone`: the entries have been cut. */
  readonly onLoaded: (peer: NodeId, isGone: boolean) => void;
  /** The log is damaged, or the disk fails. */
  readonly onFailed: (error: HearthError) => void;
}

export class LogCache implements LogView {
  readonly #log: DurableLog;
  readonly #ranges = new Map<NodeId, CachedRange>();
  readonly #loading = new Set<NodeId>();
  #hooks: LogCacheHooks = { onLoaded: () => {}, onFailed: () => {} };
  /** Counts truncations: what was read before one is not shown after it. */
  #epoch = 0;

  constructor(log: DurableLog) {
    this.#log = log;
  }

  setHooks(hooks: LogCacheHooks): void {
    this.#hooks = hooks;
  }

  slice(fromIndex: number, throughIndex: number, maxBytes: number): readonly Batch[] | null {
    for (const range of this.#ranges.values()) {
      if (fromIndex >= range.fromIndex && fromIndex < range.endIndex) {
        const found = batchesFrom(range.batches, fromIndex, throughIndex, maxBytes);
        if (found !== null) return found;
      }
    }
    return null;
  }

  load(peer: NodeId, fromIndex: number, maxBytes: number): void {
    if (this.#loading.has(peer)) return;
    this.#loading.add(peer);
    void this.#load(peer, fromIndex, maxBytes);
  }

  /** Entries of the log were given up or replaced. */
  clear(): void {
    this.#epoch += 1;
    this.#ranges.clear();
  }

  async #load(peer: NodeId, fromIndex: number, maxBytes: number): Promise<void> {
    const epoch = this.#epoch;
    let isGone = false;
    try {
      const batches = await this.#log.read(fromIndex, maxBytes);
      const last = batches.at(-1);
      isGone = last === undefined;
      if (last !== undefined && epoch === this.#epoch) {
        const endIndex = last.firstIndex + last.count;
        this.#ranges.set(peer, { fromIndex, endIndex, batches });
      }
    } catch (error) {
      if (!isHearthError(error) || error.code !== "out_of_range") {
        this.#loading.delete(peer);
        this.#hooks.onFailed(toHearthError(error));
        return;
      }
      isGone = true;
    }
    this.#loading.delete(peer);
    this.#hooks.onLoaded(peer, isGone);
  }
}
