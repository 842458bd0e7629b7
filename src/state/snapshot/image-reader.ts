/**
 * Takes an image apart again. It is given bytes as they come, in pieces of any size, believes none of them, and knows
 * whether it has seen the whole.
 */

import { imageDamaged } from "./errors.ts";
import {
  decodeContent,
  decodeFrameHeader,
  FRAME,
  FRAME_HEADER_BYTES,
  type FrameHeader,
} from "./frames.ts";
import { decodeEnd, decodeHead, type ImageHead } from "./head.ts";
import { RowReader, type RowVisitor } from "./row-pieces.ts";
import type { Zstd } from "./zstd.ts";

export interface ImageReaderModules {
  readonly zstd: Zstd;
  /** Layout of the tables that can be read. */
  readonly layout: number;
  /** Called around the rows of one frame, so that they can go into one transaction. */
  readonly onRows: (visitAll: (visit: RowVisitor) => void) => void;
}

export class ImageReader {
  readonly #modules: ImageReaderModules;
  readonly #rowReader = new RowReader();
  readonly #headerBytes = new Uint8Array(FRAME_HEADER_BYTES);
  #header: FrameHeader | null = null;
  /** Of the header, or of what the header announces. */
  #filledBytes = 0;
  #stored = new Uint8Array(0);
  #head: ImageHead | null = null;
  #rows = 0;
  #bytes = 0;
  #hasEnded = false;

  constructor(modules: ImageReaderModules) {
    this.#modules = modules;
  }

  /** Errors: image_damaged or image_version_unsupported; what came after the last good frame has had no effect. */
  push(bytes: Uint8Array): void {
    let at = 0;
    while (at < bytes.length) {
      if (this.#hasEnded) throw imageDamaged("it goes on after its end");
      at = this.#header === null ? this.#takeHeader(bytes, at) : this.#takeStored(bytes, at);
    }
  }

  /** After the last byte. Errors: image_damaged when something is missing. */
  finish(): ImageHead {
    if (this.#head === null || !this.#hasEnded) throw imageDamaged("it is cut");
    return this.#head;
  }

  get rows(): number {
    return this.#rows;
  }

  #takeHeader(bytes: Uint8Array, at: number): number {
    const taken = Math.min(FRAME_HEADER_BYTES - this.#filledBytes, bytes.length - at);
    this.#headerBytes.set(bytes.subarray(at, at + taken), this.#filledBytes);
    this.#filledBytes += taken;
    if (this.#filledBytes === FRAME_HEADER_BYTES) {
      this.#header = decodeFrameHeader(this.#headerBytes);
      this.#filledBytes = 0;
      if (this.#stored.length < this.#header.storedBytes) {
        this.#stored = new Uint8Array(this.#header.storedBytes);
      }
    }
    return at + taken;
  }

  #takeStored(bytes: Uint8Array, at: number): number {
    const header = this.#header as FrameHeader;
    const taken = Math.min(header.storedBytes - this.#filledBytes, bytes.length - at);
    this.#stored.set(bytes.subarray(at, at + taken), this.#filledBytes);
    this.#filledBytes += taken;
    if (this.#filledBytes === header.storedBytes) {
      this.#header = null;
      this.#filledBytes = 0;
      const stored = this.#stored.subarray(0, header.storedBytes);
      this.#takeFrame(header, decodeContent(header, stored, this.#modules.zstd));
    }
    return at + taken;
  }

  #takeFrame(header: FrameHeader, content: Uint8Array): void {
    if ((this.#head === null) !== (header.kind === FRAME.head)) {
      throw imageDamaged("it does not begin with its head, or has two");
    }
    if (header.kind === FRAME.head) this.#head = decodeHead(content, this.#modules.layout);
    else if (header.kind === FRAME.rows) this.#takeRows(header, content);
    else this.#takeEnd(content);
  }

  #takeRows(header: FrameHeader, content: Uint8Array): void {
    let rows = 0;
    this.#modules.onRows((visit) => {
      rows = this.#rowReader.read(content, visit);
      if (rows !== header.rows) {
        throw imageDamaged(`a frame has ${rows} rows instead of ${header.rows}`);
      }
    });
    this.#rows += rows;
    this.#bytes += content.length;
  }

  #takeEnd(content: Uint8Array): void {
    const { rows, bytes } = decodeEnd(content);
    if (rows !== this.#rows || bytes !== this.#bytes) {
      throw imageDamaged(`it has ${this.#rows} rows instead of ${rows}`);
    }
    this.#hasEnded = true;
  }
}
