/**
 * Reads entries back: for replay after a start, and for peers that lag.
 *
 * Everything is checked on the way out, header, chain position and body, because a sealed segment is not read at the
 * start. What does not check is damage: it was durable once.
 */

import { freeMemory, HearthError, type Scheduler } from "../base/index.ts";
import { type FileSystem, OPEN_MODE } from "../files/index.ts";
import { entriesByteLength } from "../protocol/index.ts";
import type { Batch } from "../raft/index.ts";
import { damaged, readFailed } from "./errors.ts";
import {
  batchKindOf,
  createFrameHeader,
  FRAME_HEADER_BYTES,
  type FrameHeader,
  holdsEntries,
  tryDecodeFrameHeader,
  viewOf,
} from "./format.ts";
import { gatherRoom } from "./sectors.ts";
import { type ActiveSegment, FrameTable, type SealedSegment } from "./segment.ts";
import { segmentPath } from "./segment-names.ts";
import { openSegment, type SegmentFile } from "./segment-file.ts";
import { decodeSegmentHeader } from "./segment-header.ts";
import { isBodyIntact, scanFrames } from "./segment-scan.ts";

export interface ReadRange {
  /** First index wanted. */
  readonly fromIndex: number;
  /** Index after the last one that may be returned. */
  readonly endIndex: number;
  /** Bound of what is read at once, bytes; one frame is always returned. */
  readonly maxBytes: number;
  /** Memory to read into, where it is large enough; the batches then borrow it. */
  readonly buffer?: Uint8Array | undefined;
}

export interface SegmentReaderModules {
  readonly files: FileSystem;
  readonly directory: string;
  readonly scheduler: Scheduler;
  readonly salt: number;
}

/** Size of a buffer that reads of `maxBytes` use, as long as no frame is larger. */
export function readBufferBytes(maxBytes: number): number {
  return gatherRoom(maxBytes + FRAME_HEADER_BYTES);
}

/** Frames to read: taken out of the table at once, since the log goes on while the disk is read. */
interface FramePlan {
  readonly path: string;
  readonly firstIndexes: readonly number[];
  readonly offsets: readonly number[];
  /** Index after the last entry of the last planned frame, as far as later frames limit it. */
  readonly endIndex: number;
}

/**
 * Reader of one log. Every read has its own file handle, so that a segment may be removed at any time; the table of
 * the last sealed segment is kept, since reads walk forward.
 */
export class SegmentReader {
  readonly #modules: SegmentReaderModules;
  #sealed: { readonly sequence: number; readonly table: FrameTable } | null = null;

  constructor(modules: SegmentReaderModules) {
    this.#modules = modules;
  }

  /** Batches of a sealed segment. Cost: the first read of a segment checks all of it. */
  readSealed(segment: SealedSegment, range: ReadRange): Promise<Batch[]> {
    return this.#withFile(segment.sequence, async (file, path) => {
      if (this.#sealed?.sequence !== segment.sequence) {
        const image = await file.readAll();
        const table = await this.#checkSealed(segment, path, image);
        // A segment is the largest that a node has in memory; left to the collector, a replay spends a third of its time there.
        freeMemory(image.buffer);
        this.#sealed = { sequence: segment.sequence, table };
      }
      return this.#readFrames(file, planFrames(this.#sealed.table, path, range), range);
    });
  }

  /** Batches of the segment that is still written; the range must be durable. */
  readActive(active: ActiveSegment, range: ReadRange): Promise<Batch[]> {
    const plan = planFrames(
      active.table,
      segmentPath(this.#modules.directory, active.sequence),
      range,
    );
    return this.#withFile(active.sequence, (file) => this.#readFrames(file, plan, range));
  }

  async #withFile<T>(
    sequence: number,
    body: (file: SegmentFile, path: string) => Promise<T>,
  ): Promise<T> {
    const path = segmentPath(this.#modules.directory, sequence);
    try {
      const file = await openSegment(this.#modules.files, path, OPEN_MODE.read);
      try {
        return await body(file, path);
      } finally {
        await file.close();
      }
    } catch (error) {
      throw error instanceof HearthError ? error : readFailed(path, error);
    }
  }

  async #checkSealed(segment: SealedSegment, path: string, image: Uint8Array): Promise<FrameTable> {
    const { salt, scheduler } = this.#modules;
    const result = decodeSegmentHeader(image);
    if (result.kind !== "ok") throw damaged(path, "its header changed since the start");
    const table = new FrameTable();
    const { sequence } = segment;
    const identity = { sequence, salt, groupMaxBytes: result.header.groupMaxBytes };
    const range = { ...result.header, end: segment.end };
    const end = await scanFrames(scheduler, image, identity, range, (frame) => {
      if (holdsEntries(frame.kind)) table.add(frame.firstIndex, frame.offset);
    });
    if (end.offset !== segment.end || end.crc !== segment.crc) {
      throw damaged(
        `${path} at offset ${end.offset}`,
        `its frames must reach offset ${segment.end}`,
      );
    }
    return table;
  }

  async #readFrames(file: SegmentFile, plan: FramePlan, range: ReadRange): Promise<Batch[]> {
    const base = plan.offsets[0];
    if (base === undefined)
      throw damaged(plan.path, `it does not hold log index ${range.fromIndex}`);
    const { buffer, maxBytes } = range;
    let image = await file.read(base, maxBytes + FRAME_HEADER_BYTES, buffer);
    const firstBytes = this.#frameBytes(image, plan.path, base);
    if (firstBytes > image.length) image = await file.read(base, firstBytes, buffer);
    return this.#parse(image, plan, range);
  }

  #frameBytes(image: Uint8Array, path: string, base: number): number {
    const frame = createFrameHeader();
    if (!tryDecodeFrameHeader(image, viewOf(image), 0, this.#modules.salt, frame)) {
      throw damaged(`${path} at offset ${base}`, "a frame header has a wrong checksum");
    }
    return FRAME_HEADER_BYTES + frame.bodyBytes;
  }

  #parse(image: Uint8Array, plan: FramePlan, range: ReadRange): Batch[] {
    const base = plan.offsets[0] as number;
    const view = viewOf(image);
    const frame = createFrameHeader();
    const batches: Batch[] = [];
    for (let i = 0; i < plan.offsets.length; i++) {
      const at = (plan.offsets[i] as number) - base;
      if (at + FRAME_HEADER_BYTES > image.length) break;
      const where = `${plan.path} at offset ${base + at}`;
      if (!tryDecodeFrameHeader(image, view, at, this.#modules.salt, frame)) {
        throw damaged(where, "a frame header has a wrong checksum");
      }
      if (at + FRAME_HEADER_BYTES + frame.bodyBytes > image.length) break;
      if (frame.firstIndex !== plan.firstIndexes[i] || !isBodyIntact(image, frame, base)) {
        throw damaged(where, "the body of a frame has a wrong checksum");
      }
      const body = image.subarray(
        at + FRAME_HEADER_BYTES,
        at + FRAME_HEADER_BYTES + frame.bodyBytes,
      );
      const endIndex = plan.firstIndexes[i + 1] ?? plan.endIndex;
      batches.push(clip(frame, body, { fromIndex: range.fromIndex, endIndex }, where));
    }
    return batches;
  }
}

/** The frames that hold the range, as far as `maxBytes` reaches. */
function planFrames(table: FrameTable, path: string, range: ReadRange): FramePlan {
  const first = table.find(range.fromIndex);
  const firstIndexes: number[] = [];
  const offsets: number[] = [];
  const reach = (table.offsets[first] ?? 0) + range.maxBytes;
  let i = first;
  for (; i >= 0 && i < table.offsets.length; i++) {
    const firstIndex = table.firstIndexes[i] as number;
    const offset = table.offsets[i] as number;
    if (i > first && (firstIndex >= range.endIndex || offset > reach)) break;
    firstIndexes.push(firstIndex);
    offsets.push(offset);
  }
  const nextIndex = table.firstIndexes[i] ?? range.endIndex;
  return { path, firstIndexes, offsets, endIndex: Math.min(nextIndex, range.endIndex) };
}

/** The entries of a frame inside [fromIndex, endIndex): a later frame may replace its end. */
function clip(
  frame: FrameHeader,
  body: Uint8Array,
  range: { fromIndex: number; endIndex: number },
  where: string,
): Batch {
  const firstIndex = Math.max(frame.firstIndex, range.fromIndex);
  const endIndex = Math.min(frame.firstIndex + frame.count, range.endIndex);
  const { term, appendedAtMs } = frame;
  const kind = batchKindOf(frame.kind);
  const count = endIndex - firstIndex;
  if (count === frame.count) {
    return { kind, firstIndex, term, count, appendedAtMs, body, bodyBytes: body.length };
  }
  const start = entriesByteLength(body, firstIndex - frame.firstIndex);
  const end = entriesByteLength(body, endIndex - frame.firstIndex);
  if (start < 0 || end < 0) throw damaged(where, "a body holds fewer entries than its frame says");
  const part = body.subarray(start, end);
  return { kind, firstIndex, term, count, appendedAtMs, body: part, bodyBytes: part.length };
}
