/**
 * Several frames in one message, for peers that say in their hello that they take them. What a message costs beside its
 * frame (a look-up is answered in less) is then paid once for all that leaves in one turn.
 *
 * ```
 *  frame header: opcode bundle, flags 0, request id 0, timeout 0, aux = number of frames
 *  per frame: u32 bytes | u32 0 | the frame | zeros to a multiple of 8
 * ```
 *
 * So that frames stand at multiples of 8, as in messages of their own. A bundle in a bundle is none.
 */

import { assert } from "../../base/index.ts";
import { ByteSink } from "../bytes/sink.ts";
import { readU32 } from "../bytes/u32.ts";
import {
  createFrameHeader,
  FRAME_HEADER_BYTES,
  type FrameHeader,
  writeFrameHeader,
} from "./frame.ts";
import { OP } from "./opcodes.ts";

/** Largest bundle that anybody sends or takes, bytes: more in one message saves nothing more. */
export const BUNDLE_MAX_BYTES = 64 * 1024;

/** Frames above this travel alone: beside their bytes a message of their own costs nothing, and they are not copied. */
export const BUNDLED_FRAME_MAX_BYTES = 16 * 1024;

/** Peers that offer less are sent no bundles: each frame that may be in one must fit. */
export const BUNDLE_MIN_BYTES = BUNDLED_FRAME_MAX_BYTES + 64;

const PREFIX_BYTES = 8;

/** Of a hello: what may be used of an offer. 0: no bundles. */
export function usableBundleBytes(offeredBytes: number): number {
  return offeredBytes < BUNDLE_MIN_BYTES ? 0 : Math.min(offeredBytes, BUNDLE_MAX_BYTES);
}

/** Bytes that a frame takes in a bundle. */
export function bundledBytes(frameBytes: number): number {
  return PREFIX_BYTES + ((frameBytes + 7) & ~7);
}

/** Takes a message. `isBorrowed`: until it returns, in the writer's memory; else it is the frame that was put. */
export type MessageSink = (message: Uint8Array, isBorrowed: boolean) => void;

/** Puts frames together: `put` each, then `flush`. `add` and `take` are for those who mind the size themselves. */
export class BundleWriter {
  readonly #sink = new ByteSink(BUNDLE_MAX_BYTES);
  readonly #header: FrameHeader = { ...createFrameHeader(), opcode: OP.bundle };
  #count = 0;

  constructor() {
    this.#sink.length = FRAME_HEADER_BYTES;
  }

  get isEmpty(): boolean {
    return this.#count === 0;
  }

  /** Bytes of the message so far. */
  get byteLength(): number {
    return this.#sink.length;
  }

  /**
   * Copies a frame into the message, which grows to `maxBytes`, as `usableBundleBytes` has them: what has no room for it goes to
   * `send` first. A large one follows it, alone and uncopied.
   */
  put(frame: Uint8Array, maxBytes: number, send: MessageSink): void {
    const isLarge = frame.length > BUNDLED_FRAME_MAX_BYTES;
    if (isLarge || this.#sink.length + bundledBytes(frame.length) > maxBytes) this.flush(send);
    if (isLarge) send(frame, false);
    else this.add(frame);
  }

  /** Gives the message to `send`, if there is one. */
  flush(send: MessageSink): void {
    if (!this.isEmpty) send(this.take(), true);
  }

  /** Copies a frame behind the others. */
  add(frame: Uint8Array): void {
    const sink = this.#sink;
    const bytes = frame.length;
    const padded = (bytes + 7) & ~7;
    sink.reserve(PREFIX_BYTES + padded);
    sink.appendWords(bytes, 0);
    const start = sink.length;
    sink.u8.set(frame, start);
    if (padded > bytes) sink.u8.fill(0, start + bytes, start + padded);
    sink.length = start + padded;
    this.#count++;
  }

  /** The message: the frame as it is, when it is the only one. Borrowed until the next `add`. */
  take(): Uint8Array {
    assert(this.#count > 0, "A bundle without frames");
    const sink = this.#sink;
    const count = this.#count;
    const length = sink.length;
    this.#count = 0;
    sink.length = FRAME_HEADER_BYTES;
    if (count === 1) {
      const bytes = sink.u32[FRAME_HEADER_BYTES >>> 2] as number;
      return new Uint8Array(sink.buffer, FRAME_HEADER_BYTES + PREFIX_BYTES, bytes);
    }
    this.#header.aux = count;
    writeFrameHeader(sink.u8, 0, this.#header);
    return new Uint8Array(sink.buffer, 0, length);
  }
}

/** Frames of a bundle, one after the other. One of these serves for any number of bundles. */
export class BundleReader {
  #message: Uint8Array = EMPTY;
  #next = 0;
  /** The frame that `step` has found: message[start, end). */
  start = 0;
  end = 0;

  /**
   * Begins with a message whose header was read. False when its frames do not fill it exactly, then nothing may be taken from
   * it: where the next one would begin is not known.
   */
  open(message: Uint8Array, header: FrameHeader): boolean {
    const { flags, requestId, aux } = header;
    if (flags !== 0 || requestId !== 0 || aux === 0 || message.length > BUNDLE_MAX_BYTES)
      return false;
    let at = FRAME_HEADER_BYTES;
    for (let i = 0; i < aux; i++) {
      if (at + PREFIX_BYTES > message.length) return false;
      const bytes = readU32(message, at);
      // Compared before it is used: it may be anything.
      if (bytes > message.length || readU32(message, at + 4) !== 0) return false;
      at += bundledBytes(bytes);
    }
    if (at !== message.length) return false;
    this.#message = message;
    this.#next = FRAME_HEADER_BYTES;
    return true;
  }

  /** Whether frames of a bundle are being taken: until `step` has found its end. */
  get isOpen(): boolean {
    return this.#message.length > 0;
  }

  /** Goes to the next frame; false behind the last one. */
  step(): boolean {
    const message = this.#message;
    if (this.#next >= message.length) {
      this.#message = EMPTY;
      return false;
    }
    const bytes = readU32(message, this.#next);
    this.start = this.#next + PREFIX_BYTES;
    this.end = this.start + bytes;
    this.#next += bundledBytes(bytes);
    return true;
  }
}

const EMPTY = new Uint8Array(0);
