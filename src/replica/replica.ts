/**
 * One member of the cluster, as its callers see it: phases, refusals, status. The work is done in loop.ts.
 *
 *   opening -> replaying -> ready -> stopping -> stopped          any of them -> failed
 */

import { assert, assertFailed, type HearthError, toHearthError } from "../base/index.ts";
import { addsBlocks, entriesByteLength } from "../protocol/index.ts";
import {
  type MembershipAt,
  type MembershipChange,
  type NodeId,
  PROPOSE_REFUSAL,
  type ProposeOutcome,
  type RaftCore,
  ROLE,
  type SnapshotMeta,
} from "../raft/index.ts";
import { NO_REJECTIONS } from "./answers.ts";
import { refused } from "./errors.ts";
import { InstallProgress } from "./install.ts";
import { MemberLoop } from "./loop.ts";
import type { MemberModules } from "./modules.ts";
import { assertReplicaOptions, type ReplicaOptions } from "./options.ts";
import { findStart } from "./start.ts";
import {
  createReplicaStats,
  PHASE,
  type Phase,
  type Proposal,
  type ProposeDone,
  type ReadIndexDone,
  type RefusalReason,
  type ReplicaStats,
  type ReplicaStatus,
  type SpaceProblem,
} from "./types.ts";

export interface ReplicaModules extends MemberModules {
  /** Called once when the node cannot go on: the process must end (exit 74 for a failed log write). */
  readonly onFatal: (error: HearthError) => void;
  /** Why the state has no room for more blocks, in words; null: it has. Asked by each proposal. Left out: it always has. */
  readonly roomProblem?: () => string | null;
}

export class Replica {
  readonly stats: ReplicaStats = createReplicaStats();
  readonly #options: ReplicaOptions;
  readonly #modules: ReplicaModules;
  readonly #install: InstallProgress;
  #phase: Phase = PHASE.opening;
  #failure: HearthError | null = null;
  /** From the moment at which state and log are known to belong together. */
  #loop: MemberLoop | null = null;
  #replayFrom = 0;
  /** Once this is applied, the start is over. */
  #readyIndex = Number.POSITIVE_INFINITY;
  #starting: Promise<void> | null = null;
  #onProgress: (() => void) | null = null;

  constructor(options: ReplicaOptions, modules: ReplicaModules) {
    assertReplicaOptions(options, modules.log.bodyMaxBytes);
    this.#options = options;
    this.#modules = modules;
    this.#install = new InstallProgress(modules.scheduler);
  }

  /**
   * Brings the state up to what the log knows to be committed; the only voter also becomes the leader of a new term.
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
   * the entries are committed, durable and applied, or with the error. A refusal with `sent: "no"` wrote nothing.
   */
  propose(proposal: Proposal, done: ProposeDone): void {
    const error = this.#refusal(proposal.bodyBytes);
    if (error !== null) return this.#refuse(error, done);
    const { body, bodyBytes, count } = proposal;
    // Framing that does not add up would stop every later start of every member: better now than from the log.
    if (entriesByteLength(body, count) !== bodyBytes) {
      assertFailed(`Body of ${bodyBytes} bytes is not ${count} entries`);
    }
    assert((body.byteOffset & 7) === 0, "Body does not begin at a multiple of 8");
    const roomProblem = this.#modules.roomProblem?.() ?? null;
    // Whoever leads may have room.
    if (roomProblem !== null && this.#running.core.isLeader && addsBlocks(body, bodyBytes))
      return this.#refuse(refused("index_full", roomProblem), done);
    this.#running.propose(proposal, done);
  }

  /** Changes who the members are. `done` when the first configuration of the change is committed and applied. */
  changeMembership(changes: readonly MembershipChange[], done: ProposeDone): void {
    const error = this.#refusal(0);
    if (error !== null) return this.#refuse(error, done);
    const loop = this.#running;
    const outcome = loop.core.changeMembership(changes, loop.nowMs());
    if (outcome.ok) loop.follow(outcome, done);
    else this.#refuse(this.#proposeRefusal(outcome), done);
  }

  /** Hands the leadership over. Answers why it cannot, or null; whether it succeeded shows in `status`. */
  transfer(to: NodeId): string | null {
    if (this.#phase !== PHASE.ready) return this.#phaseText();
    let problem: string | null = null;
    this.#running.input((core) => {
      problem = core.transfer(to);
    });
    return problem;
  }

  /**
   * Takes a snapshot of the state as it is now or a little later; resolves when it was verified and the log was cut.
   * Errors: the refusal of a member that is not running; what taking it failed with: the log is whole then.
   */
  takeSnapshot(): Promise<SnapshotMeta> {
    const loop = this.#loop;
    if (loop === null || this.#phase !== PHASE.ready) return Promise.reject(this.#notReady());
    return loop.takeSnapshot();
  }

  /** Answers with the index that a linearizable read has to wait for, in a later turn unless it is refused. */
  readIndex(done: ReadIndexDone): void {
    this.#readIndex(done, true);
  }

  /** As `readIndex`, for whoever does not look at the state: nothing is made visible for it. */
  confirmIndex(done: ReadIndexDone): void {
    this.#readIndex(done, false);
  }

  /**
   * The index for reads that had come to member `from` when it was in `term`, if this member can tell it at once; null:
   * it does not lead in that term, or only `confirmIndex` can tell. Everything committed up to it is on its way to `from`.
   */
  grantRead(from: NodeId, term: number): number | null {
    if (this.#phase !== PHASE.ready) return null;
    let index: number | null = null;
    this.stats.reads += 1;
    this.#running.input((core) => {
      index = core.grantRead(from, term);
    });
    return index;
  }

  /** As `confirmIndex`, for member `from`, which is about to wait until it has applied that much. */
  confirmIndexFor(from: NodeId, done: ReadIndexDone): void {
    this.#readIndex((result) => {
      if (result.ok) {
        const loop = this.#running;
        loop.core.tellCommit(from, result.index);
        // Grants are handed out within a drain that may have nothing more to do.
        loop.scheduleTurn();
      }
      done(result);
    }, false);
  }

  #readIndex(done: ReadIndexDone, looksAtState: boolean): void {
    const error = this.#readRefusal();
    if (error !== null) {
      this.stats.refused[error.reason as RefusalReason] += 1;
      done({ ok: false, error });
      return;
    }
    this.stats.reads += 1;
    this.#running.readIndex(done, looksAtState);
  }

  /** A reader waits for what was acknowledged: it becomes visible now, and at once for a while. */
  demandCommit(): void {
    this.#loop?.applier.demandCommit();
  }

  /**
   * Makes this member the leader of a term of at least `termAtLeast`; `done` once an entry of its own is applied.
   * Nothing happens when it leads such a term already. For conformance runs.
   */
  campaign(termAtLeast: number, done: ProposeDone): void {
    assert(Number.isSafeInteger(termAtLeast), `Term ${termAtLeast} is not an integer`);
    const error = this.#refusal(0);
    if (error !== null) return this.#refuse(error, done);
    const loop = this.#running;
    const { term, lastIndex } = loop.core;
    if (!loop.isServing || termAtLeast > term) {
      loop.campaign(termAtLeast, done);
      return;
    }
    const outcomes = new Uint8Array(0);
    done({ ok: true, firstIndex: lastIndex, term, outcomes, rejections: NO_REJECTIONS });
  }

  /** The core, from the start on: for checks that look inside. It must not be given input. */
  get core(): RaftCore | null {
    return this.#loop?.core ?? null;
  }

  /** The newest configuration, committed or not; null before the start. */
  get membership(): MembershipAt | null {
    return this.#loop?.view.membership ?? null;
  }

  /** Node id of the leader as far as this member knows; empty: none. */
  get leader(): NodeId {
    return this.#hasEnded() ? "" : (this.#loop?.view.leader ?? "");
  }

  /** Leads, and has applied an entry of its own term. */
  get isServing(): boolean {
    return this.#loop?.isServing ?? false;
  }

  /** Term of this member; 0 before the start. */
  get term(): number {
    return this.#loop?.core.term ?? this.#modules.log.hardState.term;
  }

  /** As in `status`. */
  get space(): SpaceProblem | null {
    const { spareError, spaceError } = this.#modules.log;
    return spareError === null
      ? null
      : { text: spareError.message, isReadOnly: spaceError !== null };
  }

  /**
   * Refuses what comes, finishes what was accepted, gives up snapshots that are under way, and closes the log. When it
   * resolves this member changes nothing on the disk any more.
   */
  async stop(): Promise<void> {
    if (this.#phase !== PHASE.failed) this.#phase = PHASE.stopping;
    // What was accepted may be waiting for a full disk: then it fails, and its callers hear that its outcome is unknown.
    this.#modules.log.limitRoomWait();
    this.#onProgress?.();
    // A start that installs a snapshot first is not waited for.
    if (this.#loop === null) await this.#modules.snapshots?.close();
    await this.#starting?.catch(() => {});
    // Ends: what cannot be committed is given up a few election timeouts after the leadership is lost.
    while (!this.#hasFailed() && (this.#loop?.pendingProposals ?? 0) > 0) await this.#progress();
    if (!this.#hasFailed()) this.#loop?.failAll(stopping(), stopping());
    this.#loop?.stop();
    await this.#loop?.ended;
    await this.#modules.log.close().catch((error: unknown) => this.#fail(toHearthError(error)));
    if (!this.#hasFailed()) this.#phase = PHASE.stopped;
    this.#loop?.announce();
  }

  status(): ReplicaStatus {
    const { log } = this.#modules;
    const loop = this.#loop;
    const core = loop?.core.status() ?? null;
    const appliedIndex = loop?.applier.appliedIndex ?? this.#modules.stateMachine.appliedIndex;
    const voters = loop?.view.voters ?? [];
    const peers = core?.peers ?? [];
    const isServing = loop?.isServing ?? false;
    // Before its first own entry is applied a leader promises nothing, so it does not pass for one.
    const role = core === null || this.#hasEnded() ? ROLE.follower : core.role;
    return {
      phase: this.#phase,
      text: this.#phaseText(),
      role: role === ROLE.leader && !isServing ? ROLE.candidate : role,
      nodeId: this.#options.nodeId,
      leader: this.#hasEnded() ? null : (loop?.view.leaderHint ?? null),
      term: this.term,
      firstIndex: core?.firstIndex ?? log.firstIndex,
      commitIndex: core?.commitIndex ?? 0,
      appliedIndex,
      lastIndex: core?.lastIndex ?? log.lastIndex,
      voters: voters.length,
      reachableVoters: this.#reachable(voters, loop?.view.leader ?? "", peers),
      peers,
      snapshotIndex: this.#modules.snapshots?.latest?.index ?? 0,
      install: this.#install.status,
      abstains: core?.abstains ?? log.hardState.abstains,
      replayedEntries: this.#replayedEntries(appliedIndex),
      replayEntries: this.#replayEntries(),
      pendingProposals: loop?.pendingProposals ?? 0,
      uncommittedBytes: core?.uncommittedBytes ?? 0,
      pendingWriteMs: log.pendingWriteMs,
      space: this.space,
      failure: this.#failure,
    };
  }

  // -- start ---------------------------------------------------------------------------------------------------

  async #start(): Promise<void> {
    const { log, logger, stateMachine, snapshots } = this.#modules;
    const { bootstrap } = this.#options;
    const { stats } = this;
    const progress = this.#install;
    const start = { log, stateMachine, snapshots, progress, stats };
    const found = await findStart(start, bootstrap).catch((error: unknown) => {
      // Cut short by `stop`, which is no failure.
      if (this.#phase === PHASE.replaying) throw error;
      return null;
    });
    if (found === null || this.#phase !== PHASE.replaying) return;
    const loop = new MemberLoop(
      this.#options,
      {
        ...this.#modules,
        stats: this.stats,
        progress,
        onProgress: () => this.#noteProgress(),
        onRefused: (outcome, done) => this.#refuse(this.#proposeRefusal(outcome), done),
        onFailed: (error) => this.#fail(error),
      },
      found,
    );
    this.#loop = loop;
    const isNew = found.start.lastIndex === 0 && found.start.memberships.length === 0;
    if (isNew && bootstrap.length > 0) loop.core.bootstrap(bootstrap);
    this.#replayFrom = found.start.appliedIndex;
    this.#readyIndex = found.start.commitIndex;
    loop.start();
    // Everything in the log of the only voter is committed by its next own entry.
    if (loop.view.isSoleVoter) {
      this.#readyIndex = loop.core.lastIndex + 1;
      loop.campaign(0, null);
    }
    this.#noteProgress();
    while (this.#phase === PHASE.replaying) await this.#progress();
    if (this.#failure !== null) throw this.#failure;
    if (this.#phase !== PHASE.ready) return;
    const { recoveredCutBytes } = log;
    const fields = { term: loop.core.term, lastIndex: loop.core.lastIndex, recoveredCutBytes };
    logger.info("replica is ready", { ...fields, replayedEntries: this.#replayEntries() });
  }

  #noteProgress(): void {
    const loop = this.#loop;
    if (loop === null) return;
    if (this.#phase === PHASE.replaying && loop.applier.appliedIndex >= this.#readyIndex) {
      loop.applier.demandCommit();
      this.#phase = PHASE.ready;
      loop.announce();
    }
    this.#onProgress?.();
  }

  // -- refusals ------------------------------------------------------------------------------------------------

  get #running(): MemberLoop {
    assert(this.#loop !== null, "The replica has not been started");
    return this.#loop;
  }

  #refuse(error: HearthError, done: ProposeDone): void {
    this.stats.refused[error.reason as RefusalReason] += 1;
    done({ ok: false, error });
  }

  /** Why nothing is proposed now, before the core is asked. */
  #refusal(bodyBytes: number): HearthError | null {
    if (this.#phase !== PHASE.ready) return this.#notReady();
    const { log } = this.#modules;
    if (bodyBytes > log.bodyMaxBytes) {
      return refused("too_large", `${bodyBytes} bytes of entries, limit is ${log.bodyMaxBytes}`);
    }
    const { spaceError } = log;
    return spaceError === null ? null : refused("disk_full", spaceError.message);
  }

  #proposeRefusal(outcome: ProposeOutcome & { readonly ok: false }): HearthError {
    const { leaderHint } = this.#running.view;
    switch (outcome.refusal) {
      case PROPOSE_REFUSAL.notLeader:
        return refused("not_leader", outcome.detail, leaderHint);
      case PROPOSE_REFUSAL.transferring:
        return refused("transferring", outcome.detail, leaderHint);
      case PROPOSE_REFUSAL.uncommittedBytes:
        return refused("uncommitted_bytes", outcome.detail);
      case PROPOSE_REFUSAL.changePending:
        return refused("change_pending", outcome.detail);
      case PROPOSE_REFUSAL.invalidChange:
        return refused("invalid_change", outcome.detail);
    }
  }

  #readRefusal(): HearthError | null {
    if (this.#phase !== PHASE.ready && this.#phase !== PHASE.stopping) return this.#notReady();
    const loop = this.#loop;
    if (loop === null) return this.#notReady();
    const { readsMax } = this.#options;
    if (loop.waitingReads < readsMax) return null;
    return refused("reads_waiting", `${readsMax} reads wait for a leader`);
  }

  #notReady(): HearthError {
    if (this.#failure !== null) return refused("failed", this.#failure.message);
    const isEnding = this.#phase === PHASE.stopping || this.#phase === PHASE.stopped;
    return isEnding ? stopping() : refused("not_ready", this.#phaseText());
  }

  // -- helpers -------------------------------------------------------------------------------------------------

  #hasEnded(): boolean {
    return this.#phase === PHASE.failed || this.#phase === PHASE.stopped;
  }

  #hasFailed(): boolean {
    return this.#phase === PHASE.failed;
  }

  #replayEntries(): number {
    return Number.isFinite(this.#readyIndex) ? Math.max(0, this.#readyIndex - this.#replayFrom) : 0;
  }

  #replayedEntries(appliedIndex: number): number {
    return Math.max(0, Math.min(this.#replayEntries(), appliedIndex - this.#replayFrom));
  }

  #reachable(
    voters: readonly NodeId[],
    leader: NodeId,
    peers: readonly { readonly id: NodeId; readonly isActive: boolean }[],
  ): number {
    const { nodeId } = this.#options;
    const isReachable = (id: NodeId): boolean =>
      id === nodeId || id === leader || peers.some((peer) => peer.id === id && peer.isActive);
    return voters.filter(isReachable).length;
  }

  #phaseText(): string {
    const install = this.#install.status;
    if (install !== null) return `restoring snapshot ${install.term}-${install.index}`;
    if (this.#phase !== PHASE.replaying) return this.#phase;
    const replayed = this.#replayedEntries(this.#loop?.applier.appliedIndex ?? 0);
    return `replaying log: ${replayed} of ${this.#replayEntries()}`;
  }

  /** Resolves at the next applied piece, stop or failure. */
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
    const { logger, onFatal } = this.#modules;
    logger.error("replica has failed", { reason: error.reason, detail: error.message });
    this.#loop?.stop();
    this.#loop?.announce();
    this.#loop?.failAll(error, refused("failed", error.message));
    this.#onProgress?.();
    onFatal(error);
  }
}

function stopping(): HearthError {
  return refused("shutting_down", "");
}
