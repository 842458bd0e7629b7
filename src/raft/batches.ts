/** Making and cutting batches. Batches are immutable: cutting makes new ones over the same bytes. */

import { assert } from "../base/index.ts";
import {
  COMMAND,
  COMMAND_VERSION,
  entriesByteLength,
  ENTRY_HEADER_BYTES,
} from "../protocol/index.ts";
import { encodeMembershipBody } from "./codec/index.ts";
import { type Batch, BATCH_KIND, type Membership } from "./types.ts";

export function lastIndexOf(batch: Batch): number {
  return batch.firstIndex + batch.count - 1;
}

function encodeNoop(): Uint8Array {
  const body = new Uint8Array(ENTRY_HEADER_BYTES);
  const view = new DataView(body.buffer);
  view.setUint16(4, COMMAND.noop, true);
  view.setUint16(6, COMMAND_VERSION, true);
  return body;
}

/** The entry that opens a term: it commits what earlier terms left, and it changes nothing. Never written to. */
export const NOOP_BODY: Uint8Array = encodeNoop();

type Place = Pick<Batch, "firstIndex" | "term" | "appendedAtMs">;

export function noopBatch(place: Place): Batch {
  const { firstIndex, term, appendedAtMs } = place;
  return {
    kind: BATCH_KIND.entries,
    firstIndex,
    term,
    appendedAtMs,
    count: 1,
    body: NOOP_BODY,
    bodyBytes: NOOP_BODY.length,
  };
}

export function membershipBatch(place: Place, membership: Membership): Batch {
  const { firstIndex, term, appendedAtMs } = place;
  const body = encodeMembershipBody(membership);
  return {
    kind: BATCH_KIND.membership,
    firstIndex,
    term,
    appendedAtMs,
    count: 1,
    body,
    bodyBytes: body.length,
  };
}

/**
 * The entries firstIndex..lastIndex of a batch, over the same bytes.
 *
 * Cost: a walk over the lengths of the entries before lastIndex; none when the whole batch is asked for.
 */
export function sliceBatch(batch: Batch, firstIndex: number, lastIndex: number): Batch {
  const batchLast = lastIndexOf(batch);
  assert(
    batch.firstIndex <= firstIndex && firstIndex <= lastIndex && lastIndex <= batchLast,
    `Cannot cut ${firstIndex}..${lastIndex} out of ${batch.firstIndex}..${batchLast}`,
  );
  if (firstIndex === batch.firstIndex && lastIndex === batchLast) return batch;
  const start = offsetAfter(batch, 0, firstIndex - batch.firstIndex);
  const count = lastIndex - firstIndex + 1;
  const end = lastIndex === batchLast ? batch.bodyBytes : offsetAfter(batch, start, count);
  const { kind, term, appendedAtMs } = batch;
  const body = batch.body.subarray(start, end);
  return { kind, firstIndex, term, appendedAtMs, count, body, bodyBytes: end - start };
}

/** Where the entry begins that follows `count` entries from `offset` on. */
function offsetAfter({ body, bodyBytes }: Batch, offset: number, count: number): number {
  const takenBytes = entriesByteLength(body.subarray(offset, bodyBytes), count);
  assert(takenBytes >= 0, "A batch has fewer entries than its count");
  return offset + takenBytes;
}
