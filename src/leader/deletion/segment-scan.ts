/**
 * Segments of the anonymous owner that hold data of tenants that are being deleted, on the main thread in pieces of a
 * millisecond with turns of the event loop between them.
 *
 * A dictionary that has no key of such a tenant spares all shards that use it, and a shard without blocks costs nothing. So
 * after compaction has split what there was, this reads a few records. Between two pieces the index goes on: what is found is
 * judged again by apply, each block by itself.
 */
import {
  encodeUlid,
  HASH_SEED_HIGH,
  HASH_SEED_LOW,
  hashBytes,
  ULID_BYTES,
  ulidTimeMs,
} from "../../base/index.ts";
import {
  chunkCount,
  chunkHeadWords,
  chunkItemEnd,
  chunkItemStart,
  type IndexDatabase,
  KEYS_PER_CHUNK_SHIFT,
  KeyBuffer,
  PARTITION_RECORD,
  PARTITION_RECORD_BYTES,
  SHARD_RECORD,
  SHARD_RECORD_BYTES,
  STRINGS_PER_CHUNK_SHIFT,
} from "../../db/index.ts";
import { ENTRY_ROW, EntryReader } from "../../protocol/index.ts";
import { inSlices, type SliceModules } from "../slices.ts";

/** A tenant that is looked for. */
export interface SoughtTenant {
  readonly tenant: string;
  /** Segments made after it are not from before its deletion, Unix ms. */
  readonly requestedAtMs: number;
}

export interface FoundSegment {
  readonly shard: number;
  readonly id: string;
  /** One of the tenants in it. */
  readonly tenant: string;
}

export interface FoundSegments {
  /** Of sought tenants alone; at most `aloneMax`. */
  readonly alone: readonly FoundSegment[];
  /** Others with data of a sought tenant, from before its request, by tenant. */
  readonly mixed: ReadonlyMap<string, number>;
}

interface Scan {
  readonly db: IndexDatabase;
  readonly sought: ReadonlyMap<string, SoughtTenant>;
  readonly aloneMax: number;
  readonly alone: FoundSegment[];
  readonly mixed: Map<string, number>;
  /** By dictionary: whose keys are those of sought tenants. */
  readonly keys: Map<number, ReadonlyMap<number, string>>;
}

interface Shard {
  readonly shard: number;
  readonly ordinal: number;
  readonly dictionary: number;
}

/** Of a piece: some hundred microseconds each. */
const BLOCKS_PER_STEP = 64;
const CHUNKS_PER_STEP = 32;
/** Clocks of writers and of the leader differ. */
const CLOCK_SKEW_MS = 5 * 60_000;

const STRING_MASK = (1 << STRINGS_PER_CHUNK_SHIFT) - 1;

/** Errors: the signal's reason, or of the database. */
export async function scanSegments(
  tenants: readonly SoughtTenant[],
  aloneMax: number,
  modules: SliceModules,
): Promise<FoundSegments> {
  const scan: Scan = {
    db: modules.db,
    sought: new Map(tenants.map((sought) => [sought.tenant, sought])),
    aloneMax,
    alone: [],
    mixed: new Map(),
    keys: new Map(),
  };
  const steps = scanAll(scan);
  await inSlices(() => steps.next().done !== true, modules);
  return scan;
}

function* scanAll(scan: Scan): Generator<void> {
  for (const partition of readPartitions(scan.db)) {
    yield;
    for (const shard of readShards(scan.db, partition)) {
      const known = scan.keys.get(shard.dictionary);
      const keys = known ?? (yield* findKeys(scan, shard.dictionary));
      scan.keys.set(shard.dictionary, keys);
      if (keys.size > 0) yield* scanShard(scan, shard, keys);
    }
  }
}

interface Partition {
  readonly startMs: number;
  readonly durationSec: number;
}

/** Partitions of the anonymous owner that hold blocks. */
function readPartitions(db: IndexDatabase): Partition[] {
  const found: Partition[] = [];
  const length = db.get("owners", new KeyBuffer(4).bytes);
  for (let at = 0; at < length; at += PARTITION_RECORD_BYTES) {
    if (db.u32[at / 4 + PARTITION_RECORD.blocks32] === 0) continue;
    const startMs = db.f64[at / 8 + PARTITION_RECORD.startMs64] as number;
    found.push({ startMs, durationSec: db.u32[at / 4 + PARTITION_RECORD.durationSec32] as number });
  }
  return found;
}

function readShards(db: IndexDatabase, { startMs, durationSec }: Partition): Shard[] {
  const key = new KeyBuffer(16).u32(0, 0).u64(4, startMs).u32(12, durationSec).bytes;
  const found: Shard[] = [];
  const length = db.get("partitions", key);
  for (let at = 0; at < length; at += SHARD_RECORD_BYTES) {
    if (db.u32[at / 4 + SHARD_RECORD.blocks32] === 0) continue;
    found.push({
      shard: db.u32[at / 4 + SHARD_RECORD.shard32] as number,
      ordinal: db.u32[at / 4 + SHARD_RECORD.ordinal32] as number,
      dictionary: db.u32[at / 4 + SHARD_RECORD.dictionary32] as number,
    });
  }
  return found;
}

/** Dataset keys of sought tenants in a dictionary. Keys that are added meanwhile are found by the next scan. */
function* findKeys(scan: Scan, dictionary: number): Generator<void, Map<number, string>> {
  const { db, sought } = scan;
  const names = new Map<number, string>();
  for (const tenant of sought.keys()) {
    const id = findString(db, dictionary, tenant);
    if (id >= 0) names.set(id, tenant);
  }
  const keys = new Map<number, string>();
  if (names.size === 0) return keys;
  const length = db.get("dictionaries", new KeyBuffer(4).u32(0, dictionary).bytes);
  const nextKey = length < 0 ? 0 : (db.u32[1] as number);
  const chunkKey = new KeyBuffer(8);
  for (let chunk = 0; chunk << KEYS_PER_CHUNK_SHIFT < nextKey; chunk++) {
    if (chunk % CHUNKS_PER_STEP === CHUNKS_PER_STEP - 1) yield;
    if (db.get("keys", chunkKey.u32(0, dictionary).u32(4, chunk).bytes) < 0) continue;
    const count = chunkCount(db.u32);
    for (let i = 0; i < count; i++) {
      const start = chunkHeadWords(count) + chunkItemStart(db.u32, i);
      const tenant = names.get(db.u32[start] as number);
      if (tenant !== undefined) keys.set((chunk << KEYS_PER_CHUNK_SHIFT) + i, tenant);
    }
  }
  return keys;
}

/** Id of a string, or -1. */
function findString(db: IndexDatabase, dictionary: number, text: string): number {
  const bytes = Buffer.from(text);
  const key = new KeyBuffer(12)
    .u32(0, dictionary)
    .u32(4, hashBytes(bytes, 0, bytes.length, HASH_SEED_HIGH))
    .u32(8, hashBytes(bytes, 0, bytes.length, HASH_SEED_LOW)).bytes;
  const length = db.get("stringIds", key);
  const candidates = length < 0 ? [] : Array.from(db.u32.subarray(0, length / 4));
  return candidates.find((id) => bytes.equals(stringOf(db, dictionary, id))) ?? -1;
}

function stringOf(db: IndexDatabase, dictionary: number, id: number): Uint8Array {
  const chunk = new KeyBuffer(8).u32(0, dictionary).u32(4, id >>> STRINGS_PER_CHUNK_SHIFT).bytes;
  if (db.get("strings", chunk) < 0) return new Uint8Array(0);
  const base = 4 * chunkHeadWords(chunkCount(db.u32));
  const i = id & STRING_MASK;
  return db.u8.slice(base + chunkItemStart(db.u32, i), base + chunkItemEnd(db.u32, i));
}

function* scanShard(
  scan: Scan,
  { shard, ordinal }: Shard,
  keys: ReadonlyMap<number, string>,
): Generator<void> {
  const { db } = scan;
  const entry = new EntryReader(db);
  const begin = new KeyBuffer(4 + ULID_BYTES + 1).u32(0, ordinal);
  const end = new KeyBuffer(4).u32(0, ordinal + 1).bytes;
  let start = begin.bytes.subarray(0, 4 + ULID_BYTES);
  for (;;) {
    let count = 0;
    db.scan("blocks", start, end, (key, length) => {
      entry.reset(0, length);
      noteEntry(scan, { shard, id: key, entry }, keys);
      count++;
      // A zero byte more: right behind that block.
      if (count === BLOCKS_PER_STEP) start = begin.copy(4, key, 4, 4 + ULID_BYTES).bytes;
      return count < BLOCKS_PER_STEP;
    });
    if (count < BLOCKS_PER_STEP) return;
    yield;
  }
}

function noteEntry(
  scan: Scan,
  {
    shard,
    id,
    entry,
  }: { readonly shard: number; readonly id: Uint8Array; readonly entry: EntryReader },
  keys: ReadonlyMap<number, string>,
): void {
  const tenants = new Set<string>();
  let others = 0;
  for (let row = 0; row < entry.rowsCount; row++) {
    const tenant = keys.get(entry.rowU32(row, ENTRY_ROW.key));
    if (tenant === undefined) others++;
    else tenants.add(tenant);
  }
  const [first] = tenants;
  if (first === undefined) return;
  if (others === 0) {
    if (scan.alone.length < scan.aloneMax)
      scan.alone.push({ shard, id: encodeUlid(id, 4), tenant: first });
    return;
  }
  const createdAtMs = ulidTimeMs(id, 4);
  for (const tenant of tenants) {
    const requestedAtMs = scan.sought.get(tenant)?.requestedAtMs ?? 0;
    if (createdAtMs > requestedAtMs + CLOCK_SKEW_MS) continue;
    scan.mixed.set(tenant, (scan.mixed.get(tenant) ?? 0) + 1);
  }
}
