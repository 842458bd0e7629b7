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

/** At once from the disk: a larger piece leaves the caches of the processor before its sectors are moved, and holds up a turn. */
const READ_BYTES = 1024 * 1024;

/** Positions are of content. What a write ends in is filled up with zeros to the end of its page. */
export class SegmentFile implements Pick<DiskFile, "write" | "close"> {
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

  /** As of a disk file. */
  queues(bytes: Uint8Array): boolean {
    return this.disk.queues?.(bytes) === true;
  }

  /**
   * Content from `position` on, at most `bytes`, fewer only at the end of the file; in `buffer` where that has the room
   * (`gatherRoom`), else in memory of its own.
   */
  async read(position: number, bytes: number, buffer?: Uint8Array): Promise<Uint8Array> {
    let skip = position % SECTOR_BYTES;
    const diskStart = diskPosition(position - skip);
    const diskBytes = Math.ceil((skip + bytes) / SECTOR_BYTES) * DISK_SECTOR_BYTES;
    const isFit = buffer !== undefined && buffer.length >= diskBytes;
    const image = isFit ? buffer.subarray(0, diskBytes) : new Uint8Array(diskBytes);
    let end = 0;
    for (let at = 0; at < diskBytes; at += READ_BYTES) {
      const piece = image.subarray(at, at + READ_BYTES);
      const readBytes = await this.disk.read(piece, diskStart + at);
      const found = gatherSectors(piece.subarray(0, readBytes), skip, this.#tag);
      if (end < at) image.copyWithin(end, at, at + found);
      end += found;
      skip = 0;
      if (readBytes < piece.length) break;
    }
    return image.subarray(0, Math.min(bytes, end));
  }

  /** All of the content, in memory of its own. */
  async readAll(): Promise<Uint8Array> {
    return this.read(0, contentBytes(await this.disk.sizeBytes()));
  }

  /** Reads the header as it is, without an opinion on what it means. */
  async readHeader(): Promise<HeaderFound> {
    const sector = new Uint8Array(DISK_SECTOR_BYTES);
    const found = sector.subarray(0, await this.disk.read(sector, 0));
    const version = formerVersion(found);
    if (version !== null) return { kind: "version", version };
    const content = found.slice();
    const result = decodeSegmentHeader(content.subarray(0, gatherSectors(content, 0, this.#tag)));
    if (result.kind !== "empty") return result;
    const former = decodeSegmentHeader(found.subarray(0, SECTOR_BYTES));
    return { kind: "empty", former: former.kind === "ok" ? former.header : null };
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
