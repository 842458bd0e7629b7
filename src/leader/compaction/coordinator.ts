/**
 * Answers polls of compaction workers, on the leader: gathers those that wait, has them planned together, proposes the
 * plan, and answers each with its own part once the plan is applied.
 *
 *   poll ──> waiting ──round──> read index ──> planner's thread ──plan──> log ──applied──> answers
 *               ^                                    │ empty: nothing is logged           │ overtaken
 *               └──── would wait for a job <─────────┴─────────────── planned again <─────┘
 *
 * One round at a time: polls that come meanwhile make the next one, so that load makes rounds larger, not longer.
 *
 * After every wait the world may have changed: a plan says which term and which state it was made from, and apply
 * refuses it otherwise, so nothing here has to lock or to look again.
 */

import {
  type Clock,
  HearthError,
  type Logger,
  packBytes,
  type Scheduler,
  toHearthError,
  unpackBytes,
} from "../../base/index.ts";
import {
  appendEntry,
  ByteSink,
  COMMAND,
  encodePolicyCommand,
  foreignResultError,
} from "../../protocol/index.ts";
import type { ProposeResult, ReadIndexResult, Replica } from "../../replica/index.ts";
import {
  type CompactionState,
  OUTCOME,
  type ReportCounts,
  type StrayCursor,
} from "../../state/index.ts";
import { KnownWorkers } from "./known-workers.ts";
import type { DatabasePlace, PlannedAnswers, PlannerResult } from "./messages.ts";
import type { CoordinatorOptions } from "./options.ts";
import type { Planner } from "./planner.ts";

export interface CoordinatorModules {
  readonly replica: Pick<
    Replica,
    "propose" | "readIndex" | "demandCommit" | "isServing" | "term" | "status"
  >;
  readonly state: { readonly compaction: CompactionState; readonly appliedAtMs: number };
  /** Where the index is now. */
  readonly database: () => DatabasePlace;
  readonly planner: Planner;
  readonly clock: Clock;
  readonly scheduler: Scheduler;
  readonly logger: Logger;
}

export type PollResult =
  /** The reply is borrowed: a view of the replies of its whole round. */
  | { readonly ok: true; readonly reply: Uint8Array }
  | { readonly ok: false; readonly error: HearthError };

export type PollDone = (result: PollResult) => void;

/** What happened, since the start. */
export interface CoordinatorStats {
  polls: number;
  plans: number;
  emptyPlans: number;
  overtakenPlans: number;
  refusedPolls: number;
  failedPolls: number;
  gonePolls: number;
  lastPlanMs: number;
  /** What became of what workers said about their jobs. */
  readonly reports: ReportCounts;
}

interface WaitingPoll {
  readonly payload: Uint8Array;
  readonly done: PollDone;
  /** Until when an empty answer is kept back, on the scheduler's clock; 0: it is not. */
  readonly waitUntilMs: number;
  isGone: boolean;
  attempts: number;
}

/** Between looks at a database that is not there yet. */
const BEHIND_MS = 1;
/** A state that does not come is an error of its own. */
const BEHIND_MAX = 5_000;

export class CompactionCoordinator {
  readonly stats: CoordinatorStats = {
    polls: 0,
    plans: 0,
    emptyPlans: 0,
    overtakenPlans: 0,
    refusedPolls: 0,
    failedPolls: 0,
    gonePolls: 0,
    lastPlanMs: 0,
    reports: {
      refreshed: 0,
      completed: 0,
      failed: 0,
      released: 0,
      unknown_job: 0,
      wrong_token: 0,
      unknown_status: 0,
    },
  };
  readonly #options: CoordinatorOptions;
  readonly #modules: CoordinatorModules;
  /** To be planned in the next round. */
  #waiting: WaitingPoll[] = [];
  /** Planned, and given nothing: they wait for a job. */
  #idle: WaitingPoll[] = [];
  #isRunning = false;
  #isStopped = false;
  #cancelLook: (() => void) | null = null;
  #lookedAtMs = 0;
  #seenWork = 0;
  readonly #workers = new KnownWorkers();
  #strays: StrayCursor | null | undefined = null;
  #strayTerm = 0;
  #straysAtMs = 0;

  constructor(options: CoordinatorOptions, modules: CoordinatorModules) {
    this.#options = options;
    this.#modules = modules;
  }

  /**
   * Answers one poll; `payload` is owned and has passed the door. `waitMs`: keep an empty answer back for so long.
   * Returns how to say that nobody waits for the answer any more: the poll is then given nothing, if that is not too late.
   */
  poll(payload: Uint8Array, waitMs: number, done: PollDone): () => void {
    const refusal = this.#refusal();
    if (refusal !== null) {
      this.stats.failedPolls++;
      done({ ok: false, error: refusal });
      return () => {};
    }
    this.stats.polls++;
    const { scheduler } = this.#modules;
    const waits = Math.min(waitMs, this.#options.waitMaxMs);
    const waitUntilMs = waits === 0 ? 0 : scheduler.monotonicMs() + waits;
    const poll: WaitingPoll = { payload, done, waitUntilMs, isGone: false, attempts: 0 };
    this.#waiting.push(poll);
    this.#begin();
    return () => {
      poll.isGone = true;
    };
  }

  /** Workers that asked within the last minute. */
  get workerCount(): number {
    return this.#workers.count(this.#modules.scheduler.monotonicMs());
  }

  /** Polls that wait, for a plan or for a job. */
  get waitingCount(): number {
    return this.#waiting.length + this.#idle.length;
  }

  /** Refuses what comes and what waits, and ends the thread. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    this.#cancelLook?.();
    this.#failAll(stopping());
    await this.#modules.planner.close();
  }

  #refusal(): HearthError | null {
    if (this.#isStopped) return stopping();
    const { replica } = this.#modules;
    if (!replica.isServing) return notLeader(replica.status().leader);
    if (this.waitingCount < this.#options.waitingPollsMax) return null;
    const message = `Cannot take the poll: ${this.waitingCount} polls wait already`;
    return new HearthError("resource_exhausted", message, {
      reason: "waiting_polls",
      retryAfterMs: 100,
    });
  }

  /** In a later turn, so that what arrives together is planned together. */
  #begin(): void {
    if (this.#isRunning || this.#isStopped || this.#waiting.length === 0) return;
    this.#isRunning = true;
    this.#modules.scheduler.defer(() => {
      void this.#round()
        .catch((error: unknown) => this.#failAll(toHearthError(error)))
        .finally(() => {
          this.#isRunning = false;
          this.#begin();
          this.#look();
        });
    });
  }

  async #round(): Promise<void> {
    let polls = this.#takeRound();
    if (polls.length === 0) return;
    const startedAtMs = this.#modules.scheduler.monotonicMs();
    this.#seenWork = this.#modules.state.compaction.workCount;
    try {
      const planned = await this.#plan(polls);
      if (planned === null) return;
      this.#waiting.unshift(...polls.slice(planned.answers.areEmpty.length));
      polls = polls.slice(0, planned.answers.areEmpty.length);
      this.stats.lastPlanMs = this.#modules.scheduler.monotonicMs() - startedAtMs;
      this.#workers.heard(planned.workers, this.#modules.scheduler.monotonicMs());
      if (planned.entry === null) {
        this.stats.emptyPlans++;
        this.#settle(polls, planned);
        return;
      }
      this.stats.plans++;
      const result = await this.#propose(planned.entry);
      if (!result.ok) throw result.error;
      if (result.outcomes[0] === OUTCOME.rejected) this.#planAgain(polls);
      else this.#settle(polls, planned);
    } catch (error) {
      this.#fail(polls, toHearthError(error));
    }
  }

  /** Gone polls are left out: they are given nothing. */
  #takeRound(): WaitingPoll[] {
    const polls: WaitingPoll[] = [];
    let bytes = 0;
    let taken = 0;
    for (const poll of this.#waiting) {
      if (polls.length > 0 && bytes + poll.payload.length > this.#options.roundMaxBytes) break;
      taken++;
      if (poll.isGone) {
        this.stats.gonePolls++;
        poll.done({ ok: false, error: gone() });
        continue;
      }
      polls.push(poll);
      bytes += poll.payload.length;
    }
    this.#waiting = this.#waiting.slice(taken);
    return polls;
  }

  /** null: compaction has just been turned on, and the polls are planned again. */
  async #plan(polls: readonly WaitingPoll[]): Promise<PlannedResult | null> {
    const { replica, planner, database, clock, state, scheduler } = this.#modules;
    const granted = await this.#readIndex();
    for (let tries = 0; tries < BEHIND_MAX; tries++) {
      replica.demandCommit();
      const result: PlannerResult = await planner.plan({
        kind: "plan",
        database: database(),
        polls: packBytes(polls.map(({ payload }) => payload)),
        // Leases count from it: never before what the log has said already.
        nowMs: Math.max(clock.nowMs(), state.appliedAtMs),
        term: granted.term,
        minIndex: granted.index,
        strays: this.#straySearch(granted.term),
      });
      if (result.kind === "planned") {
        this.#noteStrays(result.strays);
        return result;
      }
      if (result.kind === "off") {
        await this.#turnOn();
        this.#planAgain(polls);
        return null;
      }
      await new Promise<void>((resolve) => scheduler.after(BEHIND_MS, resolve));
    }
    throw new HearthError("unavailable", "The index does not catch up with the log", {
      reason: "not_caught_up",
      retryAfterMs: 100,
    });
  }

  /** The first worker turns compaction on, with what the flags of this node say. */
  async #turnOn(): Promise<void> {
    // Somebody may have set a policy since the planner looked.
    if (this.#modules.state.compaction.policy !== null) return;
    const json = JSON.stringify(this.#options.initialPolicy);
    const result = await this.#propose(
      entryOf(COMMAND.setCompactionPolicy, encodePolicyCommand(json)),
    );
    if (!result.ok) throw result.error;
    this.#modules.logger.info("compaction is on", { logIndex: result.firstIndex });
  }

  /** The plan holds. */
  #settle(polls: readonly WaitingPoll[], { answers }: PlannedResult): void {
    this.#answer(polls, answers);
  }

  #answer(polls: readonly WaitingPoll[], answers: PlannedAnswers): void {
    const nowMs = this.#modules.scheduler.monotonicMs();
    const replies = unpackBytes(answers.replies);
    const { reports } = this.stats;
    for (const result of Object.keys(reports) as (keyof ReportCounts)[]) {
      reports[result] += answers.reports[result];
    }
    for (const [i, poll] of polls.entries()) {
      const refusal = answers.refusals[i] ?? null;
      if (refusal !== null) {
        this.stats.refusedPolls++;
        poll.done({ ok: false, error: foreignResultError(refusal) });
      } else if (answers.areEmpty[i] === true && nowMs < poll.waitUntilMs) {
        this.#idle.push(poll);
      } else {
        poll.done({ ok: true, reply: replies[i] as Uint8Array });
      }
    }
  }

  /** The state moved on under the plan. */
  #planAgain(polls: readonly WaitingPoll[]): void {
    this.stats.overtakenPlans++;
    const again: WaitingPoll[] = [];
    for (const poll of polls) {
      poll.attempts++;
      if (poll.attempts < this.#options.attemptsMax) again.push(poll);
      else this.#fail([poll], overtaken());
    }
    this.#waiting.unshift(...again);
  }

  /** Polls that wait for a job are planned again when there may be one, and answered when their time is up. */
  #look(): void {
    if (this.#cancelLook !== null || this.#isStopped || this.#idle.length === 0) return;
    this.#cancelLook = this.#modules.scheduler.after(this.#options.lookMs, () => {
      this.#cancelLook = null;
      const { state, scheduler, replica } = this.#modules;
      const nowMs = scheduler.monotonicMs();
      if (!replica.isServing) this.#failAll(notLeader(replica.status().leader));
      const isChanged = state.compaction.workCount !== this.#seenWork;
      const isDue =
        isChanged ||
        nowMs - this.#lookedAtMs >= this.#options.replanMs ||
        this.#idle.some(({ waitUntilMs, isGone }) => isGone || nowMs >= waitUntilMs);
      if (isDue && !this.#isRunning) {
        this.#lookedAtMs = nowMs;
        this.#waiting.push(...this.#idle);
        this.#idle = [];
        this.#begin();
      }
      this.#look();
    });
  }

  /** A new leader searches once from the beginning, and later now and then. */
  #straySearch(term: number): StrayCursor | null | undefined {
    const nowMs = this.#modules.scheduler.monotonicMs();
    const isDue = nowMs - this.#straysAtMs >= this.#options.straySearchMs;
    if (term !== this.#strayTerm || (this.#strays === undefined && isDue)) {
      this.#strayTerm = term;
      this.#straysAtMs = nowMs;
      this.#strays = null;
    }
    return this.#strays;
  }

  #noteStrays(next: StrayCursor | null | undefined): void {
    this.#strays = next;
  }

  #propose(body: Uint8Array<ArrayBuffer>): Promise<ProposeResult> {
    return new Promise((resolve) => {
      this.#modules.replica.propose({ body, bodyBytes: body.length, count: 1 }, (result) => {
        // Outcomes are borrowed until the callback returns.
        resolve(result.ok ? { ...result, outcomes: result.outcomes.slice() } : result);
      });
    });
  }

  /** Errors: `not_leader` also when the office was lost meanwhile, so that workers look for the next leader. */
  async #readIndex(): Promise<ReadIndexResult & { readonly ok: true }> {
    const { replica } = this.#modules;
    const result = await new Promise<ReadIndexResult>((resolve) => replica.readIndex(resolve));
    const isLost = result.ok ? !replica.isServing : result.error.reason === "no_leader";
    if (isLost) throw notLeader(replica.status().leader);
    if (!result.ok) throw result.error;
    return result;
  }

  #fail(polls: readonly WaitingPoll[], error: HearthError): void {
    this.stats.failedPolls += polls.length;
    for (const { done } of polls) done({ ok: false, error });
  }

  #failAll(error: HearthError): void {
    const polls = [...this.#waiting, ...this.#idle];
    this.#waiting = [];
    this.#idle = [];
    this.#fail(polls, error);
  }
}

type PlannedResult = Extract<PlannerResult, { kind: "planned" }>;

function entryOf(command: number, payload: Uint8Array): Uint8Array<ArrayBuffer> {
  const sink = new ByteSink(payload.length + 64);
  appendEntry(sink, command, payload);
  return sink.copy() as Uint8Array<ArrayBuffer>;
}

function stopping(): HearthError {
  return new HearthError("unavailable", "The server is stopping", { reason: "stopping" });
}

function gone(): HearthError {
  return new HearthError("cancelled", "Nobody waits for the answer", { reason: "abandoned" });
}

function overtaken(): HearthError {
  const message = "The plan was overtaken again and again; nothing was changed";
  return new HearthError("failed_precondition", message, { reason: "plan_outdated", sent: "no" });
}

function notLeader(leader: HearthError["leader"]): HearthError {
  const message = "Compaction is coordinated by the leader, which is another member";
  return new HearthError("unavailable", message, {
    reason: "not_leader",
    leader: leader ?? undefined,
    retryAfterMs: 50,
  });
}
