/**
 * Frames of an image (DESIGN.md, "Format"): a header of 24 bytes and what it stands for.
 *
 * ```
 *  0 u32 kind: 1 head, 2 rows, 3 end       4 u32 encoding: 0 as it is, 1 zstd
 *  8 u32 stored bytes                     12 u32 content bytes
 * 16 u32 CRC-32C of the content           20 u32 rows in it
 * ```
 */

import { crc32c } from "@node-rs/crc32";
import { imageDamaged } from "./errors.ts";
import { IMAGE_LIMITS } from "./limits.ts";
import type { Zstd } from "./zstd.ts";

export const FRAME_HEADER_BYTES = 24;

/** On disks and on the wire: append only. */
export const FRAME = { head: 1, rows: 2, end: 3 } as const;
const ENCODING = { plain: 0, zstd: 1 } as const;

export interface FrameHeader {
  readonly kind: number;
  readonly encoding: number;
  readonly storedBytes: number;
  readonly contentBytes: number;
  readonly checksum: number;
  readonly rows: number;
}

/** Stored as it is where zstd does not make it smaller, or there is none. The result owns its ArrayBuffer. */
export function encodeFrame(
  kind: number,
  content: Uint8Array,
  rows: number,
  zstd: Zstd | null,
): Uint8Array<ArrayBuffer> {
  const compressed = zstd?.compress(content) ?? content;
  const isSmaller = compressed.length < content.length;
  const stored = isSmaller ? compressed : content;
  const frame = new Uint8Array(FRAME_HEADER_BYTES + stored.length);
  const view = new DataView(frame.buffer);
  view.setUint32(0, kind, true);
  view.setUint32(4, isSmaller ? ENCODING.zstd : ENCODING.plain, true);
  view.setUint32(8, stored.length, true);
  view.setUint32(12, content.length, true);
  view.setUint32(16, crc32c(content), true);
  view.setUint32(20, rows, true);
  frame.set(stored, FRAME_HEADER_BYTES);
  return frame;
}

/** Errors: image_damaged when a field is impossible: nothing is allocated by a length that was not looked at. */
export function decodeFrameHeader(bytes: Uint8Array): FrameHeader {
  const view = new DataView(bytes.buffer, bytes.byteOffset, FRAME_HEADER_BYTES);
  const header = {
    kind: view.getUint32(0, true),
    encoding: view.getUint32(4, true),
    storedBytes: view.getUint32(8, true),
    contentBytes: view.getUint32(12, true),
    checksum: view.getUint32(16, true),
    rows: view.getUint32(20, true),
  };
  const { kind, encoding, storedBytes, contentBytes, rows } = header;
  if (kind < FRAME.head || kind > FRAME.end) throw imageDamaged(`a frame is of kind ${kind}`);
  if ((kind === FRAME.rows) !== rows > 0)
    throw imageDamaged(`a frame of kind ${kind} has ${rows} rows`);
  if (encoding > ENCODING.zstd) throw imageDamaged(`a frame has encoding ${encoding}`);
  const { storedMaxBytes, pieceMaxBytes, textMaxBytes } = IMAGE_LIMITS;
  const contentMaxBytes = kind === FRAME.rows ? pieceMaxBytes : textMaxBytes;
  if (storedBytes > storedMaxBytes || contentBytes > contentMaxBytes || contentBytes === 0) {
    throw imageDamaged(`a frame of ${storedBytes} bytes stands for ${contentBytes}`);
  }
  if (encoding === ENCODING.plain && storedBytes !== contentBytes) {
    throw imageDamaged(`a plain frame of ${storedBytes} bytes stands for ${contentBytes}`);
  }
  return header;
}

/** The checked content; borrowed from `stored` when that is plain. */
export function decodeContent(header: FrameHeader, stored: Uint8Array, zstd: Zstd): Uint8Array {
  const isPlain = header.encoding === ENCODING.plain;
  const content = isPlain ? stored : zstd.decompress(stored, header.contentBytes);
  if (crc32c(content) !== header.checksum) throw imageDamaged("the checksum of a frame is wrong");
  return content;
}
