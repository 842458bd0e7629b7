/**
 * Polls of compaction workers and their answers (schemas/command.fbs). Decoders check every offset and throw HearthError
 * invalid_argument; what a result may be is `checkPoll`.
 */

import { Builder } from "flatbuffers";
import type { HearthError } from "../../base/index.ts";
import { validateBlock } from "../block/block-validator.ts";
import { addText, buildOwned } from "../bytes/flat-builder.ts";
import { FlatReader } from "../bytes/flat-reader.ts";
import { addCompacted } from "../command/command-encoder.ts";
import { readCompacted } from "../command/command-tables.ts";
import { readPlan } from "../command/plan-decoder.ts";
import { addPlan } from "../command/plan-encoder.ts";
import type { JobPlan } from "../command/plan-types.ts";
import type { CompactedBlocks } from "../command/types.ts";
import {
  JobAssignment as AssignmentTable,
  JobReport as ReportTable,
  PollReply as ReplyTable,
  PollRequest as RequestTable,
} from "../gen/command.ts";
import { LIMITS } from "../limits.ts";
import { refusalError } from "../refusals.ts";

/**
 * A status as it is reported; numbers 0 to 2 are the contract's. `released`: the worker never began, and that is no
 * failure of the job.
 */
export const REPORT_STATUS = {
  unspecified: 0,
  inProgress: 1,
  success: 2,
  failed: 3,
  released: 4,
} as const;

/** What a worker says about one of its jobs. */
export interface JobReport {
  readonly name: string;
  readonly token: number;
  /** One of REPORT_STATUS; others count as unspecified. */
  readonly status: number;
  /** Why it failed, in words. */
  readonly reason: string;
  /** The result; borrowed from the bytes when decoded. */
  readonly compacted: CompactedBlocks | null;
}

export interface PollRequest {
  /** Identity of the worker process; "": repeats are not known. */
  readonly worker: string;
  /** Grows from poll to poll of a worker; a repeat has the same. */
  readonly requestId: number;
  /** How many more jobs it can take. */
  readonly capacity: number;
  /** How long it would wait for a job, when it reports nothing. */
  readonly waitMs: number;
  readonly reports: readonly JobReport[];
}

export interface JobAssignment {
  readonly name: string;
  readonly token: number;
  /** How long the lease lasts from the answer on. A duration: the clocks of worker and leader may differ. */
  readonly leaseMs: number;
}

export interface PollReply {
  /** Jobs that this poll was given. */
  readonly jobs: readonly JobPlan[];
  /** Leases refreshed, in the order of the reports, then those of the new jobs. */
  readonly assignments: readonly JobAssignment[];
}

export function encodePollRequest(poll: PollRequest): Uint8Array {
  const builder = new Builder(1024);
  const reports = poll.reports.map((report) => {
    const name = addText(builder, report.name);
    const reason = addText(builder, report.reason);
    const compacted = report.compacted === null ? 0 : addCompacted(builder, report.compacted);
    ReportTable.startJobReport(builder);
    ReportTable.addName(builder, name);
    ReportTable.addToken(builder, report.token);
    ReportTable.addStatus(builder, report.status);
    ReportTable.addReason(builder, reason);
    ReportTable.addCompacted(builder, compacted);
    return ReportTable.endJobReport(builder);
  });
  const vector = RequestTable.createReportsVector(builder, reports);
  const worker = addText(builder, poll.worker);
  const { requestId, capacity, waitMs } = poll;
  builder.finish(
    RequestTable.createPollRequest(builder, worker, requestId, capacity, waitMs, vector),
  );
  return builder.asUint8Array();
}

export function decodePollRequest(
  bytes: Uint8Array,
  offset = 0,
  length: number = bytes.length - offset,
): PollRequest {
  const root = new FlatReader().open(bytes, offset, length);
  const reports = root.tables(4, LIMITS.jobsPerCommandMax, "job reports").map((report) => {
    const compacted = report.table(4);
    return {
      name: report.text(0, LIMITS.jobNameMaxBytes, "job name"),
      token: report.f64(1),
      status: report.u8(2),
      reason: report.text(3, LIMITS.jobReasonMaxBytes, "reason"),
      compacted: compacted === null ? null : readCompacted(compacted),
    };
  });
  return {
    worker: root.text(0, LIMITS.workerNameMaxBytes, "worker"),
    requestId: root.f64(1),
    capacity: root.u32(2),
    waitMs: root.u32(3),
    reports,
  };
}

/**
 * What can be said of a poll by itself: one report per job, at most so many results, each a block that the index can
 * take. Errors: throws HearthError invalid_argument.
 */
export function checkPoll(poll: PollRequest): void {
  const names = new Set<string>();
  let blocks = 0;
  for (const { name, compacted } of poll.reports) {
    if (names.has(name)) {
      throw refusalError({
        reason: "duplicate_report",
        message: `Cannot take the poll: it reports job ${JSON.stringify(name)} twice`,
      });
    }
    names.add(name);
    for (const block of compacted?.newBlocks ?? []) {
      blocks++;
      const failure = validateBlock(block);
      if (failure !== null) throw refusalError(failure);
    }
  }
  if (blocks <= LIMITS.resultsPerPollMax) return;
  throw refusalError({
    reason: "too_many_blocks",
    message: `Cannot take the poll: it has ${blocks} new blocks, limit is ${LIMITS.resultsPerPollMax}`,
  });
}

/** Owned. */
export function encodePollReply(reply: PollReply): Uint8Array<ArrayBuffer> {
  return buildOwned((builder) => {
    const jobs = ReplyTable.createJobsVector(
      builder,
      reply.jobs.map((plan) => addPlan(builder, plan)),
    );
    const assignments = reply.assignments.map(({ name, token, leaseMs }) =>
      AssignmentTable.createJobAssignment(builder, addText(builder, name), token, leaseMs),
    );
    const vector = ReplyTable.createAssignmentsVector(builder, assignments);
    return ReplyTable.createPollReply(builder, jobs, vector);
  });
}

export function decodePollReply(
  bytes: Uint8Array,
  offset = 0,
  length: number = bytes.length - offset,
): PollReply {
  const root = new FlatReader().open(bytes, offset, length);
  const assignments = root.tables(1, 2 * LIMITS.jobsPerCommandMax, "assignments").map((table) => ({
    name: table.text(0, LIMITS.jobNameMaxBytes, "job name"),
    token: table.f64(1),
    leaseMs: table.f64(2),
  }));
  return { jobs: root.tables(0, LIMITS.jobsPerCommandMax, "jobs").map(readPlan), assignments };
}

/** The error of a result that does not belong to its job. */
export function foreignResultError(message: string): HearthError {
  return refusalError({ reason: "foreign_result", message });
}
