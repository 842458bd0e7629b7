/** What the index holds, read from its tables alone. */
import {
  type IndexDatabase,
  KeyBuffer,
  SHARD_RECORD,
  SHARD_RECORD_BYTES,
} from "../../../src/db/index.ts";

export interface SeenIndex {
  /** Of all blocks: the last four bytes of their ULIDs. */
  readonly serials: ReadonlySet<number>;
  /** Also those without blocks. */
  readonly shards: number;
}

const LAST = new Uint8Array(17).fill(0xff);
const FIRST = new Uint8Array(4);
const SERIAL_AT = 4 + 12;

/** Inside a transaction. */
export function readSeen(db: IndexDatabase): SeenIndex {
  const ordinals: number[] = [];
  let shards = 0;
  db.scan("partitions", FIRST, LAST, (_, length) => {
    for (let at = 0; at < length; at += SHARD_RECORD_BYTES) {
      shards++;
      if (db.u32[at / 4 + SHARD_RECORD.blocks32] !== 0)
        ordinals.push(db.u32[at / 4 + SHARD_RECORD.ordinal32] as number);
    }
    return true;
  });
  // One walk over all of them: rows between two ordinals are of shards that are gone, and not swept yet.
  const live = new Set(ordinals);
  const serials = new Set<number>();
  if (ordinals.length === 0) return { serials, shards };
  const [first, behind] = ordinals.reduce(
    ([low, high], ordinal) => [Math.min(low, ordinal), Math.max(high, ordinal + 1)],
    [Number.POSITIVE_INFINITY, 0],
  );
  const end = new KeyBuffer(4).u32(0, behind).bytes;
  db.scan("blocks", new KeyBuffer(4).u32(0, first).bytes, end, (key) => {
    const view = new DataView(key.buffer, key.byteOffset);
    if (live.has(view.getUint32(0))) serials.add(view.getUint32(SERIAL_AT));
    return true;
  });
  return { serials, shards };
}
