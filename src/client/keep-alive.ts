/**
 * A connection can be dead without a word: a machine without power closes no socket. Silence for one interval is
 * answered with a probe, silence for another one after it means that the peer is gone.
 */
export interface KeepAliveTarget {
  /** Sends something that the peer must answer. */
  probe(): void;
  /** Nothing came for `silentMs`, the answer to a probe included. */
  onSilence(silentMs: number): void;
}

export class KeepAlive {
  readonly #intervalMs: number;
  readonly #target: KeepAliveTarget;
  #timer: NodeJS.Timeout | undefined;
  #hasHeard = true;
  #isProbing = false;

  /** `intervalMs` 0 = never. */
  constructor(intervalMs: number, target: KeepAliveTarget) {
    this.#intervalMs = intervalMs;
    this.#target = target;
  }

  start(): void {
    if (this.#intervalMs === 0) return;
    this.#timer = setInterval(() => this.#check(), this.#intervalMs);
    // The socket keeps the process alive, not the watch over it.
    this.#timer.unref();
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  /** Something came from the peer. */
  heard(): void {
    this.#hasHeard = true;
  }

  #check(): void {
    if (this.#hasHeard) {
      this.#hasHeard = false;
      this.#isProbing = false;
    } else if (this.#isProbing) {
      this.#target.onSilence(2 * this.#intervalMs);
    } else {
      this.#isProbing = true;
      this.#target.probe();
    }
  }
}
