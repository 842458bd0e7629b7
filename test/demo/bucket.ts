/**
 * Objects of the demo's blocks, as writers and workers keep them: an object is there before the index hears of its block,
 * and goes when a worker gets the tombstone of the job that consumed it. Profiles are a few bytes; the metadata at the end
 * is real.
 */

import { blockKey } from "../../src/cli/reconcile/block-keys.ts";
import type { BlockMeta, CompactionJob, Tombstone } from "../../src/client/index.ts";
import { FileObjectStore, type ObjectStore } from "../../src/storage/index.ts";
import { blockObject } from "../support/storage/block-objects.ts";

/** Where a block is in index and bucket. */
export interface StoredBlock {
  readonly key: string;
  /** "" is the anonymous owner. */
  readonly tenant: string;
  readonly shard: number;
  readonly id: string;
}

type Sources = Pick<CompactionJob, "tenant" | "shard" | "level" | "sourceBlocks">;

export class DemoBucket {
  readonly directory: string;
  readonly store: ObjectStore;
  /** Objects deleted because a tombstone said so. */
  deleted = 0;
  readonly #objects = new Map<string, StoredBlock>();
  /** Jobs that were taken, by name, until their tombstone has come. */
  readonly #jobs = new Map<string, Sources>();
  /** Jobs that workers have seen to the end. */
  readonly #completed = new Set<string>();
  readonly #carriedOut = new Set<string>();
  readonly #deletions = new Set<Promise<void>>();
  readonly #failures: unknown[] = [];

  constructor(directory: string) {
    this.directory = directory;
    this.store = new FileObjectStore({ directory });
  }

  /** What should lie there now. */
  get objects(): readonly StoredBlock[] {
    return [...this.#objects.values()];
  }

  /** Names of jobs whose tombstones have left the node with another job. */
  get carriedOut(): ReadonlySet<string> {
    return this.#carriedOut;
  }

  /** Writes the object of a block; returns the metadata that the index is to have. */
  async write(block: BlockMeta): Promise<BlockMeta> {
    const { key, bytes, meta } = blockObject(block);
    await this.store.put(key, bytes);
    const tenant = block.stringTable[block.tenant] ?? "";
    this.#objects.set(key, { key, tenant, shard: block.shard, id: block.id });
    return meta;
  }

  noteTaken({ name, tenant, shard, level, sourceBlocks }: CompactionJob): void {
    this.#jobs.set(name, { tenant, shard, level, sourceBlocks });
  }

  noteCompleted(name: string): void {
    this.#completed.add(name);
  }

  /** As workers do it: beside their jobs, so that an orderly stop does not end it. */
  carryOut({ blocks: tombstone }: Tombstone): Promise<void> {
    if (tombstone === null) return Promise.resolve();
    const { name, tenant, shard, compactionLevel: level, blocks } = tombstone;
    this.#carriedOut.add(name);
    this.#jobs.delete(name);
    const deleting: Promise<void> = this.#delete({ tenant, shard, level, sourceBlocks: blocks })
      .catch((error: unknown) => void this.#failures.push(error))
      .finally(() => this.#deletions.delete(deleting));
    this.#deletions.add(deleting);
    return deleting;
  }

  /**
   * Once no worker runs: waits for their deletions, and carries out those tombstones that the next jobs would have
   * brought; `waiting` are the names of those that the node still has. Returns the number of objects they deleted.
   * Errors: those of any deletion.
   */
  async settle(waiting: ReadonlySet<string>): Promise<number> {
    await Promise.all(this.#deletions);
    const before = this.deleted;
    for (const [name, job] of this.#jobs) {
      if (this.#completed.has(name) || waiting.has(name)) await this.#delete(job);
    }
    const left = this.deleted - before;
    this.deleted = before;
    if (this.#failures.length > 0) throw this.#failures[0];
    return left;
  }

  async #delete({ tenant, shard, level, sourceBlocks }: Sources): Promise<void> {
    for (const id of sourceBlocks) {
      const key = blockKey({ tenant, shard, id, level });
      await this.store.delete(key);
      if (this.#objects.delete(key)) this.deleted++;
    }
  }
}
