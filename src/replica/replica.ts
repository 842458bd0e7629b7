/**
 * The driver of one member: joins log and state machine, and answers writes and reads.
 *
 * The steps of a write are numbered as in DESIGN.md, "The loop"; comments of the form "Step n" point there. With one
 * voter, durable is committed; what Raft adds sits between steps 4 and 5 and changes neither side of this file.
 * Longer than a file should be: it is one state machine, and its fields hold one set of invariants.
 */

import { assert, type Clock, type HearthError, type Logger, toHearthError } from "../base/index.ts";
import { type DurableLog, entriesByteLength } from "../log/index.ts";
import { applyFailed, outcomeUnknown, refused } from "./errors.ts";
import { answerRange, NO_REJECTIONS } from "./answers.ts";
import { NOOP_BODY } from "./noop.ts";
import { assertReplicaOptions, type ReplicaOptions } from "./options.ts";
import { type PendingProposal, ProposalQueue } from "./proposal-queue.ts";
import { assertStateFitsLog, replay } from "./replay.ts";
import {
  type ApplyOutcome,
  createReplicaStats,
  PHASE,
  type Phase,
  type Proposal,
  type ProposeDone,
  type PublishedState,
  type ReadIndexDone,
  type RefusalReason,
  type ReplicaStats,
  type ReplicaStatus,
  type StateMachine,
} from "./types.ts";

export interface ReplicaModules {
  /** Opened; the replica closes it in `stop`. */
  readonly log: DurableLog;
  readonly stateMachine: StateMachine;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Called after every change of what reader threads may see, on the main thread. */
  readonly publish: (state: PublishedState) => void;
  /** Called once when the node cannot go on: the process must end (exit 74 for a failed log write). */
  readonly onFatal: (error: HearthError) => void;
}

export class Replica {
  readonly stats: ReplicaStats = createReplicaStats();
  readonly #options: ReplicaOptions;
  readonly #log: DurableLog;
  readonly #stateMachine: StateMachine;
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #publish: (state: PublishedState) => void;
  readonly #onFatal: (error: HearthError) => void;
  #phase: Phase = PHASE.opening;
  #failure: HearthError | null = null;
  #term: number;
  /** First entry of the current term: from its commit on, this member may grant reads. */
  #termStartIndex = Number.POSITIVE_INFINITY;
  /** Invariant: applied <= commit <= durable index of the log. Never decreases. */
  #commitIndex = 0;
  #appliedIndex: number;
  #replayedEntries = 0;
  #replayEntries = 0;
  readonly #queue = new ProposalQueue();
  #waitingReads: ReadIndexDone[] = [];
  /** Log time of the newest entry that took it from the clock: later ones never go below. */
  #appendedAtMs: number;
  /** Log time of this turn of the event loop; 0: not read yet. */
  #turnAtMs = 0;
  #isFlushScheduled = false;
  #isApplyScheduled = false;
  #isSweepScheduled = false;
  #starting: Promise<void> | null = null;
  #onProgress: (() => void) | null = null;

  constructor(options: ReplicaOptions, modules: ReplicaModules) {
    assertReplicaOptions(options, modules.log.bodyMaxBytes);
    this.#options = options;
    this.#log = modules.log;
    this.#stateMachine = modules.stateMachine;
    this.#clock = modules.clock;
    this.#logger = modules.logger;
    this.#publish = modules.publish;
    this.#onFatal = modules.onFatal;
    this.#term = modules.log.hardState.term;
    this.#appliedIndex = modules.stateMachine.appliedIndex;
    this.#appendedAtMs = modules.log.lastAppendedAtMs;
    this.#log.setOwner({
      onDurable: () => this.#onDurable(),
      onFailed: (error) => this.#fail(error),
    });
  }

  /**
   * Makes this member the leader of a new term and brings the state up to the log.
   *
   * Errors: HearthError failed_precondition when state and log do not belong together, data_loss when the log is
   *   damaged, or what failed on the way. Resolves early, without being ready, when `stop` is called meanwhile.
   */
  start(): Promise<void> {
    assert(this.#phase === PHASE.opening, `Cannot start in phase ${this.#phase}`);
    this.#phase = PHASE.replaying;
    this.#starting = this.#start().catch((error: unknown) => {
      this.#phase = PHASE.failed;
      this.#failure ??= toHearthError(error);
      throw error;
    });
    return this.#starting;
  }

  /**
   * Hands over entries. `done` is called once, in a later turn unless the proposal is refused: with the outcomes when
   * the entries are durable and applied, or with the error. A refusal with `sent: "no"` wrote nothing.
   */
  propose(proposal: Proposal, done: ProposeDone): void {
    const error = this.#refusal(proposal.bodyBytes);
    if (error !== null) {
      this.stats.refused[error.reason as RefusalReason] += 1;
      done({ ok: false, error });
      return;
    }
    const { body, bodyBytes, count } = proposal;
    // Framing that does not add up would stop every later start of this node: better now than from the log.
    assert(
      entriesByteLength(body, count) === bodyBytes,
      `Body of ${bodyBytes} bytes is not ${count} entries`,
    );
    assert(body.byteOffset % 8 === 0, "Body does not begin at a multiple of 8");
    this.#append({
      firstIndex: this.#log.lastIndex + 1,
      term: this.#term,
      appendedAtMs: proposal.appendedAtMs ?? this.#turnTimeMs(),
      count,
      body,
      bodyBytes,
      done,
    });
  }

  /**
   * Answers with the index that a linearizable read has to wait for. May call `done` before it returns: one voter
   * has nobody to ask, once an entry of its own term is committed.
   */
  readIndex(done: ReadIndexDone): void {
    if (this.#phase !== PHASE.ready && this.#phase !== PHASE.stopping) {
      const error = this.#notReady();
      this.stats.refused[error.reason as RefusalReason] += 1;
      done({ ok: false, error });
      return;
    }
    this.stats.reads += 1;
    if (this.#isLeader()) done({ ok: true, index: this.#commitIndex, term: this.#term });
    else this.#waitingReads.push(done);
  }

  /** Raises the term to at least `termAtLeast`, with a first entry of its own; `done` once that is applied. */
  campaign(termAtLeast: number, done: ProposeDone): void {
    assert(Number.isSafeInteger(termAtLeast), `Term ${termAtLeast} is not an integer`);
    const error = this.#refusal(0);
    if (error !== null) {
      done({ ok: false, error });
    } else if (termAtLeast <= this.#term) {
      const { lastIndex } = this.#log;
      const outcomes = new Uint8Array(0);
      done({
        ok: true,
        firstIndex: lastIndex,
        term: this.#term,
        outcomes,
        rejections: NO_REJECTIONS,
      });
    } else {
      this.#becomeLeader(termAtLeast);
      this.#append({ ...this.#noop(this.#termStartIndex), done });
    }
  }

  /** Refuses what comes, finishes what was accepted, and closes the log. */
  async stop(): Promise<void> {
    if (this.#phase !== PHASE.failed) this.#phase = PHASE.stopping;
    await this.#starting?.catch(() => {});
    while (this.#queue.length > 0 && !this.#hasFailed()) {
      this.#log.flush();
      await this.#progress();
    }
    await this.#log.close();
    if (!this.#hasFailed()) this.#phase = PHASE.stopped;
    this.#announce();
  }

  status(): ReplicaStatus {
    return {
      phase: this.#phase,
      text: this.#phaseText(),
      role: this.#isLeader() ? "leader" : "follower",
      term: this.#term,
      firstIndex: this.#log.firstIndex,
      commitIndex: this.#commitIndex,
      appliedIndex: this.#appliedIndex,
      lastIndex: this.#log.lastIndex,
      replayedEntries: this.#replayedEntries,
      replayEntries: this.#replayEntries,
      pendingProposals: this.#queue.length,
      uncommittedBytes: this.#queue.bytes,
      pendingWriteMs: this.#log.pendingWriteMs,
      failure: this.#failure,
    };
  }

  // -- the loop ------------------------------------------------------------------------------------------------

  /** Steps 1 and 2: into the log's buffer now, to the disk at the end of this turn. */
  #append(proposal: PendingProposal): void {
    this.#log.append(proposal);
    this.#queue.push(proposal);
    this.stats.proposals += 1;
    this.stats.entries += proposal.count;
    this.#scheduleFlush();
  }

  #scheduleFlush(): void {
    if (this.#isFlushScheduled) return;
    this.#isFlushScheduled = true;
    setImmediate(() => {
      this.#isFlushScheduled = false;
      this.#turnAtMs = 0;
      this.#log.flush();
    });
  }

  /** Step 4, after the log has started the next write (step 3): one voter commits what is durable. */
  #onDurable(): void {
    const { durableIndex } = this.#log;
    assert(
      durableIndex >= this.#commitIndex,
      `Durable ${durableIndex} is below commit ${this.#commitIndex}`,
    );
    this.#commitIndex = durableIndex;
    this.#log.commitIndex = durableIndex;
    if (this.#phase !== PHASE.replaying && !this.#isApplyScheduled) this.#applyCommitted();
    this.#onProgress?.();
  }

  /** Steps 5 to 7 for one range; a range that is left over gets its own turn, so that sockets are served between. */
  #applyCommitted(): void {
    const range = this.#queue.take(this.#commitIndex, this.#options.applyMaxBytes);
    const last = range.at(-1);
    if (last === undefined) return;
    const result = this.#apply(range);
    if (result === null) return;
    this.#appliedIndex = last.firstIndex + last.count - 1;
    this.#announce();
    answerRange(range, result);
    if (this.#queue.length === 0) {
      this.#scheduleSweep();
      this.#onProgress?.();
      return;
    }
    this.#isApplyScheduled = true;
    setImmediate(() => {
      this.#isApplyScheduled = false;
      if (!this.#hasFailed()) this.#applyCommitted();
    });
  }

  /** Step 5: the whole range in one transaction. Null when the database failed. */
  #apply(range: readonly PendingProposal[]): ApplyOutcome | null {
    const startedAtMs = performance.now();
    try {
      const result = this.#stateMachine.apply(range);
      this.stats.lastApplyMs = performance.now() - startedAtMs;
      this.stats.appliedRanges += 1;
      this.stats.appliedEntries += result.outcomes.length;
      return result;
    } catch (cause) {
      const error = applyFailed(this.#appliedIndex + 1, cause);
      for (const { done } of range) done({ ok: false, error: outcomeUnknown(error) });
      this.#fail(error);
      return null;
    }
  }

  /** Step 6: readers may rely on it from here on; reads that waited for the term are granted. */
  #announce(): void {
    const isLeader = this.#isLeader();
    this.#publish({
      term: this.#term,
      commitIndex: this.#commitIndex,
      appliedIndex: this.#appliedIndex,
      isLeader,
    });
    if (this.#waitingReads.length === 0 || !isLeader) return;
    const reads = this.#waitingReads;
    this.#waitingReads = [];
    for (const done of reads) done({ ok: true, index: this.#commitIndex, term: this.#term });
  }

  #scheduleSweep(): void {
    if (this.#stateMachine.sweep === undefined || this.#isSweepScheduled) return;
    this.#isSweepScheduled = true;
    setImmediate(() => {
      this.#isSweepScheduled = false;
      if (this.#phase !== PHASE.ready || this.#queue.length > 0) return;
      try {
        if (this.#stateMachine.sweep?.() === true) this.#scheduleSweep();
      } catch (cause) {
        this.#fail(applyFailed(this.#appliedIndex + 1, cause));
      }
    });
  }

  // -- start ---------------------------------------------------------------------------------------------------

  async #start(): Promise<void> {
    await assertStateFitsLog(this.#log, this.#stateMachine);
    this.#becomeLeader(this.#term + 1);
    this.#log.append(this.#noop(this.#termStartIndex));
    this.#scheduleFlush();
    while (this.#commitIndex < this.#termStartIndex && this.#failure === null)
      await this.#progress();
    if (this.#failure !== null) throw this.#failure;
    this.#replayEntries = this.#commitIndex - this.#appliedIndex;
    await this.#replay();
    if (this.#phase !== PHASE.replaying) return;
    this.#phase = PHASE.ready;
    this.#announce();
    this.#scheduleSweep();
    const { lastIndex, recoveredCutBytes } = this.#log;
    const fields = {
      term: this.#term,
      lastIndex,
      replayedEntries: this.#replayedEntries,
      recoveredCutBytes,
    };
    this.#logger.info("replica is ready", fields);
  }

  /** Durable before anything of the term is: both go in one write, the hard state first. */
  #becomeLeader(term: number): void {
    this.#term = term;
    this.#log.setHardState({ term, vote: this.#options.nodeId });
    this.#termStartIndex = this.#log.lastIndex + 1;
  }

  #noop(firstIndex: number): Omit<PendingProposal, "done"> {
    const appendedAtMs = this.#turnTimeMs();
    const bodyBytes = NOOP_BODY.length;
    return { firstIndex, term: this.#term, appendedAtMs, count: 1, body: NOOP_BODY, bodyBytes };
  }

  async #replay(): Promise<void> {
    const target = { stateMachine: this.#stateMachine, maxBytes: this.#options.replayMaxBytes };
    const range = { fromIndex: this.#appliedIndex + 1, throughIndex: this.#commitIndex };
    await replay(this.#log, target, range, (appliedIndex) => {
      this.#replayedEntries += appliedIndex - this.#appliedIndex;
      this.#appliedIndex = appliedIndex;
      this.#announce();
      return this.#phase === PHASE.replaying;
    });
  }

  // -- helpers -------------------------------------------------------------------------------------------------

  #turnTimeMs(): number {
    if (this.#turnAtMs === 0) {
      // Clocks may jump back; the log's time must not, or leases would come back to life.
      this.#turnAtMs = this.#appendedAtMs = Math.max(this.#clock.nowMs(), this.#appendedAtMs);
    }
    return this.#turnAtMs;
  }

  #refusal(bodyBytes: number): HearthError | null {
    if (this.#phase !== PHASE.ready) return this.#notReady();
    if (bodyBytes > this.#log.bodyMaxBytes) {
      return refused(
        "too_large",
        `${bodyBytes} bytes of entries, limit is ${this.#log.bodyMaxBytes}`,
      );
    }
    const { uncommittedMaxBytes } = this.#options;
    if (this.#queue.bytes + bodyBytes > uncommittedMaxBytes) {
      return refused(
        "uncommitted_bytes",
        `${this.#queue.bytes} bytes, limit is ${uncommittedMaxBytes}`,
      );
    }
    const { spaceError } = this.#log;
    return spaceError === null ? null : refused("disk_full", spaceError.message);
  }

  #notReady(): HearthError {
    if (this.#failure !== null) return refused("failed", this.#failure.message);
    const isEnding = this.#phase === PHASE.stopping || this.#phase === PHASE.stopped;
    return isEnding ? refused("shutting_down", "") : refused("not_ready", this.#phaseText());
  }

  #isLeader(): boolean {
    return this.#commitIndex >= this.#termStartIndex && !this.#hasEnded();
  }

  #hasFailed(): boolean {
    return this.#phase === PHASE.failed;
  }

  #hasEnded(): boolean {
    return this.#phase === PHASE.failed || this.#phase === PHASE.stopped;
  }

  #phaseText(): string {
    if (this.#phase !== PHASE.replaying) return this.#phase;
    return `replaying log: ${this.#replayedEntries} of ${this.#replayEntries}`;
  }

  /** Resolves at the next durable write, empty queue, stop or failure. */
  #progress(): Promise<void> {
    return new Promise((resolve) => {
      const previous = this.#onProgress;
      this.#onProgress = () => {
        this.#onProgress = null;
        previous?.();
        resolve();
      };
    });
  }

  /** The end of this process' service. What was accepted may or may not be in the log. */
  #fail(error: HearthError): void {
    if (this.#hasFailed()) return;
    this.#phase = PHASE.failed;
    this.#failure = error;
    this.#logger.error("replica has failed", { reason: error.reason, detail: error.message });
    this.#announce();
    for (const { done } of this.#queue.takeAll()) done({ ok: false, error: outcomeUnknown(error) });
    for (const done of this.#waitingReads.splice(0))
      done({ ok: false, error: refused("failed", error.message) });
    this.#onProgress?.();
    this.#onFatal(error);
  }
}
