/** How jobs stand in the database, for the writer and for the planner's thread. Pictures: DESIGN.md. */

import { type IndexDatabase, KeyBuffer } from "../../db/index.ts";
import {
  decodeJobPlan,
  JOB_STATUS,
  type JobPlan,
  type JobState,
  LIMITS,
} from "../../protocol/index.ts";

/** Value of `compactionJobs`, before owner and reason. */
const STATE_HEAD = {
  bytes: 40,
  token64: 0,
  /** By which the job stands in the order; `compactionLeases` has a later one if it was renewed since. */
  leaseExpiresAtMs64: 1,
  addedAtMs64: 2,
  level32: 6,
  status32: 7,
  failures32: 8,
  ownerBytes32: 9,
} as const;

/** Bytes of a `compactionJobOrder` key before the name. */
export const JOB_ORDER_HEAD_BYTES = 28;

const encoder = new TextEncoder();
/** Made once, and filled again and again: leases of hundreds of jobs move with every plan. */
const nameBytes = Buffer.alloc(3 * LIMITS.jobNameMaxBytes);
const orderKey = new KeyBuffer(JOB_ORDER_HEAD_BYTES + nameBytes.length);
const rowBytes = Buffer.from(
  new ArrayBuffer(STATE_HEAD.bytes + 3 * (LIMITS.workerNameMaxBytes + LIMITS.jobReasonMaxBytes)),
);
const rowF64 = new Float64Array(rowBytes.buffer, 0, STATE_HEAD.bytes / 8);
const rowU32 = new Uint32Array(rowBytes.buffer, 0, STATE_HEAD.bytes / 4);
const lease = new Float64Array(1);
const leaseBytes = new Uint8Array(lease.buffer);
const EMPTY = new Uint8Array(0);

type OrderPlace = Pick<
  JobState,
  "level" | "status" | "failures" | "leaseExpiresAtMs" | "addedAtMs"
>;

/** Key of `compactionJobs` and `compactionJobPlans`. Borrowed until the next call. */
export function jobKey(name: string): Uint8Array {
  if (3 * name.length > nameBytes.length) return encoder.encode(name);
  return nameBytes.subarray(0, nameBytes.write(name, "utf8"));
}

/** Where a job stands in the order in which jobs are handed out; null: it is not handed out. Borrowed until the next call. */
export function jobOrderKey(state: JobState): Uint8Array | null {
  return state.status > JOB_STATUS.inProgress ? null : orderKeyOf(state, jobKey(state.name));
}

/** Bytes of the job's row, or -1. Workers may name anything, and a key must not be empty. */
function findJob(
  db: IndexDatabase,
  table: "compactionJobs" | "compactionJobPlans",
  name: string,
): number {
  return name === "" ? -1 : db.get(table, jobKey(name));
}

function orderKeyOf(place: OrderPlace, name: Uint8Array): Uint8Array {
  const length = JOB_ORDER_HEAD_BYTES + name.length;
  const key = length > orderKey.bytes.length ? new KeyBuffer(length) : orderKey;
  fillOrder(key, place).copy(JOB_ORDER_HEAD_BYTES, name, 0, name.length);
  return key.bytes.subarray(0, length);
}

function fillOrder(key: KeyBuffer, place: OrderPlace): KeyBuffer {
  return key
    .u32(0, place.level)
    .u32(4, place.status)
    .u32(8, place.failures)
    .f64(12, Math.max(0, place.leaseExpiresAtMs))
    .f64(20, Math.max(0, place.addedAtMs));
}

/** The same without a name: before all jobs of that place. Owned. */
export function jobOrderStart(place: OrderPlace): Uint8Array {
  return fillOrder(new KeyBuffer(JOB_ORDER_HEAD_BYTES), place).bytes;
}

/** Key of `compactionJobShards`. Owned. */
export function jobShardKey(tenant: number, shard: number, name: string): Uint8Array {
  const bytes = jobKey(name);
  return new KeyBuffer(8 + bytes.length)
    .u32(0, tenant)
    .u32(4, shard)
    .copy(8, bytes, 0, bytes.length).bytes;
}

/** Stores a state and its place in the order. Inside the write transaction. */
export function putJobState(db: IndexDatabase, state: JobState): void {
  let end = STATE_HEAD.bytes;
  const ownerBytes = state.owner === "" ? 0 : rowBytes.write(state.owner, end, "utf8");
  end += ownerBytes;
  if (state.reason !== "") end += rowBytes.write(state.reason, end, "utf8");
  rowF64[STATE_HEAD.token64] = state.token;
  rowF64[STATE_HEAD.leaseExpiresAtMs64] = state.leaseExpiresAtMs;
  rowF64[STATE_HEAD.addedAtMs64] = state.addedAtMs;
  rowU32[STATE_HEAD.level32] = state.level;
  rowU32[STATE_HEAD.status32] = state.status;
  rowU32[STATE_HEAD.failures32] = state.failures;
  rowU32[STATE_HEAD.ownerBytes32] = ownerBytes;
  const key = jobKey(state.name);
  db.putPart("compactionJobs", key, rowBytes, 0, end);
  if (state.status <= JOB_STATUS.inProgress) {
    db.put("compactionJobOrder", orderKeyOf(state, key), EMPTY);
  }
}

/**
 * Moves the end of a job's lease and nothing else: what most entries about jobs do, so neither state nor name becomes a
 * value on the way, and as a rule one small row is written. The job keeps its place in the order while that is at most
 * `slackMs` behind. Jobs that are not in progress are left alone. Inside the write transaction.
 */
export function renewLease(
  db: IndexDatabase,
  name: string,
  leaseExpiresAtMs: number,
  slackMs: number,
): void {
  const key = jobKey(name);
  const length = findJob(db, "compactionJobs", name);
  if (length < 0 || db.u32[STATE_HEAD.status32] !== JOB_STATUS.inProgress) return;
  const behindMs = leaseExpiresAtMs - (db.f64[STATE_HEAD.leaseExpiresAtMs64] as number);
  if (behindMs >= 0 && behindMs <= slackMs) {
    lease[0] = leaseExpiresAtMs;
    db.put("compactionLeases", key, leaseBytes);
    return;
  }
  for (let i = 0; i < length; i++) rowBytes[i] = db.u8[i] as number;
  const place = {
    level: rowU32[STATE_HEAD.level32] as number,
    status: rowU32[STATE_HEAD.status32] as number,
    failures: rowU32[STATE_HEAD.failures32] as number,
    leaseExpiresAtMs: rowF64[STATE_HEAD.leaseExpiresAtMs64] as number,
    addedAtMs: rowF64[STATE_HEAD.addedAtMs64] as number,
  };
  rowF64[STATE_HEAD.leaseExpiresAtMs64] = leaseExpiresAtMs;
  db.putPart("compactionJobs", key, rowBytes, 0, length);
  db.remove("compactionJobOrder", orderKeyOf(place, key));
  place.leaseExpiresAtMs = leaseExpiresAtMs;
  db.put("compactionJobOrder", orderKeyOf(place, key), EMPTY);
  forgetLease(db, name);
}

/** The lease ends with the job's row again. Inside the write transaction. */
export function forgetLease(db: IndexDatabase, name: string): void {
  db.remove("compactionLeases", jobKey(name));
}

/** When the lease of a job in progress ends that stands in the order at `placedMs`. Inside a transaction. */
export function leaseOf(db: IndexDatabase, name: string, placedMs: number): number {
  const length = db.get("compactionLeases", jobKey(name));
  return length < 0 ? placedMs : (db.f64[0] as number);
}

/** Whether a job is in progress under that token. Inside a transaction. */
export function isHeld(db: IndexDatabase, name: string, token: number): boolean {
  return (
    findJob(db, "compactionJobs", name) >= 0 &&
    db.u32[STATE_HEAD.status32] === JOB_STATUS.inProgress &&
    db.f64[STATE_HEAD.token64] === token
  );
}

/** The job of that name, or null. Inside a transaction. */
export function readJobState(db: IndexDatabase, name: string): JobState | null {
  const placed = readPlacedState(db, name);
  return placed === null ? null : withLease(db, placed);
}

/** The same as it stands in the order in which jobs are handed out: its lease may have been renewed since. */
export function readPlacedState(db: IndexDatabase, name: string): JobState | null {
  const length = findJob(db, "compactionJobs", name);
  return length < 0 ? null : decodeJobState(db, name, length);
}

/** A placed state with the lease that the job has. Inside a transaction. */
export function withLease(db: IndexDatabase, placed: JobState): JobState {
  if (placed.status !== JOB_STATUS.inProgress) return placed;
  return { ...placed, leaseExpiresAtMs: leaseOf(db, placed.name, placed.leaseExpiresAtMs) };
}

/** The value of `compactionJobs` that stands in the scratch buffer: a placed state. */
export function decodeJobState(db: IndexDatabase, name: string, length: number): JobState {
  const { f64, u32 } = db;
  const ownerEnd = STATE_HEAD.bytes + (u32[STATE_HEAD.ownerBytes32] as number);
  return {
    name,
    level: u32[STATE_HEAD.level32] as number,
    status: u32[STATE_HEAD.status32] as number,
    token: f64[STATE_HEAD.token64] as number,
    leaseExpiresAtMs: f64[STATE_HEAD.leaseExpiresAtMs64] as number,
    addedAtMs: f64[STATE_HEAD.addedAtMs64] as number,
    failures: u32[STATE_HEAD.failures32] as number,
    owner: readText(db, STATE_HEAD.bytes, ownerEnd),
    reason: readText(db, ownerEnd, length),
  };
}

/** The plan of a job, or null. Inside a transaction. */
export function readJobPlan(db: IndexDatabase, name: string): JobPlan | null {
  const length = findJob(db, "compactionJobPlans", name);
  return length < 0 ? null : decodeJobPlan(db.u8, 0, length);
}

function readText(db: IndexDatabase, start: number, end: number): string {
  return start === end ? "" : Buffer.from(db.u8.subarray(start, end)).toString("utf8");
}
