/**
 * Applies what is committed and locally durable, piece by piece, and decides when the database transaction commits.
 *
 *   applicable -> [stage: outcomes are decided] -> answers ... -> [commit: readers see it]
 *
 * A commit costs as much as applying a hundred entries, however few are in it. So while nobody reads, what is staged
 * is committed by bytes or after a few ms; a reader that wants it demands it, and keeps commits at every piece for a
 * while (DESIGN.md, "Commit"). A state machine without `stage` commits every piece.
 *
 * What is certain to become applicable may be staged before it is (ahead.ts): the disk writes meanwhile. As long as there is any,
 * nothing is committed.
 */

import { assert, type HearthError, nextTurn, type Scheduler } from "../base/index.ts";
import { type DurableLog, readBufferBytes } from "../log/index.ts";
import {
  type Batch,
  BATCH_KIND,
  decodeMembershipBatch,
  type MembershipAt,
  type Raft,
} from "../raft/index.ts";
import { Ahead } from "./ahead.ts";
import { batchesThrough } from "./batches.ts";
import { applyFailed } from "./errors.ts";
import type { ReplicaOptions } from "./options.ts";
import type { SnapshotHead } from "./ports.ts";
import type { ApplyOutcome, ReplicaStats, StateMachine } from "./types.ts";

export interface ApplierModules {
  readonly core: Raft;
  readonly log: DurableLog;
  readonly stateMachine: StateMachine;
  readonly scheduler: Scheduler;
  readonly stats: ReplicaStats;
  /** A piece was applied: the core knows; publish and answer. */
  readonly onApplied: (batches: readonly Batch[], result: ApplyOutcome) => void;
  /** What was staged is visible now, in a turn of its own. */
  readonly onCommitted: () => void;
  /** Called with every state that readers may see, at the moment it can be seen. */
  readonly onVisible: (head: SnapshotHead) => void;
  /** There is more to do in a later turn. */
  readonly onMore: () => void;
  /** Final: the database failed, or the log cannot be read. */
  readonly onFailed: (error: HearthError) => void;
}

/** What of the log prefix a start or an install has found in the state. */
export interface AppliedPosition {
  readonly index: number;
  readonly term: number;
  readonly appendedAtMs: number;
  readonly membership: MembershipAt;
}

/**
 * How long a commit waits for what is ahead. A write that takes longer is no write but a disk that stands still, or is full: who
 * reads what was there before is not to wait for it.
 */
const AHEAD_WAIT_MS = 50;
/** A commit that is due waits for a turn in which nothing can be applied, but not beyond this multiple of its bytes. */
const FULL_FACTOR = 2;

export class Applier {
  readonly #options: ReplicaOptions;
  readonly #modules: ApplierModules;
  #position: AppliedPosition;
  #visibleIndex: number;
  /** Of everything since the last commit. */
  #stagedBytes = 0;
  readonly #ahead = new Ahead();
  /** What is staged and not ahead, to stage it again without what is; null: not all of it was kept. */
  #uncommitted: Batch[] | null = [];
  #cancelAheadWait: (() => void) | null = null;
  /** What was ahead and was taken back ends here: the disk stands still until this is durable. */
  #takenBackIndex = 0;
  /** A commit is due, as soon as nothing is ahead and nobody waits for an answer. */
  #isCommitDue = false;
  /** A piece was staged of which something is left to do. */
  #isPutOff = false;
  #cancelCommit: (() => void) | null = null;
  #eagerUntilMs = Number.NEGATIVE_INFINITY;
  #isReading = false;
  #isPaused = false;
  #hasStopped = false;

  constructor(options: ReplicaOptions, modules: ApplierModules, position: AppliedPosition) {
    this.#options = options;
    this.#modules = modules;
    this.#position = position;
    this.#visibleIndex = position.index;
  }

  /** Last entry whose outcome is decided. */
  get appliedIndex(): number {
    return this.#position.index;
  }

  get appliedTerm(): number {
    return this.#position.term;
  }

  /** Last entry that every read transaction which begins now sees; at most `appliedIndex`. */
  get visibleIndex(): number {
    return this.#visibleIndex;
  }

  /** What a snapshot of the state would stand for. */
  get head(): SnapshotHead {
    return this.#position;
  }

  get isBusy(): boolean {
    return this.#isReading || this.#isPaused;
  }

  /** Something is staged that is not applicable yet: `commit` has to wait for it. */
  get isAhead(): boolean {
    return !this.#ahead.isEmpty;
  }

  /** Step 5: applies one piece, if there is one in memory; true when it did. Otherwise the log is read meanwhile. */
  run(): boolean {
    if (this.#hasStopped || this.isBusy) return false;
    if (this.isAhead) return this.#confirm();
    const { core } = this.#modules;
    const fromIndex = this.#position.index + 1;
    if (core.applicableIndex < fromIndex) return false;
    const batches = core.applicable(fromIndex, this.#options.applyMaxBytes);
    if (batches === null) {
      this.#isReading = true;
      void this.#applyFromLog();
      return false;
    }
    return this.#apply(batches);
  }

  /** Whether `workBehind` will have something to do when the disk has got its next write. */
  get hasWorkBehind(): boolean {
    const { stateMachine, core } = this.#modules;
    return this.#hasPutOff || (stateMachine.stageAhead !== undefined && core.isAlone);
  }

  get #hasPutOff(): boolean {
    return this.#isPutOff || this.#isCommitDue;
  }

  /**
   * One piece of what is left to do behind the answers, while the disk works: the commit that is due, a batch that the disk
   * has got, what the outcomes did not need.
   */
  workBehind(): void {
    if (this.#hasStopped) return;
    if (this.#isCommitDue) this.commit();
    if (this.#stageAhead()) this.#modules.onMore();
    else this.#writeStaged();
  }

  #writeStaged(): void {
    if (!this.#isPutOff || this.#hasStopped) return;
    this.#isPutOff = false;
    try {
      this.#modules.stateMachine.writeStaged?.();
    } catch (cause) {
      this.#fail(applyFailed(this.#visibleIndex + 1, cause));
    }
  }

  /**
   * Makes what is staged visible, and tells readers that wait for it. False when the database failed; and where something is
   * ahead: then it follows as soon as that is applicable, or without it, if that takes long.
   */
  commit(): boolean {
    if (this.isAhead) {
      this.#isCommitDue = true;
      this.#cancelAheadWait ??= this.#modules.scheduler.after(AHEAD_WAIT_MS, () => {
        this.#cancelAheadWait = null;
        this.#commitWithoutAhead();
      });
      return false;
    }
    if (this.#visibleIndex === this.#position.index) return true;
    if (!this.#commit()) return false;
    this.#modules.onCommitted();
    return true;
  }

  /** A reader is there: commits now, and every piece for a while. Answers as `commit`. */
  demandCommit(): boolean {
    if (this.#hasStopped) return false;
    this.#eagerUntilMs = this.#modules.scheduler.monotonicMs() + this.#options.eagerCommitMs;
    return this.commit();
  }

  /** A piece of cleaning up, when nothing is staged; true while more is left. */
  sweep(): boolean {
    const isStaged = this.isAhead || this.#visibleIndex !== this.#position.index;
    if (this.#hasStopped || this.isBusy || isStaged) return false;
    try {
      return this.#modules.stateMachine.sweep?.() ?? false;
    } catch (cause) {
      this.#fail(applyFailed(this.#position.index + 1, cause));
      return false;
    }
  }

  /** While a snapshot takes the place of the state nothing is applied. */
  pause(): void {
    assert(!this.#isPaused, "One install at a time");
    this.#isPaused = true;
    if (!this.#abandonAhead()) this.commit();
  }

  /** The log gives up its entries from `fromIndex` on. */
  noteCut(fromIndex: number): void {
    this.#ahead.checkCut(fromIndex);
  }

  resumeAt(position: AppliedPosition): void {
    assert(this.#isPaused, "Nothing was installed");
    this.#isPaused = false;
    this.#position = position;
    this.#visibleIndex = position.index;
  }

  /**
   * Applies nothing more; what is staged is committed, unless the database has failed, or the log may not have all of it: then
   * the next start applies it again.
   */
  stop(): void {
    if (this.#hasStopped) return;
    if (!this.#abandonAhead()) this.#commit();
    this.#hasStopped = true;
    this.#cancelCommit?.();
  }

  #apply(batches: readonly Batch[]): boolean {
    const { stateMachine, scheduler, stats, core } = this.#modules;
    const first = this.#position.index + 1;
    const last = batches.at(-1);
    assert(last !== undefined && batches[0]?.firstIndex === first, `Nothing to apply at ${first}`);
    const startedAtMs = scheduler.monotonicMs();
    let result: ApplyOutcome;
    try {
      result = stateMachine.stage?.(batches) ?? stateMachine.apply(batches);
    } catch (cause) {
      this.#fail(applyFailed(first, cause));
      return false;
    }
    this.#advance(batches, last);
    if (stateMachine.stage !== undefined) this.#noteStaged(batches);
    // What the log was read into is used again.
    if (this.#isReading) this.#uncommitted = null;
    else if (stateMachine.stageAhead !== undefined) this.#uncommitted?.push(...batches);
    this.#isPutOff = stateMachine.writeStaged !== undefined;
    const nowMs = scheduler.monotonicMs();
    if (!this.#settle(nowMs)) return false;
    stats.lastApplyMs = nowMs - startedAtMs;
    stats.appliedRanges += 1;
    stats.appliedEntries += result.outcomes.length;
    core.applied(this.#position.index);
    this.#modules.onApplied(batches, result);
    // On a follower nobody waits for anything that a turn in between would bring forward.
    if (!core.isLeader) this.#writeStaged();
    if (this.#hasPutOff || core.applicableIndex > this.#position.index) this.#modules.onMore();
    return true;
  }

  /** Stages one batch that the disk still has; false where there is none, or none may be. */
  #stageAhead(): boolean {
    const { stateMachine, scheduler, core, stats } = this.#modules;
    if (stateMachine.stageAhead === undefined || this.#hasStopped || this.isBusy) return false;
    const startedAtMs = scheduler.monotonicMs();
    // Readers would have to wait for the disk, too.
    if (this.#isCommitDue || startedAtMs < this.#eagerUntilMs) return false;
    if (this.#uncommitted === null && !this.commit()) return false;
    const fromIndex = this.#ahead.nextIndex(this.#position.index);
    // What is durable is applied as ever.
    if (core.applicableIndex >= fromIndex || core.applicableIndex < this.#takenBackIndex)
      return false;
    const [batch] = core.certain(fromIndex, 0);
    if (batch === undefined) return false;
    try {
      const result = stateMachine.stageAhead(batch);
      if (result === null) return false;
      this.#ahead.push({ batch, result });
    } catch (cause) {
      this.#fail(applyFailed(fromIndex, cause));
      return false;
    }
    this.#noteStaged([batch]);
    stats.lastApplyMs = scheduler.monotonicMs() - startedAtMs;
    this.#isPutOff = stateMachine.writeStaged !== undefined;
    return true;
  }

  /** Step 5 for what is ahead: answers what has become applicable; false when nothing has. */
  #confirm(): boolean {
    const { core, scheduler, stats, onApplied, onMore } = this.#modules;
    const pieces = this.#ahead.takeThrough(core.applicableIndex);
    const last = pieces.at(-1)?.batch;
    if (last === undefined) return false;
    const batches = pieces.map(({ batch }) => batch);
    assert(batches[0]?.firstIndex === this.#position.index + 1, "Staged ahead of something else");
    this.#advance(batches, last);
    this.#uncommitted?.push(...batches);
    if (!this.#settle(scheduler.monotonicMs())) return false;
    stats.appliedRanges += 1;
    core.applied(this.#position.index);
    for (const { batch, result } of pieces) {
      stats.appliedEntries += batch.count;
      stats.stagedAhead += batch.count;
      onApplied([batch], result);
    }
    onMore();
    return true;
  }

  /**
   * Commits what is applicable although something is ahead: all of it is taken back, and that much staged again. It comes to what it
   * came to before. What was ahead is applied when it is durable, as if it had not been.
   */
  #commitWithoutAhead(): void {
    const uncommitted = this.#uncommitted;
    const nextIndex = this.#ahead.nextIndex(this.#position.index);
    if (this.#hasStopped || uncommitted === null || !this.#abandonAhead()) return;
    this.#takenBackIndex = nextIndex - 1;
    try {
      if (uncommitted.length > 0) this.#modules.stateMachine.stage?.(uncommitted);
    } catch (cause) {
      this.#fail(applyFailed(this.#visibleIndex + 1, cause));
      return;
    }
    this.commit();
  }

  /** Whether something was ahead: then nothing is staged any more. */
  #abandonAhead(): boolean {
    if (!this.isAhead) return false;
    this.#ahead.clear();
    this.#noteNothingStaged();
    this.#modules.stateMachine.abandon?.();
    return true;
  }

  #noteNothingStaged(): void {
    this.#cancelCommit?.();
    this.#cancelCommit = null;
    this.#cancelAheadWait?.();
    this.#cancelAheadWait = null;
    this.#uncommitted = [];
    this.#stagedBytes = 0;
    this.#isCommitDue = false;
    this.#isPutOff = false;
  }

  #noteStaged(batches: readonly Batch[]): void {
    for (const { bodyBytes } of batches) this.#stagedBytes += bodyBytes;
    if (this.#stagedBytes >= this.#options.commitMaxBytes) this.#isCommitDue = true;
  }

  #advance(batches: readonly Batch[], last: Batch): void {
    let { membership, appendedAtMs } = this.#position;
    for (const batch of batches) {
      appendedAtMs = Math.max(appendedAtMs, batch.appendedAtMs);
      if (batch.kind !== BATCH_KIND.membership) continue;
      membership = { index: batch.firstIndex, membership: decodeMembershipBatch(batch) };
    }
    const index = last.firstIndex + last.count - 1;
    this.#position = { index, term: last.term, appendedAtMs, membership };
  }

  /** Commits at once or later; false when the database failed. */
  #settle(nowMs: number): boolean {
    const { stateMachine, scheduler } = this.#modules;
    if (stateMachine.stage === undefined) {
      this.#visibleIndex = this.#position.index;
      this.#modules.onVisible(this.#position);
      this.#modules.stats.commits += 1;
      return true;
    }
    const isDueNow =
      nowMs < this.#eagerUntilMs || this.#stagedBytes >= FULL_FACTOR * this.#options.commitMaxBytes;
    if (isDueNow) {
      if (!this.isAhead) return this.#commit();
      this.#isCommitDue = true;
    }
    this.#cancelCommit ??= scheduler.after(this.#options.commitMaxDelayMs, () => {
      this.#cancelCommit = null;
      if (!this.#hasStopped) this.commit();
    });
    return true;
  }

  /** Makes what is staged visible. Whoever calls it tells readers, or has none left. */
  #commit(): boolean {
    this.#noteNothingStaged();
    if (this.#visibleIndex === this.#position.index) return true;
    try {
      this.#modules.stateMachine.commit?.();
    } catch (cause) {
      this.#fail(applyFailed(this.#visibleIndex + 1, cause));
      return false;
    }
    this.#modules.stats.commits += 1;
    this.#visibleIndex = this.#position.index;
    this.#modules.onVisible(this.#position);
    return true;
  }

  // -- from the log --------------------------------------------------------------------------------------------

  /** After a start, and when the core's memory does not reach back: reads, applies, and leaves a turn between. */
  async #applyFromLog(): Promise<void> {
    const { core, log, scheduler, onMore, onFailed } = this.#modules;
    // One buffer for all pieces, with room for a frame header; a frame that is larger gets its own.
    const buffer = new Uint8Array(readBufferBytes(this.#options.replayMaxBytes));
    try {
      while (!this.#hasStopped && core.applicableIndex > this.#position.index) {
        const fromIndex = this.#position.index + 1;
        if (core.applicable(fromIndex, 0) !== null) break;
        const read = await log.read(fromIndex, this.#options.replayMaxBytes, buffer);
        if (this.#hasStopped) break;
        const batches = batchesThrough(read, core.applicableIndex);
        if (batches.length === 0) {
          throw applyFailed(fromIndex, new Error("the log has no entries there"));
        }
        if (!this.#apply(batches)) break;
        await nextTurn(scheduler);
      }
      this.#isReading = false;
      if (!this.#hasStopped) onMore();
    } catch (error) {
      this.#isReading = false;
      if (!this.#hasStopped) onFailed(applyFailed(this.#position.index + 1, error));
    }
  }

  #fail(error: HearthError): void {
    this.#hasStopped = true;
    this.#cancelCommit?.();
    this.#modules.onFailed(error);
  }
}
