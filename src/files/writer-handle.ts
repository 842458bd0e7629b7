/**
 * A thread that makes the writes of one owner, in order, one at a time. Two things are better than with the threads of libuv: the
 * next write can be at hand when one ends, so that the disk waits for nobody to wake up; and while one is under way, none that
 * belongs behind it is.
 */

import { Worker } from "node:worker_threads";
import { assert } from "../base/index.ts";
import type { ByteRange, WriteDone } from "./files.ts";
import {
  type DoneNotice,
  LINE_BYTES,
  LINE_COUNTS,
  lineOn,
  type MemoryNotice,
  SLOT,
  SLOT_COUNT,
  slotAt,
  type WriterLine,
} from "./writer-line.ts";

/** Compiled and uncompiled trees differ in the suffix only. */
const ENTRY = new URL(
  `./writer-thread${import.meta.url.endsWith(".ts") ? ".ts" : ".js"}`,
  import.meta.url,
);
/** It makes hardly any objects. */
const HEAP_MIB = { maxOldGenerationSizeMb: 16, maxYoungGenerationSizeMb: 1 } as const;

export class WriterHandle {
  readonly #worker: Worker;
  readonly #line: WriterLine;
  readonly #memories = new Map<ArrayBufferLike, number>();
  readonly #waiting: { readonly bytes: number; readonly done: WriteDone }[] = [];
  #asked = 0;
  #done = 0;
  #failure: Error | null = null;
  #isClosed = false;

  constructor() {
    const shared = new SharedArrayBuffer(LINE_BYTES);
    this.#line = lineOn(shared);
    this.#worker = new Worker(ENTRY, {
      workerData: shared,
      name: "hearth-log-writer",
      resourceLimits: HEAP_MIB,
    });
    this.#worker.unref();
    this.#worker.on("message", (notice: DoneNotice) => this.#onNotice(notice));
    this.#worker.on("error", (error: Error) => this.#fail(error));
    this.#worker.on("exit", (code) => {
      if (!this.#isClosed) this.#fail(new Error(`the thread that writes has ended (${code})`));
    });
  }

  /** Memory that this thread can write from, for as long as it lives. */
  allocate(bytes: number): Uint8Array {
    const memory = this.#memories.size;
    const shared = new Uint8Array(new SharedArrayBuffer(bytes));
    this.#memories.set(shared.buffer, memory);
    const notice: MemoryNotice = { memory, bytes: shared };
    this.#worker.postMessage(notice);
    return shared;
  }

  canWrite(bytes: Uint8Array): boolean {
    return this.#memories.has(bytes.buffer);
  }

  /**
   * Writes all of bytes[start, end) behind the writes that were asked for before, at most `SLOT_COUNT` at a time. `done` is called
   * later. After a failure all have failed that are not done.
   */
  write(fd: number, bytes: Uint8Array, range: ByteRange, position: number, done: WriteDone): void {
    assert(this.#waiting.length < SLOT_COUNT, "The line of the writer thread is full");
    const memory = this.#memories.get(bytes.buffer);
    assert(memory !== undefined, "The bytes are not in memory of the writer thread");
    const { counts, slots } = this.#line;
    const at = slotAt(this.#asked);
    slots[at + SLOT.memory] = memory;
    slots[at + SLOT.file] = fd;
    slots[at + SLOT.start] = range.start;
    slots[at + SLOT.end] = range.end;
    slots[at + SLOT.position] = position;
    this.#waiting.push({ bytes: range.end - range.start, done });
    if (this.#failure !== null) {
      setImmediate(() => this.#failWaiting());
      return;
    }
    if (this.#waiting.length === 1) this.#worker.ref();
    this.#asked = (this.#asked + 1) | 0;
    Atomics.store(counts, LINE_COUNTS.asked, this.#asked);
    Atomics.notify(counts, LINE_COUNTS.asked);
  }

  /** Nothing may be under way. */
  async close(): Promise<void> {
    assert(this.#waiting.length === 0, "Writes are under way");
    this.#isClosed = true;
    await this.#worker.terminate();
  }

  #onNotice({ error }: DoneNotice): void {
    const done = Atomics.load(this.#line.counts, LINE_COUNTS.done);
    while (this.#done !== done) {
      this.#done = (this.#done + 1) | 0;
      const write = this.#waiting.shift();
      assert(write !== undefined, "More writes are done than were asked for");
      if (this.#waiting.length === 0) this.#worker.unref();
      write.done(null, write.bytes);
    }
    if (error !== null) this.#fail(Object.assign(new Error(error.message), { code: error.code }));
  }

  #fail(error: Error): void {
    this.#failure ??= error;
    this.#failWaiting();
  }

  #failWaiting(): void {
    const failure = this.#failure;
    assert(failure !== null, "Nothing has failed");
    for (const { done } of this.#waiting.splice(0)) done(failure, 0);
    this.#worker.unref();
  }
}
