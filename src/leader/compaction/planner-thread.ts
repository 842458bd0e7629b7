/**
 * Task: makes one plan from one read transaction. The thread keeps its database open from plan to plan; `close` closes
 * it, before the thread ends.
 */

import { packBytes, unpackBytes } from "../../base/index.ts";
import { APPLIED_RECORD, IndexDatabase, META_KEYS } from "../../db/index.ts";
import {
  appendEntry,
  ByteSink,
  COMMAND,
  decodePollRequest,
  encodePlanUpdate,
  encodePollReply,
  LIMITS,
  type PollRequest,
} from "../../protocol/index.ts";
import { findStrays, prepare, readPolicy, type StrayCursor, workerOf } from "../../state/index.ts";
import type { DatabasePlace, PlannerRequest, PlannerResult } from "./messages.ts";

let open: { readonly place: DatabasePlace; readonly db: IndexDatabase } | null = null;

export async function runTask(request: PlannerRequest): Promise<PlannerResult> {
  if (request.kind === "close") {
    await open?.db.close();
    open = null;
    return { kind: "closed" };
  }
  const { database: place } = request;
  const isSame =
    open?.place.directory === place.directory && open.place.generation === place.generation;
  if (open !== null && !isSame) {
    await open.db.close();
    open = null;
  }
  open ??= { place, db: IndexDatabase.open({ ...place, role: "reader" }) };
  const { db } = open;
  db.beginRead();
  try {
    return plan(db, request);
  } finally {
    db.endRead();
  }
}

type PlanRequest = Extract<PlannerRequest, { kind: "plan" }>;

function plan(db: IndexDatabase, request: PlanRequest): PlannerResult {
  const length = db.get("meta", META_KEYS.applied);
  const appliedIndex = length < 0 ? 0 : (db.f64[APPLIED_RECORD.index64] as number);
  if (appliedIndex < request.minIndex) return { kind: "behind", appliedIndex };
  const policy = readPolicy(db);
  if (policy === null) return { kind: "off" };
  const { nowMs, term } = request;
  let strays: StrayCursor | null | undefined;
  let found: ReturnType<typeof findStrays>["found"] = [];
  if (request.strays !== undefined) {
    const search = findStrays(db, policy, request.strays);
    found = search.found;
    strays = search.next ?? undefined;
  }
  const polls = pollsOfPlan(unpackBytes(request.polls));
  // No plan was made from this view before that was applied: one that was is an entry above it (DESIGN.md, "Plans").
  const token = appliedIndex + 1;
  const prepared = prepare(db, polls, { nowMs, term, token, strays: found });
  if (prepared === null) return { kind: "off" };
  const replies = prepared.answers.map(({ assignments, jobs }) => {
    const leases = assignments.map(({ name, token: own, leaseExpiresAtMs }) => ({
      name,
      token: own,
      leaseMs: Math.max(0, leaseExpiresAtMs - nowMs),
    }));
    return encodePollReply({ jobs, assignments: leases });
  });
  const answers = {
    replies: packBytes(replies),
    areEmpty: prepared.answers.map(({ assignments }) => assignments.length === 0),
    refusals: prepared.refusals,
    reports: prepared.reports,
  };
  const entry = prepared.isEmpty ? null : encodeEntry(encodePlanUpdate(prepared.plan));
  return {
    kind: "planned",
    entry,
    answers,
    strays,
    workers: [...new Set(polls.flatMap(({ worker }) => workerOf(worker) ?? []))],
    newJobs: prepared.plan.newJobs.length,
  };
}

/** As many of the polls as one plan can hold the reports of; at least one. */
function pollsOfPlan(payloads: readonly Uint8Array[]): PollRequest[] {
  const polls: PollRequest[] = [];
  let reports = 0;
  for (const payload of payloads) {
    const poll = decodePollRequest(payload);
    reports += poll.reports.length;
    if (polls.length > 0 && reports > LIMITS.jobsPerCommandMax) break;
    polls.push(poll);
  }
  return polls;
}

function encodeEntry(payload: Uint8Array): Uint8Array<ArrayBuffer> {
  const sink = new ByteSink(payload.length + 64);
  appendEntry(sink, COMMAND.updateCompactionPlan, payload);
  return sink.copy() as Uint8Array<ArrayBuffer>;
}
