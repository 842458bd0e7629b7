/**
 * The backlog by owner, shard and level for the metrics: the largest queues by name, the others summed up per level, so
 * that there are never more series than they may be. From memory, but for the age of the queues that are named.
 */

import type { IndexDatabase } from "../../db/index.ts";
import type { QueueKey } from "./queue-keys.ts";
import { BATCH_HEAD, type KeyPlace, queueBatchKey, tenantName } from "./rows.ts";

export interface BacklogRow {
  readonly level: number;
  /** Null: the queues of the level that are not named, together. */
  readonly queue: {
    /** "" = segments of many tenants. */
    readonly tenant: string;
    readonly shard: number;
    /** Since when its oldest batch has a block, Unix ms. */
    readonly oldestAtMs: number;
  } | null;
  readonly blocks: number;
  /** Flushed batches. */
  readonly batches: number;
}

/** Cost: two passes over the keys, 0.1 us each, a sort of so many numbers, and a look-up per named queue. */
export function backlogRows(
  db: IndexDatabase,
  keys: readonly QueueKey[],
  namedMax: number,
): BacklogRow[] {
  const named = limitOf(keys, namedMax);
  const rows: BacklogRow[] = [];
  const others = new Map<number, { blocks: number; batches: number }>();
  const names = new Map<number, string>();
  for (const key of keys) {
    const { level, blocks, batches, tenant: id, shard } = key;
    if (blocks < named.least || (blocks === named.least && named.ties-- <= 0)) {
      const sums = others.get(level) ?? { blocks: 0, batches: 0 };
      others.set(level, { blocks: sums.blocks + blocks, batches: sums.batches + batches });
      continue;
    }
    const tenant = names.get(id) ?? tenantName(db, id);
    names.set(id, tenant);
    const oldestAtMs = oldestOf(db, key);
    rows.push({ level, queue: { tenant, shard, oldestAtMs }, blocks, batches });
  }
  return [...rows, ...[...others].map(([level, sums]) => ({ level, queue: null, ...sums }))];
}

/** How many blocks a queue needs to be among the `namedMax` largest, and how many with just so many are. */
function limitOf(keys: readonly QueueKey[], namedMax: number): { least: number; ties: number } {
  if (keys.length <= namedMax) return { least: -1, ties: 0 };
  const sizes = Float64Array.from(keys, ({ blocks }) => blocks).sort();
  const least = sizes[keys.length - namedMax] ?? Number.POSITIVE_INFINITY;
  return { least, ties: namedMax - keys.filter(({ blocks }) => blocks > least).length };
}

function oldestOf(db: IndexDatabase, key: QueueKey): number {
  return (key.batches > 0 ? firstBatchAtMs(db, key) : null) ?? key.createdAtMs;
}

/** When the oldest flushed batch of a key got its first block, Unix ms; null: there is none. Inside a transaction. */
export function firstBatchAtMs(db: IndexDatabase, key: KeyPlace): number | null {
  let createdAtMs: number | null = null;
  const start = queueBatchKey(key, 0).slice();
  const end = queueBatchKey(key, 0xffff_ffff).slice();
  db.scan("compactionBatches", start, end, () => {
    createdAtMs = db.f64[BATCH_HEAD.createdAtMs64] as number;
    return false;
  });
  return createdAtMs;
}
