/**
 * How the content of a segment lies on the disk: in sectors that say themselves in which life of the file they were
 * written.
 *
 *   sector | content 504 B | u32 tag | u32 tag |        512 B, what a crash keeps or loses as a whole
 *
 * The tag is made of the sequence of the segment. What a file holds from before it became this segment carries another
 * one and counts as zeros, so that a file may be used again without being filled with zeros first. Everything else in this
 * folder knows content alone: its positions and lengths are of bytes without the stamps.
 *
 * Why two tags: damage to one does not make a sector old that was durable, nor an old one new.
 */

import { crc32c } from "@node-rs/crc32";
import { assert } from "../base/index.ts";

/** On the disk. 512 B and 4 KiB sectors are in use, so the smaller one is assumed. */
export const DISK_SECTOR_BYTES = 512;
const STAMP_BYTES = 8;
/** Content of one sector. */
export const SECTOR_BYTES = DISK_SECTOR_BYTES - STAMP_BYTES;
/** Of the page cache: what is written in part is read from the disk first, where it is not in memory. */
const PAGE_BYTES = 4096;

/** What fits into a file of `fileBytes`. */
export function contentBytes(fileBytes: number): number {
  return Math.floor(fileBytes / DISK_SECTOR_BYTES) * SECTOR_BYTES;
}

/** Where the content at `position` lies in its file. */
export function diskPosition(position: number): number {
  return Math.floor(position / SECTOR_BYTES) * DISK_SECTOR_BYTES + (position % SECTOR_BYTES);
}

/** Size of a buffer in which `bytes` of content can be spread, wherever they go. */
export function spreadRoom(bytes: number): number {
  return bytes + STAMP_BYTES * (Math.ceil(bytes / SECTOR_BYTES) + 1) + PAGE_BYTES;
}

/** Far from the tags of other segments: sequences that differ in a bit have tags that differ in many. Never 0. */
export function sectorTag(sequence: number): number {
  const bytes = new Uint8Array(4);
  new DataView(bytes.buffer).setUint32(0, sequence, true);
  return crc32c(bytes) || 1;
}

/**
 * Makes sectors of the content in bytes[start, end), in place, for its `position` in a segment: from `start` on the buffer
 * then holds what belongs at `diskPosition(position)`. The last sector is filled up with zeros, and so is its page: what the file
 * held there before becomes zeros, and no page is written in part that was not written to just before.
 *
 * `view`: of the same buffer, which needs room behind `end` (`spreadRoom`). Returns the end of what is to be written.
 * Cost: a move of each sector, about 60 ns.
 */
export function spreadSectors(
  bytes: Uint8Array,
  view: DataView,
  { start, end }: { readonly start: number; readonly end: number },
  position: number,
  tag: number,
): number {
  assert(end > start, "Nothing to write");
  const first = SECTOR_BYTES - (position % SECTOR_BYTES);
  const rest = Math.max(0, end - start - first);
  const sectors = Math.ceil(rest / SECTOR_BYTES);
  const secondStart = start + first + STAMP_BYTES;
  // From the last one, since each moves to where the next one stood.
  for (let i = sectors - 1; i >= 0; i--) {
    const from = start + first + i * SECTOR_BYTES;
    const length = Math.min(SECTOR_BYTES, end - from);
    const to = secondStart + i * DISK_SECTOR_BYTES;
    bytes.copyWithin(to, from, from + length);
    if (length < SECTOR_BYTES) bytes.fill(0, to + length, to + SECTOR_BYTES);
    stamp(view, to + SECTOR_BYTES, tag);
  }
  if (sectors === 0) bytes.fill(0, end, start + first);
  stamp(view, start + first, tag);
  const diskEnd = diskPosition(position) + first + STAMP_BYTES + sectors * DISK_SECTOR_BYTES;
  const padding = (PAGE_BYTES - (diskEnd % PAGE_BYTES)) % PAGE_BYTES;
  const spreadEnd = secondStart + sectors * DISK_SECTOR_BYTES;
  bytes.fill(0, spreadEnd, spreadEnd + padding);
  return spreadEnd + padding;
}

function stamp(view: DataView, at: number, tag: number): void {
  view.setUint32(at, tag, true);
  view.setUint32(at + 4, tag, true);
}

/**
 * Moves the content of whole sectors together at the beginning of their buffer, from the `skip`-th byte of the first one
 * on. Sectors of other lives of the file become zeros. Returns how many bytes of content there are. Cost: about 50 ns a
 * sector, where the buffer is in a cache of the processor.
 */
export function gatherSectors(disk: Uint8Array, skip: number, tag: number): number {
  const view = new DataView(disk.buffer, disk.byteOffset, disk.byteLength);
  let end = 0;
  let from = skip;
  for (let at = 0; at + DISK_SECTOR_BYTES <= disk.length; at += DISK_SECTOR_BYTES) {
    const stampAt = at + SECTOR_BYTES;
    const isOurs =
      view.getUint32(stampAt, true) === tag || view.getUint32(stampAt + 4, true) === tag;
    if (isOurs) disk.copyWithin(end, at + from, stampAt);
    else disk.fill(0, end, end + SECTOR_BYTES - from);
    end += SECTOR_BYTES - from;
    from = 0;
  }
  return end;
}

/** Size of a buffer that `bytes` of content are read into, wherever they lie. */
export function gatherRoom(bytes: number): number {
  return DISK_SECTOR_BYTES * (Math.ceil(bytes / SECTOR_BYTES) + 1);
}
