/** How jobs stand in the database, for the writer and for the planner's thread. Pictures: DESIGN.md. */

import { type IndexDatabase, KeyBuffer } from "../../db/index.ts";
import { decodeJobPlan, JOB_STATUS, type JobPlan, type JobState } from "../../protocol/index.ts";

/** Value of `compactionJobs`, before owner and reason. */
const STATE_HEAD = {
  bytes: 40,
  token64: 0,
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

/** Key of `compactionJobs` and `compactionJobPlans`. */
export function jobKey(name: string): Uint8Array {
  return encoder.encode(name);
}

/** Where a job stands in the order in which jobs are handed out; null: it is not handed out. Owned. */
export function jobOrderKey(state: JobState): Uint8Array | null {
  if (state.status > JOB_STATUS.inProgress) return null;
  const name = encoder.encode(state.name);
  const key = jobOrderStart(state);
  const whole = new Uint8Array(JOB_ORDER_HEAD_BYTES + name.length);
  whole.set(key);
  whole.set(name, JOB_ORDER_HEAD_BYTES);
  return whole;
}

/** The same without a name: before all jobs of that place. Owned. */
export function jobOrderStart(
  place: Pick<JobState, "level" | "status" | "failures" | "leaseExpiresAtMs" | "addedAtMs">,
): Uint8Array {
  return new KeyBuffer(JOB_ORDER_HEAD_BYTES)
    .u32(0, place.level)
    .u32(4, place.status)
    .u32(8, place.failures)
    .f64(12, Math.max(0, place.leaseExpiresAtMs))
    .f64(20, Math.max(0, place.addedAtMs)).bytes;
}

/** Key of `compactionJobShards`. Owned. */
export function jobShardKey(tenant: number, shard: number, name: string): Uint8Array {
  const bytes = encoder.encode(name);
  return new KeyBuffer(8 + bytes.length)
    .u32(0, tenant)
    .u32(4, shard)
    .copy(8, bytes, 0, bytes.length).bytes;
}

/** Value of `compactionJobs`. Owned. */
export function encodeJobState(state: JobState): Uint8Array {
  const owner = encoder.encode(state.owner);
  const reason = encoder.encode(state.reason);
  const value = new Uint8Array(STATE_HEAD.bytes + owner.length + reason.length);
  const f64 = new Float64Array(value.buffer, 0, 3);
  const u32 = new Uint32Array(value.buffer, 0, STATE_HEAD.bytes / 4);
  f64[STATE_HEAD.token64] = state.token;
  f64[STATE_HEAD.leaseExpiresAtMs64] = state.leaseExpiresAtMs;
  f64[STATE_HEAD.addedAtMs64] = state.addedAtMs;
  u32[STATE_HEAD.level32] = state.level;
  u32[STATE_HEAD.status32] = state.status;
  u32[STATE_HEAD.failures32] = state.failures;
  u32[STATE_HEAD.ownerBytes32] = owner.length;
  value.set(owner, STATE_HEAD.bytes);
  value.set(reason, STATE_HEAD.bytes + owner.length);
  return value;
}

/** The job of that name, or null. Inside a transaction. */
export function readJobState(db: IndexDatabase, name: string): JobState | null {
  const length = db.get("compactionJobs", jobKey(name));
  return length < 0 ? null : decodeJobState(db, name, length);
}

/** The value of `compactionJobs` that stands in the scratch buffer. */
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
  const length = db.get("compactionJobPlans", jobKey(name));
  return length < 0 ? null : decodeJobPlan(db.u8, 0, length);
}

function readText(db: IndexDatabase, start: number, end: number): string {
  return start === end ? "" : Buffer.from(db.u8.subarray(start, end)).toString("utf8");
}
