/** Main's end of an image that is being taken: frames come from the thread as they are asked for, a few ahead. */

import { MessageChannel } from "node:worker_threads";
import { type HearthError, toHearthError } from "../../base/index.ts";
import type { TaskThreads } from "../../tasks/index.ts";
import { fromPlainFailure, imageCancelled, type PlainFailure } from "./errors.ts";
import type { ImageHead } from "./head.ts";
import { IMAGE_LIMITS } from "./limits.ts";
import { type FromTaker, NO_CREDITS, TAKE_WORDS, type TakeRequest } from "./messages.ts";

const ENTRY = new URL(
  `./take-thread${import.meta.url.endsWith(".ts") ? ".ts" : ".js"}`,
  import.meta.url,
);

type Waiter = {
  readonly resolve: (frame: Uint8Array | null) => void;
  readonly reject: (error: HearthError) => void;
};

/** Fits SnapshotSource of src/snapshot, which is a neighbour of this folder. */
export class ImageSource {
  /** The state in the image: some transaction that main had committed when the thread began. */
  readonly opened: Promise<ImageHead>;
  /** The thread has ended its transaction and let go of the database. Never rejects. */
  readonly ended: Promise<void>;
  readonly #words = new Int32Array(new SharedArrayBuffer(4 * TAKE_WORDS.count));
  readonly #frames: Uint8Array[] = [];
  #waiter: Waiter | null = null;
  #hasEnded = false;
  #failure: HearthError | null = null;
  #head: ImageHead | null = null;
  #isClosed = false;

  constructor(request: Omit<TakeRequest, "words" | "port">, threads: TaskThreads) {
    const { port1, port2 } = new MessageChannel();
    Atomics.store(this.#words, TAKE_WORDS.credits, IMAGE_LIMITS.piecesInFlight);
    const words = this.#words.buffer as SharedArrayBuffer;
    const task = threads.run<void>(ENTRY, { ...request, words, port: port2 }, [port2]);
    this.opened = new Promise((resolve, reject) => {
      port1.on("message", (message: FromTaker) => {
        if (message.kind === "opened") {
          this.#head = message.head;
          resolve(message.head);
        } else this.#receive(message);
      });
      task.catch((cause: unknown) => {
        this.#fail(failureOf(cause));
        reject(failureOf(cause));
      });
    });
    // The thread closes its end behind its last message; a thread that failed may not have had the port.
    const closed = new Promise<void>((resolve) => port1.once("close", resolve));
    this.ended = task.then(
      () => closed,
      () => port1.close(),
    );
    // Whoever opens it looks; a failure after that comes with the frames.
    this.opened.catch(() => {});
  }

  /** Why there is no whole image; null while that is not known, and when there is one. */
  get failure(): HearthError | null {
    return this.#failure;
  }

  /** Nobody wants more of it, or there is no more; the thread may still have the database open. */
  get isOver(): boolean {
    return this.#hasEnded || this.#isClosed || this.#failure !== null;
  }

  get index(): number {
    return this.#head?.index ?? 0;
  }

  get term(): number {
    return this.#head?.term ?? 0;
  }

  next(): Promise<Uint8Array | null> {
    const frame = this.#frames.shift();
    if (frame !== undefined) {
      this.#grantOne();
      return Promise.resolve(frame);
    }
    if (this.#failure !== null) return Promise.reject(this.#failure);
    if (this.#hasEnded) return Promise.resolve(null);
    return new Promise((resolve, reject) => {
      this.#waiter = { resolve, reject };
    });
  }

  /** The thread ends its transaction at its next look, within a frame. */
  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#frames.length = 0;
    if (!this.#hasEnded) this.#fail(imageCancelled());
    Atomics.store(this.#words, TAKE_WORDS.stopped, 1);
    Atomics.store(this.#words, TAKE_WORDS.credits, NO_CREDITS);
    Atomics.notify(this.#words, TAKE_WORDS.stopped);
    Atomics.notify(this.#words, TAKE_WORDS.credits);
  }

  #receive(message: Exclude<FromTaker, { kind: "opened" }>): void {
    if (this.#isClosed) return;
    const waiter = this.#waiter;
    this.#waiter = null;
    if (message.kind === "end") {
      this.#hasEnded = true;
      waiter?.resolve(null);
      return;
    }
    if (waiter === null) {
      this.#frames.push(message.bytes);
      return;
    }
    this.#grantOne();
    waiter.resolve(message.bytes);
  }

  #grantOne(): void {
    Atomics.add(this.#words, TAKE_WORDS.credits, 1);
    Atomics.notify(this.#words, TAKE_WORDS.credits);
  }

  #fail(error: HearthError): void {
    this.#failure ??= error;
    this.#waiter?.reject(this.#failure);
    this.#waiter = null;
  }
}

/** Of a task: a failure of ours as JSON, or what happened to the thread. */
export function failureOf(cause: unknown): HearthError {
  try {
    const plain = JSON.parse((cause as Error).message) as PlainFailure;
    if (typeof plain.code === "string") return fromPlainFailure(plain);
  } catch {
    // Not ours.
  }
  return toHearthError(cause);
}
