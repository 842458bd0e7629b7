/**
 * Cuts a stream of bytes into frames. Each frame gets memory of its own, at a multiple of 8, and is copied once: a
 * body may be kept as a view of its frame without holding on to a receive buffer.
 */

import { type FrameFault, HEAD_BYTES, readHead } from "./frame.ts";

/** Longest frame that is taken from memory that is filled with zeros: for small ones that is quicker. */
const ZEROED_MAX_BYTES = 4_096;

export class FrameReader {
  readonly #onFrame: (kind: number, frame: Uint8Array<ArrayBuffer>) => void;
  readonly #head = new Uint8Array(HEAD_BYTES);
  #headBytes = 0;
  #kind = 0;
  #frame: Uint8Array<ArrayBuffer> | null = null;
  #frameBytes = 0;
  #hasStopped = false;
  /** Longest frame that is believed; small until the peer has said who it is. */
  frameMaxBytes: number;

  /** `onFrame` owns the frame; it may call `stop`. */
  constructor(
    frameMaxBytes: number,
    onFrame: (kind: number, frame: Uint8Array<ArrayBuffer>) => void,
  ) {
    this.frameMaxBytes = frameMaxBytes;
    this.#onFrame = onFrame;
  }

  /** No frame is handed out any more, not even of bytes that have arrived. */
  stop(): void {
    this.#hasStopped = true;
    this.#frame = null;
  }

  /** Takes bytes, which are borrowed. Returns why the stream cannot go on, or null. */
  push(chunk: Uint8Array): FrameFault | null {
    let at = 0;
    while (at < chunk.length && !this.#hasStopped) {
      if (this.#frame === null) {
        at = this.#fillHead(chunk, at);
        if (this.#headBytes < HEAD_BYTES) return null;
        const fault = this.#begin();
        if (fault !== null) return fault;
      } else {
        at = this.#fillFrame(chunk, at);
      }
    }
    return null;
  }

  #fillHead(chunk: Uint8Array, at: number): number {
    const end = Math.min(chunk.length, at + HEAD_BYTES - this.#headBytes);
    this.#head.set(chunk.subarray(at, end), this.#headBytes);
    this.#headBytes += end - at;
    return end;
  }

  #begin(): FrameFault | null {
    const head = readHead(this.#head);
    if (typeof head === "string") return head;
    if (head.totalBytes > this.frameMaxBytes) return "too_large";
    this.#frame = allocate(head.totalBytes);
    this.#frame.set(this.#head);
    this.#frameBytes = HEAD_BYTES;
    this.#kind = head.kind;
    this.#headBytes = 0;
    return null;
  }

  #fillFrame(chunk: Uint8Array, at: number): number {
    const frame = this.#frame as Uint8Array<ArrayBuffer>;
    const end = Math.min(chunk.length, at + frame.length - this.#frameBytes);
    frame.set(at === 0 && end === chunk.length ? chunk : chunk.subarray(at, end), this.#frameBytes);
    this.#frameBytes += end - at;
    if (this.#frameBytes === frame.length) {
      this.#frame = null;
      this.#onFrame(this.#kind, frame);
    }
    return end;
  }
}

function allocate(bytes: number): Uint8Array<ArrayBuffer> {
  if (bytes <= ZEROED_MAX_BYTES) return new Uint8Array(bytes);
  // Not from a pool, so alone in its ArrayBuffer; not a Buffer, whose slices share memory.
  return new Uint8Array(Buffer.allocUnsafeSlow(bytes).buffer as ArrayBuffer, 0, bytes);
}
