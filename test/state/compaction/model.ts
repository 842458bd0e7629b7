/**
 * A naive model of compaction, and a seeded run that holds the state machine against it: blocks come, workers poll,
 * crash, stall, fail and repeat themselves, leaders and clocks change, shards are deleted, operators interfere.
 *
 * The model is a map of blocks and a map of jobs. What it demands:
 * - the index is the model's: nothing is lost, nothing compacted twice;
 * - a job is handed to a worker only when nobody holds its lease, its blocks are in the index, and its token is larger
 *   than any before;
 * - a result is taken exactly when its worker holds the job.
 * That every block stands in one place is checked by `verifyIndex`, which the caller runs now and then.
 */

import assert from "node:assert/strict";
import {
  COMMAND,
  type CompactedBlocks,
  encodeControlJobs,
  encodePlanUpdate,
  encodePolicyCommand,
  type JobPlan,
  type JobReport,
  type PlanUpdate,
  REPORT_STATUS,
} from "../../../src/protocol/index.ts";
import {
  OUTCOME,
  type Poll,
  type PollAnswer,
  prepare,
  type Prepared,
  verifyIndex,
} from "../../../src/state/index.ts";
import { Random } from "../random-entries.ts";
import { type BlockSpec, type Entry, entry, HOUR_MS, ulidAt, WINDOW_MS } from "../support.ts";
import type { CompactionWorld } from "./world.ts";
import {
  LEASE_MS,
  placeOf,
  plainBlock,
  SMALL_POLICY,
  timeOf,
  USUAL_POLICY,
} from "./model-world.ts";

const SHARDS = 3;
const TENANTS = ["acme", "umbrella"];
/** Makes a token that no job gets in a run: tokens are log indexes, the next one may well be given away. */
const NOBODYS = 2 ** 40;
const WORKERS = 8;
const LEVELS = 3;
const RECENT_MAX = 64;
/** One world in so many has small batches and more polls. */
const SMALL_WORLD_EVERY = 8;
interface ModelJob {
  readonly plan: JobPlan;
  /** Worker that was given it last; null: nobody holds it. */
  owner: number | null;
  token: number;
  leaseUntilMs: number;
}

interface HeldJob {
  readonly plan: JobPlan;
  readonly token: number;
}

/** A worker process; a crash begins another one under another name. */
class Worker {
  readonly held = new Map<string, HeldJob>();
  requestId = 0;
  name: string;

  constructor(name: string) {
    this.name = name;
  }
}

interface PollRun {
  readonly worker: number;
  readonly poll: Poll;
}

export class CompactionRun {
  readonly #world: CompactionWorld;
  readonly #random: Random;
  /** Level by place, of every block that must be in the index. */
  readonly #index = new Map<string, number>();
  readonly #jobs = new Map<string, ModelJob>();
  readonly #workers: Worker[] = [];
  /** Blocks added lately, to be added again. */
  readonly #recent: BlockSpec[] = [];
  readonly #pollsPerMille: number;
  readonly #addMax: number;
  #nowMs = WINDOW_MS + HOUR_MS;
  /** What the leader's clock says: it may jump, log times may not be relied on to grow. */
  #skewMs = 0;
  #term = 1;
  #idCount = 0;
  #workerCount = 0;
  #token = 0;
  steps = 0;
  completed = 0;
  reassigned = 0;
  refusedPlans = 0;
  repeats = 0;

  constructor(world: CompactionWorld, seed: number) {
    this.#world = world;
    const isSmall = seed % SMALL_WORLD_EVERY === 0;
    this.#pollsPerMille = isSmall ? 200 : 120;
    this.#addMax = isSmall ? 4 : 16;
    this.#random = new Random(seed);
    for (let i = 0; i < WORKERS; i++) this.#workers.push(this.#newWorker());
    this.#apply({
      command: COMMAND.setCompactionPolicy,
      payload: encodePolicyCommand(JSON.stringify(isSmall ? SMALL_POLICY : USUAL_POLICY)),
    });
  }

  /** Something happens: polls that are planned together, entries that come together, or one thing. */
  async turn(): Promise<void> {
    this.#nowMs += this.#random.below(2_000);
    const dice = this.#random.below(1_000);
    if (dice < this.#pollsPerMille) return this.#pollRound();
    if (dice < 960) return this.#addBlocks();
    this.steps++;
    if (dice < 970) this.#crashWorker();
    else if (dice < 975) this.#term++;
    else if (dice < 980) this.#skewMs = this.#random.below(20_000) - 10_000;
    else if (dice < 985) this.#nowMs += this.#random.below(60_000);
    else if (dice < 988) this.#deleteShard();
    else if (dice < 992) this.#control();
    else if (dice < 998) this.#repeatAdd();
    else await this.#world.crash();
  }

  /** Goes on with workers that do their work until everything is compacted as far as it goes. */
  drain(): void {
    for (const worker of this.#workers) worker.held.clear();
    for (let round = 0; round < 4_000 && this.#hasWork(); round++) {
      this.#nowMs += LEASE_MS;
      if (round % 8 === 7) this.#nowMs += 700_000;
      this.#runPolls([this.#goodPoll(0)]);
    }
    const levels = new Set(this.#index.values());
    for (let level = 0; level < LEVELS; level++) {
      assert.equal(levels.has(level), false, `blocks of level ${level} are left`);
    }
  }

  verify(): void {
    const report = this.#world.readCommitted(verifyIndex);
    assert.deepEqual(report.problems, []);
    assert.equal(report.strayBlocks, 0, "blocks that compaction has forgotten");
    assert.equal(report.blocks, this.#index.size, "blocks in the index");
    assert.equal(report.jobs, this.#jobs.size, "jobs");
  }

  // -- what happens -------------------------------------------------------------------------------------------------

  #addBlocks(): void {
    const entries: Entry[] = [];
    const count = 1 + this.#random.below(this.#addMax);
    for (let i = 0; i < count; i++) {
      const isOwned = this.#random.below(4) === 0;
      const tenant = isOwned ? this.#random.pick(TENANTS) : "";
      const spec = this.#newBlock(tenant, this.#random.below(SHARDS), isOwned ? 1 : 0);
      this.#recent[this.#random.below(RECENT_MAX)] = spec;
      this.#index.set(placeOf(spec), spec.level ?? 0);
      entries.push(entry.addBlocks(plainBlock(spec)));
    }
    this.steps += count;
    this.#applyAll(entries);
  }

  /** A block that is there already changes nothing. */
  #repeatAdd(): void {
    const spec = this.#recent[this.#random.below(RECENT_MAX)];
    if (spec === undefined || !this.#index.has(placeOf(spec))) return;
    assert.equal(this.#apply(entry.addBlocks(plainBlock(spec))), OUTCOME.unchanged);
  }

  #pollRound(): void {
    const polls = this.#workers.flatMap((_, i) =>
      this.#random.below(2) === 0 ? [this.#poll(i)] : [],
    );
    this.steps += polls.length;
    if (polls.length > 0) this.#runPolls(polls);
  }

  #crashWorker(): void {
    this.#workers[this.#random.below(WORKERS)] = this.#newWorker();
  }

  #deleteShard(): void {
    const shard = this.#random.below(SHARDS);
    const tenant = this.#random.pick(["", ...TENANTS]);
    const startMs = WINDOW_MS + this.#random.below(3) * 6 * HOUR_MS;
    this.#apply(
      entry.deleteShard({
        name: "",
        tenant,
        shard,
        timestampNs: BigInt(startMs) * 1_000_000n,
        durationNs: BigInt(6 * HOUR_MS) * 1_000_000n,
      }),
    );
    const isGone = (place: string): boolean => {
      const [owner, number, id] = place.split("/") as [string, string, string];
      if (owner !== tenant || Number(number) !== shard) return false;
      const timeMs = timeOf(id);
      return timeMs >= startMs && timeMs < startMs + 6 * HOUR_MS;
    };
    for (const place of this.#index.keys()) if (isGone(place)) this.#index.delete(place);
    for (const [name, { plan }] of this.#jobs) {
      if (plan.sourceBlocks.some((id) => isGone(`${plan.tenant}/${plan.shard}/${id}`))) {
        this.#jobs.delete(name);
      }
    }
  }

  #control(): void {
    const names = [...this.#jobs.keys()];
    if (names.length === 0) return;
    const name = this.#random.pick(names);
    const action = this.#random.pick(["retry", "retry", "cancel", "quarantine"] as const);
    this.#apply({
      command: COMMAND.controlJobs,
      payload: encodeControlJobs({ action, names: [name], reason: "" }),
    });
    const job = this.#jobs.get(name) as ModelJob;
    if (action === "cancel") this.#jobs.delete(name);
    else job.owner = null;
    // Nobody comes for a quarantined job: the run gives it back at once, sometimes.
    if (action === "quarantine") {
      this.#apply({
        command: COMMAND.controlJobs,
        payload: encodeControlJobs({ action: "retry", names: [name], reason: "" }),
      });
    }
  }

  // -- polls --------------------------------------------------------------------------------------------------------

  #poll(i: number): PollRun {
    const worker = this.#workers[i] as Worker;
    const reports: JobReport[] = [];
    for (const [name, { plan, token }] of worker.held) {
      const dice = this.#random.below(100);
      const report = { name, token, reason: "", compacted: null };
      if (dice < 50) reports.push({ ...report, status: REPORT_STATUS.inProgress });
      else if (dice < 80) {
        reports.push({ ...report, status: REPORT_STATUS.success, compacted: this.#resultOf(plan) });
      } else if (dice < 83) reports.push({ ...report, status: REPORT_STATUS.success });
      else if (dice < 86) reports.push({ ...report, status: REPORT_STATUS.failed, reason: "disk" });
      else if (dice < 88)
        reports.push({ ...report, token: token + NOBODYS, status: REPORT_STATUS.success });
      else if (dice < 89) reports.push({ ...report, status: 77 });
      else if (dice < 92) reports.push({ ...report, status: REPORT_STATUS.released });
      // Otherwise the job is not mentioned: a late report may follow.
    }
    const capacity = this.#random.below(5);
    return {
      worker: i,
      poll: { worker: worker.name, requestId: ++worker.requestId, capacity, reports },
    };
  }

  #goodPoll(i: number): PollRun {
    const worker = this.#workers[i] as Worker;
    const reports = [...worker.held].map(([name, { plan, token }]) => ({
      name,
      token,
      reason: "",
      status: REPORT_STATUS.success,
      compacted: this.#resultOf(plan),
    }));
    return {
      worker: i,
      poll: { worker: worker.name, requestId: ++worker.requestId, capacity: 20, reports },
    };
  }

  #runPolls(polls: readonly PollRun[]): void {
    const prepared = this.#prepare(polls);
    const { isEmpty, answers, plan } = prepared;
    const isRefused = !isEmpty && !this.#propose(plan);
    if (isRefused) {
      this.refusedPlans++;
      return;
    }
    this.#checkReports(polls, plan);
    this.#takePlan(plan);
    for (const [i, run] of polls.entries()) this.#takeAnswer(run, answers[i] as PollAnswer);
    if (this.#random.below(10) === 0) this.#repeat(polls, answers, plan);
  }

  #prepare(polls: readonly PollRun[]): Prepared {
    const token = this.#world.state.appliedIndex + 1;
    const prepared = this.#world.read((db) =>
      prepare(
        db,
        polls.map(({ poll }) => poll),
        {
          nowMs: this.#nowMs + this.#skewMs,
          token,
          term: this.#term,
        },
      ),
    );
    assert.ok(prepared !== null);
    const { assignedJobs } = prepared.plan;
    if (assignedJobs.length > 0) {
      assert.equal(token > this.#token, true, `token ${token} after ${this.#token}`);
      this.#token = token;
    }
    return prepared;
  }

  /** Sometimes something comes between preparation and application. */
  #propose(plan: PlanUpdate): boolean {
    const dice = this.#random.below(40);
    if (dice === 0) this.#term++;
    else if (dice === 1) this.#control();
    else if (dice < 6) this.#addBlocks();
    const revision = this.#world.state.compaction.revision;
    const isGood = plan.term === this.#term && plan.revision === revision;
    const outcome = this.#apply({
      command: COMMAND.updateCompactionPlan,
      payload: encodePlanUpdate(plan),
    });
    assert.equal(
      outcome === OUTCOME.applied,
      isGood,
      "a plan is applied exactly when it is current",
    );
    return isGood;
  }

  /** A report counts exactly when it carries the job's own token. */
  #checkReports(polls: readonly PollRun[], plan: PlanUpdate): void {
    const taken = new Set([
      ...plan.completedJobs.map(({ state }) => state.name),
      ...plan.updatedJobs.map(({ name }) => name),
      ...plan.refreshed,
    ]);
    for (const { poll } of polls) {
      for (const { name, token, status } of poll.reports) {
        const job = this.#jobs.get(name);
        const isHeld = job !== undefined && job.owner !== null && job.token === token;
        const counts = isHeld && status <= REPORT_STATUS.released;
        if (counts) assert.equal(taken.delete(name), true, `the report about ${name} counts`);
      }
    }
    assert.deepEqual([...taken], [], "nothing else changes jobs");
  }

  /** Moves the model by what the plan says, and checks what it may say. */
  #takePlan(plan: PlanUpdate): void {
    for (const { name } of plan.evictedJobs) assert.equal(this.#jobs.delete(name), true, name);
    for (const name of plan.refreshed) this.#job(name).leaseUntilMs = plan.refreshedUntilMs;
    for (const state of plan.updatedJobs) {
      const job = this.#job(state.name);
      assert.equal(job.token, state.token, `${state.name}, taken back, keeps its token`);
      job.leaseUntilMs = state.leaseExpiresAtMs;
      job.owner = null;
    }
    for (const state of plan.assignedJobs) {
      const job = this.#job(state.name);
      const isFree = job.owner === null || plan.nowMs > job.leaseUntilMs;
      assert.equal(isFree, true, `${state.name} is given away while worker ${job.owner} has it`);
      assert.equal(state.token > job.token, true, `token of ${state.name} grows`);
      for (const id of job.plan.sourceBlocks) {
        const place = `${job.plan.tenant}/${job.plan.shard}/${id}`;
        assert.equal(this.#index.has(place), true, `${place} is in the index`);
      }
      if (job.owner !== null) this.reassigned++;
      job.token = state.token;
      job.leaseUntilMs = state.leaseExpiresAtMs;
      job.owner = -1;
    }
    for (const { state, compacted } of plan.completedJobs) {
      const { plan: jobPlan } = this.#job(state.name);
      this.#jobs.delete(state.name);
      if (compacted !== null) this.#takeResult(jobPlan, compacted);
    }
    for (const { state, plan: jobPlan } of plan.newJobs) {
      assert.equal(this.#jobs.has(state.name), false, `job ${state.name} is new`);
      this.#jobs.set(state.name, { plan: jobPlan, owner: null, token: 0, leaseUntilMs: 0 });
    }
  }

  #takeResult(plan: JobPlan, compacted: CompactedBlocks): void {
    this.completed++;
    for (const id of compacted.source?.blocks ?? []) {
      const isThere = this.#index.delete(`${plan.tenant}/${plan.shard}/${id}`);
      assert.equal(isThere, true, `${id} of ${plan.name} is compacted once`);
    }
    for (const block of this.#results.get(plan.name) ?? []) {
      this.#index.set(placeOf(block), block.level ?? 0);
    }
    this.#results.delete(plan.name);
  }

  #takeAnswer({ worker: i, poll }: PollRun, answer: PollAnswer): void {
    const worker = this.#workers[i] as Worker;
    const kept = new Map(answer.assignments.map(({ name, token }) => [name, token]));
    const reported = new Map(poll.reports.map(({ name, status }) => [name, status]));
    for (const [name, status] of reported) {
      const isOver = status !== REPORT_STATUS.inProgress || !kept.has(name);
      if (isOver) worker.held.delete(name);
    }
    for (const plan of answer.jobs) {
      const token = kept.get(plan.name);
      assert.ok(token !== undefined, `${plan.name} comes with an assignment`);
      worker.held.set(plan.name, { plan, token });
      this.#job(plan.name).owner = i;
    }
  }

  /**
   * The same polls again, as after a lost answer. One that was given jobs or completed some is answered alike and
   * changes nothing; any other keeps what it has, and may be given more.
   */
  #repeat(polls: readonly PollRun[], answers: readonly PollAnswer[], plan: PlanUpdate): void {
    const kept = new Set(plan.polls.map(({ worker }) => worker));
    for (const [i, { poll }] of polls.entries()) {
      const answer = answers[i] as PollAnswer;
      const isKept = kept.has(poll.worker);
      assert.equal(isKept || answer.jobs.length === 0, true, "an answer with jobs is kept");
      if (!isKept && answer.assignments.length === 0) continue;
      this.repeats++;
      const again = this.#world.read((db) =>
        prepare(db, [poll], { nowMs: this.#nowMs, token: this.#token + 1, term: this.#term }),
      );
      const { assignments = [], jobs = [] } = again?.answers[0] ?? {};
      const places = assignments.map(({ name, token }) => `${name} ${token}`);
      const before = answer.assignments.map(({ name, token }) => `${name} ${token}`);
      if (!isKept) {
        assert.deepEqual(places.slice(0, before.length), before);
        continue;
      }
      assert.deepEqual(places, before);
      assert.deepEqual(
        jobs.map(({ name }) => name),
        answer.jobs.map(({ name }) => name),
      );
      assert.deepEqual(again?.plan.assignedJobs, [], "a repeat is given nothing");
      assert.deepEqual(again?.plan.completedJobs, [], "a repeat completes nothing");
    }
  }

  // -- helpers ------------------------------------------------------------------------------------------------------

  /** What a job makes: the same blocks, however often it is run. */
  readonly #results = new Map<string, readonly BlockSpec[]>();

  #resultOf(plan: JobPlan): CompactedBlocks {
    let blocks = this.#results.get(plan.name);
    if (blocks === undefined) {
      const tenants =
        plan.tenant === "" ? TENANTS.slice(0, 1 + this.#random.below(2)) : [plan.tenant];
      blocks = tenants.map((tenant) => this.#newBlock(tenant, plan.shard, plan.level + 1));
      this.#results.set(plan.name, blocks);
    }
    const { tenant, shard, sourceBlocks } = plan;
    return {
      source: { tenant, shard, blocks: sourceBlocks },
      newBlocks: blocks.map(plainBlock),
    };
  }

  #newBlock(tenant: string, shard: number, level: number): BlockSpec {
    return { id: ulidAt(this.#nowMs, ++this.#idCount), tenant, shard, level };
  }

  #newWorker(): Worker {
    return new Worker(`worker-${++this.#workerCount}`);
  }

  #job(name: string): ModelJob {
    const job = this.#jobs.get(name);
    assert.ok(job !== undefined, `the model knows ${name}`);
    return job;
  }

  #hasWork(): boolean {
    if (this.#jobs.size > 0) return true;
    return [...this.#index.values()].some((level) => level < LEVELS);
  }

  #apply(one: Entry): number {
    return this.#applyAll([one])[0] as number;
  }

  #applyAll(entries: readonly Entry[]): Uint8Array {
    const appendedAtMs = this.#nowMs + this.#skewMs;
    return this.#world.apply(entries, { term: this.#term, appendedAtMs });
  }
}
