/**
 * QueryMetadataLabels (index-and-query 8): which matching dataset keys have data in the range, and the distinct rows
 * their label sets project to.
 *
 * A key is done as soon as one of its rows is known to be in the range, and then no further shard of its dictionary
 * is asked for it. Rows of datasets are looked at one by one only where the range cuts through a key's time hull.
 */

import { HearthError } from "../../base/index.ts";
import { KEYS_PER_CHUNK_SHIFT, STRINGS_PER_CHUNK_SHIFT } from "../../db/index.ts";
import type { Catalog, ShardRecord, TimeRange } from "./candidates.ts";
import { type Dictionary, type DictionaryCache, EMPTY_STRING_ID } from "./dictionary.ts";
import type { ReadCounters } from "./explain.ts";
import { EMPTY_VALUE, LabelRows } from "./label-rows.ts";
import type { ChunkSink } from "./plan-emitter.ts";
import type { PreparedQuery } from "./plan-query.ts";
import { hasBit, type Resolver } from "./resolver.ts";
import { firstValue, SetEvaluator } from "./set-evaluator.ts";
import type { ShardRows, WantedKeys } from "./shard-rows.ts";

export interface LabelsQueryModules {
  readonly catalog: Catalog;
  readonly dictionaries: DictionaryCache;
  readonly resolver: Resolver;
  readonly shardRows: ShardRows;
  readonly counters: ReadCounters;
}

export interface LabelsQueryOptions {
  readonly answerMaxBytes: number;
  readonly chunkBytes: number;
}

const STRING_MASK = (1 << STRINGS_PER_CHUNK_SHIFT) - 1;
const KEY_MASK = (1 << KEYS_PER_CHUNK_SHIFT) - 1;

/** Answers one query. */
export function runLabelsQuery(
  query: PreparedQuery,
  options: LabelsQueryOptions,
  modules: LabelsQueryModules,
  answer: { readonly sink: ChunkSink; readonly appliedIndex: number },
): void {
  const rows = collectLabelRows(query, options, modules);
  rows.send(answer.sink, { chunkBytes: options.chunkBytes, appliedIndex: answer.appliedIndex });
}

/** The rows of a query; none when it asks for no labels, without a look at the data. */
export function collectLabelRows(
  query: PreparedQuery,
  options: Pick<LabelsQueryOptions, "answerMaxBytes">,
  modules: LabelsQueryModules,
): LabelRows {
  const rows = new LabelRows(query.labels);
  if (query.labels.length === 0) return rows;
  for (const owner of query.owners) {
    const tenant = modules.catalog.findTenant(owner);
    if (tenant < 0) continue;
    const shards = modules.catalog.candidates(tenant, query.range);
    // Shards wholly inside the range first: they settle keys without a look at single rows.
    shards.sort((a, b) => Number(isInside(b, query.range)) - Number(isInside(a, query.range)));
    searchOwner(shards, query, rows, { options, modules });
  }
  modules.counters.labelRows += rows.count;
  return rows;
}

function isInside(shard: ShardRecord, range: TimeRange): boolean {
  return range.startMs <= shard.liveMinMs && shard.liveMaxMs <= range.endMs;
}

function searchOwner(
  shards: readonly ShardRecord[],
  query: PreparedQuery,
  rows: LabelRows,
  {
    options,
    modules,
  }: {
    readonly options: Pick<LabelsQueryOptions, "answerMaxBytes">;
    readonly modules: LabelsQueryModules;
  },
): void {
  const sources = new Map<number, LabelSource>();
  for (const shard of shards) {
    query.checkpoint();
    let source = sources.get(shard.dictionary);
    if (source === undefined) {
      source = new LabelSource(modules.dictionaries.open(shard.dictionary), query, rows, modules);
      sources.set(shard.dictionary, source);
    }
    if (source.isDone) continue;
    modules.counters.shardsSearched++;
    source.search(shard, query.range);
    if (rows.sizeBytes > options.answerMaxBytes) throw tooLarge(rows, options.answerMaxBytes);
  }
}

function tooLarge(rows: LabelRows, limitBytes: number): HearthError {
  return new HearthError(
    "resource_exhausted",
    `Cannot answer: ${rows.count} rows so far take ${rows.sizeBytes} bytes, limit is ${limitBytes}`,
    {
      reason: "answer_too_large",
      next: "Ask for fewer labels, a shorter time range or a narrower selector",
    },
  );
}

/** One dictionary during one query: which of its matching keys were not seen in the range yet. */
class LabelSource {
  readonly #dictionary: Dictionary;
  readonly #rows: LabelRows;
  readonly #shardRows: ShardRows;
  readonly #evaluator: SetEvaluator;
  readonly #nameIds: readonly number[];
  /** Matching keys without a row in the range so far. */
  readonly #pending: Uint32Array;
  readonly #wanted: WantedKeys;
  #pendingCount: number;
  /** Keys found in a shard, whose label sets are still to be read: finding them holds the scratch buffer. */
  #found: number[] = [];
  /** String id -> value number + 1; 0: not known yet. */
  #numbers = new Uint32Array(1024);
  readonly #row: Uint32Array;
  /** String ids of the row before: neighbouring sets mostly differ in labels that nobody asked for. */
  readonly #rowBefore: Int32Array;

  constructor(
    dictionary: Dictionary,
    query: PreparedQuery,
    rows: LabelRows,
    modules: LabelsQueryModules,
  ) {
    const resolution = modules.resolver.resolve(dictionary, query);
    this.#dictionary = dictionary;
    this.#rows = rows;
    this.#shardRows = modules.shardRows;
    this.#evaluator = new SetEvaluator(query.selector, dictionary);
    this.#nameIds = query.labels.map((name) =>
      name === "" ? -1 : dictionary.findString(Buffer.from(name)),
    );
    this.#pendingCount = resolution.keys.length;
    this.#pending = resolution.bitmap.slice();
    // A few keys are walked faster as a list, even if some are done; many as bits.
    const hasFew = resolution.keys.length <= 64;
    this.#wanted = { bitmap: this.#pending, keys: hasFew ? resolution.keys : null };
    this.#row = new Uint32Array(query.labels.length);
    this.#rowBefore = new Int32Array(query.labels.length).fill(NO_STRING);
  }

  get isDone(): boolean {
    return this.#pendingCount === 0;
  }

  search(shard: ShardRecord, range: TimeRange): void {
    const undecided: { readonly key: number; readonly runs: number }[] = [];
    this.#shardRows.visitDirectory(shard, this.#wanted, range, (key, { isInside, runs }) => {
      if (isInside) this.#markFound(key);
      else undecided.push({ key, runs });
    });
    this.#shardRows.visitTailKeys(shard, this.#wanted, range, (key) => this.#markFound(key));
    for (const { key, runs } of undecided) {
      const isOpen = hasBit(this.#pending, key);
      if (isOpen && this.#shardRows.hasPostingIn(shard, key, runs, range)) this.#markFound(key);
    }
    for (const key of this.#found) this.#addRowsOf(key);
    this.#found = [];
  }

  #markFound(key: number): void {
    if (!hasBit(this.#pending, key)) return;
    const word = key >>> 5;
    this.#pending[word] = (this.#pending[word] as number) & ~(1 << (key & 31));
    this.#pendingCount--;
    this.#found.push(key);
  }

  #addRowsOf(key: number): void {
    const { ints, bounds } = this.#dictionary.keyChunk(key);
    const end = bounds[(key & KEY_MASK) + 1] as number;
    let position = (bounds[key & KEY_MASK] as number) + 2;
    while (position < end) {
      const pairs = ints[position] as number;
      const next = position + 1 + 2 * pairs;
      if (pairs < 0 || next > end) return;
      if (this.#evaluator.matchesSet(ints, position + 1, next))
        this.#addRow(ints, position + 1, next);
      position = next;
    }
  }

  #addRow(ints: Int32Array, start: number, end: number): void {
    const before = this.#rowBefore;
    let isNew = false;
    for (let i = 0; i < before.length; i++) {
      const value = firstValue(ints, start, end, this.#nameIds[i] as number);
      isNew ||= value !== before[i];
      before[i] = value;
    }
    if (!isNew) return;
    for (let i = 0; i < before.length; i++) this.#row[i] = this.#numberOf(before[i] as number);
    this.#rows.add(this.#row);
  }

  /** Number of a value by its string id; an absent one (-1) counts as empty. */
  #numberOf(stringId: number): number {
    if (stringId <= EMPTY_STRING_ID) return EMPTY_VALUE;
    const known = this.#numbers[stringId] ?? 0;
    if (known > 0) return known - 1;
    const { bytes, bounds } = this.#dictionary.stringChunk(stringId);
    const i = stringId & STRING_MASK;
    const number = this.#rows.numberOf(bytes, bounds[i] as number, bounds[i + 1] as number);
    if (stringId >= this.#numbers.length) {
      const grown = new Uint32Array(Math.max(stringId + 1, 2 * this.#numbers.length));
      grown.set(this.#numbers);
      this.#numbers = grown;
    }
    this.#numbers[stringId] = number + 1;
    return number;
  }
}

/** What no label has as its value, absence (-1) included. */
const NO_STRING = -2;
