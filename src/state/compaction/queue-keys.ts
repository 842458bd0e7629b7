/** The keys of one level in memory: found by tenant and shard, kept in the order of their last update. */

import { ULID_BYTES } from "../../base/index.ts";
import type { BlockTest } from "./block-test.ts";
import type { LevelPolicy } from "./policy.ts";
import { KEY_HEAD, type KeyPlace, QUEUE_ROW } from "./rows.ts";

/** One compaction key with its staged batch. */
export class QueueKey implements KeyPlace {
  readonly tenant: number;
  readonly shard: number;
  readonly level: number;
  limits: LevelPolicy;
  /** Position in the order of last updates. */
  touch = 0;
  /** When the staged batch got its first block, Unix ms; 0: none since the last flush. */
  createdAtMs = 0;
  /** Number of the staged batch within the key. */
  stagedSeq = 1;
  stagedCount = 0;
  /** Live blocks, staged and flushed. */
  blocks = 0;
  /** Flushed batches. */
  batches = 0;
  /** What `compactionAges` holds for the key; 0: nothing. */
  storedAgeMs = 0;
  isDirty = false;
  /** Neighbours in the order of last updates; of LevelKeys only. */
  previous: QueueKey | null = null;
  next: QueueKey | null = null;
  /** The value of the key's row: head, then the staged rows. */
  #value: Uint8Array;
  #f64: Float64Array;

  constructor(place: KeyPlace, limits: LevelPolicy, rowsMax = 2) {
    this.tenant = place.tenant;
    this.shard = place.shard;
    this.level = place.level;
    this.limits = limits;
    this.#value = new Uint8Array(KEY_HEAD.bytes + rowsMax * QUEUE_ROW.bytes);
    this.#f64 = new Float64Array(this.#value.buffer);
  }

  append(bytes: Uint8Array, offset: number, logIndex: number, appendedAtMs: number): void {
    const at = KEY_HEAD.bytes + this.stagedCount * QUEUE_ROW.bytes;
    if (at + QUEUE_ROW.bytes > this.#value.length) this.#grow();
    for (let i = 0; i < ULID_BYTES; i++) this.#value[at + i] = bytes[offset + i] as number;
    this.#f64[(at >>> 3) + QUEUE_ROW.logIndex64] = logIndex;
    this.#f64[(at >>> 3) + QUEUE_ROW.appendedAtMs64] = appendedAtMs;
    this.stagedCount++;
  }

  /** The staged rows. Borrowed until the next change. */
  rows(): Uint8Array {
    const end = KEY_HEAD.bytes + this.stagedCount * QUEUE_ROW.bytes;
    return this.#value.subarray(KEY_HEAD.bytes, end);
  }

  /** The staged batch was flushed: another one begins. */
  beginBatch(): void {
    this.stagedSeq++;
    this.stagedCount = 0;
    this.createdAtMs = 0;
  }

  /** Takes staged blocks out; returns how many. */
  removeStaged(test: BlockTest): number {
    const rows = this.rows();
    const kept = rowsWithout(rows, test);
    if (kept === null) return 0;
    this.#value.set(kept, KEY_HEAD.bytes);
    const removed = this.stagedCount - kept.length / QUEUE_ROW.bytes;
    this.stagedCount -= removed;
    return removed;
  }

  /** Value of the key's row. Borrowed until the next change. */
  encode(): Uint8Array {
    const u32 = new Uint32Array(this.#value.buffer, 0, KEY_HEAD.bytes / 4);
    this.#f64[KEY_HEAD.touch64] = this.touch;
    this.#f64[KEY_HEAD.createdAtMs64] = this.createdAtMs;
    u32[KEY_HEAD.stagedSeq32] = this.stagedSeq;
    u32[KEY_HEAD.blocks32] = this.blocks;
    u32[KEY_HEAD.batches32] = this.batches;
    return this.#value.subarray(0, KEY_HEAD.bytes + this.stagedCount * QUEUE_ROW.bytes);
  }

  /** Takes the value of the key's row over. */
  decode(value: Uint8Array): void {
    this.#value = new Uint8Array(value);
    this.#f64 = new Float64Array(this.#value.buffer);
    const u32 = new Uint32Array(this.#value.buffer, 0, KEY_HEAD.bytes / 4);
    this.touch = this.#f64[KEY_HEAD.touch64] as number;
    this.createdAtMs = this.#f64[KEY_HEAD.createdAtMs64] as number;
    this.stagedSeq = u32[KEY_HEAD.stagedSeq32] as number;
    this.blocks = u32[KEY_HEAD.blocks32] as number;
    this.batches = u32[KEY_HEAD.batches32] as number;
    this.stagedCount = (value.length - KEY_HEAD.bytes) / QUEUE_ROW.bytes;
    this.storedAgeMs = this.stagedCount > 0 ? this.createdAtMs : 0;
  }

  #grow(): void {
    // A key that was read back without staged rows has room for none: twice nothing would be nothing.
    const rowsBytes = Math.max(QUEUE_ROW.bytes, this.#value.length - KEY_HEAD.bytes);
    const value = new Uint8Array(KEY_HEAD.bytes + 2 * rowsBytes);
    value.set(this.#value);
    this.#value = value;
    this.#f64 = new Float64Array(value.buffer);
  }
}

export class LevelKeys {
  readonly level: number;
  /** Totals of the level, kept by the queue. */
  blocks = 0;
  batches = 0;
  size = 0;
  readonly #byTenant = new Map<number, Map<number, QueueKey>>();
  #first: QueueKey | null = null;
  #last: QueueKey | null = null;

  constructor(level: number) {
    this.level = level;
  }

  static decode(place: KeyPlace, limits: LevelPolicy, value: Uint8Array): QueueKey {
    const key = new QueueKey(place, limits);
    key.decode(value);
    return key;
  }

  /** The least recently updated key. */
  get first(): QueueKey | null {
    return this.#first;
  }

  find(tenant: number, shard: number): QueueKey | null {
    return this.#byTenant.get(tenant)?.get(shard) ?? null;
  }

  add(place: KeyPlace, limits: LevelPolicy): QueueKey {
    const key = new QueueKey(place, limits);
    this.#insert(key);
    return key;
  }

  /** A key as it was stored, later than all before it in the order of updates. */
  restore(key: QueueKey): void {
    this.#insert(key);
    this.blocks += key.blocks;
    this.batches += key.batches;
  }

  remove(key: QueueKey): void {
    this.#unlink(key);
    const shards = this.#byTenant.get(key.tenant);
    shards?.delete(key.shard);
    if (shards?.size === 0) this.#byTenant.delete(key.tenant);
    this.size--;
  }

  moveToEnd(key: QueueKey): void {
    if (this.#last === key) return;
    this.#unlink(key);
    this.#link(key);
  }

  *all(): Iterable<QueueKey> {
    for (let key = this.#first; key !== null; key = key.next) yield key;
  }

  #insert(key: QueueKey): void {
    let shards = this.#byTenant.get(key.tenant);
    if (shards === undefined) {
      shards = new Map();
      this.#byTenant.set(key.tenant, shards);
    }
    shards.set(key.shard, key);
    this.size++;
    this.#link(key);
  }

  #link(key: QueueKey): void {
    key.previous = this.#last;
    key.next = null;
    if (this.#last === null) this.#first = key;
    else this.#last.next = key;
    this.#last = key;
  }

  #unlink(key: QueueKey): void {
    if (key.previous === null) this.#first = key.next;
    else key.previous.next = key.next;
    if (key.next === null) this.#last = key.previous;
    else key.next.previous = key.previous;
  }
}

/** The rows that stay, owned; null: all of them. */
export function rowsWithout(rows: Uint8Array, test: BlockTest): Uint8Array | null {
  let kept: Uint8Array | null = null;
  let end = 0;
  for (let at = 0; at < rows.length; at += QUEUE_ROW.bytes) {
    const goes = test(rows, at);
    if (goes && kept === null) {
      kept = rows.slice();
      end = at;
    } else if (!goes && kept !== null) {
      kept.set(rows.subarray(at, at + QUEUE_ROW.bytes), end);
      end += QUEUE_ROW.bytes;
    }
  }
  return kept === null ? null : kept.subarray(0, end);
}
