/**
 * Snappy in its framed stream format, as gRPC carries it:
 *
 * ```
 * 0xff 06 00 00 "sNaPpY" | chunks:  u8 kind | u24 LE length | u32 LE masked CRC-32C of the content | content
 *   kind 0x00: a compressed block    0x01: plain    0x80-0xfd: to be skipped    0x02-0x7f: to be refused
 * block:  varint length of the content | elements
 *   literal  length - 1 << 2 | 0          (60-63: that many less 59 bytes of length follow)
 *   copy     of 4-11 bytes, offset < 2048 | of 1-64 bytes, offset u16 | the same, offset u32
 * ```
 *
 * Source: the format descriptions of the project (format_description.txt, framing_format.txt).
 */

import { createRequire } from "node:module";
import { invalidArgument } from "../base/index.ts";

const STREAM_HEADER = Buffer.from([0xff, 6, 0, 0, 0x73, 0x4e, 0x61, 0x50, 0x70, 0x59]);
/** Largest content of a chunk. */
const CHUNK_MAX_BYTES = 65_536;
const CRC_BYTES = 4;
const KIND = { compressed: 0, plain: 1, skippableFirst: 0x80 } as const;

type Crc32c = (bytes: Uint8Array) => number;
const { crc32c } = createRequire(import.meta.url)("@node-rs/crc32") as { crc32c: Crc32c };

function maskedCrc(bytes: Uint8Array): number {
  const crc = crc32c(bytes) >>> 0;
  return (((crc >>> 15) | (crc << 17)) + 0xa282_ead8) >>> 0;
}

/** Thrown when the content is larger than was allowed. */
export class TooLargeError extends Error {}

/**
 * The content of a stream.
 *
 * Errors: HearthError invalid_argument "bad_compression" for what is no such stream; TooLargeError above `maxBytes`,
 *   before as much was allocated.
 */
export function snappyUnpack(stream: Uint8Array, maxBytes: number): Buffer {
  const bytes = Buffer.from(stream.buffer, stream.byteOffset, stream.length);
  const parts: Buffer[] = [];
  let total = 0;
  // A writer that was given nothing has written nothing, not even the header.
  if (bytes.length === 0) return bytes;
  if (!bytes.subarray(0, STREAM_HEADER.length).equals(STREAM_HEADER)) throw bad("no header");
  for (let at = 0; at < bytes.length; ) {
    if (at + 4 > bytes.length) throw bad("a chunk that is cut off");
    const kind = bytes[at] as number;
    const end = at + 4 + bytes.readUIntLE(at + 1, 3);
    if (end > bytes.length) throw bad("a chunk that is cut off");
    if (kind === KIND.compressed || kind === KIND.plain) {
      const part = unpackChunk(kind, bytes.subarray(at + 4, end));
      total += part.length;
      if (total > maxBytes) throw new TooLargeError();
      parts.push(part);
    } else if (kind < KIND.skippableFirst) throw bad(`a chunk of kind ${kind}`);
    at = end;
  }
  return parts.length === 1 ? (parts[0] as Buffer) : Buffer.concat(parts, total);
}

function unpackChunk(kind: number, chunk: Buffer): Buffer {
  if (chunk.length < CRC_BYTES) throw bad("a chunk without a checksum");
  const body = chunk.subarray(CRC_BYTES);
  const content = kind === KIND.plain ? body : unpackBlock(body);
  if (content.length > CHUNK_MAX_BYTES) throw bad("a chunk that is too large");
  if (maskedCrc(content) !== chunk.readUInt32LE(0)) throw bad("a wrong checksum");
  return content;
}

function unpackBlock(block: Buffer): Buffer {
  let length = 0;
  let at = 0;
  for (let shift = 0; ; shift += 7) {
    const byte = block[at++];
    if (byte === undefined || shift > 28) throw bad("a bad length");
    length += (byte & 127) * 2 ** shift;
    if (byte < 128) break;
  }
  if (length > CHUNK_MAX_BYTES) throw bad("a chunk that is too large");
  const content = Buffer.allocUnsafe(length);
  let to = 0;
  while (at < block.length) {
    const tag = block[at++] as number;
    if ((tag & 3) === 0) {
      let count = (tag >>> 2) + 1;
      if (count > 60) {
        const extra = count - 60;
        if (at + extra > block.length) throw bad("a literal that is cut off");
        count = block.readUIntLE(at, extra) + 1;
        at += extra;
      }
      if (count > block.length - at || count > length - to) throw bad("a literal that is cut off");
      block.copy(content, to, at, at + count);
      at += count;
      to += count;
      continue;
    }
    const extra = (tag & 3) === 3 ? 4 : tag & 3;
    if (at + extra > block.length) throw bad("a copy that is cut off");
    const isShort = (tag & 3) === 1;
    const count = isShort ? ((tag >>> 2) & 7) + 4 : (tag >>> 2) + 1;
    const offset = isShort
      ? ((tag >>> 5) << 8) | (block[at] as number)
      : block.readUIntLE(at, extra);
    at += extra;
    if (offset === 0 || offset > to || count > length - to) throw bad("a copy out of bounds");
    // Byte by byte: a copy may reach into what it writes.
    for (let i = 0; i < count; i++) content[to + i] = content[to - offset + i] as number;
    to += count;
  }
  if (to !== length) throw bad("less content than it claims");
  return content;
}

/** A stream that holds the content. */
export function snappyPack(content: Uint8Array): Buffer {
  const parts: Buffer[] = [STREAM_HEADER];
  for (let at = 0; at < content.length; at += CHUNK_MAX_BYTES) {
    const piece = content.subarray(at, Math.min(content.length, at + CHUNK_MAX_BYTES));
    const packed = packBlock(piece);
    const isWorth = packed.length < piece.length - piece.length / 8;
    const body = isWorth ? packed : piece;
    const header = Buffer.allocUnsafe(4 + CRC_BYTES);
    header[0] = isWorth ? KIND.compressed : KIND.plain;
    header.writeUIntLE(CRC_BYTES + body.length, 1, 3);
    header.writeUInt32LE(maskedCrc(piece), 4);
    parts.push(header, Buffer.from(body.buffer, body.byteOffset, body.length));
  }
  return Buffer.concat(parts);
}

const HASH_BITS = 14;
const TABLE = new Uint16Array(1 << HASH_BITS);

/** Greedy: the last place where the same four bytes stood, if there is one. */
function packBlock(piece: Uint8Array): Buffer {
  const source = Buffer.from(piece.buffer, piece.byteOffset, piece.length);
  const out = Buffer.allocUnsafe(16 + source.length + Math.ceil(source.length / 6));
  TABLE.fill(0);
  let to = writeVarint(out, 0, source.length);
  let literal = 0;
  let at = 1;
  while (at + 4 <= source.length) {
    const word = source.readUInt32LE(at);
    const slot = Math.imul(word, 0x1e35_a7bd) >>> (32 - HASH_BITS);
    const candidate = TABLE[slot] as number;
    TABLE[slot] = at;
    if (source.readUInt32LE(candidate) !== word) {
      at++;
      continue;
    }
    let count = 4;
    while (at + count < source.length && source[candidate + count] === source[at + count]) count++;
    to = writeLiteral(out, to, source, literal, at);
    to = writeCopies(out, to, at - candidate, count);
    at += count;
    literal = at;
  }
  to = writeLiteral(out, to, source, literal, source.length);
  return out.subarray(0, to);
}

function writeLiteral(
  out: Buffer,
  start: number,
  source: Buffer,
  first: number,
  end: number,
): number {
  const count = end - first;
  if (count === 0) return start;
  let to = start;
  if (count <= 60) out[to++] = (count - 1) << 2;
  else {
    // A piece has at most 64 KiB: two bytes hold its length.
    out[to++] = 61 << 2;
    out.writeUInt16LE(count - 1, to);
    to += 2;
  }
  source.copy(out, to, first, end);
  return to + count;
}

function writeCopies(out: Buffer, start: number, offset: number, length: number): number {
  let to = start;
  for (let left = length; left > 0; ) {
    const count = Math.min(64, left);
    out[to++] = ((count - 1) << 2) | 2;
    out.writeUInt16LE(offset, to);
    to += 2;
    left -= count;
  }
  return to;
}

function writeVarint(out: Buffer, start: number, value: number): number {
  let to = start;
  let rest = value;
  while (rest > 127) {
    out[to++] = (rest & 127) | 128;
    rest >>>= 7;
  }
  out[to++] = rest;
  return to;
}

function bad(what: string): Error {
  return invalidArgument("bad_compression", `Cannot unpack the message: it has ${what}`);
}
