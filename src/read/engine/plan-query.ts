/**
 * QueryMetadata (index-and-query 6): owners -> shards that time allows -> keys that the selector allows -> rows ->
 * entries -> chunks. Numbered steps: DESIGN.md, "A plan query".
 */

import { type IndexDatabase, KeyBuffer } from "../../db/index.ts";
import { ByteSink, ENTRY_ROW, EntryReader } from "../../protocol/index.ts";
import { type Catalog, overlaps, type ShardRecord, type TimeRange } from "./candidates.ts";
import { dataLoss } from "./data-loss.ts";
import type { Dictionary, DictionaryCache } from "./dictionary.ts";
import type { EncodedBlock, RowRange } from "./encoded-blocks.ts";
import type { ReadCounters } from "./explain.ts";
import type { BlockTarget, Projection, Source } from "./plan-emitter.ts";
import { type DatasetQuery, hasBit, type Resolution, type Resolver } from "./resolver.ts";
import { RowList } from "./row-list.ts";
import { SetEvaluator } from "./set-evaluator.ts";
import type { ShardRows } from "./shard-rows.ts";

/** A validated QueryMetadata or QueryMetadataLabels. */
export interface PreparedQuery extends DatasetQuery {
  /** The owners to search, anonymous included, in bytes order. */
  readonly owners: readonly string[];
  readonly range: TimeRange;
  /** Requested label names. */
  readonly labels: readonly string[];
}

export interface PlanQueryModules {
  readonly db: IndexDatabase;
  readonly catalog: Catalog;
  readonly dictionaries: DictionaryCache;
  readonly resolver: Resolver;
  readonly shardRows: ShardRows;
  readonly counters: ReadCounters;
}

/** Matched entries of a block scan are copied aside up to this many bytes before they are written out. */
const BATCH_BYTES = 512 * 1024;

/** And up to this many, those included that are not copied: they were written before. */
const BATCH_ENTRIES_MAX = 4_096;

/** About a millisecond of work. */
const BLOCKS_PER_CHECKPOINT = 256;

/** Shard ordinal and ULID. */
const BLOCK_KEY_BYTES = 4 + 16;

export class PlanQuery {
  readonly #modules: PlanQueryModules;
  readonly #rows = new RowList();
  readonly #blockKey = new KeyBuffer(BLOCK_KEY_BYTES);
  readonly #shardStart = new KeyBuffer(4);
  readonly #shardEnd = new KeyBuffer(4);
  /** The last block's key and a zero byte: right behind that block. */
  readonly #resumeAt = new KeyBuffer(BLOCK_KEY_BYTES + 1);
  /** Entries copied out of the scratch buffer, which the next read overwrites. */
  readonly #batch = new ByteSink(BATCH_BYTES);
  readonly #batchEntries: BatchEntry[] = [];
  readonly #entry = new EntryReader();
  #positions = new Uint32Array(256);
  #positionsCount = 0;
  /** Where the blocks of the query under way go. */
  #target: BlockTarget = NOWHERE;

  constructor(modules: PlanQueryModules) {
    this.#modules = modules;
  }

  /** Writes the answer into the target, which has begun. */
  run(query: PreparedQuery, target: BlockTarget): void {
    this.#target = target;
    const { catalog, counters } = this.#modules;
    for (const owner of query.owners) {
      const tenant = catalog.findTenant(owner);
      if (tenant < 0) continue;
      const sources = new Map<number, ShardSource>();
      for (const shard of catalog.candidates(tenant, query.range)) {
        query.checkpoint();
        const source = this.#sourceOf(shard.dictionary, query, sources);
        if (source.resolution.keys.length === 0) continue;
        counters.shardsSearched++;
        this.#searchShard(shard, source, query);
      }
    }
  }

  /** Dictionary, matching keys and projection: the same for all shards of an owner and a week. */
  #sourceOf(id: number, query: PreparedQuery, known: Map<number, ShardSource>): ShardSource {
    let source = known.get(id);
    if (source === undefined) {
      const dictionary = this.#modules.dictionaries.open(id);
      const resolution = this.#modules.resolver.resolve(dictionary, query);
      const form = this.#target.repeats?.encoded.formOf(formText(id, query)) ?? 0;
      source = new ShardSource(dictionary, resolution, { query, form });
      known.set(id, source);
    }
    return source;
  }

  #searchShard(shard: ShardRecord, source: ShardSource, query: PreparedQuery): void {
    this.#rows.clear();
    if (this.#modules.shardRows.collect(shard, source.resolution, query.range, this.#rows)) {
      this.#emitRows(shard, source, query);
    } else {
      this.#modules.counters.blockScans++;
      this.#scanBlocks(shard, source, query);
    }
  }

  /** Reads the block of each row by key. */
  #emitRows(shard: ShardRecord, source: ShardSource, query: PreparedQuery): void {
    const rows = this.#rows;
    rows.sort();
    for (let block = 0; block < rows.blockCount; ) {
      this.#readEntry(shard, block);
      this.#positionsCount = 0;
      const end = rows.endOf(block);
      for (let row = rows.startOf(block); row < end; row++)
        this.#addPosition(rows.position(row), rows.key(row));
      this.#emitRead(source);
      if (++block % BLOCKS_PER_CHECKPOINT === 0) query.checkpoint();
    }
  }

  /** Points #entry at a block of #rows, in the scratch buffer. */
  #readEntry(shard: ShardRecord, block: number): void {
    const { db, counters } = this.#modules;
    const key = this.#blockKey.u32(0, shard.ordinal).bytes;
    this.#rows.writeId(block, key, 4);
    const size = db.get("blocks", key);
    if (size < 0)
      throw dataLoss(`shard ordinal ${shard.ordinal} has a row of a block it does not have`);
    counters.entriesRead++;
    this.#entry.bind(db);
    this.#entry.reset(0, size);
  }

  /** Adds the block of #entry, which stands in the scratch buffer, with all #positions. */
  #emitRead(source: ShardSource): void {
    const entry = this.#entry;
    const rows = { positions: this.#positions, first: 0, end: this.#positionsCount };
    const { repeats } = this.#target;
    const known = repeats?.encoded.find(source.form, entry, rows) ?? null;
    if (known !== null) {
      repeats?.addEncoded(known);
      return;
    }
    const { entryBytes } = entry;
    this.#batch.reset();
    this.#batch.append(this.#modules.db.u8, 0, entryBytes);
    entry.bind(this.#batch);
    entry.reset(0, entryBytes);
    this.#addBlock(source, rows);
  }

  /** Writes the block of #entry anew. */
  #addBlock(source: ShardSource, rows: RowRange): void {
    const target = this.#target;
    target.addBlock(this.#entry, source, rows.positions, rows.first, rows.end);
    target.repeats?.keepLast(this.#entry, source, rows);
  }

  #addPosition(position: number, key: number): void {
    const entry = this.#entry;
    const isSound = position < entry.rowsCount && entry.rowU32(position, ENTRY_ROW.key) === key;
    if (!isSound) throw dataLoss(`block ${entry.id} has no dataset of key ${key} at ${position}`);
    this.#pushPosition(position);
  }

  #pushPosition(position: number): void {
    if (this.#positionsCount === this.#positions.length) {
      const grown = new Uint32Array(2 * this.#positions.length);
      grown.set(this.#positions);
      this.#positions = grown;
    }
    this.#positions[this.#positionsCount++] = position;
  }

  /** Reads all blocks of the shard in order: for answers that return most of them. */
  #scanBlocks(shard: ShardRecord, source: ShardSource, query: PreparedQuery): void {
    let start = this.#shardStart.u32(0, shard.ordinal).bytes;
    const end = this.#shardEnd.u32(0, shard.ordinal + 1).bytes;
    for (;;) {
      const isDone = this.#fillBatch(start, end, source, query.range);
      this.#emitBatch(source);
      if (isDone) return;
      query.checkpoint();
      start = this.#resumeAt.bytes;
    }
  }

  /** Copies matching entries from `start` on. False when the batch is full: #resumeAt is where to go on. */
  #fillBatch(start: Uint8Array, end: Uint8Array, source: ShardSource, range: TimeRange): boolean {
    const { db, counters } = this.#modules;
    const entry = this.#entry;
    let isDone = true;
    this.#batch.reset();
    this.#batchEntries.length = 0;
    this.#positionsCount = 0;
    entry.bind(db);
    db.scan("blocks", start, end, (key, size) => {
      counters.entriesRead++;
      entry.reset(0, size);
      const first = this.#positionsCount;
      this.#matchRows(entry, source.resolution.bitmap, range);
      if (this.#positionsCount === first) return true;
      this.#addToBatch(source, first);
      isDone = this.#batch.length < BATCH_BYTES && this.#batchEntries.length < BATCH_ENTRIES_MAX;
      if (!isDone) this.#resumeAt.copy(0, key, 0, BLOCK_KEY_BYTES);
      return isDone;
    });
    return isDone;
  }

  /** Takes the block of #entry, which stands in the scratch buffer, with the #positions from `first` on. */
  #addToBatch(source: ShardSource, first: number): void {
    const rows = { positions: this.#positions, first, end: this.#positionsCount };
    const known = this.#target.repeats?.encoded.find(source.form, this.#entry, rows) ?? null;
    const offset = this.#batch.length;
    const { entryBytes } = this.#entry;
    this.#batchEntries.push({ offset, size: entryBytes, first, end: rows.end, known });
    if (known !== null) return;
    this.#batch.append(this.#modules.db.u8, 0, entryBytes);
    this.#batch.align8();
  }

  /** Positions of the entry's datasets that match, by spec 6.6: block and dataset times are compared apart. */
  #matchRows(entry: EntryReader, wanted: Uint32Array, range: TimeRange): void {
    const count = entry.rowsCount;
    this.#modules.counters.rowsScanned += count;
    if (!overlaps(range, entry.minTimeMs, entry.maxTimeMs)) return;
    const { i32, f64 } = entry;
    for (let i = 0; i < count; i++) {
      const offset = entry.rowsOffset + i * ENTRY_ROW.bytes;
      if (!hasBit(wanted, i32[(offset + ENTRY_ROW.key) >>> 2] as number)) continue;
      const minMs = f64[offset >>> 3] as number;
      if (overlaps(range, minMs, f64[(offset >>> 3) + 1] as number)) this.#pushPosition(i);
    }
  }

  #emitBatch(source: ShardSource): void {
    const entry = this.#entry;
    entry.bind(this.#batch);
    for (const { offset, size, first, end, known } of this.#batchEntries) {
      if (known !== null) {
        this.#target.repeats?.addEncoded(known);
        continue;
      }
      entry.reset(offset, size);
      this.#addBlock(source, { positions: this.#positions, first, end });
    }
  }
}

const NOWHERE: BlockTarget = { addBlock: () => {}, repeats: null };

/** What decides how a dataset key is written: lengths in front, so that no label can imitate a boundary. */
function formText(dictionary: number, { labels, selector }: PreparedQuery): string {
  if (labels.length === 0) return `${dictionary}`;
  const names = labels.map((name) => `${name.length}:${name}`).join("");
  return `${dictionary}|${names}|${selector.canonical}`;
}

class ShardSource implements Source {
  readonly dictionary: Dictionary;
  readonly resolution: Resolution;
  readonly form: number;
  readonly #query: PreparedQuery;
  #projection: Projection | null = null;

  constructor(
    dictionary: Dictionary,
    resolution: Resolution,
    { query, form }: { readonly query: PreparedQuery; readonly form: number },
  ) {
    this.dictionary = dictionary;
    this.resolution = resolution;
    this.form = form;
    this.#query = query;
  }

  /** Reads the database when it is first asked for: not before a block has to be written anew. */
  get projection(): Projection {
    this.#projection ??= this.#project();
    return this.#projection;
  }

  #project(): Projection {
    const { labels, selector } = this.#query;
    if (labels.length === 0) return { kind: "none" };
    const { dictionary } = this;
    return {
      kind: "matching",
      nameIds: labels.map((name) => (name === "" ? -1 : dictionary.findString(Buffer.from(name)))),
      evaluator: new SetEvaluator(selector, dictionary),
    };
  }
}

/** An entry in the batch, and its positions. */
interface BatchEntry {
  readonly offset: number;
  readonly size: number;
  readonly first: number;
  readonly end: number;
  /** As it was written before; it is not in the batch then. */
  readonly known: EncodedBlock | null;
}
