/**
 * The metadata copy at the end of a block object (spec, appendix B):
 *
 * ```
 * ... data ... | BlockMeta, protobuf | u32 BE: its length L | u32 BE: CRC-32C of message and length
 * ```
 */

import { createRequire } from "node:module";
import { HearthError } from "../../base/index.ts";
import type { BlockMeta } from "../block-meta.ts";
import { parseBlockMetaProto } from "./block-proto.ts";

const FOOTER_BYTES = 8;

/** What the end of a block object tells. */
export interface BlockObject {
  /** With `sizeBytes` set: the copy was written before the size of the object was known. */
  readonly meta: BlockMeta;
  /** Where the copy starts in the object, bytes. */
  readonly metadataOffset: number;
  readonly metadataBytes: number;
}

/** Where the metadata stands in the bytes that were looked at. */
export interface BlockObjectPlace {
  readonly start: number;
  readonly end: number;
  /** Where it starts in the object, bytes. */
  readonly metadataOffset: number;
}

/**
 * Reads the metadata of a whole block object, or of its end if that holds the copy; `objectBytes`
 * is then the size of the whole.
 *
 * Errors: those of `findBlockMetadata` and of `parseBlockMetaProto`.
 */
export function readBlockObject(
  bytes: Uint8Array,
  objectBytes: number = bytes.length,
): BlockObject {
  const { start, end, metadataOffset } = findBlockMetadata(bytes, objectBytes);
  const meta = parseBlockMetaProto(bytes.subarray(start, end));
  return {
    meta: { ...meta, sizeBytes: BigInt(objectBytes) },
    metadataOffset,
    metadataBytes: end - start,
  };
}

/**
 * Finds the metadata in the end of a block object, and checks it against its checksum.
 *
 * Errors: HearthError invalid_argument: `bad_block_object` when there is no footer that fits,
 *   `bad_checksum` when the checksum differs.
 */
export function findBlockMetadata(bytes: Uint8Array, objectBytes: number): BlockObjectPlace {
  if (bytes.length <= FOOTER_BYTES) {
    throw objectError(
      "bad_block_object",
      `it has ${bytes.length} bytes, a footer alone takes ${FOOTER_BYTES}`,
    );
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const end = bytes.length - FOOTER_BYTES;
  const metadataBytes = view.getUint32(end);
  const expected = view.getUint32(end + 4);
  if (metadataBytes > end) {
    throw objectError(
      "bad_block_object",
      `its footer claims ${metadataBytes} bytes of metadata, ${end} are there`,
    );
  }
  const start = end - metadataBytes;
  const actual = loadCrc32c()(bytes.subarray(start, end + 4)) >>> 0;
  if (actual !== expected) {
    throw objectError(
      "bad_checksum",
      `the checksum of its metadata is ${hex(actual)}, its footer says ${hex(expected)}`,
    );
  }
  return { start, end, metadataOffset: objectBytes - bytes.length + start };
}

type Crc32c = (bytes: Uint8Array) => number;
let crc32c: Crc32c | null = null;

/** Loaded late, like the protobuf library: the client has no use for it. */
function loadCrc32c(): Crc32c {
  crc32c ??= (createRequire(import.meta.url)("@node-rs/crc32") as { crc32c: Crc32c }).crc32c;
  return crc32c;
}

function objectError(reason: string, what: string): HearthError {
  return new HearthError("invalid_argument", `Cannot read block object: ${what}`, {
    reason,
    next: "Check that the file is a whole block object, not a part of one or another kind of file",
  });
}

function hex(value: number): string {
  return `0x${value.toString(16).padStart(8, "0")}`;
}
