/**
 * The commands that carry blocks: adding them (spec 4.2) and replacing sources by results (spec 4.4). An entry is
 * checked as a whole before its first block changes anything.
 */

import { isHearthError } from "../base/index.ts";
import {
  BlockReader,
  type CompactedBlocks,
  iterateBlockBatch,
  type SourceBlocks,
} from "../protocol/index.ts";
import type { CompactionState, RecordTombstone } from "./compaction/compaction-state.ts";
import type { DeletionStore } from "./deletions/store.ts";
import type { BlockIndex } from "./index/block-index.ts";
import { checkBlock } from "./index/check-block.ts";
import { STATE_LIMITS } from "./limits.ts";
import type { Rejection, StateMetrics } from "./metrics.ts";
import type { TombstoneStore } from "./tombstones/store.ts";

export interface CommandModules {
  readonly index: BlockIndex;
  readonly tombstones: TombstoneStore;
  readonly deletions: DeletionStore;
  readonly compaction: CompactionState;
  readonly metrics: StateMetrics;
}

export class BlockCommands {
  readonly #index: BlockIndex;
  readonly #tombstones: TombstoneStore;
  readonly #deletions: DeletionStore;
  readonly #metrics: StateMetrics;
  readonly #compaction: CompactionState;
  readonly #block = new BlockReader();
  /** Offset and length of each block of the entry at hand; more than that from earlier ones. */
  readonly #places: number[] = [];
  /** Of the block that was checked last. */
  #owner = -1;
  readonly #notePlace = (offset: number, length: number, position: number): void => {
    this.#places[2 * position] = offset;
    this.#places[2 * position + 1] = length;
  };

  constructor(modules: CommandModules) {
    this.#index = modules.index;
    this.#tombstones = modules.tombstones;
    this.#deletions = modules.deletions;
    this.#metrics = modules.metrics;
    this.#compaction = modules.compaction;
  }

  /** Adds the batch of blocks in body[offset, offset + length): whether one was new, or why none is taken. */
  addBlocks(body: Uint8Array, offset: number, length: number): boolean | Rejection {
    let count: number;
    try {
      count = iterateBlockBatch(body, offset, length, this.#notePlace);
    } catch (error) {
      if (isHearthError(error)) return "bad_payload";
      throw error;
    }
    const refusal = this.#checkPlaces(body, count);
    if (refusal !== null) return refusal;
    // A single block is where the check left the reader.
    if (count === 1) return this.#addOpenBlock(this.#owner);
    let added = 0;
    for (let i = 0; i < count; i++) {
      this.#openPlace(body, i);
      if (this.#addOpenBlock(this.#index.findOwner(this.#block))) added++;
    }
    return added > 0;
  }

  /** Why a compaction result is refused, or null. `othersCount`: new blocks of other results in the same entry. */
  checkCompacted(compacted: CompactedBlocks, othersCount: number): Rejection | null {
    const count = compacted.newBlocks.length + othersCount;
    if (count > STATE_LIMITS.blocksPerEntryMax) return "too_many_blocks";
    for (const bytes of compacted.newBlocks) {
      if (this.#block.tryReset(bytes, 0, bytes.length) !== null) return "bad_block";
      const refusal = this.#checkOpenBlock(count);
      if (refusal !== null) return refusal;
    }
    return null;
  }

  /**
   * Puts results that passed `checkCompacted` in the place of their sources; returns whether anything changed.
   * Inserting comes first, so an id in both lists ends up removed. Tombstones are not consulted. Jobs over removed
   * blocks end; their tombstones go to `record`.
   */
  replace(compacted: CompactedBlocks, record: RecordTombstone): boolean {
    const isChanged = this.replaceSources(compacted);
    if (compacted.source !== null) this.forgetSources(compacted.source, record);
    return isChanged;
  }

  /** Blocks that are removed leave the compaction queue, wherever they stand in it. */
  forgetSources({ tenant, shard, blocks }: SourceBlocks, record: RecordTombstone): void {
    const owner = this.#index.tenants.findName(tenant);
    this.#compaction.forgetBlocks(owner, shard, blocks, record);
  }

  /** `replace` for the sources of a job that has been removed: no queue holds them any more. */
  replaceSources(compacted: CompactedBlocks): boolean {
    let changes = 0;
    for (const bytes of compacted.newBlocks) {
      this.#block.reset(bytes, 0, bytes.length);
      if (this.#takeResult(this.#index.findOwner(this.#block))) changes++;
    }
    if (compacted.source === null) return changes > 0;
    const { tenant, shard, blocks } = compacted.source;
    const owner = this.#index.tenants.findName(tenant);
    return this.#index.remove(owner, shard, blocks) + changes > 0;
  }

  /** Ids of the new blocks of a result that passed `checkCompacted`. */
  idsOf(compacted: CompactedBlocks): string[] {
    return compacted.newBlocks.map((bytes) => this.#block.reset(bytes, 0, bytes.length).id);
  }

  #checkPlaces(body: Uint8Array, count: number): Rejection | null {
    if (count > STATE_LIMITS.blocksPerEntryMax) return "too_many_blocks";
    for (let i = 0; i < count; i++) {
      const at = this.#places[2 * i] as number;
      if (this.#block.tryReset(body, at, this.#places[2 * i + 1] as number) !== null) {
        return "bad_block";
      }
      const refusal = this.#checkOpenBlock(count);
      if (refusal !== null) return refusal;
      if (this.#deletions.isHidden(this.#owner)) return "tenant_deleted";
    }
    return null;
  }

  #openPlace(body: Uint8Array, i: number): void {
    this.#block.reset(body, this.#places[2 * i] as number, this.#places[2 * i + 1] as number);
  }

  /** The check of the block the reader points at, one of `count` in its entry. */
  #checkOpenBlock(count: number): Rejection | null {
    const refusal = checkBlock(this.#block);
    if (refusal !== null) return refusal;
    this.#owner = this.#index.findOwner(this.#block);
    return this.#index.hasRoom(this.#block, this.#owner, count) ? null : "index_full";
  }

  #addOpenBlock(owner: number): boolean {
    if (this.#tombstones.protects(owner, this.#block)) {
      this.#metrics.blocksTombstoned++;
      return false;
    }
    return this.#insertOpenBlock(owner);
  }

  /** A result of a tenant that is deleted is left out, and its object found by another look at the bucket. */
  #takeResult(owner: number): boolean {
    if (!this.#deletions.isHidden(owner)) return this.#insertOpenBlock(owner);
    this.#deletions.noteLate(owner, 1);
    this.#metrics.blocksOfDeletedTenants++;
    return true;
  }

  #insertOpenBlock(owner: number): boolean {
    const isNew = this.#index.insert(this.#block, owner);
    if (!isNew) {
      this.#metrics.blocksDuplicate++;
      return false;
    }
    this.#metrics.blocksAdded++;
    this.#compaction.offer(this.#block, owner);
    return true;
  }
}
