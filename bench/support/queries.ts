/** The query engine as a benchmark calls it: one read transaction per call, as a reader thread does. */

import type { IndexDatabase } from "../../src/db/index.ts";
import { PlanChunkReader } from "../../src/protocol/index.ts";
import { QueryEngine, type QueryParams } from "../../src/read/index.ts";

export class Queries {
  readonly engine: QueryEngine;
  readonly #db: IndexDatabase;

  constructor(db: IndexDatabase) {
    this.#db = db;
    this.engine = new QueryEngine({}, { db });
  }

  /** Bytes of the answer. */
  plan(params: QueryParams): number {
    let bytes = 0;
    this.#db.beginRead();
    try {
      this.engine.queryMetadata(params, (chunk) => {
        bytes += chunk.length;
      });
    } finally {
      this.#db.endRead();
    }
    return bytes;
  }

  /** Ids of the blocks of the answer. */
  ids(params: QueryParams): string[] {
    const ids: string[] = [];
    this.#db.beginRead();
    try {
      this.engine.queryMetadata(params, (chunk) => {
        const reader = new PlanChunkReader(chunk.slice());
        for (let i = 0; i < reader.blockCount; i++) ids.push(reader.block(i).id);
      });
    } finally {
      this.#db.endRead();
    }
    return ids;
  }

  /** Bytes of the answer of a label query. */
  labels(params: QueryParams): number {
    let bytes = 0;
    this.#db.beginRead();
    try {
      this.engine.queryMetadataLabels(params, (chunk) => {
        bytes += chunk.length;
      });
    } finally {
      this.#db.endRead();
    }
    return bytes;
  }
}
