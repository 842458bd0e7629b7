/**
 * The way of frames to the channel. Those that are sent in one turn of the event loop travel in one message, where the
 * server takes bundles: a chunk of input that answers fifty calls wakes fifty callers, whose next requests come together.
 */
import {
  BUNDLED_FRAME_MAX_BYTES,
  bundledBytes,
  BundleWriter,
  FRAME_HEADER_BYTES,
} from "../protocol/index.ts";

export class Outbox {
  readonly #send: (frame: Uint8Array) => void;
  /** Made when a server that takes bundles has said so. */
  #writer: BundleWriter | null = null;
  #bundleMaxBytes = 0;
  #frames: Uint8Array[] = [];
  #bytes = FRAME_HEADER_BYTES;

  /** `send` hands one message to the channel. */
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
    return this.#frames.length === 0 ? 0 : this.#bytes;
  }

  /** Sends a frame, which stays as it is until the turn ends: at once, or with others of this turn, in order. */
  send(frame: Uint8Array): void {
    if (this.#bundleMaxBytes === 0) {
      this.#send(frame);
      return;
    }
    const isLarge = frame.length > BUNDLED_FRAME_MAX_BYTES;
    const bytes = bundledBytes(frame.length);
    if (isLarge || this.#bytes + bytes > this.#bundleMaxBytes) this.flush();
    if (isLarge) {
      this.#send(frame);
      return;
    }
    // Behind all promise continuations of the turn.
    if (this.#frames.length === 0) process.nextTick(() => this.flush());
    this.#frames.push(frame);
    this.#bytes += bytes;
  }

  /** Sends what waits; happens by itself at the end of the turn. */
  flush(): void {
    const frames = this.#frames;
    if (frames.length === 0) return;
    this.#frames = [];
    this.#bytes = FRAME_HEADER_BYTES;
    const [first] = frames;
    const writer = this.#writer;
    if (frames.length === 1 || writer === null) {
      this.#send(first as Uint8Array);
      return;
    }
    for (const frame of frames) writer.add(frame);
    // Owned: the channel may keep it in a queue.
    this.#send(Buffer.from(writer.take()));
  }

  /** Forgets what waits: the channel is closed. */
  drop(): void {
    this.#frames = [];
    this.#bytes = FRAME_HEADER_BYTES;
  }
}
