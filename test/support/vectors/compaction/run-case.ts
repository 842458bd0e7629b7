/** Runs one state machine case of the compaction vectors against the engine in this process. */

import { isDeepStrictEqual } from "node:util";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  appendAddBlockEntry,
  ByteSink,
  COMMAND,
  decodePlanUpdate,
  encodePlanUpdate,
  encodePolicyCommand,
  encodeTruncateIndex,
  type JobState,
  type PlanUpdate,
} from "../../../../src/protocol/index.ts";
import { OUTCOME, type Poll, prepare, readJobState } from "../../../../src/state/index.ts";
import { type Engine, inRead, openEngine } from "../../engine.ts";
import { encodeEntry, toCommittedBatch } from "../../entries.ts";
import { readState } from "./read-state.ts";
import {
  compactedFromJson,
  INDEX_SCALE,
  plainBlockBytes,
  planFromJson,
  planToJson,
  policyJson,
  statusNumber,
  tombstoneFromJson,
  Translation,
} from "./translate.ts";
import type {
  CompactionCase,
  CompactionStep,
  Config,
  PlainBlock,
  PlanUpdateJson,
  PollJson,
  Position,
} from "./types.ts";

/** Result: what went wrong first, or null. */
export async function runStateCase(vectorCase: CompactionCase): Promise<string | null> {
  const machine = new Machine(vectorCase);
  try {
    machine.configure(vectorCase.config as Config);
    for (const [i, step] of (vectorCase.steps ?? []).entries()) {
      const problem = await machine.run(step);
      if (problem !== null) return `step ${i + 1}, ${step.op}: ${problem}`;
    }
    return null;
  } catch (error) {
    return error instanceof Error ? (error.stack ?? error.message) : String(error);
  } finally {
    await machine.close();
  }
}

class Machine {
  readonly #translation: Translation;
  readonly #directory = mkdtempSync(join(tmpdir(), "hearth-vectors-"));
  #engine: Engine = openEngine(this.#directory);
  #index = 0;
  #term = 1;

  constructor(vectorCase: CompactionCase) {
    this.#translation = new Translation(vectorCase);
  }

  configure(config: Config): void {
    const entry = encodeEntry(COMMAND.setCompactionPolicy, encodePolicyCommand(policyJson(config)));
    this.#applyNext(entry, this.#term, 0);
  }

  async close(): Promise<void> {
    await this.#engine.db.close();
    rmSync(this.#directory, { recursive: true, force: true });
  }

  async run(step: CompactionStep): Promise<string | null> {
    switch (step.op) {
      case "add_block":
        return differs("result", this.#addBlock(step.block, step.log), step.expect.result);
      case "poll":
        return this.#poll(step);
      case "apply_plan": {
        const plan = this.#planFromJson(step.plan, step.request_term);
        return differs("result", this.#applyPlan(plan, step.log), step.expect.result);
      }
      case "truncate_index": {
        const tombstones = step.tombstones.map((shard) => tombstoneFromJson({ shard }));
        const payload = encodeTruncateIndex({ term: step.request_term, tombstones });
        const ignored = this.#engine.state.metrics.truncationsIgnored;
        this.#apply(encodeEntry(COMMAND.truncateIndex, payload), step.log);
        const isIgnored = this.#engine.state.metrics.truncationsIgnored > ignored;
        return differs("result", isIgnored ? "rejected" : "applied", step.expect.result);
      }
      case "restart":
        await this.#engine.db.close();
        this.#engine = openEngine(this.#directory);
        if (step.config !== undefined) this.configure(step.config);
        return null;
      case "expect_state": {
        const actual = readState(this.#engine, this.#translation);
        for (const [name, expected] of Object.entries(step.expect)) {
          const problem = differs(name, actual[name], expected);
          if (problem !== null) return problem;
        }
        return null;
      }
    }
  }

  #addBlock(block: PlainBlock, log: Position): string {
    const { metrics, compaction } = this.#engine.state;
    const before = { ...metrics };
    const pushed = sum(compaction.pushed);
    const sink = new ByteSink();
    appendAddBlockEntry(sink, plainBlockBytes(block));
    this.#apply(sink.copy(), log);
    if (metrics.blocksTombstoned > before.blocksTombstoned) return "ignored_tombstone";
    if (metrics.blocksDuplicate > before.blocksDuplicate) return "duplicate";
    return sum(compaction.pushed) > pushed ? "enqueued" : "indexed_only";
  }

  async #poll(step: CompactionStep & { readonly op: "poll" }): Promise<string | null> {
    const { db } = this.#engine;
    this.#advanceTo(step.prepare.index);
    const prepared = inRead(db, () =>
      prepare(db, [pollFromJson(step.request)], {
        nowMs: this.#translation.toMs(step.prepare.time_ns),
        token: step.prepare.index * INDEX_SCALE,
        term: step.prepare.term,
      }),
    );
    if (prepared === null) return "compaction is off";
    const { plan, answers, isEmpty } = prepared;
    const refreshed = inRead(db, () => this.#refreshedJobs(plan));
    const actual = this.#planToJson({ ...plan, updatedJobs: [...plan.updatedJobs, ...refreshed] });
    const problem = differs("plan", actual, withLists(step.expect.plan));
    if (problem !== null) return problem;
    for (const between of step.between ?? []) {
      const betweenProblem = await this.run(between);
      if (betweenProblem !== null) return `between: ${betweenProblem}`;
    }
    // A plan without content is not proposed.
    const outcome = isEmpty ? "applied" : this.#applyPlan(plan, step.update);
    const error = outcome === "rejected" ? "FAILED_PRECONDITION" : undefined;
    if (error !== undefined || step.expect.error !== undefined) {
      return differs("error", error, step.expect.error);
    }
    const response = {
      assignments: answers[0]?.assignments.map(({ name, token, leaseExpiresAtMs }) => ({
        name,
        token: token / INDEX_SCALE,
        lease_expires_at_ns: this.#translation.toNs(leaseExpiresAtMs),
      })),
      compaction_jobs: answers[0]?.jobs.map(planToJson),
    };
    return differs("response", response, step.expect.response);
  }

  #applyPlan(plan: PlanUpdate, log: Position): string {
    // By way of the log's bytes, as a plan would come.
    const payload = encodePlanUpdate(plan);
    decodePlanUpdate(payload);
    const outcome = this.#apply(encodeEntry(COMMAND.updateCompactionPlan, payload), log);
    return outcome === OUTCOME.rejected ? "rejected" : "applied";
  }

  #apply(entry: Uint8Array, log: Position): number {
    this.#advanceTo(log.index);
    this.#term = log.term;
    return this.#applyNext(entry, log.term, this.#translation.toMs(log.time_ns));
  }

  /** Fills the log up to the place before the one that position `index` of the case stands at. */
  #advanceTo(index: number): void {
    const target = index * INDEX_SCALE - 1;
    while (this.#index < target) {
      this.#applyNext(encodeEntry(COMMAND.noop, new Uint8Array(0)), this.#term, 0);
    }
  }

  #applyNext(entry: Uint8Array, term: number, appendedAtMs: number): number {
    const firstIndex = ++this.#index;
    const batch = toCommittedBatch(entry, { firstIndex, term, appendedAtMs });
    return this.#engine.state.apply([batch]).outcomes[0] as number;
  }

  /** A plan names the jobs whose leases go on; the vectors show what they become. */
  #refreshedJobs({ refreshed, refreshedUntilMs: leaseExpiresAtMs }: PlanUpdate): JobState[] {
    return refreshed.flatMap((name) => {
      const state = readJobState(this.#engine.db, name);
      return state === null ? [] : [{ ...state, leaseExpiresAtMs }];
    });
  }

  #planToJson(plan: PlanUpdate): object {
    const states = (jobs: PlanUpdate["assignedJobs"]): object[] =>
      jobs.map((state) => ({ state: this.#translation.stateToJson(state) }));
    return {
      new_jobs: plan.newJobs.map((job) => ({
        state: this.#translation.stateToJson(job.state),
        plan: planToJson(job.plan),
      })),
      assigned_jobs: states(plan.assignedJobs),
      updated_jobs: states(plan.updatedJobs),
      completed_jobs: states(plan.completedJobs.map(({ state }) => state)),
      evicted_jobs: states(plan.evictedJobs),
    };
  }

  #planFromJson(plan: PlanUpdateJson, term: number): PlanUpdate {
    const { new_jobs, assigned_jobs, updated_jobs, completed_jobs, evicted_jobs } = plan;
    const states = (jobs: PlanUpdateJson["assigned_jobs"] = []): PlanUpdate["assignedJobs"] =>
      jobs.map(({ state }) => this.#translation.stateFromJson(state));
    return {
      term,
      revision: this.#engine.state.compaction.revision,
      nowMs: 0,
      newJobs: (new_jobs ?? []).map((job) => ({
        state: this.#translation.stateFromJson(job.state),
        plan: planFromJson(job.plan),
      })),
      assignedJobs: states(assigned_jobs),
      updatedJobs: states(updated_jobs),
      completedJobs: (completed_jobs ?? []).map(({ state, compacted_blocks: compacted }) => ({
        state: this.#translation.stateFromJson(state),
        compacted: compacted === undefined ? null : compactedFromJson(compacted),
      })),
      evictedJobs: states(evicted_jobs),
      requeued: [],
      orphans: [],
      polls: [],
      refreshed: [],
      refreshedUntilMs: 0,
    };
  }
}

/** A poll as the door lets it in: one report per job. */
function pollFromJson({ job_capacity: capacity, status_updates: updates }: PollJson): Poll {
  return {
    worker: "",
    requestId: 0,
    capacity,
    reports: updates.map(({ name, token, status, compacted_blocks: compacted }) => ({
      name,
      token: token * INDEX_SCALE,
      status: statusNumber(status),
      reason: "",
      compacted: compacted === undefined ? null : compactedFromJson(compacted),
    })),
  };
}

function withLists(plan: PlanUpdateJson): object {
  const lists = ["new_jobs", "assigned_jobs", "updated_jobs", "completed_jobs", "evicted_jobs"];
  return Object.fromEntries(
    lists.map((name) => [name, (plan as Record<string, unknown>)[name] ?? []]),
  );
}

function differs(what: string, actual: unknown, expected: unknown): string | null {
  if (isDeepStrictEqual(actual, expected)) return null;
  return `${what} differs\n  expected ${JSON.stringify(expected)}\n  got      ${JSON.stringify(actual)}`;
}

function sum(numbers: readonly (number | undefined)[]): number {
  return numbers.reduce<number>((total, number) => total + (number ?? 0), 0);
}
