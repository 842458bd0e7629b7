/**
 * Payload of RetireShards: what retention decided. Each shard goes with the time that it was judged by, so that a block
 * with newer data, logged between the decision and this entry, keeps its shard.
 */
import { Builder } from "flatbuffers";
import { FlatReader, structureError } from "../bytes/flat-reader.ts";
import {
  RetiredShard as RetiredShardTable,
  RetireShards as RetireShardsTable,
} from "../gen/command.ts";
import { LIMITS } from "../limits.ts";
import { addShardTombstone } from "./command-encoder.ts";
import { readShardTombstone } from "./command-tables.ts";
import type { ShardTombstone } from "./types.ts";

export interface RetiredShard {
  readonly shard: ShardTombstone;
  /** Unix ms: a shard with data at or after it stays. */
  readonly beforeMs: number;
}

export interface RetireShards {
  /** Term in which it was decided; ignored in any other. */
  readonly term: number;
  readonly shards: readonly RetiredShard[];
}

export function encodeRetireShards({ term, shards }: RetireShards): Uint8Array {
  const builder = new Builder(1024);
  const offsets = shards.map(({ shard, beforeMs }) =>
    RetiredShardTable.createRetiredShard(builder, addShardTombstone(builder, shard), beforeMs),
  );
  const vector = RetireShardsTable.createShardsVector(builder, offsets);
  builder.finish(RetireShardsTable.createRetireShards(builder, term, vector));
  return builder.asUint8Array();
}

/** Errors: HearthError invalid_argument. */
export function decodeRetireShards(
  bytes: Uint8Array,
  offset = 0,
  length: number = bytes.length - offset,
): RetireShards {
  const root = new FlatReader().open(bytes, offset, length);
  const shards = root.tables(1, LIMITS.tombstonesPerCommandMax, "shards").map((table) => {
    const shard = table.table(0);
    if (shard === null) throw structureError("no shard");
    return { shard: readShardTombstone(shard), beforeMs: table.f64(1) };
  });
  return { term: root.f64(0), shards };
}
