/**
 * Runs calls: finds a connection, sends, waits, and repeats what may be repeated within the call's budget.
 *
 * What is repeated, and only after `unavailable`:
 * - reads, and writes that are harmless to repeat (AddBlock: the first write of an id wins), always;
 * - other writes only if no server can have acted: nothing was sent, or the server said that it does not lead.
 * A streamed answer is not repeated once its consumer has seen a part of it.
 */
import { HearthError, isHearthError, type LeaderHint, TIMER_MAX_MS } from "../base/index.ts";
import type { HeldDictionaries } from "../protocol/index.ts";
import type { Admission } from "./admission.ts";
import { ChunkQueue, hasPayload, SingleAnswer } from "./answers.ts";
import { jitteredDelayMs } from "./backoff.ts";
import { Call } from "./call.ts";
import type { Connection } from "./connection.ts";
import { isTracing, traceCall, traceStream } from "./diagnostics.ts";
import { clientClosed, protocolViolation, withFacts } from "./errors.ts";
import { type AnswerFrame, type AnswerSink, Exchange } from "./exchange.ts";
import { payloadOf } from "./frames.ts";
import { LEADER_HOPS_MAX, RETRY_DELAY_MAX_MS, RETRY_DELAY_MIN_MS } from "./limits.ts";
import type { ClientOptions } from "./options.ts";
import type { Router } from "./router.ts";
import type { CallOptions } from "./types.ts";

/** What is asked, apart from the budget. */
export interface RequestSpec {
  readonly method: string;
  readonly opcode: number;
  /** Made by buildFrame(). */
  readonly frame: Uint8Array;
  readonly isWrite: boolean;
  /** A second execution does no harm. */
  readonly isRepeatable: boolean;
}

/** Looks at the payload of one chunk; null = nothing in it. `held`: see AnswerFrame. */
export type ChunkRead<T> = (payload: Uint8Array, held: HeldDictionaries | null) => T | null;

/** How one attempt failed and what was tried before it. */
interface FailedAttempt {
  readonly spec: RequestSpec;
  readonly call: Call;
  readonly error: unknown;
}

export class Requester {
  readonly #options: ClientOptions;
  readonly #router: Router;
  readonly #admission: Admission;
  #isRefusing: "closed" | "draining" | null = null;

  constructor(
    options: ClientOptions,
    modules: { readonly router: Router; readonly admission: Admission },
  ) {
    this.#options = options;
    this.#router = modules.router;
    this.#admission = modules.admission;
  }

  /** From now on every new call is refused. */
  refuse(why: "closed" | "draining"): void {
    this.#isRefusing = why;
  }

  /** One request, one answer. Throws what keeps the call from being started. */
  single<T>(
    spec: RequestSpec,
    decode: (payload: Uint8Array) => T,
    options: CallOptions,
  ): Promise<T> {
    const call = this.#open(spec, options, 0);
    if (isTracing()) return traceCall(call, () => this.#runSingle(spec, decode, call));
    return this.#runSingle(spec, decode, call);
  }

  /**
   * One request, an answer in chunks. Each chunk is the payload of a frame and owned by the consumer; the server
   * sends more as the consumer asks for more. `read` is the consumer's first look at a chunk: null means that there
   * is nothing in it; if it throws, the bytes make no sense and the connection is given up.
   */
  async *stream<T>(
    spec: RequestSpec,
    read: ChunkRead<T>,
    options: CallOptions,
  ): AsyncGenerator<T, void, void> {
    const windowBytes = this.#options.streamWindowBytes;
    const call = this.#open(spec, options, windowBytes);
    const finishTrace = isTracing() ? traceStream(call) : null;
    let failure: { readonly reason: unknown } | undefined;
    try {
      yield* this.#runStream(spec, read, call);
    } catch (reason) {
      failure = { reason };
      throw reason;
    } finally {
      call.end();
      finishTrace?.(failure);
    }
  }

  #open(spec: RequestSpec, options: CallOptions, windowBytes: number): Call {
    if (this.#isRefusing !== null) throw clientClosed(this.#isRefusing === "draining");
    const timeoutMs = options.timeoutMs ?? this.#options.defaultTimeoutMs;
    if (Number.isNaN(timeoutMs) || timeoutMs < 0) {
      throw new HearthError("invalid_argument", `timeoutMs is ${timeoutMs}, must not be negative`, {
        reason: "bad_options",
      });
    }
    const bytes = spec.frame.length + windowBytes;
    const { signal } = options;
    return new Call(
      { method: spec.method, timeoutMs, signal, bytes },
      { admission: this.#admission },
    );
  }

  async #runSingle<T>(
    spec: RequestSpec,
    decode: (payload: Uint8Array) => T,
    call: Call,
  ): Promise<T> {
    try {
      for (;;) {
        try {
          const connection = await this.#connect(spec, call);
          return await call.wait<T>((settle) => {
            const sink = new SingleAnswer(decode, settle);
            return this.#begin(spec, call, { connection, sink, credit: 0 });
          });
        } catch (error) {
          await this.#beforeRepeat({ spec, call, error });
        }
      }
    } finally {
      call.end();
    }
  }

  async *#runStream<T>(
    spec: RequestSpec,
    read: ChunkRead<T>,
    call: Call,
  ): AsyncGenerator<T, void, void> {
    for (;;) {
      let hasDelivered = false;
      try {
        const connection = await this.#connect(spec, call);
        const chunks = this.#beginStream(spec, call, connection);
        for (;;) {
          const frame = await chunks.next();
          if (frame === null) return;
          const value = readChunk(frame, { read, connection });
          if (value !== null) {
            hasDelivered = true;
            yield value;
            call.throwIfInterrupted();
          }
          chunks.consumed(frame.bytes.length);
        }
      } catch (error) {
        if (hasDelivered) throw finalError(call, error);
        await this.#beforeRepeat({ spec, call, error });
      }
    }
  }

  #beginStream(
    spec: RequestSpec,
    call: Call,
    connection: Connection,
  ): { next(): Promise<AnswerFrame | null>; consumed(bytes: number): void } {
    // Below two chunks the server would stand still while a chunk is on its way.
    const credit = Math.max(this.#options.streamWindowBytes, 2 * connection.hello.chunkMaxBytes);
    const queue = new ChunkQueue(credit, connection.endpoint);
    const exchange = this.#send(spec, call, { connection, sink: queue, credit });
    return {
      next: () => queue.next(call),
      consumed: (bytes) => {
        const more = queue.consumed(bytes);
        if (more > 0) connection.grant(exchange, more);
      },
    };
  }

  #connect(spec: RequestSpec, call: Call): Connection | Promise<Connection> {
    call.throwIfOver();
    call.attempts += 1;
    return this.#router.connectionFor(call, spec.isWrite || call.leaderHops > 0);
  }

  #begin(spec: RequestSpec, call: Call, way: Way): () => void {
    this.#send(spec, call, way);
    return () => {};
  }

  /** Starts one attempt; the call's end gives it up if it still runs. */
  #send(spec: RequestSpec, call: Call, way: Way): Exchange {
    const { connection, sink, credit } = way;
    const exchange = new Exchange({
      opcode: spec.opcode,
      frame: spec.frame,
      timeoutMs: budgetMs(call),
      credit,
      sink,
    });
    call.beginAttempt({ connection, exchange });
    connection.begin(exchange);
    return exchange;
  }

  /** Returns when the call should be tried again, throws its final error otherwise. */
  async #beforeRepeat(failed: FailedAttempt): Promise<void> {
    const { spec, call, error } = failed;
    call.endAttempt();
    if (!isHearthError(error) || call.hasEnded || !mayRepeat(spec, error)) {
      throw finalError(call, error);
    }
    call.lastError = error;
    const delayMs = this.#repeatDelayMs(call, error);
    if (delayMs >= call.remainingMs) throw finalError(call, error);
    if (delayMs > 0) await pause(call, delayMs);
  }

  #repeatDelayMs(call: Call, error: HearthError): number {
    if (error.leader !== null && this.#follow(call, error.leader)) {
      if (call.leaderHops <= LEADER_HOPS_MAX) return 0;
    }
    const jitterMs = jitteredDelayMs(call.attempts - 1, RETRY_DELAY_MIN_MS, RETRY_DELAY_MAX_MS);
    return Math.max(jitterMs, error.retryAfterMs ?? 0);
  }

  #follow(call: Call, leader: LeaderHint): boolean {
    call.leaderHops += 1;
    return this.#router.follow(leader, call.endpoint ?? "");
  }
}

/** The way one attempt takes. */
interface Way {
  readonly connection: Connection;
  readonly sink: AnswerSink;
  readonly credit: number;
}

/** What the frame tells the server: 0 = its default. */
function budgetMs(call: Call): number {
  const { remainingMs } = call;
  return remainingMs > TIMER_MAX_MS ? 0 : Math.max(1, Math.ceil(remainingMs));
}

function mayRepeat(spec: RequestSpec, error: HearthError): boolean {
  // Waiting for a connection has its own limit, which is over.
  if (error.code !== "unavailable" || error.reason === "no_connection") return false;
  return spec.isRepeatable || error.sent === "no" || error.reason === "not_leader";
}

function readChunk<T>(
  { bytes, held }: AnswerFrame,
  from: { readonly read: ChunkRead<T>; readonly connection: Connection },
): T | null {
  if (!hasPayload(bytes)) return null;
  try {
    return from.read(payloadOf(bytes), held);
  } catch (cause) {
    const what = `a chunk that cannot be read (${(cause as Error).message})`;
    const violation = protocolViolation(from.connection.endpoint, what, cause);
    from.connection.fail(violation);
    throw violation.with({ sent: "yes" });
  }
}

/** Foreign values, such as an abort reason, pass unchanged. */
function finalError(call: Call, error: unknown): unknown {
  if (!isHearthError(error) || call.hasEnded) return error;
  call.noteSent(error.sent);
  return withFacts(error, call.facts);
}

function pause(call: Call, delayMs: number): Promise<void> {
  return call.wait<void>((settle) => {
    const timer = setTimeout(() => settle.resolve(), delayMs);
    return () => clearTimeout(timer);
  });
}
