/** Block metadata in files: found, read and checked; every problem names its file. */
import { closeSync, openSync, readdirSync, readFileSync, readSync, statSync } from "node:fs";
import { join } from "node:path";
import { HearthError } from "../base/index.ts";
import {
  type BlockMeta,
  blockMetaFromJson,
  parseBlockMetaProto,
  readBlockObject,
} from "../protocol/index.ts";

type FileReader = (file: string) => BlockMeta[];

/** Kinds of file by their ending. */
const READERS: readonly (readonly [ending: string, read: FileReader])[] = [
  [".meta.pb", (file) => [parseBlockMetaProto(readSmall(file))]],
  [".block.bin", (file) => [readObject(file)]],
  [".json", (file) => readJson(readSmall(file))],
];

/** Metadata alone never comes near this; what does is another kind of file. */
const METADATA_MAX_BYTES = 256 * 1024 * 1024;
/** Length and checksum at the very end of a block object. */
const FOOTER_BYTES = 8;

/** What a file holds, or what is wrong with it. */
export type BlockFile =
  | { readonly ok: true; readonly file: string; readonly blocks: readonly BlockMeta[] }
  | { readonly ok: false; readonly file: string; readonly problem: string };

/**
 * Files of the given paths: a file as it is, a directory with everything below that has one of our endings.
 * Errors: `invalid_argument` for a path that does not exist or a file of another kind that was named itself.
 */
export function findBlockFiles(paths: readonly string[]): string[] {
  const files: string[] = [];
  for (const path of paths) {
    const found = statSync(path, { throwIfNoEntry: false });
    if (found === undefined) throw badPath(`There is no file or directory "${path}"`);
    if (found.isDirectory()) {
      files.push(...filesBelow(path));
    } else if (readerOf(path) === undefined) {
      const endings = READERS.map(([ending]) => `*${ending}`).join(", ");
      throw badPath(`Cannot tell what "${path}" is: its name is none of ${endings}`);
    } else {
      files.push(path);
    }
  }
  return [...new Set(files)];
}

/** Reads one file. Never throws for what is in it. */
export function readBlockFile(file: string): BlockFile {
  try {
    const read = readerOf(file) as FileReader;
    return { ok: true, file, blocks: read(file) };
  } catch (error) {
    return { ok: false, file, problem: error instanceof Error ? error.message : String(error) };
  }
}

function readerOf(file: string): FileReader | undefined {
  return READERS.find(([ending]) => file.endsWith(ending))?.[1];
}

function filesBelow(directory: string): string[] {
  return readdirSync(directory, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && readerOf(entry.name) !== undefined)
    .map((entry) => join(entry.parentPath, entry.name))
    .sort();
}

function readSmall(file: string): Uint8Array {
  const sizeBytes = statSync(file).size;
  if (sizeBytes > METADATA_MAX_BYTES) {
    throw new Error(`it has ${sizeBytes} bytes, limit is ${METADATA_MAX_BYTES}`);
  }
  return readFileSync(file);
}

/** Only the end of a block object is read: the data before it may be gigabytes, and the checksum leaves it out. */
function readObject(file: string): BlockMeta {
  const sizeBytes = statSync(file).size;
  const descriptor = openSync(file, "r");
  try {
    const footer = readEnd(descriptor, sizeBytes, FOOTER_BYTES);
    const metadataBytes = footer.length < FOOTER_BYTES ? 0 : footer.readUInt32BE(0);
    const end = readEnd(
      descriptor,
      sizeBytes,
      Math.min(metadataBytes, METADATA_MAX_BYTES) + FOOTER_BYTES,
    );
    return readBlockObject(end, sizeBytes).meta;
  } finally {
    closeSync(descriptor);
  }
}

function readEnd(descriptor: number, sizeBytes: number, wantedBytes: number): Buffer {
  const length = Math.min(wantedBytes, sizeBytes);
  const bytes = Buffer.alloc(length);
  readSync(descriptor, bytes, 0, length, sizeBytes - length);
  return bytes;
}

/** One block, a list of blocks, or `{blocks: [...]}`. */
function readJson(bytes: Uint8Array): BlockMeta[] {
  const value: unknown = JSON.parse(Buffer.from(bytes).toString("utf8"));
  const listed = Array.isArray(value) ? value : (value as { blocks?: unknown } | null)?.blocks;
  if (!Array.isArray(listed)) return [blockMetaFromJson(value)];
  return listed.map((block, i) => blockMetaFromJson(block, `blocks[${i}]`));
}

function badPath(message: string): HearthError {
  return new HearthError("invalid_argument", message, { reason: "bad_path" });
}
