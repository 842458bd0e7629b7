/**
 * Task: reads the state out of one transaction and sends it as an image. Synchronous from the begin of the transaction
 * to its end; it waits only in Atomics.wait, for main to take what it has, and for the rate limit.
 */

import { IndexDatabase } from "../../db/index.ts";
import { imageCancelled, imageDeadline, imageGrowth, toPlainFailure } from "./errors.ts";
import { imageFrames, readHead } from "./image-writer.ts";
import { type FromTaker, TAKE_WORDS, type TakeRequest } from "./messages.ts";
import { loadZstd } from "./zstd.ts";

export async function runTask(request: TakeRequest): Promise<void> {
  try {
    const zstd = request.compression === "zstd" ? await loadZstd() : null;
    const db = IndexDatabase.open({ ...request.database, role: "reader" });
    try {
      db.beginRead();
      try {
        const pace = new Pace(request, db);
        const head = readHead(db, request.layout);
        post(request, { kind: "opened", head });
        for (const bytes of imageFrames(db, head, zstd)) {
          pace.wait(bytes.length);
          post(request, { kind: "frame", bytes }, [bytes.buffer]);
        }
      } finally {
        db.endRead();
      }
    } finally {
      await db.close();
    }
    post(request, { kind: "end" });
  } catch (error) {
    throw new Error(JSON.stringify(toPlainFailure(error)), { cause: error });
  } finally {
    request.port.close();
  }
}

function post({ port }: TakeRequest, message: FromTaker, transfer: ArrayBuffer[] = []): void {
  port.postMessage(message, transfer);
}

/** While it waits, it looks this often at the growth of the file and at the time. */
const LOOK_MS = 100;

/** When the next frame may go, and when it is time to give up. */
class Pace {
  readonly #request: TakeRequest;
  readonly #db: IndexDatabase;
  readonly #words: Int32Array;
  readonly #startedAtMs = performance.now();
  readonly #sizeBytes: number;
  readonly #growthMaxBytes: number;
  #sentBytes = 0;

  constructor(request: TakeRequest, db: IndexDatabase) {
    this.#request = request;
    this.#db = db;
    this.#words = new Int32Array(request.words);
    this.#sizeBytes = db.fileSizeBytes();
    const { growthMinBytes, growthRatio } = request;
    this.#growthMaxBytes = Math.max(growthMinBytes, growthRatio * this.#sizeBytes);
  }

  /** Errors: image_cancelled, image_deadline, image_growth. */
  wait(frameBytes: number): void {
    const { credits, stopped } = TAKE_WORDS;
    for (;;) {
      const leftMs = Math.min(this.#check(), LOOK_MS);
      const grownBytes = this.#grown();
      const found = Atomics.load(this.#words, credits);
      const early = grownBytes < this.#growthMaxBytes / 2 ? this.#earlyMs(frameBytes) : 0;
      if (found <= 0) Atomics.wait(this.#words, credits, found, leftMs);
      else if (early > 0) Atomics.wait(this.#words, stopped, 0, Math.min(early, leftMs));
      else break;
    }
    Atomics.sub(this.#words, credits, 1);
    this.#sentBytes += frameBytes;
  }

  #grown(): number {
    const grownBytes = this.#db.fileSizeBytes() - this.#sizeBytes;
    if (grownBytes > this.#growthMaxBytes) throw imageGrowth(grownBytes, this.#growthMaxBytes);
    return grownBytes;
  }

  /** By how much the frame would be ahead of the rate, ms. */
  #earlyMs(frameBytes: number): number {
    const { rateBytesPerSec } = this.#request;
    if (rateBytesPerSec === 0) return 0;
    const dueMs = (1_000 * (this.#sentBytes + frameBytes)) / rateBytesPerSec;
    return this.#startedAtMs + dueMs - performance.now();
  }

  /** How much time is left, ms. */
  #check(): number {
    if (Atomics.load(this.#words, TAKE_WORDS.stopped) !== 0) throw imageCancelled();
    const { deadlineMs } = this.#request;
    const leftMs = deadlineMs - (performance.now() - this.#startedAtMs);
    if (leftMs <= 0) throw imageDeadline(deadlineMs);
    return leftMs;
  }
}
