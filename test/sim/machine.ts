/**
 * One machine: disk, database and clock that outlive processes, and the process that runs on them now: the server's own
 * driver over its own log and snapshot files, and its own read path on reader threads.
 */

import {
  assert,
  AssertionError,
  type HearthError,
  isHearthError,
  type Prng,
  SILENT_LOGGER,
} from "../../src/base/index.ts";
import type { AnswerPeer } from "../../src/cluster/index.ts";
import { DurableLog, type LogOptions } from "../../src/log/index.ts";
import type { Member, Message, NodeId, RaftCore } from "../../src/raft/index.ts";
import { Replica, type ReplicaOptions } from "../../src/replica/index.ts";
import type { PeerReceiver, PeerTransport } from "../../src/replica/ports.ts";
import { answerReadQuestion } from "../../src/service/index.ts";
import { SnapshotFiles } from "../../src/snapshot/index.ts";
import { checkPublished } from "./beliefs.ts";
import type { Coverage } from "./coverage.ts";
import { SimDatabase, SimStateMachine } from "./database.ts";
import { SimDisk } from "./disk.ts";
import { DiskFiles } from "./disk-files.ts";
import { type EventLoop, Life, MachineClock, MachineScheduler } from "./event-loop.ts";
import { violated } from "./failure.ts";
import type { History } from "./history.ts";
import {
  createSeen,
  type Holder,
  type Invariants,
  type MemberView,
  type Seen,
} from "./invariants.ts";
import { observeLog, readShadow } from "./log-observer.ts";
import type { Endpoint, SimNetwork } from "./network.ts";
import { SimProgress } from "./progress.ts";
import { SimReaderThread } from "./reader-thread.ts";
import { ShadowLog } from "./shadow-log.ts";
import type { AppliedEntry, SimState } from "./state-machine.ts";

export interface MachineOptions {
  readonly place: number;
  readonly log: Omit<LogOptions, "directory">;
  readonly replica: Omit<ReplicaOptions, "nodeId" | "bootstrap">;
  readonly readerThreads: number;
  readonly snapshotChunkBytes: number;
  readonly startAtMs: number;
}

export interface MachineModules {
  readonly loop: EventLoop;
  readonly network: SimNetwork;
  readonly invariants: Invariants;
  readonly history: History;
  readonly coverage: Coverage;
  readonly stream: (name: string) => Prng;
}

export const LOG_DIRECTORY = "/data/log";

/** What a process is made of; null where it has not come that far. */
interface Process {
  readonly life: Life;
  readonly scheduler: MachineScheduler;
  log: DurableLog | null;
  snapshots: SnapshotFiles | null;
  replica: Replica | null;
  shadow: ShadowLog;
  seen: Seen;
  readonly readers: SimReaderThread[];
  /** Damage came while it was starting: perhaps behind what its recovery had read by then. */
  isDamagedMeanwhile: boolean;
}

export class Machine {
  readonly place: number;
  readonly clock: MachineClock;
  nodeId: NodeId;
  disk: SimDisk;
  database = new SimDatabase();
  process: Process | null = null;
  /** What the member had promised when its process last ended. */
  promised = new ShadowLog();
  /** Bytes of the log were damaged since its last good start: it may have lost what it had promised. */
  isDamaged = false;
  /**
   * Logs that were durable here until a fault took them: an acknowledgement that was on its way then may still count,
   * because the faults leave a quorum of what is committed alone.
   */
  readonly ghosts: Holder[] = [];
  /** The driver has emptied its core during the event under way. */
  hasDrained = false;
  /** Disk errors were injected: the process may end by itself. */
  mayFail = false;
  /** A start was refused because of damage; the machine waits to be replaced. */
  hasRefused = false;
  /** A damaged log was cut: what it had promised is not all there until a leader has made up for it. */
  get hasLostEntries(): boolean {
    return this.holder.shadow.hardState.abstains;
  }

  bootstrap: readonly Member[] = [];
  /** The process has ended, whatever the reason. */
  onDown: () => void = () => {};
  /** The log was cut for damage, and what it lacks was not made up for yet. */
  #wasCut = false;
  readonly #options: MachineOptions;
  readonly #modules: MachineModules;
  readonly #prng: Prng;
  #generation = 0;
  #ids = 0;

  constructor(options: MachineOptions, modules: MachineModules) {
    this.#options = options;
    this.#modules = modules;
    this.place = options.place;
    this.nodeId = nodeIdOf(options.place, 0);
    this.#prng = modules.stream(`machine ${options.place}`);
    this.clock = new MachineClock(modules.loop, options.startAtMs);
    this.disk = this.#newDisk();
  }

  get member(): Member {
    const name = `server-${this.place}`;
    return { id: this.nodeId, serverId: name, address: `${name}:1` };
  }

  get isUp(): boolean {
    return this.process !== null;
  }

  get isPaused(): boolean {
    return this.process?.life.isPaused === true;
  }

  get core(): RaftCore | null {
    return this.process?.replica?.core ?? null;
  }

  /** The running member as the checks see it; null while it starts or is down. */
  get view(): MemberView | null {
    const { process, core } = this;
    if (process === null || core === null) return null;
    const { shadow, seen } = process;
    const { position, committed } = this.database.state;
    // What is staged ahead of the disk counts for nothing, unless it is committed, which it must not be.
    const told = Math.min(position.appliedIndex, core.state.appliedIndex);
    const appliedIndex = Math.max(committed.appliedIndex, told);
    const snapshotIndex = process.snapshots?.latest?.index ?? 0;
    return { nodeId: this.nodeId, core, shadow, seen, appliedIndex, snapshotIndex };
  }

  /** What this member holds, running or not: a stopped one counts for durable quorums, too. */
  get holder(): { readonly nodeId: NodeId; readonly shadow: ShadowLog } {
    const { process } = this;
    const isRecovered = process !== null && process.log !== null;
    return { nodeId: this.nodeId, shadow: isRecovered ? process.shadow : this.promised };
  }

  /** Bytes of the log have changed on the disk. */
  noteDamage(): void {
    this.isDamaged = true;
    if (this.process !== null && this.process.log === null) this.process.isDamagedMeanwhile = true;
  }

  // -- life ----------------------------------------------------------------------------------------------------

  boot(): void {
    const { loop } = this.#modules;
    const life = new Life();
    const scheduler = new MachineScheduler(loop, this.clock, { place: this.place, life });
    const process: Process = {
      life,
      scheduler,
      log: null,
      snapshots: null,
      replica: null,
      shadow: new ShadowLog(),
      seen: createSeen(),
      readers: [],
      isDamagedMeanwhile: false,
    };
    this.process = process;
    this.#modules.coverage.hit("restart");
    this.#open(process).catch((error: unknown) => {
      if (life.isAlive) this.#onStartFailed(error);
    });
  }

  /** kill -9. */
  crash(): void {
    if (!this.#endProcess()) return;
    this.disk.crashProcess();
    this.database.crashProcess();
  }

  /** The machine loses power: page cache and index are gone. */
  losePower(): void {
    this.#endProcess();
    this.disk.crashPower();
    this.database.crashPower();
  }

  /** The disk is lost: whatever starts here next is another member. */
  replaceDisk(): void {
    this.#endProcess();
    this.ghosts.push({ holder: { nodeId: this.nodeId, shadow: this.promised } });
    this.disk.wipe();
    this.disk = this.#newDisk();
    this.database = new SimDatabase();
    this.promised = new ShadowLog();
    this.isDamaged = false;
    this.hasRefused = false;
    this.#generation += 1;
    this.nodeId = nodeIdOf(this.place, this.#generation);
    this.bootstrap = [];
  }

  pause(): void {
    const { process } = this;
    if (process !== null) process.life.isPaused = true;
  }

  resume(): void {
    const { process } = this;
    if (process?.life.isPaused === true) this.#modules.loop.resume(process.life);
  }

  #newDisk(): SimDisk {
    const { loop, coverage, stream } = this.#modules;
    const prng = stream(`disk ${this.place} ${this.#generation}`);
    return new SimDisk({ loop, coverage, prng, place: this.place });
  }

  /** False when nothing ran. */
  #endProcess(): boolean {
    const { process } = this;
    if (process === null) return false;
    process.life.isAlive = false;
    process.life.waiting.length = 0;
    // A start that did not get through its recovery has promised nothing new.
    if (process.log !== null) this.promised = process.shadow;
    this.process = null;
    this.#modules.network.disconnect(this.nodeId);
    this.onDown();
    return true;
  }

  // -- start ---------------------------------------------------------------------------------------------------

  async #open(process: Process): Promise<void> {
    const { life, scheduler } = process;
    const { coverage, invariants } = this.#modules;
    const files = new DiskFiles(this.disk, life);
    const snapshots = await SnapshotFiles.open(
      {
        directory: "/data",
        chunkBytes: this.#options.snapshotChunkBytes,
        damagedMax: 1,
        waitingChunksMax: 64,
      },
      { files, logger: SILENT_LOGGER, newId: () => this.#newId() },
    );
    process.snapshots = snapshots;
    const take = snapshots.take.bind(snapshots);
    snapshots.take = async (head, source) => {
      const meta = await take(head, source);
      coverage.hit("snapshotTaken");
      return meta;
    };
    const { latest } = snapshots;
    const log = await DurableLog.open(
      {
        ...this.#options.log,
        directory: LOG_DIRECTORY,
        owner: { clusterId: "sim", nodeId: this.nodeId },
        snapshot: latest,
      },
      { files, logger: SILENT_LOGGER, scheduler, makeLogId: () => this.#newLogId() },
    );
    const shadow = await readShadow(log);
    if (!this.isDamaged && this.promised.durableHardState.term > 0) {
      invariants.recovered(this.nodeId, this.promised, shadow);
    } else {
      invariants.appended(this.nodeId, shadow, shadow.baseIndex + 1);
    }
    // Also by an earlier start that ended before the index was thrown away.
    this.#wasCut = log.recoveredDamage !== null || log.hardState.abstains;
    if (log.recoveredDamage !== null)
      this.ghosts.push({ holder: { nodeId: this.nodeId, shadow: this.promised } });
    // What was damaged before this start was found and cut, or is not there any more.
    this.isDamaged = process.isDamagedMeanwhile;
    process.log = log;
    process.shadow = shadow;
    observeLog(log, {
      nodeId: this.nodeId,
      life,
      shadow,
      invariants,
      coverage,
      core: () => process.replica?.core ?? null,
      onDrained: () => {
        this.hasDrained = true;
      },
    });
    await this.#start(process, log, snapshots);
  }

  async #start(process: Process, log: DurableLog, snapshots: SnapshotFiles): Promise<void> {
    const { life, scheduler } = process;
    const { coverage, network } = this.#modules;
    const progress = new SimProgress(this.#modules.loop, { place: this.place, life });
    const endpoint = new MachineEndpoint(this.place, this.nodeId, life);
    const stateMachine = new SimStateMachine({
      database: this.database,
      coverage,
      observer: { applied: (entry) => this.#onApplied(process, entry) },
      onInstalled: (state) => this.#onInstalled(state),
    });
    const replica = new Replica(
      { ...this.#options.replica, nodeId: this.nodeId, bootstrap: this.bootstrap },
      {
        log,
        stateMachine,
        snapshots,
        transport: new MachineTransport(endpoint, network, (message) =>
          this.#onSend(process, message, progress.term),
        ),
        clock: this.clock,
        scheduler,
        random: () => this.#prng.nextU32(),
        logger: SILENT_LOGGER,
        publish: (state) => {
          stateMachine.confirm(replica.core?.state.appliedIndex ?? 0);
          if (life.isAlive) progress.publish(state);
        },
        onChanged: () => {
          for (const reader of process.readers) reader.setLeader(process.replica?.leader ?? "");
        },
        onFatal: (error) => this.#onFatal(life, error),
      },
    );
    process.replica = replica;
    endpoint.replica = replica;
    for (let i = 0; i < this.#options.readerThreads; i++) {
      process.readers.push(
        new SimReaderThread({
          loop: this.#modules.loop,
          network,
          life,
          place: this.place,
          nodeId: this.nodeId,
          scheduler,
          database: this.database,
          progress,
          replica,
          prng: this.#modules.stream(`reader ${this.place} ${i}`),
          history: this.#modules.history,
          coverage,
        }),
      );
    }
    network.connect(endpoint);
    await replica.start();
  }

  #onStartFailed(error: unknown): void {
    failOnAssertion(error);
    if (isHearthError(error) && this.#wasCut && error.reason === "state_ahead_of_log") {
      // What the composition root does after a cut: the index is rebuilt from snapshot, log and peers.
      this.#modules.coverage.hit("indexRebuilt");
      this.crash();
      this.database.crashPower();
      return;
    }
    if (isHearthError(error) && (this.isDamaged || this.mayFail)) {
      this.hasRefused = this.isDamaged && error.code === "data_loss";
      this.crash();
      return;
    }
    throw error;
  }

  #onFatal(life: Life, error: HearthError): void {
    if (!life.isAlive) return;
    failOnAssertion(error);
    if (!this.mayFail && !this.isDamaged) violated("no-fatal", `${this.nodeId}: ${error.message}`);
    this.crash();
  }

  // -- observing -----------------------------------------------------------------------------------------------

  #onSend(process: Process, message: Message, publishedTerm: number): boolean {
    if (!process.life.isAlive) return false;
    checkPublished(message, publishedTerm);
    this.#modules.invariants.sent(message, process.shadow);
    return true;
  }

  #onApplied({ life, shadow }: Process, entry: AppliedEntry): void {
    if (!life.isAlive) return;
    const { invariants, history } = this.#modules;
    const { index, term, hash, checksum, appendedAtMs, command, hasEffect } = entry;
    if (command !== null && entry.repeatOfIndex >= 0)
      history.repeated(command, entry.repeatOfIndex);
    if (shadow.baseIndex < index && !shadow.holds(index, { term, hash })) {
      violated(
        "applied-in-log",
        `${this.nodeId} applies ${index} of term ${term}, which its log has not`,
      );
    }
    invariants.applied(this.nodeId, index, { term, hash }, checksum);
    invariants.logTime(this.nodeId, index, appendedAtMs);
    if (command !== null && hasEffect) history.tookEffect(index, command);
  }

  #onInstalled(state: SimState): void {
    const { appliedIndex, checksum } = state.position;
    this.#modules.invariants.checksum(this.nodeId, appliedIndex, checksum);
  }

  #newId(): string {
    this.#ids += 1;
    return `s${this.place}x${this.#generation}x${this.#ids}`;
  }

  #newLogId(): Uint8Array {
    const id = new Uint8Array(8);
    for (let i = 0; i < id.length; i++) id[i] = this.#prng.nextInt(256);
    return id;
  }
}

/** A broken invariant of the product that the driver has wrapped is still one, also where a disk may fail. */
function failOnAssertion(error: unknown): void {
  for (let cause = error; cause instanceof Error; cause = cause.cause) {
    if (cause instanceof AssertionError) violated("assertion", cause.stack ?? cause.message);
  }
}

class MachineEndpoint implements Endpoint {
  readonly place: number;
  readonly nodeId: NodeId;
  readonly life: Life;
  receiver: PeerReceiver | null = null;
  replica: Replica | null = null;

  constructor(place: number, nodeId: NodeId, life: Life) {
    this.place = place;
    this.nodeId = nodeId;
    this.life = life;
  }

  onMessage(message: Message): void {
    this.receiver?.onMessage(message);
  }

  onUnreachable(peer: NodeId): void {
    this.receiver?.onUnreachable(peer);
  }

  onQuestion(from: NodeId, body: Uint8Array, answer: AnswerPeer): void {
    assert(this.replica !== null, "A process is connected before it has a replica");
    answerReadQuestion(this.replica, from, body, answer);
  }
}

class MachineTransport implements PeerTransport {
  readonly #endpoint: MachineEndpoint;
  readonly #network: SimNetwork;
  readonly #onSend: (message: Message) => boolean;

  constructor(
    endpoint: MachineEndpoint,
    network: SimNetwork,
    onSend: (message: Message) => boolean,
  ) {
    this.#endpoint = endpoint;
    this.#network = network;
    this.#onSend = onSend;
  }

  setReceiver(receiver: PeerReceiver): void {
    this.#endpoint.receiver = receiver;
  }

  send(message: Message): void {
    if (this.#onSend(message)) this.#network.send(this.#endpoint, message);
  }
}

/** 16 hex digits; another generation of a place is another member. */
export function nodeIdOf(place: number, generation: number): NodeId {
  const digits = (value: number): string => value.toString(16).padStart(8, "0");
  return digits(place + 1) + digits(generation);
}
