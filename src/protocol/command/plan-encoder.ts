/**
 * Payloads of the compaction commands, written through the generated builder on the planner's thread. Each returns an
 * owned FlatBuffer for `appendEntry`.
 */

import { Builder, type Offset } from "flatbuffers";
import {
  BlockRef as BlockRefTable,
  ControlJobs as ControlJobsTable,
  FinishedJob as FinishedJobTable,
  JobPlan as JobPlanTable,
  JobState as JobStateTable,
  NewJob as NewJobTable,
  PollRecord as PollRecordTable,
  SetCompactionPolicy,
  UpdateCompactionPlan,
} from "../gen/command.ts";
import { addText, addTexts, buildOwned } from "../bytes/flat-builder.ts";
import { addCompacted, addTombstone } from "./command-encoder.ts";
import {
  type BlockRef,
  CONTROL_ACTION,
  type ControlJobs,
  type FinishedJob,
  type JobPlan,
  type JobState,
  type NewJob,
  type PlanUpdate,
  type PollRecord,
} from "./plan-types.ts";

/** Payload of UpdateCompactionPlan. */
export function encodePlanUpdate(plan: PlanUpdate): Uint8Array {
  const builder = new Builder(4096);
  const newJobs = UpdateCompactionPlan.createNewJobsVector(
    builder,
    plan.newJobs.map((job) => addNewJob(builder, job)),
  );
  const states = (jobs: readonly JobState[]): Offset[] =>
    jobs.map((state) => addState(builder, state));
  const assigned = states(plan.assignedJobs);
  const assignedJobs = UpdateCompactionPlan.createAssignedJobsVector(builder, assigned);
  const updated = states(plan.updatedJobs);
  const updatedJobs = UpdateCompactionPlan.createUpdatedJobsVector(builder, updated);
  const completed = plan.completedJobs.map((job) => addFinished(builder, job));
  const completedJobs = UpdateCompactionPlan.createCompletedJobsVector(builder, completed);
  const evicted = states(plan.evictedJobs);
  const evictedJobs = UpdateCompactionPlan.createEvictedJobsVector(builder, evicted);
  const requeued = UpdateCompactionPlan.createRequeuedVector(
    builder,
    plan.requeued.map((block) => addBlockRef(builder, block)),
  );
  const orphans = UpdateCompactionPlan.createOrphansVector(
    builder,
    plan.orphans.map((block) => addBlockRef(builder, block)),
  );
  const polls = UpdateCompactionPlan.createPollsVector(
    builder,
    plan.polls.map((poll) => addPoll(builder, poll)),
  );
  const names = plan.refreshed.map((name) => addText(builder, name));
  const refreshed = UpdateCompactionPlan.createRefreshedVector(builder, names);
  builder.finish(
    UpdateCompactionPlan.createUpdateCompactionPlan(
      builder,
      plan.term,
      plan.revision,
      plan.nowMs,
      newJobs,
      assignedJobs,
      updatedJobs,
      completedJobs,
      evictedJobs,
      requeued,
      orphans,
      polls,
      refreshed,
      plan.refreshedUntilMs,
    ),
  );
  return builder.asUint8Array();
}

/** Payload of SetCompactionPolicy. */
export function encodePolicyCommand(json: string): Uint8Array {
  const builder = new Builder(1024);
  const text = addText(builder, json);
  builder.finish(SetCompactionPolicy.createSetCompactionPolicy(builder, text));
  return builder.asUint8Array();
}

/** Payload of ControlJobs. */
export function encodeControlJobs(control: ControlJobs): Uint8Array {
  const builder = new Builder(1024);
  const names = ControlJobsTable.createNamesVector(builder, addTexts(builder, control.names));
  const reason = addText(builder, control.reason);
  const action = CONTROL_ACTION[control.action];
  builder.finish(ControlJobsTable.createControlJobs(builder, action, names, reason));
  return builder.asUint8Array();
}

/** A plan as the database keeps it. Owned. */
export function encodeJobPlan(plan: JobPlan): Uint8Array {
  return buildOwned((builder) => addPlan(builder, plan));
}

function addNewJob(builder: Builder, job: NewJob): Offset {
  const state = addState(builder, job.state);
  const plan = addPlan(builder, job.plan);
  NewJobTable.startNewJob(builder);
  NewJobTable.addState(builder, state);
  NewJobTable.addPlan(builder, plan);
  return NewJobTable.endNewJob(builder);
}

function addFinished(builder: Builder, job: FinishedJob): Offset {
  const state = addState(builder, job.state);
  const compacted = job.compacted === null ? 0 : addCompacted(builder, job.compacted);
  FinishedJobTable.startFinishedJob(builder);
  FinishedJobTable.addState(builder, state);
  FinishedJobTable.addCompacted(builder, compacted);
  return FinishedJobTable.endFinishedJob(builder);
}

function addState(builder: Builder, state: JobState): Offset {
  const name = addText(builder, state.name);
  const owner = state.owner === "" ? 0 : addText(builder, state.owner);
  const reason = state.reason === "" ? 0 : addText(builder, state.reason);
  return JobStateTable.createJobState(
    builder,
    name,
    state.level,
    state.status,
    state.token,
    state.leaseExpiresAtMs,
    state.addedAtMs,
    state.failures,
    owner,
    reason,
  );
}

export function addPlan(builder: Builder, plan: JobPlan): Offset {
  const tombstones = JobPlanTable.createTombstonesVector(
    builder,
    plan.tombstones.map((tombstone) => addTombstone(builder, tombstone)),
  );
  const sources = JobPlanTable.createSourceBlocksVector(
    builder,
    addTexts(builder, plan.sourceBlocks),
  );
  const name = addText(builder, plan.name);
  const tenant = addText(builder, plan.tenant);
  return JobPlanTable.createJobPlan(
    builder,
    name,
    tenant,
    plan.shard,
    plan.level,
    sources,
    tombstones,
  );
}

function addBlockRef(builder: Builder, block: BlockRef): Offset {
  const tenant = addText(builder, block.tenant);
  const id = addText(builder, block.id);
  return BlockRefTable.createBlockRef(builder, tenant, block.shard, id, block.dueAtMs);
}

function addPoll(builder: Builder, poll: PollRecord): Offset {
  const worker = addText(builder, poll.worker);
  const updated = PollRecordTable.createUpdatedVector(builder, [...poll.updated]);
  const assigned = PollRecordTable.createAssignedVector(builder, [...poll.assigned]);
  const refreshed = PollRecordTable.createRefreshedVector(builder, [...poll.refreshed]);
  const { requestId } = poll;
  return PollRecordTable.createPollRecord(builder, worker, requestId, updated, assigned, refreshed);
}
