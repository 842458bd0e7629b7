/**
 * One unary call on its HTTP/2 stream:
 *
 *   headers ──> message gathered ──> unpacked ──> method ──> answer: headers, message, trailers
 *      │ refused     │ too large       │ bad        │ throws
 *      └─────────────┴─────────────────┴────────────┴──> fail: one frame of headers with the status
 *
 * Every call ends exactly once: answered, failed, out of time, or given up by its client. The services see it as who
 * waits for their answer.
 */

import { constants, type OutgoingHttpHeaders, type ServerHttp2Stream } from "node:http2";
import { errorCodeNumber, HearthError, toHearthError } from "../base/index.ts";
import type { ByteSink } from "../protocol/index.ts";
import type { ReplyGroup, SingleReply } from "../service/index.ts";
import { type Encoding, pack, unpack } from "./compression.ts";
import { MessageReader, PREFIX_BYTES, writePrefix } from "./framing.ts";
import { ANSWER_COPY_MAX_BYTES } from "./limits.ts";
import { ignoreError } from "./listener.ts";
import type { Method } from "./methods.ts";
import { type Status, statusTrailers } from "./status.ts";

/** What a call needs of its endpoint. */
export interface CallOwner {
  readonly receiveMaxBytes: number;
  readonly sendMaxBytes: number;
  /** Ms of a clock that never goes back. */
  nowMs(): number;
  /** The sink that answers are made in: empty, with room for a prefix. Never kept across turns. */
  beginAnswer(): ByteSink;
  /** The answer took the buffer of the sink along: the next one needs another. */
  answerTaken(): void;
  /** False when that much more would exceed what the thread holds of messages. */
  tryHold(bytes: number): boolean;
  release(bytes: number): void;
  statusOf(error: HearthError, method: Method): Status;
  /** Looks at the call's deadline from now on. */
  watch(call: GrpcCall): void;
  settled(call: GrpcCall, codeNumber: number, error: HearthError | null): void;
}

/** What the headers of a call say. */
export interface CallTerms {
  readonly method: Method;
  readonly encoding: Encoding;
  readonly timeoutMs: number;
}

type EncodeAnswer = (payload: Uint8Array, sink: ByteSink) => void;

/** Answers come at once or one by one: nothing is gained by holding them back. */
const ONE_BY_ONE: ReplyGroup = { cork: (body) => body() };

/** No date: clients of gRPC do not look at it, and it would be made and sent with every answer. */
const WAIT_FOR_TRAILERS = { waitForTrailers: true, sendDate: false };
export const END_STREAM = { endStream: true, sendDate: false };

/** Of an answer that is not compressed, and of a refusal. */
export const ANSWER_HEADERS = { ":status": 200, "content-type": "application/grpc" };
const PACKED_HEADERS = {
  gzip: { ...ANSWER_HEADERS, "grpc-encoding": "gzip" },
  snappy: { ...ANSWER_HEADERS, "grpc-encoding": "snappy" },
} as const;
const OK_TRAILERS = { "grpc-status": "0" };

export class GrpcCall implements SingleReply {
  readonly method: Method;
  readonly startedAtMs: number;
  readonly deadlineAtMs: number;
  readonly group = ONE_BY_ONE;
  isSettled = false;
  onSettled: (() => void) | undefined;
  /** Bytes that came and went, for the metrics. */
  receivedBytes = 0;
  sentBytes = 0;
  readonly #stream: ServerHttp2Stream;
  readonly #encoding: Encoding;
  readonly #owner: CallOwner;
  #reader: MessageReader | null;
  #heldBytes = 0;
  #encodeAnswer: EncodeAnswer | null = null;

  constructor(stream: ServerHttp2Stream, terms: CallTerms, owner: CallOwner) {
    this.method = terms.method;
    this.#encoding = terms.encoding;
    this.#stream = stream;
    this.#owner = owner;
    this.#reader = new MessageReader(owner.receiveMaxBytes);
    this.startedAtMs = owner.nowMs();
    this.deadlineAtMs = this.startedAtMs + terms.timeoutMs;
    stream.on("data", (piece: Buffer) => this.#take(piece));
    stream.on("end", () => this.#complete());
    stream.on("close", () => this.#closed());
    stream.on("error", ignoreError);
  }

  /** Throws when nobody waits for the answer, or its time is up: called between pieces of long work. */
  checkpoint(): void {
    if (this.isSettled) throw new HearthError("cancelled", "Nobody waits for the answer");
    if (this.#owner.nowMs() >= this.deadlineAtMs) throw outOfTime();
  }

  /** How the answer of a service is written as this method's own; without it `end` is not to be called. */
  answersWith(encode: EncodeAnswer): void {
    this.#encodeAnswer = encode;
  }

  end(payload: Uint8Array): void {
    const encode = this.#encodeAnswer as EncodeAnswer;
    this.reply((sink) => encode(payload, sink));
  }

  /** Answers with what `write` appends. Errors: what `write` throws; nothing was sent then. */
  reply(write: (sink: ByteSink) => void): void {
    if (this.isSettled) return;
    const sink = this.#owner.beginAnswer();
    write(sink);
    const length = sink.length - PREFIX_BYTES;
    if (length > this.#owner.sendMaxBytes) this.fail(answerTooLarge(this.#owner.sendMaxBytes));
    else if (this.#encoding === "identity") {
      writePrefix(sink.u8, length, false);
      this.#send(this.#ownedAnswer(sink), ANSWER_HEADERS);
    } else this.#sendPacked(sink.copy(PREFIX_BYTES), this.#encoding);
  }

  fail(error: HearthError): void {
    if (this.isSettled) return;
    const status = this.#owner.statusOf(error, this.method);
    const stream = this.#stream;
    if (!stream.destroyed && !stream.headersSent)
      stream.respond({ ...ANSWER_HEADERS, ...statusTrailers(status) }, END_STREAM);
    this.#settle(status.code, error);
    // Whatever more of the request comes is not looked at.
    if (this.#reader !== null) this.#abandonRequest();
  }

  /** The time is up: what to say depends on what is known of the call. */
  expire(): void {
    if (this.isSettled) this.#stream.close(constants.NGHTTP2_CANCEL);
    else
      this.fail(
        this.method.kind === "query" || this.method.kind === "lookUp" ? notInTime() : outOfTime(),
      );
  }

  #take(piece: Buffer): void {
    const reader = this.#reader;
    if (reader === null) return;
    this.receivedBytes += piece.length;
    if (!this.#owner.tryHold(piece.length)) {
      this.fail(tooManyBytes());
      return;
    }
    this.#heldBytes += piece.length;
    const refusal = reader.add(piece);
    if (refusal !== null) this.fail(refusal);
  }

  #complete(): void {
    const reader = this.#reader;
    if (reader === null || this.isSettled) return;
    this.#reader = null;
    const request = reader.finish();
    if (request instanceof HearthError) this.fail(request);
    else if (!request.isPacked) this.#handle(request.message);
    else {
      unpack(request.message, this.#encoding, this.#owner.receiveMaxBytes, (message) => {
        if (message instanceof HearthError) this.fail(message);
        else if (!this.isSettled) this.#handle(message);
      });
      if (!this.isSettled) this.#owner.watch(this);
    }
  }

  #handle(message: Uint8Array): void {
    try {
      this.method.handle(message, this);
    } catch (error) {
      this.fail(toHearthError(error));
    }
    if (!this.isSettled) this.#owner.watch(this);
  }

  #sendPacked(message: Uint8Array, encoding: "gzip" | "snappy"): void {
    pack(message, encoding, (packed) => {
      if (this.isSettled) return;
      if (packed === null) {
        this.fail(new HearthError("internal", "The answer could not be packed"));
        return;
      }
      const framed = Buffer.allocUnsafe(PREFIX_BYTES + packed.length);
      writePrefix(framed, packed.length, true);
      framed.set(packed, PREFIX_BYTES);
      this.#send(framed, PACKED_HEADERS[encoding]);
    });
  }

  #send(framed: Uint8Array, headers: OutgoingHttpHeaders): void {
    const stream = this.#stream;
    if (stream.destroyed) {
      this.#closed();
      return;
    }
    // The bytes are held until the client has taken them, which is when the stream closes.
    if (!this.#owner.tryHold(framed.length)) {
      this.fail(tooManyBytes());
      return;
    }
    this.#heldBytes += framed.length;
    this.sentBytes += framed.length;
    stream.respond(headers, WAIT_FOR_TRAILERS);
    stream.on("wantTrailers", sendOkTrailers);
    stream.end(framed);
    this.#settle(0, null);
    if (framed.length > ANSWER_COPY_MAX_BYTES) this.#owner.watch(this);
  }

  /** The bytes of an answer, owned. */
  #ownedAnswer(sink: ByteSink): Uint8Array {
    if (sink.length <= ANSWER_COPY_MAX_BYTES) {
      const copy = Buffer.allocUnsafe(sink.length);
      sink.u8.copy(copy, 0, 0, sink.length);
      return copy;
    }
    this.#owner.answerTaken();
    return sink.view();
  }

  #settle(codeNumber: number, error: HearthError | null): void {
    if (this.isSettled) return;
    this.isSettled = true;
    this.#owner.settled(this, codeNumber, error);
    this.onSettled?.();
  }

  #abandonRequest(): void {
    this.#reader = null;
    closeAfterAnswer(this.#stream);
  }

  #closed(): void {
    this.#reader = null;
    this.#owner.release(this.#heldBytes);
    this.#heldBytes = 0;
    this.#settle(errorCodeNumber("cancelled"), null);
  }

  /** Whether nothing of the call is left: neither an answer to make nor one to be taken. */
  get isOver(): boolean {
    return this.#stream.destroyed;
  }
}

/**
 * Ends a stream whose request is still coming. A turn later: on Node.js 22 the reset overtakes headers that were answered in
 * the same turn, and the client never learns the status.
 */
export function closeAfterAnswer(stream: ServerHttp2Stream): void {
  setImmediate(() => {
    if (!stream.destroyed) stream.close(constants.NGHTTP2_NO_ERROR);
  });
}

function sendOkTrailers(this: ServerHttp2Stream): void {
  this.sendTrailers(OK_TRAILERS);
}

function answerTooLarge(maxBytes: number): HearthError {
  return new HearthError("resource_exhausted", `The answer is larger than ${maxBytes} bytes`, {
    reason: "answer_too_large",
    next: "Ask for a shorter time range, fewer tenants or a narrower selector",
  });
}

function tooManyBytes(): HearthError {
  const message = "Too many bytes of messages are held by this thread";
  return new HearthError("resource_exhausted", message, {
    reason: "message_bytes",
    retryAfterMs: 50,
  });
}

function outOfTime(): HearthError {
  return new HearthError("deadline_exceeded", "The time is up", { reason: "deadline" });
}

/** Another member may be able to. */
function notInTime(): HearthError {
  const message = "Cannot answer in time from a state that is new enough";
  return new HearthError("unavailable", message, { reason: "not_caught_up", retryAfterMs: 50 });
}
