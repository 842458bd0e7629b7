/** State machine and query engine over one database in this process: what tests drive when no server is needed. */

import assert from "node:assert/strict";
import { SILENT_LOGGER } from "../../src/base/index.ts";
import { IndexDatabase } from "../../src/db/index.ts";
import {
  type BlockIdsRequest,
  type BlockMeta,
  ByteSink,
  decodeBlockListRequest,
  encodeBlockListRequest,
  LabelsChunkReader,
  PlanChunkReader,
} from "../../src/protocol/index.ts";
import {
  type BlockAsker,
  type ChunkSink,
  QUERY_ENGINE_DEFAULTS,
  QueryEngine,
  type QueryEngineOptions,
} from "../../src/read/index.ts";
import { STATE_DEFAULTS, StateMachine, type StateOptions } from "../../src/state/index.ts";

/** Room for the small indexes of tests; the map is a hole in a sparse file. */
const MAP_SIZE_BYTES = 1024 ** 3;

export interface EngineOptions {
  readonly state?: Partial<StateOptions>;
  readonly queries?: Partial<QueryEngineOptions>;
}

export interface Engine {
  readonly db: IndexDatabase;
  readonly state: StateMachine;
  readonly queries: QueryEngine;
}

/** Opens what is in the directory, or an empty index. Close it with `engine.db.close()`. */
export function openEngine(directory: string, options: EngineOptions = {}): Engine {
  const db = IndexDatabase.open({ directory, mapSizeBytes: MAP_SIZE_BYTES, role: "writer" });
  return {
    db,
    state: new StateMachine({ ...STATE_DEFAULTS, ...options.state }, { db, logger: SILENT_LOGGER }),
    queries: new QueryEngine({ ...QUERY_ENGINE_DEFAULTS, ...options.queries }, { db }),
  };
}

/** Runs `read` inside a read transaction of its own. */
export function inRead<T>(db: IndexDatabase, read: () => T): T {
  db.beginRead();
  try {
    return read();
  } finally {
    db.endRead();
  }
}

/** All blocks of a streamed answer, owned. */
export function collectBlocks(run: (sink: ChunkSink) => void): BlockMeta[] {
  const blocks: BlockMeta[] = [];
  run((chunk) => {
    const reader = new PlanChunkReader(chunk);
    for (let i = 0; i < reader.blockCount; i++) blocks.push(reader.block(i).toBlockMeta());
  });
  return blocks;
}

/** All rows of a streamed label answer: values in request order. */
export function collectRows(run: (sink: ChunkSink) => void): string[][] {
  const rows: string[][] = [];
  run((chunk) => {
    const reader = new LabelsChunkReader(chunk);
    for (let row = 0; row < reader.rowCount; row++) rows.push(reader.row(row));
  });
  return rows;
}

/** A look-up as the engine gets it: by way of the wire, where ids that are no ULIDs are refused. */
export function blockList(
  tenant: string,
  shard: number,
  blocks: readonly string[],
): BlockIdsRequest {
  const sink = new ByteSink();
  encodeBlockListRequest(sink, { tenant, shard, blocks, consistency: "strong" });
  const list = decodeBlockListRequest(sink.copy());
  return { ...list, ids: list.ids.slice() };
}

/** An asker that keeps no dictionaries: it gets plan chunks. */
export function planAsker(chunk: ChunkSink): BlockAsker {
  const entries = (): never => assert.fail("entries for an asker without dictionaries");
  return { dictionaries: null, chunk, entries };
}
