/**
 * A connection to one node beside that of the two members, for a thread that is not the main one. Who asks and finds none
 * goes another way: nobody waits for a dial.
 *
 * It is made when somebody asks, and ended when nobody has asked for a while. Pings tell when it is dead, as for any other.
 */

import { assert } from "../../base/index.ts";
import type { NodeId } from "../../raft/index.ts";
import { unknownCall } from "../errors.ts";
import type { PeerOptions } from "../options.ts";
import type { AnswerPeer, NodeIntroduction, PeerCall } from "../types.ts";
import { type ConnectionOwner, PeerConnection } from "./connection.ts";
import { createContext, type TransportContext, type TransportModules } from "./context.ts";
import { Dial, type DialResult } from "./dial.ts";
import { Exchange } from "./exchange.ts";

/** Between two dials, and behind a connection that was lost. */
const DIAL_AGAIN_MS = 1_000;

export interface LineTarget {
  readonly nodeId: NodeId;
  /** host:port, all of the same node: tried in turn. Numeric, as the names of a process are looked up by main alone. */
  readonly addresses: readonly string[];
  /** What this process says of itself. */
  readonly introduction: NodeIntroduction;
}

export type LineOptions = Omit<PeerOptions, "introduction" | "listenHost" | "listenPort">;

export class PeerLine {
  readonly #options: LineOptions;
  readonly #modules: TransportModules;
  readonly #owner: ConnectionOwner;
  #context: TransportContext | null = null;
  #target: LineTarget | null = null;
  #dial: Dial | null = null;
  #connection: PeerConnection | null = null;
  #attempts = 0;
  #dialNotBeforeMs = Number.NEGATIVE_INFINITY;
  #cancelTick: () => void = () => {};
  #isClosed = false;

  constructor(options: LineOptions, modules: TransportModules) {
    this.#options = options;
    this.#modules = modules;
    this.#owner = {
      onMessage: () => {},
      onArrived: () => {},
      onIntroduced: () => {},
      onRoundTrip: () => {},
      // A line is for asking: whoever answers at its other end has the connection of the members for its own questions.
      onRequest: ({ call }, answer) => answer({ ok: false, error: unknownCall(call) }),
      onEnd: (connection) => this.#onEnd(connection),
    };
  }

  get isConnected(): boolean {
    return this.#connection !== null;
  }

  /** Whom to ask from now on; null: nobody. What another node was asked fails. */
  setTarget(target: LineTarget | null): void {
    if (this.#isClosed || isSame(target, this.#target)) return;
    this.#target = target;
    this.#attempts = 0;
    this.#dialNotBeforeMs = Number.NEGATIVE_INFINITY;
    this.#hangUp("another node is asked from now on");
  }

  /**
   * False: there is no connection now, though perhaps soon. Otherwise `done` is called once, within `timeoutMs`; an error
   * has `sent` as requests of the network do.
   */
  tryAsk(call: PeerCall, body: Uint8Array, timeoutMs: number, done: AnswerPeer): boolean {
    const connection = this.#connection;
    if (connection === null) {
      this.#dialIfDue();
      return false;
    }
    const peer = connection.introduction.serverId;
    const options = { peer, call, body, timeoutMs, signal: undefined };
    connection.ask(new Exchange(options, this.#modules.scheduler, done));
    return true;
  }

  /** For good, and at once. May be repeated. */
  close(): void {
    this.#isClosed = true;
    this.#target = null;
    this.#hangUp("this thread ends");
  }

  #dialIfDue(): void {
    const target = this.#target;
    const nowMs = this.#modules.scheduler.monotonicMs();
    if (target === null || this.#dial !== null || nowMs < this.#dialNotBeforeMs) return;
    const { introduction, nodeId, addresses } = target;
    assert(addresses.length > 0, `Node ${nodeId} has no address`);
    this.#dialNotBeforeMs = nowMs + DIAL_AGAIN_MS;
    const listen = { listenHost: "", listenPort: 0 };
    this.#context ??= createContext({ ...this.#options, ...listen, introduction }, this.#modules);
    this.#context.own = introduction;
    const address = addresses[this.#attempts++ % addresses.length] as string;
    const options = { address, target: nodeId, number: 0, link: "call", attempt: 0 } as const;
    this.#dial = new Dial(options, this.#context, (result) => this.#onDialled(result));
    this.#dial.start();
  }

  #onDialled(result: DialResult): void {
    this.#dial = null;
    // Why is in the log of main, which keeps a connection to the same node.
    if (!result.ok) return;
    const { channel, hello } = result;
    const peer = { introduction: hello.introduction, link: "call" } as const;
    const context = this.#context as TransportContext;
    this.#connection = new PeerConnection(channel, peer, context, this.#owner);
    this.#scheduleTick();
  }

  #onEnd(connection: PeerConnection): void {
    if (connection !== this.#connection) return;
    this.#connection = null;
    this.#cancelTick();
    this.#dialNotBeforeMs = this.#modules.scheduler.monotonicMs() + DIAL_AGAIN_MS;
  }

  #hangUp(why: string): void {
    this.#dial?.cancel();
    this.#dial = null;
    const connection = this.#connection;
    this.#connection = null;
    this.#cancelTick();
    connection?.close("closing", why);
  }

  #scheduleTick(): void {
    const { pingIntervalMs, idleMs } = this.#options;
    this.#cancelTick = this.#modules.scheduler.after(pingIntervalMs, () => {
      const connection = this.#connection;
      if (connection === null) return;
      this.#scheduleTick();
      if (connection.isIdle(idleMs)) connection.closeGently("idle", "nobody asks any more");
      else connection.tick();
    });
  }
}

/** What a process says of itself may change; whom it asks, and where, does not by that. */
function isSame(one: LineTarget | null, other: LineTarget | null): boolean {
  if (one === null || other === null) return one === other;
  return one.nodeId === other.nodeId && one.addresses.join() === other.addresses.join();
}
