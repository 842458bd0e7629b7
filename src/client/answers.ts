/** Where answers wait for the call that asked: one value, or a bounded queue of chunks. */
import { HearthError } from "../base/index.ts";
import { FRAME_HEADER_BYTES } from "../protocol/index.ts";
import type { Call, Settle } from "./call.ts";
import { protocolViolation } from "./errors.ts";
import type { AnswerFrame, AnswerSink } from "./exchange.ts";
import { payloadOf } from "./frames.ts";
import { ANSWER_FRAME_MAX_BYTES } from "./limits.ts";

/** Takes an answer of exactly one frame and decodes it while its bytes are at hand. */
export class SingleAnswer<T> implements AnswerSink {
  readonly #decode: (payload: Uint8Array) => T;
  readonly #settle: Settle<T>;
  #value: { readonly answer: T } | null = null;

  constructor(decode: (payload: Uint8Array) => T, settle: Settle<T>) {
    this.#decode = decode;
    this.#settle = settle;
  }

  onFrame({ bytes }: AnswerFrame): void {
    if (this.#value !== null) throw new Error("a second frame where one was expected");
    this.#value = { answer: this.#decode(payloadOf(bytes)) };
  }

  onEnd(error: HearthError | null): void {
    if (error !== null) this.#settle.reject(error);
    else if (this.#value !== null) this.#settle.resolve(this.#value.answer);
    else this.#settle.reject(new HearthError("internal", "The answer was empty"));
  }
}

/**
 * Takes a streamed answer: frames wait here, within the credit, until the consumer asks for them.
 *
 * Invariant: the bytes that wait never exceed the window by more than one frame, or the server ignored its credit and
 * the connection ends.
 */
export class ChunkQueue implements AnswerSink {
  readonly #windowBytes: number;
  readonly #endpoint: string;
  readonly #frames: AnswerFrame[] = [];
  #waitingBytes = 0;
  #consumedBytes = 0;
  #end: { readonly error: HearthError | null } | null = null;
  #settle: Settle<AnswerFrame | null> | null = null;

  constructor(windowBytes: number, endpoint: string) {
    this.#windowBytes = windowBytes;
    this.#endpoint = endpoint;
  }

  onFrame(frame: AnswerFrame): void {
    const settle = this.#settle;
    if (settle !== null) {
      this.#settle = null;
      settle.resolve(frame);
      return;
    }
    this.#waitingBytes += frame.bytes.length;
    if (this.#waitingBytes > this.#windowBytes + ANSWER_FRAME_MAX_BYTES) {
      throw protocolViolation(this.#endpoint, "it sent more than the credit it had");
    }
    this.#frames.push({ bytes: compact(frame.bytes), held: frame.held });
  }

  onEnd(error: HearthError | null): void {
    this.#end = { error };
    const settle = this.#settle;
    this.#settle = null;
    if (error === null) settle?.resolve(null);
    else settle?.reject(error);
  }

  /** The next frame, or null after the last one. Frames that arrived before an error come first. */
  async next(call: Call): Promise<AnswerFrame | null> {
    const frame = this.#frames.shift();
    if (frame !== undefined) {
      this.#waitingBytes -= frame.bytes.length;
      return frame;
    }
    if (this.#end !== null) {
      if (this.#end.error !== null) throw this.#end.error;
      return null;
    }
    return call.wait<AnswerFrame | null>((settle) => {
      this.#settle = settle;
      return () => {
        this.#settle = null;
      };
    });
  }

  /**
   * Notes that the consumer is done with a frame; returns the bytes to grant now, usually 0. Credit counts payloads,
   * without headers, on both sides.
   */
  consumed(frameBytes: number): number {
    this.#consumedBytes += frameBytes - FRAME_HEADER_BYTES;
    if (this.#end !== null || this.#consumedBytes * 2 < this.#windowBytes) return 0;
    const bytes = this.#consumedBytes;
    this.#consumedBytes = 0;
    return bytes;
  }
}

/**
 * A frame may be a small part of a large read buffer, which it would keep alive while it waits; then it is copied.
 * The copy is aligned too, which spares the reader one.
 */
function compact(frame: Uint8Array): Uint8Array {
  const isMostOfBuffer = frame.length * 2 >= frame.buffer.byteLength;
  return isMostOfBuffer && frame.byteOffset % 8 === 0 ? frame : new Uint8Array(frame);
}

/** Whether an answer frame carries anything behind its header. */
export function hasPayload(frame: Uint8Array): boolean {
  return frame.length > FRAME_HEADER_BYTES;
}
