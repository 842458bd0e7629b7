/**
 * Checks queue and jobs against the index and against themselves: every block of a queued level in exactly one place,
 * every count and every row that follows from another one. Memory follows the queue, not the index.
 */

import { encodeUlid } from "../../base/index.ts";
import {
  type IndexDatabase,
  keyF64,
  keyU32,
  keyU64,
  SHARD_RECORD,
  SHARD_RECORD_BYTES,
} from "../../db/index.ts";
import { EntryReader, JOB_STATUS } from "../../protocol/index.ts";
import { listJobs, listKeys } from "../compaction/inspect.ts";
import { jobOrderKey, readJobPlan, readPlacedState } from "../compaction/job-rows.ts";
import { CompactionMeta } from "../compaction/meta.ts";
import { listOrphans, listParked } from "../compaction/parked.ts";
import { BATCH_HEAD, KEY_HEAD, QUEUE_ROW, queueBatchKey, queueKey } from "../compaction/rows.ts";
import { listWorkers } from "../compaction/workers.ts";
import { tenantIdOf } from "../tombstones/read.ts";
import type { Problems } from "./problems.ts";

const FIRST = new Uint8Array(1);
const LAST = new Uint8Array(40).fill(0xff);
const ALL = Number.POSITIVE_INFINITY;

export interface CompactionReport {
  readonly queued: number;
  readonly jobs: number;
  /** Blocks of queued levels that stand nowhere: from before compaction was turned on. */
  readonly strays: number;
}

/** Cost: one pass over blocks, queue and jobs. */
export function checkCompaction(db: IndexDatabase, problems: Problems): CompactionReport {
  const meta = new CompactionMeta();
  meta.load(db);
  const places = new Map<string, string>();
  const place = (tenant: number, shard: number, id: string, where: string): void => {
    const key = `${tenant}/${shard}/${id}`;
    const before = places.get(key);
    problems.check(before === undefined, () => `block ${key} stands in ${before} and in ${where}`);
    places.set(key, where);
  };
  const queued = checkQueue(db, problems, place);
  checkOrder(db, problems);
  const jobs = checkJobs(db, problems, place);
  const parked = listParked(db, ALL, ALL);
  for (const { tenant, shard, id } of parked) place(tenant, shard, id, "parked");
  problems.same("compaction parked", meta.parked, parked.length);
  problems.same("compaction jobs", meta.jobs, jobs);
  problems.same("compaction orphans", meta.orphans, listOrphans(db, ALL).length);
  problems.same("compaction workers", meta.workers, listWorkers(db).length);
  const strays = checkBlocks(db, places, meta.policy?.levels.length ?? 0);
  for (const [key, where] of places) problems.add(`block ${key} in ${where} is not in the index`);
  return { queued, jobs, strays };
}

type Place = (tenant: number, shard: number, id: string, where: string) => void;

/** Keys against their batches and ages. */
function checkQueue(db: IndexDatabase, problems: Problems, place: Place): number {
  const ages = new Set<string>();
  db.scan("compactionAges", FIRST, LAST, (key) => {
    ages.add(`${keyU32(key, 12)}/${keyU32(key, 16)}/${keyU32(key, 0)} ${keyF64(key, 4)}`);
    return true;
  });
  let queued = 0;
  for (const listed of listKeys(db, ALL)) {
    const tenant = tenantIdOf(db, listed.tenant);
    const { shard, level } = listed;
    const where = `queue ${tenant}/${shard}/${level}`;
    const length = db.get("compactionKeys", queueKey({ tenant, shard, level }));
    const createdAtMs = db.f64[KEY_HEAD.createdAtMs64] as number;
    const staged = readIds(db, KEY_HEAD.bytes, length);
    for (const id of staged) place(tenant, shard, id, where);
    const isAged = ages.delete(`${tenant}/${shard}/${level} ${createdAtMs}`);
    problems.check(isAged === staged.length > 0, () => `${where} has a wrong age row`);
    let batches = 0;
    let blocks = staged.length;
    const end = queueBatchKey({ tenant, shard, level }, 0xffff_ffff).slice();
    db.scan(
      "compactionBatches",
      queueBatchKey({ tenant, shard, level }, 0).slice(),
      end,
      (_key, bytes) => {
        const ids = readIds(db, BATCH_HEAD.bytes, bytes);
        problems.check(ids.length > 0, () => `${where} has an empty batch`);
        for (const id of ids) place(tenant, shard, id, where);
        batches++;
        blocks += ids.length;
        return true;
      },
    );
    problems.same(`${where} batches`, listed.batches, batches);
    problems.same(`${where} blocks`, listed.blocks, blocks);
    problems.check(blocks > 0, () => `${where} is empty`);
    queued += blocks;
  }
  for (const age of ages) problems.add(`age row ${age} belongs to no key`);
  return queued;
}

/** The order of flushing against the batches. */
function checkOrder(db: IndexDatabase, problems: Problems): void {
  const places: { level: number; flush: number; tenant: number; shard: number; seq: number }[] = [];
  db.scan("compactionOrder", FIRST, LAST, (key) => {
    const [tenant, shard, seq] = [db.u32[0] as number, db.u32[1] as number, db.u32[2] as number];
    places.push({ level: keyU32(key, 0), flush: keyU64(key, 4), tenant, shard, seq });
    return true;
  });
  for (const at of places) {
    const length = db.get("compactionBatches", queueBatchKey(at, at.seq));
    const flush = length < 0 ? -1 : (db.f64[BATCH_HEAD.flush64] as number);
    problems.same(`flush of batch ${at.tenant}/${at.shard}/${at.level}/${at.seq}`, at.flush, flush);
  }
  let batches = 0;
  db.scan("compactionBatches", FIRST, LAST, (key) => {
    batches++;
    problems.check(key.length === 16, () => "a batch has a malformed key");
    return true;
  });
  problems.same("compaction batches", places.length, batches);
}

/** Jobs against their plans, their order and their shards. */
function checkJobs(db: IndexDatabase, problems: Problems, place: Place): number {
  const jobs = listJobs(db, ALL);
  const held = new Set(
    jobs.flatMap((job) => (job.status === JOB_STATUS.inProgress ? [job.name] : [])),
  );
  let ordered = 0;
  for (const state of jobs) {
    const plan = readJobPlan(db, state.name);
    problems.check(plan !== null, () => `job ${state.name} has no plan`);
    const tenant = plan === null ? -1 : tenantIdOf(db, plan.tenant);
    for (const id of plan?.sourceBlocks ?? []) {
      place(tenant, plan?.shard ?? 0, id, `job ${state.name}`);
    }
    const placed = readPlacedState(db, state.name);
    const order = placed === null ? null : jobOrderKey(placed);
    if (placed === null || order === null) continue;
    const isAhead = placed.leaseExpiresAtMs > state.leaseExpiresAtMs;
    problems.check(!isAhead, () => `job ${state.name} stands behind its lease in the order`);
    ordered++;
    problems.check(db.has("compactionJobOrder", order), () => `job ${state.name} is not in order`);
  }
  problems.same("compaction job order", countRows(db, "compactionJobOrder"), ordered);
  db.scan("compactionLeases", FIRST, LAST, (key) => {
    const name = Buffer.from(key).toString("utf8");
    problems.check(held.has(name), () => `lease of ${name}, which nobody has`);
    return true;
  });
  problems.same("compaction job plans", countRows(db, "compactionJobPlans"), jobs.length);
  problems.same("compaction job shards", countRows(db, "compactionJobShards"), jobs.length);
  return jobs.length;
}

/** Takes every block of the index out of `places`; returns how many of a queued level were not in it. */
function checkBlocks(db: IndexDatabase, places: Map<string, string>, levels: number): number {
  const owners = new Map<number, string>();
  db.scan("partitions", FIRST, LAST, (key, length) => {
    for (let at = 0; at < length; at += SHARD_RECORD_BYTES) {
      const shard = db.u32[(at >>> 2) + SHARD_RECORD.shard32] as number;
      const ordinal = db.u32[(at >>> 2) + SHARD_RECORD.ordinal32] as number;
      owners.set(ordinal, `${keyU32(key, 0)}/${shard}`);
    }
    return true;
  });
  const reader = new EntryReader(db);
  let strays = 0;
  db.scan("blocks", FIRST, LAST, (key, length) => {
    const owner = owners.get(keyU32(key, 0));
    // Rows of a deleted shard that wait to be swept.
    if (owner === undefined) return true;
    reader.reset(0, length);
    const isPlaced = places.delete(`${owner}/${encodeUlid(key, 4)}`);
    if (!isPlaced && reader.compactionLevel < levels) strays++;
    return true;
  });
  return strays;
}

function readIds(db: IndexDatabase, from: number, length: number): string[] {
  const ids: string[] = [];
  for (let at = from; at < length; at += QUEUE_ROW.bytes) ids.push(encodeUlid(db.u8, at));
  return ids;
}

function countRows(db: IndexDatabase, table: Parameters<IndexDatabase["scan"]>[0]): number {
  let rows = 0;
  db.scan(table, FIRST, LAST, () => {
    rows++;
    return true;
  });
  return rows;
}
