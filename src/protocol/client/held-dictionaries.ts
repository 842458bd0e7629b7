/**
 * The receiver's half of dictionary records: what a peer has been sent over one connection, checked as it arrives, so
 * that whatever refers to it later can rely on it.
 *
 * Invariant: every string that a key refers to is held; so is what was held before, until a record says to forget.
 */

import { structureError } from "../bytes/flat-reader.ts";
import { AlignedViews } from "../bytes/aligned-views.ts";
import { readText } from "../bytes/text.ts";
import {
  RECORD,
  RECORD_HEADER_BYTES,
  recordCostBytes,
  visitKeyStrings,
} from "./dictionary-records.ts";

/** One dictionary as far as it was sent. */
export class HeldDictionary {
  readonly #strings = new Map<number, string>([[0, ""]]);
  /** Tenant, name, label sets. */
  readonly #keys = new Map<number, Int32Array>();

  /** Errors: HearthError for a string that was not sent. */
  text(id: number): string {
    const text = this.#strings.get(id);
    if (text === undefined) throw structureError(`string ${id} was not sent before`);
    return text;
  }

  /** Tenant, name and label sets of a key, all but counts for `text`. Errors: as `text`. */
  key(id: number): Int32Array {
    const ints = this.#keys.get(id);
    if (ints === undefined) throw structureError(`dataset key ${id} was not sent before`);
    return ints;
  }

  addString(id: number, text: string): void {
    if (this.#strings.has(id)) throw structureError(`string ${id} was sent twice`);
    this.#strings.set(id, text);
  }

  addKey(id: number, ints: Int32Array): void {
    if (ints.length < 2) throw structureError(`a dataset key of ${ints.length} ints`);
    if (this.#keys.has(id)) throw structureError(`dataset key ${id} was sent twice`);
    visitKeyStrings(ints, { start: 0, end: ints.length }, (string) => this.text(string));
    this.#keys.set(id, ints);
  }
}

/**
 * All that is held between two records that say to forget. Told to forget, `receive` returns another one: answers
 * that came before keep the one they came with.
 */
export class HeldDictionaries {
  readonly #maxBytes: number;
  readonly #dictionaries = new Map<number, HeldDictionary>();
  #heldBytes = 0;

  /** Records of a higher total cost are refused: the sender agreed to the bound. */
  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  /** One of which nothing was sent holds the empty string, which is all that an entry may need. */
  dictionary(id: number): HeldDictionary {
    return this.#dictionaries.get(id) ?? NOTHING;
  }

  /**
   * Takes the payload of a `dictionary` frame; returns what is held then.
   *
   * Shape: copies what it keeps.
   * Errors: HearthError invalid_argument for anything that makes no sense; what is held is then of no use.
   */
  receive(payload: Uint8Array): HeldDictionaries {
    const views = new AlignedViews();
    views.point(payload, 0, payload.length);
    let held: HeldDictionaries = this;
    let at = views.base;
    while (at < views.end) {
      if (at + RECORD_HEADER_BYTES > views.end) throw structureError("a record is cut off");
      const kind = views.i32[at >>> 2] as number;
      if (kind === RECORD.forget) {
        held = new HeldDictionaries(this.#maxBytes);
        at += RECORD_HEADER_BYTES;
      } else at = held.#receiveRecord(views, at, kind);
    }
    return held;
  }

  /** Returns where the next record begins. */
  #receiveRecord(views: AlignedViews, at: number, kind: number): number {
    const { i32, u8, end } = views;
    const length = (i32[(at + 12) >>> 2] as number) >>> 0;
    const isKey = kind === RECORD.key;
    if (!isKey && kind !== RECORD.string) throw structureError(`a record of kind ${kind}`);
    const bytes = isKey ? 4 * length : length;
    const start = at + RECORD_HEADER_BYTES;
    if (start + bytes > end) throw structureError("a record is cut off");
    this.#heldBytes += recordCostBytes(bytes);
    if (this.#heldBytes > this.#maxBytes) throw structureError("more records than agreed");
    const dictionary = this.#open((i32[(at + 4) >>> 2] as number) >>> 0);
    const id = (i32[(at + 8) >>> 2] as number) >>> 0;
    if (isKey) dictionary.addKey(id, i32.slice(start >>> 2, (start + bytes) >>> 2));
    else dictionary.addString(id, readText(u8, start, start + bytes));
    return (start + bytes + 7) & ~7;
  }

  #open(id: number): HeldDictionary {
    let dictionary = this.#dictionaries.get(id);
    if (dictionary === undefined) {
      dictionary = new HeldDictionary();
      this.#dictionaries.set(id, dictionary);
    }
    return dictionary;
  }
}

const NOTHING = new HeldDictionary();
