/** The state of an engine in the form of `expect_state`. */

import { encodeUlid } from "../../../../src/base/index.ts";
import { listFlushed, listJobs, listStaged, listTombstones } from "../../../../src/state/index.ts";
import { type Engine, inRead } from "../../engine.ts";
import { INDEX_SCALE, tombstoneToJson, type Translation } from "./translate.ts";

const ALL = Number.POSITIVE_INFINITY;
const LEVELS = 8;

export function readState({ db, state }: Engine, times: Translation): Record<string, unknown> {
  return inRead(db, () => ({
    queue: readQueue(db, times),
    persisted_queue: readPersisted(db, times),
    jobs: listJobs(db, ALL).map((job) => times.stateToJson(job)),
    tombstones: listTombstones(db, ALL).map(({ tombstone }) => tombstoneToJson(tombstone)),
    index: readIds(db),
    scheduler_stats: state.compaction.jobTotals().map((totals) => ({
      level: totals.level,
      unassigned: totals.unassigned,
      assigned: totals.assigned,
      reassigned: totals.reassigned,
      failed: totals.failed,
      added_total: totals.added,
      completed_total: totals.completed,
      assigned_total: totals.newlyAssigned,
      reassigned_total: totals.newlyReassigned,
      evicted_total: totals.evicted,
    })),
  }));
}

type Batch = ReturnType<typeof listStaged>[number];

function readQueue(db: Engine["db"], times: Translation): object[] {
  const staged = listStaged(db, ALL).sort(
    (a, b) => compare(a.tenant, b.tenant) || a.shard - b.shard,
  );
  const toJson = ({ tenant, shard, blocks, createdAtMs }: Batch): object => ({
    tenant,
    shard,
    blocks: blocks.map(({ id }) => id),
    created_at_ns: times.toNs(createdAtMs),
  });
  return Array.from({ length: LEVELS }, (_, level) => ({
    level,
    batches: listFlushed(db, level, ALL).map(toJson),
    staged: staged.filter((batch) => batch.level === level).map(toJson),
  })).filter(({ batches, staged: own }) => batches.length + own.length > 0);
}

function readPersisted(db: Engine["db"], times: Translation): object[] {
  const batches = [...listStaged(db, ALL)];
  for (let level = 0; level < LEVELS; level++) batches.push(...listFlushed(db, level, ALL));
  const rows = batches.flatMap(({ tenant, shard, level, blocks }) =>
    blocks.map(({ id, logIndex, appendedAtMs }) => ({
      index: logIndex / INDEX_SCALE,
      id,
      appended_at_ns: times.toNs(appendedAtMs),
      level,
      shard,
      tenant,
    })),
  );
  return rows.sort((a, b) => a.index - b.index || compare(a.id, b.id));
}

function readIds(db: Engine["db"]): string[] {
  const ids: string[] = [];
  db.scan("blocks", new Uint8Array(1), new Uint8Array(21).fill(0xff), (key) => {
    ids.push(encodeUlid(key, 4));
    return true;
  });
  return ids.sort();
}

function compare(a: string, b: string): number {
  if (a === b) return 0;
  return a < b ? -1 : 1;
}
