/** The state machine's readers of tombstones, in the shape that the inspector asks for. */

import type { IndexDatabase } from "../db/index.ts";
import type { TombstonePort } from "../service/index.ts";
import { listTombstones, tombstoneExists } from "../state/index.ts";

export function createTombstonePort(database: IndexDatabase): TombstonePort {
  return {
    exists: ({ tenant, shard, block }) => tombstoneExists(database, tenant, shard, block),
    list: (beforeMs) => listTombstones(database, beforeMs).map((tombstone) => tombstone.name),
  };
}
