/** Main's end of filling a generation: hands over the bytes of an image, a few pieces ahead of the thread. */

import { MessageChannel, type MessagePort } from "node:worker_threads";
import { type HearthError, toHearthError } from "../../base/index.ts";
import type { TaskThreads } from "../../tasks/index.ts";
import { failureOf } from "./image-source.ts";
import { IMAGE_LIMITS } from "./limits.ts";
import type { DatabasePlace, Filled, FillRequest, ToFiller } from "./messages.ts";

const ENTRY = new URL(
  `./fill-thread${import.meta.url.endsWith(".ts") ? ".ts" : ".js"}`,
  import.meta.url,
);

/** The pieces of an image, in order. */
export interface ImageBytes {
  next(): Promise<Uint8Array | null>;
}

/**
 * Fills the generation `place` names, which nobody uses yet. Errors: those of the image, of the source, of the disk;
 * what was filled is then worthless.
 */
export async function fillGeneration(
  place: DatabasePlace,
  layout: number,
  source: ImageBytes,
  threads: TaskThreads,
): Promise<Filled> {
  const { port1, port2 } = new MessageChannel();
  const request: FillRequest = { database: place, layout, port: port2 };
  const filled = threads.run<Filled>(ENTRY, request, [port2]);
  const sender = new Sender(port1);
  let sourceError: HearthError | null = null;
  const fed = sender.sendAll(source).catch((error: unknown) => {
    sourceError = toHearthError(error);
    sender.post({ kind: "stop" });
  });
  try {
    return await filled;
  } catch (cause) {
    sender.giveUp();
    await fed;
    throw sourceError ?? failureOf(cause);
  } finally {
    await fed;
    port1.close();
  }
}

class Sender {
  readonly #port: MessagePort;
  #inFlight = 0;
  #hasGivenUp = false;
  #wake: (() => void) | null = null;

  constructor(port: MessagePort) {
    this.#port = port;
    port.on("message", () => {
      this.#inFlight -= 1;
      this.#wake?.();
    });
  }

  async sendAll(source: ImageBytes): Promise<void> {
    for (let bytes = await source.next(); bytes !== null; bytes = await source.next()) {
      if (this.#hasGivenUp) return;
      // Copied by the message: the piece is the source's.
      this.post({ kind: "bytes", bytes });
      this.#inFlight += 1;
      while (this.#inFlight >= IMAGE_LIMITS.piecesInFlight && !this.#hasGivenUp) {
        await new Promise<void>((resolve) => {
          this.#wake = resolve;
        });
      }
    }
    this.post({ kind: "end" });
  }

  post(message: ToFiller): void {
    this.#port.postMessage(message);
  }

  giveUp(): void {
    this.#hasGivenUp = true;
    this.#wake?.();
  }
}
