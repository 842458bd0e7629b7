/** What tests need to point at bytes of a segment: its content without the stamps, and where that lies in the file. */

import {
  DISK_SECTOR_BYTES,
  diskPosition,
  gatherSectors,
  sectorTag,
} from "../../../src/log/sectors.ts";

export { DISK_SECTOR_BYTES, diskPosition };

/** Content of the segment with that sequence; zeros where the file holds something else. */
export function contentOf(file: Uint8Array, sequence = 1): Uint8Array {
  const content = file.slice();
  return content.subarray(0, gatherSectors(content, 0, sectorTag(sequence)));
}

/** Position in the content behind its last byte that is not zero. */
export function contentEnd(file: Uint8Array, sequence = 1): number {
  const content = contentOf(file, sequence);
  let end = content.length;
  while (end > 0 && content[end - 1] === 0) end -= 1;
  return end;
}

/** Makes zeros of the sectors [first, end) of a file, stamps included: as a disk that has lost them, or never got them. */
export function loseSectors(file: Uint8Array, first: number, end = first + 1): void {
  file.fill(0, first * DISK_SECTOR_BYTES, end * DISK_SECTOR_BYTES);
}

/** The sector of the file in which the content at `position` lies. */
export function sectorOf(position: number): number {
  return Math.floor(diskPosition(position) / DISK_SECTOR_BYTES);
}

/** Writes content over content of a segment, without touching a stamp. */
export function putContent(file: Uint8Array, bytes: Uint8Array, position: number): void {
  bytes.forEach((byte, i) => {
    file[diskPosition(position + i)] = byte;
  });
}
