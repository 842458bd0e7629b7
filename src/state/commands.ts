/**
 * What each command of the log does. One call per entry, inside the transaction of `apply`.
 *
 * Every handler first decodes and checks everything and then changes the index, so that a refused entry changes
 * nothing. Nothing here reads a clock, a setting or anything else that may differ between members: only the entry
 * and the index before it.
 */

import { isHearthError } from "../base/index.ts";
import { PARTITION_MS } from "../db/index.ts";
import {
  COMMAND,
  type CompactedBlocks,
  type CompletedJob,
  decodeClearTenant,
  decodeCompactedBlocks,
  decodeCompletedJobs,
  decodeControlJobs,
  decodeDeleteShard,
  decodeDeleteTenant,
  decodeNoteDeletion,
  decodeOpenTenant,
  decodePlanUpdate,
  decodePolicyCommand,
  decodeRetireShards,
  decodeStateCheck,
  decodeTombstones,
  decodeTruncateIndex,
  isKnownVersion,
  type RetireShards,
  type ShardTombstone,
  type Tombstone,
  type TruncateIndex,
} from "../protocol/index.ts";
import { BlockCommands, type CommandModules } from "./block-commands.ts";
import { DeletionCommands } from "./deletion-commands.ts";
import type { BlockIndex } from "./index/block-index.ts";
import type { CompactionState, RecordTombstone } from "./compaction/compaction-state.ts";
import { PARTITION_SEC } from "./limits.ts";
import type { CommandResult, LogEntry } from "./log-entry.ts";
import type { Rejection, StateMetrics } from "./metrics.ts";
import { PlanCommands } from "./plan-commands.ts";
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

/** Characters kept of a name that is made unique. Names of shards are about 50 long. */
const RENAMED_MAX_LENGTH = 256;

const NS_PER_MS = 1_000_000n;
const NS_PER_SEC = 1_000_000_000n;

export class Commands {
  readonly #index: BlockIndex;
  readonly #tombstones: TombstoneStore;
  readonly #metrics: StateMetrics;
  readonly #blocks: BlockCommands;
  readonly #compaction: CompactionState;
  readonly #plans: PlanCommands;
  readonly #deletions: DeletionCommands;
  #entry: LogEntry | null = null;
  /** Records a tombstone that comes up on the way, at the place of the entry at hand. */
  readonly #recordHere: RecordTombstone = (tombstone) => {
    if (this.#entry !== null) this.#record(tombstone, this.#entry);
  };
  /** Tombstones that the entry at hand recorded so far. */
  #recorded = 0;

  constructor(modules: CommandModules) {
    this.#index = modules.index;
    this.#tombstones = modules.tombstones;
    this.#metrics = modules.metrics;
    this.#blocks = new BlockCommands(modules);
    this.#compaction = modules.compaction;
    this.#plans = new PlanCommands({ ...modules, blocks: this.#blocks });
    this.#deletions = new DeletionCommands(modules);
  }

  apply(entry: LogEntry): CommandResult {
    this.#recorded = 0;
    this.#entry = entry;
    this.#compaction.begin(entry);
    if (!isKnownVersion(entry.command, entry.version)) return "unknown_command";
    switch (entry.command) {
      case COMMAND.addBlocks:
        return this.#addBlocks(entry);
      case COMMAND.replaceBlocks:
        return decoded(decodeCompactedBlocks, entry, (value) => this.#replaceBlocks(value));
      case COMMAND.completeJobs:
        return decoded(decodeCompletedJobs, entry, (jobs) => this.#completeJobs(jobs, entry));
      case COMMAND.truncateIndex:
        return decoded(decodeTruncateIndex, entry, (value) => this.#truncateIndex(value, entry));
      case COMMAND.retireShards:
        return decoded(decodeRetireShards, entry, (value) => this.#retireShards(value, entry));
      case COMMAND.deleteShard:
        return decoded(decodeDeleteShard, entry, (shard) =>
          changed(shard !== null && this.#deleteShard(shard)),
        );
      case COMMAND.addTombstones:
        return decoded(decodeTombstones, entry, (list) => this.#addTombstones(list, entry));
      case COMMAND.deleteTombstones:
        return decoded(decodeTombstones, entry, (list) => this.#deleteTombstones(list));
      case COMMAND.updateCompactionPlan:
        return decoded(decodePlanUpdate, entry, (plan) =>
          this.#plans.apply(plan, entry, this.#recordHere),
        );
      case COMMAND.setCompactionPolicy:
        return decoded(decodePolicyCommand, entry, (json) =>
          this.#compaction.setPolicy(json) ? "applied" : "bad_policy",
        );
      case COMMAND.changeCompactionPolicy:
        return decoded(decodePolicyCommand, entry, (json) => this.#compaction.changePolicy(json));
      case COMMAND.controlJobs:
        return decoded(decodeControlJobs, entry, (control) =>
          changed(this.#compaction.control(control, this.#recordHere)),
        );
      case COMMAND.deleteTenant:
        return decoded(decodeDeleteTenant, entry, (value) =>
          this.#deletions.deleteTenant(value, entry),
        );
      case COMMAND.clearTenant:
        return decoded(decodeClearTenant, entry, (value) =>
          this.#deletions.clearTenant(value, entry, this.#recordHere),
        );
      case COMMAND.noteDeletion:
        return decoded(decodeNoteDeletion, entry, (value) =>
          this.#deletions.noteDeletion(value, entry),
        );
      case COMMAND.openTenant:
        return decoded(decodeOpenTenant, entry, (value) =>
          this.#deletions.openTenant(value, entry),
        );
      case COMMAND.checkState:
        // What it leads to is none of the state's business (checks/).
        return decoded(decodeStateCheck, entry, () => "unchanged");
      case COMMAND.noop:
      case COMMAND.membership:
        return "unchanged";
      default:
        return "unknown_command";
    }
  }

  /** Spec 4.2; several blocks are added all or, when one is refused, none. */
  #addBlocks({ body, offset, length }: LogEntry): CommandResult {
    const result = this.#blocks.addBlocks(body, offset, length);
    return typeof result === "boolean" ? changed(result) : result;
  }

  /** Spec 4.4, "replace". */
  #replaceBlocks(compacted: CompactedBlocks): CommandResult {
    const refusal = this.#blocks.checkCompacted(compacted, 0);
    return refusal ?? changed(this.#blocks.replace(compacted, this.#recordHere));
  }

  /** Spec 4.4, completed jobs that no plan knows: new blocks are queued as they are inserted. */
  #completeJobs(jobs: readonly CompletedJob[], entry: LogEntry): CommandResult {
    const results = jobs.flatMap(toResult);
    const count = results.reduce((sum, { compacted }) => sum + compacted.newBlocks.length, 0);
    for (const { compacted, tombstone } of results) {
      const refusal =
        checkTombstone(tombstone) ??
        this.#blocks.checkCompacted(compacted, count - compacted.newBlocks.length);
      if (refusal !== null) return refusal;
    }
    let changes = 0;
    for (const { compacted, tombstone } of results) {
      if (this.#record(tombstone, entry)) changes++;
      if (this.#blocks.replace(compacted, this.#recordHere)) changes++;
    }
    return changed(changes > 0);
  }

  /** Spec 4.6. */
  #truncateIndex({ term, tombstones }: TruncateIndex, entry: LogEntry): CommandResult {
    if (term !== entry.term) {
      this.#metrics.truncationsIgnored++;
      return "unchanged";
    }
    const refusal = firstRefusal(tombstones);
    if (refusal !== null) return refusal;
    let changes = 0;
    for (const tombstone of tombstones) {
      const isDeleted = tombstone.shard !== null && this.#deleteShard(tombstone.shard);
      const unique = isDeleted ? this.#renamed(tombstone, entry) : tombstone;
      if (this.#record(unique, entry) || isDeleted) changes++;
    }
    return changed(changes > 0);
  }

  /**
   * Retention. Unlike a truncation it takes nothing on trust: a shard that is gone leaves no tombstone, and one that got
   * data at or after the time it was judged by stays.
   */
  #retireShards({ term, shards }: RetireShards, entry: LogEntry): CommandResult {
    if (term !== entry.term) {
      this.#metrics.truncationsIgnored++;
      return "unchanged";
    }
    const tombstones = shards.map(({ shard }) => ({ blocks: null, shard }));
    const refusal = firstRefusal(tombstones);
    if (refusal !== null) return refusal;
    let changes = 0;
    for (const [i, { shard, beforeMs }] of shards.entries()) {
      const place = placeOf(shard);
      if (place === null) continue;
      const owner = this.#index.tenants.findName(shard.tenant);
      const found = this.#index.contentOf(owner, place, shard.shard);
      if (found === null) continue;
      // NaN compares as false: a time that is none retires nothing.
      if (found.blocks > 0 && !(found.liveMaxMs < beforeMs)) {
        this.#metrics.retirementsKept++;
        continue;
      }
      if (!this.#deleteShard(shard)) continue;
      this.#metrics.shardsRetired++;
      this.#metrics.blocksRetired += found.blocks;
      this.#record(this.#renamed(tombstones[i] as Tombstone, entry), entry);
      changes++;
    }
    return changed(changes > 0);
  }

  /** Spec 4.5: start and duration must match exactly, the duration at a resolution of seconds. */
  #deleteShard(shard: ShardTombstone): boolean {
    const startMs = placeOf(shard);
    if (startMs === null) return false;
    const owner = this.#index.tenants.findName(shard.tenant);
    if (!this.#index.deleteShard(owner, startMs, PARTITION_SEC, shard.shard)) return false;
    const window = { startMs, endMs: startMs + PARTITION_MS };
    this.#compaction.forgetShard(owner, shard.shard, window, this.#recordHere);
    return true;
  }

  #addTombstones(tombstones: readonly Tombstone[], entry: LogEntry): CommandResult {
    const refusal = firstRefusal(tombstones);
    if (refusal !== null) return refusal;
    let changes = 0;
    for (const tombstone of tombstones) if (this.#record(tombstone, entry)) changes++;
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

  #record(tombstone: Tombstone, entry: LogEntry): boolean {
    const place = { index: entry.index, position: this.#recorded };
    const isNew = this.#tombstones.record(tombstone, place, entry.appendedAtMs);
    if (isNew) this.#recorded++;
    return isNew;
  }

  /**
   * A shard that really left the index must leave a tombstone, or its objects are never deleted. Its name may be
   * taken all the same: by the tombstone of an earlier life of the shard, or because tenant "anonymous" and the
   * anonymous owner get the same names (W10). Then it is recorded under a name of its own.
   */
  #renamed(tombstone: Tombstone, entry: LogEntry): Tombstone {
    const name = tombstoneName(tombstone);
    if (name === "" || !this.#tombstones.has(name)) return tombstone;
    // Cut, so that the new name is no longer than a name may be, also when every character takes 3 bytes.
    const unique = `${name.slice(0, RENAMED_MAX_LENGTH)} #${entry.index}.${this.#recorded}`;
    const { blocks, shard } = tombstone;
    return {
      blocks: blocks === null ? null : { ...blocks, name: unique },
      shard: shard === null ? null : { ...shard, name: unique },
    };
  }
}

/** Start of the partition that a shard tombstone names, ms; null when it names none of ours. */
function placeOf(shard: ShardTombstone): number | null {
  if (shard.timestampNs < 0n || shard.timestampNs % NS_PER_MS !== 0n) return null;
  if (shard.durationNs / NS_PER_SEC !== BigInt(PARTITION_SEC)) return null;
  return Number(shard.timestampNs / NS_PER_MS);
}

interface JobResult {
  readonly compacted: CompactedBlocks;
  readonly tombstone: Tombstone;
}

/** A job without sources or without new blocks is skipped entirely: its sources stay. */
function toResult(job: CompletedJob): JobResult[] {
  const { name, compactionLevel, compacted } = job;
  if (compacted === null || compacted.source === null || compacted.newBlocks.length === 0)
    return [];
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
  decode: (bytes: Uint8Array, offset: number, length: number) => T,
  entry: LogEntry,
  handle: (value: T) => CommandResult,
): CommandResult {
  let value: T;
  try {
    value = decode(entry.body, entry.offset, entry.length);
  } catch (error) {
    if (isHearthError(error)) return "bad_payload";
    throw error;
  }
  return handle(value);
}
