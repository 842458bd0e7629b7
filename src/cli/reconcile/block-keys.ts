/** Keys of block objects (spec grpc-contract, 9): where a block lies in the bucket, and which block a key names. */
import { tryDecodeUlid, ULID_BYTES } from "../../base/index.ts";

export const BLOCK_PREFIXES = ["blocks/", "segments/"] as const;

/** What a key says of its block. */
export interface BlockKey {
  /** "" is the anonymous owner: segments. */
  readonly tenant: string;
  readonly shard: number;
  readonly id: string;
}

const scratch = new Uint8Array(ULID_BYTES);

/** `blocks/<shard>/<tenant>/<id>/block.bin`, and for fresh segments `segments/<shard>/anonymous/<id>/block.bin`. */
export function blockKey(block: BlockKey & { readonly level: number }): string {
  const { tenant, shard, id, level } = block;
  if (level === 0) return `segments/${shard}/anonymous/${id}/block.bin`;
  return `blocks/${shard}/${tenant}/${id}/block.bin`;
}

/** Null: the key is no block's. */
export function parseBlockKey(key: string): BlockKey | null {
  const parts = key.split("/");
  if (parts.length !== 5) return null;
  const [root, shard = "", tenant = "", id = "", file] = parts;
  if (file !== "block.bin" || !/^(0|[1-9]\d{0,9})$/.test(shard)) return null;
  if (!tryDecodeUlid(id, scratch, 0) || Number(shard) > 0xffff_ffff) return null;
  if (root === "segments" && tenant === "anonymous")
    return { tenant: "", shard: Number(shard), id };
  if (root === "blocks" && tenant !== "") return { tenant, shard: Number(shard), id };
  return null;
}
