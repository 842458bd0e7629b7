/**
 * The entries of an append: all batch headers, then all bodies, so that a sender gathers and a receiver keeps views.
 *
 * ```
 * headers: per batch, 40 B: u32 kind | u32 entries | u32 body bytes | u32 0 | f64 first index | f64 term
 *                           | f64 appended-at, Unix ms
 * bodies:  entries back to back (protocol/command/entry-body.ts), each a multiple of 8
 * ```
 */

import { assert } from "../../base/index.ts";
import { COMMAND, ENTRY_HEADER_BYTES, iterateEntries } from "../../protocol/index.ts";
import { type Append, type Batch, BATCH_KIND } from "../types.ts";
import { check, codecError, type RecordReader, RecordWriter } from "./bytes.ts";
import { CODEC_LIMITS } from "./limits.ts";
import { decodeMembershipBatch } from "./membership.ts";

const BATCH_HEADER_BYTES = 40;

export function encodeBatchHeaders(batches: readonly Batch[]): Uint8Array {
  assert(
    batches.length <= CODEC_LIMITS.batchesMax,
    `${batches.length} batches in a message, limit is ${CODEC_LIMITS.batchesMax}`,
  );
  const writer = new RecordWriter(batches.length * BATCH_HEADER_BYTES);
  for (const batch of batches) {
    assert(batch.bodyBytes % 8 === 0, `A body of ${batch.bodyBytes} bytes is not padded`);
    writer
      .u32(batch.kind)
      .u32(batch.count)
      .u32(batch.bodyBytes)
      .u32(0)
      .integer(batch.firstIndex)
      .integer(batch.term)
      .integer(batch.appendedAtMs);
  }
  return writer.bytes;
}

export function bodiesOf(batches: readonly Batch[]): Uint8Array[] {
  return batches.map(({ body, bodyBytes }) =>
    body.length === bodyBytes ? body : body.subarray(0, bodyBytes),
  );
}

type AppendHead = Pick<Append, "term" | "previousIndex" | "previousTerm">;

/**
 * Reads `count` batches; bodies are views. A batch that is accepted can be appended, counted and applied: framing,
 * order, terms and the one entry of a membership batch are checked here and nowhere behind.
 */
export function decodeBatches(reader: RecordReader, count: number, head: AppendHead): Batch[] {
  if (count > CODEC_LIMITS.batchesMax) {
    throw codecError("too_large", `${count} batches, limit is ${CODEC_LIMITS.batchesMax}`);
  }
  if (count * BATCH_HEADER_BYTES > reader.remaining) {
    throw codecError("bad_length", `${count} batches in ${reader.remaining} bytes`);
  }
  const headers = Array.from({ length: count }, () => readHeader(reader));
  let nextIndex = head.previousIndex + 1;
  let term = head.previousTerm;
  return headers.map((header) => {
    check(header.firstIndex === nextIndex, `entries from ${header.firstIndex}, not ${nextIndex}`);
    check(header.term >= term, `term ${header.term} behind term ${term}`);
    check(header.term <= head.term, `entries of term ${header.term} in term ${head.term}`);
    nextIndex += header.count;
    check(Number.isSafeInteger(nextIndex), "indexes that are too large");
    term = header.term;
    const batch = { ...header, body: reader.bytes(header.bodyBytes) };
    checkBody(batch);
    return batch;
  });
}

function readHeader(reader: RecordReader): Omit<Batch, "body"> {
  const kind = reader.u32();
  if (kind !== BATCH_KIND.entries && kind !== BATCH_KIND.membership) {
    throw codecError("bad_content", `batch kind ${kind}`);
  }
  const count = reader.u32();
  const bodyBytes = reader.u32();
  check(reader.u32() === 0, "reserved bytes of a batch are not zero");
  check(bodyBytes % 8 === 0, `a body of ${bodyBytes} bytes`);
  check(count > 0 && count * ENTRY_HEADER_BYTES <= bodyBytes, `${count} entries in ${bodyBytes} B`);
  return {
    kind,
    firstIndex: reader.integer("first index"),
    term: reader.integer("term of a batch"),
    appendedAtMs: reader.integer("appended-at"),
    count,
    bodyBytes,
  };
}

/** Cost: a walk over the entry headers. */
function checkBody(batch: Batch): void {
  if (batch.kind === BATCH_KIND.membership) {
    check(batch.count === 1, `${batch.count} entries in a membership batch`);
    decodeMembershipBatch(batch);
    return;
  }
  let hasMembership = false;
  const count = iterateEntries(batch.body, batch.bodyBytes, (command) => {
    hasMembership ||= command === COMMAND.membership;
  });
  check(count === batch.count, `${count} entries in a batch of ${batch.count}`);
  check(!hasMembership, "a membership entry outside of a membership batch");
}
