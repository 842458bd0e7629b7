/**
 * What a writer thread and its owner share: a few slots for writes, used in turns, and two counts. The owner fills a slot and
 * then counts it as asked for; the thread writes, and counts it as done.
 */

export const LINE_COUNTS = { asked: 0, done: 1 } as const;
const COUNT_BYTES = 8;

/** Fields of a slot. */
export const SLOT = { memory: 0, file: 1, start: 2, end: 3, position: 4 } as const;
const SLOT_FIELDS = 5;
/** Writes that wait or are under way at most. */
export const SLOT_COUNT = 4;

export interface WriterLine {
  readonly counts: Int32Array;
  /** Of slot i: from i * SLOT_FIELDS on. */
  readonly slots: Float64Array;
}

export const LINE_BYTES = COUNT_BYTES + SLOT_COUNT * SLOT_FIELDS * Float64Array.BYTES_PER_ELEMENT;

export function lineOn(shared: SharedArrayBuffer): WriterLine {
  return {
    counts: new Int32Array(shared, 0, 2),
    slots: new Float64Array(shared, COUNT_BYTES, SLOT_COUNT * SLOT_FIELDS),
  };
}

/** Where the fields of the slot begin that the write with this number uses. Numbers wrap around at 2^32. */
export function slotAt(number: number): number {
  return ((number >>> 0) % SLOT_COUNT) * SLOT_FIELDS;
}

/** From the owner, before the first write that uses it. */
export interface MemoryNotice {
  readonly memory: number;
  readonly bytes: Uint8Array;
}

/** From the thread: look at the counts. `error`: why the newest write, and all behind it, have failed. */
export interface DoneNotice {
  readonly error: { readonly code: string | undefined; readonly message: string } | null;
}
