/**
 * All reads of the index, for one thread. Synchronous, inside one read transaction that the caller holds: a query
 * sees one state, and the caller has checked that it is new enough. Steps, costs and caches: DESIGN.md.
 */

import { assert, invalidArgument, isHearthError } from "../../base/index.ts";
import { APPLIED_RECORD, type IndexDatabase, META_KEYS } from "../../db/index.ts";
import { type ByteSink, LIMITS } from "../../protocol/index.ts";
import { QUERY_ENGINE_DEFAULTS, type QueryEngineOptions } from "../options.ts";
import { Catalog } from "./candidates.ts";
import { DictionaryCache } from "./dictionary.ts";
import { EntryEmitter } from "./entry-emitter.ts";
import { createReadCounters, type ReadCounters } from "./explain.ts";
import { HiddenTenants } from "./hidden-tenants.ts";
import { collectLabelRows, type LabelsQueryModules, runLabelsQuery } from "./labels-query.ts";
import { type BlockAsker, type BlockListParams, Lookups, type TenantStats } from "./lookups.ts";
import { type ChunkSink, PlanEmitter } from "./plan-emitter.ts";
import { PlanQuery, type PreparedQuery } from "./plan-query.ts";
import { ProtoEmitter } from "./proto-emitter.ts";
import { Resolver } from "./resolver.ts";
import { compileSelector } from "./selector.ts";
import { ShardRows } from "./shard-rows.ts";

/** QueryMetadata and QueryMetadataLabels (index-and-query 6, 8). */
export interface QueryParams {
  /** At least one. */
  readonly tenants: readonly string[];
  /** Closed range, Unix ms. */
  readonly startMs: number;
  readonly endMs: number;
  readonly selector: string;
  /** Label names to return. */
  readonly labels: readonly string[];
}

/**
 * Called between pieces of work of about a millisecond; what it throws ends the query. The place to look at a
 * deadline: nothing else can interrupt a thread that is in a query.
 */
export type Checkpoint = () => void;

/** Where an answer in protobuf goes: a whole message, appended to the sink. */
export interface ProtoAnswer {
  readonly sink: ByteSink;
  /** Largest message that its asker takes, bytes; the engine's own limit holds besides. */
  readonly maxBytes: number;
}

const KEEP_GOING: Checkpoint = () => {};

/** Of the cache, for blocks as protobuf answers had them: the dictionaries, without which everything is slow, get the most. */
const ENCODED_SHARE = 0.25;

/** What answers queries over one content of the index, and all that is remembered of it. */
interface EngineParts {
  /** Of the database: another one has other ids. */
  readonly content: object;
  readonly catalog: Catalog;
  readonly hidden: HiddenTenants;
  readonly dictionaries: DictionaryCache;
  readonly emitter: PlanEmitter;
  readonly protoEmitter: ProtoEmitter;
  readonly plan: PlanQuery;
  readonly lookups: Lookups;
  readonly labels: LabelsQueryModules;
}

function createParts(
  options: QueryEngineOptions,
  db: IndexDatabase,
  counters: ReadCounters,
): EngineParts {
  const catalog = new Catalog(db, counters);
  const hidden = new HiddenTenants(db);
  const encodedMaxBytes = Math.floor(options.cacheBytes * ENCODED_SHARE);
  const dictionaries = new DictionaryCache(options.cacheBytes - encodedMaxBytes, db, counters);
  const resolver = new Resolver(db, dictionaries, counters);
  const shardRows = new ShardRows(db, counters);
  const emitter = new PlanEmitter(options, counters);
  const entries = new EntryEmitter(options, { db, counters });
  const shared = { db, catalog, dictionaries, emitter, counters };
  return {
    content: db.content,
    catalog,
    hidden,
    dictionaries,
    emitter,
    protoEmitter: new ProtoEmitter(encodedMaxBytes, counters),
    plan: new PlanQuery({ ...shared, resolver, shardRows }),
    lookups: new Lookups({ ...shared, hidden, entries }),
    labels: { catalog, dictionaries, resolver, shardRows, counters },
  };
}

export class QueryEngine {
  /** What queries cost so far. */
  readonly counters: ReadCounters = createReadCounters();
  readonly #options: QueryEngineOptions;
  readonly #db: IndexDatabase;
  #parts: EngineParts;
  #appliedIndex = 0;
  /** Log index of the last change of who is hidden, as the current transaction says; 0: nobody is. */
  #hiddenAt = 0;
  /** The read transaction that #appliedIndex was read in. */
  #appliedReadNumber = -1;

  constructor(options: Partial<QueryEngineOptions>, { db }: { readonly db: IndexDatabase }) {
    this.#options = { ...QUERY_ENGINE_DEFAULTS, ...options };
    const { cacheBytes, answerMaxBytes, chunkBytes } = this.#options;
    assert(cacheBytes > 0 && answerMaxBytes > 0 && chunkBytes > 0, "Query limits must be positive");
    this.#db = db;
    this.#parts = createParts(this.#options, db, this.counters);
  }

  /** Size at which a chunk is closed, bytes. */
  get chunkMaxBytes(): number {
    return this.#options.chunkBytes;
  }

  /** Bytes of dictionaries, resolved selectors and blocks of protobuf answers kept now. */
  get cacheBytes(): number {
    const { dictionaries, protoEmitter } = this.#parts;
    return dictionaries.items.sizeBytes + protoEmitter.encoded.sizeBytes;
  }

  /** Log index that the current read transaction has applied; 0 when nothing was. */
  appliedIndex(): number {
    if (this.#appliedReadNumber !== this.#db.readNumber) {
      const size = this.#db.get("meta", META_KEYS.applied);
      this.#appliedIndex = size < 0 ? 0 : (this.#db.f64[APPLIED_RECORD.index64] as number);
      const hasHidden = size > 8 * APPLIED_RECORD.hiddenAt64;
      this.#hiddenAt = hasHidden ? (this.#db.f64[APPLIED_RECORD.hiddenAt64] as number) : 0;
      this.#appliedReadNumber = this.#db.readNumber;
    }
    return this.#appliedIndex;
  }

  /**
   * Streams the matching blocks as PlanChunks.
   *
   * Shape: chunks are borrowed by the sink; the last one is marked, and is empty when nothing is left to say.
   * Errors: invalid_argument before the first chunk; resource_exhausted and data_loss also between chunks.
   * Cost: follows the candidate shards and the matches, not the blocks of the index.
   */
  queryMetadata(params: QueryParams, sink: ChunkSink, checkpoint: Checkpoint = KEEP_GOING): void {
    const asked = prepare(params, checkpoint);
    this.#read(({ hidden, emitter, plan }) => {
      const query = withoutHidden(asked, params, hidden);
      emitter.begin(sink, this.#appliedIndex);
      plan.run(query, emitter);
      emitter.end();
    });
  }

  /** As queryMetadata, with the answer as a QueryMetadataResponse. After an error the sink holds what was written. */
  queryMetadataProto(
    params: QueryParams,
    { sink, maxBytes }: ProtoAnswer,
    checkpoint: Checkpoint = KEEP_GOING,
  ): void {
    const asked = prepare(params, checkpoint);
    this.#read(({ hidden, protoEmitter, plan }) => {
      const query = withoutHidden(asked, params, hidden);
      protoEmitter.begin(sink, Math.min(maxBytes, this.#options.answerMaxBytes));
      plan.run(query, protoEmitter);
    });
  }

  /** Streams the distinct values of the requested labels as LabelsChunks. Otherwise as queryMetadata. */
  queryMetadataLabels(
    params: QueryParams,
    sink: ChunkSink,
    checkpoint: Checkpoint = KEEP_GOING,
  ): void {
    const asked = prepare(params, checkpoint);
    this.#read(({ hidden, labels }) => {
      const query = withoutHidden(asked, params, hidden);
      runLabelsQuery(query, this.#options, labels, { sink, appliedIndex: this.#appliedIndex });
    });
  }

  /** As queryMetadataLabels, with the answer as a QueryMetadataLabelsResponse. */
  queryMetadataLabelsProto(
    params: QueryParams,
    { sink, maxBytes }: ProtoAnswer,
    checkpoint: Checkpoint = KEEP_GOING,
  ): void {
    const asked = prepare(params, checkpoint);
    this.#read(({ hidden, labels }) => {
      const query = withoutHidden(asked, params, hidden);
      const answerMaxBytes = Math.min(maxBytes, this.#options.answerMaxBytes);
      collectLabelRows(query, { answerMaxBytes }, labels).writeProto(sink);
    });
  }

  /**
   * Streams the blocks of a list that exist, whole and in its order: as entry chunks while the asker takes them, else
   * as PlanChunks. No list is a bad argument.
   */
  getBlockMetadata(list: BlockListParams | null | undefined, asker: BlockAsker): void {
    if (list === null || list === undefined) {
      throw invalidArgument(
        "missing_block_list",
        "Cannot look up blocks: the list of blocks is missing",
      );
    }
    const { lookups } = this.#begin();
    try {
      lookups.sendBlocks(list, asker, this.#appliedIndex);
    } catch (error) {
      this.#noteFailure(error);
      throw error;
    }
  }

  /** As getBlockMetadata, with the answer as a GetBlockMetadataResponse. */
  getBlockMetadataProto(list: BlockListParams, { sink, maxBytes }: ProtoAnswer): void {
    this.#read(({ protoEmitter, lookups }) => {
      protoEmitter.begin(sink, Math.min(maxBytes, this.#options.answerMaxBytes));
      lookups.visitBlocks(list, protoEmitter);
    });
  }

  /** All owners but the anonymous one, in bytes order. */
  getTenants(): string[] {
    return this.#read(({ lookups }) => lookups.tenants());
  }

  /** Statistics of one owner; the empty name is the anonymous owner, an unknown one has none. */
  getTenant(tenant: string): TenantStats {
    return this.#read(({ lookups }) => lookups.tenantStats(tenant));
  }

  #read<T>(body: (parts: EngineParts) => T): T {
    const parts = this.#begin();
    try {
      return body(parts);
    } catch (error) {
      this.#noteFailure(error);
      throw error;
    }
  }

  #begin(): EngineParts {
    const appliedIndex = this.appliedIndex();
    // A snapshot has taken the place of the state: nothing remembered of the old one may be used with the new one.
    if (this.#parts.content !== this.#db.content) {
      this.#parts = createParts(this.#options, this.#db, this.counters);
    }
    const parts = this.#parts;
    parts.catalog.beginQuery(appliedIndex);
    parts.hidden.beginQuery(this.#hiddenAt);
    parts.dictionaries.beginQuery(appliedIndex);
    return parts;
  }

  #noteFailure(error: unknown): void {
    if (isHearthError(error) && error.code === "data_loss") this.counters.dataLosses++;
  }
}

/** Checks in the order of the specification (6.1): tenants, then the selector, then what it leaves open. */
function prepare(params: QueryParams, checkpoint: Checkpoint): PreparedQuery {
  const { startMs, endMs, labels } = params;
  if (params.tenants.length === 0) {
    throw invalidArgument("missing_tenant", "Cannot query: at least one tenant is needed");
  }
  const selector = compileSelector(params.selector);
  checkCount("tenants", params.tenants.length, LIMITS.tenantsPerQueryMax);
  checkCount("labels", labels.length, LIMITS.labelNamesMax);
  if (Number.isNaN(startMs) || Number.isNaN(endMs)) {
    throw invalidArgument(
      "bad_time",
      "Cannot query: start and end must be numbers of milliseconds",
    );
  }
  const { tenants, owners, key } = tenantListOf(params.tenants);
  const cacheKey = `${key}|${selector.canonical}`;
  return { selector, tenants, cacheKey, owners, labels, checkpoint, range: { startMs, endMs } };
}

/** The same query without the tenants that are hidden: nothing of theirs is searched, and no dataset of theirs matches. */
function withoutHidden(
  query: PreparedQuery,
  params: QueryParams,
  hidden: HiddenTenants,
): PreparedQuery {
  if (hidden.isEmpty) return query;
  const names = hidden.visible(params.tenants);
  if (names.length === params.tenants.length) return query;
  const { tenants, owners, key } = tenantListOf(names);
  return {
    ...query,
    tenants,
    owners: names.length === 0 ? [] : owners,
    cacheKey: `${key}|${query.selector.canonical}`,
  };
}

/** The tenants of a query, in the forms that its steps need. */
interface TenantList {
  readonly tenants: readonly Uint8Array[];
  readonly owners: readonly string[];
  /** Equal for equal sets of tenants. Lengths in front, so that no name can imitate a boundary. */
  readonly key: string;
}

/** Nearly every query asks for one tenant, and a thread sees the same ones again and again. */
const SINGLE_TENANTS = new Map<string, TenantList>();
const SINGLE_TENANTS_MAX = 1024;

function tenantListOf(names: readonly string[]): TenantList {
  const single = names.length === 1 ? (names[0] as string) : null;
  const known = single === null ? undefined : SINGLE_TENANTS.get(single);
  if (known !== undefined) return known;
  const tenants = distinctSorted(names);
  // Fresh segments of all tenants are anonymous, so that owner is always searched (spec 6.2).
  const owners = distinctSorted([...names, ""]).map((name) => name.toString());
  const key = tenants.map((name) => `${name.length}:${name.toString("latin1")}`).join("");
  const list = { tenants, owners, key };
  if (single !== null) {
    if (SINGLE_TENANTS.size >= SINGLE_TENANTS_MAX) SINGLE_TENANTS.clear();
    SINGLE_TENANTS.set(single, list);
  }
  return list;
}

function distinctSorted(names: readonly string[]): Buffer[] {
  return [...new Set(names)].map((name) => Buffer.from(name)).sort(Buffer.compare);
}

function checkCount(what: string, count: number, countMax: number): void {
  if (count <= countMax) return;
  throw invalidArgument(
    `too_many_${what}`,
    `Cannot query ${count} ${what} at once, limit is ${countMax}`,
  );
}
