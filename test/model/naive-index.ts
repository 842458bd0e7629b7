/**
 * The index as its specification says it (sections 3 to 10), in maps and lists: no look-ahead, no pruning, no
 * dictionary. Where the specification leaves a choice, the improvements we promise: the first write of an id wins
 * (W4), shards are found by the times of their data (W5), the first times of a shard are not mistaken for "unset" (W9).
 */

import type { BlockMeta, ShardTombstone, Tombstone } from "../../src/protocol/index.ts";
import {
  type LabelSet,
  type PlainBlock,
  type PlainDataset,
  toAnswerMeta,
  toWholeMeta,
} from "./plain.ts";
import { firstValue, type PlainSelector, satisfies } from "./selectors.ts";

export const PARTITION_MS = 21_600_000;

export interface PlainQuery {
  readonly tenants: readonly string[];
  readonly startMs: number;
  readonly endMs: number;
  readonly selector: PlainSelector;
  readonly labels: readonly string[];
}

export interface PlainStats {
  readonly dataIngested: boolean;
  readonly oldestProfileTimeMs: number;
  readonly newestProfileTimeMs: number;
}

interface ModelShard {
  readonly owner: string;
  readonly shard: number;
  readonly startMs: number;
  summaryMinMs: number;
  summaryMaxMs: number;
  readonly blocks: Map<string, PlainBlock>;
}

interface RecordedTombstone {
  readonly name: string;
  readonly appendedAtMs: number;
  readonly content: Tombstone;
}

export class NaiveIndex {
  readonly #shards = new Map<string, ModelShard>();
  #tombstones: RecordedTombstone[] = [];

  /** Every block, for generators that want to repeat or remove what is there. */
  *blocks(): IterableIterator<PlainBlock> {
    for (const shard of this.#shards.values()) yield* shard.blocks.values();
  }

  /** Spec 4.2: a tombstone makes it a no-op that succeeds. */
  addBlock(block: PlainBlock): void {
    if (!this.tombstoneExists(block.tenant, block.shard, block.id)) this.#insert(block);
  }

  /** Spec 4.4: insert all, then remove. Tombstones are not consulted. */
  replaceBlocks(
    source: { tenant: string; shard: number; blocks: readonly string[] },
    newBlocks: readonly PlainBlock[],
  ): void {
    for (const block of newBlocks) this.#insert(block);
    for (const id of source.blocks) {
      const key = shardKey(source.tenant, partitionStart(id), source.shard);
      this.#shards.get(key)?.blocks.delete(id);
    }
  }

  /** Spec 4.5: the exact start; the duration at a resolution of seconds. */
  deleteShard(target: ShardTombstone): boolean {
    if (target.durationNs / 1_000_000_000n !== BigInt(PARTITION_MS) / 1_000n) return false;
    if (target.timestampNs % 1_000_000n !== 0n) return false;
    const startMs = Number(target.timestampNs / 1_000_000n);
    return this.#shards.delete(shardKey(target.tenant, startMs, target.shard));
  }

  /** Spec 10.1: the name is the identity; a known name is ignored as a whole. True: recorded. */
  addTombstone(content: Tombstone, appendedAtMs: number, name = tombstoneName(content)): boolean {
    if (name === "" || this.#hasTombstone(name)) return false;
    this.#tombstones.push({ name, appendedAtMs, content });
    return true;
  }

  /**
   * Spec 4.6. A shard that really was deleted always leaves a tombstone: when the name is taken, under another one
   * that is unique for the log entry (W10).
   */
  truncate(tombstones: readonly Tombstone[], appendedAtMs: number, logIndex: number): void {
    let recorded = 0;
    for (const tombstone of tombstones) {
      const isDeleted = tombstone.shard !== null && this.deleteShard(tombstone.shard);
      const name = tombstoneName(tombstone);
      const isRenamed = isDeleted && this.#hasTombstone(name);
      const unique = isRenamed ? `${name} #${logIndex}.${recorded}` : name;
      if (this.addTombstone(tombstone, appendedAtMs, unique)) recorded++;
    }
  }

  #hasTombstone(name: string): boolean {
    return this.#tombstones.some((known) => known.name === name);
  }

  /** Spec 10.4: by name only. */
  deleteTombstone(content: Tombstone): void {
    const name = tombstoneName(content);
    this.#tombstones = this.#tombstones.filter((known) => known.name !== name);
  }

  tombstoneExists(tenant: string, shard: number, id: string): boolean {
    return this.#tombstones.some(({ content: { blocks } }) => {
      return blocks?.tenant === tenant && blocks.shard === shard && blocks.blocks.includes(id);
    });
  }

  /** Spec 10.3: in order of recording, up to the first that is not older. */
  listTombstones(beforeMs: number): string[] {
    const names: string[] = [];
    for (const { name, appendedAtMs } of this.#tombstones) {
      if (appendedAtMs >= beforeMs) break;
      names.push(name);
    }
    return names;
  }

  getBlocks(tenant: string, shard: number, ids: readonly string[]): BlockMeta[] {
    return ids.flatMap((id) => {
      const block = this.#shards.get(shardKey(tenant, partitionStart(id), shard))?.blocks.get(id);
      return block === undefined ? [] : [toWholeMeta(block)];
    });
  }

  query(query: PlainQuery): BlockMeta[] {
    const answer: BlockMeta[] = [];
    this.#visitMatches(query, (block, matches) => {
      const datasets = matches.map(({ dataset, sets }) => ({
        dataset,
        labelSets: query.labels.length === 0 ? [] : sets.map((set) => project(set, query.labels)),
      }));
      answer.push(toAnswerMeta(block, datasets));
    });
    return answer;
  }

  /** Rows of values in request order, distinct, in bytes order (spec 8). */
  queryLabels(query: PlainQuery): string[][] {
    if (query.labels.length === 0) return [];
    const rows = new Map<string, string[]>();
    this.#visitMatches(query, (_block, matches) => {
      for (const { sets } of matches) {
        for (const set of sets) {
          const row = query.labels.map((name) =>
            name === "" ? "" : (firstValue(set, name) ?? ""),
          );
          rows.set(JSON.stringify(row), row);
        }
      }
    });
    return [...rows.values()].sort(compareRows);
  }

  getTenants(): string[] {
    const owners = new Set([...this.#shards.values()].map(({ owner }) => owner));
    owners.delete("");
    return [...owners].sort(compareBytes);
  }

  getTenant(tenant: string): PlainStats {
    const shards = [...this.#shards.values()].filter(({ owner }) => owner === tenant);
    if (shards.length === 0) {
      return { dataIngested: false, oldestProfileTimeMs: 0, newestProfileTimeMs: 0 };
    }
    return {
      dataIngested: true,
      oldestProfileTimeMs: Math.min(...shards.map(({ summaryMinMs }) => summaryMinMs)),
      newestProfileTimeMs: Math.max(...shards.map(({ summaryMaxMs }) => summaryMaxMs)),
    };
  }

  #insert(block: PlainBlock): void {
    const startMs = partitionStart(block.id);
    const key = shardKey(block.tenant, startMs, block.shard);
    let shard = this.#shards.get(key);
    if (shard === undefined) {
      shard = {
        owner: block.tenant,
        shard: block.shard,
        startMs,
        summaryMinMs: Number.POSITIVE_INFINITY,
        summaryMaxMs: Number.NEGATIVE_INFINITY,
        blocks: new Map(),
      };
      this.#shards.set(key, shard);
    }
    if (shard.blocks.has(block.id)) return;
    shard.summaryMinMs = Math.min(shard.summaryMinMs, block.minTimeMs);
    shard.summaryMaxMs = Math.max(shard.summaryMaxMs, block.maxTimeMs);
    shard.blocks.set(block.id, block);
  }

  /** Spec 6.2, 6.3, 6.5 and 6.6: every block of every visible shard, in the order of answers. */
  #visitMatches(query: PlainQuery, visit: (block: PlainBlock, matches: Match[]) => void): void {
    const asked = new Set(query.tenants);
    const shards = [...this.#shards.values()].filter(
      ({ owner }) => owner === "" || asked.has(owner),
    );
    const verdicts = new Map<readonly LabelSet[], readonly LabelSet[]>();
    for (const shard of shards.sort(compareShards)) {
      for (const block of [...shard.blocks.values()].sort((a, b) => (a.id < b.id ? -1 : 1))) {
        if (!overlaps(block, query)) continue;
        const matches: Match[] = [];
        for (const dataset of block.datasets) {
          // W6: a dataset without tenant is nobody's; none gets past the door.
          if (!asked.has(dataset.tenant) || !overlaps(dataset, query)) continue;
          let sets = verdicts.get(dataset.labelSets);
          if (sets === undefined) {
            sets = dataset.labelSets.filter((set) => satisfies(set, query.selector));
            verdicts.set(dataset.labelSets, sets);
          }
          if (sets.length > 0) matches.push({ dataset, sets });
        }
        if (matches.length > 0) visit(block, matches);
      }
    }
  }
}

interface Match {
  readonly dataset: PlainDataset;
  readonly sets: readonly LabelSet[];
}

/** Spec 6.3. Inverted ranges select what contains the gap. */
function overlaps(
  entity: { readonly minTimeMs: number; readonly maxTimeMs: number },
  query: PlainQuery,
): boolean {
  return !(query.startMs > entity.maxTimeMs) && !(query.endMs < entity.minTimeMs);
}

/** Spec 6.7: for each requested name the first pair, if there is one. */
function project(set: LabelSet, names: readonly string[]): LabelSet {
  return names.flatMap((name) => {
    const value = name === "" ? null : firstValue(set, name);
    return value === null ? [] : [[name, value] as const];
  });
}

function tombstoneName({ blocks, shard }: Tombstone): string {
  return blocks === null ? (shard?.name ?? "") : blocks.name;
}

const BASE32 = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";

/** Start of the 6 h window that holds the creation time of the id. */
export function partitionStart(id: string): number {
  let timeMs = 0;
  for (let i = 0; i < 10; i++) timeMs = timeMs * 32 + BASE32.indexOf(id[i] as string);
  return timeMs - (timeMs % PARTITION_MS);
}

function shardKey(owner: string, startMs: number, shard: number): string {
  return `${startMs}/${shard}/${owner}`;
}

function compareShards(a: ModelShard, b: ModelShard): number {
  return compareBytes(a.owner, b.owner) || a.shard - b.shard || a.startMs - b.startMs;
}

export function compareBytes(a: string, b: string): number {
  return a === b ? 0 : Buffer.compare(Buffer.from(a), Buffer.from(b));
}

function compareRows(a: readonly string[], b: readonly string[]): number {
  for (let i = 0; i < a.length; i++) {
    const order = compareBytes(a[i] as string, b[i] as string);
    if (order !== 0) return order;
  }
  return 0;
}
