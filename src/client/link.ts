/**
 * Keeps one connection to a set of endpoints: connects, notices the loss, comes back, for ever.
 *
 *   connecting ──hello──► connected ──lost──► pausing ──jittered delay──► connecting(next endpoint) ...
 *        └──failed──────────────────────────►    any ──close()──► closed
 *
 * Endpoints are tried in a random order that rotates. In the first round nothing pauses between two endpoints: the
 * second one is not to blame for the first. A connection that held for a while resets the pauses; one that was
 * dropped at once does not, or a server that refuses after the hello would be hammered.
 */
import { assert, type HearthError, TIMER_MAX_MS } from "../base/index.ts";
import { jitteredDelayMs, shuffled } from "./backoff.ts";
import type { Settle } from "./call.ts";
import { Connection } from "./connection.ts";
import { connectionLost, noConnection } from "./errors.ts";
import { CONNECT_ATTEMPT_MIN_MS } from "./limits.ts";
import type { LeaderNotice } from "../protocol/index.ts";
import type { ClientOptions } from "./options.ts";
import type { ConnectionStatus } from "./types.ts";

export interface LinkSettings {
  readonly endpoints: readonly string[];
  /** False: the link closes itself when its first connection cannot be made or is lost. */
  readonly isPersistent: boolean;
  /** What is wrong with who answers: then the link is closed. Null: everybody is welcome. */
  readonly check: ((connection: Connection) => HearthError | null) | null;
}

export interface LinkListener {
  onStatus(status: ConnectionStatus): void;
  onReady(connection: Connection): void;
  /** A word of the member at the other end: with its hello, and whenever it hears of another leader. */
  onLeader(leader: LeaderNotice, connection: Connection): void;
  /** The link is closed and its last connection with it. */
  onGone(link: Link): void;
}

export class Link {
  readonly #options: ClientOptions;
  readonly #listener: LinkListener;
  readonly #isPersistent: boolean;
  readonly #check: LinkSettings["check"];
  readonly #endpoints: readonly string[];
  readonly #failures = new Map<string, HearthError>();
  readonly #waiters = new Set<Settle<Connection>>();
  #connection: Connection | null = null;
  #position = 0;
  #attempt = 0;
  #readyAtMs = 0;
  #timer: NodeJS.Timeout | undefined;
  #closeError: HearthError | null = null;
  /** Called after every failed or lost connection; connect() listens while it waits. */
  onFailure: (() => void) | null = null;

  constructor(
    settings: LinkSettings,
    modules: { readonly options: ClientOptions; readonly listener: LinkListener },
  ) {
    assert(settings.endpoints.length > 0, "A link needs an endpoint");
    this.#options = modules.options;
    this.#listener = modules.listener;
    this.#isPersistent = settings.isPersistent;
    this.#check = settings.check;
    this.#endpoints = shuffled(settings.endpoints);
  }

  /** The one that is tried next, or in use. */
  get endpoint(): string {
    return this.#connection?.endpoint ?? this.#nextEndpoint;
  }

  /** The connection if it takes requests now. */
  get ready(): Connection | null {
    return this.#connection?.isReady === true ? this.#connection : null;
  }

  /** The last failure of each endpoint that failed since the last success; what connect() tells. */
  get failures(): ReadonlyMap<string, HearthError> {
    return this.#failures;
  }

  /** Every endpoint was tried, and none can succeed later (wrong version, not permitted). */
  get isHopeless(): boolean {
    if (this.#failures.size < this.#endpoints.length) return false;
    return [...this.#failures.values()].every((failure) => !failure.retryable);
  }

  start(): void {
    this.#connect();
  }

  /**
   * Waits for a connection at most `waitMs`; returns how to give up.
   *
   * Errors: `unavailable` with reason no_connection when the time is over, or what the link was closed with.
   */
  whenReady(waitMs: number, settle: Settle<Connection>): () => void {
    if (this.#closeError !== null) {
      settle.reject(this.#closeError);
      return () => {};
    }
    const ready = this.ready;
    if (ready !== null) {
      settle.resolve(ready);
      return () => {};
    }
    const giveUp = (): void => {
      clearTimeout(timer);
      this.#waiters.delete(waiter);
    };
    const waiter: Settle<Connection> = {
      resolve: (connection) => {
        giveUp();
        settle.resolve(connection);
      },
      reject: (error) => {
        giveUp();
        settle.reject(error);
      },
    };
    const timer =
      waitMs > TIMER_MAX_MS
        ? undefined
        : setTimeout(() => waiter.reject(this.#noConnectionError(waitMs)), waitMs);
    this.#waiters.add(waiter);
    return giveUp;
  }

  /** Ends the link; open requests and waiters fail with `error`. Resolves when the socket is closed. */
  close(error: HearthError): Promise<void> {
    this.#closeError ??= error;
    clearTimeout(this.#timer);
    const closed = this.#connection?.close(error);
    for (const waiter of [...this.#waiters]) waiter.reject(error);
    return closed ?? Promise.resolve();
  }

  /** Ends the link once its open requests are answered. */
  retire(error: HearthError): void {
    const connection = this.ready;
    if (connection === null) {
      void this.close(error);
      return;
    }
    this.#closeError ??= error;
    connection.retire();
  }

  /** What whoever waits is told, and connect() tells: the reason of each endpoint. */
  describeFailures(): string {
    const lines = this.#endpoints.map((endpoint) => {
      const failure = this.#failures.get(endpoint);
      return failure === undefined ? `${endpoint}: no answer yet` : failureText(endpoint, failure);
    });
    return lines.join("; ");
  }

  #connect(): void {
    const endpoint = this.#nextEndpoint;
    this.#position += 1;
    this.#listener.onStatus({ kind: "connecting", endpoint, attempt: this.#attempt + 1 });
    const connection = new Connection(
      { ...this.#options, endpoint },
      {
        transport: this.#options.transport,
        listener: {
          onReady: (ready) => this.#onReady(ready),
          onLeader: (leader) => this.#listener.onLeader(leader, connection),
          onClosed: (closed, error, isDraining) => this.#onClosed(closed, error, isDraining),
        },
      },
    );
    this.#connection = connection;
    const limitMs = this.#attemptLimitMs();
    this.#timer = setTimeout(() => {
      const what = connection.hasChannel ? "connected, no answer" : "no connection";
      connection.fail(connectionLost(endpoint, `timed out after ${limitMs} ms (${what})`));
    }, limitMs);
  }

  get #nextEndpoint(): string {
    return this.#endpoints[this.#position % this.#endpoints.length] as string;
  }

  /** Every endpoint gets its share of the time, so that one that swallows packets does not cost all of it. */
  #attemptLimitMs(): number {
    const share = Math.floor(this.#options.connectTimeoutMs / this.#endpoints.length);
    return Math.max(share, CONNECT_ATTEMPT_MIN_MS);
  }

  #onReady(connection: Connection): void {
    clearTimeout(this.#timer);
    const problem = this.#check?.(connection) ?? null;
    if (problem !== null) {
      void this.close(problem);
      return;
    }
    this.#readyAtMs = performance.now();
    this.#failures.clear();
    this.#listener.onStatus({ kind: "connected", ...connection.peer });
    this.#listener.onReady(connection);
    if (connection.hello.leader !== null)
      this.#listener.onLeader(connection.hello.leader, connection);
    for (const waiter of [...this.#waiters]) waiter.resolve(connection);
  }

  #onClosed(connection: Connection, error: HearthError, isDraining: boolean): void {
    clearTimeout(this.#timer);
    if (this.#connection === connection) this.#connection = null;
    if (this.#closeError !== null) {
      this.#listener.onGone(this);
      return;
    }
    const { endpoint } = connection;
    this.#failures.set(endpoint, error);
    if (isDraining) this.#listener.onStatus({ kind: "serverDraining", endpoint });
    if (!this.#isPersistent) {
      void this.close(error);
      this.#listener.onGone(this);
      return;
    }
    const retryInMs = Math.round(this.#nextDelayMs(isDraining));
    this.#listener.onStatus({ kind: "disconnected", endpoint, reason: error, retryInMs });
    this.#timer = setTimeout(() => this.#connect(), retryInMs);
    this.onFailure?.();
  }

  #nextDelayMs(isDraining: boolean): number {
    const { reconnectMinDelayMs, reconnectMaxDelayMs } = this.#options;
    const heldMs = this.#readyAtMs === 0 ? 0 : performance.now() - this.#readyAtMs;
    this.#readyAtMs = 0;
    if (heldMs > reconnectMaxDelayMs) this.#attempt = 0;
    const attempt = this.#attempt++;
    const hasOthers = this.#endpoints.length > 1;
    const isFirstRound = this.#position < this.#endpoints.length;
    if (hasOthers && (isDraining || isFirstRound)) return 0;
    return jitteredDelayMs(attempt, reconnectMinDelayMs, reconnectMaxDelayMs);
  }

  #noConnectionError(waitMs: number): HearthError {
    const what = waitMs === 0 ? "Not connected" : `No connection within ${waitMs} ms`;
    const cause = aggregate(this.#failures);
    return noConnection(`${what} (${this.describeFailures()})`, cause);
  }
}

/** One cause that holds the failure of every endpoint. */
export function aggregate(failures: ReadonlyMap<string, HearthError>): AggregateError | undefined {
  if (failures.size === 0) return undefined;
  return new AggregateError([...failures.values()], "No endpoint could be used");
}

function failureText(endpoint: string, failure: HearthError): string {
  const prefix = `Connection to ${endpoint} ended: `;
  const text = failure.message;
  return text.startsWith(prefix)
    ? `${endpoint}: ${text.slice(prefix.length)}`
    : `${endpoint}: ${text}`;
}
