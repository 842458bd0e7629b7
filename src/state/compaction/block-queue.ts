/**
 * The block queue (compaction spec, section 7): per key one staged batch and the flushed ones, per level the order in
 * which batches were flushed. Everything here happens inside the write transaction of `apply`.
 *
 * On the way of every AddBlock, so made of few puts: a push changes memory only, `flush` stores each touched key once
 * per transaction with its staged batch, and a flushed batch is one row of its own. Keys are all in memory from the
 * first push on, since the check for one stale key (7.3) needs the least recently updated of a level at once; they are
 * read back from their rows, so a start and a failed transaction lose nothing.
 *
 * A block stands in one place only (DESIGN.md, "One place"), so a push never has to look for the id.
 */

import { type IndexDatabase, keyU32 } from "../../db/index.ts";
import type { BlockTest } from "./block-test.ts";
import type { CompactionMeta } from "./meta.ts";
import { type CompactionPolicy, type LevelPolicy, levelsFor } from "./policy.ts";
import { type ForeignBatch, QueueBatches } from "./queue-batches.ts";
import { LevelKeys, type QueueKey } from "./queue-keys.ts";
import { type KeyPlace, QUEUE_ROW, queueAgeKey, queueKey, tenantName } from "./rows.ts";

export interface BlockQueueModules {
  readonly db: IndexDatabase;
  readonly meta: CompactionMeta;
}

/** Totals of a level. */
export interface LevelTotals {
  readonly level: number;
  readonly blocks: number;
  /** Flushed batches. */
  readonly batches: number;
  /** Keys with blocks. */
  readonly queues: number;
}

const EMPTY = new Uint8Array(0);

export class BlockQueue {
  readonly #db: IndexDatabase;
  readonly #meta: CompactionMeta;
  readonly #batches: QueueBatches;
  readonly #levels: LevelKeys[] = [];
  #dirty: QueueKey[] = [];
  #isLoaded = false;
  /** Since the start, by level. */
  readonly pushed: number[] = [];

  constructor({ db, meta }: BlockQueueModules) {
    this.#db = db;
    this.#meta = meta;
    this.#batches = new QueueBatches(db);
  }

  /** Queues a block that is in no queue. `nowMs` does not decrease from push to push. */
  push(
    place: KeyPlace,
    id: { readonly bytes: Uint8Array; readonly offset: number },
    position: { readonly logIndex: number; readonly appendedAtMs: number; readonly nowMs: number },
    policy: CompactionPolicy,
  ): void {
    const level = this.#level(place.level);
    const key = level.find(place.tenant, place.shard) ?? this.#create(level, place, policy);
    const { nowMs } = position;
    this.#touch(level, key);
    if (key.stagedCount === 0) key.createdAtMs = nowMs;
    key.append(id.bytes, id.offset, position.logIndex, position.appendedAtMs);
    key.blocks++;
    level.blocks++;
    this.pushed[place.level] = (this.pushed[place.level] ?? 0) + 1;
    const { limits } = key;
    if (key.stagedCount >= limits.maxBlocks || isTooOld(limits, key.createdAtMs, nowMs)) {
      this.#flushStaged(level, key);
    }
    this.#checkOneStale(level, nowMs);
  }

  /** Takes blocks out of one key; returns how many were there. Reads batches from the oldest until `countMax` are found. */
  remove(place: KeyPlace, test: BlockTest, countMax = Number.POSITIVE_INFINITY): number {
    const level = this.#level(place.level);
    const key = level.find(place.tenant, place.shard);
    if (key === null) return 0;
    let removed = key.batches === 0 ? 0 : this.#removeFlushed(level, key, test, countMax);
    if (removed < countMax) removed += key.removeStaged(test);
    if (removed === 0) return 0;
    key.blocks -= removed;
    level.blocks -= removed;
    this.#markDirty(key);
    if (key.blocks === 0) level.remove(key);
    return removed;
  }

  /** Every level that was ever used. */
  totals(): LevelTotals[] {
    this.#load();
    return this.#levels.map(({ level, blocks, batches, size }) => ({
      level,
      blocks,
      batches,
      queues: size,
    }));
  }

  /** Every key with blocks. */
  keys(): QueueKey[] {
    this.#load();
    return this.#levels.flatMap((level) => [...level.all()]);
  }

  /** Limits may have changed. */
  applyPolicy(policy: CompactionPolicy): void {
    this.#load();
    for (const level of this.#levels) {
      for (const key of level.all()) key.limits = this.#limitsOf(key, policy);
    }
  }

  /** Stores what the transaction changed. */
  flush(): void {
    for (const key of this.#dirty) {
      key.isDirty = false;
      this.#storeAge(key);
      if (key.blocks === 0) this.#db.remove("compactionKeys", queueKey(key));
      else this.#db.put("compactionKeys", queueKey(key), key.encode());
    }
    this.#dirty = [];
  }

  /** After a transaction that did not happen. */
  forget(): void {
    this.#levels.length = 0;
    this.#dirty = [];
    this.#isLoaded = false;
  }

  #level(level: number): LevelKeys {
    this.#load();
    while (this.#levels.length <= level) this.#levels.push(new LevelKeys(this.#levels.length));
    return this.#levels[level] as LevelKeys;
  }

  #create(level: LevelKeys, place: KeyPlace, policy: CompactionPolicy): QueueKey {
    return level.add(place, this.#limitsOf(place, policy));
  }

  #limitsOf(place: KeyPlace, policy: CompactionPolicy): LevelPolicy {
    const hasOwn = Object.keys(policy.tenants).length > 0;
    const levels = hasOwn ? levelsFor(policy, tenantName(this.#db, place.tenant)) : policy.levels;
    // A level that the policy gave up keeps what it holds, and is not planned.
    return levels[place.level] ?? { maxBlocks: Number.POSITIVE_INFINITY, maxAgeMs: 0 };
  }

  #touch(level: LevelKeys, key: QueueKey): void {
    key.touch = ++this.#meta.touch;
    this.#meta.isDirty = true;
    level.moveToEnd(key);
    this.#markDirty(key);
  }

  #markDirty(key: QueueKey): void {
    if (key.isDirty) return;
    key.isDirty = true;
    this.#dirty.push(key);
  }

  /** Spec 7.3: the least recently updated key of the level, and no other. */
  #checkOneStale(level: LevelKeys, nowMs: number): void {
    const key = level.first;
    if (key === null) return;
    const { limits } = key;
    if (limits.maxAgeMs === 0) return;
    // A batch that has been flushed counts as created at time 0.
    const isFresh = key.createdAtMs === 0;
    if (!isFresh && !isTooOld(limits, key.createdAtMs, nowMs)) return;
    if (key.stagedCount > 0) this.#flushStaged(level, key);
    this.#touch(level, key);
  }

  #flushStaged(level: LevelKeys, key: QueueKey): void {
    const flush = ++this.#meta.flush;
    this.#meta.isDirty = true;
    this.#batches.put(key, key.stagedSeq, { createdAtMs: key.createdAtMs, flush }, key.rows());
    key.beginBatch();
    key.batches++;
    level.batches++;
    this.#markDirty(key);
  }

  #removeFlushed(level: LevelKeys, key: QueueKey, test: BlockTest, countMax: number): number {
    let removed = 0;
    const changed: ForeignBatch[] = [];
    this.#batches.each(key, 0, (batch) => {
      const kept = batch.without(test);
      if (kept !== null) {
        removed += batch.count - kept.length / QUEUE_ROW.bytes;
        changed.push({ ...batch.head, seq: batch.seq, rows: kept });
      }
      return removed < countMax;
    });
    for (const { seq, createdAtMs, flush, rows } of changed) {
      if (rows.length > 0) {
        this.#batches.put(key, seq, { createdAtMs, flush }, rows);
        continue;
      }
      this.#batches.remove(key, seq, flush);
      key.batches--;
      level.batches--;
    }
    return removed;
  }

  /** Keeps the one row by which the planner finds a staged batch that has grown old. */
  #storeAge(key: QueueKey): void {
    const createdAtMs = key.stagedCount > 0 ? key.createdAtMs : 0;
    if (createdAtMs === key.storedAgeMs) return;
    if (key.storedAgeMs > 0) this.#db.remove("compactionAges", queueAgeKey(key, key.storedAgeMs));
    if (createdAtMs > 0) this.#db.put("compactionAges", queueAgeKey(key, createdAtMs), EMPTY);
    key.storedAgeMs = createdAtMs;
  }

  /** Cost: one scan over all keys, once after a start. */
  #load(): void {
    if (this.#isLoaded) return;
    this.#isLoaded = true;
    const found: { place: KeyPlace; value: Uint8Array }[] = [];
    this.#db.scan(
      "compactionKeys",
      new Uint8Array(1),
      new Uint8Array(13).fill(0xff),
      (key, length) => {
        const place = { tenant: keyU32(key, 0), shard: keyU32(key, 4), level: keyU32(key, 8) };
        found.push({ place, value: this.#db.u8.slice(0, length) });
        return true;
      },
    );
    const { policy } = this.#meta;
    const keys = found.map(({ place, value }) => {
      while (this.#levels.length <= place.level)
        this.#levels.push(new LevelKeys(this.#levels.length));
      const limits = policy === null ? NO_LIMITS : this.#limitsOf(place, policy);
      return LevelKeys.decode(place, limits, value);
    });
    keys.sort((a, b) => a.touch - b.touch);
    for (const key of keys) (this.#levels[key.level] as LevelKeys).restore(key);
  }
}

const NO_LIMITS: LevelPolicy = { maxBlocks: Number.POSITIVE_INFINITY, maxAgeMs: 0 };

/** Spec 7.2: strictly older than the level allows; 0 allows any age. */
export function isTooOld(limits: LevelPolicy, createdAtMs: number, nowMs: number): boolean {
  return limits.maxAgeMs > 0 && nowMs - createdAtMs > limits.maxAgeMs;
}
