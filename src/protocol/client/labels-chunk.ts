/**
 * Rows of QueryMetadataLabels: per row one value for each requested name, as references into the
 * chunk's strings.
 */

import { assert } from "../../base/index.ts";
import { ByteSink } from "../bytes/sink.ts";
import { FlatReader, structureError } from "../bytes/flat-reader.ts";
import { LABELS_PRELUDE } from "../layout.ts";
import { LIMITS } from "../limits.ts";
import {
  appendVector,
  beginChunk,
  CHUNK_HEADROOM_BYTES,
  pushInt,
  StringColumn,
} from "./chunk-columns.ts";
import { ChunkStrings } from "./chunk-strings.ts";
import type { LabelPair } from "./plan-views.ts";

/** Field numbers of hearth.wire.LabelsChunk. */
const FIELD = {
  namesCount: 0,
  names: 1,
  rows: 2,
  stringEnds: 3,
  stringBytes: 4,
  appliedIndex: 5,
} as const;

/** One per thread: `begin` with the requested names, push the values of rows, `finish`. */
export class LabelsChunkWriter {
  readonly #names = new ByteSink();
  readonly #rows = new ByteSink();
  readonly #strings = new StringColumn();
  readonly #out = new ByteSink();
  #namesCount = 0;

  constructor() {
    this.begin([]);
  }

  /** Starts an empty chunk. String 0 is the empty string. */
  begin(names: readonly string[]): void {
    this.#names.reset();
    this.#rows.reset();
    this.#strings.reset();
    this.#namesCount = names.length;
    for (const name of names) {
      pushInt(this.#names, name === "" ? 0 : this.#strings.addText(name));
    }
  }

  get rowCount(): number {
    return this.#namesCount === 0 ? 0 : this.#rows.length / 4 / this.#namesCount;
  }

  /** Strings so far, names included; the next one added gets this number as its reference. */
  get stringCount(): number {
    return this.#strings.count;
  }

  /** Bytes of the chunk if it were finished now, up to a few bytes of padding. */
  get byteLength(): number {
    return (
      LABELS_PRELUDE.bytes +
      32 +
      this.#names.length +
      this.#rows.length +
      this.#strings.ends.length +
      this.#strings.bytes.length
    );
  }

  /** Appends a string (UTF-8 bytes, copied) and returns its reference. */
  addString(bytes: Uint8Array, start: number, end: number): number {
    return this.#strings.add(bytes, start, end);
  }

  addText(text: string): number {
    return this.#strings.addText(text);
  }

  /**
   * Appends the next value of the row: one call per requested name, in request order. 0 = the empty
   * string.
   */
  pushValue(reference: number): void {
    pushInt(this.#rows, reference);
  }

  /**
   * FlatBuffer LabelsChunk; borrowed until the next `finish`, with CHUNK_HEADROOM_BYTES before it
   * for the caller.
   */
  finish(appliedIndex: number): Uint8Array {
    assert(Number.isInteger(this.rowCount), "A row is incomplete");
    const out = this.#out;
    const ints = { elementBytes: 4, align: 4 };
    beginChunk(out, LABELS_PRELUDE.words, LABELS_PRELUDE.bytes);
    out.f64[(CHUNK_HEADROOM_BYTES + LABELS_PRELUDE.slotAppliedIndex) >>> 3] = appliedIndex;
    out.i32[(CHUNK_HEADROOM_BYTES + LABELS_PRELUDE.slotNamesCount) >>> 2] = this.#namesCount;
    appendVector(out, LABELS_PRELUDE.slotNames, this.#names, ints);
    appendVector(out, LABELS_PRELUDE.slotRows, this.#rows, ints);
    appendVector(out, LABELS_PRELUDE.slotStringEnds, this.#strings.ends, ints);
    appendVector(out, LABELS_PRELUDE.slotStringBytes, this.#strings.bytes, {
      elementBytes: 1,
      align: 1,
    });
    out.align8();
    return out.view(CHUNK_HEADROOM_BYTES);
  }
}

/** One LabelsChunk message, read in place; borrowed like the bytes. */
export class LabelsChunkReader {
  readonly rowCount: number;
  /** The requested names, in request order. */
  readonly names: readonly string[];
  readonly appliedIndex: number;
  readonly #table = new FlatReader();
  readonly #strings: ChunkStrings | null = null;
  readonly #rows: number = 0;

  /**
   * Errors: HearthError invalid_argument when it is no LabelsChunk. No bytes are an empty chunk.
   */
  constructor(bytes: Uint8Array, offset = 0, length: number = bytes.length - offset) {
    const table = this.#table;
    if (length === 0) {
      this.rowCount = 0;
      this.names = [];
      this.appliedIndex = 0;
      return;
    }
    table.open(bytes, offset, length);
    this.appliedIndex = table.f64(FIELD.appliedIndex);
    const strings = new ChunkStrings(table, FIELD.stringEnds, FIELD.stringBytes);
    this.#strings = strings;
    table.vector(FIELD.names, 4, 4);
    const namesCount = table.vectorCount;
    const { i32 } = table.views;
    if (namesCount !== table.u32(FIELD.namesCount) || namesCount > LIMITS.labelNamesMax) {
      throw structureError(`${namesCount} label names`);
    }
    const start = table.vectorOffset >>> 2;
    this.names = Array.from(i32.subarray(start, start + namesCount), (name) => strings.text(name));
    table.vector(FIELD.rows, 4, 4);
    this.#rows = table.vectorOffset >>> 2;
    this.rowCount = namesCount === 0 ? 0 : table.vectorCount / namesCount;
    if (!Number.isInteger(this.rowCount)) throw structureError("a row of labels is incomplete");
  }

  /** Value of name `name` (its position) in row `row`. */
  value(row: number, name: number): string {
    if (!(row >= 0 && row < this.rowCount && name >= 0 && name < this.names.length)) {
      throw new RangeError(`Label ${name} of row ${row} of ${this.rowCount}`);
    }
    const reference = this.#table.views.i32[this.#rows + row * this.names.length + name] as number;
    return this.#strings?.text(reference) ?? "";
  }

  /** Values of a row, in the order of the names. */
  row(row: number): string[] {
    return this.names.map((_, name) => this.value(row, name));
  }

  /** Rows as pairs, the shape of `types.v1.Labels`. */
  *[Symbol.iterator](): Generator<LabelPair[], void, undefined> {
    for (let row = 0; row < this.rowCount; row++) {
      yield this.names.map((name, i) => ({ name, value: this.value(row, i) }));
    }
  }
}
