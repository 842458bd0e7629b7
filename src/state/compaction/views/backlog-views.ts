/** What waits for compaction, as operators see it. On any thread, inside a read transaction. */

import { type IndexDatabase, keyU32 } from "../../../db/index.ts";
import {
  type CompactionOverview,
  JOB_STATUS,
  type QueueFilter,
  type QueuePage,
  type QueueView,
  type WorkerView,
} from "../../../protocol/index.ts";
import { firstBatchAtMs } from "../backlog.ts";
import { oldestBatchAtMs } from "../inspect.ts";
import { CompactionMeta } from "../meta.ts";
import { type CompactionPolicy, levelsFor } from "../policy.ts";
import { KEY_HEAD, type KeyPlace, tenantName } from "../rows.ts";
import { listWorkers } from "../workers.ts";
import { workerOf } from "../owners.ts";

/** Rows looked at: a scan of so many takes some tens of milliseconds. */
const KEYS_MAX = 20_000;
const JOBS_MAX = 100_000;
const WORKERS_SHOWN_MAX = 100;

export function compactionOverview(db: IndexDatabase): CompactionOverview {
  const meta = new CompactionMeta();
  meta.load(db);
  const { policy, jobs, parked, orphans } = meta;
  const queues = countQueues(db);
  const counted = countJobs(db, policy);
  const levels = (policy?.levels ?? []).map((limits, level) => ({
    level,
    ...limits,
    isPaused: policy?.pausedLevels.includes(level) ?? false,
    ...(queues.levels.get(level) ?? { queuedBlocks: 0, queues: 0, batches: 0 }),
    oldestAtMs: oldestBatchAtMs(db, level),
    ...(counted.levels.get(level) ?? noJobs()),
  }));
  return {
    policy,
    levels,
    jobs,
    quarantined: counted.isCut ? 0 : Math.max(0, jobs - counted.total),
    parkedBlocks: parked,
    orphans,
    workers: workerViews(db),
    isCut: queues.isCut || counted.isCut,
  };
}

export function listQueueViews(db: IndexDatabase, filter: QueueFilter): QueuePage {
  const meta = new CompactionMeta();
  meta.load(db);
  const { policy } = meta;
  if (policy === null) return { queues: [], total: 0, isCut: false };
  const names = new Map<number, string>();
  const found = new Map<string, QueueView>();
  const { rows, isCut } = readKeys(db);
  for (const row of rows) {
    const { tenant: id, shard, level } = row.key;
    if (filter.level !== null && level !== filter.level) continue;
    const tenant = names.get(id) ?? tenantName(db, id);
    names.set(id, tenant);
    if (filter.tenant !== null && tenant !== filter.tenant) continue;
    const view = queueView(db, row, { tenant, policy });
    const key = filter.byTenant ? `${level}/${id}` : `${level}/${id}/${shard}`;
    const before = found.get(key);
    if (before !== undefined) found.set(key, sumOf(before, view));
    else found.set(key, filter.byTenant ? { ...view, shard: null } : view);
  }
  const queues = [...found.values()].sort((a, b) => a.oldestAtMs - b.oldestAtMs);
  return { queues: queues.slice(0, filter.limit), total: queues.length, isCut };
}

interface KeyRow {
  readonly key: KeyPlace;
  readonly blocks: number;
  readonly batches: number;
  /** Of the staged batch; 0: it is empty. */
  readonly stagedAtMs: number;
}

function readKeys(db: IndexDatabase): { rows: KeyRow[]; isCut: boolean } {
  const rows: KeyRow[] = [];
  let isCut = false;
  const end = new Uint8Array(13).fill(0xff);
  db.scan("compactionKeys", new Uint8Array(1), end, (key, length) => {
    if (rows.length >= KEYS_MAX) {
      isCut = true;
      return false;
    }
    const hasStaged = length > KEY_HEAD.bytes;
    rows.push({
      key: { tenant: keyU32(key, 0), shard: keyU32(key, 4), level: keyU32(key, 8) },
      blocks: db.u32[KEY_HEAD.blocks32] as number,
      batches: db.u32[KEY_HEAD.batches32] as number,
      stagedAtMs: hasStaged ? (db.f64[KEY_HEAD.createdAtMs64] as number) : 0,
    });
    return true;
  });
  return { rows, isCut };
}

function countQueues(db: IndexDatabase): {
  levels: Map<number, { queuedBlocks: number; queues: number; batches: number }>;
  isCut: boolean;
} {
  const levels = new Map<number, { queuedBlocks: number; queues: number; batches: number }>();
  const { rows, isCut } = readKeys(db);
  for (const { key, blocks, batches } of rows) {
    const sums = levels.get(key.level) ?? { queuedBlocks: 0, queues: 0, batches: 0 };
    sums.queuedBlocks += blocks;
    sums.queues++;
    sums.batches += batches;
    levels.set(key.level, sums);
  }
  return { levels, isCut };
}

interface JobCounts {
  unassigned: number;
  assigned: number;
  reassigned: number;
  exhausted: number;
}

function noJobs(): JobCounts {
  return { unassigned: 0, assigned: 0, reassigned: 0, exhausted: 0 };
}

/** By the keys of the order in which jobs are handed out: no job has to be read. */
function countJobs(
  db: IndexDatabase,
  policy: CompactionPolicy | null,
): { levels: Map<number, JobCounts>; total: number; isCut: boolean } {
  const levels = new Map<number, JobCounts>();
  const failuresMax = policy?.failuresMax ?? 0;
  let total = 0;
  let isCut = false;
  const end = new Uint8Array(5).fill(0xff);
  db.scan("compactionJobOrder", new Uint8Array(1), end, (key) => {
    if (total >= JOBS_MAX) {
      isCut = true;
      return false;
    }
    total++;
    const [level, status, failures] = [keyU32(key, 0), keyU32(key, 4), keyU32(key, 8)];
    const counts = levels.get(level) ?? noJobs();
    levels.set(level, counts);
    if (status === JOB_STATUS.unassigned) counts.unassigned++;
    else if (failuresMax > 0 && failures >= failuresMax) counts.exhausted++;
    else if (failures > 0) counts.reassigned++;
    else counts.assigned++;
    return true;
  });
  return { levels, total, isCut };
}

function workerViews(db: IndexDatabase): WorkerView[] {
  const seen = new Map<string, number>();
  for (const { name, seenAtMs } of listWorkers(db)) {
    const worker = workerOf(name) ?? "";
    seen.set(worker, Math.max(seenAtMs, seen.get(worker) ?? 0));
  }
  return [...seen]
    .map(([name, seenAtMs]) => ({ name, seenAtMs }))
    .sort((a, b) => b.seenAtMs - a.seenAtMs)
    .slice(0, WORKERS_SHOWN_MAX);
}

function queueView(
  db: IndexDatabase,
  { key, blocks, batches, stagedAtMs }: KeyRow,
  { tenant, policy }: { readonly tenant: string; readonly policy: CompactionPolicy },
): QueueView {
  const oldestAtMs = (batches > 0 ? firstBatchAtMs(db, key) : null) ?? stagedAtMs;
  const maxAgeMs = levelsFor(policy, tenant)[key.level]?.maxAgeMs ?? 0;
  const { pausedLevels, pausedTenants } = policy;
  return {
    tenant,
    shard: key.shard,
    level: key.level,
    blocks,
    batches,
    oldestAtMs,
    dueAtMs: maxAgeMs === 0 ? null : oldestAtMs + maxAgeMs,
    isPaused: pausedLevels.includes(key.level) || pausedTenants.includes(tenant),
  };
}

function sumOf(a: QueueView, b: QueueView): QueueView {
  return {
    ...a,
    shard: null,
    blocks: a.blocks + b.blocks,
    batches: a.batches + b.batches,
    oldestAtMs: Math.min(a.oldestAtMs, b.oldestAtMs),
    dueAtMs: a.dueAtMs === null || b.dueAtMs === null ? null : Math.min(a.dueAtMs, b.dueAtMs),
  };
}
