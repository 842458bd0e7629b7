/** A connection that keeps what a session sends, and messages taken apart and put together. */

import type { HearthError } from "../../src/base/index.ts";
import {
  BundleReader,
  BundleWriter,
  createFrameHeader,
  decodeErrorReply,
  FLAG,
  FRAME_HEADER_BYTES,
  OP,
  readFrameHeader,
} from "../../src/protocol/index.ts";
import type { CloseCode, Connection, SendResult, Session } from "../../src/server/index.ts";

/** A frame that a session sent, taken apart. */
export interface Answer {
  readonly opcode: number;
  readonly flags: number;
  readonly requestId: number;
  readonly payload: Uint8Array;
  readonly isLast: boolean;
  /** Of an error frame. */
  readonly error: HearthError | null;
}

export class MemoryConnection implements Connection {
  readonly id = 1;
  readonly remoteAddress = "memory";
  bufferedBytes = 0;
  /** Answer to the next sends; "overflow" closes, as the listeners do. */
  sendResult: SendResult = "sent";
  closedWith: CloseCode | null = null;
  corks = 0;
  /** Messages that were sent; one may hold several answers. */
  messages = 0;
  session: Session | null = null;
  #answers: Answer[] = [];

  send(frame: Uint8Array): SendResult {
    if (this.sendResult === "overflow") this.drop();
    else {
      this.messages++;
      this.#answers.push(...framesOf(frame).map(readAnswer));
    }
    return this.sendResult;
  }

  cork(body: () => void): void {
    this.corks++;
    body();
  }

  close(code: CloseCode): void {
    if (this.closedWith !== null) return;
    this.closedWith = code;
    this.session?.close();
  }

  drop(): void {
    this.close(1008);
  }

  /** What was sent since the last call. */
  take(): Answer[] {
    const answers = this.#answers;
    this.#answers = [];
    return answers;
  }
}

/** The frames of a message: what is in a bundle, or the message itself. */
export function framesOf(message: Uint8Array): Uint8Array[] {
  const header = createFrameHeader();
  if (readFrameHeader(message, header) !== null || header.opcode !== OP.bundle) return [message];
  const bundle = new BundleReader();
  if (!bundle.open(message, header)) throw new Error("A damaged bundle");
  const frames: Uint8Array[] = [];
  while (bundle.step()) frames.push(message.subarray(bundle.start, bundle.end));
  return frames;
}

/** A bundle of frames, owned. */
export function bundleOf(...frames: readonly Uint8Array[]): Uint8Array {
  const writer = new BundleWriter();
  for (const frame of frames) writer.add(frame);
  return new Uint8Array(writer.take());
}

export function readAnswer(frame: Uint8Array): Answer {
  const header = createFrameHeader();
  const refusal = readFrameHeader(frame, header);
  if (refusal !== null) throw new Error(`The server sent a bad frame: ${refusal}`);
  const payload = new Uint8Array(frame.subarray(FRAME_HEADER_BYTES));
  const isError = (header.flags & FLAG.error) !== 0;
  return {
    opcode: header.opcode,
    flags: header.flags,
    requestId: header.requestId,
    payload,
    isLast: (header.flags & FLAG.last) !== 0,
    error: isError ? decodeErrorReply(payload) : null,
  };
}
