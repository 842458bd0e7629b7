/**
 * One member: the real core, a disk, and what a driver does between them. The disk may be held, and applying, too; a
 * crash loses what was not durable.
 */

import assert from "node:assert/strict";
import { appendEntry, ByteSink, COMMAND } from "../../../src/protocol/index.ts";
import {
  type AppendWork,
  type Batch,
  type ChunkWork,
  createOutput,
  type MembershipAt,
  type Message,
  type NodeId,
  type Output,
  type ProposeOutcome,
  type Raft,
  RaftCore,
  type RaftOptions,
  type SnapshotChunk,
  type SnapshotMeta,
} from "../../../src/raft/index.ts";
import { Disk } from "./disk.ts";
import { formatMembership, formatMeta, formatWork } from "./format.ts";

/** Where a member's doings are told and its messages go. */
export interface World {
  say(line: string): void;
  send(message: Message): void;
  /** An entry takes effect: every member must see the same one at its index. */
  apply(member: NodeId, batch: Batch): void;
}

export const CHUNK_BYTES = 8;
export const CHUNKS = 3;
const APPLY_MAX_BYTES = 1_000_000;

/** What was seen of a member the last time it was looked at. */
interface Seen {
  role: string;
  term: number;
  leader: NodeId;
  commitIndex: number;
  membership: string;
}

export class Member {
  readonly id: NodeId;
  readonly #world: World;
  readonly #options: RaftOptions;
  disk: Disk;
  raft: Raft | null = null;
  /** Ticks added to electionTicks when a wait is drawn. */
  drawnTicks = 5;
  isDiskHeld = false;
  isApplyHeld = false;
  areLoadsHeld = false;
  /** Handed out and not yet durable, oldest first. */
  readonly waiting: AppendWork[] = [];
  appliedIndex = 0;
  /** Local ids of this boot. */
  newestRead = 0;
  readonly grants = new Map<number, number>();
  #newestGrant = 0;
  #received: { id: string; next: number } | null = null;
  readonly #loads: NodeId[] = [];
  readonly #output: Output = createOutput();
  #boots = 0;
  #seen: Seen = { role: "", term: -1, leader: "", commitIndex: -1, membership: "" };

  constructor(options: RaftOptions, world: World, baseMembership: MembershipAt | null) {
    this.id = options.nodeId;
    this.#options = options;
    this.#world = world;
    this.disk = new Disk(baseMembership);
  }

  /** The running core; a command to a member that is down is a mistake of the script. */
  get core(): Raft {
    assert.ok(this.raft !== null, `${this.id} is down`);
    return this.raft;
  }

  start(): void {
    assert.ok(this.raft === null, `${this.id} is running`);
    this.#boots++;
    const start = this.disk.start();
    this.appliedIndex = start.appliedIndex;
    this.raft = new RaftCore(this.#options, start, this.disk, () => this.#random());
    const { role, term, leader, commitIndex, membership } = this.raft.status();
    this.#seen = {
      role,
      term,
      leader,
      commitIndex,
      membership: formatMembership(membership.membership),
    };
    this.settle();
  }

  /** Everything that is not on the disk is gone. */
  crash(): void {
    const lost = this.waiting.length;
    if (lost > 0) this.#say(`loses ${lost} pieces that were not durable`);
    this.raft = null;
    this.waiting.length = 0;
    this.#loads.length = 0;
    this.#received = null;
    this.newestRead = 0;
    this.#newestGrant = 0;
    this.grants.clear();
    this.isDiskHeld = false;
    this.isApplyHeld = false;
    this.areLoadsHeld = false;
  }

  propose(texts: readonly string[], nowMs: number): ProposeOutcome {
    const sink = new ByteSink();
    for (const text of texts) appendEntry(sink, COMMAND.noop, Buffer.from(text));
    const body = sink.copy();
    return this.core.propose({ body, bodyBytes: body.length, count: texts.length }, nowMs);
  }

  /** Reports the oldest `count` pieces as durable. */
  durable(count: number): void {
    const done = this.waiting.splice(0, count);
    for (const work of done) this.disk.write(work);
    const last = done.at(-1);
    if (last === undefined) return;
    this.#say(`disk has #${last.sequence}`);
    this.#finishInstalls(done);
    this.core.durable(last.sequence, last.term);
    this.settle();
  }

  takeSnapshot(): SnapshotMeta {
    const index = this.appliedIndex;
    const term = this.#termAt(index);
    const memberships = this.disk.start().memberships.filter((at) => at.index <= index);
    const membership = memberships.at(-1);
    assert.ok(membership !== undefined, "a member without a configuration takes no snapshot");
    const meta: SnapshotMeta = {
      id: `${this.id}-${index}`,
      index,
      term,
      membership,
      appendedAtMs: 0,
      sizeBytes: CHUNKS * CHUNK_BYTES,
      chunkBytes: CHUNK_BYTES,
      chunkCount: CHUNKS,
      digest: "00".repeat(32),
    };
    this.disk.snapshot = meta;
    this.core.snapshotTaken(meta);
    return meta;
  }

  compact(index: number): void {
    this.core.compact(index);
    this.disk.cut(index);
  }

  finishLoads(isGone: boolean): void {
    for (const peer of this.#loads.splice(0)) this.core.logLoaded(peer, isGone);
  }

  /** Does what the core asks for until it asks for nothing. */
  settle(): void {
    const { raft } = this;
    if (raft === null) return;
    for (let isBusy = true; isBusy; ) {
      const out = this.#output;
      clear(out);
      raft.drain(out);
      this.#observe();
      isBusy = this.#handle(out);
      isBusy = this.#apply() || isBusy;
    }
  }

  #handle(out: Output): boolean {
    for (const work of out.append.splice(0)) {
      this.#say(`writes ${formatWork(work)}`);
      this.waiting.push(work);
    }
    for (const { throughId, index } of out.reads) this.#grant(throughId, index);
    for (const message of out.send) this.#world.send(message);
    for (const chunk of out.chunks) this.#sendChunk(chunk);
    const hasStored = out.storeChunks.length > 0;
    for (const chunk of out.storeChunks) this.#storeChunk(chunk);
    for (const { peer, fromIndex } of out.load) {
      this.#say(`reads its log from ${fromIndex} for ${peer}`);
      this.#loads.push(peer);
    }
    const hasLoads = !this.areLoadsHeld && this.#loads.length > 0;
    if (hasLoads) {
      this.disk.isCold = false;
      this.finishLoads(false);
    }
    const isWritten = !this.isDiskHeld && this.waiting.length > 0;
    if (isWritten) this.#writeAll();
    return isWritten || hasStored || hasLoads;
  }

  #writeAll(): void {
    const done = this.waiting.splice(0);
    for (const work of done) this.disk.write(work);
    this.#finishInstalls(done);
    const last = done.at(-1) as AppendWork;
    this.core.durable(last.sequence, last.term);
  }

  #finishInstalls(done: readonly AppendWork[]): void {
    for (const { install } of done) {
      if (install === null) continue;
      this.appliedIndex = install.meta.index;
      this.#say(`has the state of ${install.meta.index}`);
      this.core.applied(install.meta.index);
    }
  }

  #apply(): boolean {
    const { core } = this;
    if (this.isApplyHeld || core.applicableIndex <= this.appliedIndex) return false;
    const fromIndex = this.appliedIndex + 1;
    const batches =
      core.applicable(fromIndex, APPLY_MAX_BYTES) ??
      this.disk.slice(fromIndex, core.applicableIndex, APPLY_MAX_BYTES);
    assert.ok(batches !== null && batches.length > 0, `${this.id} has nothing to apply`);
    for (const batch of batches) {
      assert.ok(batch.firstIndex <= this.appliedIndex + 1, "applies without gaps");
      this.#world.apply(this.id, batch);
      this.appliedIndex = batch.firstIndex + batch.count - 1;
      assert.ok(this.appliedIndex <= core.applicableIndex, "applies what may be applied");
      assert.ok(this.appliedIndex <= this.disk.lastIndex, "applies what is on the disk");
    }
    const range =
      fromIndex === this.appliedIndex ? fromIndex : `${fromIndex} to ${this.appliedIndex}`;
    this.#say(`applies ${range}`);
    core.applied(this.appliedIndex);
    return true;
  }

  #grant(throughId: number, index: number): void {
    const reads: number[] = [];
    while (this.#newestGrant < throughId) {
      this.#newestGrant++;
      this.grants.set(this.#newestGrant, index);
      reads.push(this.#newestGrant);
    }
    this.#say(`may answer read ${reads.join(", ")} at ${index}`);
  }

  #sendChunk(chunk: SnapshotChunk): void {
    if (this.disk.snapshot?.id !== chunk.meta.id) return;
    const bytes = new Uint8Array(CHUNK_BYTES).fill(chunk.chunk + 1);
    this.#world.send({ ...chunk, bytes });
  }

  /** Chunks are kept in order only, as the store does. */
  #storeChunk({ meta, chunk }: ChunkWork): void {
    if (this.#received?.id !== meta.id) this.#received = { id: meta.id, next: 0 };
    const received = this.#received;
    if (received.next === chunk) {
      received.next++;
      this.#say(`keeps chunk ${chunk + 1} of ${formatMeta(meta)}`);
    }
    this.core.chunkStored(meta, received.next, false);
  }

  #observe(): void {
    const status = this.core.status();
    const { role, term, leader, commitIndex } = status;
    const membership = formatMembership(status.membership.membership);
    const seen = this.#seen;
    if (role !== seen.role || term !== seen.term || leader !== seen.leader) {
      const follows = role === "follower" && leader !== "" ? ` of ${leader}` : "";
      this.#say(`is ${role}${follows} in term ${term}`);
    }
    if (membership !== seen.membership) this.#say(`uses ${membership}`);
    if (commitIndex !== seen.commitIndex) this.#say(`commits ${commitIndex}`);
    this.#seen = { role, term, leader, commitIndex, membership };
  }

  #termAt(index: number): number {
    if (index === this.disk.base.index) return this.disk.base.term;
    return this.disk.terms[index - this.disk.base.index - 1] as number;
  }

  /** The low part differs per boot, so that ids that start at random do; the high part decides the wait. */
  #random(): number {
    const share = Math.ceil((this.drawnTicks / this.#options.electionTicks) * 0x1_0000_0000);
    return Math.min(0xffff_ffff, share + 1000 * this.#boots);
  }

  #say(line: string): void {
    this.#world.say(`${this.id} ${line}`);
  }
}

function clear(out: Output): void {
  out.send.length = 0;
  out.append.length = 0;
  out.reads.length = 0;
  out.chunks.length = 0;
  out.storeChunks.length = 0;
  out.load.length = 0;
  out.hasChanged = false;
}
