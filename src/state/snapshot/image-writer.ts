/** The state as an image: frames, one after the other, out of one read transaction. */

import { APPLIED_RECORD, type IndexDatabase, META_KEYS } from "../../db/index.ts";
import { encodeFrame, FRAME } from "./frames.ts";
import { encodeEnd, encodeHead, type ImageHead } from "./head.ts";
import { RowPieces } from "./row-pieces.ts";
import type { Zstd } from "./zstd.ts";

/** Where the state of the open transaction stands in the log. */
export function readHead(db: IndexDatabase, layout: number): ImageHead {
  const size = db.get("meta", META_KEYS.applied);
  const at = (field: number): number => (size < 0 ? 0 : (db.f64[field] as number));
  return {
    index: at(APPLIED_RECORD.index64),
    term: at(APPLIED_RECORD.term64),
    appendedAtMs: at(APPLIED_RECORD.appendedAtMs64),
    layout,
  };
}

/** To be exhausted inside one read transaction. Every frame owns its ArrayBuffer. */
export function* imageFrames(
  db: IndexDatabase,
  head: ImageHead,
  zstd: Zstd | null,
): Generator<Uint8Array<ArrayBuffer>, void> {
  yield encodeFrame(FRAME.head, encodeHead(head), 0, null);
  const pieces = new RowPieces(db);
  let rows = 0;
  let bytes = 0;
  for (let piece = pieces.next(); piece !== null; piece = pieces.next()) {
    rows += piece.rows;
    bytes += piece.bytes.length;
    yield encodeFrame(FRAME.rows, piece.bytes, piece.rows, zstd);
  }
  yield encodeFrame(FRAME.end, encodeEnd({ rows, bytes }), 0, null);
}
