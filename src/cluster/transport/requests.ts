/** Requests and answers of one connection, in both directions. Numbers are chosen by the asking side. */

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

export class Requests {
  readonly #channel: Channel;
  readonly #queueMaxBytes: number;
  readonly #stats: PeerNetworkStats;
  readonly #onRequest: (call: PeerCall, body: Uint8Array<ArrayBuffer>, answer: AnswerPeer) => void;
  readonly #asked = new Map<number, Exchange>();
  #nextId = 0;
  #answering = 0;
  #answeringBytes = 0;

  constructor(
    options: { readonly requestQueueMaxBytes: number },
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
    this.#queueMaxBytes = options.requestQueueMaxBytes;
  }

  get isIdle(): boolean {
    return this.#asked.size === 0 && this.#answering === 0;
  }

  ask(exchange: Exchange): void {
    if (exchange.isSettled) return;
    const error = this.#refusal(exchange);
    if (error !== null) {
      exchange.fail(error);
      return;
    }
    const id = this.#takeId();
    this.#asked.set(id, exchange);
    exchange.waitIn(() => this.#asked.delete(id));
    exchange.sent = "maybe";
    this.#stats.sentRequests += 1;
    const { call, body } = exchange;
    this.#channel.send(encodeControl(FRAME.request, { id, tag: call, body }));
  }

  #refusal({ peer, body }: Exchange): HearthError | null {
    const { requestsMax, bodyMaxBytes } = PEER_LIMITS;
    if (body.length > bodyMaxBytes) return bodyTooLarge(body.length, bodyMaxBytes);
    if (this.#asked.size >= requestsMax) return tooManyRequests(peer, `${requestsMax} are open`);
    // The first one always gets its turn, however large it is.
    const { queuedBytes } = this.#channel;
    if (queuedBytes > 0 && queuedBytes + body.length > this.#queueMaxBytes) {
      return tooManyRequests(peer, `${queuedBytes} bytes wait to be sent`);
    }
    return null;
  }

  /** Numbers of requests that were given up are free again: an answer to one of them is late, and forgotten. */
  #takeId(): number {
    do {
      this.#nextId = this.#nextId === ID_MAX ? 1 : this.#nextId + 1;
    } while (this.#asked.has(this.#nextId));
    return this.#nextId;
  }

  onAnswer({ id, tag, body }: ControlFrame): void {
    this.#asked.get(id)?.settle(readAnswer(tag, body));
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
    for (const exchange of [...this.#asked.values()]) {
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
