/**
 * A cluster of cores in memory, with a network and disks that do what a test says. No clock and no I/O: the same calls
 * give the same run.
 *
 *   const cluster = new Cluster({ voters: 3 });     ids "a", "b", "c"; already bootstrapped
 *   cluster.elect("a");                             a leads, everything has settled
 *   cluster.propose("a", "x");                      one entry with that text; answers the outcome
 *   cluster.settle();                               disks and network work until nothing is left to do
 *   cluster.node("b").values                        what b has applied: texts of entries
 *
 * By hand: `step(message)`, `tick(id)`, `tickAll()`, `sync(id, count)` makes work durable, `deliver(index)` hands over
 * one message of `network`, `crash(id)`, `restart(id)`, `snapshot(id)`, `cut(a, b)` and `heal()` (links), `read(id)`.
 * `holdsDisk(id)` keeps the disk of a member from working in `settle`. At random: random-run.ts.
 * Checks run after every event; a violation throws (checks.ts).
 */

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { Prng } from "../../../src/base/index.ts";
import { appendEntry, ByteSink, COMMAND, ENTRY_HEADER_BYTES } from "../../../src/protocol/index.ts";
import {
  type Batch,
  type Member,
  type MembershipChange,
  type Message,
  MESSAGE,
  type NodeId,
  type ProposedEntries,
  type ProposeOutcome,
  RaftCore,
  type RaftOptions,
  type SnapshotChunk,
  type SnapshotMeta,
} from "../../../src/raft/index.ts";
import { lastIndexOf, sliceBatch } from "../../../src/raft/batches.ts";
import { Checks } from "./checks.ts";
import { type AppState, Node } from "./node.ts";

export interface ClusterOptions {
  readonly voters?: number;
  /** Members that exist, but are in no configuration until a test adds them. */
  readonly strangers?: number;
  readonly seed?: number;
  readonly options?: Partial<RaftOptions>;
  readonly isBootstrapped?: boolean;
}

const TEST_OPTIONS: Omit<RaftOptions, "nodeId"> = {
  electionTicks: 10,
  heartbeatTicks: 2,
  appendMaxBytes: 1_000,
  inflightMaxMessages: 8,
  inflightMaxBytes: 8_000,
  inflightMaxChunks: 2,
  uncommittedMaxBytes: 1_000,
  tailMaxBytes: 1_000,
  promoteMaxLag: 10,
};

export class Cluster {
  readonly nodes = new Map<NodeId, Node>();
  readonly network: Message[] = [];
  readonly checks = new Checks();
  readonly prng: Prng;
  readonly members: readonly Member[];
  nowMs = 1_000;
  readonly #cut = new Set<string>();
  readonly #options: Omit<RaftOptions, "nodeId">;
  #snapshots = 0;

  constructor(settings: ClusterOptions = {}) {
    const { voters = 3, strangers = 0, seed = 1, isBootstrapped = true } = settings;
    this.#options = { ...TEST_OPTIONS, ...settings.options };
    this.prng = new Prng(seed);
    const ids = Array.from({ length: voters + strangers }, (_, i) => String.fromCharCode(97 + i));
    this.members = ids.map(memberOf);
    for (const id of ids) {
      const node = new Node(id);
      this.nodes.set(id, node);
      this.#boot(node);
    }
    if (!isBootstrapped) return;
    for (const id of ids.slice(0, voters)) {
      this.node(id).core.bootstrap(this.members.slice(0, voters));
      this.drain(id);
    }
    this.settle();
  }

  node(id: NodeId): Node {
    return this.nodes.get(id) as Node;
  }

  get upNodes(): Node[] {
    return [...this.nodes.values()].filter(({ isUp }) => isUp);
  }

  /** Leaders of the highest term, or null. */
  get leader(): Node | null {
    const leaders = this.upNodes.filter(({ core }) => core.isLeader);
    return leaders.sort((a, b) => b.core.term - a.core.term)[0] ?? null;
  }

  // -- inputs ------------------------------------------------------------------------------------------------------

  /** Any input of a core: then its output is taken, and the checks run. */
  input<T>(id: NodeId, run: (core: RaftCore) => T): T {
    const node = this.node(id);
    assert.ok(node.isUp, `${id} is down`);
    const result = run(node.core);
    this.drain(id);
    return result;
  }

  step(message: Message): void {
    this.input(message.to, (core) => core.step(message));
  }

  tick(id: NodeId, count = 1): void {
    for (let i = 0; i < count; i++) this.input(id, (core) => core.tick());
  }

  tickAll(count = 1): void {
    for (let i = 0; i < count; i++) {
      for (const { id } of this.upNodes) this.tick(id);
    }
  }

  propose(id: NodeId, ...texts: string[]): ProposeOutcome {
    return this.input(id, (core) => core.propose(entriesOf(texts), this.nowMs));
  }

  change(id: NodeId, ...changes: [MembershipChange["kind"], NodeId][]): ProposeOutcome {
    const list = changes.map(([kind, member]) => ({ kind, member: memberOf(member) }));
    return this.input(id, (core) => core.changeMembership(list, this.nowMs));
  }

  /** A linearizable read: it must see everything that was committed anywhere until now. */
  read(id: NodeId): number {
    const node = this.node(id);
    const localId = node.nextRead++;
    node.reads.set(localId, this.checks.commitIndex);
    this.input(id, (core) => core.read(localId));
    return localId;
  }

  /** Makes a member the leader: the others wait until it has won. */
  elect(id: NodeId): void {
    for (const node of this.upNodes) {
      // Whoever has lost its leader may vote for another.
      node.core.state.electionElapsed = this.#options.electionTicks;
    }
    this.input(id, (core) => core.campaign());
    this.settle();
    assert.ok(this.node(id).core.isLeader, `${id} was not elected`);
  }

  // -- disks -------------------------------------------------------------------------------------------------------

  /** The oldest `count` pieces of work become durable. */
  sync(id: NodeId, count = Number.POSITIVE_INFINITY): void {
    const node = this.node(id);
    const pieces = node.work.splice(0, Math.min(count, node.work.length));
    const last = pieces.at(-1);
    if (last === undefined) return;
    for (const piece of pieces) {
      node.disk.write(piece);
      if (piece.install !== null) this.#installState(node, piece.install.meta);
    }
    const installed = pieces.findLast(({ install }) => install !== null)?.install;
    this.input(id, (core) => {
      core.durable(last.sequence, last.term);
      if (installed) core.applied(installed.meta.index);
    });
  }

  crash(id: NodeId): void {
    const node = this.node(id);
    node.isUp = false;
    node.work = [];
    node.loads = [];
    node.reads.clear();
    this.checks.afterCrash(id);
    // What is under way to or from the old boot does not reach the new one.
    this.#dropMessages(({ from, to }) => from === id || to === id);
  }

  restart(id: NodeId): void {
    const node = this.node(id);
    node.isUp = true;
    this.#boot(node);
    this.drain(id);
  }

  /** Takes a snapshot of what is applied and cuts the log before it. */
  snapshot(id: NodeId): SnapshotMeta | null {
    const node = this.node(id);
    const { core, app } = node;
    const { state } = core;
    const status = core.status();
    if (app.index < status.firstIndex || state.installIndex > 0) return null;
    const bytes = Buffer.from(JSON.stringify(app));
    const chunkBytes = Math.ceil(bytes.length / 3);
    const last = state.log.memberships.findLast(({ index }) => index <= app.index);
    const meta: SnapshotMeta = {
      id: `${id}-${++this.#snapshots}`,
      index: app.index,
      term: node.disk.termAt(app.index),
      membership: last as SnapshotMeta["membership"],
      appendedAtMs: node.disk.entryAt(app.index)?.appendedAtMs ?? 0,
      sizeBytes: bytes.length,
      chunkBytes,
      chunkCount: Math.ceil(bytes.length / chunkBytes),
      digest: createHash("sha256").update(bytes).digest("hex"),
    };
    node.files.set(meta.id, bytes);
    node.disk.snapshot = meta;
    this.input(id, (owner) => {
      owner.snapshotTaken(meta);
      owner.compact(meta.index);
      node.disk.compact(meta.index);
    });
    return meta;
  }

  // -- network -----------------------------------------------------------------------------------------------------

  deliver(position = 0): void {
    const message = this.network.splice(position, 1)[0] as Message;
    if (this.canPass(message)) this.step(message);
  }

  canPass({ from, to }: Message): boolean {
    return this.node(to)?.isUp === true && !this.#cut.has(`${from}>${to}`);
  }

  /** Cuts both directions; `isOneWay`: only from a to b. */
  cut(a: NodeId, b: NodeId, isOneWay = false): void {
    this.#cut.add(`${a}>${b}`);
    if (!isOneWay) this.#cut.add(`${b}>${a}`);
  }

  isolate(id: NodeId): void {
    for (const other of this.nodes.keys()) if (other !== id) this.cut(id, other);
  }

  heal(): void {
    this.#cut.clear();
  }

  /** Disks and network work until nothing is left to do. Time stands still. */
  settle(rounds = 10_000): void {
    for (let i = 0; i < rounds; i++) {
      let isIdle = this.network.length === 0;
      for (const node of this.upNodes) {
        if (node.work.length > 0 && !node.isDiskHeld) {
          this.sync(node.id);
          isIdle = false;
        }
        if (node.loads.length > 0) this.load(node.id);
      }
      if (isIdle && this.network.length === 0) return;
      if (this.network.length > 0) this.deliver();
    }
    assert.fail("the cluster does not come to rest");
  }

  /** Time passes, and everything settles after each tick. */
  run(ticks: number): void {
    for (let i = 0; i < ticks; i++) {
      this.tickAll();
      this.settle();
    }
  }

  load(id: NodeId): void {
    const node = this.node(id);
    for (const peer of node.loads.splice(0)) this.input(id, (core) => core.logLoaded(peer, false));
  }

  // -- the driver of one member ------------------------------------------------------------------------------------

  /** Takes the output: what a driver would do, without the disk. */
  drain(id: NodeId): void {
    const node = this.node(id);
    const { core, out } = node;
    core.drain(out);
    node.work.push(...out.append);
    for (const message of out.send) this.#send(node, message);
    for (const chunk of out.chunks) this.#sendChunk(node, chunk);
    for (const { peer } of out.load) node.loads.push(peer);
    for (const { throughId, index } of out.reads) this.#grant(node, throughId, index);
    const stored = out.storeChunks.splice(0);
    for (const { meta, chunk, bytes } of stored) this.#store(node, meta, chunk, bytes);
    this.#apply(node);
    this.checks.afterEvent(node);
    if (stored.length > 0) this.drain(id);
  }

  #boot(node: Node): void {
    const { id, disk } = node;
    const prng = new Prng(this.prng.nextU32(), id.charCodeAt(0));
    const options = { nodeId: id, ...this.#options };
    node.core = new RaftCore(options, disk.start(node.app.index), disk, () => prng.nextU32());
    node.nextRead = 1;
    node.granted.length = 0;
  }

  #send(node: Node, message: Message): void {
    this.checks.beforeSend(node, message);
    if (!this.#cut.has(`${message.from}>${message.to}`)) this.network.push(message);
  }

  #sendChunk(node: Node, chunk: SnapshotChunk): void {
    const file = node.files.get(chunk.meta.id);
    if (file === undefined) return;
    const start = chunk.chunk * chunk.meta.chunkBytes;
    const bytes = file.subarray(start, start + chunk.meta.chunkBytes);
    this.#send(node, { ...chunk, bytes });
  }

  #store(node: Node, meta: SnapshotMeta, chunk: number, bytes: Uint8Array): void {
    const pieces = node.partial.get(meta.id) ?? [];
    node.partial.set(meta.id, pieces);
    if (chunk === pieces.length) pieces.push(bytes);
    if (pieces.length === meta.chunkCount) {
      node.files.set(meta.id, Buffer.concat(pieces));
      node.partial.delete(meta.id);
    }
    node.core.chunkStored(meta, Math.min(pieces.length, meta.chunkCount), false);
  }

  #installState(node: Node, meta: SnapshotMeta): void {
    const bytes = node.files.get(meta.id) as Uint8Array;
    node.app = JSON.parse(Buffer.from(bytes).toString()) as AppState;
  }

  #apply(node: Node): void {
    const { core, app } = node;
    while (core.applicableIndex > app.index) {
      const fromMemory = core.applicable(app.index + 1, 500);
      const batches = fromMemory ?? node.disk.slice(app.index + 1, core.applicableIndex, 500);
      if (batches === null) return;
      for (const batch of batches) this.#applyBatch(node, batch);
      core.applied(app.index);
    }
  }

  #applyBatch(node: Node, batch: Batch): void {
    const { app } = node;
    assert.equal(batch.firstIndex, app.index + 1, "applied in order");
    for (let index = batch.firstIndex; index <= lastIndexOf(batch); index++) {
      app.digests.push(this.checks.afterApply(node, index, sliceBatch(batch, index, index)));
      app.index = index;
    }
  }

  #grant(node: Node, throughId: number, index: number): void {
    for (const [localId, needed] of node.reads) {
      if (localId > throughId) continue;
      assert.ok(
        index >= needed,
        `${node.id}: read ${localId} granted ${index}, must see ${needed}`,
      );
      node.reads.delete(localId);
      node.granted.push({ id: localId, index });
    }
  }

  #dropMessages(isGone: (message: Message) => boolean): void {
    const kept = this.network.filter((message) => !isGone(message));
    this.network.length = 0;
    this.network.push(...kept);
  }
}

export function memberOf(id: NodeId): Member {
  return { id, serverId: `server-${id}`, address: `${id}:9000` };
}

/** One entry per text. */
export function entriesOf(texts: readonly string[]): ProposedEntries {
  const sink = new ByteSink();
  for (const text of texts) appendEntry(sink, COMMAND.addBlocks, Buffer.from(text, "latin1"));
  const body = new Uint8Array(sink.u8.subarray(0, sink.length));
  assert.ok(body.length >= ENTRY_HEADER_BYTES);
  return { body, bodyBytes: body.length, count: texts.length };
}

/** Kinds by number, for readable failures. */
export const KIND_NAMES: ReadonlyMap<number, string> = new Map(
  Object.entries(MESSAGE).map(([name, kind]) => [kind, name]),
);
