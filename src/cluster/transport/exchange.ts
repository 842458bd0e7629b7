/** One request of this process, until it has its one answer. */

import type { HearthError, Scheduler, SentState } from "../../base/index.ts";
import { peerTimeout, requestCancelled } from "../errors.ts";
import type { PeerAnswer, PeerCall } from "../types.ts";

export interface ExchangeOptions {
  /** Whom it is for, in words. */
  readonly peer: string;
  readonly call: PeerCall;
  readonly body: Uint8Array;
  readonly timeoutMs: number;
  readonly signal: AbortSignal | undefined;
}

export class Exchange {
  readonly peer: string;
  readonly call: PeerCall;
  readonly body: Uint8Array;
  /** "maybe" from the moment at which the request is queued on a connection. */
  sent: SentState = "no";
  readonly #resolve: (answer: PeerAnswer) => void;
  readonly #signal: AbortSignal | undefined;
  readonly #onAbort = (): void => this.fail(requestCancelled(this.peer, this.sent));
  readonly #cancelTimer: () => void;
  /** Takes it out of whatever it waits in. */
  #leave: (() => void) | null = null;
  #isSettled = false;

  constructor(
    options: ExchangeOptions,
    scheduler: Scheduler,
    resolve: (answer: PeerAnswer) => void,
  ) {
    const { peer, call, body, timeoutMs, signal } = options;
    this.peer = peer;
    this.call = call;
    this.body = body;
    this.#resolve = resolve;
    this.#signal = signal;
    this.#cancelTimer = scheduler.after(timeoutMs, () =>
      this.fail(peerTimeout(peer, timeoutMs, this.sent)),
    );
    signal?.addEventListener("abort", this.#onAbort, { once: true });
    if (signal?.aborted) this.#onAbort();
  }

  get isSettled(): boolean {
    return this.#isSettled;
  }

  /** It waits in a place that it leaves when it is settled. */
  waitIn(leave: () => void): void {
    this.#leave = leave;
  }

  /** Out of the place that it waits in, to another one. */
  moveOn(): void {
    this.#leave?.();
    this.#leave = null;
  }

  settle(answer: PeerAnswer): void {
    if (this.#isSettled) return;
    this.#isSettled = true;
    this.#cancelTimer();
    this.#signal?.removeEventListener("abort", this.#onAbort);
    this.moveOn();
    this.#resolve(answer);
  }

  fail(error: HearthError): void {
    this.settle({ ok: false, error });
  }
}
