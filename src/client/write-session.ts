/**
 * Writes that take effect once, however often they are sent: each has a number in a session that the cluster keeps
 * (dissertation 6.3). A repeat has the same number, so the members recognise it whichever of them leads by then.
 *
 *   write ──> session open? ──> number within the window? ──> sent, repeated as needed ──> number given back
 *                 │ no               │ no
 *                 v                  v
 *             opened once        waits for an older one
 *
 * The numbers that are done, without a gap, travel along, so that members may forget their answers. A call that ends
 * without an answer is done, too: its number is never used again, and a late copy of it on the wire has no effect once a
 * newer write has said so.
 */
import { HearthError, isHearthError, TIMER_MAX_MS } from "../base/index.ts";
import type { SessionNumbers } from "../protocol/index.ts";
import { SESSION_WINDOW_MAX } from "./limits.ts";
import type { CallOptions, WriteResult } from "./types.ts";

export interface SessionModules {
  /** Resolves with the id of a new session. */
  readonly open: () => Promise<number>;
  /** Budget of a call that names none, ms. */
  readonly defaultTimeoutMs: number;
}

/** Sends one write under these numbers, and repeats it as needed. */
export type NumberedWrite = (numbers: SessionNumbers, options: CallOptions) => Promise<WriteResult>;

/** A session that was just opened cannot be gone, unless thousands of others were opened meanwhile. */
const SESSIONS_PER_WRITE_MAX = 3;

export class SessionWriter {
  readonly #modules: SessionModules;
  #session: Session | null = null;

  constructor(modules: SessionModules) {
    this.#modules = modules;
  }

  /** Errors: those of the write; `deadline_exceeded` while it waits for its number. */
  async write(send: NumberedWrite, options: CallOptions): Promise<WriteResult> {
    const timeoutMs = options.timeoutMs ?? this.#modules.defaultTimeoutMs;
    const endAtMs = performance.now() + timeoutMs;
    for (let left = SESSIONS_PER_WRITE_MAX; ; left--) {
      const session = this.#open();
      const limits = { endAtMs, signal: options.signal };
      const numbers = await session.take(limits).catch((error: unknown) => {
        this.#forget(session);
        throw error;
      });
      try {
        const remainingMs = Math.max(0, endAtMs - performance.now());
        return await send(numbers, { ...options, timeoutMs: remainingMs });
      } catch (error) {
        if (!isGone(error)) throw error;
        session.isUnusable = true;
        this.#forget(session);
        // Only the first attempt is known not to have been executed; what an earlier one did is forgotten with the session.
        if (error.attempts > 1 || left === 1) throw error.with({ sent: "maybe" });
      } finally {
        session.release(numbers.sequence);
      }
    }
  }

  #open(): Session {
    this.#session ??= new Session(this.#modules.open());
    return this.#session;
  }

  /** Writes that have a number go on with it; new ones get a new session. */
  #forget(session: Session): void {
    if (this.#session === session && session.isUnusable) this.#session = null;
  }
}

interface Limits {
  readonly endAtMs: number;
  readonly signal: AbortSignal | undefined;
}

class Session {
  readonly #id: Promise<number>;
  #next = 1;
  #ackedThrough = 0;
  /** Done, above `ackedThrough`. */
  readonly #done = new Set<number>();
  /** First come, first served. */
  #waiting: (() => void)[] = [];
  isUnusable = false;

  constructor(id: Promise<number>) {
    this.#id = id;
    id.catch(() => {
      this.isUnusable = true;
    });
  }

  /** The next number, once it is within the window. */
  async take(limits: Limits): Promise<SessionNumbers> {
    const sessionId = await within(this.#id, limits);
    while (this.#next > this.#ackedThrough + SESSION_WINDOW_MAX) {
      let wake = (): void => {};
      const woken = new Promise<void>((resolve) => {
        wake = resolve;
        this.#waiting.push(resolve);
      });
      try {
        await within(woken, limits);
      } catch (error) {
        this.#waiting = this.#waiting.filter((other) => other !== wake);
        throw error;
      }
    }
    const sequence = this.#next++;
    return { sessionId, sequence, ackedThrough: this.#ackedThrough };
  }

  release(sequence: number): void {
    this.#done.add(sequence);
    while (this.#done.delete(this.#ackedThrough + 1)) this.#ackedThrough += 1;
    const woken = this.#waiting;
    this.#waiting = [];
    for (const wake of woken) wake();
  }
}

function isGone(error: unknown): error is HearthError {
  return isHearthError(error) && error.reason === "session_expired";
}

/** The promise, or the end of the caller's time or patience. */
async function within<T>(promise: Promise<T>, { endAtMs, signal }: Limits): Promise<T> {
  signal?.throwIfAborted();
  let timer: NodeJS.Timeout | undefined;
  let onAbort = (): void => {};
  const end = new Promise<never>((_, reject) => {
    onAbort = () => reject(signal?.reason);
    signal?.addEventListener("abort", onAbort, { once: true });
    if (Number.isFinite(endAtMs))
      timer = setTimeout(
        () => reject(outOfTime()),
        Math.min(TIMER_MAX_MS, Math.max(0, endAtMs - performance.now())),
      );
  });
  try {
    return await Promise.race([promise, end]);
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener("abort", onAbort);
  }
}

function outOfTime(): HearthError {
  const message = "The time is up before the write had a place in its session";
  return new HearthError("deadline_exceeded", message, { reason: "deadline", sent: "no" });
}
