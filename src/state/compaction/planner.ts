/**
 * Which jobs can be made of the queue (compaction spec, section 8). Reads one transaction on any thread and changes
 * nothing; `next` may be called many times and remembers what it used.
 *
 * A staged batch that is too old is planned as if it had just been flushed, oldest first (spec 16, no. 8): apply takes
 * blocks wherever they stand. Cost: what is read are the batches that jobs are made of and those passed over, whatever
 * else waits.
 */

import { encodeUlid, ulidTimeMs } from "../../base/index.ts";
import { type IndexDatabase, keyF64, keyU32, keyU64 } from "../../db/index.ts";
import { isTooOld } from "./block-queue.ts";
import { type CompactionPolicy, jobSpanMaxMs, type LevelPolicy, levelsFor } from "./policy.ts";
import {
  BATCH_HEAD,
  KEY_HEAD,
  type KeyPlace,
  QUEUE_ROW,
  queueAgeKey,
  queueBatchKey,
  queueKey,
  queueOrderKey,
  tenantName,
} from "./rows.ts";

/** A job in the making. */
export interface JobDraft {
  /** Owner name; "" = segments of many tenants. */
  readonly tenant: string;
  readonly shard: number;
  readonly level: number;
  readonly sourceBlocks: readonly string[];
}

/** A batch as a place in the queue: where a job may begin. */
interface BatchPlace {
  readonly key: KeyPlace;
  readonly seq: number;
}

interface Batch extends BatchPlace {
  readonly createdAtMs: number;
  readonly ids: readonly string[];
  readonly timesMs: readonly number[];
}

/** Places read at a time. */
const PAGE = 64;
/** Candidates passed over in one preparation; the next one begins anew. Bounds the work when many cannot be planned. */
const PASSED_OVER_MAX = 4_096;

export class Planner {
  readonly #db: IndexDatabase;
  readonly #policy: CompactionPolicy;
  readonly #nowMs: number;
  readonly #hasRoom: (tenant: string) => boolean;
  readonly #used = new Set<string>();
  readonly #names = new Map<number, string>();
  #level = 0;
  /** Places of the level still to look at. */
  #page: BatchPlace[] = [];
  /** Flush number after which the next page begins. */
  #afterFlush = 0;
  /** Where the ages of staged batches go on; null: flushed batches are not through yet. */
  #afterAge: Uint8Array | null = null;
  #isLevelOver = false;
  /** Where the next candidate begins, when the last job ended inside of a batch. */
  #again: BatchPlace | null = null;
  #passedOver = 0;

  constructor(
    db: IndexDatabase,
    policy: CompactionPolicy,
    options: {
      /** Log time of the preparation, Unix ms. */
      readonly nowMs: number;
      /** Whether an owner may have another job. */
      readonly hasRoom: (tenant: string) => boolean;
    },
  ) {
    const { nowMs, hasRoom } = options;
    this.#hasRoom = hasRoom;
    this.#db = db;
    this.#policy = policy;
    this.#nowMs = nowMs;
  }

  /** The next job, or null when there is none. */
  next(): JobDraft | null {
    const { levels } = this.#policy;
    while (this.#level < levels.length && this.#passedOver < PASSED_OVER_MAX) {
      const place = this.#again ?? this.#nextPlace();
      this.#again = null;
      if (place === null) {
        this.#beginLevel(this.#level + 1);
        continue;
      }
      const job = this.#tryJob(place);
      if (job !== null) return job;
      this.#passedOver++;
    }
    return null;
  }

  #beginLevel(level: number): void {
    this.#level = level;
    this.#page = [];
    this.#afterFlush = 0;
    this.#afterAge = null;
    this.#isLevelOver = false;
  }

  #nextPlace(): BatchPlace | null {
    if (this.#policy.pausedLevels.includes(this.#level)) return null;
    while (this.#page.length === 0 && !this.#isLevelOver) this.#readPage();
    return this.#page.shift() ?? null;
  }

  #readPage(): void {
    const level = this.#level;
    if (this.#afterAge !== null) {
      this.#readAges(this.#afterAge);
      return;
    }
    const start = queueOrderKey(level, this.#afterFlush + 1).slice();
    const end = queueOrderKey(level + 1, 0).slice();
    this.#db.scan("compactionOrder", start, end, (key) => {
      const { u32 } = this.#db;
      const [tenant, shard, seq] = [u32[0] as number, u32[1] as number, u32[2] as number];
      this.#page.push({ key: { tenant, shard, level }, seq });
      this.#afterFlush = keyU64(key, 4);
      return this.#page.length < PAGE;
    });
    if (this.#page.length < PAGE) {
      this.#afterAge = queueAgeKey({ tenant: 0, shard: 0, level }, 0).slice();
    }
  }

  /** Staged batches that may be too old: their limit may be their owner's own, so each is looked at again. */
  #readAges(after: Uint8Array): void {
    const level = this.#level;
    const youngestMs = this.#nowMs - this.#shortestAgeMs(level);
    const end = queueAgeKey({ tenant: 0, shard: 0, level: level + 1 }, 0).slice();
    const places: KeyPlace[] = [];
    let last: Uint8Array | null = null;
    this.#db.scan("compactionAges", after, end, (key) => {
      if (!(keyF64(key, 4) < youngestMs) || places.length >= PAGE) return false;
      last = new Uint8Array(key);
      places.push({ tenant: keyU32(key, 12), shard: keyU32(key, 16), level });
      return true;
    });
    if (last === null || places.length < PAGE) this.#isLevelOver = true;
    else this.#afterAge = followingKey(last);
    for (const key of places) this.#page.push({ key, seq: this.#stagedSeq(key) });
  }

  #shortestAgeMs(level: number): number {
    let shortest = Number.POSITIVE_INFINITY;
    const note = (limits: LevelPolicy | null | undefined): void => {
      if (limits != null && limits.maxAgeMs > 0) {
        shortest = Math.min(shortest, limits.maxAgeMs);
      }
    };
    note(this.#policy.levels[level]);
    for (const own of Object.values(this.#policy.tenants)) note(own.levels?.[level]);
    return shortest;
  }

  /** The job that begins at a batch, or null when it would be neither full nor forced (spec 8). */
  #tryJob(place: BatchPlace): JobDraft | null {
    const { key } = place;
    const tenant = this.#nameOf(key.tenant);
    if (this.#policy.pausedTenants.includes(tenant) || !this.#hasRoom(tenant)) return null;
    const limits = levelsFor(this.#policy, tenant)[key.level] as LevelPolicy;
    const first = this.#batchAt(key, place.seq, limits);
    if (first === null) return null;
    const walk = new JobWalk(this.#used, limits.maxBlocks, jobSpanMaxMs(this.#policy));
    let batch: Batch | null = first;
    while (batch !== null && walk.take(batch)) batch = this.#batchAfter(batch, limits);
    const isForced =
      walk.isSplit || (batch === null && isTooOld(limits, first.createdAtMs, this.#nowMs));
    if (walk.ids.length === 0 || !(walk.isFull || isForced)) return null;
    if (walk.endedInside) this.#again = place;
    return { tenant, shard: key.shard, level: key.level, sourceBlocks: walk.ids };
  }

  /** A flushed batch, or the staged one if it is too old. */
  #batchAt(key: KeyPlace, seq: number, limits: LevelPolicy): Batch | null {
    const length = this.#db.get("compactionBatches", queueBatchKey(key, seq));
    if (length >= 0) return this.#readBatch(key, seq, BATCH_HEAD, length);
    return this.#staleStaged(key, seq, limits);
  }

  #batchAfter(batch: Batch, limits: LevelPolicy): Batch | null {
    const { key } = batch;
    // As a rule the next one is there: a look costs a tenth of a scan.
    const length = this.#db.get("compactionBatches", queueBatchKey(key, batch.seq + 1));
    if (length >= 0) return this.#readBatch(key, batch.seq + 1, BATCH_HEAD, length);
    if (batch.seq + 1 >= this.#stagedSeq(key)) {
      return this.#staleStaged(key, batch.seq + 1, limits);
    }
    const start = queueBatchKey(key, batch.seq + 2).slice();
    const end = queueBatchKey(key, 0xffff_ffff).slice();
    let next: Batch | null = null;
    this.#db.scan("compactionBatches", start, end, (rowKey, length) => {
      next = this.#readBatch(key, keyU32(rowKey, 12), BATCH_HEAD, length);
      return false;
    });
    return next ?? this.#staleStaged(key, batch.seq + 1, limits);
  }

  /** The staged batch if it is too old, and its number `fromSeq` or later. */
  #staleStaged(key: KeyPlace, fromSeq: number, limits: LevelPolicy): Batch | null {
    const length = this.#db.get("compactionKeys", queueKey(key));
    if (length <= KEY_HEAD.bytes) return null;
    const seq = this.#db.u32[KEY_HEAD.stagedSeq32] as number;
    const createdAtMs = this.#db.f64[KEY_HEAD.createdAtMs64] as number;
    if (seq < fromSeq || !isTooOld(limits, createdAtMs, this.#nowMs)) return null;
    return this.#readBatch(key, seq, KEY_HEAD, length);
  }

  #stagedSeq(key: KeyPlace): number {
    const length = this.#db.get("compactionKeys", queueKey(key));
    return length < 0 ? 0 : (this.#db.u32[KEY_HEAD.stagedSeq32] as number);
  }

  #readBatch(
    key: KeyPlace,
    seq: number,
    head: { readonly bytes: number; readonly createdAtMs64: number },
    length: number,
  ): Batch {
    const { u8, f64 } = this.#db;
    const ids: string[] = [];
    const timesMs: number[] = [];
    for (let at = head.bytes; at < length; at += QUEUE_ROW.bytes) {
      ids.push(encodeUlid(u8, at));
      timesMs.push(ulidTimeMs(u8, at));
    }
    return { key, seq, createdAtMs: f64[head.createdAtMs64] as number, ids, timesMs };
  }

  #nameOf(tenant: number): string {
    let name = this.#names.get(tenant);
    if (name === undefined) {
      name = tenantName(this.#db, tenant);
      this.#names.set(tenant, name);
    }
    return name;
  }
}

/** Collects the blocks of one job, batch after batch. */
class JobWalk {
  readonly ids: string[] = [];
  /** A block did not fit in time. */
  isSplit = false;
  /** The batch in which the walk ended has more blocks. */
  endedInside = false;
  readonly #used: Set<string>;
  readonly #blocksMax: number;
  readonly #spanMaxMs: number;
  #minMs = Number.POSITIVE_INFINITY;
  #maxMs = Number.NEGATIVE_INFINITY;

  constructor(used: Set<string>, blocksMax: number, spanMaxMs: number) {
    this.#used = used;
    this.#blocksMax = blocksMax;
    this.#spanMaxMs = spanMaxMs;
  }

  get isFull(): boolean {
    return this.ids.length >= this.#blocksMax;
  }

  /** Takes what it can of a batch; false: the job is complete. */
  take(batch: Batch): boolean {
    for (const [i, id] of batch.ids.entries()) {
      if (this.#used.has(id)) continue;
      const timeMs = batch.timesMs[i] as number;
      if (!this.#fits(timeMs)) {
        this.isSplit = true;
        this.endedInside = true;
        return false;
      }
      this.#used.add(id);
      this.ids.push(id);
      this.#minMs = Math.min(this.#minMs, timeMs);
      this.#maxMs = Math.max(this.#maxMs, timeMs);
      if (this.isFull) {
        this.endedInside = i + 1 < batch.ids.length;
        return false;
      }
    }
    return true;
  }

  /** Spec 8.1: a span of exactly the limit is allowed. */
  #fits(timeMs: number): boolean {
    if (this.#spanMaxMs === 0 || this.ids.length === 0) return true;
    return timeMs - this.#minMs <= this.#spanMaxMs && this.#maxMs - timeMs <= this.#spanMaxMs;
  }
}

/** The smallest key after `key`. */
function followingKey(key: Uint8Array): Uint8Array {
  const next = new Uint8Array(key.length + 1);
  next.set(key);
  return next;
}
