/** Metadata out of block objects: the end of an object is read, twice where the metadata is longer than the first guess. */
import { isHearthError } from "../../base/index.ts";
import { type BlockMeta, readBlockObject } from "../../protocol/index.ts";
import type { ObjectInfo, ObjectStore } from "../../storage/index.ts";
import type { BlockKey } from "./block-keys.ts";

/** Holds the metadata of nearly every block; one request of an S3 store costs the same up to here. */
const FIRST_READ_BYTES = 16 * 1024;
/** Length and checksum at the very end. */
const FOOTER_BYTES = 8;
/** Metadata of a block never comes near this. */
const METADATA_MAX_BYTES = 64 * 1024 * 1024;

export type FooterResult =
  | { readonly ok: true; readonly meta: BlockMeta }
  /** `gone`: the object vanished meanwhile. */
  | { readonly ok: false; readonly reason: string; readonly problem: string };

/** Never throws for what is in the bucket, nor for one object that cannot be had. */
export async function readFooter(
  store: Pick<ObjectStore, "get">,
  { key, sizeBytes }: Pick<ObjectInfo, "key" | "sizeBytes">,
  signal: AbortSignal,
): Promise<FooterResult> {
  try {
    const start = Math.max(0, sizeBytes - FIRST_READ_BYTES);
    let end = await store.get(key, { range: { start, end: sizeBytes }, signal });
    const wantedBytes = end === null ? 0 : neededBytes(end);
    if (end !== null && wantedBytes > end.length && wantedBytes <= sizeBytes) {
      const range = { start: sizeBytes - wantedBytes, end: sizeBytes };
      end = await store.get(key, { range, maxBytes: METADATA_MAX_BYTES, signal });
    }
    if (end === null) return { ok: false, reason: "gone", problem: "it is not there any more" };
    const { meta, metadataOffset } = readBlockObject(end, sizeBytes);
    return { ok: true, meta: withOffset(meta, metadataOffset) };
  } catch (error) {
    signal.throwIfAborted();
    if (!isHearthError(error)) throw error;
    return { ok: false, reason: error.reason, problem: error.message };
  }
}

function neededBytes(end: Uint8Array): number {
  if (end.length <= FOOTER_BYTES) return 0;
  const view = new DataView(end.buffer, end.byteOffset, end.byteLength);
  return view.getUint32(end.length - FOOTER_BYTES) + FOOTER_BYTES;
}

/** Where the metadata of an object names another block than its key does, in words; null: nowhere. */
export function misplacement(meta: BlockMeta, key: BlockKey): string | null {
  if (meta.id !== key.id) return `its metadata is of block ${meta.id}`;
  if (meta.shard !== key.shard) return `its metadata says shard ${meta.shard}`;
  const owner = meta.stringTable[meta.tenant] ?? "";
  // Segments lie together whoever owns them; others lie with their owner.
  if (meta.compactionLevel > 0 && owner !== key.tenant)
    return `its metadata says owner ${JSON.stringify(owner)}`;
  if (meta.compactionLevel === 0 && key.tenant !== "") return "its metadata says level 0";
  if (meta.compactionLevel > 0 && key.tenant === "")
    return `its metadata says level ${meta.compactionLevel}`;
  return null;
}

/** Where the metadata begins is known from the object when the writer did not say. */
function withOffset(meta: BlockMeta, metadataOffset: number): BlockMeta {
  return meta.metadataOffset === 0n ? { ...meta, metadataOffset: BigInt(metadataOffset) } : meta;
}
