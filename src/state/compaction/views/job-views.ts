/** Jobs as operators see them. On any thread, inside a read transaction. Plain data, with units in its names. */

import type { IndexDatabase } from "../../../db/index.ts";
import {
  JOB_STATUS,
  type JobDetails,
  type JobFilter,
  type JobPage,
  type JobState,
  type JobView,
  type JobViewStatus,
} from "../../../protocol/index.ts";
import { decodeJobState, jobKey, readJobPlan, readJobState, withLease } from "../job-rows.ts";
import { tenantOfJob } from "../job-name.ts";
import { LAST_NAME } from "../job-store.ts";
import { CompactionMeta, readPolicy } from "../meta.ts";
import { workerOf } from "../owners.ts";
import type { CompactionPolicy } from "../policy.ts";
import { linesOf } from "../reasons.ts";

/** Rows looked at per page, whatever the filter leaves of them: about 20 ms. */
const SCAN_MAX = 10_000;

export function listJobViews(db: IndexDatabase, filter: JobFilter, nowMs: number): JobPage {
  const { policy, jobs: total } = readMeta(db);
  const found: JobState[] = [];
  let looked = 0;
  let next: string | null = null;
  const start = filter.after === "" ? new Uint8Array(1) : following(jobKey(filter.after));
  db.scan("compactionJobs", start, LAST_NAME, (key, length) => {
    if (found.length >= filter.limit || looked >= SCAN_MAX) return false;
    const name = Buffer.from(key).toString("utf8");
    const state = decodeJobState(db, name, length);
    looked++;
    next = name;
    if (isWanted(state, filter, policy)) found.push(state);
    return true;
  });
  const isAll = looked < SCAN_MAX && found.length < filter.limit;
  return {
    jobs: found.map((state) => viewOf(db, withLease(db, state), policy, nowMs)),
    next: isAll ? null : next,
    total,
  };
}

function readMeta(db: IndexDatabase): CompactionMeta {
  const meta = new CompactionMeta();
  meta.load(db);
  return meta;
}

/** null: there is no job of that name. */
export function readJobDetails(db: IndexDatabase, name: string, nowMs: number): JobDetails | null {
  const state = readJobState(db, name);
  if (state === null) return null;
  const plan = readJobPlan(db, name);
  const tombstones = plan?.tombstones ?? [];
  return {
    ...viewOf(db, state, readPolicy(db), nowMs),
    reasons: linesOf(state.reason),
    sourceBlocks: plan?.sourceBlocks ?? [],
    tombstoneNames: tombstones.map(({ blocks, shard }) => blocks?.name ?? shard?.name ?? ""),
  };
}

export function statusOf(state: JobState, policy: CompactionPolicy | null): JobViewStatus {
  if (state.status === JOB_STATUS.unassigned) return "unassigned";
  if (state.status === JOB_STATUS.quarantined) return "quarantined";
  const failuresMax = policy?.failuresMax ?? 0;
  if (failuresMax > 0 && state.failures >= failuresMax) return "exhausted";
  return state.failures > 0 ? "reassigned" : "assigned";
}

function isWanted(
  state: JobState,
  { level, tenant, status }: JobFilter,
  policy: CompactionPolicy | null,
): boolean {
  if (level !== null && state.level !== level) return false;
  if (tenant !== null && tenantOfJob(state.name) !== tenant) return false;
  return status === null || statusOf(state, policy) === status;
}

function viewOf(
  db: IndexDatabase,
  state: JobState,
  policy: CompactionPolicy | null,
  nowMs: number,
): JobView {
  const plan = readJobPlan(db, state.name);
  const { name, level, token, failures, addedAtMs, leaseExpiresAtMs, reason } = state;
  return {
    name,
    tenant: plan?.tenant ?? tenantOfJob(name),
    shard: plan?.shard ?? 0,
    level,
    status: statusOf(state, policy),
    blocks: plan?.sourceBlocks.length ?? 0,
    tombstones: plan?.tombstones.length ?? 0,
    token,
    leaseMs: leaseExpiresAtMs === 0 ? null : Math.max(0, Math.round(leaseExpiresAtMs - nowMs)),
    failures,
    worker: workerOf(state.owner),
    reason: linesOf(reason).at(-1) ?? null,
    addedAtMs,
  };
}

/** The smallest key after `key`. */
function following(key: Uint8Array): Uint8Array {
  const next = new Uint8Array(key.length + 1);
  next.set(key);
  return next;
}
