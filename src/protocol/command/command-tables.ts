/** Tables that several commands carry, read with every offset checked. Errors: HearthError invalid_argument. */

import { HearthError, tryDecodeUlid, ULID_BYTES } from "../../base/index.ts";
import type { FlatReader } from "../bytes/flat-reader.ts";
import { LIMITS } from "../limits.ts";
import type { BlockTombstones, CompactedBlocks, ShardTombstone, Tombstone } from "./types.ts";

export function readCompacted(table: FlatReader): CompactedBlocks {
  const newBlocks = table
    .tables(4, LIMITS.blocksPerAddMax, "new blocks")
    .map((block) => block.bytes(0) ?? new Uint8Array(0));
  if (table.u8(0) === 0) return { source: null, newBlocks };
  const blocks = table.texts(3, LIMITS.idsPerListMax, LIMITS.idMaxBytes, "source blocks");
  for (const id of blocks) checkUlid(id);
  return {
    source: {
      tenant: table.text(1, LIMITS.tenantMaxBytes, "source tenant"),
      shard: table.u32(2),
      blocks,
    },
    newBlocks,
  };
}

export function readTombstones(table: FlatReader, field: number): Tombstone[] {
  return table.tables(field, LIMITS.tombstonesPerCommandMax, "tombstones").map((tombstone) => {
    const blocks = tombstone.table(0);
    const shard = tombstone.table(1);
    return {
      blocks: blocks === null ? null : readBlockTombstones(blocks),
      shard: shard === null ? null : readShardTombstone(shard),
    };
  });
}

function readBlockTombstones(table: FlatReader): BlockTombstones {
  return {
    name: table.text(0, LIMITS.tombstoneNameMaxBytes, "tombstone name"),
    shard: table.u32(1),
    tenant: table.text(2, LIMITS.tenantMaxBytes, "tombstone tenant"),
    compactionLevel: table.u32(3),
    blocks: table.texts(4, LIMITS.idsPerListMax, LIMITS.idMaxBytes, "tombstone blocks"),
  };
}

export function readShardTombstone(table: FlatReader): ShardTombstone {
  return {
    name: table.text(0, LIMITS.tombstoneNameMaxBytes, "tombstone name"),
    timestampNs: table.i64(1),
    durationNs: table.i64(2),
    shard: table.u32(3),
    tenant: table.text(4, LIMITS.tenantMaxBytes, "tombstone tenant"),
  };
}

const ULID = new Uint8Array(ULID_BYTES);

function checkUlid(id: string): void {
  if (tryDecodeUlid(id, ULID, 0)) return;
  throw new HearthError(
    "invalid_argument",
    `Cannot accept command: source ${JSON.stringify(id.slice(0, 64))} is no upper-case ULID`,
    { reason: "bad_block_id" },
  );
}
