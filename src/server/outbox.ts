/**
 * The way of frames to one peer. Each is a message of its own; a peer that takes bundles gets what is sent while they are
 * gathered in one: the answers to a bundle, and those that main's answers bring.
 */

import { BundleWriter, type MessageSink } from "../protocol/index.ts";
import { GATHER_MAX_MS } from "./limits.ts";
import type { Connection } from "./listener.ts";

/** Where the frames of one connection at a time are gathered; one per thread. */
export class Gatherer {
  readonly writer = new BundleWriter();
  isTaken = false;
}

export class Outbox {
  readonly #sendMessage: MessageSink;
  readonly #gatherer: Gatherer;
  readonly #nowMs: () => number;
  #bundleMaxBytes = 0;
  #isGathering = false;
  #beganMs = 0;

  constructor(connection: Connection, gatherer: Gatherer, nowMs: () => number) {
    this.#sendMessage = (message) => void connection.send(message);
    this.#gatherer = gatherer;
    this.#nowMs = nowMs;
  }

  /** The peer takes bundles of that many bytes, as `usableBundleBytes` has them; 0: none. */
  useBundles(maxBytes: number): void {
    this.#bundleMaxBytes = maxBytes;
  }

  /** Sends a frame, now or with others; it is borrowed until the call returns. A peer that is too slow is dropped. */
  send(frame: Uint8Array): void {
    if (this.#isGathering)
      this.#gatherer.writer.put(frame, this.#bundleMaxBytes, this.#sendMessage);
    else this.#sendMessage(frame, true);
  }

  /** Gathers what `body` sends, if the peer takes bundles. */
  gather(body: () => void): void {
    const isMine = this.#tryBegin();
    try {
      body();
    } finally {
      if (isMine) this.#end();
    }
  }

  /** Long work must not hold back the answers before it. To be called with the time of a look that was taken anyway. */
  noteTime(nowMs: number): void {
    if (!this.#isGathering || nowMs - this.#beganMs < GATHER_MAX_MS) return;
    this.flush();
    this.#beganMs = nowMs;
  }

  /** Sends what is gathered. */
  flush(): void {
    if (this.#isGathering) this.#gatherer.writer.flush(this.#sendMessage);
  }

  /** False when nothing is to be done at the end: no bundles, or gathering already, be it for another peer. */
  #tryBegin(): boolean {
    if (this.#bundleMaxBytes === 0 || this.#gatherer.isTaken) return false;
    this.#gatherer.isTaken = true;
    this.#isGathering = true;
    this.#beganMs = this.#nowMs();
    return true;
  }

  #end(): void {
    this.flush();
    this.#isGathering = false;
    this.#gatherer.isTaken = false;
  }
}
