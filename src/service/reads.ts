/**
 * Strong reads on a reader thread: which state a read may be answered from, and when.
 *
 *   run ──> grant known? ──yes──> transaction with applied >= grant? ──yes──> execute, in the same turn
 *             │ no                         │ no
 *             v                            v
 *     next round, to leader or main  parked until main publishes        (deadlines are kept by the replies)
 *
 * Why an answer is linearizable:
 * 1. The grant is taken after the request arrived and is at or above every index acknowledged before (SharedState).
 * 2. The read transaction is the judge: `applied` is read inside it, and it serves only at applied >= grant. The
 *    published applied index merely says when to look again.
 * 3. A transaction may serve every read of one turn of the event loop whose grant it has reached: being opened before
 *    the request arrived does not matter, containing the granted index does.
 * 4. While the wake count stands where it stood before an earlier read of the turn was granted, that grant covers a
 *    later read too. Main publishes an index, which moves the count last, before it acknowledges the write: one that was
 *    acknowledged before the later read came would have moved it. So does a publish that withdraws the right to grant;
 *    that a read slips in between its first word and its last is as if it had come before it.
 *
 * Nothing here polls. A read waits for a round or for a publish, both of which wake it.
 */

import {
  HearthError,
  type Logger,
  type Scheduler,
  SYSTEM_SCHEDULER,
  toHearthError,
} from "../base/index.ts";
import type { ReadIndexResult } from "./main-link.ts";
import { answerGrouped, type Waiter } from "./reply.ts";

/** What reads need of the database handle: short read transactions of this thread. */
export interface ReadTransactions {
  beginRead(): void;
  endRead(): void;
}

/** What reads need of SharedState. */
export interface ReadProgress {
  readonly term: number;
  readonly appliedIndex: number;
  readonly isLeader: boolean;
  readonly wakeCount: number;
  tryGrantRead(): number;
  waitForPublish(seenWakeCount: number): Promise<void>;
}

/** Where reads get an index from that nothing here can grant. */
export interface ReadRounds {
  /** An index at or above every write acknowledged before this call. `done` is called once. */
  readIndex(done: (result: ReadIndexResult) => void): void;
}

export interface ReadModules {
  readonly transactions: ReadTransactions;
  /** The log index that the open transaction has applied. */
  readonly appliedIndex: () => number;
  readonly progress: ReadProgress;
  readonly rounds: ReadRounds;
  readonly logger: Logger;
  /** Turns of this thread's event loop; the simulator has its own. */
  readonly scheduler?: Scheduler;
}

export interface ReadOptions {
  /** Reads that may wait for a grant or for the applied index, per thread. */
  readonly waitingReadsMax: number;
  /** Entries that a follower may be behind a read before the read fails instead of waiting; 0: it always waits. */
  readonly readIndexMaxDistance: number;
}

/** strong: sees every write acknowledged before. local: whatever this member has applied. */
export type ReadLevel = "strong" | "local";

/** The read itself. Runs inside a transaction, synchronously; what it throws becomes the answer. */
export type ReadBody = () => void;

interface ReadTask {
  readonly reply: Waiter;
  readonly body: ReadBody;
}

interface ParkedRead extends ReadTask {
  readonly minIndex: number;
}

interface GrantWaiter {
  readonly reply: Waiter;
  readonly done: (index: number, term: number) => void;
}

export class ReadService {
  readonly #options: ReadOptions;
  readonly #modules: ReadModules;
  readonly #scheduler: Scheduler;
  #isTransactionOpen = false;
  /** Applied index of the open transaction. */
  #transactionIndex = 0;
  /** While nothing was published since this wake count, the open transaction may serve strong reads: rule 4. */
  #coveredWakeCount = -1;
  /** Waiting for the next round. */
  #nextRound: GrantWaiter[] = [];
  /** Reads in rounds under way. */
  #inRounds = 0;
  #parked: ParkedRead[] = [];
  #isWaitingForPublish = false;
  #isClosed = false;

  constructor(options: ReadOptions, modules: ReadModules) {
    this.#options = options;
    this.#modules = modules;
    this.#scheduler = modules.scheduler ?? SYSTEM_SCHEDULER;
  }

  /** Reads that wait now: for the metrics. */
  get waitingCount(): number {
    return this.#nextRound.length + this.#inRounds + this.#parked.length;
  }

  /**
   * True when a read that came now may be answered now, from the transaction that is then open: its caller answers it
   * before it returns, or hands what that throws to `failed`. For reads that come by the hundred thousand: `run` does
   * the same for a closure and an object more. False: `run` it, which waits.
   */
  maybeBegin(level: ReadLevel): boolean {
    if (this.#isTransactionOpen) {
      if (level === "local" || this.#modules.progress.wakeCount === this.#coveredWakeCount)
        return true;
    }
    return !this.#isClosed && this.#tryReach(level);
  }

  /** Answers at once when it can, else when it may. */
  run(level: ReadLevel, reply: Waiter, body: ReadBody): void {
    const task = { reply, body };
    if (level === "local") {
      this.#execute(task, 0);
      return;
    }
    const granted = this.#modules.progress.tryGrantRead();
    if (granted >= 0) {
      this.#execute(task, granted);
      return;
    }
    this.#joinRound({ reply, done: (index) => this.#execute(task, index) });
  }

  /** A read that was begun has thrown. */
  failed(reply: Waiter, error: unknown): void {
    // It may have left a cursor behind: the next read starts afresh.
    this.#endTransaction();
    const failure = toHearthError(error);
    if (failure.code === "internal" || failure.code === "data_loss") {
      this.#modules.logger.error("read failed", { error: failure.message });
    }
    reply.fail(failure);
  }

  /** Tells the index that a strong read would have to reach now, and its term. */
  grant(reply: Waiter, done: (index: number, term: number) => void): void {
    const { progress } = this.#modules;
    const granted = progress.tryGrantRead();
    if (granted >= 0) {
      done(granted, progress.term);
      return;
    }
    this.#joinRound({ reply, done });
  }

  /** Ends the open transaction: the next read sees what is committed then. For whoever changes the database. */
  renew(): void {
    this.#endTransaction();
  }

  /** Ends the open transaction, so that the database can be closed. Reads that wait are left to their replies. */
  close(): void {
    this.#isClosed = true;
    this.#endTransaction();
    this.#parked = [];
    this.#nextRound = [];
  }

  #execute(task: ReadTask, minIndex: number): void {
    if (this.#isClosed) {
      task.reply.fail(stopping());
      return;
    }
    // Taken before the look at the database: a publish in between must not be slept through.
    const { wakeCount } = this.#modules.progress;
    try {
      if (this.#openTransaction() < minIndex && !this.#hasCaughtUp(minIndex)) {
        this.#refuseDistance(minIndex);
        this.#park({ ...task, minIndex }, wakeCount);
        return;
      }
      task.body();
    } catch (error) {
      this.failed(task.reply, error);
    }
  }

  /** Opens a transaction that may serve the level, if there is one now. What goes wrong here is for `run` to tell. */
  #tryReach(level: ReadLevel): boolean {
    const { progress } = this.#modules;
    // Taken before the grant: a publish in between must not be covered by it.
    const wakeCount = progress.wakeCount;
    const granted = level === "local" ? 0 : progress.tryGrantRead();
    if (granted < 0) return false;
    try {
      if (this.#openTransaction() < granted && this.#renewTransaction() < granted) return false;
    } catch {
      this.#endTransaction();
      return false;
    }
    if (level === "strong") this.#coveredWakeCount = wakeCount;
    return true;
  }

  /** The transaction of this turn: opening one per read would cost a fifth of a point read. */
  #openTransaction(): number {
    if (this.#isTransactionOpen) return this.#transactionIndex;
    this.#modules.transactions.beginRead();
    this.#isTransactionOpen = true;
    this.#scheduler.defer(this.#endTransaction);
    this.#transactionIndex = this.#modules.appliedIndex();
    return this.#transactionIndex;
  }

  /**
   * Looks again. What was published before a transaction began is in it, so a state below that has taken the place of
   * the one that was promised: the read is given up (spec raft-and-cluster, 5.2 step 3).
   */
  #hasCaughtUp(minIndex: number): boolean {
    const published = this.#modules.progress.appliedIndex;
    const found = this.#renewTransaction();
    if (found < minIndex && published >= minIndex) throw stateReplaced(minIndex, found);
    return found >= minIndex;
  }

  #renewTransaction(): number {
    this.#modules.transactions.endRead();
    this.#isTransactionOpen = false;
    // What an earlier read was granted was found in the transaction that ends here.
    this.#coveredWakeCount = -1;
    this.#modules.transactions.beginRead();
    this.#isTransactionOpen = true;
    this.#transactionIndex = this.#modules.appliedIndex();
    return this.#transactionIndex;
  }

  readonly #endTransaction = (): void => {
    if (!this.#isTransactionOpen) return;
    this.#isTransactionOpen = false;
    this.#coveredWakeCount = -1;
    this.#modules.transactions.endRead();
  };

  #joinRound(waiter: GrantWaiter): void {
    if (this.waitingCount >= this.#options.waitingReadsMax) {
      waiter.reply.fail(tooManyWaiting(this.#options.waitingReadsMax));
      return;
    }
    this.#nextRound.push(waiter);
    if (this.#nextRound.length === 1) this.#scheduler.defer(() => this.#startRound());
  }

  #startRound(): void {
    const waiters = this.#nextRound;
    this.#nextRound = [];
    if (waiters.length === 0) return;
    this.#inRounds += waiters.length;
    this.#modules.rounds.readIndex((result) => {
      this.#inRounds -= waiters.length;
      answerGrouped(waiters, (waiter) => answerGrant(waiter, result));
    });
  }

  /**
   * A member that is far behind will not be there in time; another one is. The leader is behind itself only for as long
   * as it takes to apply what it has just committed.
   */
  #refuseDistance(minIndex: number): void {
    const { readIndexMaxDistance } = this.#options;
    const distance = minIndex - this.#transactionIndex;
    if (readIndexMaxDistance === 0 || distance <= readIndexMaxDistance) return;
    if (!this.#modules.progress.isLeader) throw tooFarBehind(distance, readIndexMaxDistance);
  }

  #park(read: ParkedRead, wakeCount: number): void {
    if (this.waitingCount >= this.#options.waitingReadsMax) {
      read.reply.fail(tooManyWaiting(this.#options.waitingReadsMax));
      return;
    }
    this.#parked.push(read);
    this.#waitForPublish(wakeCount);
  }

  #waitForPublish(wakeCount: number): void {
    if (this.#isWaitingForPublish) return;
    this.#isWaitingForPublish = true;
    void this.#modules.progress.waitForPublish(wakeCount).then(() => {
      this.#isWaitingForPublish = false;
      this.#wakeParked();
    });
  }

  #wakeParked(): void {
    const wakeCount = this.#modules.progress.wakeCount;
    const appliedIndex = this.#modules.progress.appliedIndex;
    const waiting = this.#parked.filter((read) => !read.reply.isSettled);
    const ready = waiting.filter((read) => read.minIndex <= appliedIndex);
    this.#parked = waiting.filter((read) => read.minIndex > appliedIndex);
    answerGrouped(ready, (read) => this.#execute(read, read.minIndex));
    if (this.#parked.length > 0) this.#waitForPublish(wakeCount);
  }
}

function answerGrant(waiter: GrantWaiter, result: ReadIndexResult): void {
  if (waiter.reply.isSettled) return;
  if (result.ok) waiter.done(result.index, result.term);
  else waiter.reply.fail(result.error);
}

function tooManyWaiting(max: number): HearthError {
  const message = `Cannot wait for the read: ${max} reads wait already on this thread`;
  return new HearthError("resource_exhausted", message, {
    reason: "waiting_reads",
    retryAfterMs: 50,
  });
}

function stateReplaced(minIndex: number, found: number): HearthError {
  const message = `The state was replaced: it is at log index ${found}, the read needs ${minIndex}`;
  return new HearthError("aborted", message, { reason: "state_replaced", retryAfterMs: 50 });
}

function tooFarBehind(distance: number, max: number): HearthError {
  const message = `This member is ${distance} entries behind, more than ${max}: another one can answer`;
  return new HearthError("unavailable", message, {
    reason: "too_far_behind",
    next: "Ask another member, or raise metastore.raft.read-index-max-distance",
    retryAfterMs: 100,
  });
}

function stopping(): HearthError {
  return new HearthError("unavailable", "Cannot read: the server is stopping", {
    reason: "stopping",
  });
}
