/**
 * Requests and answers of one connection, in both directions. Numbers are chosen by the asking side.
 *
 * Writes that are forwarded come in bulk, and Raft messages go behind what was given to the channel before them. So only a
 * window of writes without an answer is given to it; the others are held here, where messages overtake them:
 *
 * ```
 *   ask ──> held, in order, bounded ──window──> channel ──> peer
 *               │ out of time: "no"                 │ out of time: "maybe"; its place in the window stays taken until
 *               v                                   v   the peer has answered
 * ```
 */

import { assert, type HearthError } from "../../base/index.ts";
import { ByteSink, decodeErrorReply, encodeErrorReply } from "../../protocol/index.ts";
import {
  bodyTooLarge,
  peerUnavailable,
  type Problem,
  tooManyRequests,
  unknownCall,
} from "../errors.ts";
import { type ControlFrame, encodeControl, FRAME } from "../frames/frame.ts";
import { PEER_LIMITS } from "../limits.ts";
import type { PeerNetworkStats } from "../metrics.ts";
import { type AnswerPeer, PEER_CALL, type PeerAnswer, type PeerCall } from "../types.ts";
import type { Channel } from "./channel.ts";
import type { Exchange } from "./exchange.ts";

const CALLS: ReadonlySet<number> = new Set(Object.values(PEER_CALL));
const TAG_OK = 1;
const ID_MAX = 0xffff_ffff;

export interface RequestOptions {
  readonly requestQueueMaxBytes: number;
  readonly writeWindowBytes: number;
}

export class Requests {
  readonly #options: RequestOptions;
  readonly #channel: Channel;
  readonly #stats: PeerNetworkStats;
  readonly #onRequest: (call: PeerCall, body: Uint8Array<ArrayBuffer>, answer: AnswerPeer) => void;
  readonly #asked = new Map<number, Exchange>();
  /** Bytes of each write in the window, by number; also of those that were given up. */
  readonly #window = new Map<number, number>();
  #windowBytes = 0;
  /** Writes for which there was no room in the window, in order. */
  readonly #held = new Set<Exchange>();
  #heldBytes = 0;
  #nextId = 0;
  #answering = 0;
  #answeringBytes = 0;

  constructor(
    options: RequestOptions,
    modules: {
      readonly channel: Channel;
      readonly stats: PeerNetworkStats;
      readonly onRequest: (
        call: PeerCall,
        body: Uint8Array<ArrayBuffer>,
        answer: AnswerPeer,
      ) => void;
    },
  ) {
    this.#channel = modules.channel;
    this.#stats = modules.stats;
    this.#onRequest = modules.onRequest;
    this.#options = options;
  }

  get isIdle(): boolean {
    return this.#asked.size === 0 && this.#held.size === 0 && this.#answering === 0;
  }

  /** Bytes of writes that wait here. */
  get heldBytes(): number {
    return this.#heldBytes;
  }

  ask(exchange: Exchange): void {
    if (exchange.isSettled) return;
    const error = this.#refusal(exchange);
    if (error !== null) {
      exchange.fail(error);
      return;
    }
    if (!isWrite(exchange)) this.#send(exchange);
    else if (this.#held.size === 0 && this.#hasRoomFor(exchange)) this.#sendWrite(exchange);
    else this.#hold(exchange);
  }

  /** The first one always gets its turn, however large it is. */
  #hasRoomFor({ body }: Exchange): boolean {
    const { writeWindowBytes } = this.#options;
    return this.#windowBytes === 0 || this.#windowBytes + body.length <= writeWindowBytes;
  }

  #hold(exchange: Exchange): void {
    const bytes = exchange.body.length;
    this.#held.add(exchange);
    this.#heldBytes += bytes;
    exchange.waitIn(() => {
      this.#held.delete(exchange);
      this.#heldBytes -= bytes;
    });
  }

  #sendHeld(): void {
    for (const exchange of this.#held) {
      if (!this.#hasRoomFor(exchange)) return;
      exchange.moveOn();
      this.#sendWrite(exchange);
    }
  }

  #sendWrite(exchange: Exchange): void {
    const { length } = exchange.body;
    this.#window.set(this.#send(exchange), length);
    this.#windowBytes += length;
  }

  /** Returns the number that the request got. */
  #send(exchange: Exchange): number {
    const id = this.#takeId();
    this.#asked.set(id, exchange);
    exchange.waitIn(() => this.#asked.delete(id));
    exchange.sent = "maybe";
    this.#stats.sentRequests += 1;
    const { call, body } = exchange;
    this.#channel.send(encodeControl(FRAME.request, { id, tag: call, body }));
    return id;
  }

  #refusal({ peer, body }: Exchange): HearthError | null {
    const { requestsMax, bodyMaxBytes } = PEER_LIMITS;
    if (body.length > bodyMaxBytes) return bodyTooLarge(body.length, bodyMaxBytes);
    if (this.#asked.size + this.#held.size >= requestsMax)
      return tooManyRequests(peer, `${requestsMax} are open`);
    // The first one always gets its turn, however large it is.
    const queuedBytes = this.#channel.queuedBytes + this.#heldBytes;
    if (queuedBytes > 0 && queuedBytes + body.length > this.#options.requestQueueMaxBytes) {
      return tooManyRequests(peer, `${queuedBytes} bytes wait to be sent`);
    }
    return null;
  }

  /**
   * Numbers of requests that were given up are free again, but for those of writes: an answer to one of them is late, and
   * forgotten.
   */
  #takeId(): number {
    do {
      this.#nextId = this.#nextId === ID_MAX ? 1 : this.#nextId + 1;
    } while (this.#asked.has(this.#nextId) || this.#window.has(this.#nextId));
    return this.#nextId;
  }

  onAnswer({ id, tag, body }: ControlFrame): void {
    const windowBytes = this.#window.get(id);
    if (windowBytes !== undefined) {
      this.#window.delete(id);
      this.#windowBytes -= windowBytes;
    }
    this.#asked.get(id)?.settle(readAnswer(tag, body));
    if (windowBytes !== undefined) this.#sendHeld();
  }

  onRequest({ id, tag, body }: ControlFrame): void {
    this.#stats.receivedRequests += 1;
    if (!CALLS.has(tag)) {
      this.#answer(id, { ok: false, error: unknownCall(tag) });
      return;
    }
    const { requestsMax, requestBytesMax } = PEER_LIMITS;
    if (this.#answering >= requestsMax || this.#answeringBytes + body.length > requestBytesMax) {
      const error = tooManyRequests("", `${this.#answering} wait for an answer`);
      this.#answer(id, { ok: false, error });
      return;
    }
    this.#answering += 1;
    this.#answeringBytes += body.length;
    let isAnswered = false;
    this.#onRequest(tag as PeerCall, body, (result) => {
      assert(!isAnswered, "A request of a peer is answered twice");
      isAnswered = true;
      this.#answering -= 1;
      this.#answeringBytes -= body.length;
      this.#answer(id, result);
    });
  }

  /** The connection has ended. */
  failAll(problem: Problem): void {
    for (const exchange of [...this.#asked.values(), ...this.#held]) {
      exchange.fail(peerUnavailable(exchange.peer, problem, exchange.sent));
    }
  }

  #answer(id: number, result: PeerAnswer): void {
    if (this.#channel.hasEnded) return;
    const body = result.ok ? result.body : encodeError(result.error);
    if (body.length > PEER_LIMITS.bodyMaxBytes) {
      const error = bodyTooLarge(body.length, PEER_LIMITS.bodyMaxBytes);
      this.#answer(id, { ok: false, error });
      return;
    }
    this.#channel.send(encodeControl(FRAME.answer, { id, tag: result.ok ? TAG_OK : 0, body }));
  }
}

/** What clients of this node have written: as much as they like, while all else between nodes is small or rare. */
function isWrite({ call }: Exchange): boolean {
  return call === PEER_CALL.propose;
}

function encodeError(error: HearthError): Uint8Array {
  const sink = new ByteSink(512);
  encodeErrorReply(sink, error);
  return sink.view();
}

function readAnswer(tag: number, body: Uint8Array<ArrayBuffer>): PeerAnswer {
  if (tag === TAG_OK) return { ok: true, body };
  try {
    return { ok: false, error: decodeErrorReply(body) };
  } catch (error) {
    // Damaged would not have come so far: a peer that says it in a way that this version does not read.
    return { ok: false, error: (error as HearthError).with({ sent: "yes" }) };
  }
}
