/**
 * One request in flight: how long it may take, and the way of its answer to the socket.
 *
 *   chunk ──> credit left and socket willing? ──yes──> sent
 *                     │ no
 *                     v
 *                 queue (bounded) ──Credit or drain──> sent, in order
 *
 * A chunk may be sent while any credit is left and then takes its whole length from it, so that a window smaller than
 * a chunk cannot stall a stream. Over the bound of the queue the request fails, never the order of its stream.
 */

import { errorCodeNumber, freeMemory, HearthError } from "../base/index.ts";
import {
  type ByteSink,
  CHUNK_HEADROOM_BYTES,
  FLAG,
  opcodeOf,
  type SentDictionaries,
} from "../protocol/index.ts";
import type { Reply, ReplyGroup } from "../service/index.ts";
import { TIMEOUT_MAX_MS } from "./limits.ts";

/** What a call needs of its session. */
export interface CallOwner extends ReplyGroup {
  /** False once the connection is gone. */
  readonly isOpen: boolean;
  /** Of the clock that deadlines are measured with. */
  nowMs(): number;
  /** When a request that is looked at now began, of the same clock. */
  beganMs(): number;
  /** Whether the socket takes more chunks now; a drain follows when not. */
  canSendChunk(): boolean;
  sendFrame(call: Call, flags: number, payload: Uint8Array): void;
  /** As sendFrame, for a chunk with room for the header in front of it. */
  sendChunk(call: Call, flags: number, chunk: Uint8Array): void;
  /** Sends dictionary records that wait, then the chunk; it begins with room for the header. */
  sendEntries(call: Call, flags: number, chunk: ByteSink): void;
  /** What the peer holds; null when it keeps nothing. */
  readonly dictionaries: SentDictionaries | null;
  sendError(call: Call, error: HearthError): void;
  /** False when `bytes` more would exceed what may be kept for this connection or thread. */
  tryReserveQueue(bytes: number): boolean;
  releaseQueue(bytes: number): void;
  settled(call: Call, codeNumber: number): void;
}

/** What a frame says about the answer it wants. */
export interface CallTerms {
  readonly requestId: number;
  /** From its arrival. */
  readonly timeoutMs: number;
  /** Bytes of chunks that the asker takes before it grants more; 0 = no limit of its own. */
  readonly creditBytes: number;
}

interface QueuedChunk {
  readonly payload: Uint8Array;
  readonly isLast: boolean;
}

export class Call implements Reply {
  opcode = 0;
  requestId = 0;
  /** Monotonic clock, as all times here. */
  startedAtMs = 0;
  deadlineAtMs = 0;
  isSettled = false;
  onSettled: (() => void) | undefined;
  readonly #owner: CallOwner;
  #creditBytes = 0;
  #queue: QueuedChunk[] | null = null;
  #hasSentChunks = false;

  constructor(owner: CallOwner) {
    this.#owner = owner;
  }

  /** A new request, of which nothing was sent: also after another one that nobody holds any more. */
  begin(opcode: number, { requestId, timeoutMs, creditBytes }: CallTerms): this {
    this.opcode = opcode;
    this.requestId = requestId;
    this.startedAtMs = this.#owner.beganMs();
    this.deadlineAtMs = this.startedAtMs + Math.min(timeoutMs, TIMEOUT_MAX_MS);
    this.isSettled = false;
    this.#creditBytes = creditBytes === 0 ? Number.POSITIVE_INFINITY : creditBytes;
    this.#queue = null;
    this.#hasSentChunks = false;
    return this;
  }

  get group(): ReplyGroup {
    return this.#owner;
  }

  end(payload: Uint8Array): void {
    if (this.isSettled) return;
    this.#owner.sendFrame(this, FLAG.last, payload);
    this.#settle(0);
  }

  checkpoint(): void {
    if (this.isSettled || !this.#owner.isOpen) throw abandoned();
    if (this.#owner.nowMs() < this.deadlineAtMs) return;
    const message = "The time is up before the answer was complete";
    throw new HearthError("deadline_exceeded", message, { reason: "deadline" });
  }

  chunk(payload: Uint8Array, isLast: boolean): void {
    // Thrown, so that a producer in the middle of a scan stops instead of working for nobody.
    if (this.isSettled || !this.#owner.isOpen) throw abandoned();
    if (this.#queue === null && this.#canSend()) this.#send(payload, isLast);
    else this.#enqueue(payload, isLast);
  }

  get dictionaries(): SentDictionaries | null {
    return this.#queue === null && this.#canSend() ? this.#owner.dictionaries : null;
  }

  entries(chunk: ByteSink, isLast: boolean): void {
    if (this.isSettled || !this.#owner.isOpen) throw abandoned();
    this.#creditBytes -= chunk.length - CHUNK_HEADROOM_BYTES;
    this.#hasSentChunks = true;
    this.#owner.sendEntries(this, isLast ? FLAG.entries | FLAG.last : FLAG.entries, chunk);
    if (isLast) this.#settle(0);
  }

  fail(error: HearthError): void {
    if (this.isSettled) return;
    this.#owner.sendError(this, error);
    this.#settle(errorCodeNumber(error.code));
  }

  /** The asker takes `bytes` more. */
  addCredit(bytes: number): void {
    this.#creditBytes += bytes;
    this.pump();
  }

  /** Sends what waited, as far as credit and socket allow. */
  pump(): void {
    const queue = this.#queue;
    while (queue !== null && queue.length > 0 && !this.isSettled && this.#canSend()) {
      // Out of the queue first: sending may end the connection, and with it whatever is in there.
      const { payload, isLast } = queue.shift() as QueuedChunk;
      if (queue.length === 0) this.#queue = null;
      this.#owner.releaseQueue(payload.length);
      this.#send(payload, isLast);
      freeMemory(payload.buffer);
    }
  }

  /** The time is up: what to say depends on what is known of the request. */
  expire(): void {
    this.fail(this.#expiry());
  }

  /** The connection is gone: nothing can be said any more. */
  abandon(): void {
    if (!this.isSettled) this.#settle(errorCodeNumber("cancelled"));
  }

  #canSend(): boolean {
    return this.#creditBytes > 0 && this.#owner.canSendChunk();
  }

  #send(payload: Uint8Array, isLast: boolean): void {
    this.#creditBytes -= payload.length;
    this.#hasSentChunks = true;
    this.#owner.sendChunk(this, isLast ? FLAG.last : 0, payload);
    if (isLast) this.#settle(0);
  }

  #enqueue(payload: Uint8Array, isLast: boolean): void {
    if (!this.#owner.tryReserveQueue(payload.length)) {
      const message = "Cannot keep the rest of the answer: the receiver takes it too slowly";
      const next = "Grant more credit, read faster, or ask for a shorter time range.";
      throw new HearthError("resource_exhausted", message, { reason: "answer_queue", next });
    }
    this.#queue ??= [];
    // Copied, since the producer reuses the bytes; with the same room in front.
    const copy = new Uint8Array(CHUNK_HEADROOM_BYTES + payload.length);
    copy.set(payload, CHUNK_HEADROOM_BYTES);
    this.#queue.push({ payload: copy.subarray(CHUNK_HEADROOM_BYTES), isLast });
  }

  #settle(codeNumber: number): void {
    if (this.isSettled) return;
    this.isSettled = true;
    for (const { payload } of this.#queue ?? []) {
      this.#owner.releaseQueue(payload.length);
      freeMemory(payload.buffer);
    }
    this.#queue = null;
    this.#owner.settled(this, codeNumber);
    this.onSettled?.();
  }

  #expiry(): HearthError {
    if (opcodeOf(this.opcode)?.kind === "write") return WRITE_EXPIRED;
    return this.#queue !== null || this.#hasSentChunks ? ANSWER_EXPIRED : READ_EXPIRED;
  }
}

/** Made once: under overload time is up for thousands at once, and the stack of an error costs ten times its answer. */
const WRITE_EXPIRED = new HearthError(
  "deadline_exceeded",
  "The time is up before the write was confirmed; it may still be applied",
  { reason: "deadline", sent: "maybe" },
);
const ANSWER_EXPIRED = new HearthError(
  "deadline_exceeded",
  "The time is up before the answer was taken",
  { reason: "deadline" },
);
const READ_EXPIRED = new HearthError(
  "unavailable",
  "Cannot answer in time from a state that is new enough",
  { reason: "not_caught_up", retryAfterMs: 50 },
);

function abandoned(): HearthError {
  return new HearthError("cancelled", "Nobody waits for the answer", { reason: "abandoned" });
}
