/**
 * The way of frames to the channel. Those that are sent in one turn of the event loop travel in one message, where the
 * server takes bundles: a chunk of input that answers fifty calls wakes fifty callers, whose next requests come together.
 */
import { BundleWriter, type MessageSink } from "../protocol/index.ts";

export class Outbox {
  readonly #send: (message: Uint8Array) => void;
  /** Null until a server that takes bundles has said so. */
  #writer: BundleWriter | null = null;
  #bundleMaxBytes = 0;

  /** `send` hands one message to the channel, which may keep it in a queue. */
  constructor(send: (message: Uint8Array) => void) {
    this.#send = send;
  }

  /** From now on bundles of up to that many bytes may be sent, as `usableBundleBytes` has them; 0: none. */
  useBundles(maxBytes: number): void {
    this.#bundleMaxBytes = maxBytes;
    this.#writer = maxBytes === 0 ? null : new BundleWriter();
  }

  /** Bytes that wait for the end of the turn. */
  get waitingBytes(): number {
    return this.#writer === null || this.#writer.isEmpty ? 0 : this.#writer.byteLength;
  }

  /** Sends a frame at once, or with others of this turn, in order. */
  send(frame: Uint8Array): void {
    const writer = this.#writer;
    if (writer === null) {
      this.#send(frame);
      return;
    }
    // Behind all promise continuations of the turn. A channel that is closed by then sends nothing.
    if (writer.isEmpty) process.nextTick(() => writer.flush(this.#sendOwned));
    writer.put(frame, this.#bundleMaxBytes, this.#sendOwned);
  }

  readonly #sendOwned: MessageSink = (message, isBorrowed) =>
    this.#send(isBorrowed ? Buffer.from(message) : message);
}
