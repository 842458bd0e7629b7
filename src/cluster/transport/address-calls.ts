/**
 * Requests to addresses, before it is known which node is there: a connection of its own per address, for requests
 * only, that is closed when it has been idle for a moment.
 *
 * Never the connection of a link: whoever asks an address wants to know who answers there now, which may be a stranger.
 */

import type { Message } from "../../raft/index.ts";
import { type Problem, tooManyRequests } from "../errors.ts";
import { PEER_LIMITS } from "../limits.ts";
import type { AnswerPeer, PeerRequest } from "../types.ts";
import { type ConnectionOwner, PeerConnection } from "./connection.ts";
import type { TransportContext } from "./context.ts";
import { Dial, type DialResult } from "./dial.ts";
import type { Exchange } from "./exchange.ts";
import { Waiters } from "./waiters.ts";

/** Ping intervals of quiet after which a connection goes; probes come in rounds a second or more apart. */
const IDLE_PINGS = 4;

export class AddressCalls {
  readonly #context: TransportContext;
  readonly #owner: Pick<ConnectionOwner, "onRequest">;
  readonly #calls = new Map<string, AddressCall>();

  constructor(context: TransportContext, owner: Pick<ConnectionOwner, "onRequest">) {
    this.#context = context;
    this.#owner = owner;
  }

  ask(address: string, exchange: Exchange): void {
    const known = this.#calls.get(address);
    if (known !== undefined) {
      known.ask(exchange);
      return;
    }
    const { addressesMax } = PEER_LIMITS;
    if (this.#calls.size >= addressesMax) {
      exchange.fail(tooManyRequests(address, `${addressesMax} addresses are asked already`));
      return;
    }
    const call = new AddressCall(address, this.#context, {
      onRequest: (request, answer) => this.#owner.onRequest(request, answer),
      onOver: () => this.#calls.delete(address),
    });
    this.#calls.set(address, call);
    call.ask(exchange);
    call.start();
  }

  tick(): void {
    for (const call of [...this.#calls.values()]) call.tick();
  }

  introduce(): void {
    for (const call of [...this.#calls.values()]) call.introduce();
  }

  close(problem: Problem): void {
    for (const call of [...this.#calls.values()]) call.close(problem);
  }
}

interface CallOwner {
  onRequest(request: PeerRequest, answer: AnswerPeer): void;
  onOver(): void;
}

class AddressCall implements ConnectionOwner {
  readonly #address: string;
  readonly #context: TransportContext;
  readonly #owner: CallOwner;
  readonly #waiters = new Waiters();
  readonly #dial: Dial;
  #connection: PeerConnection | null = null;

  constructor(address: string, context: TransportContext, owner: CallOwner) {
    this.#address = address;
    this.#context = context;
    this.#owner = owner;
    const options = { address, target: "", number: 0, link: "call", attempt: 0 } as const;
    this.#dial = new Dial(options, context, (result) => this.#onDialled(result));
  }

  start(): void {
    this.#dial.start();
  }

  ask(exchange: Exchange): void {
    if (this.#connection === null) this.#waiters.add(exchange);
    else this.#connection.ask(exchange);
  }

  tick(): void {
    const connection = this.#connection;
    if (connection === null) return;
    const idleMs = IDLE_PINGS * this.#context.options.pingIntervalMs;
    if (connection.isIdle(idleMs)) connection.closeGently("idle", "nobody asks any more");
    else connection.tick();
  }

  introduce(): void {
    this.#connection?.introduce();
  }

  close(problem: Problem): void {
    this.#dial.cancel();
    this.#waiters.failAll(problem);
    if (this.#connection === null) this.#owner.onOver();
    else this.#connection.closeGently("closing", problem.text);
  }

  #onDialled(result: DialResult): void {
    if (!result.ok) {
      this.#owner.onOver();
      const { problem, refusal } = result;
      if (refusal !== null) {
        this.#context.refusals.note(refusal.reason, this.#address, { detail: refusal.text });
      }
      this.#waiters.failAll(problem);
      return;
    }
    const { channel, hello, said } = result;
    const { introduction } = hello;
    const connection = new PeerConnection(
      channel,
      { introduction, link: "call" },
      this.#context,
      this,
    );
    this.#connection = connection;
    if (said !== this.#context.own) connection.introduce();
    this.#waiters.askAll(connection);
  }

  onArrived(): void {}

  onMessage(_message: Message): void {
    // The connection itself refuses Raft messages on a call.
  }

  onRequest(request: PeerRequest, answer: AnswerPeer): void {
    this.#owner.onRequest(request, answer);
  }

  onIntroduced(): void {
    // Whoever answers here is asked, not followed.
  }

  onRoundTrip(): void {
    // Measured on links.
  }

  onEnd(_connection: PeerConnection, problem: Problem): void {
    this.#owner.onOver();
    this.#waiters.failAll(problem);
  }
}
