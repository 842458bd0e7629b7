/**
 * What operators ask of compaction, on a reader thread of any member: looks are strong reads of the index, changes are
 * log entries, which reach the leader like any write. JSON in, JSON out (protocol, compaction-views.ts).
 */

import { type Clock, HearthError } from "../base/index.ts";
import type { IndexDatabase } from "../db/index.ts";
import {
  appendEntry,
  ByteSink,
  COMMAND,
  type CompactionPolicy,
  type ControlWish,
  decodeJsonMessage,
  encodeControlJobs,
  encodeJsonMessage,
  encodePolicyCommand,
  OP,
  type PolicyWish,
} from "../protocol/index.ts";
import {
  changePolicy,
  compactionOverview,
  listJobViews,
  listQueueViews,
  parsePolicy,
  planView,
  readJobDetails,
  readPolicyText,
} from "../state/index.ts";
import { QuestionReader } from "./compaction-questions.ts";
import { ENTRY_OUTCOMES, type MainLink, type ProposalResult } from "./main-link.ts";
import type { ReadService } from "./reads.ts";
import type { Reply } from "./reply.ts";

export interface CompactionControlOptions {
  /** What compaction begins with where no policy is in force. */
  readonly initialPolicy: CompactionPolicy;
}

export interface CompactionControlModules {
  readonly db: IndexDatabase;
  readonly reads: Pick<ReadService, "run">;
  readonly main: Pick<MainLink, "propose">;
  /** The log index that the open transaction has applied. */
  readonly appliedIndex: () => number;
  readonly clock: Clock;
}

/** Operators are few: more changes at once than this are a script that went wrong. */
const PENDING_MAX = 64;

export class CompactionControl {
  readonly #options: CompactionControlOptions;
  readonly #modules: CompactionControlModules;
  readonly #answer = new ByteSink(4_096);
  #pending = 0;

  constructor(options: CompactionControlOptions, modules: CompactionControlModules) {
    this.#options = options;
    this.#modules = modules;
  }

  /** Errors: throws HearthError `invalid_argument` for a question that is none; `unimplemented` for another operation. */
  handle(opcode: number, payload: Uint8Array, reply: Reply): void {
    const question = new QuestionReader(decodeJsonMessage(payload));
    switch (opcode) {
      case OP.list_compaction_jobs: {
        const filter = question.jobFilter();
        return this.#read(reply, (db, nowMs) => listJobViews(db, filter, nowMs));
      }
      case OP.get_compaction_job: {
        const name = question.jobName();
        return this.#read(reply, (db, nowMs) => readJobDetails(db, name, nowMs) ?? noJob(name));
      }
      case OP.compaction_status:
        question.nothing();
        return this.#read(reply, compactionOverview);
      case OP.compaction_queues: {
        const filter = question.queueFilter();
        return this.#read(reply, (db) => listQueueViews(db, filter));
      }
      case OP.preview_compaction_plan: {
        const capacity = question.capacity();
        const token = (): number => this.#modules.appliedIndex() + 1;
        return this.#read(reply, (db, nowMs) => {
          const plan = planView(db, { capacity, nowMs, token: token() });
          if (plan === null) throw compactionOff();
          return plan;
        });
      }
      case OP.control_compaction_jobs:
        return this.#control(question.controlWish(), reply);
      case OP.change_compaction_policy:
        return this.#changePolicy(question.policyWish(), reply);
      default:
        throw new HearthError("unimplemented", `Operation ${opcode} is not implemented`, {
          reason: "unimplemented",
        });
    }
  }

  /** Names what is there before it asks for the change: a name that no job has is a mistake worth saying. */
  #control(wish: ControlWish, reply: Reply): void {
    const { action, names, reason, dryRun } = wish;
    this.#modules.reads.run("strong", reply, () => {
      const { db, clock } = this.#modules;
      const nowMs = clock.nowMs();
      const found = names.map((name) => ({ name, job: readJobDetails(db, name, nowMs) }));
      const jobs = found.flatMap(({ job }) => {
        if (job === null) return [];
        const { sourceBlocks, tombstoneNames, reasons, ...view } = job;
        return [view];
      });
      const missing = found.filter(({ job }) => job === null).map(({ name }) => name);
      const before = { dryRun, jobs, missing };
      if (jobs.length === 0) throw noJob(missing[0] ?? "");
      if (dryRun) {
        this.#end(reply, { ...before, changed: true, logIndex: null, term: null });
        return;
      }
      const present = jobs.map(({ name }) => name);
      const entry = entryOf(
        COMMAND.controlJobs,
        encodeControlJobs({ action, names: present, reason }),
      );
      this.#propose(entry, reply, (done) => ({ ...before, ...done }));
    });
  }

  #changePolicy({ set, pause, resume, dryRun }: PolicyWish, reply: Reply): void {
    const base = this.#options.initialPolicy;
    const change = JSON.stringify({ base, set, pause, resume });
    this.#modules.reads.run("strong", reply, () => {
      const current = readPolicyText(this.#modules.db);
      const result = changePolicy(current, change);
      if (!result.ok) throw badPolicy(result.problems);
      const after = policyOf(result.json);
      const before = current === null ? null : policyOf(current);
      const answer = { dryRun, before, after };
      if (dryRun || !result.isChanged) {
        const { isChanged: changed } = result;
        this.#end(reply, { ...answer, changed, logIndex: null, term: null });
        return;
      }
      const entry = entryOf(COMMAND.changeCompactionPolicy, encodePolicyCommand(change));
      this.#propose(entry, reply, (done) => ({ ...answer, ...done }));
    });
  }

  #read(reply: Reply, look: (db: IndexDatabase, nowMs: number) => object): void {
    this.#modules.reads.run("strong", reply, () => {
      const { db, clock } = this.#modules;
      this.#end(reply, look(db, clock.nowMs()));
    });
  }

  #propose(
    body: Uint8Array<ArrayBuffer>,
    reply: Reply,
    answer: (done: { changed: boolean; logIndex: number; term: number }) => object,
  ): void {
    if (this.#pending >= PENDING_MAX) {
      const message = `Cannot take the change: ${this.#pending} of them wait already`;
      throw new HearthError("resource_exhausted", message, {
        reason: "waiting_changes",
        retryAfterMs: 500,
      });
    }
    this.#pending++;
    const { deadlineAtMs } = reply;
    const proposal = { body, count: 1, termAtLeast: 0, appendedAtMs: 0, deadlineAtMs };
    this.#modules.main.propose(proposal, (result) => {
      this.#pending--;
      if (reply.isSettled) return;
      const refusal = refusalOf(result);
      if (refusal !== null) return reply.fail(refusal);
      if (!result.ok) return;
      const { firstIndex: logIndex, term, outcomes } = result;
      const changed = outcomes[0] === ENTRY_OUTCOMES.applied;
      this.#end(reply, answer({ changed, logIndex, term }));
    });
  }

  #end(reply: Reply, answer: object): void {
    this.#answer.reset();
    encodeJsonMessage(this.#answer, JSON.stringify(answer));
    reply.end(this.#answer.view());
  }
}

function refusalOf(result: ProposalResult): HearthError | null {
  if (!result.ok) return result.error;
  if (result.outcomes[0] !== ENTRY_OUTCOMES.rejected) return null;
  const reason = result.rejections.get(0) ?? "command_rejected";
  const message = `The change at log index ${result.firstIndex} could not be applied; nothing was changed`;
  return new HearthError("failed_precondition", message, { reason, sent: "yes" });
}

function entryOf(command: number, payload: Uint8Array): Uint8Array<ArrayBuffer> {
  const sink = new ByteSink(payload.length + 64);
  appendEntry(sink, command, payload);
  return new Uint8Array(sink.copy());
}

/** Text that was checked, with this program's defaults where it says nothing. */
function policyOf(json: string): CompactionPolicy {
  const result = parsePolicy(json);
  if (result.ok) return result.policy;
  throw badPolicy(result.problems);
}

function noJob(name: string): never {
  throw new HearthError("not_found", `There is no compaction job ${JSON.stringify(name)}`, {
    reason: "no_such_job",
    next: "It may be done: hearth job list shows those that there are",
  });
}

function compactionOff(): HearthError {
  return new HearthError("failed_precondition", "Compaction is off: no policy was ever set", {
    reason: "compaction_off",
    next: "The first poll of a worker turns it on, and so does hearth compaction policy set",
  });
}

function badPolicy(problems: readonly string[]): HearthError {
  return new HearthError("invalid_argument", `Cannot set the policy: ${problems.join("; ")}`, {
    reason: "bad_policy",
    next: "docs/operate/compaction.md lists the settings and what they may be",
  });
}
