/** The thread of a writer (writer-handle.ts): makes one write after another, and none after one that has failed. */

import { writeSync } from "node:fs";
import { parentPort, receiveMessageOnPort, workerData } from "node:worker_threads";
import { type ByteRange, type DiskFile, type WriteDone, writeFully } from "./files.ts";
import {
  type DoneNotice,
  LINE_COUNTS,
  lineOn,
  type MemoryNotice,
  SLOT,
  slotAt,
} from "./writer-line.ts";

if (parentPort === null) throw new Error("This is no thread");
const port = parentPort;
const { counts, slots } = lineOn(workerData as SharedArrayBuffer);
const memories = new Map<number, Uint8Array>();

function memoryOf(id: number): Uint8Array {
  for (;;) {
    const found = memories.get(id);
    if (found !== undefined) return found;
    const notice = receiveMessageOnPort(port)?.message as MemoryNotice | undefined;
    if (notice === undefined) throw new Error(`Memory ${id} was not announced`);
    memories.set(notice.memory, notice.bytes);
  }
}

/** A file that is waited for. */
class OpenFile implements Pick<DiskFile, "write"> {
  readonly #fd: number;

  constructor(fd: number) {
    this.#fd = fd;
  }

  write(bytes: Uint8Array, range: ByteRange, position: number, done: WriteDone): void {
    let writtenBytes = 0;
    try {
      writtenBytes = writeSync(this.#fd, bytes, range.start, range.end - range.start, position);
    } catch (error) {
      return done(error as Error, 0);
    }
    done(null, writtenBytes);
  }
}

function writeSlot(at: number): Error | null {
  const field = (name: number): number => slots[at + name] as number;
  const range = { start: field(SLOT.start), end: field(SLOT.end) };
  const bytes = memoryOf(field(SLOT.memory));
  let result: Error | null = null;
  writeFully(new OpenFile(field(SLOT.file)), bytes, range, field(SLOT.position), (error) => {
    result = error;
  });
  return result;
}

function tell(notice: DoneNotice): void {
  port.postMessage(notice);
}

for (let number = 0, hasFailed = false; !hasFailed; number = (number + 1) | 0) {
  while (Atomics.load(counts, LINE_COUNTS.asked) === number)
    Atomics.wait(counts, LINE_COUNTS.asked, number);
  const error = writeSlot(slotAt(number)) as NodeJS.ErrnoException | null;
  if (error === null) {
    Atomics.store(counts, LINE_COUNTS.done, (number + 1) | 0);
    tell({ error: null });
  } else {
    hasFailed = true;
    tell({ error: { code: error.code, message: error.message } });
  }
}
