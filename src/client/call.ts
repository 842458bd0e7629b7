/**
 * One call of the user, from its start to its result: the time budget, the abort signal, the place in the bound on
 * open calls, and what is known so far (attempts, endpoint, sent).
 *
 * A call waits for different things in turn: a connection, an answer, the next chunk, the pause before a repeat.
 * All of them go through `wait`, so that abort, deadline and close() end whatever the call waits for, in one place.
 *
 * Invariant: after `end` no timer and no listener of this call is left, and its place is given back.
 */
import { HearthError, type SentState, TIMER_MAX_MS } from "../base/index.ts";
import type { Admission } from "./admission.ts";
import type { Connection } from "./connection.ts";
import { type AttemptFacts, cancelledByClose, mergeSent, withFacts } from "./errors.ts";
import type { Exchange } from "./exchange.ts";

export interface CallSettings {
  /** As users know it: "queryMetadata". */
  readonly method: string;
  /** Infinity = no limit. */
  readonly timeoutMs: number;
  readonly signal: AbortSignal | undefined;
  /** What the call holds while it is open. */
  readonly bytes: number;
}

/** One try on one connection. */
export interface Attempt {
  readonly connection: Connection;
  readonly exchange: Exchange;
}

/** How a wait ends. Only the first of the two has an effect. */
export interface Settle<T> {
  resolve(value: T): void;
  reject(error: unknown): void;
}

export class Call {
  readonly method: string;
  readonly timeoutMs: number;
  attempts = 0;
  endpoint: string | null = null;
  requestId = "";
  sent: SentState = "no";
  /** The last refusal that was worth a repeat: explains a deadline that passes later. */
  lastError: HearthError | null = null;
  /** How often this call was sent to a member because another one said that it leads. */
  leaderHops = 0;
  /** What is under way on a connection for this call; ends with the call at the latest. */
  #attempt: Attempt | null = null;

  readonly #admission: Admission;
  readonly #bytes: number;
  readonly #signal: AbortSignal | undefined;
  readonly #deadlineMs: number;
  readonly #timer: NodeJS.Timeout | undefined;
  #waiting: { giveUp(): void; reject(reason: unknown): void } | null = null;
  #interruption: { readonly reason: unknown } | null = null;
  #hasEnded = false;

  /** Errors: `signal.reason` if it is aborted already; `resource_exhausted` over the bounds. */
  constructor(settings: CallSettings, modules: { readonly admission: Admission }) {
    settings.signal?.throwIfAborted();
    modules.admission.enter(this, settings.bytes);
    this.#admission = modules.admission;
    this.#bytes = settings.bytes;
    this.method = settings.method;
    this.timeoutMs = settings.timeoutMs;
    this.#signal = settings.signal;
    this.#deadlineMs = performance.now() + settings.timeoutMs;
    this.#signal?.addEventListener("abort", this.#onAbort);
    if (settings.timeoutMs <= TIMER_MAX_MS) {
      this.#timer = setTimeout(
        () => this.interrupt(() => this.#deadlineError()),
        settings.timeoutMs,
      );
    }
  }

  get hasEnded(): boolean {
    return this.#hasEnded;
  }

  /** Time left, ms; Infinity without a limit, never negative. */
  get remainingMs(): number {
    return Math.max(0, this.#deadlineMs - performance.now());
  }

  get facts(): AttemptFacts {
    const { endpoint, requestId, attempts, sent } = this;
    return { endpoint, requestId, attempts, sent };
  }

  noteSent(sent: SentState): void {
    this.sent = mergeSent(this.sent, sent);
  }

  /** Notes what is begun on a connection, before it is sent. */
  beginAttempt(attempt: Attempt): void {
    this.#attempt = attempt;
    this.endpoint = attempt.connection.endpoint;
  }

  /** Takes down what is known of the attempt and gives it up if it still runs: the server is told to stop. */
  endAttempt(): void {
    const attempt = this.#attempt;
    if (attempt === null) return;
    this.#attempt = null;
    const { connection, exchange } = attempt;
    this.noteSent(exchange.sent);
    if (exchange.requestId !== 0) this.requestId = String(exchange.requestId);
    if (exchange.state !== "done") connection.abandon(exchange);
  }

  /**
   * Waits for one thing. `start` begins it and returns how to give it up; that is called only when the call is
   * interrupted meanwhile, and then the wait rejects with the interruption. One wait at a time.
   */
  wait<T>(start: (settle: Settle<T>) => () => void): Promise<T> {
    if (this.#interruption !== null) return Promise.reject(this.#interruption.reason);
    return new Promise<T>((resolve, reject) => {
      const waiting = { giveUp: noop, reject };
      this.#waiting = waiting;
      const done = (): void => {
        if (this.#waiting === waiting) this.#waiting = null;
      };
      waiting.giveUp = start({
        resolve: (value) => {
          done();
          resolve(value);
        },
        reject: (error) => {
          done();
          reject(error);
        },
      });
    });
  }

  /**
   * Ends the call before its time, whatever it waits for. The first interruption wins. The reason is asked for
   * last, when it is known whether a request had left.
   */
  interrupt(makeReason: () => unknown): void {
    if (this.#hasEnded) return;
    const waiting = this.#waiting;
    this.#waiting = null;
    waiting?.giveUp();
    this.end();
    const reason = makeReason();
    this.#interruption = { reason };
    waiting?.reject(reason);
  }

  /** Ends the call because the client is closed. */
  cancelByClose(): void {
    this.interrupt(() => withFacts(cancelledByClose(), this.facts));
  }

  /** Throws if the time is over: timers run late in a busy process, and then nothing more should be sent. */
  throwIfOver(): void {
    if (this.remainingMs === 0) this.interrupt(() => this.#deadlineError());
    this.throwIfInterrupted();
  }

  /** Throws the interruption, if there was one: for steps that do not wait. */
  throwIfInterrupted(): void {
    if (this.#interruption !== null) throw this.#interruption.reason;
  }

  /** Frees all that the call holds. Repeating is harmless. */
  end(): void {
    if (this.#hasEnded) return;
    this.#hasEnded = true;
    clearTimeout(this.#timer);
    this.#signal?.removeEventListener("abort", this.#onAbort);
    this.#admission.leave(this, this.#bytes);
    this.endAttempt();
  }

  readonly #onAbort = (): void => {
    this.interrupt(() => this.#signal?.reason);
  };

  #deadlineError(): HearthError {
    const why = this.lastError === null ? "" : `; before that: ${this.lastError.message}`;
    const error = new HearthError(
      "deadline_exceeded",
      `No complete answer to ${this.method} within ${this.timeoutMs} ms${why}`,
      { reason: "client_deadline", cause: this.lastError ?? undefined },
    );
    return withFacts(error, this.facts);
  }
}

function noop(): void {}
