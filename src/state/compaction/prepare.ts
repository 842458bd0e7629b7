/**
 * Makes a plan (compaction spec, section 5): a pure function of one read transaction, a time, a token and what workers
 * say. All polls that wait are planned together, each gets its own part. Changes nothing; runs on the planner's thread.
 */

import type { IndexDatabase } from "../../db/index.ts";
import {
  type BlockRef,
  type FinishedJob,
  JOB_STATUS,
  type JobPlan,
  type JobReport,
  type JobState,
  type NewJob,
  type PlanUpdate,
  type PollRecord,
} from "../../protocol/index.ts";
import { findForeign } from "./check-result.ts";
import { readJobPlan, readJobState } from "./job-rows.ts";
import { CompactionMeta } from "./meta.ts";
import { listParked } from "./parked.ts";
import { Planner } from "./planner.ts";
import type { CompactionPolicy } from "./policy.ts";
import { findOrphans } from "./orphans.ts";
import { tenantName } from "./rows.ts";
import { type RevokedReason, Schedule } from "./schedule.ts";
import { TenantRoom } from "./tenant-room.ts";
import { TombstoneCursor } from "./tombstone-cursor.ts";
import { readAnswer } from "./workers.ts";

export interface Poll {
  /** Identity of the worker process; "": it has none, repeats are not known. */
  readonly worker: string;
  /** Grows from poll to poll of a worker; a repeat has the same. */
  readonly requestId: number;
  /** How many more jobs it can take. */
  readonly capacity: number;
  /** At most one per job. */
  readonly reports: readonly JobReport[];
}

export interface Assignment {
  readonly name: string;
  readonly token: number;
  readonly leaseExpiresAtMs: number;
}

/** What one poll is answered, once the plan is applied. */
export interface PollAnswer {
  /** Refreshed jobs in the order of the reports, then newly assigned ones. */
  readonly assignments: readonly Assignment[];
  /** Of the newly assigned ones. */
  readonly jobs: readonly JobPlan[];
}

export interface PrepareOptions {
  readonly nowMs: number;
  /** Grows from plan to plan. */
  readonly token: number;
  readonly term: number;
  /** Blocks that a scan of the index found in no queue. */
  readonly strays?: readonly BlockRef[];
}

export interface Prepared {
  readonly plan: PlanUpdate;
  /** Nothing to apply: the answers hold as they are. */
  readonly isEmpty: boolean;
  /** By position of the polls. */
  readonly answers: readonly PollAnswer[];
  /** By position of the polls: why nothing that a poll says counts, or null. */
  readonly refusals: readonly (string | null)[];
  /** What became of the reports of all polls; those of repeated and refused polls are not counted. */
  readonly reports: Readonly<ReportCounts>;
}

/** Reports by what became of them; the last three changed nothing. */
export type ReportCounts = Record<
  "refreshed" | "completed" | "failed" | "released" | RevokedReason,
  number
>;

/** Jobs that one plan creates or assigns at most: bounds the entry, whatever capacity workers claim. */
export const PLAN_JOBS_MAX = 1_024;
/** Source blocks of the jobs that one plan creates at most, and of those it assigns: bounds entry and answer as well. */
const PLAN_SOURCES_MAX = 32_768;
/** Blocks that one plan queues again at most. */
const REQUEUE_MAX = 256;
/** Exhausted jobs that one plan gives up because nobody has wanted them for long. */
const GIVE_UP_MAX = 16;

/** Inside a read transaction. null: compaction is off. */
export function prepare(
  db: IndexDatabase,
  polls: readonly Poll[],
  options: PrepareOptions,
): Prepared | null {
  const meta = new CompactionMeta();
  meta.load(db);
  const { policy } = meta;
  if (policy === null) return null;
  return new Preparation(db, meta, policy, options).run(polls);
}

interface PollState {
  /** Positions in the lists of the plan. */
  readonly refreshed: number[];
  readonly assigned: number[];
  /** Whether it completed a job: a repeat must not be judged anew. */
  hasCompleted: boolean;
  slots: number;
  jobs: JobPlan[];
  /** The answer to an earlier delivery of the same poll. */
  repeated: PollAnswer | null;
  /** Why nothing of the poll counts. */
  refusal: string | null;
}

class Preparation {
  readonly #db: IndexDatabase;
  readonly #meta: CompactionMeta;
  readonly #policy: CompactionPolicy;
  readonly #options: PrepareOptions;
  readonly #schedule: Schedule;
  readonly #planner: Planner;
  readonly #room: TenantRoom;
  readonly #tombstones: TombstoneCursor;
  readonly #newJobs: NewJob[] = [];
  readonly #assigned: JobState[] = [];
  /** From their owners, who failed them or never began. */
  readonly #takenBack: JobState[] = [];
  /** Jobs whose leases go on, with the tokens that they keep. */
  readonly #refreshed: { readonly name: string; readonly token: number }[] = [];
  readonly #completed: FinishedJob[] = [];
  readonly #evicted: JobState[] = [];
  readonly #orphans: BlockRef[] = [];
  #sourcesCreated = 0;
  #sourcesAssigned = 0;
  readonly #reports: ReportCounts = {
    refreshed: 0,
    completed: 0,
    failed: 0,
    released: 0,
    unknown_job: 0,
    wrong_token: 0,
    unknown_status: 0,
  };

  constructor(
    db: IndexDatabase,
    meta: CompactionMeta,
    policy: CompactionPolicy,
    options: PrepareOptions,
  ) {
    this.#db = db;
    this.#meta = meta;
    this.#policy = policy;
    this.#options = options;
    const { nowMs, token } = options;
    this.#schedule = new Schedule(db, { policy, nowMs, token, jobs: meta.jobs });
    const hasRoom = (tenant: string): boolean => this.#room.has(tenant);
    this.#room = new TenantRoom(db, policy);
    this.#planner = new Planner(db, policy, { nowMs, hasRoom });
    this.#tombstones = new TombstoneCursor(db, policy, nowMs);
  }

  /** Reports of all polls come first: no job that is reported now is given to another worker. */
  run(polls: readonly Poll[]): Prepared {
    const states = polls.map((poll) => this.#begin(poll));
    for (const [i, poll] of polls.entries()) this.#assign(poll, states[i] as PollState);
    this.#giveUp();
    for (const state of states) this.#create(state.slots);
    const requeued = [...this.#dueBlocks(), ...(this.#options.strays ?? [])];
    const plan = this.#plan(polls, states, requeued);
    return {
      plan,
      isEmpty: isEmptyPlan(plan),
      answers: states.map((state) => this.#answer(state)),
      refusals: states.map(({ refusal }) => refusal),
      reports: this.#reports,
    };
  }

  #findForeign({ reports }: Poll): string | null {
    for (const { name, compacted } of reports) {
      const plan = compacted === null ? null : readJobPlan(this.#db, name);
      const foreign = plan === null || compacted === null ? null : findForeign(plan, compacted);
      if (foreign !== null) return foreign;
    }
    return null;
  }

  #begin(poll: Poll): PollState {
    const state: PollState = {
      refreshed: [],
      assigned: [],
      hasCompleted: false,
      slots: poll.capacity,
      jobs: [],
      repeated: this.#findAnswer(poll),
      refusal: this.#findForeign(poll),
    };
    if (state.repeated !== null || state.refusal !== null) return { ...state, slots: 0 };
    for (const report of poll.reports) this.#report(report, state);
    return state;
  }

  #report(report: JobReport, poll: PollState): void {
    const { name, token, status, reason, compacted } = report;
    const outcome = this.#schedule.report(name, token, status, reason);
    this.#reports[outcome.kind === "revoked" ? outcome.reason : outcome.kind]++;
    switch (outcome.kind) {
      case "revoked":
        poll.slots++;
        if (compacted !== null) this.#orphans.push(...findOrphans(this.#db, name, compacted));
        return;
      case "completed":
        this.#completed.push({ state: outcome.state, compacted });
        poll.hasCompleted = true;
        return;
      case "refreshed":
        poll.refreshed.push(this.#refreshed.length);
        this.#refreshed.push({ name, token });
        return;
      case "failed":
      case "released":
        this.#takenBack.push(outcome.state);
        return;
    }
  }

  #assign(poll: Poll, state: PollState): void {
    for (let slot = 0; slot < state.slots && this.#assigned.length < PLAN_JOBS_MAX; slot++) {
      if (this.#sourcesAssigned >= PLAN_SOURCES_MAX) return;
      const next = this.#schedule.nextAssignment(poll.worker);
      if (next === null) return;
      this.#sourcesAssigned += next.plan.sourceBlocks.length;
      state.assigned.push(this.#assigned.length);
      this.#assigned.push(next.state);
      state.jobs.push(next.plan);
    }
  }

  /** Spec 5.3: evictions and creations take turns. */
  #create(slots: number): void {
    for (let slot = 0; slot < slots && this.#newJobs.length < PLAN_JOBS_MAX; slot++) {
      if (this.#sourcesCreated >= PLAN_SOURCES_MAX) return;
      if (this.#schedule.isOverfull) this.#evict();
      if (!this.#schedule.hasRoom && !this.#canEvict()) return;
      const draft = this.#planner.next();
      if (draft === null) return;
      if (!this.#schedule.hasRoom && !this.#evict()) return;
      const tombstones = this.#tombstones.take(draft.level);
      const job = this.#schedule.admit(draft, tombstones);
      if (job === null) continue;
      this.#newJobs.push(job);
      this.#room.admitted(draft.tenant);
      this.#sourcesCreated += draft.sourceBlocks.length;
    }
  }

  #canEvict(): boolean {
    return this.#policy.failuresMax > 0;
  }

  #evict(idleMs = 0): boolean {
    const evicted = this.#schedule.nextEviction(idleMs);
    if (evicted !== null) this.#evicted.push(evicted);
    return evicted !== null;
  }

  /** Exhausted jobs that nobody has held for long: their blocks must not be forgotten. */
  #giveUp(): void {
    const { exhaustedDelayMs } = this.#policy;
    if (exhaustedDelayMs === 0) return;
    for (let i = 0; i < GIVE_UP_MAX && this.#evict(exhaustedDelayMs); i++);
  }

  #dueBlocks(): BlockRef[] {
    if (this.#meta.parked === 0) return [];
    return listParked(this.#db, this.#options.nowMs, REQUEUE_MAX).map((parked) => ({
      ...parked,
      tenant: tenantName(this.#db, parked.tenant),
    }));
  }

  #plan(
    polls: readonly Poll[],
    states: readonly PollState[],
    requeued: readonly BlockRef[],
  ): PlanUpdate {
    const records: PollRecord[] = [];
    for (const [i, { worker, requestId }] of polls.entries()) {
      const { refreshed, assigned, hasCompleted, repeated } = states[i] as PollState;
      // A poll that only renewed leases may be planned again when it is repeated: its answer is the same.
      const isKept = worker !== "" && repeated === null && (hasCompleted || assigned.length > 0);
      if (isKept) records.push({ worker, requestId, updated: [], assigned, refreshed });
    }
    return {
      term: this.#options.term,
      revision: this.#meta.revision,
      nowMs: this.#options.nowMs,
      newJobs: this.#newJobs,
      assignedJobs: this.#assigned,
      updatedJobs: this.#takenBack,
      completedJobs: this.#completed,
      evictedJobs: this.#evicted,
      requeued,
      orphans: this.#orphans,
      polls: records,
      refreshed: this.#refreshed.map(({ name }) => name),
      refreshedUntilMs: this.#schedule.leasesUntilMs,
    };
  }

  #answer({ refreshed, assigned, jobs, repeated }: PollState): PollAnswer {
    if (repeated !== null) return repeated;
    const leaseExpiresAtMs = this.#schedule.leasesUntilMs;
    const kept = refreshed.map((i) => {
      const { name, token } = this.#refreshed[i] as { name: string; token: number };
      return { name, token, leaseExpiresAtMs };
    });
    const given = assigned.map((i) => toAssignment(this.#assigned[i] as JobState));
    return { assignments: [...kept, ...given], jobs };
  }

  /** What the same poll was answered before, as far as it still holds. */
  #findAnswer({ worker, requestId }: Poll): PollAnswer | null {
    const row = worker === "" ? null : readAnswer(this.#db, worker, requestId);
    if (row === null) return null;
    const held = (name: string): JobState[] => {
      const state = readJobState(this.#db, name);
      const isHeld = state?.status === JOB_STATUS.inProgress && state.owner === worker;
      return isHeld ? [state] : [];
    };
    const assigned = row.assigned.flatMap(held);
    const plans = assigned.flatMap(({ name }) => readJobPlan(this.#db, name) ?? []);
    return {
      assignments: [...row.updated.flatMap(held), ...assigned].map(toAssignment),
      jobs: plans,
    };
  }
}

function toAssignment({ name, token, leaseExpiresAtMs }: JobState): Assignment {
  return { name, token, leaseExpiresAtMs };
}

function isEmptyPlan(plan: PlanUpdate): boolean {
  const { newJobs, assignedJobs, updatedJobs, completedJobs, evictedJobs } = plan;
  const lists = [newJobs, assignedJobs, updatedJobs, completedJobs, evictedJobs];
  return [...lists, plan.requeued, plan.orphans, plan.refreshed].every(
    ({ length }) => length === 0,
  );
}
