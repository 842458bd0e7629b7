/**
 * Whole block objects as writers make them: data, the metadata copy, its length and checksum (spec index-and-query,
 * appendix B). The copy says nothing of the size of the object, which is not known when it is written.
 */
import { createRequire } from "node:module";
import { blockKey } from "../../../src/cli/reconcile/block-keys.ts";
import { type BlockMeta, encodeBlockMetaProto } from "../../../src/protocol/index.ts";

const { crc32c } = createRequire(import.meta.url)("@node-rs/crc32") as {
  crc32c: (bytes: Uint8Array) => number;
};

export interface BlockObjectFile {
  readonly key: string;
  readonly bytes: Uint8Array;
  /** As its writer adds it to the index: with the size. */
  readonly meta: BlockMeta;
}

/** An object of a block with so many bytes of data before the metadata. */
export function blockObject(block: BlockMeta, dataBytes = 100): BlockObjectFile {
  const metadataOffset = BigInt(dataBytes);
  const copy = encodeBlockMetaProto({ ...block, sizeBytes: 0n, metadataOffset });
  const bytes = Buffer.alloc(dataBytes + copy.length + 8, 0xda);
  bytes.set(copy, dataBytes);
  bytes.writeUInt32BE(copy.length, dataBytes + copy.length);
  const checked = bytes.subarray(dataBytes, dataBytes + copy.length + 4);
  bytes.writeUInt32BE(crc32c(checked) >>> 0, dataBytes + copy.length + 4);
  const meta = { ...block, sizeBytes: BigInt(bytes.length), metadataOffset };
  return { key: keyOf(block), bytes, meta };
}

export function keyOf(block: BlockMeta): string {
  const { id, shard, compactionLevel: level } = block;
  return blockKey({ tenant: block.stringTable[block.tenant] ?? "", shard, id, level });
}
