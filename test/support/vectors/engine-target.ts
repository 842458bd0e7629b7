/**
 * The engine in this process as a vector target: requests pass the codecs and the checks that a server applies at
 * its door, writes go to the state machine as committed entries, reads to the query engine.
 */

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { HearthError } from "../../../src/base/index.ts";
import {
  appendAddBlockEntry,
  type BlockMeta,
  ByteSink,
  checkEntries,
  decodeQueryRequest,
  decodeTenantRequest,
  encodeBlock,
  encodeQueryRequest,
  encodeTenantRequest,
  type QueryRequest,
  validateBlock,
} from "../../../src/protocol/index.ts";
import { listTombstones, tombstoneExists } from "../../../src/state/index.ts";
import {
  blockList,
  collectBlocks,
  collectRows,
  type Engine,
  inRead,
  openEngine,
  planAsker,
} from "../engine.ts";
import { toCommittedBatch } from "../entries.ts";
import type {
  LabelPair,
  LogPosition,
  QueryInput,
  TenantStatistics,
  VectorTarget,
  VectorTargets,
} from "./types.ts";

export function createEngineTargets(): VectorTargets {
  return {
    create: async () => new EngineTarget(),
    close: async () => {},
  };
}

class EngineTarget implements VectorTarget {
  readonly #directory = mkdtempSync(join(tmpdir(), "hearth-vectors-"));
  #engine: Engine = openEngine(this.#directory);
  #lastIndex = 0;
  #appendedAtMs = 0;

  async addBlock(block: BlockMeta | null, position: LogPosition): Promise<void> {
    const wire = new ByteSink();
    if (block !== null) encodeBlock(block, wire);
    const failure = validateBlock(wire.u8, 0, wire.length);
    if (failure !== null) {
      throw new HearthError("invalid_argument", failure.message, { reason: failure.reason });
    }
    const entry = new ByteSink();
    appendAddBlockEntry(entry, wire.u8, 0, wire.length);
    this.#apply(entry.copy(), position);
  }

  async command(entry: Uint8Array, position: LogPosition): Promise<void> {
    const { failure } = checkEntries(entry);
    if (failure !== null) {
      throw new HearthError("invalid_argument", failure.message, { reason: failure.reason });
    }
    this.#apply(entry, position);
  }

  #apply(body: Uint8Array, { term, appendedAtMs }: LogPosition): void {
    this.#appendedAtMs = Math.max(this.#appendedAtMs, appendedAtMs ?? 0);
    const firstIndex = this.#lastIndex + 1;
    const batch = toCommittedBatch(body, { firstIndex, term, appendedAtMs: this.#appendedAtMs });
    this.#lastIndex += batch.count;
    const { rejections } = this.#engine.state.apply([batch]);
    const rejection = rejections.get(0);
    // The checks above let nothing through that the state machine would refuse.
    if (rejection !== undefined)
      throw new Error(`The state machine refused the entry: ${rejection}`);
  }

  async getBlocks(tenant: string, shard: number, blocks: readonly string[]): Promise<BlockMeta[]> {
    const request = blockList(tenant, shard, blocks);
    return this.#read(({ queries }) =>
      collectBlocks((chunks) => queries.getBlockMetadata(request, planAsker(chunks))),
    );
  }

  async query(input: QueryInput): Promise<BlockMeta[]> {
    const request = overTheWire(input);
    return this.#read(({ queries }) =>
      collectBlocks((chunks) => queries.queryMetadata(request, chunks)),
    );
  }

  async queryLabels(input: QueryInput): Promise<LabelPair[][]> {
    const request = overTheWire(input);
    const rows = this.#read(({ queries }) =>
      collectRows((chunks) => queries.queryMetadataLabels(request, chunks)),
    );
    return rows.map((row) => row.map((value, i) => ({ name: input.labels[i] as string, value })));
  }

  async getTenants(): Promise<string[]> {
    return this.#read(({ queries }) => queries.getTenants());
  }

  async getTenant(tenant: string): Promise<TenantStatistics> {
    const sink = new ByteSink();
    encodeTenantRequest(sink, { tenant, consistency: "strong" });
    const request = decodeTenantRequest(sink.copy());
    return this.#read(({ queries }) => queries.getTenant(request.tenant));
  }

  async tombstoneExists(tenant: string, shard: number, block: string): Promise<boolean> {
    return this.#read(({ db }) => tombstoneExists(db, tenant, shard, block));
  }

  async listTombstones(beforeMs: number): Promise<string[]> {
    return this.#read(({ db }) => listTombstones(db, beforeMs).map(({ name }) => name));
  }

  async restart(): Promise<void> {
    await this.#engine.db.close();
    this.#engine = openEngine(this.#directory);
  }

  async close(): Promise<void> {
    await this.#engine.db.close();
    rmSync(this.#directory, { recursive: true, force: true });
  }

  #read<T>(read: (engine: Engine) => T): T {
    return inRead(this.#engine.db, () => read(this.#engine));
  }
}

/** What a server would see of the request: times are clamped there. */
function overTheWire(input: QueryInput): QueryRequest {
  const sink = new ByteSink();
  encodeQueryRequest(sink, { ...input, consistency: "strong", maxStalenessMs: 0 });
  return decodeQueryRequest(sink.copy());
}
