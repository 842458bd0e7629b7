/**
 * Jobs in the database: state, plan, the order in which they are handed out, and by whose blocks they are made of.
 * Everything here happens inside the write transaction of `apply`.
 */

import { type IndexDatabase, KeyBuffer } from "../../db/index.ts";
import { encodeJobPlan, JOB_STATUS, type JobPlan, type JobState } from "../../protocol/index.ts";
import {
  decodeJobState,
  forgetLease,
  jobKey,
  jobOrderKey,
  jobShardKey,
  putJobState,
  readPlacedState,
  renewLease,
  readJobPlan,
  readJobState,
} from "./job-rows.ts";
import type { CompactionMeta } from "./meta.ts";

/** Jobs of a level by what they wait for, and what happened since the start (spec 15.3). */
export interface JobTotals {
  readonly level: number;
  unassigned: number;
  assigned: number;
  reassigned: number;
  /** Exhausted or quarantined: nobody gets them. */
  failed: number;
  added: number;
  completed: number;
  newlyAssigned: number;
  newlyReassigned: number;
  evicted: number;
}

/** Why a job leaves. */
export type JobEnd = "completed" | "evicted" | "dropped";

const EMPTY = new Uint8Array(0);
/**
 * How far, in leases, a job may stand behind its lease in the order. With it a worker that renews often moves its jobs
 * there twice per lease only, and the planner, which looks at every job whose place says that it is over, finds few
 * that are not.
 */
const LEASE_SLACK = 0.5;
/** Levels that are counted; a plan of another member may name any. */
const COUNTED_LEVELS_MAX = 64;

export interface JobStoreModules {
  readonly db: IndexDatabase;
  readonly meta: CompactionMeta;
  readonly internTenant: (name: string) => number;
}

export class JobStore {
  readonly #db: IndexDatabase;
  readonly #meta: CompactionMeta;
  readonly #internTenant: (name: string) => number;
  readonly #totals = new Map<number, JobTotals>();
  #areGaugesLoaded = false;

  constructor({ db, meta, internTenant }: JobStoreModules) {
    this.#db = db;
    this.#meta = meta;
    this.#internTenant = internTenant;
  }

  state(name: string): JobState | null {
    return readJobState(this.#db, name);
  }

  plan(name: string): JobPlan | null {
    return readJobPlan(this.#db, name);
  }

  /** Adds a job, or replaces one of the same name. */
  add(state: JobState, plan: JobPlan): void {
    this.remove(state.name, "dropped");
    this.#db.put("compactionJobPlans", jobKey(state.name), encodeJobPlan(plan));
    const tenant = this.#internTenant(plan.tenant);
    this.#db.put("compactionJobShards", jobShardKey(tenant, plan.shard, state.name), EMPTY);
    putJobState(this.#db, state);
    this.#meta.jobs++;
    this.#meta.isDirty = true;
    this.#count(state, 1);
    this.#levelTotals(state.level).added++;
  }

  /** Replaces the state of a job; false when there is none of that name. */
  update(state: JobState): boolean {
    const before = readPlacedState(this.#db, state.name);
    if (before === null) return false;
    this.#removeOrder(before);
    putJobState(this.#db, state);
    this.#count(before, -1);
    this.#count(state, 1);
    const totals = this.#levelTotals(state.level);
    if (before.status === JOB_STATUS.unassigned && state.status !== JOB_STATUS.unassigned) {
      totals.newlyAssigned++;
    } else if (before.token !== state.token) {
      totals.newlyReassigned++;
    }
    return true;
  }

  /** The lease of a job in progress goes on; others are left alone. */
  renew(name: string, leaseExpiresAtMs: number): void {
    const leaseMs = this.#meta.policy?.leaseMs ?? 0;
    renewLease(this.#db, name, leaseExpiresAtMs, leaseMs * LEASE_SLACK);
  }

  /** Removes a job; returns its plan, or null when there is no such job. */
  remove(name: string, end: JobEnd): JobPlan | null {
    const state = readPlacedState(this.#db, name);
    if (state === null) return null;
    const plan = this.plan(state.name);
    this.#removeOrder(state);
    this.#db.remove("compactionJobs", jobKey(state.name));
    this.#db.remove("compactionJobPlans", jobKey(state.name));
    if (plan !== null) {
      const tenant = this.#internTenant(plan.tenant);
      this.#db.remove("compactionJobShards", jobShardKey(tenant, plan.shard, state.name));
    }
    this.#meta.jobs--;
    this.#meta.isDirty = true;
    this.#count(state, -1);
    const totals = this.#levelTotals(state.level);
    if (end === "completed") totals.completed++;
    else if (end === "evicted") totals.evicted++;
    return plan;
  }

  /** Names of the jobs whose blocks belong to an owner's shard. */
  namesOf(tenant: number, shard: number): string[] {
    return jobNamesOf(this.#db, tenant, shard);
  }

  /** By level, levels that never held a job left out. */
  totals(): JobTotals[] {
    this.#loadGauges();
    return [...this.#totals.values()].sort((a, b) => a.level - b.level);
  }

  /** The policy says from how many failures on a job is exhausted. */
  applyPolicy(): void {
    this.#areGaugesLoaded = false;
  }

  /** After a transaction that did not happen. */
  forget(): void {
    this.#areGaugesLoaded = false;
  }

  #removeOrder(state: JobState): void {
    const order = jobOrderKey(state);
    if (order !== null) this.#db.remove("compactionJobOrder", order);
    if (state.status === JOB_STATUS.inProgress) forgetLease(this.#db, state.name);
  }

  #count(state: JobState, change: 1 | -1): void {
    if (!this.#areGaugesLoaded) return;
    this.#levelTotals(state.level)[this.#classOf(state)] += change;
  }

  #classOf(state: JobState): "unassigned" | "assigned" | "reassigned" | "failed" {
    if (state.status === JOB_STATUS.unassigned) return "unassigned";
    const failuresMax = this.#meta.policy?.failuresMax ?? 0;
    const isExhausted = failuresMax > 0 && state.failures >= failuresMax;
    if (isExhausted || state.status === JOB_STATUS.quarantined) return "failed";
    return state.failures > 0 ? "reassigned" : "assigned";
  }

  #levelTotals(level: number): JobTotals {
    const key = Math.min(level, COUNTED_LEVELS_MAX);
    let totals = this.#totals.get(key);
    if (totals === undefined) {
      totals = {
        level: key,
        unassigned: 0,
        assigned: 0,
        reassigned: 0,
        failed: 0,
        added: 0,
        completed: 0,
        newlyAssigned: 0,
        newlyReassigned: 0,
        evicted: 0,
      };
      this.#totals.set(key, totals);
    }
    return totals;
  }

  /** Cost: one scan over all jobs, when somebody asks for the first time. */
  #loadGauges(): void {
    if (this.#areGaugesLoaded) return;
    this.#areGaugesLoaded = true;
    for (const totals of this.#totals.values()) {
      totals.unassigned = 0;
      totals.assigned = 0;
      totals.reassigned = 0;
      totals.failed = 0;
    }
    this.#db.scan("compactionJobs", new Uint8Array(1), LAST_NAME, (_key, length) => {
      this.#count(decodeJobState(this.#db, "", length), 1);
      return true;
    });
  }
}

/** After every name that a job may have. */
export const LAST_NAME: Uint8Array = new Uint8Array(2).fill(0xff);

/** Names of the jobs whose blocks belong to an owner's shard, by name. Inside a transaction. */
export function jobNamesOf(db: IndexDatabase, tenant: number, shard: number): string[] {
  const start = new KeyBuffer(8).u32(0, tenant).u32(4, shard).bytes;
  const end = new Uint8Array(10).fill(0xff);
  end.set(start);
  const names: string[] = [];
  db.scan("compactionJobShards", start, end, (key) => {
    names.push(Buffer.from(key.subarray(8)).toString("utf8"));
    return true;
  });
  return names;
}
