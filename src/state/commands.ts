/**
 * What each command of the log does. One call per entry, inside the transaction of `apply`.
 *
 * Every handler first decodes and checks everything and then changes the index, so that a refused entry changes
 * nothing. Nothing here reads a clock, a setting or anything else that may differ between members: only the entry,
 * its context, and the index before it.
 */

import { isHearthError } from "../base/index.ts";
import {
  BlockReader,
  COMMAND,
  COMMAND_VERSION,
  type CompactedBlocks,
  type CompletedJob,
  decodeCompactedBlocks,
  decodeCompletedJobs,
  decodeDeleteShard,
  decodeTombstones,
  decodeTruncateIndex,
  iterateBlockBatch,
  type ShardTombstone,
  type Tombstone,
} from "../protocol/index.ts";
import type { BlockIndex } from "./index/block-index.ts";
import { checkBlock } from "./index/check-block.ts";
import { PARTITION_SEC, STATE_LIMITS } from "./limits.ts";
import type { Rejection, StateMetrics } from "./metrics.ts";
import { tombstoneName } from "./tombstones/rows.ts";
import { checkTombstone, type TombstoneStore } from "./tombstones/store.ts";

/** What became of an entry. */
export const OUTCOME = {
  applied: 0,
  /** Accepted, but there was nothing to change: a duplicate, a tombstoned block, another term. */
  unchanged: 1,
  /** Refused; the reason is in the result and in the metrics. */
  rejected: 2,
} as const;

/** Everything besides its payload that an entry may depend on. */
export interface EntryContext {
  readonly index: number;
  readonly term: number;
  /** When the leader appended it, Unix ms. */
  readonly appendedAtMs: number;
}

/** `applied`, `unchanged`, or why it was refused. */
export type CommandResult = "applied" | "unchanged" | Rejection;

export interface CommandModules {
  readonly index: BlockIndex;
  readonly tombstones: TombstoneStore;
  readonly metrics: StateMetrics;
}

/** Characters kept of a name that is made unique. Names of shards are about 50 long. */
const RENAMED_MAX_LENGTH = 256;

const NS_PER_MS = 1_000_000n;
const NS_PER_SEC = 1_000_000_000n;

export class Commands {
  readonly #index: BlockIndex;
  readonly #tombstones: TombstoneStore;
  readonly #metrics: StateMetrics;
  readonly #block = new BlockReader();
  /** Offset and length of each block of the entry at hand. */
  readonly #places: number[] = [];
  /** Tombstones that the entry at hand recorded so far. */
  #recorded = 0;
  readonly #notePlace = (offset: number, length: number): void => {
    this.#places.push(offset, length);
  };

  constructor(modules: CommandModules) {
    this.#index = modules.index;
    this.#tombstones = modules.tombstones;
    this.#metrics = modules.metrics;
  }

  /** Applies the entry with the payload body[offset, offset + length). */
  apply(
    context: EntryContext,
    command: number,
    version: number,
    body: Uint8Array,
    offset: number,
    length: number,
  ): CommandResult {
    this.#recorded = 0;
    if (version !== COMMAND_VERSION) return "unknown_command";
    if (command === COMMAND.addBlocks) return this.#addBlocks(body, offset, length);
    const payload = body.subarray(offset, offset + length);
    switch (command) {
      case COMMAND.replaceBlocks:
        return decoded(decodeCompactedBlocks, payload, (value) => this.#replaceBlocks(value));
      case COMMAND.completeJobs:
        return decoded(decodeCompletedJobs, payload, (jobs) => this.#completeJobs(jobs, context));
      case COMMAND.truncateIndex:
        return decoded(decodeTruncateIndex, payload, ({ term, tombstones }) =>
          this.#truncateIndex(term, tombstones, context),
        );
      case COMMAND.deleteShard:
        return decoded(decodeDeleteShard, payload, (shard) =>
          changed(shard !== null && this.#deleteShard(shard)),
        );
      case COMMAND.addTombstones:
        return decoded(decodeTombstones, payload, (list) => this.#addTombstones(list, context));
      case COMMAND.deleteTombstones:
        return decoded(decodeTombstones, payload, (list) => this.#deleteTombstones(list));
      case COMMAND.noop:
        return "unchanged";
      default:
        return "unknown_command";
    }
  }

  /** Spec 4.2; several blocks are added all or, when one is refused, none. */
  #addBlocks(body: Uint8Array, offset: number, length: number): CommandResult {
    this.#places.length = 0;
    try {
      iterateBlockBatch(body, offset, length, this.#notePlace);
    } catch (error) {
      if (isHearthError(error)) return "bad_payload";
      throw error;
    }
    const count = this.#places.length / 2;
    const refusal = this.#checkPlaces(body, count);
    if (refusal !== null) return refusal;
    let added = 0;
    for (let i = 0; i < count; i++) {
      // A single block is where the check left the reader.
      if (count > 1) this.#openPlace(body, i);
      if (this.#addBlock()) added++;
    }
    return changed(added > 0);
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
    const owner = this.#index.findOwner(this.#block);
    return this.#index.hasRoom(this.#block, owner, count) ? null : "index_full";
  }

  #addBlock(): boolean {
    const owner = this.#index.findOwner(this.#block);
    if (this.#tombstones.protects(owner, this.#block)) {
      this.#metrics.blocksTombstoned++;
      return false;
    }
    return this.#insert(owner);
  }

  #insert(owner: number): boolean {
    const isNew = this.#index.insert(this.#block, owner);
    if (isNew) this.#metrics.blocksAdded++;
    else this.#metrics.blocksDuplicate++;
    return isNew;
  }

  /** Spec 4.4, "replace". */
  #replaceBlocks(compacted: CompactedBlocks): CommandResult {
    return this.#checkCompacted(compacted, 0) ?? changed(this.#replace(compacted));
  }

  /** Why a compaction result is refused. `othersCount`: blocks of other results in the same entry. */
  #checkCompacted(compacted: CompactedBlocks, othersCount: number): Rejection | null {
    const count = compacted.newBlocks.length + othersCount;
    if (count > STATE_LIMITS.blocksPerEntryMax) return "too_many_blocks";
    for (const bytes of compacted.newBlocks) {
      if (this.#block.tryReset(bytes, 0, bytes.length) !== null) return "bad_block";
      const refusal = this.#checkOpenBlock(count);
      if (refusal !== null) return refusal;
    }
    return null;
  }

  /** Inserting comes first: an id in both lists ends up removed. */
  #replace(compacted: CompactedBlocks): boolean {
    let changes = 0;
    for (const bytes of compacted.newBlocks) {
      this.#block.reset(bytes, 0, bytes.length);
      if (this.#insert(this.#index.findOwner(this.#block))) changes++;
    }
    if (compacted.source === null) return changes > 0;
    const { tenant, shard, blocks } = compacted.source;
    const owner = this.#index.tenants.findName(tenant);
    return this.#index.remove(owner, shard, blocks) + changes > 0;
  }

  /** Spec 4.4, completed jobs. Offering the new blocks to the compaction queue belongs before `#replace`. */
  #completeJobs(jobs: readonly CompletedJob[], context: EntryContext): CommandResult {
    const results = jobs.flatMap(toResult);
    const count = results.reduce((sum, { compacted }) => sum + compacted.newBlocks.length, 0);
    for (const { compacted, tombstone } of results) {
      const refusal =
        checkTombstone(tombstone) ??
        this.#checkCompacted(compacted, count - compacted.newBlocks.length);
      if (refusal !== null) return refusal;
    }
    let changes = 0;
    for (const { compacted, tombstone } of results) {
      if (this.#record(tombstone, context)) changes++;
      if (this.#replace(compacted)) changes++;
    }
    return changed(changes > 0);
  }

  /** Spec 4.6. */
  #truncateIndex(
    term: number,
    tombstones: readonly Tombstone[],
    context: EntryContext,
  ): CommandResult {
    if (term !== context.term) {
      this.#metrics.truncationsIgnored++;
      return "unchanged";
    }
    const refusal = firstRefusal(tombstones);
    if (refusal !== null) return refusal;
    let changes = 0;
    for (const tombstone of tombstones) {
      const isDeleted = tombstone.shard !== null && this.#deleteShard(tombstone.shard);
      const unique = isDeleted ? this.#renamed(tombstone, context) : tombstone;
      if (this.#record(unique, context) || isDeleted) changes++;
    }
    return changed(changes > 0);
  }

  /** Spec 4.5: start and duration must match exactly, the duration at a resolution of seconds. */
  #deleteShard(shard: ShardTombstone): boolean {
    if (shard.timestampNs < 0n || shard.timestampNs % NS_PER_MS !== 0n) return false;
    if (shard.durationNs / NS_PER_SEC !== BigInt(PARTITION_SEC)) return false;
    const owner = this.#index.tenants.findName(shard.tenant);
    const startMs = Number(shard.timestampNs / NS_PER_MS);
    return this.#index.deleteShard(owner, startMs, PARTITION_SEC, shard.shard);
  }

  #addTombstones(tombstones: readonly Tombstone[], context: EntryContext): CommandResult {
    const refusal = firstRefusal(tombstones);
    if (refusal !== null) return refusal;
    let changes = 0;
    for (const tombstone of tombstones) if (this.#record(tombstone, context)) changes++;
    return changed(changes > 0);
  }

  /** Spec 10.4: by name only. */
  #deleteTombstones(tombstones: readonly Tombstone[]): CommandResult {
    let changes = 0;
    for (const tombstone of tombstones) {
      if (this.#tombstones.delete(tombstoneName(tombstone))) changes++;
    }
    return changed(changes > 0);
  }

  #record(tombstone: Tombstone, context: EntryContext): boolean {
    const place = { index: context.index, position: this.#recorded };
    const isNew = this.#tombstones.record(tombstone, place, context.appendedAtMs);
    if (isNew) this.#recorded++;
    return isNew;
  }

  /**
   * A shard that really left the index must leave a tombstone, or its objects are never deleted. Its name may be
   * taken all the same: by the tombstone of an earlier life of the shard, or because tenant "anonymous" and the
   * anonymous owner get the same names (W10). Then it is recorded under a name of its own.
   */
  #renamed(tombstone: Tombstone, context: EntryContext): Tombstone {
    const name = tombstoneName(tombstone);
    if (name === "" || !this.#tombstones.has(name)) return tombstone;
    // Cut, so that the new name is no longer than a name may be, also when every character takes 3 bytes.
    const unique = `${name.slice(0, RENAMED_MAX_LENGTH)} #${context.index}.${this.#recorded}`;
    const { blocks, shard } = tombstone;
    return {
      blocks: blocks === null ? null : { ...blocks, name: unique },
      shard: shard === null ? null : { ...shard, name: unique },
    };
  }
}

interface JobResult {
  readonly compacted: CompactedBlocks;
  readonly tombstone: Tombstone;
}

/** A job without sources or without new blocks is skipped entirely: its sources stay. */
function toResult(job: CompletedJob): JobResult[] {
  const { name, compactionLevel, compacted } = job;
  if (compacted === null || compacted.source === null || compacted.newBlocks.length === 0) return [];
  const blocks = { name, compactionLevel, ...compacted.source };
  return [{ compacted, tombstone: { blocks, shard: null } }];
}

function firstRefusal(tombstones: readonly Tombstone[]): Rejection | null {
  for (const tombstone of tombstones) {
    const refusal = checkTombstone(tombstone);
    if (refusal !== null) return refusal;
  }
  return null;
}

function changed(isChanged: boolean): CommandResult {
  return isChanged ? "applied" : "unchanged";
}

/** Runs the handler on the decoded payload; a payload that does not decode is refused. */
function decoded<T>(
  decode: (payload: Uint8Array) => T,
  payload: Uint8Array,
  handle: (value: T) => CommandResult,
): CommandResult {
  let value: T;
  try {
    value = decode(payload);
  } catch (error) {
    if (isHearthError(error)) return "bad_payload";
    throw error;
  }
  return handle(value);
}
