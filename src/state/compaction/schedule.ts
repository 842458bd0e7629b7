/**
 * What happens to the jobs that are there (compaction spec, section 11): reports, assignments, evictions, admission.
 * Reads one transaction on any thread, and collects its own changes.
 */

import { type IndexDatabase, keyF64, keyU32 } from "../../db/index.ts";
import { JOB_STATUS, type JobPlan, type JobState, REPORT_STATUS } from "../../protocol/index.ts";
import {
  isHeld,
  JOB_ORDER_HEAD_BYTES,
  jobOrderStart,
  leaseOf,
  readJobPlan,
  readJobState,
  readPlacedState,
} from "./job-rows.ts";
import type { CompactionPolicy } from "./policy.ts";
import type { JobDraft } from "./planner.ts";
import { jobName, tenantOfJob } from "./job-name.ts";
import { withReason, withSilence } from "./reasons.ts";

export interface ScheduleOptions {
  readonly policy: CompactionPolicy;
  /** Log time of the preparation, Unix ms. */
  readonly nowMs: number;
  /** Fencing token of every assignment and creation of this preparation. */
  readonly token: number;
  /** Jobs before it. */
  readonly jobs: number;
}

/** What became of a report. */
export type ReportOutcome =
  /** Its lease goes on until `refreshedUntilMs`. */
  | { readonly kind: "refreshed" }
  | { readonly kind: "failed" | "released" | "completed"; readonly state: JobState }
  /** Nothing of it counts. */
  | { readonly kind: "revoked"; readonly reason: RevokedReason };

export type RevokedReason = "unknown_job" | "wrong_token" | "unknown_status";

interface OrderPlace {
  readonly failures: number;
  /** In the order the lease may be later than there. */
  readonly leaseExpiresAtMs: number;
  readonly addedAtMs: number;
  readonly name: string;
}

const REFRESHED: ReportOutcome = { kind: "refreshed" };
const UNKNOWN_JOB: ReportOutcome = { kind: "revoked", reason: "unknown_job" };
const WRONG_TOKEN: ReportOutcome = { kind: "revoked", reason: "wrong_token" };
const UNKNOWN_STATUS: ReportOutcome = { kind: "revoked", reason: "unknown_status" };

/** Names read at a time. */
const PAGE = 64;

export class Schedule {
  readonly #db: IndexDatabase;
  readonly #options: ScheduleOptions;
  /** Jobs that this preparation has decided about. */
  readonly #handled = new Set<string>();
  readonly #assignable: Generator<string>;
  #admitted = 0;
  #evicted = 0;

  constructor(db: IndexDatabase, options: ScheduleOptions) {
    this.#db = db;
    this.#options = options;
    this.#assignable = this.#findAssignable();
  }

  /** Spec 11.3, with tokens that must be the same (16, no. 18). Judged against the state before. */
  report(name: string, token: number, status: number, reason: string): ReportOutcome {
    if (!isHeld(this.#db, name, token)) {
      return readPlacedState(this.#db, name) === null ? UNKNOWN_JOB : WRONG_TOKEN;
    }
    if (status === REPORT_STATUS.inProgress) {
      this.#handled.add(name);
      return REFRESHED;
    }
    const state = readJobState(this.#db, name);
    if (state === null) return UNKNOWN_JOB;
    switch (status) {
      case REPORT_STATUS.success:
        this.#handled.add(name);
        return { kind: "completed", state: { ...state, status: JOB_STATUS.success } };
      case REPORT_STATUS.failed:
        this.#handled.add(name);
        // Its lease ends here, so that the next poll hands it to somebody and counts the failure.
        return {
          kind: "failed",
          state: {
            ...state,
            leaseExpiresAtMs: this.#options.nowMs,
            reason: withReason(state.reason, {
              number: state.failures + 1,
              owner: state.owner,
              reason,
            }),
          },
        };
      case REPORT_STATUS.released:
        this.#handled.add(name);
        // As it was before it was handed out: nobody failed it. Its token stays, so that the next one is higher.
        return {
          kind: "released",
          state: { ...state, status: JOB_STATUS.unassigned, leaseExpiresAtMs: 0, owner: "" },
        };
      default:
        return UNKNOWN_STATUS;
    }
  }

  /** Spec 11.4: the next job for a worker, or null. */
  nextAssignment(owner: string): { readonly state: JobState; readonly plan: JobPlan } | null {
    const { token } = this.#options;
    for (let next = this.#assignable.next(); !next.done; next = this.#assignable.next()) {
      const name = next.value;
      const before = readJobState(this.#db, name);
      const plan = readJobPlan(this.#db, name);
      if (before === null || plan === null) continue;
      this.#handled.add(name);
      const isNew = before.status === JOB_STATUS.unassigned;
      const failures = isNew ? before.failures : before.failures + 1;
      const state: JobState = {
        ...before,
        status: JOB_STATUS.inProgress,
        token,
        leaseExpiresAtMs: this.leasesUntilMs,
        failures,
        reason: isNew ? before.reason : withSilence(before.reason, failures, before.owner),
        owner,
      };
      return { state, plan };
    }
    return null;
  }

  /** When the leases end that this preparation gives or renews, Unix ms. */
  get leasesUntilMs(): number {
    return this.#options.nowMs + this.#options.policy.leaseMs;
  }

  /** Whether jobs are above the limit. */
  get isOverfull(): boolean {
    const { jobsMax } = this.#options.policy;
    return jobsMax > 0 && this.#options.jobs - this.#evicted > jobsMax;
  }

  /** Whether another job may be admitted (spec 11.5; evictions make room, 16, no. 4). */
  get hasRoom(): boolean {
    const { jobsMax } = this.#options.policy;
    return jobsMax === 0 || this.#options.jobs + this.#admitted - this.#evicted < jobsMax;
  }

  /** An exhausted job that nobody holds or reported, lowest level first; null: there is none. */
  nextEviction(idleMs = 0): JobState | null {
    const { failuresMax, levels } = this.#options.policy;
    if (failuresMax === 0) return null;
    for (let level = 0; level < levels.length; level++) {
      for (const place of this.#places(level, failuresMax)) {
        if (!this.#isExpired(place.leaseExpiresAtMs + idleMs) || this.#handled.has(place.name)) {
          continue;
        }
        const state = readJobState(this.#db, place.name);
        if (state === null || !this.#isExpired(state.leaseExpiresAtMs + idleMs)) continue;
        this.#handled.add(place.name);
        this.#evicted++;
        return state;
      }
    }
    return null;
  }

  /** Spec 11.5. The caller has seen that there is room. */
  admit(
    draft: JobDraft,
    tombstones: JobPlan["tombstones"],
  ): { state: JobState; plan: JobPlan } | null {
    const name = jobName(draft, draft.sourceBlocks);
    // The same blocks in the same order are a job already: it has to end first.
    if (this.#handled.has(name) || readJobState(this.#db, name) !== null) return null;
    this.#handled.add(name);
    this.#admitted++;
    const { token, nowMs } = this.#options;
    const state: JobState = {
      name,
      level: draft.level,
      status: JOB_STATUS.unassigned,
      token,
      leaseExpiresAtMs: 0,
      addedAtMs: nowMs,
      failures: 0,
      owner: "",
      reason: "",
    };
    return { state, plan: { name, ...draft, tombstones } };
  }

  /** Names in the order of spec 11.2, older jobs before younger ones (16, no. 17), without those handled. */
  *#findAssignable(): Generator<string> {
    const { levels, pausedLevels } = this.#options.policy;
    for (let level = 0; level < levels.length; level++) {
      if (pausedLevels.includes(level)) continue;
      for (const name of this.#unassigned(level)) if (this.#isFree(name)) yield name;
      for (const name of this.#expired(level)) if (this.#isFree(name)) yield name;
    }
  }

  /** Not decided about, and of nobody who is paused. */
  #isFree(name: string): boolean {
    if (this.#handled.has(name)) return false;
    const { pausedTenants } = this.#options.policy;
    return pausedTenants.length === 0 || !pausedTenants.includes(tenantOfJob(name));
  }

  *#unassigned(level: number): Generator<string> {
    const status = JOB_STATUS.unassigned;
    const start = { level, status, failures: 0, leaseExpiresAtMs: 0, addedAtMs: 0 };
    const end = jobOrderStart({ ...start, status: JOB_STATUS.inProgress });
    for (const { name } of this.#pages(jobOrderStart(start), end)) yield name;
  }

  /**
   * Within one number of failures the leases of the order ascend, so the first that is alive ends the group. The lease
   * that a job has is that one or a later one: a name waits until no job that comes later can precede it.
   */
  *#expired(level: number): Generator<string> {
    const { failuresMax } = this.#options.policy;
    const end = jobOrderStart({ ...GROUP, level, status: JOB_STATUS.inProgress + 1 });
    const waiting = new ExpiredJobs();
    let failures = 0;
    for (;;) {
      const start = jobOrderStart({ ...GROUP, level, failures });
      let isGroupOver = false;
      for (const place of this.#pages(start, end)) {
        if (place.failures > failures) yield* waiting.takeAll();
        failures = place.failures;
        if (failuresMax > 0 && failures >= failuresMax) return;
        isGroupOver = !this.#isExpired(place.leaseExpiresAtMs);
        if (isGroupOver) break;
        yield* waiting.takeBefore(place);
        const leaseExpiresAtMs = leaseOf(this.#db, place.name, place.leaseExpiresAtMs);
        if (this.#isExpired(leaseExpiresAtMs)) waiting.add({ ...place, leaseExpiresAtMs });
      }
      yield* waiting.takeAll();
      if (!isGroupOver) return;
      failures++;
    }
  }

  /** Jobs in progress with at least so many failures. */
  #places(level: number, failures: number): Generator<OrderPlace> {
    const start = jobOrderStart({ ...GROUP, level, failures });
    const end = jobOrderStart({ ...GROUP, level, status: JOB_STATUS.inProgress + 1 });
    return this.#pages(start, end);
  }

  *#pages(start: Uint8Array, end: Uint8Array): Generator<OrderPlace> {
    let from = start;
    for (;;) {
      const page: OrderPlace[] = [];
      let last = from;
      this.#db.scan("compactionJobOrder", from, end, (key) => {
        page.push({
          failures: keyU32(key, 8),
          leaseExpiresAtMs: keyF64(key, 12),
          addedAtMs: keyF64(key, 20),
          name: Buffer.from(key.subarray(JOB_ORDER_HEAD_BYTES)).toString("utf8"),
        });
        last = new Uint8Array(key.length + 1);
        last.set(key);
        return page.length < PAGE;
      });
      yield* page;
      if (page.length < PAGE) return;
      from = last;
    }
  }

  #isExpired(leaseExpiresAtMs: number): boolean {
    return this.#options.nowMs > leaseExpiresAtMs;
  }
}

/** Jobs whose lease is over, in the order of spec 11.2. */
class ExpiredJobs {
  #jobs: OrderPlace[] = [];

  add(job: OrderPlace): void {
    let at = this.#jobs.length;
    while (at > 0 && isBefore(job, this.#jobs[at - 1] as OrderPlace)) at--;
    this.#jobs.splice(at, 0, job);
  }

  *takeBefore(place: OrderPlace): Generator<string> {
    for (let next = this.#jobs[0]; next !== undefined && isBefore(next, place); ) {
      this.#jobs.shift();
      yield next.name;
      next = this.#jobs[0];
    }
  }

  *takeAll(): Generator<string> {
    const jobs = this.#jobs;
    this.#jobs = [];
    for (const { name } of jobs) yield name;
  }
}

function isBefore(a: OrderPlace, b: OrderPlace): boolean {
  if (a.leaseExpiresAtMs !== b.leaseExpiresAtMs) return a.leaseExpiresAtMs < b.leaseExpiresAtMs;
  return a.addedAtMs === b.addedAtMs ? a.name < b.name : a.addedAtMs < b.addedAtMs;
}

const GROUP = {
  status: JOB_STATUS.inProgress,
  failures: 0,
  leaseExpiresAtMs: 0,
  addedAtMs: 0,
} as const;
