/** The last chunk of a dictionary table, which is the only one that grows. Layout: src/db/chunk.ts. */

import { chunkCount, chunkHeadWords, chunkItemEnd, writeChunkHead } from "../../db/index.ts";
import { DICTIONARY_CHUNK_SOFT_MAX_BYTES } from "../limits.ts";

const INITIAL_CONTENT_BYTES = 1_024;

export class ChunkBuilder {
  /** Number of the chunk: id >> shift. */
  chunk = 0;
  /** Changed since it was last stored. */
  isDirty = false;
  readonly #shift: number;
  readonly #unitBytes: number;
  readonly #ends: number[] = [];
  #content = new Uint8Array(INITIAL_CONTENT_BYTES);
  #contentLength = 0;

  constructor(shift: number, unitBytes: number) {
    this.#shift = shift;
    this.#unitBytes = unitBytes;
  }

  get count(): number {
    return this.#ends.length;
  }

  /** Id that the next content gets, when it goes to this chunk. */
  get nextId(): number {
    return (this.chunk << this.#shift) + this.#ends.length;
  }

  /** Whether the next content belongs to the next chunk. */
  get isClosed(): boolean {
    return (
      this.#ends.length >= 1 << this.#shift || this.#contentLength > DICTIONARY_CHUNK_SOFT_MAX_BYTES
    );
  }

  /** Starts an empty chunk. */
  open(chunk: number): void {
    this.chunk = chunk;
    this.#ends.length = 0;
    this.#contentLength = 0;
    this.isDirty = false;
  }

  /** Takes over a stored chunk: `words` and `bytes` are two views of it, at offset 0. Copies. */
  load(chunk: number, words: Uint32Array, bytes: Uint8Array, length: number): void {
    this.open(chunk);
    const count = chunkCount(words);
    for (let i = 0; i < count; i++) this.#ends.push(chunkItemEnd(words, i));
    this.#append(bytes.subarray(4 * chunkHeadWords(count), length));
  }

  /** Appends content and returns its id. The chunk must not be closed. */
  add(content: Uint8Array): number {
    const id = this.nextId;
    this.#append(content);
    this.#ends.push(this.#contentLength / this.#unitBytes);
    this.isDirty = true;
    return id;
  }

  /** The chunk as it is stored. Owned. */
  encode(): Uint8Array {
    const headWords = chunkHeadWords(this.#ends.length);
    const value = new Uint8Array(headWords * 4 + this.#contentLength);
    writeChunkHead(new Uint32Array(value.buffer, 0, headWords), this.#ends);
    value.set(this.#content.subarray(0, this.#contentLength), headWords * 4);
    return value;
  }

  #append(content: Uint8Array): void {
    const needed = this.#contentLength + content.length;
    if (needed > this.#content.length) {
      const before = this.#content;
      this.#content = new Uint8Array(Math.max(needed, before.length * 2));
      this.#content.set(before.subarray(0, this.#contentLength));
    }
    this.#content.set(content, this.#contentLength);
    this.#contentLength = needed;
  }
}
