/**
 * Compares an index with the bucket. Both come sorted by id within a directory, so that one page of each is held at a time:
 *
 *   bucket  blocks/<shard>/<tenant>/   01A 01B     01D ...
 *   index   (tenant, shard)            01A     01C 01D ...
 *                                      |    |   |   both: their metadata is compared
 *                                      |    |   +-- missing: no object
 *                                      |    +------ orphan: no entry
 *
 * Both change meanwhile. What looks different is asked for once more, on both sides, before it is told.
 */
import { setMaxListeners } from "node:events";
import type { BlockMeta } from "../../protocol/index.ts";
import type { ListedBlock } from "../../service/index.ts";
import type { ObjectInfo, ObjectStore } from "../../storage/index.ts";
import { BLOCK_PREFIXES, blockKey, type BlockKey, parseBlockKey } from "./block-keys.ts";
import { differences } from "./compare.ts";
import { misplacement, placementOf, readFooter } from "./footers.ts";
import type { IndexSource } from "./index-source.ts";

/** What is wrong with a block. */
export const FINDING_KINDS = [
  /** In the index, without an object. */
  "missing",
  /** An object that the index does not know. */
  "orphan",
  /** Both are there and say different things. */
  "mismatched",
  /** The metadata of the object cannot be read. */
  "unreadable",
  /** The metadata of the object is of another block than its key. */
  "misplaced",
  /** No block's key, where only blocks belong. */
  "stray",
] as const;
export type FindingKind = (typeof FINDING_KINDS)[number];

export interface Finding {
  readonly kind: FindingKind;
  readonly key: string;
  /** In words; "" when the kind says it all. */
  readonly problem: string;
}

export interface VerifyTotals {
  objects: number;
  entries: number;
  /** Entries with an object that says the same. */
  same: number;
  /** Objects of blocks that were removed from the index, and wait to be deleted. */
  awaitingDeletion: number;
  /** Objects without an entry that are so young that their writer may not have added them yet. */
  recent: number;
  readonly findings: Record<FindingKind, number>;
}

export interface VerifyOptions {
  /** False: sizes and names alone, no object is opened. */
  readonly readsFooters: boolean;
  /** An object younger than this need not be in the index. */
  readonly recentMs: number;
  readonly signal: AbortSignal;
}

export interface VerifyModules {
  readonly store: ObjectStore;
  readonly index: IndexSource;
  /** Unix ms. */
  readonly nowMs: () => number;
  readonly onFinding: (finding: Finding) => void;
  readonly onProgress: (totals: VerifyTotals) => void;
}

/** Blocks whose metadata is asked for at once, and objects read at the same time. */
const COMPARED_MAX = 64;
const DOUBTS_MAX = 500;

/** Errors: the bucket cannot be listed, or the node not be asked; the signal's reason. */
export async function verifyIndex(
  options: VerifyOptions,
  modules: VerifyModules,
): Promise<VerifyTotals> {
  // Each read under way listens to it, and its listeners go with it.
  setMaxListeners(2 * COMPARED_MAX, options.signal);
  const verify = new Verify(options, modules);
  await verify.begin();
  for (const prefix of BLOCK_PREFIXES) {
    for await (const page of modules.store.list({ prefix, signal: options.signal }))
      await verify.addPage(page);
  }
  await verify.end();
  return verify.totals;
}

interface Place {
  readonly tenant: string;
  readonly shard: number;
}

interface Pair {
  readonly info: ObjectInfo;
  readonly key: BlockKey;
  readonly entry: ListedBlock;
}

class Verify {
  readonly totals: VerifyTotals = {
    objects: 0,
    entries: 0,
    same: 0,
    awaitingDeletion: 0,
    recent: 0,
    findings: { missing: 0, orphan: 0, mismatched: 0, unreadable: 0, misplaced: 0, stray: 0 },
  };
  readonly #options: VerifyOptions;
  readonly #modules: VerifyModules;
  /** Of the index, by `placeName`; taken out when their directory was compared. */
  readonly #places = new Map<string, Place>();
  #place: Place | null = null;
  #cursor: EntryCursor | null = null;
  #pairs: Pair[] = [];
  #lone: { readonly info: ObjectInfo; readonly key: BlockKey }[] = [];
  #without: ListedBlock[] = [];

  constructor(options: VerifyOptions, modules: VerifyModules) {
    this.#options = options;
    this.#modules = modules;
  }

  async begin(): Promise<void> {
    for (const { tenant, shard } of await this.#modules.index.shards())
      this.#places.set(placeName({ tenant, shard }), { tenant, shard });
  }

  async addPage(page: readonly ObjectInfo[]): Promise<void> {
    for (const info of page) {
      this.#options.signal.throwIfAborted();
      const key = parseBlockKey(info.key);
      this.totals.objects++;
      if (key === null) this.#tell({ kind: "stray", key: info.key, problem: "" });
      else await this.#addObject(info, key);
    }
    this.#modules.onProgress(this.totals);
  }

  async end(): Promise<void> {
    await this.#leavePlace();
    // Nothing lies in the bucket for these.
    for (const place of [...this.#places.values()]) {
      await this.#enterPlace(place);
      await this.#leavePlace();
    }
    this.#modules.onProgress(this.totals);
  }

  async #addObject(info: ObjectInfo, key: BlockKey): Promise<void> {
    const isSamePlace = this.#place?.tenant === key.tenant && this.#place.shard === key.shard;
    if (!isSamePlace) {
      await this.#leavePlace();
      await this.#enterPlace(key);
    }
    const cursor = this.#cursor as EntryCursor;
    for (let entry = await cursor.peek(); entry !== null; entry = await cursor.peek()) {
      if (entry.id >= key.id) break;
      cursor.take();
      await this.#addWithout(entry);
    }
    const entry = await cursor.peek();
    if (entry?.id === key.id) {
      cursor.take();
      this.totals.entries++;
      this.#pairs.push({ info, key, entry });
    } else {
      this.#lone.push({ info, key });
    }
    if (this.#pairs.length >= COMPARED_MAX) await this.#comparePairs();
    if (this.#lone.length >= DOUBTS_MAX) await this.#judgeLone();
  }

  async #enterPlace({ tenant, shard }: Place): Promise<void> {
    this.#place = { tenant, shard };
    this.#places.delete(placeName(this.#place));
    this.#cursor = new EntryCursor(this.#modules.index, this.#place);
  }

  async #leavePlace(): Promise<void> {
    const cursor = this.#cursor;
    if (cursor === null) return;
    for (let entry = await cursor.peek(); entry !== null; entry = await cursor.peek()) {
      this.#options.signal.throwIfAborted();
      cursor.take();
      await this.#addWithout(entry);
    }
    await this.#comparePairs();
    await this.#judgeLone();
    await this.#judgeWithout();
    this.#cursor = null;
    this.#place = null;
  }

  async #addWithout(entry: ListedBlock): Promise<void> {
    this.totals.entries++;
    this.#without.push(entry);
    if (this.#without.length >= DOUBTS_MAX) await this.#judgeWithout();
  }

  /** Entries that no object came by for. */
  async #judgeWithout(): Promise<void> {
    const entries = this.#without;
    this.#without = [];
    if (entries.length === 0) return;
    const { tenant, shard } = this.#place as Place;
    const { store, index } = this.#modules;
    const { signal } = this.#options;
    const states = await index.states(
      tenant,
      shard,
      entries.map(({ id }) => id),
    );
    for (const [i, entry] of entries.entries()) {
      if (states[i] !== "present") continue;
      const key = blockKey({ tenant, shard, ...entry });
      const info = await store.head(key, { signal });
      // It came meanwhile, or lies where blocks of its level do.
      if (info !== null)
        await this.#comparePair({ info, key: { tenant, shard, id: entry.id }, entry }, null);
      else this.#tell({ kind: "missing", key, problem: "" });
    }
  }

  /** Objects that no entry came by for. */
  async #judgeLone(): Promise<void> {
    const lone = this.#lone;
    this.#lone = [];
    if (lone.length === 0) return;
    const { tenant, shard } = this.#place as Place;
    const ids = lone.map(({ key }) => key.id);
    const states = await this.#modules.index.states(tenant, shard, ids);
    for (const [i, { info, key }] of lone.entries()) {
      if (states[i] === "removed") this.totals.awaitingDeletion++;
      else if (states[i] === "absent") await this.#judgeUnknown(info, key);
    }
  }

  async #judgeUnknown(info: ObjectInfo, key: BlockKey): Promise<void> {
    const { store, index, nowMs } = this.#modules;
    const { signal, recentMs } = this.#options;
    if (nowMs() - info.modifiedAtMs < recentMs) {
      this.totals.recent++;
      return;
    }
    const footer = await readFooter(store, info, signal);
    if (!footer.ok) {
      if (footer.reason !== "gone")
        this.#tell({ kind: "unreadable", key: info.key, problem: footer.problem });
      return;
    }
    const { meta } = footer;
    const elsewhere = misplacement(placementOf(meta), key);
    if (elsewhere !== null) {
      this.#tell({ kind: "misplaced", key: info.key, problem: elsewhere });
      return;
    }
    // A segment of one tenant lies among the anonymous ones, but belongs to its owner.
    const owner = meta.stringTable[meta.tenant] ?? "";
    const isElsewhere = owner !== key.tenant;
    const state = isElsewhere ? (await index.states(owner, key.shard, [key.id]))[0] : "absent";
    if (state === "absent") this.#tell({ kind: "orphan", key: info.key, problem: "" });
    else if (state === "removed") this.totals.awaitingDeletion++;
  }

  async #comparePairs(): Promise<void> {
    const pairs = this.#pairs;
    this.#pairs = [];
    if (pairs.length === 0) return;
    const { tenant, shard } = this.#place as Place;
    const ids = pairs.map(({ key }) => key.id);
    const entries = this.#options.readsFooters
      ? await this.#modules.index.metadata(tenant, shard, ids)
      : null;
    await Promise.all(pairs.map((pair) => this.#comparePair(pair, entries)));
    this.#modules.onProgress(this.totals);
  }

  /** `entries`: what the index says of several blocks; null: sizes are all there is, or it has to be asked for this one. */
  async #comparePair(pair: Pair, entries: ReadonlyMap<string, BlockMeta> | null): Promise<void> {
    const { info, key, entry } = pair;
    const { store, index } = this.#modules;
    const { readsFooters, signal } = this.#options;
    if (!readsFooters) {
      const isSame = entry.sizeBytes === 0 || entry.sizeBytes === info.sizeBytes;
      if (isSame) this.totals.same++;
      else this.#tell({ kind: "mismatched", key: info.key, problem: "differs: size" });
      return;
    }
    const footer = await readFooter(store, info, signal);
    if (!footer.ok) {
      // It vanished meanwhile: if its entry did not, the next run finds it missing.
      if (footer.reason !== "gone")
        this.#tell({ kind: "unreadable", key: info.key, problem: footer.problem });
      return;
    }
    const known = entries ?? (await index.metadata(key.tenant, key.shard, [key.id]));
    const meta = known.get(key.id);
    if (meta === undefined) return;
    const { meta: found } = footer;
    const elsewhere = found.id === key.id ? null : misplacement(placementOf(found), key);
    const differing = differences(found, meta);
    if (elsewhere !== null) this.#tell({ kind: "misplaced", key: info.key, problem: elsewhere });
    else if (differing.length > 0)
      this.#tell({ kind: "mismatched", key: info.key, problem: `differs: ${listOf(differing)}` });
    else this.totals.same++;
  }

  #tell(finding: Finding): void {
    this.totals.findings[finding.kind]++;
    this.#modules.onFinding(finding);
  }
}

/** Entries of one owner and shard, a page at a time. */
class EntryCursor {
  readonly #index: IndexSource;
  readonly #place: Place;
  #page: readonly ListedBlock[] = [];
  #position = 0;
  #last = "";
  #isOver = false;

  constructor(index: IndexSource, place: Place) {
    this.#index = index;
    this.#place = place;
  }

  /** The next entry, or null at the end. */
  async peek(): Promise<ListedBlock | null> {
    if (this.#position >= this.#page.length && !this.#isOver) {
      const { tenant, shard } = this.#place;
      this.#page = await this.#index.blocks(tenant, shard, this.#last);
      this.#position = 0;
      this.#isOver = this.#page.length === 0;
      this.#last = this.#page.at(-1)?.id ?? this.#last;
    }
    return this.#page[this.#position] ?? null;
  }

  take(): void {
    this.#position++;
  }
}

/** Shards are numbers, so that the first colon ends one. */
function placeName({ tenant, shard }: Place): string {
  return `${shard}:${tenant}`;
}

function listOf(names: readonly string[]): string {
  const shown = names.slice(0, 5).join(", ");
  return names.length > 5 ? `${shown} and ${names.length - 5} more` : shown;
}
