/**
 * A seeded stream of log entries of every command, over few owners, shards and ids, so that duplicates, removals
 * from tails and postings, refills and collisions of names are common. With it a naive model of which blocks exist.
 */

import {
  type BlockSpec,
  type DatasetSpec,
  type Entry,
  entry,
  HOUR_MS,
  shardTombstone,
  ulidAt,
  WINDOW_MS,
  wireBlock,
} from "./support.ts";

const OWNERS = ["", "acme"];
const SHARDS = 2;
const WINDOWS = 2;

/** xorshift32: the same stream for the same seed, everywhere. */
export class Random {
  #state: number;

  constructor(seed: number) {
    this.#state = (seed * 2_654_435_761) | 1;
  }

  /** An integer in [0, end). */
  below(end: number): number {
    this.#state ^= this.#state << 13;
    this.#state ^= this.#state >>> 17;
    this.#state ^= this.#state << 5;
    return (this.#state >>> 0) % end;
  }

  pick<T>(items: readonly T[]): T {
    return items[this.below(items.length)] as T;
  }
}

/** Where a block is: owner, shard, id. */
export interface BlockPlace {
  readonly tenant: string;
  readonly shard: number;
  readonly id: string;
}

export class RandomEntries {
  readonly #random: Random;
  /** Blocks that must exist after all entries so far, by place. */
  readonly #blocks = new Map<string, BlockPlace>();
  /** Tombstones by name: the ids they protect. */
  readonly #tombstones = new Map<string, readonly BlockPlace[]>();
  #jobs = 0;

  constructor(seed: number) {
    this.#random = new Random(seed);
  }

  get blocks(): readonly BlockPlace[] {
    return [...this.#blocks.values()];
  }

  next(): Entry {
    const dice = this.#random.below(100);
    if (dice < 60) return this.#addBlocks();
    if (dice < 75) return this.#replaceBlocks();
    if (dice < 84) return this.#completeJobs();
    if (dice < 86) return this.#deleteShard();
    if (dice < 88) return this.#truncateIndex();
    if (dice < 98) return this.#deleteTombstones();
    return dice === 98 ? entry.noop() : { command: 99, payload: new Uint8Array(8) };
  }

  #addBlocks(): Entry {
    const blocks = Array.from({ length: 1 + this.#random.below(4) }, () => this.#block());
    for (const block of blocks) {
      const place = placeOf(block);
      if (!this.#isProtected(place)) this.#insert(place);
    }
    return entry.addBlocks(...blocks);
  }

  #replaceBlocks(): Entry {
    const { source, newBlocks } = this.#compaction();
    this.#replace(source, newBlocks);
    return entry.replaceBlocks({ source, newBlocks: newBlocks.map(wireBlock) });
  }

  #completeJobs(): Entry {
    const { source, newBlocks } = this.#compaction();
    const name = `job-${this.#random.below(10) === 0 ? 0 : this.#jobs++}`;
    if (newBlocks.length > 0) {
      if (!this.#tombstones.has(name)) {
        const { tenant, shard } = source;
        this.#tombstones.set(
          name,
          source.blocks.map((id) => ({ tenant, shard, id })),
        );
      }
      this.#replace(source, newBlocks);
    }
    const compacted = { source, newBlocks: newBlocks.map(wireBlock) };
    return entry.completeJobs({ name, compactionLevel: 0, compacted });
  }

  #deleteShard(): Entry {
    const shard = this.#shard();
    this.#removeShard(shard);
    return entry.deleteShard(shard);
  }

  #truncateIndex(): Entry {
    const shards = Array.from({ length: 1 + this.#random.below(2) }, () => this.#shard());
    const isPlannedNow = this.#random.below(4) > 0;
    if (isPlannedNow) for (const shard of shards) this.#removeShard(shard);
    const tombstones = shards.map((shard) => ({ blocks: null, shard }));
    return entry.truncateIndex({ term: isPlannedNow ? 1 : 2, tombstones });
  }

  #deleteTombstones(): Entry {
    const known = [...this.#tombstones.keys()];
    const name = known.length > 0 ? this.#random.pick(known) : "job-unknown";
    this.#tombstones.delete(name);
    return entry.deleteTombstones({ blocks: null, shard: shardTombstone(1, "", { name }) });
  }

  #compaction() {
    const tenant = this.#random.pick(OWNERS);
    const shard = this.#random.below(SHARDS);
    const there = this.blocks.filter((block) => block.tenant === tenant && block.shard === shard);
    const blocks = Array.from({ length: this.#random.below(12) }, () =>
      there.length > 0 && this.#random.below(8) > 0 ? this.#random.pick(there).id : this.#id(),
    );
    const newBlocks = Array.from({ length: this.#random.below(3) }, () => this.#block());
    return { source: { tenant, shard, blocks }, newBlocks };
  }

  #replace(
    source: { tenant: string; shard: number; blocks: readonly string[] },
    newBlocks: readonly BlockSpec[],
  ): void {
    for (const block of newBlocks) this.#insert(placeOf(block));
    const { tenant, shard } = source;
    for (const id of source.blocks) this.#blocks.delete(keyOf({ tenant, shard, id }));
  }

  #insert(place: BlockPlace): void {
    this.#blocks.set(keyOf(place), place);
  }

  #removeShard(shard: ReturnType<typeof shardTombstone>): void {
    const start = Number(shard.timestampNs / 1_000_000n);
    for (const place of this.blocks) {
      const isInside =
        place.tenant === shard.tenant &&
        place.shard === shard.shard &&
        place.id >= ulidAt(start) &&
        place.id < ulidAt(start + 6 * HOUR_MS);
      if (isInside) this.#blocks.delete(keyOf(place));
    }
  }

  #isProtected(place: BlockPlace): boolean {
    return [...this.#tombstones.values()].some((places) =>
      places.some((other) => keyOf(other) === keyOf(place)),
    );
  }

  #shard() {
    const window = this.#random.below(WINDOWS);
    return shardTombstone(this.#random.below(SHARDS), this.#random.pick(OWNERS), {
      name: `window-${this.#random.below(6)}`,
      timestampNs: BigInt(WINDOW_MS + window * 6 * HOUR_MS) * 1_000_000n,
    });
  }

  /** Ids repeat, are not in order, and come from three windows. */
  #id(): string {
    const createdAtMs =
      WINDOW_MS + this.#random.below(WINDOWS) * 6 * HOUR_MS + this.#random.below(4);
    return ulidAt(createdAtMs, this.#random.below(60));
  }

  #block(): BlockSpec {
    const minTimeMs = WINDOW_MS - this.#random.below(1_000_000);
    return {
      id: this.#id(),
      tenant: this.#random.pick(OWNERS),
      shard: this.#random.below(SHARDS),
      level: this.#random.below(3),
      minTimeMs,
      maxTimeMs: minTimeMs + this.#random.below(100_000),
      createdBy: `writer-${this.#random.below(400)}`,
      sizeBytes: BigInt(this.#random.below(1_000_000)),
      datasets: Array.from(
        { length: this.#random.below(this.#random.below(3) === 0 ? 200 : 20) },
        () => this.#dataset(minTimeMs),
      ),
    };
  }

  #dataset(minTimeMs: number): DatasetSpec {
    const name = `service-${this.#random.below(this.#random.below(2) === 0 ? 5 : 200)}`;
    const sets = Array.from({ length: this.#random.below(3) }, () => [
      ["service_name", name] as const,
      ["type", `t${this.#random.below(4)}`] as const,
      ...(this.#random.below(3) === 0 ? [["type", "second"] as const] : []),
    ]);
    return { name, sets, minTimeMs: minTimeMs + this.#random.below(50_000) - 25_000 };
  }
}

function placeOf(block: BlockSpec): BlockPlace {
  return { tenant: block.tenant ?? "", shard: block.shard ?? 1, id: block.id };
}

function keyOf({ tenant, shard, id }: BlockPlace): string {
  return `${tenant}/${shard}/${id}`;
}
