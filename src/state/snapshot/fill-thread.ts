/**
 * Task: fills a new generation of the index with the rows of an image. Nobody reads it before it is complete, and what
 * is there after an error is removed by whoever asked.
 */

import { toHearthError } from "../../base/index.ts";
import { IndexDatabase, TABLES } from "../../db/index.ts";
import { Counters } from "../counters.ts";
import { imageCancelled, imageDamaged, toPlainFailure } from "./errors.ts";
import { ImageReader } from "./image-reader.ts";
import { readHead } from "./image-writer.ts";
import type { Filled, FillRequest, FromFiller, ToFiller } from "./messages.ts";
import type { RowVisitor } from "./row-pieces.ts";
import { loadZstd } from "./zstd.ts";

export async function runTask(request: FillRequest): Promise<Filled> {
  const { port, layout } = request;
  try {
    const zstd = await loadZstd();
    const db = IndexDatabase.open({ ...request.database, role: "filler" });
    try {
      const onRows = (visitAll: (visit: RowVisitor) => void): void =>
        db.write(() => visitAll((table, key, value) => putRow(db, table, key, value)));
      const reader = new ImageReader({ zstd, layout, onRows });
      await receive(request, reader);
      const head = reader.finish();
      checkState(db, head);
      return { head, rows: reader.rows };
    } finally {
      await db.close();
    }
  } catch (error) {
    throw new Error(JSON.stringify(toPlainFailure(error)), { cause: error });
  } finally {
    port.close();
  }
}

/** Resolves when the last byte is in the database. */
function receive({ port }: FillRequest, reader: ImageReader): Promise<void> {
  return new Promise((resolve, reject) => {
    port.on("message", (message: ToFiller) => {
      try {
        if (message.kind === "stop") reject(imageCancelled());
        else if (message.kind === "end") resolve();
        else {
          reader.push(message.bytes);
          port.postMessage({ kind: "taken" } satisfies FromFiller);
        }
      } catch (error) {
        reject(error);
      }
    });
    // Main is gone.
    port.on("close", () => reject(imageCancelled()));
  });
}

function putRow(db: IndexDatabase, table: number, key: Uint8Array, value: Uint8Array): void {
  const name = TABLES[table] as (typeof TABLES)[number];
  // This table has a row of its own already, so keys are not above all others.
  if (name === "meta") db.put(name, key, value);
  else db.append(name, key, value);
}

/**
 * The position that stands in front of the rows must be the one that is in them, and what a state begins with must be
 * readable: main changes over to this content, and every start begins with it.
 */
function checkState(
  db: IndexDatabase,
  head: { index: number; term: number; layout: number },
): void {
  db.beginRead();
  try {
    const { index, term } = readHead(db, head.layout);
    if (index !== head.index || term !== head.term) {
      throw imageDamaged(`it claims log index ${head.index} and holds the state at ${index}`);
    }
    loadCounters(db);
  } finally {
    db.endRead();
  }
}

function loadCounters(db: IndexDatabase): void {
  try {
    new Counters().load(db);
  } catch (cause) {
    throw imageDamaged(`its counters: ${toHearthError(cause).message}`, cause);
  }
}
