/** A replica over a disk in memory and a state machine that remembers what it was given. */

import assert from "node:assert/strict";
import {
  type Clock,
  type HearthError,
  Prng,
  type Scheduler,
  SILENT_LOGGER,
  SYSTEM_SCHEDULER,
} from "../../src/base/index.ts";
import { DurableLog, type LogOptions } from "../../src/log/index.ts";
import type { CommittedBatch } from "../../src/protocol/index.ts";
import type { Member, Message } from "../../src/raft/index.ts";
import {
  type ApplyOutcome,
  NO_PEERS,
  type PeerReceiver,
  type PeerTransport,
  type Proposal,
  type ProposeResult,
  type PublishedState,
  REPLICA_DEFAULTS,
  type ReadIndexResult,
  Replica,
  type ReplicaOptions,
  type SnapshotStore,
  type StateMachine,
} from "../../src/replica/index.ts";
import { entriesBody } from "../log/support/log-harness.ts";
import { MemoryDisk } from "../log/support/memory-disk.ts";

export const LOG_OPTIONS: LogOptions = {
  directory: "/log",
  segmentBytes: 256 * 1024,
  groupMaxBytes: 64 * 1024,
  reuseMaxBytes: 1024 * 1024,
  spaceRetryMs: 1,
};

export const SELF: Member = { id: "node-a", serverId: "server-a", address: "" };

export interface AppliedEntry {
  readonly index: number;
  readonly term: number;
  readonly appendedAtMs: number;
}

/** Keeps what a database would keep: entries and the position, changed together. */
export class FakeState implements StateMachine {
  readonly entries: AppliedEntry[] = [];
  readonly ranges: number[] = [];
  appliedIndex = 0;
  appliedTerm = 0;
  failure: Error | null = null;
  /** Positions to reject, counted over one range. */
  rejects: (index: number) => boolean = () => false;

  apply(batches: readonly CommittedBatch[]): ApplyOutcome {
    if (this.failure !== null) throw this.failure;
    const rejections = new Map<number, string>();
    let position = 0;
    for (const { firstIndex, term, appendedAtMs, count } of batches) {
      for (let i = 0; i < count; i++, position++) {
        if (this.rejects(firstIndex + i)) rejections.set(position, "test");
        if (firstIndex + i <= this.appliedIndex) continue;
        if (firstIndex + i !== this.appliedIndex + 1)
          throw new Error(`Gap before ${firstIndex + i}`);
        this.entries.push({ index: firstIndex + i, term, appendedAtMs });
        this.appliedIndex = firstIndex + i;
        this.appliedTerm = term;
      }
    }
    this.ranges.push(position);
    const outcomes = new Uint8Array(position);
    for (const at of rejections.keys()) outcomes[at] = 2;
    return { outcomes, rejections };
  }
}

/** Counts as a database would: staged, then committed. */
export class StagedState extends FakeState {
  committedIndex = 0;
  commits = 0;
  commitFailure: Error | null = null;

  stage(batches: readonly CommittedBatch[]): ApplyOutcome {
    return this.apply(batches);
  }

  commit(): void {
    if (this.commitFailure !== null) throw this.commitFailure;
    this.committedIndex = this.appliedIndex;
    this.commits += 1;
  }
}

export class FakeClock implements Clock {
  now = 1_000_000;

  nowMs(): number {
    return this.now;
  }
}

/** Turns of the event loop, and a time that only the test lets pass. */
export class HeldTime implements Scheduler {
  #nowMs = 0;
  #timers: { readonly atMs: number; readonly task: () => void }[] = [];

  monotonicMs(): number {
    return this.#nowMs;
  }

  defer(task: () => void): void {
    SYSTEM_SCHEDULER.defer(task);
  }

  after(delayMs: number, task: () => void): () => void {
    const timer = { atMs: this.#nowMs + delayMs, task };
    this.#timers.push(timer);
    return () => {
      this.#timers = this.#timers.filter((each) => each !== timer);
    };
  }

  /** What falls due runs now, in order. */
  pass(ms: number): void {
    this.#nowMs += ms;
    const due = this.#timers.filter(({ atMs }) => atMs <= this.#nowMs);
    this.#timers = this.#timers.filter(({ atMs }) => atMs > this.#nowMs);
    for (const { task } of due.sort((a, b) => a.atMs - b.atMs)) task();
  }
}

export interface RigParts {
  readonly disk?: MemoryDisk;
  readonly state?: FakeState;
  readonly clock?: FakeClock;
  readonly options?: Partial<ReplicaOptions>;
  readonly transport?: PeerTransport;
  /** Left out: none are kept. */
  readonly snapshots?: SnapshotStore;
  readonly scheduler?: Scheduler;
  /** Of the log alone. */
  readonly logScheduler?: Scheduler;
  readonly logOptions?: Partial<LogOptions>;
}

export class Rig {
  readonly replica: Replica;
  readonly log: DurableLog;
  readonly disk: MemoryDisk;
  readonly state: FakeState;
  readonly clock: FakeClock;
  readonly published: PublishedState[] = [];
  readonly fatal: HearthError[] = [];
  /** Why the state has no room for more blocks. */
  roomProblem: string | null = null;

  static async open(parts: RigParts = {}): Promise<Rig> {
    const disk = parts.disk ?? new MemoryDisk();
    const scheduler = parts.logScheduler ?? SYSTEM_SCHEDULER;
    const modules = { files: disk, logger: SILENT_LOGGER, scheduler };
    const log = await DurableLog.open({ ...LOG_OPTIONS, ...parts.logOptions }, modules);
    return new Rig(disk, log, parts);
  }

  static async start(parts: RigParts = {}): Promise<Rig> {
    const rig = await Rig.open(parts);
    await rig.replica.start();
    return rig;
  }

  private constructor(disk: MemoryDisk, log: DurableLog, parts: RigParts) {
    this.disk = disk;
    this.log = log;
    this.state = parts.state ?? new FakeState();
    this.clock = parts.clock ?? new FakeClock();
    const random = new Prng(1);
    const modules = {
      log,
      stateMachine: this.state,
      transport: parts.transport ?? NO_PEERS,
      snapshots: parts.snapshots ?? null,
      clock: this.clock,
      scheduler: parts.scheduler ?? SYSTEM_SCHEDULER,
      random: () => random.nextU32(),
      logger: SILENT_LOGGER,
      publish: (published: PublishedState) => this.published.push(published),
      onFatal: (error: HearthError) => this.fatal.push(error),
      roomProblem: () => this.roomProblem,
    };
    this.replica = new Replica(
      { ...REPLICA_DEFAULTS, nodeId: SELF.id, bootstrap: [SELF], ...parts.options },
      modules,
    );
  }

  propose(
    count = 1,
    more: Partial<Proposal> & { payloadBytes?: number } = {},
  ): Promise<ProposeResult> {
    const body = more.body ?? entriesBody(1, count, more.payloadBytes ?? 64);
    return new Promise((resolve) => {
      const { appendedAtMs } = more;
      this.replica.propose({ body, bodyBytes: body.length, count, appendedAtMs }, (result) => {
        // Outcomes are borrowed until this returns.
        resolve(result.ok ? { ...result, outcomes: result.outcomes.slice() } : result);
      });
    });
  }

  campaign(term: number): Promise<ProposeResult> {
    return new Promise((resolve) => this.replica.campaign(term, resolve));
  }

  readIndex(): Promise<ReadIndexResult> {
    return new Promise((resolve) => this.replica.readIndex(resolve));
  }
}

export function reasonOf(result: ProposeResult | ReadIndexResult): string {
  return result.ok ? "ok" : result.error.reason;
}

/** The peers of one member, played by a test: what it sends is kept, `deliver` hands it messages. */
export class HandTransport implements PeerTransport {
  readonly sent: Message[] = [];
  readonly saysArrived: boolean;
  #receiver: PeerReceiver | null = null;

  constructor(saysArrived = false) {
    this.saysArrived = saysArrived;
  }

  setReceiver(receiver: PeerReceiver): void {
    this.#receiver = receiver;
  }

  send(message: Message): void {
    this.sent.push(message);
  }

  deliver(message: Message): void {
    assert.ok(this.#receiver !== null, "The member has not been started");
    this.#receiver.onMessage(message);
  }

  /** What was delivered came together. */
  arrived(): void {
    this.#receiver?.onArrived();
  }
}
