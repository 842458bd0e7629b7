/** Metadata out of block objects: the end of an object is read, twice where the metadata is longer than the first guess. */
import { isHearthError } from "../../base/index.ts";
import {
  type BlockMeta,
  type BlockObjectPlace,
  findBlockMetadata,
  parseBlockMetaProto,
} from "../../protocol/index.ts";
import type { ObjectInfo, ObjectStore } from "../../storage/index.ts";
import type { BlockKey } from "./block-keys.ts";

/** Holds the metadata of nearly every block; one request of an S3 store costs the same up to here. */
const FIRST_READ_BYTES = 16 * 1024;
/** Length and checksum at the very end. */
const FOOTER_BYTES = 8;
/** Metadata of a block never comes near this. */
const METADATA_MAX_BYTES = 64 * 1024 * 1024;

export type FooterFailure =
  /** `gone`: the object vanished meanwhile. */
  { readonly ok: false; readonly reason: string; readonly problem: string };

export type FooterResult = { readonly ok: true; readonly meta: BlockMeta } | FooterFailure;

/** The end of an object, checked, and where the metadata stands in it, in protobuf. */
export interface Footer {
  readonly ok: true;
  readonly bytes: Uint8Array;
  readonly place: BlockObjectPlace;
}

type FooterObject = Pick<ObjectInfo, "key" | "sizeBytes">;

/** Never throws for what is in the bucket, nor for one object that cannot be had. */
export async function readFooter(
  store: Pick<ObjectStore, "get">,
  object: FooterObject,
  signal: AbortSignal,
): Promise<FooterResult> {
  const footer = await fetchFooter(store, object, signal);
  if (!footer.ok) return footer;
  const { bytes, place } = footer;
  try {
    const meta = parseBlockMetaProto(bytes.subarray(place.start, place.end));
    return { ok: true, meta: completed(meta, object.sizeBytes, place.metadataOffset) };
  } catch (error) {
    return failureOf(error);
  }
}

/** As `readFooter`, with the metadata as it stands there. */
export async function fetchFooter(
  store: Pick<ObjectStore, "get">,
  { key, sizeBytes }: FooterObject,
  signal: AbortSignal,
): Promise<Footer | FooterFailure> {
  try {
    const start = Math.max(0, sizeBytes - FIRST_READ_BYTES);
    let bytes = await store.get(key, { range: { start, end: sizeBytes }, signal });
    const wantedBytes = bytes === null ? 0 : neededBytes(bytes);
    if (bytes !== null && wantedBytes > bytes.length && wantedBytes <= sizeBytes) {
      const range = { start: sizeBytes - wantedBytes, end: sizeBytes };
      bytes = await store.get(key, { range, maxBytes: METADATA_MAX_BYTES, signal });
    }
    if (bytes === null) return { ok: false, reason: "gone", problem: "it is not there any more" };
    return { ok: true, bytes, place: findBlockMetadata(bytes, sizeBytes) };
  } catch (error) {
    signal.throwIfAborted();
    return failureOf(error);
  }
}

/** Errors: what is no HearthError is a bug and goes on. */
export function failureOf(error: unknown): FooterFailure {
  if (!isHearthError(error)) throw error;
  return { ok: false, reason: error.reason, problem: error.message };
}

function neededBytes(end: Uint8Array): number {
  if (end.length <= FOOTER_BYTES) return 0;
  const view = new DataView(end.buffer, end.byteOffset, end.byteLength);
  return view.getUint32(end.length - FOOTER_BYTES) + FOOTER_BYTES;
}

/** What metadata says of where its object belongs. */
export interface Placement {
  readonly id: string;
  readonly shard: number;
  readonly level: number;
  /** "" is the anonymous one. */
  readonly owner: string;
}

export function placementOf(meta: BlockMeta): Placement {
  const { id, shard, compactionLevel: level } = meta;
  return { id, shard, level, owner: meta.stringTable[meta.tenant] ?? "" };
}

/** Where the metadata of an object names another block than its key does, in words; null: nowhere. */
export function misplacement({ id, shard, level, owner }: Placement, key: BlockKey): string | null {
  if (id !== key.id) return `its metadata is of block ${id}`;
  if (shard !== key.shard) return `its metadata says shard ${shard}`;
  // Segments lie together whoever owns them; others lie with their owner.
  if (level > 0 && owner !== key.tenant) return `its metadata says owner ${JSON.stringify(owner)}`;
  if (level === 0 && key.tenant !== "") return "its metadata says level 0";
  if (level > 0 && key.tenant === "") return `its metadata says level ${level}`;
  return null;
}

/** The size was not known when the copy was written, and where it begins is known from the object. */
function completed(meta: BlockMeta, sizeBytes: number, metadataOffset: number): BlockMeta {
  const offset = meta.metadataOffset === 0n ? BigInt(metadataOffset) : meta.metadataOffset;
  return { ...meta, sizeBytes: BigInt(sizeBytes), metadataOffset: offset };
}
