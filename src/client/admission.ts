/** The bound on what a client holds: open calls, by count and by bytes. */
import { assert, HearthError } from "../base/index.ts";

/** An open call, as far as the bound needs to know it. */
export interface Admitted {
  cancelByClose(): void;
}

export class Admission {
  readonly #callsMax: number;
  readonly #bytesMax: number;
  readonly #calls = new Set<Admitted>();
  #bytes = 0;
  #onIdle: (() => void)[] = [];

  constructor(options: { readonly maxInFlight: number; readonly maxBufferedBytes: number }) {
    this.#callsMax = options.maxInFlight;
    this.#bytesMax = options.maxBufferedBytes;
  }

  /**
   * Takes a place for one call.
   *
   * Errors: `resource_exhausted`, nothing was sent; a later call may find a place.
   */
  enter(call: Admitted, bytes: number): void {
    if (this.#calls.size >= this.#callsMax) {
      throw refusal(
        "in_flight_limit",
        `${this.#calls.size} calls are open, limit is ${this.#callsMax}`,
        "Wait for answers before asking more, or raise maxInFlight",
      );
    }
    if (this.#bytes + bytes > this.#bytesMax) {
      throw refusal(
        "buffered_bytes_limit",
        `open calls hold ${this.#bytes} bytes and this one needs ${bytes}, limit is ${this.#bytesMax}`,
        "Wait for answers before asking more, or raise maxBufferedBytes",
      );
    }
    this.#calls.add(call);
    this.#bytes += bytes;
  }

  /** Gives the place back. `bytes` is what enter() took. */
  leave(call: Admitted, bytes: number): void {
    assert(this.#calls.delete(call), "A call left the admission twice");
    this.#bytes -= bytes;
    if (this.#calls.size > 0 || this.#onIdle.length === 0) return;
    const waiting = this.#onIdle;
    this.#onIdle = [];
    for (const resolve of waiting) resolve();
  }

  /** Ends all open calls. */
  cancelAll(): void {
    for (const call of [...this.#calls]) call.cancelByClose();
  }

  /** Resolves when no call is open. */
  idle(): Promise<void> {
    if (this.#calls.size === 0) return Promise.resolve();
    return new Promise((resolve) => {
      this.#onIdle.push(resolve);
    });
  }
}

function refusal(reason: string, what: string, next: string): HearthError {
  return new HearthError("resource_exhausted", `Cannot start a call: ${what}`, { reason, next });
}
