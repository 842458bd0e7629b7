/** The real thing under the operations of the model test: state machine and query engine over one database. */

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { assert, unreachable } from "../../src/base/index.ts";
import {
  appendEntry,
  type BlockMeta,
  ByteSink,
  COMMAND,
  type CommittedBatch,
  type CompactedBlocks,
  encodeBlockBatch,
  encodeCompactedBlocks,
  encodeCompletedJobs,
  encodeDeleteShard,
  encodeTombstones,
  encodeTruncateIndex,
} from "../../src/protocol/index.ts";
import type { QueryParams } from "../../src/read/index.ts";
import { listTombstones, tombstoneExists } from "../../src/state/index.ts";
import {
  blockList,
  collectBlocks,
  collectRows,
  type Engine,
  inRead,
  openEngine,
  planAsker,
} from "../support/engine.ts";
import type { PlainQuery, PlainStats } from "./naive-index.ts";
import type { PlainCompaction, Stamp, WriteOperation } from "./operations.ts";
import { type TableStyle, toWireBytes } from "./plain.ts";
import { selectorText } from "./selectors.ts";
import type { Shape } from "./shapes.ts";

/** What a machine short of memory would do: everything is read back again and again. */
const TINY_STATE_CACHES = {
  dictionaryCacheBytes: 4_096,
  shardCacheCount: 2,
  partitionCacheCount: 2,
};

export class Driver {
  readonly #directory = mkdtempSync(join(tmpdir(), "hearth-model-"));
  readonly #shape: Shape;
  readonly #sink = new ByteSink(1 << 20);
  #engine: Engine;
  #nextIndex = 1;
  #lastBatches: CommittedBatch[] = [];

  constructor(shape: Shape) {
    this.#shape = shape;
    this.#engine = this.#open();
  }

  #open(): Engine {
    const isCached = this.#shape.cacheBytes > 1_000_000;
    return openEngine(this.#directory, {
      state: isCached ? {} : TINY_STATE_CACHES,
      queries: { cacheBytes: this.#shape.cacheBytes },
    });
  }

  async restart(): Promise<void> {
    await this.#engine.db.close();
    this.#engine = this.#open();
    const { appliedIndex } = this.#engine.state;
    assert(
      appliedIndex === this.#nextIndex - 1,
      `Reopened at ${appliedIndex}, not ${this.#nextIndex - 1}`,
    );
  }

  async close(): Promise<void> {
    await this.#engine.db.close();
    rmSync(this.#directory, { recursive: true, force: true });
  }

  /** Applies the writes in one go: neighbours with the same stamp share a batch, as in the log. */
  apply(writes: readonly WriteOperation[]): void {
    const batches: CommittedBatch[] = [];
    for (let first = 0; first < writes.length; ) {
      const stamp = writes[first] as Stamp;
      let end = first;
      this.#sink.reset();
      while (end < writes.length && isSameStamp(writes[end] as Stamp, stamp)) {
        appendWrite(this.#sink, writes[end] as WriteOperation);
        end++;
      }
      const body = this.#sink.copy();
      const count = end - first;
      const { term, appendedAtMs } = stamp;
      batches.push({
        firstIndex: this.#nextIndex,
        term,
        appendedAtMs,
        count,
        body,
        bodyBytes: body.length,
      });
      this.#nextIndex += count;
      first = end;
    }
    const { outcomes } = this.#engine.state.apply(batches);
    for (const [i, outcome] of outcomes.entries()) {
      assert(outcome !== 2, `Entry ${i} of ${outcomes.length} was rejected`);
    }
    this.#lastBatches = batches;
  }

  /** Offers the last entries once more. */
  replay(): void {
    this.#engine.state.apply(this.#lastBatches);
  }

  getBlocks(tenant: string, shard: number, blocks: readonly string[]): BlockMeta[] {
    return this.#read(({ queries }) =>
      collectBlocks((sink) =>
        queries.getBlockMetadata(blockList(tenant, shard, blocks), planAsker(sink)),
      ),
    );
  }

  query(query: PlainQuery, spelling: number): BlockMeta[] {
    const params = toParams(query, spelling);
    return this.#read(({ queries }) =>
      collectBlocks((sink) => queries.queryMetadata(params, sink)),
    );
  }

  queryLabels(query: PlainQuery, spelling: number): string[][] {
    const params = toParams(query, spelling);
    return this.#read(({ queries }) =>
      collectRows((sink) => queries.queryMetadataLabels(params, sink)),
    );
  }

  getTenants(): string[] {
    return this.#read(({ queries }) => queries.getTenants());
  }

  getTenant(tenant: string): PlainStats {
    return this.#read(({ queries }) => queries.getTenant(tenant));
  }

  tombstoneExists(tenant: string, shard: number, block: string): boolean {
    return this.#read(({ db }) => tombstoneExists(db, tenant, shard, block));
  }

  listTombstones(beforeMs: number): string[] {
    return this.#read(({ db }) => listTombstones(db, beforeMs).map(({ name }) => name));
  }

  #read<T>(read: (engine: Engine) => T): T {
    return inRead(this.#engine.db, () => read(this.#engine));
  }
}

function isSameStamp(a: Stamp, b: Stamp): boolean {
  return a.term === b.term && a.appendedAtMs === b.appendedAtMs;
}

function toParams(query: PlainQuery, spelling: number): QueryParams {
  const { tenants, startMs, endMs, labels, selector } = query;
  return {
    tenants: [...tenants],
    startMs,
    endMs,
    labels: [...labels],
    selector: selectorText(selector, spelling),
  };
}

function appendWrite(sink: ByteSink, write: WriteOperation): void {
  switch (write.kind) {
    case "addBlocks": {
      const batch = new ByteSink();
      encodeBlockBatch(
        batch,
        write.blocks.map((block) => toWireBytes(block, write.style)),
      );
      appendEntry(sink, COMMAND.addBlocks, batch.view());
      return;
    }
    case "replaceBlocks":
      appendEntry(
        sink,
        COMMAND.replaceBlocks,
        encodeCompactedBlocks(toCompacted(write, write.style)),
      );
      return;
    case "completeJob": {
      const compacted =
        write.compaction === null ? null : toCompacted(write.compaction, write.style);
      const job = { name: write.name, compactionLevel: write.level, compacted };
      appendEntry(sink, COMMAND.completeJobs, encodeCompletedJobs([job]));
      return;
    }
    case "deleteShard":
      appendEntry(sink, COMMAND.deleteShard, encodeDeleteShard(write.shard));
      return;
    case "truncateIndex": {
      const truncate = { term: write.plannedTerm, tombstones: write.tombstones };
      appendEntry(sink, COMMAND.truncateIndex, encodeTruncateIndex(truncate));
      return;
    }
    case "addTombstones":
      appendEntry(sink, COMMAND.addTombstones, encodeTombstones(write.tombstones));
      return;
    case "deleteTombstones":
      appendEntry(sink, COMMAND.deleteTombstones, encodeTombstones(write.tombstones));
      return;
    case "noop":
      appendEntry(sink, COMMAND.noop, new Uint8Array(0));
      return;
    default:
      unreachable(write);
  }
}

function toCompacted({ source, newBlocks }: PlainCompaction, style: TableStyle): CompactedBlocks {
  return { source, newBlocks: newBlocks.map((block) => toWireBytes(block, style)) };
}
