/**
 * Read indexes for one reader thread of a follower: from the leader over a connection of the thread's own, and where that
 * cannot be, by way of main.
 *
 *   round ──> follower, connected ──ask──> leader ──grant──> done
 *               │ no                         │ error, or silent for a second
 *               v                            v
 *             main  <────────────────────────┘   and for a while everything behind it
 *
 * Two threads less have to wake than on the way over main and back, and main has nothing to do with it.
 *
 * Why a grant is as good as the one that main gets (src/raft/DESIGN.md 29): where the two are no majority the leader asks the others,
 * as it does for main; where they are, the question says in which term this member was
 * when the reads had come. Main publishes a term before anything that it does in it leaves, its vote included, so a member
 * whose published term is T has voted in no later one; and the leader of T answers only while it leads in it.
 */

import type { Scheduler } from "../../base/index.ts";
import { type LineTarget, PEER_CALL, type PeerAnswer, type PeerLine } from "../../cluster/index.ts";
import type { MainLink, ReadIndexResult } from "../main-link.ts";
import type { ReadProgress, ReadRounds } from "../reads.ts";
import { RequestCounters, type RequestDuration } from "../request-counters.ts";
import { encodeReadQuestion, tryDecodeReadGrant } from "./read-question.ts";

/** A leader that is silent for so long hears of it from main, which repeats itself and learns when another one leads. */
const ANSWER_MS = 1_000;
/** How long main is asked behind a question that failed. */
const REST_MS = 1_000;
/** The same behind one that no later one would fare better than: this leader is of a version that does not know the question. */
const LONG_REST_MS = 30_000;

/** What reader threads came to. Plain data: it crosses threads. Counts since the thread started. */
export interface ReadRoundMetrics {
  /** Questions that the leader granted over the connection of the thread, and questions to main. */
  readonly leader: number;
  readonly main: number;
  /** From the question to the leader's grant; null: there was none. */
  readonly waits: RequestDuration | null;
}

export interface LeaderReadsModules {
  readonly progress: Pick<ReadProgress, "term" | "isLeader">;
  readonly main: Pick<MainLink, "readIndex">;
  readonly line: Pick<PeerLine, "tryAsk" | "setTarget">;
  readonly scheduler: Scheduler;
}

export class LeaderReads implements ReadRounds {
  readonly #modules: LeaderReadsModules;
  readonly #granted = new RequestCounters(["leader"]);
  #leaderCount = 0;
  #mainCount = 0;
  #restUntilMs = Number.NEGATIVE_INFINITY;

  constructor(modules: LeaderReadsModules) {
    this.#modules = modules;
  }

  /** Who leads, and where; null: not known, or this member. */
  setLeader(target: LineTarget | null): void {
    this.#restUntilMs = Number.NEGATIVE_INFINITY;
    this.#modules.line.setTarget(target);
  }

  readIndex(done: (result: ReadIndexResult) => void): void {
    if (!this.#tryAskLeader(done)) this.#askMain(done);
  }

  metrics(): ReadRoundMetrics {
    const [waits = null] = this.#granted.snapshot().durations;
    return { leader: this.#leaderCount, main: this.#mainCount, waits };
  }

  #tryAskLeader(done: (result: ReadIndexResult) => void): boolean {
    const { progress, line, scheduler } = this.#modules;
    const askedAtMs = scheduler.monotonicMs();
    if (progress.isLeader || askedAtMs < this.#restUntilMs) return false;
    const question = encodeReadQuestion(progress.term);
    return line.tryAsk(PEER_CALL.readIndex, question, ANSWER_MS, (answer) => {
      const nowMs = scheduler.monotonicMs();
      const grant = answer.ok ? tryDecodeReadGrant(answer.body) : null;
      if (grant !== null) {
        this.#leaderCount += 1;
        this.#granted.countRequest(0, 0, nowMs - askedAtMs);
        return done({ ok: true, ...grant });
      }
      this.#restUntilMs = nowMs + (isForGood(answer) ? LONG_REST_MS : REST_MS);
      this.#askMain(done);
    });
  }

  #askMain(done: (result: ReadIndexResult) => void): void {
    this.#mainCount += 1;
    this.#modules.main.readIndex(done);
  }
}

function isForGood(answer: PeerAnswer): boolean {
  return !answer.ok && answer.error.code === "unimplemented";
}
