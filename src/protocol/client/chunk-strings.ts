/** A received chunk's string table: bounds checked when a string is asked for, texts made once. */

import { type FlatReader, structureError } from "../bytes/flat-reader.ts";
import { isAscii, readText } from "../bytes/text.ts";

export class ChunkStrings {
  readonly count: number;
  readonly #table: FlatReader;
  readonly #ends: number;
  readonly #bytes: number;
  readonly #bytesCount: number;
  readonly #texts: (string | undefined)[] = [];
  /** All strings as one text when they are ASCII: parts of it cost a tenth of a call per string. */
  #whole: string | null | undefined = undefined;

  constructor(table: FlatReader, endsField: number, bytesField: number) {
    this.#table = table;
    table.vector(endsField, 4, 4);
    this.#ends = table.vectorOffset >>> 2;
    this.count = table.vectorCount;
    table.vector(bytesField, 1, 1);
    this.#bytes = table.vectorOffset;
    this.#bytesCount = table.vectorCount;
  }

  /**
   * Text of a reference; 0 is always the empty string. Errors: HearthError for one outside of the
   * table.
   */
  text(reference: number): string {
    if (reference === 0) return "";
    const known = this.#texts[reference];
    if (known !== undefined) return known;
    const { u8, i32 } = this.#table.views;
    if (reference < 0 || reference >= this.count) {
      throw structureError(`string reference ${reference} of ${this.count}`);
    }
    const start = (i32[this.#ends + reference - 1] as number) >>> 0;
    const end = (i32[this.#ends + reference] as number) >>> 0;
    if (start > end || end > this.#bytesCount) {
      throw structureError(`string ${reference} is out of bounds`);
    }
    const whole = this.#wholeText();
    const text =
      whole === null
        ? readText(u8, this.#bytes + start, this.#bytes + end)
        : whole.slice(start, end);
    this.#texts[reference] = text;
    return text;
  }

  #wholeText(): string | null {
    if (this.#whole === undefined) {
      const { u8 } = this.#table.views;
      const end = this.#bytes + this.#bytesCount;
      this.#whole = isAscii(u8, this.#bytes, end) ? readText(u8, this.#bytes, end) : null;
    }
    return this.#whole;
  }
}
