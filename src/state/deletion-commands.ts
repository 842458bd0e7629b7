/**
 * The commands that delete a tenant (deletions/DESIGN.md): hide it, take it out of the index part by part, note what
 * became of its objects, open its name again. What the leader decides carries its term, and where it stood: what a rival did
 * in between makes a command of no effect, never of another one.
 */

import { tryDecodeUlid, ULID_BYTES } from "../base/index.ts";
import { PARTITION_MS } from "../db/index.ts";
import type {
  ClearTenant,
  DeleteTenant,
  NoteDeletion,
  OpenTenant,
  SegmentList,
  Tombstone,
} from "../protocol/index.ts";
import type { CommandModules } from "./block-commands.ts";
import type { RecordTombstone } from "./compaction/compaction-state.ts";
import { PARTITION_SEC, STATE_LIMITS } from "./limits.ts";
import type { CommandResult, LogEntry } from "./log-entry.ts";

export class DeletionCommands {
  readonly #modules: CommandModules;

  constructor(modules: CommandModules) {
    this.#modules = modules;
  }

  deleteTenant(request: DeleteTenant, entry: LogEntry): CommandResult {
    if (Buffer.byteLength(request.tenant) > STATE_LIMITS.tenantMaxBytes) return "tenant_too_long";
    const { tenant, closedForMs } = request;
    return outcomeOf(this.#modules.deletions.begin({ tenant, closedForMs }, entry));
  }

  /** Shards of the tenant, oldest first, and segments that hold nothing but data of deleted tenants. */
  clearTenant(clear: ClearTenant, entry: LogEntry, record: RecordTombstone): CommandResult {
    const { deletions, index } = this.#modules;
    const found = clear.term === entry.term ? deletions.find(clear.id) : null;
    if (found === null) return this.#ignore();
    const removed = this.#removeShards(found.tenant, clear.shardsMax, record);
    const segments = this.#removeSegments(clear.segments, clear.id, entry, record);
    const isClear = index.firstShards(found.tenant, 1).length === 0;
    const isDone = isClear && found.deletion.state === "hidden";
    if (removed.shards + segments === 0 && !isDone) return "unchanged";
    if (isDone) this.#modules.compaction.forgetOrphans(found.tenant);
    deletions.noteCleared(found.tenant, { ...removed, segments }, isClear, entry);
    return "applied";
  }

  noteDeletion(note: NoteDeletion, entry: LogEntry): CommandResult {
    const { deletions } = this.#modules;
    const found = note.term === entry.term ? deletions.find(note.id) : null;
    if (found === null || !deletions.noteObjects(found.tenant, note, entry)) return this.#ignore();
    return "applied";
  }

  /** The leader's when the time is over, by the time of the log; an operator's whenever it is verified. */
  openTenant({ term, id }: OpenTenant, entry: LogEntry): CommandResult {
    const { deletions } = this.#modules;
    const found = deletions.find(id);
    if (found === null) return "unchanged";
    if (term === 0) return outcomeOf(deletions.open(found.tenant, entry));
    const { closedForMs, verifiedAtMs } = found.deletion;
    const isOver =
      closedForMs > 0 &&
      entry.appendedAtMs - (verifiedAtMs ?? Number.POSITIVE_INFINITY) >= closedForMs;
    if (term !== entry.term || !isOver) return this.#ignore();
    return outcomeOf(deletions.open(found.tenant, entry));
  }

  #ignore(): CommandResult {
    this.#modules.metrics.deletionStepsIgnored++;
    return "unchanged";
  }

  #removeShards(
    owner: number,
    countMax: number,
    record: RecordTombstone,
  ): { shards: number; blocks: number; bytes: number } {
    const { index, compaction } = this.#modules;
    const removed = { shards: 0, blocks: 0, bytes: 0 };
    for (const { partition, shard, blocks, bytes } of index.firstShards(owner, countMax)) {
      const { startMs } = partition;
      if (!index.deleteShard(owner, startMs, PARTITION_SEC, shard)) continue;
      compaction.forgetShard(owner, shard, { startMs, endMs: startMs + PARTITION_MS }, record);
      removed.shards++;
      removed.blocks += blocks;
      removed.bytes += bytes;
    }
    return removed;
  }

  /** Each is looked at again: what the leader saw may be another block's, or of a tenant that is open by now. */
  #removeSegments(
    lists: readonly SegmentList[],
    id: number,
    entry: LogEntry,
    record: RecordTombstone,
  ): number {
    const { index, compaction, deletions } = this.#modules;
    const hidden = deletions.hiddenNames();
    let count = 0;
    for (const { shard, ids } of lists) {
      const blocks = ids.filter((text) => this.#isOnlyOf(hidden, shard, text));
      if (blocks.length === 0) continue;
      count += index.remove(ANONYMOUS, shard, blocks);
      compaction.forgetBlocks(ANONYMOUS, shard, blocks, record);
      record(segmentTombstone(`tenant-deletion-${id}-${entry.index}-S${shard}`, shard, blocks));
    }
    return count;
  }

  #isOnlyOf(hidden: ReadonlySet<string>, shard: number, text: string): boolean {
    const id = new Uint8Array(ULID_BYTES);
    if (!tryDecodeUlid(text, id, 0)) return false;
    const tenants = this.#modules.index.tenantsOf(ANONYMOUS, shard, id);
    // A block without data is nobody's.
    if (tenants === null || tenants.size === 0) return false;
    return [...tenants].every((name) => hidden.has(name));
  }
}

const ANONYMOUS = 0;

/** So that a segment cannot return, and for workers to delete what is left of it. */
function segmentTombstone(name: string, shard: number, blocks: readonly string[]): Tombstone {
  return { blocks: { name, shard, tenant: "", compactionLevel: 0, blocks }, shard: null };
}

function outcomeOf(
  result: boolean | Exclude<CommandResult, "applied" | "unchanged">,
): CommandResult {
  if (typeof result === "string") return result;
  return result ? "applied" : "unchanged";
}
