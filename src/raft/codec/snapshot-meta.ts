/**
 * What a snapshot stands for, as bytes.
 *
 * ```
 *   0 f64 index         8 f64 term       16 f64 index of the membership     24 f64 appended-at, Unix ms
 *  32 f64 size, bytes  40 u32 chunk bytes 44 u32 chunks                     48 u8[32] digest
 *  80 u16 id bytes     82 u16 0          84 u32 membership bytes
 *  88 id | zeros to 8 | membership (membership.ts)
 * ```
 */

import { assert } from "../../base/index.ts";
import type { SnapshotMeta } from "../types.ts";
import { align8, check, codecError, RecordReader, RecordWriter } from "./bytes.ts";
import { encodeId } from "./ids.ts";
import { CODEC_LIMITS } from "./limits.ts";
import { decodeMembership, encodeMembership } from "./membership.ts";

const FIXED_BYTES = 88;
const DIGEST_BYTES = 32;
const DIGEST_PATTERN = /^[0-9a-f]{64}$/;

/** Shape: length is a multiple of 8. */
export function encodeSnapshotMeta(meta: SnapshotMeta): Uint8Array {
  assert(DIGEST_PATTERN.test(meta.digest), `"${meta.digest}" is not a digest`);
  const problem = metaProblem(meta);
  assert(problem === null, `Cannot encode a snapshot's meta: ${problem}`);
  const id = encodeId(meta.id, "snapshot id");
  const membership = encodeMembership(meta.membership.membership);
  return new RecordWriter(FIXED_BYTES + align8(id.length) + membership.length)
    .integer(meta.index)
    .integer(meta.term)
    .integer(meta.membership.index)
    .integer(meta.appendedAtMs)
    .integer(meta.sizeBytes)
    .u32(meta.chunkBytes)
    .u32(meta.chunkCount)
    .raw(Buffer.from(meta.digest, "hex"))
    .u16(id.length)
    .u16(0)
    .u32(membership.length)
    .raw(id)
    .align()
    .raw(membership).bytes;
}

/** Errors: HearthError invalid_argument with a CodecReason, whatever the bytes. */
export function decodeSnapshotMeta(bytes: Uint8Array): SnapshotMeta {
  const reader = new RecordReader(bytes);
  const index = reader.integer("snapshot index");
  const term = reader.integer("snapshot term");
  const membershipIndex = reader.integer("membership index");
  const appendedAtMs = reader.integer("appended-at");
  const sizeBytes = reader.integer("snapshot size");
  const chunkBytes = reader.u32();
  const chunkCount = reader.u32();
  const digest = Buffer.from(reader.bytes(DIGEST_BYTES)).toString("hex");
  const idBytes = reader.u16();
  check(reader.u16() === 0, "reserved bytes of a snapshot are not zero");
  const membershipBytes = reader.u32();
  const id = reader.id(idBytes, "snapshot id");
  reader.align();
  const membership = decodeMembership(reader.bytes(membershipBytes));
  reader.expectEnd();
  const meta: SnapshotMeta = {
    id,
    index,
    term,
    membership: { index: membershipIndex, membership },
    appendedAtMs,
    sizeBytes,
    chunkBytes,
    chunkCount,
    digest,
  };
  const problem = metaProblem(meta);
  if (problem !== null) throw codecError("bad_content", problem);
  return meta;
}

function metaProblem(meta: SnapshotMeta): string | null {
  const { index, sizeBytes, chunkBytes, chunkCount } = meta;
  if (index < 1) return "a snapshot of nothing";
  if (meta.membership.index > index) return "a membership behind the index of its snapshot";
  if (chunkBytes < 1 || chunkBytes > CODEC_LIMITS.chunkMaxBytes) {
    return `chunks of ${chunkBytes} bytes, allowed are 1 to ${CODEC_LIMITS.chunkMaxBytes}`;
  }
  if (chunkCount < 1 || chunkCount !== Math.ceil(sizeBytes / chunkBytes)) {
    return `${chunkCount} chunks of ${chunkBytes} bytes for ${sizeBytes} bytes`;
  }
  return null;
}
