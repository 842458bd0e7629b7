/**
 * The entries of an append: all batch headers, then all bodies, so that a sender gathers and a receiver keeps views.
 *
 * ```
 * headers: per batch, 40 B: u32 kind | u32 entries | u32 body bytes | u32 0 | f64 first index | f64 term
 *                           | f64 appended-at, Unix ms
 * bodies:  entries back to back (protocol/command/entry-body.ts), each a multiple of 8
 * ```
 */

import { assert, assertFailed, type HearthError } from "../../base/index.ts";
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
    if (batch.bodyBytes % 8 !== 0) assertFailed(`A body of ${batch.bodyBytes} bytes is not padded`);
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
  let nextIndex = head.previousIndex + 1;
  let { previousTerm } = head;
  const batches: Batch[] = [];
  // The bodies stand behind all headers.
  const bodies = reader.ahead(count * BATCH_HEADER_BYTES);
  for (let i = 0; i < count; i++) {
    const batch = readBatch(reader, bodies);
    const { firstIndex, term } = batch;
    if (firstIndex !== nextIndex) throw bad(`entries from ${firstIndex}, not ${nextIndex}`);
    if (term < previousTerm) throw bad(`term ${term} behind term ${previousTerm}`);
    if (term > head.term) throw bad(`entries of term ${term} in term ${head.term}`);
    nextIndex += batch.count;
    check(Number.isSafeInteger(nextIndex), "indexes that are too large");
    previousTerm = term;
    checkBody(batch);
    batches.push(batch);
  }
  reader.skipTo(bodies);
  return batches;
}

function readBatch(reader: RecordReader, bodies: RecordReader): Batch {
  const kind = reader.u32();
  if (kind !== BATCH_KIND.entries && kind !== BATCH_KIND.membership) throw bad(`kind ${kind}`);
  const count = reader.u32();
  const bodyBytes = reader.u32();
  check(reader.u32() === 0, "reserved bytes of a batch are not zero");
  if (bodyBytes % 8 !== 0) throw bad(`a body of ${bodyBytes} bytes`);
  if (count === 0 || count * ENTRY_HEADER_BYTES > bodyBytes)
    throw bad(`${count} entries in ${bodyBytes} B`);
  const firstIndex = reader.integer("first index");
  const term = reader.integer("term of a batch");
  const appendedAtMs = reader.integer("appended-at");
  return { kind, firstIndex, term, appendedAtMs, count, body: bodies.bytes(bodyBytes), bodyBytes };
}

function bad(what: string): HearthError {
  return codecError("bad_content", `a batch: ${what}`);
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
  if (count !== batch.count) throw bad(`${count} entries instead of ${batch.count}`);
  check(!hasMembership, "a membership entry outside of a membership batch");
}
