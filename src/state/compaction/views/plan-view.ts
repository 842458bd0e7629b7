/**
 * What the leader would do if a worker asked now: the same preparation that makes plans, with a question that nobody
 * asked, and nothing proposed. On any thread, inside a read transaction.
 */

import type { IndexDatabase } from "../../../db/index.ts";
import type {
  HandedOutView,
  JobPlan,
  JobState,
  PlannedJobView,
  PlanView,
} from "../../../protocol/index.ts";
import { tenantOfJob } from "../job-name.ts";
import { readJobState } from "../job-rows.ts";
import { prepare } from "../prepare.ts";
import { workerOf } from "../owners.ts";

/** null: compaction is off. `capacity`: jobs that the worker would take. */
export function planView(
  db: IndexDatabase,
  options: { readonly capacity: number; readonly nowMs: number; readonly token: number },
): PlanView | null {
  const { capacity, nowMs, token } = options;
  const poll = { worker: "", requestId: 0, capacity, reports: [] };
  const prepared = prepare(db, [poll], { nowMs, token, term: 0 });
  if (prepared === null) return null;
  const { newJobs, assignedJobs, evictedJobs, requeued } = prepared.plan;
  return {
    assigned: assignedJobs.map((state) => handedOut(db, state)),
    created: newJobs.map(({ plan }) => planned(plan)),
    evicted: evictedJobs.map(({ name }) => name),
    requeuedBlocks: requeued.length,
  };
}

function handedOut(db: IndexDatabase, { name, level, failures }: JobState): HandedOutView {
  const before = readJobState(db, name);
  const takenFrom = workerOf(before?.owner ?? "");
  return { name, tenant: tenantOfJob(name), level, failures, takenFrom };
}

function planned({
  name,
  tenant,
  shard,
  level,
  sourceBlocks,
  tombstones,
}: JobPlan): PlannedJobView {
  return { name, tenant, shard, level, sourceBlocks, tombstones: tombstones.length };
}
