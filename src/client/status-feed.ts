/**
 * Gives every reader of status() the state as it is and then each change. Readers are independent, and a slow one
 * costs a bounded queue: it loses old changes, never the newest.
 */
import { STATUS_QUEUE_MAX } from "./limits.ts";
import type { ConnectionStatus } from "./types.ts";

export class StatusFeed {
  #current: ConnectionStatus | null = null;
  readonly #readers = new Set<StatusReader>();

  /** Tells all readers. "closed" is the last one. */
  publish(status: ConnectionStatus): void {
    if (this.#current?.kind === "closed") return;
    if (isState(status)) this.#current = status;
    for (const reader of this.#readers) reader.push(status);
  }

  subscribe(): AsyncIterable<ConnectionStatus> {
    return {
      [Symbol.asyncIterator]: () => {
        const reader = new StatusReader(() => this.#readers.delete(reader));
        this.#readers.add(reader);
        if (this.#current !== null) reader.push(this.#current);
        return reader;
      },
    };
  }
}

/** leaderChanged and serverDraining are news, not states one can be in. */
function isState(status: ConnectionStatus): boolean {
  return status.kind !== "leaderChanged" && status.kind !== "serverDraining";
}

const DONE: IteratorReturnResult<undefined> = { done: true, value: undefined };

class StatusReader implements AsyncIterator<ConnectionStatus, undefined> {
  readonly #queue: ConnectionStatus[] = [];
  readonly #onEnd: () => void;
  #waiting: ((result: IteratorResult<ConnectionStatus, undefined>) => void)[] = [];
  #isEnded = false;

  constructor(onEnd: () => void) {
    this.#onEnd = onEnd;
  }

  push(status: ConnectionStatus): void {
    if (this.#isEnded) return;
    const resolve = this.#waiting.shift();
    if (resolve !== undefined) resolve({ done: false, value: status });
    else this.#queue.push(status);
    if (this.#queue.length > STATUS_QUEUE_MAX) this.#queue.shift();
    if (status.kind === "closed") this.#end();
  }

  next(): Promise<IteratorResult<ConnectionStatus, undefined>> {
    const value = this.#queue.shift();
    if (value !== undefined) return Promise.resolve({ done: false, value });
    if (this.#isEnded) return Promise.resolve(DONE);
    return new Promise((resolve) => {
      this.#waiting.push(resolve);
    });
  }

  return(): Promise<IteratorReturnResult<undefined>> {
    this.#queue.length = 0;
    this.#end();
    return Promise.resolve(DONE);
  }

  #end(): void {
    if (this.#isEnded) return;
    this.#isEnded = true;
    this.#onEnd();
    for (const resolve of this.#waiting) resolve(DONE);
    this.#waiting = [];
  }
}
