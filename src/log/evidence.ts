/**
 * What a damaged log still proves about the newest term and vote. Every frame and every segment header says how many
 * hard states were written before it, so one that is hidden by damage is known to be missing. DESIGN.md, "Damage".
 */

import { join } from "node:path";
import { OPEN_MODE } from "../files/index.ts";
import type { HardState } from "../raft/index.ts";
import { damaged, promisesLost, segmentMissing } from "./errors.ts";
import {
  createFrameHeader,
  decodeHardStateBody,
  FRAME_HEADER_BYTES,
  FRAME_KIND,
  type FrameHeader,
  logSalt,
  SEGMENT_HEADER_BYTES,
  tryDecodeFrameHeader,
  viewOf,
} from "./format.ts";
import type { ContentModules } from "./sealed-content.ts";
import { contentBytes } from "./sectors.ts";
import { openSegment } from "./segment-file.ts";
import type { SegmentHeader } from "./segment-header.ts";
import { isBodyIntact, judgeTail, type WrittenSegment } from "./segment-scan.ts";
import type { Survey } from "./survey.ts";

export interface Evidence {
  /** The newest that was ever written. */
  readonly hardState: HardState;
  readonly hardStateCount: number;
  /** Newest appended-at of all entries that can still be read, Unix ms. */
  readonly appendedAtMs: number;
}

interface Piece {
  readonly name: string;
  readonly sequence: number;
  readonly header: SegmentHeader | null;
}

/** Errors: HearthError data_loss `log_promises_lost` when the newest term and vote are not certain. */
export async function collectEvidence(
  modules: ContentModules,
  survey: Survey,
  cause: Error,
): Promise<Evidence> {
  const sample = survey.written[0]?.header;
  if (sample === undefined) throw promisesLost("every segment", cause.message);
  const search = new EvidenceSearch({ salt: logSalt(sample.logId), header: sample });
  const pieces: Piece[] = [
    ...survey.written,
    ...survey.unreadable.map(({ name, sequence }) => ({ name, sequence, header: null })),
  ].sort((a, b) => b.sequence - a.sequence);
  let above: Piece | null = null;
  for (const piece of pieces) {
    if (!search.isEndKnown && above !== null && above.sequence > piece.sequence + 1)
      throw promisesLost(above.name, segmentMissing(above.name, piece.sequence + 1).message);
    const path = join(modules.directory, piece.name);
    const file = await openSegment(modules.files, path, OPEN_MODE.read);
    const image = await file.readAll().finally(() => file.close());
    const wasEndKnown = search.isEndKnown;
    search.add(piece, image);
    if (!wasEndKnown && search.isEndKnown && piece.sequence <= survey.givenUpSequence)
      throw promisesLost(`every segment behind ${survey.givenUpSequence}`, cause.message);
    above = piece;
  }
  return search.result(cause);
}

/** Goes from the newest file to the oldest. */
class EvidenceSearch {
  /** Nothing that was acknowledged lies behind the newest frame that was found. */
  isEndKnown = false;
  readonly #salt: number;
  readonly #groupMaxBytes: number;
  readonly #segmentBytes: number;
  readonly #hardStates = new Map<number, HardState>();
  #count = 0;
  #appendedAtMs = 0;

  constructor({ salt, header }: { salt: number; header: SegmentHeader }) {
    this.#salt = salt;
    this.#groupMaxBytes = header.groupMaxBytes;
    this.#segmentBytes = header.segmentBytes;
  }

  add({ name, sequence, header }: Piece, image: Uint8Array): void {
    if (header !== null) this.#noteHeader(header);
    const groupMaxBytes = header?.groupMaxBytes ?? this.#groupMaxBytes;
    const segment = { sequence, salt: this.#salt, groupMaxBytes };
    const end = this.#noteFrames(segment, image);
    if (this.isEndKnown) return;
    const isShort = image.length < contentBytes(header?.segmentBytes ?? this.#segmentBytes);
    const isUsed = end > 0 || header !== null;
    if (isShort && isUsed) throw promisesLost(name, "it is shorter than it was made");
    const verdict = judgeTail(
      image,
      segment,
      end > 0 || header === null ? end : SEGMENT_HEADER_BYTES,
    );
    if (verdict.kind === "damaged") throw promisesLost(name, verdict.what);
    this.isEndKnown = end > 0;
  }

  result(cause: Error): Evidence {
    if (!this.isEndKnown) throw promisesLost("every segment", cause.message);
    const none: HardState | undefined =
      this.#count === 0 ? { term: 0, vote: "", abstains: false } : undefined;
    const hardState = this.#hardStates.get(this.#count) ?? none;
    if (hardState === undefined)
      throw promisesLost("a hard state", `number ${this.#count} cannot be read`);
    return { hardState, hardStateCount: this.#count, appendedAtMs: this.#appendedAtMs };
  }

  #noteHeader(header: SegmentHeader): void {
    const { hardStateCount, hardState, appendedAtMs } = header;
    this.#hardStates.set(hardStateCount, hardState);
    this.#count = Math.max(this.#count, hardStateCount);
    this.#appendedAtMs = Math.max(this.#appendedAtMs, appendedAtMs);
  }

  /** Returns where the last frame ends that can be recognised; 0 when there is none. */
  #noteFrames(segment: WrittenSegment, image: Uint8Array): number {
    let end = 0;
    for (const frame of framesAnywhere(segment, image)) {
      this.#count = Math.max(this.#count, frame.hardStateCount);
      this.#appendedAtMs = Math.max(this.#appendedAtMs, frame.appendedAtMs);
      const bodyStart = frame.offset + FRAME_HEADER_BYTES;
      end = Math.min(bodyStart + frame.bodyBytes, image.length);
      if (frame.kind !== FRAME_KIND.hardState || !isBodyIntact(image, frame)) continue;
      const body = image.subarray(bodyStart, end);
      this.#hardStates.set(frame.hardStateCount, decodeHardStateBody(frame.term, body));
    }
    return end;
  }
}

/** Every frame header of this log that lies where it says, in order, whatever is between them. Reused objects. */
function* framesAnywhere(segment: WrittenSegment, image: Uint8Array): Generator<FrameHeader> {
  const bytes = Buffer.from(image.buffer, image.byteOffset, image.length);
  const view = viewOf(image);
  const frame = createFrameHeader();
  for (let at = bytes.indexOf("HFRM"); at >= 0; at = bytes.indexOf("HFRM", at + 1)) {
    if (at % 8 !== 0 || !tryDecodeFrameHeader(image, view, at, segment.salt, frame)) continue;
    if (frame.sequence === segment.sequence && frame.offset === at) yield frame;
  }
}

/** What is left of the log when nothing below the damage can be read. */
export function nothingLeft(cause: Error): Error {
  return damaged("every segment", `${cause.message}; no snapshot takes its place`);
}
