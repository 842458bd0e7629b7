/** Payloads of the compaction commands, read with every offset checked. Decoders throw HearthError invalid_argument. */

import { FlatReader, structureError } from "../bytes/flat-reader.ts";
import { LIMITS } from "../limits.ts";
import { readCompacted, readTombstones } from "./command-tables.ts";
import {
  type BlockRef,
  CONTROL_ACTION,
  type ControlAction,
  type ControlJobs,
  type FinishedJob,
  type JobPlan,
  type JobState,
  type NewJob,
  type PlanUpdate,
  type PollRecord,
} from "./plan-types.ts";

/** Payload of UpdateCompactionPlan. New blocks are borrowed from the bytes. */
export function decodePlanUpdate(
  bytes: Uint8Array,
  offset = 0,
  length: number = bytes.length - offset,
): PlanUpdate {
  const root = new FlatReader().open(bytes, offset, length);
  const states = (field: number, what: string): JobState[] =>
    root.tables(field, LIMITS.jobsPerCommandMax, what).map(readState);
  return {
    term: root.f64(0),
    revision: root.f64(1),
    nowMs: root.f64(2),
    newJobs: root.tables(3, LIMITS.jobsPerCommandMax, "new jobs").map(readNewJob),
    assignedJobs: states(4, "assigned jobs"),
    updatedJobs: states(5, "updated jobs"),
    completedJobs: root.tables(6, LIMITS.jobsPerCommandMax, "completed jobs").map(readFinished),
    evictedJobs: states(7, "evicted jobs"),
    requeued: root.tables(8, LIMITS.blocksPerAddMax, "requeued blocks").map(readBlockRef),
    orphans: root.tables(9, LIMITS.blocksPerAddMax, "orphans").map(readBlockRef),
    polls: root.tables(10, LIMITS.jobsPerCommandMax, "polls").map(readPoll),
    refreshed: root.texts(11, LIMITS.jobsPerCommandMax, LIMITS.jobNameMaxBytes, "refreshed jobs"),
    refreshedUntilMs: root.f64(12),
  };
}

/** Payload of SetCompactionPolicy: its JSON text, unchecked. */
export function decodePolicyCommand(
  bytes: Uint8Array,
  offset = 0,
  length: number = bytes.length - offset,
): string {
  return new FlatReader().open(bytes, offset, length).text(0, LIMITS.policyMaxBytes, "policy");
}

/** Payload of ControlJobs. */
export function decodeControlJobs(
  bytes: Uint8Array,
  offset = 0,
  length: number = bytes.length - offset,
): ControlJobs {
  const root = new FlatReader().open(bytes, offset, length);
  const number = root.u8(0);
  const action = (Object.keys(CONTROL_ACTION) as ControlAction[]).find(
    (name) => CONTROL_ACTION[name] === number,
  );
  if (action === undefined) throw structureError(`there is no job action ${number}`);
  return {
    action,
    names: root.texts(1, LIMITS.jobsPerCommandMax, LIMITS.jobNameMaxBytes, "job names"),
    reason: root.text(2, LIMITS.jobReasonMaxBytes, "reason"),
  };
}

/** A plan as `encodeJobPlan` made it. */
export function decodeJobPlan(
  bytes: Uint8Array,
  offset = 0,
  length: number = bytes.length - offset,
): JobPlan {
  return readPlan(new FlatReader().open(bytes, offset, length));
}

function readNewJob(table: FlatReader): NewJob {
  const state = table.table(0);
  const plan = table.table(1);
  if (state === null || plan === null) throw structureError("a new job has no state or no plan");
  return { state: readState(state), plan: readPlan(plan) };
}

function readFinished(table: FlatReader): FinishedJob {
  const state = table.table(0);
  const compacted = table.table(1);
  if (state === null) throw structureError("a completed job has no state");
  return {
    state: readState(state),
    compacted: compacted === null ? null : readCompacted(compacted),
  };
}

function readState(table: FlatReader): JobState {
  return {
    name: readName(table),
    level: table.u32(1),
    status: table.u8(2),
    token: table.f64(3),
    leaseExpiresAtMs: table.f64(4),
    addedAtMs: table.f64(5),
    failures: table.u32(6),
    owner: table.text(7, LIMITS.workerNameMaxBytes, "job owner"),
    reason: table.text(8, LIMITS.jobReasonMaxBytes, "job reason"),
  };
}

export function readPlan(table: FlatReader): JobPlan {
  return {
    name: readName(table),
    tenant: table.text(1, LIMITS.tenantMaxBytes, "job tenant"),
    shard: table.u32(2),
    level: table.u32(3),
    sourceBlocks: table.texts(4, LIMITS.sourcesPerJobMax, LIMITS.idMaxBytes, "source blocks"),
    tombstones: readTombstones(table, 5),
  };
}

/** A name is a key of the database, which must not be empty. */
function readName(table: FlatReader): string {
  const name = table.text(0, LIMITS.jobNameMaxBytes, "job name");
  if (name === "") throw structureError("a job has no name");
  return name;
}

function readBlockRef(table: FlatReader): BlockRef {
  return {
    tenant: table.text(0, LIMITS.tenantMaxBytes, "block tenant"),
    shard: table.u32(1),
    id: table.text(2, LIMITS.idMaxBytes, "block id"),
    dueAtMs: table.f64(3),
  };
}

function readPoll(table: FlatReader): PollRecord {
  return {
    worker: table.text(0, LIMITS.workerNameMaxBytes, "worker"),
    requestId: table.f64(1),
    updated: readNumbers(table, 2),
    assigned: readNumbers(table, 3),
    refreshed: readNumbers(table, 4),
  };
}

function readNumbers(table: FlatReader, field: number): number[] {
  if (!table.vector(field, 4, 4)) return [];
  const start = table.vectorOffset >>> 2;
  return Array.from(table.views.i32.subarray(start, start + table.vectorCount));
}
