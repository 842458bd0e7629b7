/** Three members in this process: the real driver, core, log and snapshot files; only network and log disk are in memory. */

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  type HearthError,
  Prng,
  SILENT_LOGGER,
  SYSTEM_CLOCK,
  SYSTEM_SCHEDULER,
} from "../../src/base/index.ts";
import { NODE_FILES } from "../../src/files/index.ts";
import { DurableLog } from "../../src/log/index.ts";
import type { Batch, Member, Message, NodeId, SnapshotMeta } from "../../src/raft/index.ts";
import {
  type PeerReceiver,
  type PeerTransport,
  type ProposeResult,
  REPLICA_DEFAULTS,
  type ReadIndexResult,
  Replica,
  type ReplicaOptions,
  type SnapshotSource,
} from "../../src/replica/index.ts";
import { SNAPSHOT_DEFAULTS, SnapshotFiles } from "../../src/snapshot/index.ts";
import { entriesBody } from "../log/support/log-harness.ts";
import { MemoryDisk } from "../log/support/memory-disk.ts";
import { untilTrue } from "../support/until.ts";
import { type AppliedEntry, FakeState, LOG_OPTIONS } from "./support.ts";

/** Delivers in later turns, in order per pair; members can be cut off. */
export class Network {
  readonly #receivers = new Map<NodeId, PeerReceiver>();
  readonly cutOff = new Set<NodeId>();

  transport(id: NodeId): PeerTransport {
    return {
      setReceiver: (receiver) => this.#receivers.set(id, receiver),
      send: (message) => this.#send(message),
    };
  }

  disconnect(id: NodeId): void {
    this.#receivers.delete(id);
  }

  #send(message: Message): void {
    if (this.cutOff.has(message.from) || this.cutOff.has(message.to)) return;
    // Whoever takes the bodies over keeps them; the sender may use its own again.
    const own = message.kind === 5 ? { ...message, batches: message.batches.map(copied) } : message;
    setImmediate(() => this.#receivers.get(message.to)?.onMessage(own));
  }
}

function copied(batch: Batch): Batch {
  return { ...batch, body: batch.body.slice(0, batch.bodyBytes) };
}

/** The state of support.ts, with snapshots of itself. */
export class SnapshotState extends FakeState {
  /** Log indexes of the snapshots that were installed. */
  readonly installs: number[] = [];

  openSnapshot(): SnapshotSource {
    const text = JSON.stringify(this.entries);
    let isRead = false;
    return {
      index: this.appliedIndex,
      term: this.appliedTerm,
      next: async () => {
        if (isRead) return null;
        isRead = true;
        return new TextEncoder().encode(text);
      },
      close: () => {},
    };
  }

  async install(meta: SnapshotMeta, source: SnapshotSource): Promise<void> {
    const pieces: Uint8Array[] = [];
    for (let piece = await source.next(); piece !== null; piece = await source.next())
      pieces.push(piece.slice());
    const entries = JSON.parse(Buffer.concat(pieces).toString()) as AppliedEntry[];
    this.entries.splice(0, this.entries.length, ...entries);
    this.appliedIndex = meta.index;
    this.appliedTerm = meta.term;
    this.installs.push(meta.index);
  }
}

/** What a member needs to know of the cluster that it is started in. */
export interface ClusterSetting {
  readonly options: Partial<ReplicaOptions>;
  readonly members: readonly Member[];
  readonly network: { transport(id: NodeId): PeerTransport };
}

export class TestMember {
  readonly member: Member;
  readonly disk = new MemoryDisk();
  readonly directory = mkdtempSync(join(tmpdir(), "hearth-cluster-"));
  readonly fatal: HearthError[] = [];
  state = new SnapshotState();
  /** It gets messages and turns, but time does not pass for it: no tick, and nothing that is given up. */
  isTimeHeld = false;
  replica!: Replica;
  log!: DurableLog;
  #snapshotIds = 0;

  constructor(member: Member) {
    this.member = member;
  }

  get id(): NodeId {
    return this.member.id;
  }

  async start(cluster: ClusterSetting): Promise<void> {
    this.log = await DurableLog.open(LOG_OPTIONS, { files: this.disk, logger: SILENT_LOGGER });
    const files = await SnapshotFiles.open(
      { ...SNAPSHOT_DEFAULTS, directory: this.directory, chunkBytes: 512 },
      {
        files: NODE_FILES,
        logger: SILENT_LOGGER,
        newId: () => `${this.id}x${++this.#snapshotIds}x${Date.now()}`,
      },
    );
    const random = new Prng(this.id.charCodeAt(0));
    this.replica = new Replica(
      { ...REPLICA_DEFAULTS, ...cluster.options, nodeId: this.id, bootstrap: cluster.members },
      {
        log: this.log,
        stateMachine: this.state,
        transport: cluster.network.transport(this.id),
        snapshots: files,
        clock: SYSTEM_CLOCK,
        scheduler: { ...SYSTEM_SCHEDULER, after: (delayMs, task) => this.#after(delayMs, task) },
        random: () => random.nextU32(),
        logger: SILENT_LOGGER,
        publish: () => {},
        onFatal: (error) => this.fatal.push(error),
      },
    );
    await this.replica.start();
  }

  /** Its files may be taken away when this resolves. */
  stop(): Promise<void> {
    return this.replica.stop();
  }

  propose(count = 1, payloadBytes = 64): Promise<ProposeResult> {
    const body = entriesBody(1, count, payloadBytes);
    return new Promise((resolve) => {
      this.replica.propose({ body, bodyBytes: body.length, count }, resolve);
    });
  }

  readIndex(): Promise<ReadIndexResult> {
    return new Promise((resolve) => this.replica.readIndex(resolve));
  }

  get isLeader(): boolean {
    return this.replica.status().role === "leader";
  }

  #after(delayMs: number, task: () => void): () => void {
    const whenDue = (): void => {
      if (this.isTimeHeld) cancel = SYSTEM_SCHEDULER.after(delayMs, whenDue);
      else task();
    };
    let cancel = SYSTEM_SCHEDULER.after(delayMs, whenDue);
    return () => cancel();
  }
}

export class TestCluster {
  readonly network = new Network();
  readonly options: Partial<ReplicaOptions>;
  readonly nodes: readonly TestMember[];

  static async start(options: Partial<ReplicaOptions> = {}): Promise<TestCluster> {
    const cluster = new TestCluster(options);
    for (const node of cluster.nodes) await node.start(cluster);
    return cluster;
  }

  private constructor(options: Partial<ReplicaOptions>) {
    this.options = { tickMs: 5, ...options };
    this.nodes = ["a", "b", "c"].map(
      (id) => new TestMember({ id, serverId: `server-${id}`, address: `10.0.0.1:${id}` }),
    );
  }

  get members(): readonly Member[] {
    return this.nodes.map(({ member }) => member);
  }

  async leader(among: readonly TestMember[] = this.nodes): Promise<TestMember> {
    await untilTrue(() => among.some((node) => node.isLeader));
    return among.find((node) => node.isLeader) as TestMember;
  }

  followersOf(leader: TestMember): readonly TestMember[] {
    return this.nodes.filter((node) => node !== leader);
  }

  /** Cut off and stopped; disk and state stay. */
  async kill(node: TestMember): Promise<void> {
    this.network.disconnect(node.id);
    await node.stop();
  }

  async close(): Promise<void> {
    await Promise.all(this.nodes.map((node) => node.stop()));
    for (const node of this.nodes) rmSync(node.directory, { recursive: true, force: true });
  }
}
