/** One core without a cluster: messages are made by the test. For rules that a whole cluster hides. */

import assert from "node:assert/strict";
import {
  type AppendWork,
  type Batch,
  BATCH_KIND,
  createOutput,
  MESSAGE,
  type Message,
  type Output,
  RaftCore,
  type RaftOptions,
  type RaftStart,
} from "../../../src/raft/index.ts";
import { entriesOf, memberOf } from "./cluster.ts";

export const LONE_OPTIONS: RaftOptions = {
  nodeId: "a",
  electionTicks: 10,
  heartbeatTicks: 2,
  appendMaxBytes: 1_000,
  inflightMaxMessages: 4,
  inflightMaxBytes: 4_000,
  inflightMaxChunks: 2,
  uncommittedMaxBytes: 10_000,
  tailMaxBytes: 1_000_000,
  promoteMaxLag: 10,
};

export const EMPTY_START: RaftStart = {
  hardState: { term: 0, vote: "", abstains: false },
  firstIndex: 1,
  baseTerm: 0,
  lastIndex: 0,
  terms: [],
  memberships: [],
  snapshot: null,
  appliedIndex: 0,
  commitIndex: 0,
  lastAppendedAtMs: 0,
};

/** Member "a" of the voters a, b, c; entry 1 is the configuration. */
export class Lone {
  readonly core: RaftCore;
  readonly out: Output = createOutput();
  readonly work: AppendWork[] = [];
  sent: Message[] = [];

  constructor(options: Partial<RaftOptions> = {}, start: RaftStart | null = null) {
    const merged = { ...LONE_OPTIONS, ...options };
    this.core = new RaftCore(merged, start ?? EMPTY_START, { slice: () => null }, () => 0);
    if (start === null) this.core.bootstrap(["a", "b", "c"].map(memberOf));
    this.drain();
    this.sync();
  }

  /** Any input; what may leave at once is in `sent` afterwards. */
  step(message: Message): Message[] {
    this.core.step(message);
    return this.drain();
  }

  tick(count = 1): Message[] {
    const all: Message[] = [];
    for (let i = 0; i < count; i++) {
      this.core.tick();
      all.push(...this.drain());
    }
    this.sent = all;
    return all;
  }

  drain(): Message[] {
    this.core.drain(this.out);
    this.work.push(...this.out.append);
    this.sent = [...this.out.send];
    return this.sent;
  }

  /** All handed out work is durable; what it held back is in `sent` afterwards. */
  sync(): Message[] {
    const last = this.work.at(-1);
    this.work.length = 0;
    if (last !== undefined) this.core.durable(last.sequence, last.term);
    return this.drain();
  }
}

/** Consecutive batches of one entry each, one per term given. */
export function batchesFrom(firstIndex: number, ...terms: readonly number[]): Batch[] {
  return terms.map((term, i) => ({
    ...entriesOf([`${term}.${firstIndex + i}`]),
    kind: BATCH_KIND.entries,
    firstIndex: firstIndex + i,
    term,
    appendedAtMs: 0,
  }));
}

/** A lone member that leads term 2 by the vote of b. Entry 2 opens the term; it is not durable yet. */
export function leading(options: Partial<RaftOptions> = {}): Lone {
  const lone = new Lone(options);
  lone.core.campaign();
  const head = { from: "b", to: "a", isGranted: true } as const;
  lone.step({ kind: MESSAGE.preVoteReply, ...head, term: 1, askedTerm: 2 });
  lone.sync();
  lone.step({ kind: MESSAGE.voteReply, ...head, term: 2 });
  assert.ok(lone.core.isLeader);
  return lone;
}

/** In term 2. */
export function accept(from: string, index: number): Message {
  const head = { kind: MESSAGE.appendReply, from, to: "a", term: 2 };
  return { ...head, isRejected: false, index, hintIndex: 0, hintTerm: 0 };
}

/** In term 2. */
export function heard(from: string, readRound = 0): Message {
  return { kind: MESSAGE.heartbeatReply, from, to: "a", term: 2, readRound };
}
