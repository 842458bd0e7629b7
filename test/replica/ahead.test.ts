/** Entries that a lone voter stages while the disk of its log still has them. */

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { nextTurn, SYSTEM_SCHEDULER } from "../../src/base/index.ts";
import type { CommittedBatch } from "../../src/protocol/index.ts";
import { BATCH_KIND, type Batch } from "../../src/raft/index.ts";
import { Ahead } from "../../src/replica/ahead.ts";
import type { ApplyOutcome, ProposeResult, SnapshotSource } from "../../src/replica/index.ts";
import { untilTrue } from "../support/until.ts";
import { FakeStore } from "./snapshot-support.ts";
import {
  HandTransport,
  HeldTime,
  reasonOf,
  Rig,
  type RigParts,
  SELF,
  StagedState,
} from "./support.ts";

/** Makes images, and takes back what is not committed, as a transaction that is given up does. */
class AheadState extends StagedState {
  readonly events: string[] = [];
  /** Entries have to wait until they are committed. */
  isShy = false;

  override stage(batches: readonly CommittedBatch[]): ApplyOutcome {
    this.events.push("stage");
    return super.stage(batches);
  }

  stageAhead(batch: CommittedBatch): ApplyOutcome | null {
    if (this.isShy) return null;
    this.events.push("ahead");
    return super.stage([batch]);
  }

  openSnapshot(): SnapshotSource {
    const { committedIndex: index, appliedTerm: term } = this;
    return { index, term, next: async () => null, close: () => {} };
  }

  override commit(): void {
    this.events.push("commit");
    super.commit();
  }

  abandon(): void {
    this.events.push("abandon");
    const kept = this.entries.findIndex(({ index }) => index > this.committedIndex);
    if (kept >= 0) this.entries.length = kept;
    this.appliedIndex = this.committedIndex;
    this.appliedTerm = this.entries.at(-1)?.term ?? 0;
  }
}

interface Alone {
  readonly rig: Rig;
  readonly state: AheadState;
  readonly time: HeldTime;
}

/** A member alone, at rest: nobody has read for a while. */
async function alone(parts: RigParts = {}): Promise<Alone> {
  const time = new HeldTime();
  const state = new AheadState();
  const rig = await Rig.start({ state, scheduler: time, ...parts });
  time.pass(1_000);
  await nextTurn(SYSTEM_SCHEDULER);
  state.events.length = 0;
  return { rig, state, time };
}

/** Proposes something whose write does not end before `release`. */
function held(
  { rig, state }: Alone,
  count = 1,
): { answer: Promise<ProposeResult>; release(): void } {
  rig.disk.fault = () => "hold";
  const answer = rig.propose(count);
  void answer.then(() => state.events.push("answer"));
  return {
    answer,
    release: () => {
      rig.disk.fault = () => "none";
      for (const complete of rig.disk.held.splice(0)) complete();
    },
  };
}

async function someTurns(): Promise<void> {
  for (let i = 0; i < 5; i++) await nextTurn(SYSTEM_SCHEDULER);
}

describe("a lone voter", () => {
  it("stages while the disk writes, and answers when it has", async () => {
    const member = await alone();
    const { rig, state } = member;
    const before = rig.replica.status();
    const { answer, release } = held(member, 3);
    await untilTrue(() => state.events.length > 0);
    await someTurns();
    assert.deepEqual(state.events, ["ahead"]);
    assert.equal(rig.replica.status().appliedIndex, before.appliedIndex, "nothing is certain yet");
    assert.equal(rig.published.at(-1)?.commitIndex, before.commitIndex);
    release();
    const result = await answer;
    assert.ok(result.ok && result.outcomes.length === 3, reasonOf(result));
    assert.deepEqual(state.events, ["ahead", "answer"]);
    assert.equal(rig.replica.status().appliedIndex, before.appliedIndex + 3);
    assert.equal(rig.replica.stats.stagedAhead, 3);
    await rig.replica.stop();
    assert.equal(state.committedIndex, before.appliedIndex + 3);
  });

  it("says why entries were rejected, each to its caller", async () => {
    const member = await alone();
    const { rig, state } = member;
    const { appliedIndex } = state;
    state.rejects = (index) => index === appliedIndex + 2;
    rig.disk.fault = () => "hold";
    const answers = [rig.propose(), rig.propose(), rig.propose()];
    await untilTrue(() => state.events.includes("ahead"));
    rig.disk.fault = () => "none";
    for (const complete of rig.disk.held.splice(0)) complete();
    const codes = (await Promise.all(answers)).map((result) => result.ok && result.outcomes[0]);
    assert.deepEqual(codes, [0, 2, 0]);
    await rig.replica.stop();
  });

  it("lets entries wait that have to", async () => {
    const member = await alone();
    const { state } = member;
    state.isShy = true;
    const { answer, release } = held(member);
    await someTurns();
    assert.deepEqual(state.events, []);
    release();
    assert.ok((await answer).ok);
    assert.deepEqual(state.events, ["stage", "answer"]);
    await member.rig.replica.stop();
  });

  it("commits for readers when the log has everything, and stages nothing more until then", async () => {
    const member = await alone();
    const { rig, state, time } = member;
    const first = held(member);
    await untilTrue(() => state.events.includes("ahead"));
    const ahead = state.appliedIndex;
    rig.replica.demandCommit();
    assert.ok(state.committedIndex < ahead, "the log may not have it");
    const second = rig.propose();
    await someTurns();
    assert.deepEqual(state.events, ["ahead"]);
    first.release();
    assert.ok((await first.answer).ok);
    assert.equal(state.committedIndex, ahead);
    assert.equal(rig.published.at(-1)?.appliedIndex, ahead);
    assert.ok((await second).ok);
    assert.deepEqual(state.events, ["ahead", "commit", "answer", "stage", "commit"]);
    time.pass(1_000);
    assert.ok((await rig.propose()).ok);
    assert.equal(state.events.at(-1), "ahead", "nobody has read for a while");
    await rig.replica.stop();
  });

  it("commits what waits for the timer as soon as nothing is ahead", async () => {
    const member = await alone();
    const { rig, state, time } = member;
    const { answer, release } = held(member);
    await untilTrue(() => state.events.includes("ahead"));
    time.pass(1_000);
    assert.ok(state.committedIndex < state.appliedIndex);
    release();
    assert.ok((await answer).ok);
    time.pass(1_000);
    await someTurns();
    assert.equal(state.committedIndex, state.appliedIndex);
    assert.equal(rig.published.at(-1)?.appliedIndex, state.appliedIndex);
    await rig.replica.stop();
  });

  it("grants reads that look at the state when they can, in their order, and others at once", async () => {
    const member = await alone();
    const { rig, state } = member;
    const { answer, release } = held(member);
    await untilTrue(() => state.events.includes("ahead"));
    const granted: string[] = [];
    rig.replica.confirmIndex(({ ok }) => granted.push(`first ${ok}`));
    await someTurns();
    rig.replica.readIndex((result) => {
      granted.push(`look ${result.ok && result.index <= state.committedIndex}`);
    });
    rig.replica.confirmIndex(({ ok }) => granted.push(`last ${ok}`));
    await someTurns();
    assert.deepEqual(granted, ["first true"]);
    release();
    assert.ok((await answer).ok);
    assert.deepEqual(granted, ["first true", "look true", "last true"]);
    assert.equal(state.committedIndex, state.appliedIndex);
    await rig.replica.stop();
  });

  it("takes a snapshot when nothing is ahead any more", async () => {
    const member = await alone({ snapshots: new FakeStore() });
    const { rig, state } = member;
    const { answer, release } = held(member);
    await untilTrue(() => state.events.includes("ahead"));
    const ahead = state.appliedIndex;
    const taken = rig.replica.takeSnapshot();
    await someTurns();
    assert.deepEqual(state.events, ["ahead"]);
    release();
    assert.ok((await answer).ok);
    assert.equal((await taken).index, ahead);
    assert.equal(state.committedIndex, ahead);
    await rig.replica.stop();
  });

  it("shows readers what was applied before, although the disk stands still", async () => {
    const member = await alone();
    const { rig, state, time } = member;
    assert.ok((await rig.propose(2)).ok);
    const applied = state.appliedIndex;
    const { answer, release } = held(member);
    await untilTrue(() => state.appliedIndex > applied);
    assert.ok(state.committedIndex < applied, "the first two are staged as well");
    const read = rig.readIndex();
    await someTurns();
    assert.ok(state.committedIndex < applied);
    state.events.length = 0;
    time.pass(50);
    const granted = await read;
    assert.ok(granted.ok && granted.index === applied, JSON.stringify(granted));
    assert.deepEqual(state.events, ["abandon", "stage", "commit"]);
    assert.deepEqual([state.committedIndex, state.appliedIndex], [applied, applied]);
    assert.equal(rig.published.at(-1)?.appliedIndex, applied);
    time.pass(1_000);
    const second = rig.propose();
    await someTurns();
    assert.equal(state.appliedIndex, applied, "nothing goes ahead again before the disk has moved");
    release();
    assert.ok((await answer).ok && (await second).ok);
    assert.equal(state.appliedIndex, applied + 2);
    assert.deepEqual(
      state.entries.map(({ index }) => index),
      state.entries.map((_, i) => i + 1),
    );
    await rig.replica.stop();
  });

  it("takes back what the log could not write, and starts again without it", async () => {
    const member = await alone();
    const { rig, state } = member;
    assert.ok((await rig.propose()).ok);
    const answered = state.appliedIndex;
    rig.disk.fault = () => "error";
    assert.equal(reasonOf(await rig.propose()), "outcome_unknown");
    assert.equal(rig.fatal[0]?.reason, "log_write_failed");
    assert.deepEqual(state.events.slice(-2), ["ahead", "abandon"]);
    assert.ok(state.committedIndex <= answered);
    await rig.replica.stop().catch(() => {});
    rig.disk.fault = () => "none";
    const again = await Rig.start({ disk: rig.disk, state });
    assert.ok(state.appliedIndex >= answered);
    assert.ok((await again.propose()).ok);
    assert.deepEqual(
      state.entries.map(({ index }) => index),
      state.entries.map((_, i) => i + 1),
    );
    await again.replica.stop();
  });

  it("does nothing about it when the database fails meanwhile: that is final", async () => {
    const member = await alone();
    const { rig, state } = member;
    const { answer } = held(member);
    state.failure = new Error("map full");
    assert.equal(reasonOf(await answer), "outcome_unknown");
    assert.equal(rig.fatal[0]?.reason, "apply_failed");
  });

  it("commits when bytes are due behind the answers, with the next write on its way", async () => {
    const member = await alone({ options: { commitMaxBytes: 1_000 } });
    const { rig, state } = member;
    const big = { payloadBytes: 1_200 };
    const first = rig.propose(1, big).then((result) => {
      state.events.push("answer");
      return result;
    });
    assert.ok((await first).ok);
    await untilTrue(() => state.events.includes("commit"));
    assert.deepEqual(state.events, ["ahead", "answer", "commit"]);
    await rig.replica.stop();
  });
});

it("nothing is staged ahead where another voter may decide", async () => {
  const other = { id: "node-b", serverId: "server-b", address: "" };
  const state = new AheadState();
  const transport = new HandTransport();
  const rig = await Rig.open({ state, transport, options: { bootstrap: [SELF, other] } });
  void rig.replica.start().catch(() => {});
  await untilTrue(() => rig.replica.core !== null);
  assert.equal(rig.replica.core?.isAlone, false);
  await someTurns();
  assert.equal(state.events.includes("ahead"), false);
  await rig.replica.stop();
});

describe("what is ahead", () => {
  const pieceOf = (firstIndex: number, count: number) => {
    const batch: Batch = {
      ...{ firstIndex, count, term: 1, kind: BATCH_KIND.entries, appendedAtMs: 1 },
      ...{ body: new Uint8Array(0), bodyBytes: 0 },
    };
    return { batch, result: { outcomes: new Uint8Array(count), rejections: new Map() } };
  };

  it("is handed out in whole batches", () => {
    const ahead = new Ahead();
    assert.equal(ahead.nextIndex(4), 5);
    for (const [first, count] of [
      [5, 3],
      [8, 1],
      [9, 4],
    ] as const)
      ahead.push(pieceOf(first, count));
    assert.equal(ahead.nextIndex(4), 13);
    assert.deepEqual(ahead.takeThrough(6), []);
    assert.deepEqual(
      ahead.takeThrough(8).map(({ batch }) => batch.firstIndex),
      [5, 8],
    );
    assert.equal(ahead.isEmpty, false);
    assert.equal(ahead.takeThrough(12).length, 1);
    assert.equal(ahead.isEmpty, true);
  });

  it("is never given up by the log", () => {
    const ahead = new Ahead();
    ahead.checkCut(1);
    ahead.push(pieceOf(5, 3));
    ahead.checkCut(8);
    assert.throws(() => ahead.checkCut(7), /staged already/);
    ahead.clear();
    ahead.checkCut(1);
  });
});
