/**
 * An index out of the objects in the bucket: their metadata is read and added as writers would, through the log of the
 * cluster. Adding what is there already changes nothing, so that it can be repeated, and goes on while others write.
 */
import { setMaxListeners } from "node:events";
import type { HearthClient } from "../../client/index.ts";
import { BlockReader, BlockTranscoder, ByteSink, validateBlock } from "../../protocol/index.ts";
import type { ObjectInfo, ObjectStore } from "../../storage/index.ts";
import { BLOCK_PREFIXES, type BlockKey, parseBlockKey } from "./block-keys.ts";
import {
  failureOf,
  fetchFooter,
  type Footer,
  type FooterFailure,
  misplacement,
} from "./footers.ts";

export interface RebuildOptions {
  /** Only look: nothing is added. */
  readonly isDryRun: boolean;
  readonly signal: AbortSignal;
}

export interface RebuildModules {
  readonly store: ObjectStore;
  /** Null in a dry run. */
  readonly client: Pick<HearthClient, "addBlocks"> | null;
  readonly onProgress: (totals: RebuildTotals) => void;
  /** An object that gave no block. */
  readonly onProblem: (problem: RebuildProblem) => void;
}

export interface RebuildProblem {
  readonly key: string;
  /** Snake case, from a closed set. */
  readonly reason: string;
  readonly problem: string;
}

export interface RebuildTotals {
  /** Objects that were looked at. */
  objects: number;
  /** Blocks that the cluster has acknowledged; in a dry run: that it would get. */
  blocks: number;
  /** Objects that gave no block, by reason. */
  readonly problems: Record<string, number>;
}

/** Objects read at the same time: enough to hide the way to a remote store. */
const READS_MAX = 32;
/** Of one request: one entry of the log, far below its limit. */
const BATCH_MAX_BLOCKS = 250;
const BATCH_MAX_BYTES = 1024 * 1024;
/** Requests without an answer. */
const BATCHES_IN_FLIGHT = 4;

/** Errors: the bucket cannot be listed; the cluster does not take blocks; the signal's reason. */
export async function rebuildIndex(
  options: RebuildOptions,
  modules: RebuildModules,
): Promise<RebuildTotals> {
  // Each read under way listens to it, and its listeners go with it.
  setMaxListeners(2 * READS_MAX, options.signal);
  const rebuild = new Rebuild(options, modules);
  for (const prefix of BLOCK_PREFIXES) {
    for await (const page of modules.store.list({ prefix, signal: options.signal }))
      await rebuild.addPage(page);
  }
  await rebuild.end();
  return rebuild.totals;
}

class Rebuild {
  readonly totals: RebuildTotals = { objects: 0, blocks: 0, problems: {} };
  readonly #options: RebuildOptions;
  readonly #modules: RebuildModules;
  readonly #sink = new ByteSink();
  readonly #transcoder = new BlockTranscoder();
  readonly #block = new BlockReader();
  readonly #inFlight = new Set<Promise<void>>();
  #batch: Uint8Array[] = [];
  #batchBytes = 0;
  #failure: unknown = null;

  constructor(options: RebuildOptions, modules: RebuildModules) {
    this.#options = options;
    this.#modules = modules;
  }

  /** In the order of the page, however the reads end. */
  async addPage(page: readonly ObjectInfo[]): Promise<void> {
    const { store } = this.#modules;
    const { signal } = this.#options;
    for (let i = 0; i < page.length; i += READS_MAX) {
      const part = page.slice(i, i + READS_MAX);
      const read = await Promise.all(part.map((info) => this.#read(store, info, signal)));
      for (const [j, result] of read.entries()) {
        this.totals.objects++;
        const info = part[j] as ObjectInfo;
        if (result.ok) await this.#add(info, result);
        else this.#problem(info.key, result.reason, result.problem);
      }
      this.#modules.onProgress(this.totals);
    }
  }

  async end(): Promise<void> {
    await this.#send();
    await Promise.all(this.#inFlight);
    if (this.#failure !== null) throw this.#failure;
    this.#modules.onProgress(this.totals);
  }

  async #read(
    store: ObjectStore,
    info: ObjectInfo,
    signal: AbortSignal,
  ): Promise<Footer | FooterFailure> {
    if (parseBlockKey(info.key) !== null) return fetchFooter(store, info, signal);
    return { ok: false, reason: "stray", problem: "its key is not that of a block" };
  }

  async #add({ key, sizeBytes }: ObjectInfo, footer: Footer): Promise<void> {
    const failure = this.#transcode(parseBlockKey(key) as BlockKey, footer, sizeBytes);
    if (failure !== null) return this.#problem(key, failure.reason, failure.problem);
    const bytes = this.#sink.copy();
    const isFull =
      this.#batch.length >= BATCH_MAX_BLOCKS || this.#batchBytes + bytes.length > BATCH_MAX_BYTES;
    if (isFull) await this.#send();
    this.#batch.push(bytes);
    this.#batchBytes += bytes.length;
  }

  /** Into the sink, as an entry that the index takes; or why there is none. */
  #transcode(key: BlockKey, { bytes, place }: Footer, sizeBytes: number): FooterFailure | null {
    const sink = this.#sink;
    sink.reset();
    let length: number;
    try {
      length = this.#transcoder.appendFromObject(sink, bytes, place, sizeBytes);
    } catch (error) {
      return failureOf(error);
    }
    const refusal = validateBlock(sink.u8, 0, length);
    if (refusal !== null) return { ok: false, reason: refusal.reason, problem: refusal.message };
    const block = this.#block.reset(sink.u8, 0, length);
    const { id, shard, compactionLevel: level } = block;
    const problem = misplacement({ id, shard, level, owner: block.string(block.tenant) }, key);
    return problem === null ? null : { ok: false, reason: "misplaced", problem };
  }

  /** Waits for room, not for the answer. */
  async #send(): Promise<void> {
    const blocks = this.#batch;
    this.#batch = [];
    this.#batchBytes = 0;
    if (blocks.length === 0) return;
    const { client } = this.#modules;
    if (client === null) {
      this.totals.blocks += blocks.length;
      return;
    }
    while (this.#inFlight.size >= BATCHES_IN_FLIGHT) await Promise.race(this.#inFlight);
    if (this.#failure !== null) throw this.#failure;
    const sending = client.addBlocks(blocks, { signal: this.#options.signal }).then(
      () => {
        this.totals.blocks += blocks.length;
      },
      (error: unknown) => {
        this.#failure ??= error;
      },
    );
    const tracked = sending.finally(() => this.#inFlight.delete(tracked));
    this.#inFlight.add(tracked);
  }

  #problem(key: string, reason: string, problem: string): void {
    this.totals.problems[reason] = (this.totals.problems[reason] ?? 0) + 1;
    this.#modules.onProblem({ key, reason, problem });
  }
}
