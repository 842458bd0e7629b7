/**
 * Reads BoltDB files: a B+ tree of pages in one file, whose buckets hold records and buckets. In them the reference keeps
 * its state and its log. One walk over everything, in key order; nothing is believed that was not checked, so that a
 * damaged file gives an error, and never an endless walk or memory for what it merely claims.
 *
 * Layout, all numbers little-endian (machines of the other kind write files that are refused):
 * page     u64 id, u16 flags, u16 count, u32 overflow (pages that follow and belong to it), then elements
 * meta     (pages 0 and 1; the newer valid one counts) u32 magic, u32 version, u32 page size, u32 flags, u64 root page,
 *          u64 sequence, u64 freelist page, u64 end of the used pages, u64 transaction, u64 FNV-1a of what is in front
 * branch   per element u32 position from its own start, u32 key bytes, u64 child page
 * leaf     per element u32 flags, u32 position, u32 key bytes, u32 value bytes
 * bucket   (value of a leaf element with flag 1) u64 root page, u64 sequence; root 0: a leaf page follows in the value
 */

import { HearthError } from "../../base/index.ts";
import type { DiskFile } from "../../files/index.ts";

const MAGIC = 0xed0c_daed;
const VERSION = 2;
const PAGE_HEADER_BYTES = 16;
const ELEMENT_BYTES = 16;
const BUCKET_HEADER_BYTES = 16;
const META_BYTES = 64;
/** What the checksum of a meta page covers. */
const META_SUMMED_BYTES = 56;
const FLAG = { branch: 1, leaf: 2, meta: 4 } as const;
const ELEMENT_IS_BUCKET = 1;

/** Page sizes are those of operating systems, or smaller by wish. */
const PAGE_BYTES_MIN = 512;
const PAGE_BYTES_MAX = 64 * 1024;
/** A page with what overflows it; records of the reference are a few MiB at most. */
const WHOLE_PAGE_MAX_BYTES = 64 * 1024 * 1024;
/** Buckets in buckets: the reference has three levels. */
const DEPTH_MAX = 16;

export interface BoltRecord {
  /** Names of its buckets, outermost first. */
  readonly path: readonly string[];
  /** null: the bucket of that path begins. */
  readonly key: Uint8Array | null;
  readonly value: Uint8Array;
}

interface Meta {
  readonly pageBytes: number;
  readonly root: number;
  /** Pages in use are below it. */
  readonly pagesEnd: number;
  readonly transaction: bigint;
}

/**
 * Every bucket and record of the file. The file must not change meanwhile.
 *
 * Errors: HearthError invalid_argument, `not_bolt`, when it is no such file; data_loss, `bolt_damaged`, when it does not
 *   hold together, then after what came before the damage.
 * Cost: each page in use is read once; memory for the pages of one path.
 */
export async function* readBolt(file: DiskFile): AsyncGenerator<BoltRecord> {
  const sizeBytes = await file.sizeBytes();
  const head = Buffer.alloc(Math.min(sizeBytes, PAGE_BYTES_MAX + PAGE_HEADER_BYTES + META_BYTES));
  await file.read(head, 0);
  yield* new Walk(file, sizeBytes, newestMeta(head)).records();
}

class Walk {
  readonly #file: DiskFile;
  readonly #sizeBytes: number;
  readonly #meta: Meta;
  /** A bit per page: each has one place in the tree. */
  readonly #seen: Uint8Array;

  constructor(file: DiskFile, sizeBytes: number, meta: Meta) {
    this.#file = file;
    this.#sizeBytes = sizeBytes;
    this.#meta = meta;
    const pages = Math.min(meta.pagesEnd, Math.ceil(sizeBytes / meta.pageBytes));
    this.#seen = new Uint8Array(Math.ceil(pages / 8));
  }

  async *records(): AsyncGenerator<BoltRecord> {
    yield* this.#tree([], this.#meta.root, null);
  }

  /** `inline` is the page of a bucket that has none in the tree. */
  async *#tree(
    path: readonly string[],
    root: number,
    inline: Buffer | null,
  ): AsyncGenerator<BoltRecord> {
    if (path.length > DEPTH_MAX) throw damaged(`more than ${DEPTH_MAX} buckets in one another`);
    const waiting = inline === null ? [root] : [];
    let page = inline;
    let before: Buffer | null = null;
    while (page !== null || waiting.length > 0) {
      page ??= await this.#page(waiting.pop() as number);
      if (inline === null && flagsOf(page) === FLAG.branch) {
        waiting.push(...children(page).reverse());
        if (waiting.length > this.#meta.pagesEnd) throw damaged("more pages than there are");
      } else {
        for (const element of leafElements(page)) {
          const { key } = element;
          if (before !== null && before.compare(key) >= 0) throw damaged("keys out of order");
          before = key;
          if (element.isBucket) yield* this.#bucket([...path, key.toString()], element.value);
          else yield { path, key, value: element.value };
        }
      }
      page = null;
    }
  }

  async *#bucket(path: readonly string[], header: Buffer): AsyncGenerator<BoltRecord> {
    if (header.length < BUCKET_HEADER_BYTES) throw damaged("a bucket without a header");
    yield { path, key: null, value: header };
    const root = pageNumber(header, 0);
    yield* this.#tree(path, root, root === 0 ? header.subarray(BUCKET_HEADER_BYTES) : null);
  }

  async #page(id: number): Promise<Buffer> {
    const { pageBytes, pagesEnd } = this.#meta;
    const start = id * pageBytes;
    if (id < 2 || id >= pagesEnd || start + pageBytes > this.#sizeBytes)
      throw damaged(`page ${id} lies outside of the file`);
    const bit = 1 << (id & 7);
    const seen = this.#seen[id >>> 3] as number;
    if ((seen & bit) !== 0) throw damaged(`page ${id} is met twice`);
    this.#seen[id >>> 3] = seen | bit;
    const first = await this.#read(start, pageBytes);
    const overflow = first.readUInt32LE(12);
    if (pageNumber(first, 0) !== id) throw damaged(`page ${id} has the number of another`);
    if (overflow === 0) return first;
    const wholeBytes = (overflow + 1) * pageBytes;
    if (id + overflow >= pagesEnd || start + wholeBytes > this.#sizeBytes)
      throw damaged(`page ${id} goes on behind the file`);
    if (wholeBytes > WHOLE_PAGE_MAX_BYTES)
      throw damaged(`page ${id} has ${wholeBytes} bytes, limit is ${WHOLE_PAGE_MAX_BYTES}`);
    return this.#read(start, wholeBytes);
  }

  async #read(position: number, bytes: number): Promise<Buffer> {
    const target = Buffer.alloc(bytes);
    if ((await this.#file.read(target, position)) < bytes) throw damaged("the file has shrunk");
    return target;
  }
}

// -- pages -------------------------------------------------------------------------------------------------------------

function newestMeta(head: Buffer): Meta {
  const found: Meta[] = [];
  const first = readMeta(head, 0);
  if (first !== null) found.push(first);
  // The second follows the first, whose word for the page size we may not have.
  for (let at = PAGE_BYTES_MIN; at <= PAGE_BYTES_MAX; at *= 2) {
    const second = readMeta(head, at);
    if (second?.pageBytes === at) found.push(second);
  }
  const newest = found.sort((a, b) => (a.transaction < b.transaction ? 1 : -1))[0];
  if (newest !== undefined) return newest;
  throw new HearthError("invalid_argument", "Cannot read the file: it is no BoltDB file", {
    reason: "not_bolt",
  });
}

/** null: there is no valid one. */
function readMeta(head: Buffer, at: number): Meta | null {
  const start = at + PAGE_HEADER_BYTES;
  if (start + META_BYTES > head.length || flagsOf(head.subarray(at)) !== FLAG.meta) return null;
  const meta = head.subarray(start, start + META_BYTES);
  if (meta.readUInt32LE(0) !== MAGIC || meta.readUInt32LE(4) !== VERSION) return null;
  if (meta.readBigUInt64LE(META_SUMMED_BYTES) !== checksum(meta)) return null;
  const pageBytes = meta.readUInt32LE(8);
  const isPower = (pageBytes & (pageBytes - 1)) === 0;
  if (!isPower || pageBytes < PAGE_BYTES_MIN || pageBytes > PAGE_BYTES_MAX) return null;
  return {
    pageBytes,
    root: pageNumber(meta, 16),
    pagesEnd: pageNumber(meta, 40),
    transaction: meta.readBigUInt64LE(48),
  };
}

/** FNV-1a of 64 bits. */
function checksum(meta: Buffer): bigint {
  let hash = 0xcbf2_9ce4_8422_2325n;
  for (const byte of meta.subarray(0, META_SUMMED_BYTES))
    hash = BigInt.asUintN(64, (hash ^ BigInt(byte)) * 0x100_0000_01b3n);
  return hash;
}

function flagsOf(page: Buffer): number {
  return page.readUInt16LE(8);
}

/** Larger ones than doubles hold lie outside of every file. */
function pageNumber(bytes: Buffer, at: number): number {
  return Number(bytes.readBigUInt64LE(at));
}

function elementsEnd(page: Buffer): number {
  const end = PAGE_HEADER_BYTES + page.readUInt16LE(10) * ELEMENT_BYTES;
  if (end > page.length) throw damaged("a page with more elements than it has room for");
  return end;
}

function children(page: Buffer): number[] {
  const end = elementsEnd(page);
  const ids: number[] = [];
  for (let at = PAGE_HEADER_BYTES; at < end; at += ELEMENT_BYTES)
    ids.push(pageNumber(page, at + 8));
  return ids;
}

interface LeafElement {
  readonly isBucket: boolean;
  readonly key: Buffer;
  readonly value: Buffer;
}

function* leafElements(page: Buffer): Generator<LeafElement> {
  if (page.length < PAGE_HEADER_BYTES || flagsOf(page) !== FLAG.leaf)
    throw damaged("a page that is neither branch nor leaf");
  const end = elementsEnd(page);
  for (let at = PAGE_HEADER_BYTES; at < end; at += ELEMENT_BYTES) {
    const keyStart = at + page.readUInt32LE(at + 4);
    const valueStart = keyStart + page.readUInt32LE(at + 8);
    const valueEnd = valueStart + page.readUInt32LE(at + 12);
    if (keyStart < end || valueEnd > page.length) throw damaged("a record outside of its page");
    yield {
      isBucket: (page.readUInt32LE(at) & ELEMENT_IS_BUCKET) !== 0,
      key: page.subarray(keyStart, valueStart),
      value: page.subarray(valueStart, valueEnd),
    };
  }
}

function damaged(what: string): HearthError {
  const message = `Cannot read the BoltDB file further: ${what}`;
  return new HearthError("data_loss", message, { reason: "bolt_damaged" });
}
