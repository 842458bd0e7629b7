/**
 * zstd on every Node.js we run on: from node:zlib where it is (22.15 and later), else the same library as WebAssembly.
 * Both write plain zstd frames with the content size in front, and read each other's.
 */

import { createRequire } from "node:module";
import zlib from "node:zlib";
import { imageDamaged } from "./errors.ts";

/**
 * Lowest regular level. Of the rows of an index (ratio, MB/s of one core with WebAssembly): level 1 10.7, 143;
 * level 3 12.9, 109. The read transaction lasts as long as the slower of compression and rate limit.
 */
const LEVEL = 1;

export interface Zstd {
  /**
   * The result is the caller's; the bytes themselves when there are too many to be worth it. It was read back: an image that
   * cannot be read takes the place of the log. Errors: throws when it is not what went in.
   */
  compress(bytes: Uint8Array): Uint8Array;
  /** Of exactly `size` bytes; anything else is an error, found before memory is taken for it. */
  decompress(bytes: Uint8Array, size: number): Uint8Array;
}

/** What we call of node:zlib; @types/node of Node.js 20 does not know it. */
interface NodeZstd {
  zstdCompressSync(bytes: Uint8Array, options: { params: Record<number, number> }): Buffer;
  zstdDecompressSync(bytes: Uint8Array, options: { maxOutputLength: number }): Buffer;
  readonly constants: { readonly ZSTD_c_compressionLevel: number };
}

interface WasmZstd {
  init(): Promise<void>;
  compress(bytes: Uint8Array, level: number): Uint8Array;
  decompress(bytes: Uint8Array): Uint8Array;
}

export function hasNodeZstd(): boolean {
  return "zstdCompressSync" in zlib;
}

/** Loads what this Node.js has; `engine` forces one, for tests. */
export async function loadZstd(
  engine: "node" | "wasm" = hasNodeZstd() ? "node" : "wasm",
): Promise<Zstd> {
  if (engine === "node") return checked(nodeZstd());
  const thread = globalThis as { [WASM_OF_THREAD]?: Promise<Zstd> };
  thread[WASM_OF_THREAD] ??= wasmZstd();
  return checked(await thread[WASM_OF_THREAD]);
}

/**
 * The package holds one memory per thread, and starting it once more takes the memory of the first start away. A thread may
 * hold this module twice, once in the bundle of each task that it runs, so what was started stands where both find it.
 */
const WASM_OF_THREAD = Symbol.for("hearth.zstd-wasm");

function nodeZstd(): Zstd {
  const node = zlib as unknown as NodeZstd;
  const options = { params: { [node.constants.ZSTD_c_compressionLevel]: LEVEL } };
  return {
    compress: (bytes) => node.zstdCompressSync(bytes, options),
    decompress: (bytes, size) => node.zstdDecompressSync(bytes, { maxOutputLength: size }),
  };
}

async function wasmZstd(): Promise<Zstd> {
  // Through require: the package is CommonJS whose names an import does not see.
  const wasm = createRequire(import.meta.url)("@bokuweb/zstd-wasm") as WasmZstd;
  await wasm.init();
  return {
    compress: (bytes) => wasm.compress(bytes, LEVEL),
    decompress: (bytes) => wasm.decompress(bytes),
  };
}

/** The heap of the WebAssembly is small, and what it cannot give it does not refuse: larger content stays as it is. */
export const ZSTD_CONTENT_MAX_BYTES = 2 * 1024 * 1024;

/** What a frame claims to hold is compared before either library takes memory for it. */
function checked(zstd: Zstd): Zstd {
  return {
    compress: (bytes) => {
      if (bytes.length > ZSTD_CONTENT_MAX_BYTES) return bytes;
      const compressed = zstd.compress(bytes);
      const isGood = contentSize(compressed) === bytes.length;
      if (!isGood || Buffer.compare(zstd.decompress(compressed, bytes.length), bytes) !== 0)
        throw new Error(`zstd made something else of ${bytes.length} bytes`);
      return compressed;
    },
    decompress: (bytes, size) => {
      if (size > ZSTD_CONTENT_MAX_BYTES) throw imageDamaged("a zstd frame is too large");
      if (contentSize(bytes) !== size) throw imageDamaged("a zstd frame has another size");
      let content: Uint8Array;
      try {
        content = zstd.decompress(bytes, size);
      } catch (cause) {
        throw imageDamaged("a zstd frame cannot be decompressed", cause);
      }
      if (content.length !== size) throw imageDamaged("a zstd frame has another size");
      return content;
    },
  };
}

const MAGIC = 0xfd2f_b528;
/** Bytes of the content size field by its flag; 0 with "single segment" means 1. */
const SIZE_FIELD_BYTES = [0, 2, 4, 8] as const;
const DICTIONARY_ID_BYTES = [0, 1, 2, 4] as const;

/**
 * The content size that a zstd frame states, or -1.
 * Source: RFC 8878, 3.1.1.1 (frame header).
 */
export function contentSize(frame: Uint8Array): number {
  if (frame.length < 6) return -1;
  const view = new DataView(frame.buffer, frame.byteOffset, frame.length);
  if (view.getUint32(0, true) !== MAGIC) return -1;
  const descriptor = view.getUint8(4);
  const isSingleSegment = (descriptor & 0x20) !== 0;
  const sizeFlag = descriptor >>> 6;
  const sizeBytes = sizeFlag === 0 && isSingleSegment ? 1 : (SIZE_FIELD_BYTES[sizeFlag] as number);
  const dictionaryBytes = DICTIONARY_ID_BYTES[descriptor & 3] as number;
  const at = 5 + (isSingleSegment ? 0 : 1) + dictionaryBytes;
  if (sizeBytes === 0 || at + sizeBytes > frame.length) return -1;
  if (sizeBytes === 1) return view.getUint8(at);
  if (sizeBytes === 2) return view.getUint16(at, true) + 256;
  if (sizeBytes === 4) return view.getUint32(at, true);
  return Number(view.getBigUint64(at, true));
}
