/**
 * One attempt to reach a node: resolve, connect, say hello, hear a hello.
 *
 *   resolving -> connecting -> greeted -> done          any of them -> cancelled
 */

import type { Socket } from "node:net";
import type { NodeId } from "../../raft/index.ts";
import { type Problem, wordsOf } from "../errors.ts";
import { encodeHello, type Hello } from "../frames/hello.ts";
import type { NodeIntroduction } from "../types.ts";
import { type HostPort, tryParseAddress } from "./address.ts";
import { Channel } from "./channel.ts";
import type { TransportContext } from "./context.ts";
import { Handshake } from "./handshake.ts";
import { judgeHello, type PeerRefusal } from "./judge.ts";

export interface DialOptions {
  /** host:port. */
  readonly address: string;
  /** Whom this side believes to reach; "": whoever answers. */
  readonly target: NodeId;
  /** Hello.dial. */
  readonly number: number;
  readonly link: "peer" | "call";
  /** Failed attempts before this one: the next of several addresses is tried. */
  readonly attempt: number;
}

export type DialResult =
  /** Whoever gets it hands the channel over or ends it before it returns. */
  | {
      readonly ok: true;
      readonly channel: Channel;
      readonly hello: Hello;
      /** What this side has said of itself; it may have changed since. */
      readonly said: NodeIntroduction;
    }
  /** `refusal`: this side did not like the other; null otherwise. */
  | { readonly ok: false; readonly problem: Problem; readonly refusal: PeerRefusal | null };

const CANCELLED: Problem = { reason: "closing", text: "the dial was given up" };

export class Dial {
  readonly #options: DialOptions;
  readonly #context: TransportContext;
  readonly #done: (result: DialResult) => void;
  #cancelTimer: () => void = () => {};
  #socket: Socket | null = null;
  #handshake: Handshake | null = null;
  #isOver = false;

  constructor(options: DialOptions, context: TransportContext, done: (result: DialResult) => void) {
    this.#options = options;
    this.#context = context;
    this.#done = done;
  }

  /** The hello has left: the peer may have accepted it. */
  get hasGreeted(): boolean {
    return this.#handshake !== null;
  }

  start(): void {
    this.#context.stats.dials += 1;
    const { dialTimeoutMs } = this.#context.options;
    const target = tryParseAddress(this.#options.address);
    if (target === null) {
      const text = `${JSON.stringify(this.#options.address)} is not of the form host:port`;
      this.#fail({ reason: "bad_address", text });
      return;
    }
    this.#cancelTimer = this.#context.scheduler.after(dialTimeoutMs / 2, () =>
      this.#onHalfTime(target),
    );
    this.#context.names.resolve(target.host).then(
      (addresses) => this.#connect(target, addresses),
      (error) => this.#fail({ reason: "unresolved", text: `${target.host}: ${wordsOf(error)}` }),
    );
  }

  /** Nothing is reported any more. */
  cancel(): void {
    if (this.#isOver) return;
    this.#finish();
    this.#handshake?.cancel(CANCELLED);
    this.#socket?.destroy();
  }

  /** Name servers that fail slowly shall not cost the dial: what they said last is better than nothing. */
  #onHalfTime(target: HostPort): void {
    const { scheduler, names, options } = this.#context;
    this.#cancelTimer = scheduler.after(options.dialTimeoutMs / 2, () => this.#onTimeout(target));
    const known = names.lastKnown(target.host);
    if (known !== null) this.#connect(target, known);
  }

  #onTimeout(target: HostPort): void {
    const { dialTimeoutMs } = this.#context.options;
    if (this.#socket === null) {
      const text = `${target.host} does not resolve within ${dialTimeoutMs} ms`;
      this.#fail({ reason: "unresolved", text });
      return;
    }
    this.#socket.destroy();
    this.#fail({ reason: "dial_timeout", text: `no connection within ${dialTimeoutMs} ms` });
  }

  #connect({ host, port }: HostPort, addresses: readonly string[]): void {
    if (this.#isOver || this.#socket !== null) return;
    const ip = addresses[this.#options.attempt % addresses.length] as string;
    const socket = this.#context.sockets.connect({ ip, port, host });
    this.#socket = socket;
    socket.once("connect", () => this.#greet(socket));
    // Also after the connection stands: the channel, too, listens, and only one of the two reports.
    socket.on("error", (error) => this.#onSocketError(error));
  }

  #onSocketError(error: Error): void {
    if (this.#handshake !== null) return;
    const { code } = error as NodeJS.ErrnoException;
    this.#fail({ reason: code === "ECONNREFUSED" ? "refused" : "failed", text: wordsOf(error) });
  }

  #greet(socket: Socket): void {
    if (this.#isOver) return;
    this.#cancelTimer();
    const { options, scheduler, stats, incarnations } = this.#context;
    const { target, number, link } = this.#options;
    const introduction = this.#context.own;
    this.#handshake = new Handshake(
      { timeoutMs: options.handshakeTimeoutMs },
      {
        scheduler,
        judge: (hello) =>
          judgeHello(hello, { own: this.#context.own, incarnations, expected: target }),
      },
      (result, channel) => {
        if (this.#isOver) return;
        this.#finish();
        if (result.ok) this.#done({ ok: true, channel, hello: result.hello, said: introduction });
        else this.#report(result.problem, result.refusal);
      },
    );
    const channel = new Channel(socket, options, { stats, scheduler }, this.#handshake);
    this.#handshake.begin(channel);
    channel.send(encodeHello({ introduction, target, dial: number, link }));
  }

  #fail(problem: Problem): void {
    if (this.#isOver) return;
    this.#finish();
    this.#report(problem, null);
  }

  #report(problem: Problem, refusal: PeerRefusal | null): void {
    this.#context.stats.dialFailures += 1;
    this.#done({ ok: false, problem, refusal });
  }

  #finish(): void {
    this.#isOver = true;
    this.#cancelTimer();
  }
}
