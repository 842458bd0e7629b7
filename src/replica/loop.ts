/**
 * The loop of one member: messages, proposals, reads, ticks and reports become inputs of the Raft core, and what the
 * core hands out is done.
 *
 * The steps of a write are numbered as in DESIGN.md, "The loop"; comments of the form "Step n" point there. Nothing on
 * the way of a write is a promise, so that the simulator can run this very code event by event.
 */

import { formatDuration, type HearthError, toHearthError } from "../base/index.ts";
import {
  type AppendWork,
  type Batch,
  createOutput,
  MESSAGE,
  type Message,
  type Output,
  type ProposedEntries,
  type ProposeOutcome,
  type Raft,
  RaftCore,
  type SnapshotMeta,
} from "../raft/index.ts";
import { Answers } from "./answers.ts";
import { Applier } from "./applier.ts";
import { Campaigns } from "./campaigns.ts";
import { noSnapshots, outcomeUnknown, refused } from "./errors.ts";
import { Intake } from "./intake.ts";
import { LogCache } from "./log-cache.ts";
import { LogWriter } from "./log-writer.ts";
import { MemberView } from "./member-view.ts";
import type { LoopModules } from "./modules.ts";
import { raftOptionsOf, type ReplicaOptions } from "./options.ts";
import { ProposalQueue } from "./proposal-queue.ts";
import { ReadQueue } from "./read-queue.ts";
import { Snapshots } from "./snapshots.ts";
import type { Found } from "./start.ts";
import { Sweeper } from "./sweeper.ts";
import { Ticker } from "./ticker.ts";
import type { ApplyOutcome, ProposeDone, ReadIndexDone } from "./types.ts";

/** Election timeouts after which a write of a former leader, or a campaign, is given up. */
const GIVE_UP_TIMEOUTS = 2;
/**
 * How long a read waits where no leader is known. An election takes less; a member that is cut off must not use up the
 * time that its callers have for another one; and at twenty attempts in their 20 s callers outlast an election that fails.
 */
const LEADERLESS_READ_MS = 1_000;

export class MemberLoop {
  readonly core: RaftCore;
  readonly applier: Applier;
  readonly view: MemberView;
  readonly #options: ReplicaOptions;
  readonly #modules: LoopModules;
  readonly #writer: LogWriter;
  readonly #cache: LogCache;
  readonly #snapshots: Snapshots | null;
  /** Null: this state has nothing to clean up. */
  readonly #sweeper: Sweeper | null;
  readonly #ticker: Ticker;
  readonly #output: Output = createOutput();
  readonly #intake: Intake;
  readonly #queue = new ProposalQueue();
  readonly #answers = new Answers(this.#queue);
  readonly #reads: ReadQueue;
  readonly #campaigns = new Campaigns();
  /** Wall clock of this turn; 0: not read yet. Proposals of one turn share it, and so one frame. */
  #turnAtMs = 0;
  #isTurnScheduled = false;
  /** Messages came whose turn begins when all that arrived with them are here. */
  #hasArrivals = false;
  #isRunning = false;
  /** Ticks since this member stopped leading while writes of its own were under way. */
  #ticksWithoutLead = 0;
  /** Work with a snapshot that the log has been told of, and that is not on its way into the state yet. */
  #toInstall: { readonly sequence: number; readonly meta: SnapshotMeta } | null = null;
  /** A snapshot that the state has, whose piece of work was not reported yet. */
  #installed: { readonly sequence: number; readonly meta: SnapshotMeta } | null = null;
  #hasStopped = false;
  #ending: Promise<void> = Promise.resolve();

  constructor(options: ReplicaOptions, modules: LoopModules, found: Found) {
    const { log, stateMachine, scheduler, stats } = modules;
    this.#options = options;
    this.#modules = modules;
    this.#cache = new LogCache(log);
    this.core = new RaftCore(raftOptionsOf(options), found.start, this.#cache, modules.random);
    this.#writer = new LogWriter(log, stats, () => this.applier.hasWorkBehind);
    this.#reads = new ReadQueue(stats, () => this.applier.demandCommit());
    this.view = new MemberView(options.nodeId);
    const { core } = this;
    // A batch is logged in one frame and applied in one piece.
    this.#intake = new Intake(Math.min(log.bodyMaxBytes, options.applyMaxBytes), {
      core,
      queue: this.#queue,
      stats,
      nowMs: () => this.nowMs(),
      onRefused: modules.onRefused,
    });
    const onFailed = (error: HearthError): void => this.#fail(error);
    this.applier = new Applier(
      options,
      {
        core,
        log,
        stateMachine,
        scheduler,
        stats,
        onApplied: (batches, result) => this.#onApplied(batches, result),
        onCommitted: () => {
          this.announce();
          this.#sweeper?.schedule();
        },
        onVisible: (head) => this.#snapshots?.noteVisible(head),
        onMore: () => this.scheduleTurn(),
        onFailed,
      },
      found.position,
    );
    this.#cache.setHooks({
      onFailed,
      onLoaded: (peer, isGone) => this.#input(() => core.logLoaded(peer, isGone)),
    });
    this.#snapshots = this.#createSnapshots();
    this.#sweeper = stateMachine.sweep === undefined ? null : this.#createSweeper();
    this.#ticker = new Ticker(scheduler, options.tickMs, () => this.#onTick());
  }

  start(): void {
    this.#modules.log.setOwner({
      onDurable: (sequence) => this.#onDurable(sequence),
      onFailed: (error) => this.#fail(error),
    });
    this.#modules.transport.setReceiver({
      onMessage: (message) => this.#onMessage(message),
      onUnreachable: (peer) => this.#input(() => this.core.unreachable(peer)),
      onArrived: () => this.#onArrived(),
    });
    this.view.update(this.core);
    this.#modules.onChanged?.();
    this.#ticker.start();
    this.scheduleTurn();
  }

  /** Takes nothing in any more; what is staged is committed. */
  stop(): void {
    if (this.#hasStopped) return;
    this.#hasStopped = true;
    this.#ticker.stop();
    this.applier.stop();
    if (this.#snapshots !== null) this.#ending = this.#snapshots.stop();
  }

  /** After `stop`: resolves when work on snapshots has ended, too. */
  get ended(): Promise<void> {
    return this.#ending;
  }

  /** Leads, and has applied an entry of its own term: the first moment at which its state is known to be complete. */
  get isServing(): boolean {
    return !this.#hasStopped && this.core.isLeader && this.applier.appliedTerm === this.core.term;
  }

  get pendingProposals(): number {
    return this.#queue.length + this.#intake.length;
  }

  get waitingReads(): number {
    return this.#reads.length;
  }

  // -- inputs --------------------------------------------------------------------------------------------------

  /** Step 1. `done` is called once: with the outcomes, or, as `onRefused`, at the end of the turn at the latest. */
  propose(entries: ProposedEntries, done: ProposeDone): void {
    this.#intake.add(entries, done);
    if (this.#intake.isEnoughToWrite && !this.#isRunning && this.#modules.log.isIdle) {
      this.#isRunning = true;
      this.#drain();
      this.#isRunning = false;
    }
    this.scheduleTurn();
  }

  /** Proposals that the core makes of its own: changes of the configuration. Answered like any other. */
  follow(outcome: ProposeOutcome & { readonly ok: true }, done: ProposeDone): void {
    this.#queue.push({ firstIndex: outcome.firstIndex, term: outcome.term, count: 1, done });
    this.scheduleTurn();
  }

  readIndex(done: ReadIndexDone, looksAtState: boolean): void {
    this.core.read(this.#reads.push({ done, looksAtState }));
    this.scheduleTurn();
  }

  campaign(termAtLeast: number, done: ProposeDone | null): void {
    if (done !== null) this.#campaigns.push(termAtLeast, done);
    this.#input(() => this.core.campaign(termAtLeast));
  }

  /** Errors: `no_snapshots` where none are kept. */
  takeSnapshot(): Promise<SnapshotMeta> {
    return this.#snapshots?.takeNow() ?? Promise.reject(noSnapshots());
  }

  /** Any other input. */
  input(change: (core: Raft) => void): void {
    this.#input(() => change(this.core));
  }

  #input(change: () => void): void {
    if (this.#hasStopped) return;
    this.#intake.handOver();
    change();
    this.scheduleTurn();
  }

  #onMessage(message: Message): void {
    if (this.#hasStopped) return;
    const { stats } = this.#modules;
    stats.receivedMessages += 1;
    if (message.kind === MESSAGE.readIndex) stats.reads += 1;
    this.core.step(message);
    if (this.#modules.transport.saysArrived === true) this.#hasArrivals = true;
    else this.scheduleTurn();
  }

  /**
   * A follower has one peer that sends: what arrived together is all there is, so its turn is now. A leader waits for the
   * end of the turn, which others share.
   */
  #onArrived(): void {
    if (!this.#hasArrivals) return;
    this.#hasArrivals = false;
    if (this.core.isLeader) this.scheduleTurn();
    else this.#turn();
  }

  /** Step 4; the log has started the next write (step 3). In this very turn: callers wait for nothing else. */
  #onDurable(logSequence: number): void {
    if (this.#hasStopped) return;
    this.#writer.onDurable(logSequence);
    this.#installWhenDurable();
    // A write in place ends within the drain that asked for it, which goes on with it.
    if (!this.#isRunning) this.#run();
  }

  #onTick(): void {
    if (this.#hasStopped) return;
    this.core.tick();
    this.#giveUpLate();
    this.#refuseLeaderlessReads();
    this.scheduleTurn();
  }

  /**
   * A write of a member that no longer leads may still commit, or be replaced: both come to light when its index is
   * applied. While that does not happen its caller is told, after a while, that the outcome is unknown.
   */
  #giveUpLate(): void {
    const ticksMax = GIVE_UP_TIMEOUTS * this.#options.electionTicks;
    this.#campaigns.onTick(ticksMax, () => this.#notLeader("the election was not won"));
    if (this.core.isLeader || this.#queue.length === 0) {
      this.#ticksWithoutLead = 0;
      return;
    }
    this.#ticksWithoutLead += 1;
    if (this.#ticksWithoutLead > ticksMax)
      this.#giveUpAll(this.#notLeader("it has lost its leadership"));
  }

  /** Those that have a leader wait on: it may only be slow, and whoever asked has a limit of his own. */
  #refuseLeaderlessReads(): void {
    this.#reads.onTick();
    if (this.view.leader !== "") return;
    const ticksMin = Math.ceil(LEADERLESS_READ_MS / this.#options.tickMs);
    const count = this.#reads.refuseOlder(ticksMin, () =>
      refused("no_leader", formatDuration(LEADERLESS_READ_MS)),
    );
    this.#modules.stats.refused.no_leader += count;
  }

  #giveUpAll(cause: HearthError): void {
    this.#answers.forget();
    const error = outcomeUnknown(cause);
    for (const { done } of this.#queue.takeAll()) done({ ok: false, error });
  }

  // -- the turn ------------------------------------------------------------------------------------------------

  /** Of this turn. */
  nowMs(): number {
    if (this.#turnAtMs === 0) this.#turnAtMs = this.#modules.clock.nowMs();
    return this.#turnAtMs;
  }

  scheduleTurn(): void {
    if (this.#isTurnScheduled || this.#hasStopped) return;
    this.#isTurnScheduled = true;
    this.#modules.scheduler.defer(() => {
      this.#isTurnScheduled = false;
      this.#turn();
    });
  }

  #turn(): void {
    this.#turnAtMs = 0;
    if (!this.#hasStopped) this.#run();
  }

  #run(): void {
    this.#isRunning = true;
    this.#drain();
    // What applying has led to (a configuration that may be left, a snapshot) goes out in the same turn. What it has put
    // off is for a turn in which nobody waits for an answer, and the disk has its write.
    if (this.applier.run()) this.#drain();
    else this.applier.workBehind();
    this.#snapshotIfDue();
    this.#isRunning = false;
  }

  /** Hands out what the core wants done, and gives the disk its write, until neither has anything more to say. */
  #drain(): void {
    const output = this.#output;
    this.#intake.handOver();
    this.#intake.drained();
    for (;;) {
      this.core.drain(output);
      this.#handle(output);
      const report = this.#writer.takeReport() ?? this.#writer.flush(this.core.commitIndex);
      if (report === null) break;
      this.core.durable(report.sequence, report.term);
      this.#resumeAfterInstall(report.sequence);
    }
  }

  #handle(output: Output): void {
    if (output.hasChanged) this.#onChanged();
    for (const message of output.send) this.#send(message);
    // Peers before the disk: they write while this member does, and theirs is the longer way.
    if (output.send.length > 0) this.#modules.transport.flush?.();
    for (const work of output.append) this.#write(work);
    for (const grant of output.reads) this.#reads.grant(grant);
    for (const chunk of output.chunks) this.#snapshots?.send(chunk);
    for (const work of output.storeChunks) this.#snapshots?.store(work);
    for (const { peer, fromIndex, maxBytes } of output.load) {
      this.#cache.load(peer, fromIndex, maxBytes);
    }
  }

  #send(message: Message): void {
    this.#modules.stats.sentMessages += 1;
    this.#modules.transport.send(message);
  }

  #write(work: AppendWork): void {
    if (work.truncateFrom !== null || work.install !== null) this.#cache.clear();
    if (work.truncateFrom !== null) this.applier.noteCut(work.truncateFrom.fromIndex);
    this.#writer.write(work);
    if (work.install !== null) this.#install(work);
  }

  /** Before anything of the change leaves this member: a claim that no longer holds is withdrawn first. */
  #onChanged(): void {
    const isNewLeader = this.view.update(this.core);
    this.#modules.stats.elections.observe(this.core.status());
    if (isNewLeader) {
      this.#modules.stats.leaderChanges += 1;
      const { leader, leaderHint } = this.view;
      const fields = { term: this.core.term, leader: leaderHint?.id ?? leader };
      this.#modules.logger.info(leader === "" ? "no leader" : "leader", fields);
    }
    this.#modules.onChanged?.();
    this.announce();
  }

  // -- applying ------------------------------------------------------------------------------------------------

  /** Steps 6 and 7. */
  #onApplied(batches: readonly Batch[], result: ApplyOutcome): void {
    this.announce();
    this.#answers.answerRange(batches, result, () =>
      this.#notLeader("entries of another leader have taken the place of the write"),
    );
    if (this.core.isLeader) this.#campaigns.onApplied(batches, this.core.term);
    const bytes = batches.reduce((sum, { bodyBytes }) => sum + bodyBytes, 0);
    this.#snapshots?.noteApplied(result.outcomes.length, bytes);
    this.#sweeper?.schedule();
    this.#modules.onProgress();
  }

  /** Readers may rely on it from here on. */
  announce(): void {
    const { isServing } = this;
    this.#modules.publish({
      term: this.core.term,
      commitIndex: this.core.commitIndex,
      appliedIndex: this.applier.visibleIndex,
      isLeader: isServing,
      canGrantReads: isServing && this.view.isSoleVoter,
    });
    this.#reads.giveOut();
  }

  #createSweeper(): Sweeper {
    const { applier } = this;
    return new Sweeper({
      scheduler: this.#modules.scheduler,
      isBusy: () =>
        this.#hasStopped ||
        this.pendingProposals > 0 ||
        applier.visibleIndex !== applier.appliedIndex,
      sweep: () => applier.sweep(),
    });
  }

  // -- snapshots -----------------------------------------------------------------------------------------------

  #createSnapshots(): Snapshots | null {
    const { snapshots: store, stateMachine, progress } = this.#modules;
    if (store === null) return null;
    return new Snapshots(this.#options, {
      ...this.#modules,
      core: this.core,
      store,
      installer: { stateMachine, store, progress },
      send: (message) => this.#send(message),
      onInput: () => this.scheduleTurn(),
      onFailed: (error) => this.#fail(error),
    });
  }

  #snapshotIfDue(): void {
    if (this.#hasStopped || this.applier.isBusy || this.#snapshots?.isDue !== true) return;
    if (this.applier.commit()) this.#snapshots.take(this.applier.head);
  }

  /** The log has been told already; the report of the piece waits until the state is there, too. */
  #install(work: AppendWork): void {
    const meta = work.install?.meta;
    if (meta === undefined || this.#snapshots === null) {
      this.#fail(toHearthError(new Error("A snapshot came to a member that keeps none")));
      return;
    }
    this.applier.pause();
    // Whatever this member proposed as a leader of old: the snapshot hides what became of it.
    this.#giveUpAll(this.#notLeader("a snapshot has taken the place of the log"));
    this.#toInstall = { sequence: work.sequence, meta };
    this.#installWhenDurable();
  }

  /**
   * The log first: a crash between the two then leaves a state that ends before its log begins, which a start brings
   * up from the snapshot. The other way round the state would be ahead of its log, and no start could trust it.
   */
  #installWhenDurable(): void {
    const install = this.#toInstall;
    if (install === null || !this.#writer.isDurable(install.sequence)) return;
    this.#toInstall = null;
    this.#snapshots?.install(install.meta).then(
      () => {
        if (this.#hasStopped) return;
        this.#installed = install;
        this.#writer.onInstalled(install.sequence);
        this.scheduleTurn();
      },
      (error: unknown) => this.#fail(toHearthError(error)),
    );
  }

  /** Log and state both have the snapshot. */
  #resumeAfterInstall(reportedSequence: number): void {
    if (this.#installed === null || this.#installed.sequence > reportedSequence) return;
    const { index, term, appendedAtMs, membership } = this.#installed.meta;
    this.#installed = null;
    this.applier.resumeAt({ index, term, appendedAtMs, membership });
    this.core.applied(index);
    this.announce();
  }

  // -- the end -------------------------------------------------------------------------------------------------

  #notLeader(detail: string): HearthError {
    return refused("not_leader", detail, this.view.leaderHint);
  }

  #fail(error: HearthError): void {
    if (!this.#hasStopped) this.#modules.onFailed(error);
  }

  /** Tells everybody who waits. What was accepted may or may not be in the log. */
  failAll(cause: HearthError, readError: HearthError): void {
    for (const { done } of this.#intake.takeAll()) done({ ok: false, error: readError });
    this.#giveUpAll(cause);
    this.#campaigns.failAll(outcomeUnknown(cause));
    this.#reads.failAll(readError);
  }
}
