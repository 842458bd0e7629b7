/** A segment file as the rest of the log sees it: content without the stamps of its sectors (sectors.ts). */

import {
  type ByteRange,
  type DiskFile,
  type FileSystem,
  type OpenMode,
  type WriteDone,
  writeFully,
} from "../files/index.ts";
import { viewOf } from "./format.ts";
import {
  contentBytes,
  DISK_SECTOR_BYTES,
  diskPosition,
  gatherSectors,
  SECTOR_BYTES,
  sectorTag,
  spreadRoom,
  spreadSectors,
} from "./sectors.ts";
import { segmentSequence } from "./segment-names.ts";
import {
  decodeSegmentHeader,
  formerVersion,
  type SegmentHeader,
  type SegmentHeaderResult,
} from "./segment-header.ts";

/** What stands where a segment has its header. */
export type HeaderFound =
  | Exclude<SegmentHeaderResult, { readonly kind: "empty" }>
  /** `former`: of the segment that the file was before, where that can still be read. */
  | { readonly kind: "empty"; readonly former: SegmentHeader | null };

/** At once from the disk: bounds the memory of a read beside its target. */
const READ_SECTORS = 2048;

/** Positions are of content. What a write ends in is filled up with zeros to the end of its page. */
export class SegmentFile implements DiskFile {
  /** The same file with its stamps. */
  readonly disk: DiskFile;
  readonly #tag: number;

  constructor(disk: DiskFile, sequence: number) {
    this.disk = disk;
    this.#tag = sectorTag(sequence);
  }

  write(bytes: Uint8Array, range: ByteRange, position: number, done: WriteDone): void {
    const length = range.end - range.start;
    const copy = new Uint8Array(spreadRoom(length));
    copy.set(bytes.subarray(range.start, range.end));
    this.writeSpreading(copy, viewOf(copy), { start: 0, end: length }, position, (error) =>
      done(error, error === null ? length : 0),
    );
  }

  /**
   * Writes all of bytes[start, end) without a copy: the buffer is used up, and has room for that (`spreadRoom`). Otherwise as
   * `writeFully`.
   */
  writeSpreading(
    bytes: Uint8Array,
    view: DataView,
    range: ByteRange,
    position: number,
    done: (error: Error | null) => void,
    inPlace = false,
  ): void {
    const end = spreadSectors(bytes, view, range, position, this.#tag);
    const spread = { start: range.start, end };
    writeFully(this.disk, bytes, spread, diskPosition(position), done, inPlace);
  }

  async read(target: Uint8Array, position: number): Promise<number> {
    let sector = Math.floor(position / SECTOR_BYTES);
    let skip = position % SECTOR_BYTES;
    const neededSectors = Math.ceil((skip + target.length) / SECTOR_BYTES);
    const chunk = new Uint8Array(Math.min(neededSectors, READ_SECTORS) * DISK_SECTOR_BYTES);
    let filled = 0;
    while (filled < target.length) {
      const readBytes = await this.disk.read(chunk, sector * DISK_SECTOR_BYTES);
      const found = chunk.subarray(0, readBytes);
      filled += gatherSectors(found, skip, this.#tag, target.subarray(filled));
      if (readBytes < chunk.length) break;
      sector += chunk.length / DISK_SECTOR_BYTES;
      skip = 0;
    }
    return filled;
  }

  /** Reads the header as it is, without an opinion on what it means. */
  async readHeader(): Promise<HeaderFound> {
    const sector = new Uint8Array(DISK_SECTOR_BYTES);
    const found = sector.subarray(0, await this.disk.read(sector, 0));
    const version = formerVersion(found);
    if (version !== null) return { kind: "version", version };
    const content = new Uint8Array(SECTOR_BYTES);
    const result = decodeSegmentHeader(
      content.subarray(0, gatherSectors(found, 0, this.#tag, content)),
    );
    if (result.kind !== "empty") return result;
    const former = decodeSegmentHeader(found.subarray(0, SECTOR_BYTES));
    return { kind: "empty", former: former.kind === "ok" ? former.header : null };
  }

  async sizeBytes(): Promise<number> {
    return contentBytes(await this.disk.sizeBytes());
  }

  close(): Promise<void> {
    return this.disk.close();
  }
}

/** Opens a segment by its path, which says the sequence. Errors: the raw ones of the system. */
export async function openSegment(
  files: FileSystem,
  path: string,
  mode: OpenMode,
): Promise<SegmentFile> {
  return new SegmentFile(await files.open(path, mode), segmentSequence(path));
}
