/**
 * Blocks as they were written into answers before, for questions that come again: dashboards ask for the same hours
 * every few seconds, and blocks do not change.
 *
 * Nothing is invalidated, since nothing here can be wrong: what is written follows from the bytes of the entry, the rows
 * that match, and how their ids read in a dictionary that only grows. All three are compared before a block is repeated,
 * and the entry is the one that the transaction has.
 */

import { type EntryReader, HEAD } from "../../protocol/index.ts";

/** A block that was written, with all that it was made from. */
export interface EncodedBlock {
  /** The dictionary and the labels that were asked for: see `formOf`. */
  readonly form: number;
  readonly entry: Buffer;
  readonly positions: Uint32Array;
  /** An element of the answer. */
  readonly bytes: Uint8Array;
}

/** Matching rows of a block: positions[first, end). */
export interface RowRange {
  readonly positions: Uint32Array;
  readonly first: number;
  readonly end: number;
}

/** Of all that is kept, for one block. */
const LARGEST_SHARE = 1 / 16;
/** Objects around a block; errs high. */
const BLOCK_OVERHEAD_BYTES = 400;
/** Texts of forms kept; more than any set of dashboards asks for. */
const FORMS_MAX = 4_096;

/** One per thread and content of the index. */
export class EncodedBlocks {
  readonly #maxBytes: number;
  #young = new Map<number, EncodedBlock>();
  #old = new Map<number, EncodedBlock>();
  #youngBytes = 0;
  #oldBytes = 0;
  readonly #forms = new Map<string, number>();
  /** Never given twice: what was kept under a forgotten one is not found again. */
  #nextForm = 1;

  /** `maxBytes` in two halves: when the young one is full it takes the place of the old one. */
  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  /** Bytes kept now; errs high. */
  get sizeBytes(): number {
    return this.#youngBytes + this.#oldBytes;
  }

  /** A number for how datasets are written: the same for the same text, which names dictionary, selector and labels. */
  formOf(text: string): number {
    const known = this.#forms.get(text);
    if (known !== undefined) return known;
    if (this.#forms.size === FORMS_MAX) this.#forms.clear();
    const form = this.#nextForm++;
    this.#forms.set(text, form);
    return form;
  }

  /** The block as it was written for the same entry, rows and form; null when it was not, or is forgotten. */
  find(form: number, entry: EntryReader, rows: RowRange): EncodedBlock | null {
    const slot = slotOf(form, entry, rows);
    const young = this.#young.get(slot);
    const block = young ?? this.#old.get(slot);
    if (block === undefined || !isSame(block, form, entry, rows)) return null;
    if (young === undefined) this.#add(slot, block);
    return block;
  }

  /** Keeps `bytes`, which are copied, for the next `find`; one that would take the place of many is not kept. */
  keep(form: number, entry: EntryReader, rows: RowRange, bytes: Uint8Array): void {
    const { u8, startOffset, entryBytes } = entry;
    if (entryBytes + bytes.length > this.#maxBytes * LARGEST_SHARE) return;
    // Not of the pool, of which a small one would keep all.
    const copy = Buffer.allocUnsafeSlow(entryBytes);
    copy.set(u8.subarray(startOffset, startOffset + entryBytes));
    this.#add(slotOf(form, entry, rows), {
      form,
      entry: copy,
      positions: rows.positions.slice(rows.first, rows.end),
      bytes: bytes.slice(),
    });
  }

  #add(slot: number, block: EncodedBlock): void {
    const { entry, bytes, positions } = block;
    const blockBytes = BLOCK_OVERHEAD_BYTES + entry.length + bytes.length + positions.byteLength;
    if (this.#youngBytes + blockBytes > this.#maxBytes / 2) {
      this.#old = this.#young;
      this.#oldBytes = this.#youngBytes;
      this.#young = new Map();
      this.#youngBytes = 0;
    }
    this.#young.set(slot, block);
    this.#youngBytes += blockBytes;
  }
}

/** Where a block is kept: another one with the same number takes its place. A small integer, the cheapest key there is. */
function slotOf(form: number, entry: EntryReader, { positions, first, end }: RowRange): number {
  // The end of the ULID, which is random.
  const id = entry.i32[(entry.headOffset + HEAD.id + 12) >>> 2] as number;
  const rows = Math.imul(end - first, 0x2_0001) + (positions[first] as number);
  return (Math.imul(id ^ Math.imul(form, 0x85eb_ca6b), 0x9e37_79b1) ^ rows) >>> 2;
}

function isSame(block: EncodedBlock, form: number, entry: EntryReader, rows: RowRange): boolean {
  const { positions, first, end } = rows;
  if (block.form !== form || block.positions.length !== end - first) return false;
  for (let i = first; i < end; i++) if (block.positions[i - first] !== positions[i]) return false;
  const { u8, startOffset, entryBytes } = entry;
  return (
    block.entry.length === entryBytes &&
    block.entry.compare(u8, startOffset, startOffset + entryBytes) === 0
  );
}
