/**
 * The partitions and shards of the index, for a retention pass, on the main thread: owner by owner, in pieces of a
 * millisecond with turns of the event loop between them, however many shards a partition has.
 *
 * Between two pieces the index goes on. That is harmless: whatever is chosen is judged again, by itself, when the entry is
 * applied (RetireShards). Of most owners only the oldest partition is looked at: their records ascend.
 */
import {
  type IndexDatabase,
  KeyBuffer,
  keyU32,
  PARTITION_RECORD,
  PARTITION_RECORD_BYTES,
  SHARD_RECORD,
  SHARD_RECORD_BYTES,
} from "../../db/index.ts";
import { inSlices, type SliceModules } from "../slices.ts";
import type { PartitionTimes, RetentionPass, ShardContent } from "./pass.ts";

/** Shards between two looks at the clock, 0.1 ms. */
const SHARDS_PER_STEP = 256;
/** Owners found by one scan of their table, which costs as much as ten of them. */
const OWNERS_PER_SCAN = 64;

const ownerKey = new KeyBuffer(4);
const partitionKey = new KeyBuffer(16);
const END = new Uint8Array(5).fill(0xff);

/** Shows every shard that may be due to the pass. Errors: the signal's reason, or of the database. */
export function scanIndex(pass: RetentionPass, modules: SliceModules): Promise<void> {
  const scan = new IndexScan(pass, modules.db);
  return inSlices(() => scan.advance(), modules);
}

type Mutable<T> = { -readonly [K in keyof T]: T[K] };

class IndexScan {
  readonly #pass: RetentionPass;
  readonly #db: IndexDatabase;
  /** Found and not looked at yet, ascending. */
  #owners: number[] = [];
  /** Where to look for more; null: there are none. */
  #ownersFrom: number | null = 1;
  /** The anonymous owner's turn has come. */
  #isLast = false;
  /** Partitions of the anonymous owner that may hold something due, and those of them that a tenant is in as well. */
  #anonymous: readonly PartitionTimes[] | null = null;
  readonly #shared = new Set<number>();
  /** Due partitions of the owner at hand that were not looked at yet. */
  #waiting: PartitionTimes[] = [];
  /** Shards below it of the first of them were looked at. */
  #shard = 0;
  #tenant = { id: 0, name: "" };
  /** Of the shard at hand. One for all: ten thousand a pass would bring garbage collection into its turns. */
  readonly #content: Mutable<ShardContent> = { shard: 0, blocks: 0, bytes: 0, newestMs: 0 };

  constructor(pass: RetentionPass, db: IndexDatabase) {
    this.#pass = pass;
    this.#db = db;
  }

  /** Some shards of a partition, or one owner's list of them; false at the end. */
  advance(): boolean {
    this.#anonymous ??= this.#duePartitions(0, "");
    const partition = this.#waiting[0];
    if (partition !== undefined) {
      const { id, name } = this.#tenant;
      if (this.#lookAt(id, name, partition)) return true;
      this.#waiting.shift();
      this.#shard = 0;
      return true;
    }
    const id = this.#nextOwner();
    if (id === null) {
      if (this.#isLast) return false;
      // The anonymous owner comes last: by now it is known where tenants are.
      this.#isLast = true;
      this.#tenant = { id: 0, name: "" };
      this.#waiting = [...this.#anonymous];
      return true;
    }
    const name = this.#nameOf(id);
    // An owner without a name is damage, and must not pass for the anonymous one.
    if (name === "") return true;
    this.#tenant = { id, name };
    this.#waiting = this.#duePartitions(id, name);
    return true;
  }

  #nextOwner(): number | null {
    if (this.#owners.length === 0 && this.#ownersFrom !== null)
      this.#owners = this.#findOwners(this.#ownersFrom);
    return this.#owners.shift() ?? null;
  }

  #findOwners(from: number): number[] {
    const found: number[] = [];
    this.#db.scan("owners", ownerKey.u32(0, from).bytes.slice(), END, (key) => {
      found.push(keyU32(key, 0));
      return found.length < OWNERS_PER_SCAN;
    });
    this.#ownersFrom = found.length < OWNERS_PER_SCAN ? null : (found.at(-1) as number) + 1;
    return found;
  }

  #nameOf(id: number): string {
    const length = this.#db.get("tenants", ownerKey.u32(0, id).bytes);
    return length < 0 ? "" : Buffer.from(this.#db.value(length)).toString("utf8");
  }

  #duePartitions(id: number, name: string): PartitionTimes[] {
    const due: PartitionTimes[] = [];
    const length = this.#db.get("owners", ownerKey.u32(0, id).bytes);
    const { f64, u32 } = this.#db;
    for (let at = 0; at < length; at += PARTITION_RECORD_BYTES) {
      const startMs = f64[at / 8 + PARTITION_RECORD.startMs64] as number;
      const durationMs = 1_000 * (u32[at / 4 + PARTITION_RECORD.durationSec32] as number);
      const partition = { startMs, durationMs };
      const isDue = this.#pass.mayHold(name, partition);
      // Where the anonymous owner has nothing that may go, it does not matter who is there.
      if (!isDue && !this.#pass.mayHold("", partition)) break;
      if (id !== 0) this.#shared.add(startMs);
      if (isDue) due.push(partition);
    }
    return due;
  }

  /** Whether the partition has more shards. Their records ascend, so that it goes on whatever changed meanwhile. */
  #lookAt(id: number, name: string, partition: PartitionTimes): boolean {
    const { startMs, durationMs } = partition;
    const key = partitionKey
      .u32(0, id)
      .u64(4, startMs)
      .u32(12, durationMs / 1_000).bytes;
    const length = this.#db.get("partitions", key);
    const { f64, u32 } = this.#db;
    const isAlone = !this.#shared.has(startMs);
    let left = SHARDS_PER_STEP;
    for (let at = 0; at < length; at += SHARD_RECORD_BYTES) {
      const shard = u32[at / 4 + SHARD_RECORD.shard32] as number;
      if (shard < this.#shard) continue;
      if (left-- === 0) return true;
      this.#shard = shard + 1;
      this.#readShard(u32, f64, at);
      this.#pass.look(name, partition, this.#content, isAlone);
    }
    return false;
  }

  /** The record at byte `at` of the value that was read last. */
  #readShard(words: Uint32Array, doubles: Float64Array, at: number): void {
    const content = this.#content;
    content.shard = words[at / 4 + SHARD_RECORD.shard32] as number;
    content.blocks = words[at / 4 + SHARD_RECORD.blocks32] as number;
    content.bytes = doubles[at / 8 + SHARD_RECORD.bytes64] as number;
    content.newestMs = doubles[at / 8 + SHARD_RECORD.liveMaxMs64] as number;
  }
}
