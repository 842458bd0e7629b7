/**
 * Many blocks in one payload: what AddBlocks carries, and, unchanged, what log command 1 carries.
 *
 * ```
 * u32 count | u32 0 | count times: u32 bytes | u32 0 | Block | zeros to a multiple of 8
 * ```
 *
 * Not a FlatBuffer around FlatBuffers: a nested vector would not be 8-aligned, and a batch is
 * assembled from blocks that came in different frames.
 */

import { assert, HearthError, isHearthError } from "../../base/index.ts";
import { decodeBlock } from "../block/block-decoder.ts";
import { validateBlock } from "../block/block-validator.ts";
import { encodeBlock } from "../block/block-writer.ts";
import type { BlockMeta } from "../block-meta.ts";
import { structureError } from "../bytes/flat-reader.ts";
import type { ByteSink } from "../bytes/sink.ts";
import { readU32 } from "../bytes/u32.ts";
import { LIMITS } from "../limits.ts";
import { refusalOf, type ValidationFailure } from "../refusals.ts";

/** Bytes in front of the blocks, and in front of each block. */
export const BATCH_HEADER_BYTES = 8;

/** Called per block with its place in the bytes that were given. */
export type BlockVisitor = (offset: number, length: number, position: number) => void;

/**
 * Appends a batch to the sink, which stands at a multiple of 8, and returns its length.
 *
 * Shape: plain blocks are encoded, bytes are taken as wire Blocks as they are.
 * Errors: HearthError invalid_argument, naming the block, when one cannot be encoded; the sink is
 *   then unchanged.
 */
export function encodeBlockBatch(
  sink: ByteSink,
  blocks: readonly (BlockMeta | Uint8Array)[],
): number {
  assert((sink.length & 7) === 0, "A batch must begin at a multiple of 8");
  const start = sink.length;
  sink.appendWords(blocks.length, 0);
  for (let i = 0; i < blocks.length; i++) {
    const header = sink.length;
    sink.appendWords(0, 0);
    try {
      appendBlock(sink, blocks[i] as BlockMeta | Uint8Array);
    } catch (error) {
      sink.length = start;
      throw isHearthError(error) && blocks.length > 1 ? atBlock(i, error) : error;
    }
    sink.i32[header >>> 2] = sink.length - header - BATCH_HEADER_BYTES;
    sink.align8();
  }
  return sink.length - start;
}

/**
 * Visits the blocks of the batch in bytes[offset, offset + length) and returns how many there are.
 *
 * Errors: HearthError invalid_argument when the framing is wrong. The blocks themselves are not
 *   looked at.
 */
export function iterateBlockBatch(
  bytes: Uint8Array,
  offset: number,
  length: number,
  visit: BlockVisitor,
): number {
  const end = offset + length;
  if (length < BATCH_HEADER_BYTES) throw structureError(`${length} bytes are too short for blocks`);
  const count = readU32(bytes, offset);
  if (count > LIMITS.blocksPerAddMax) {
    throw new HearthError(
      "invalid_argument",
      `Cannot accept blocks: ${count} in one request, limit is ${LIMITS.blocksPerAddMax}`,
      { reason: "too_many_blocks", next: "Send them in several requests" },
    );
  }
  let position = offset + BATCH_HEADER_BYTES;
  for (let i = 0; i < count; i++) {
    if (position + BATCH_HEADER_BYTES > end)
      throw structureError(`block ${i} of ${count} is missing`);
    const blockBytes = readU32(bytes, position);
    const start = position + BATCH_HEADER_BYTES;
    if (start + blockBytes > end) throw structureError(`block ${i} of ${count} is cut off`);
    visit(start, blockBytes, i);
    position = start + align8(blockBytes);
  }
  // The padding of the last block may be missing from what a client sent.
  if (align8(position - offset) !== align8(length)) {
    throw structureError(`${end - position} bytes follow the last block`);
  }
  return count;
}

/** Why a batch must not enter the log, or null. Cost: that of `validateBlock` for each block. */
export function checkBlockBatch(
  bytes: Uint8Array,
  offset = 0,
  length: number = bytes.length - offset,
): ValidationFailure | null {
  let failure: ValidationFailure | null = null;
  try {
    const count = iterateBlockBatch(bytes, offset, length, (start, blockBytes, position) => {
      if (failure !== null) return;
      const found = validateBlock(bytes, start, blockBytes);
      if (found !== null) failure = { ...found, message: `Block ${position}: ${found.message}` };
    });
    if (count > 0) return failure;
    return { reason: "no_blocks", message: "Cannot accept blocks: the request has none" };
  } catch (error) {
    if (isHearthError(error)) return refusalOf(error);
    throw error;
  }
}

/** The blocks of a batch as plain objects. Errors: as `iterateBlockBatch` and `decodeBlock`. */
export function decodeBlockBatch(
  bytes: Uint8Array,
  offset = 0,
  length: number = bytes.length - offset,
): BlockMeta[] {
  const blocks: BlockMeta[] = [];
  iterateBlockBatch(bytes, offset, length, (start, blockBytes) => {
    blocks.push(decodeBlock(bytes, start, blockBytes));
  });
  return blocks;
}

function appendBlock(sink: ByteSink, block: BlockMeta | Uint8Array): void {
  if (block instanceof Uint8Array) sink.append(block);
  else encodeBlock(block, sink);
}

function atBlock(position: number, error: HearthError): HearthError {
  return new HearthError(error.code, `Block ${position}: ${error.message}`, {
    reason: error.reason,
  });
}

function align8(bytes: number): number {
  return Math.ceil(bytes / 8) * 8;
}
