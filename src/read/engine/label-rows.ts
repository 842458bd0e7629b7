/**
 * Distinct rows of label values over any number of dictionaries, and their order (index-and-query 8).
 *
 * Values are kept as one JavaScript string per byte sequence, a character per byte: two of them compare like the
 * bytes do, which two decoded strings would not (8.4), and non-ASCII text needs no decoding at all.
 */

import { type ByteSink, LabelsChunkWriter, putLabelsRow } from "../../protocol/index.ts";
import type { ChunkSink } from "./plan-emitter.ts";
import { TupleSet } from "./tuple-set.ts";

/** Number of the empty value. */
export const EMPTY_VALUE = 0;

export class LabelRows {
  readonly #names: readonly string[];
  readonly #rows: TupleSet;
  readonly #values: string[] = [""];
  readonly #numbers = new Map<string, number>([["", EMPTY_VALUE]]);
  /** Where the bytes of value i are: a chunk of some dictionary, start and end. */
  readonly #sources: Buffer[] = [Buffer.alloc(0)];
  readonly #bounds: number[] = [0, 0];
  #valueBytes = 0;

  constructor(names: readonly string[]) {
    this.#names = names;
    this.#rows = new TupleSet(names.length);
  }

  get count(): number {
    return this.#rows.count;
  }

  /** About what the rows take in an answer. */
  get sizeBytes(): number {
    return this.#valueBytes + 4 * this.#names.length * this.#rows.count;
  }

  /**
   * Number of a value, for `add`. Equal bytes have equal numbers, whatever dictionary they come from.
   *
   * Shape: `bytes` is kept until the answer is sent and must not change.
   */
  numberOf(bytes: Buffer, start: number, end: number): number {
    const value = bytes.toString("latin1", start, end);
    const known = this.#numbers.get(value);
    if (known !== undefined) return known;
    const number = this.#values.length;
    this.#values.push(value);
    this.#numbers.set(value, number);
    this.#sources.push(bytes);
    this.#bounds.push(start, end);
    this.#valueBytes += value.length + 4;
    return number;
  }

  /** Adds a row of value numbers, one per name. */
  add(row: Uint32Array): void {
    this.#rows.add(row);
  }

  /** Sends all rows in order, in chunks of about `chunkBytes`; at least one chunk. */
  send(
    sink: ChunkSink,
    options: { readonly chunkBytes: number; readonly appliedIndex: number },
  ): void {
    const writer = new LabelsChunkWriter();
    const refs = new Int32Array(this.#values.length);
    this.#startChunk(writer, refs);
    const sorted = this.#sortedRows();
    const width = this.#names.length;
    for (let i = 0; i < sorted.length; i += width) {
      if (writer.byteLength >= options.chunkBytes) {
        sink(writer.finish(options.appliedIndex), false);
        this.#startChunk(writer, refs);
      }
      for (let column = 0; column < width; column++) {
        writer.pushValue(this.#refOf(writer, refs, sorted[i + column] as number));
      }
    }
    sink(writer.finish(options.appliedIndex), true);
  }

  /** Appends all rows in order, each as an element of field 1 of QueryMetadataLabelsResponse. */
  writeProto(sink: ByteSink): void {
    const names = this.#names.map((name) => Buffer.from(name));
    const width = names.length;
    const sorted = this.#sortedRows();
    for (let i = 0; i < sorted.length; i += width) {
      putLabelsRow(sink, names, (column) => {
        const number = sorted[i + column] as number;
        return (this.#sources[number] as Buffer).subarray(
          this.#bounds[2 * number],
          this.#bounds[2 * number + 1],
        );
      });
    }
  }

  #startChunk(writer: LabelsChunkWriter, refs: Int32Array): void {
    writer.begin(this.#names);
    refs.fill(-1);
    refs[EMPTY_VALUE] = 0;
  }

  #refOf(writer: LabelsChunkWriter, refs: Int32Array, number: number): number {
    let ref = refs[number] as number;
    if (ref < 0) {
      const start = this.#bounds[2 * number] as number;
      ref = writer.addString(
        this.#sources[number] as Buffer,
        start,
        this.#bounds[2 * number + 1] as number,
      );
      refs[number] = ref;
    }
    return ref;
  }

  /** Value numbers of all rows, row after row, in the order of the answer. */
  #sortedRows(): Uint32Array {
    const width = this.#names.length;
    const ranks = this.#ranks();
    const order = this.#canPack(ranks.length)
      ? this.#packedOrder(ranks)
      : this.#comparedOrder(ranks);
    const sorted = new Uint32Array(width * order.length);
    for (let i = 0; i < order.length; i++) {
      for (let column = 0; column < width; column++) {
        sorted[i * width + column] = this.#rows.at(order[i] as number, column);
      }
    }
    return sorted;
  }

  /** Place of every value among the sorted ones. */
  #ranks(): Uint32Array {
    const ranks = new Uint32Array(this.#values.length);
    // The default order of strings is that of their code units, which are the bytes here.
    const sorted = [...this.#values].sort();
    for (let rank = 0; rank < sorted.length; rank++) {
      ranks[this.#numbers.get(sorted[rank] as string) as number] = rank;
    }
    return ranks;
  }

  /** Whether a row's ranks and its number fit one exact double. */
  #canPack(base: number): boolean {
    return base ** this.#names.length * Math.max(1, this.count) < Number.MAX_SAFE_INTEGER;
  }

  /** Sorting doubles without a comparator is several times faster, and rows of one or two names always fit. */
  #packedOrder(ranks: Uint32Array): Uint32Array {
    const { count } = this;
    const packed = new Float64Array(count);
    for (let i = 0; i < count; i++) {
      let value = 0;
      for (let column = 0; column < this.#names.length; column++) {
        value = value * ranks.length + (ranks[this.#rows.at(i, column)] as number);
      }
      packed[i] = value * count + i;
    }
    packed.sort();
    const order = new Uint32Array(count);
    for (let i = 0; i < count; i++) order[i] = (packed[i] as number) % count;
    return order;
  }

  #comparedOrder(ranks: Uint32Array): Uint32Array {
    const order = new Uint32Array(this.count);
    for (let i = 0; i < order.length; i++) order[i] = i;
    return order.sort((a, b) => {
      for (let column = 0; column < this.#names.length; column++) {
        const left = ranks[this.#rows.at(a, column)] as number;
        const right = ranks[this.#rows.at(b, column)] as number;
        if (left !== right) return left - right;
      }
      return 0;
    });
  }
}
