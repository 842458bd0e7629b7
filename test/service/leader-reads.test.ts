/** Read indexes for a reader thread: from the leader itself, and otherwise by way of main. */

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { HearthError, SYSTEM_SCHEDULER } from "../../src/base/index.ts";
import {
  type AnswerPeer,
  type LineTarget,
  PEER_CALL,
  type PeerAnswer,
} from "../../src/cluster/index.ts";
import type { ReadIndexDone } from "../../src/replica/index.ts";
import { LeaderReads, type ReadIndexResult } from "../../src/service/index.ts";
import {
  answerReadQuestion,
  encodeReadGrant,
  encodeReadQuestion,
  tryDecodeReadGrant,
  tryDecodeReadQuestion,
} from "../../src/service/cluster/read-question.ts";

const LEADER = { nodeId: "a", addresses: ["127.0.0.1:1"] } as unknown as LineTarget;
const MAIN_GRANT = { ok: true, index: 5, term: 2 } as const;

/** A thread whose line and main do what a test says. */
class Thread {
  nowMs = 0;
  term = 3;
  isLeader = false;
  isConnected = true;
  askedMain = 0;
  /** Questions to the leader without an answer: term and callback. */
  readonly asked: { readonly term: number | null; readonly answer: AnswerPeer }[] = [];
  readonly targets: (LineTarget | null)[] = [];
  readonly reads: LeaderReads;

  constructor() {
    const scheduler = { ...SYSTEM_SCHEDULER, monotonicMs: () => this.nowMs };
    const isLeader = (): boolean => this.isLeader;
    const term = (): number => this.term;
    this.reads = new LeaderReads({
      progress: {
        get term() {
          return term();
        },
        get isLeader() {
          return isLeader();
        },
      },
      main: {
        readIndex: (done) => {
          this.askedMain += 1;
          done(MAIN_GRANT);
        },
      },
      line: {
        setTarget: (target) => this.targets.push(target),
        tryAsk: (call, body, _timeoutMs, answer) => {
          assert.equal(call, PEER_CALL.readIndex);
          if (this.isConnected) this.asked.push({ term: tryDecodeReadQuestion(body), answer });
          return this.isConnected;
        },
      },
      scheduler,
    });
  }

  read(): ReadIndexResult[] {
    const results: ReadIndexResult[] = [];
    this.reads.readIndex((result) => results.push(result));
    return results;
  }

  answer(answer: PeerAnswer): void {
    const question = this.asked.shift();
    assert.ok(question !== undefined, "nothing was asked");
    question.answer(answer);
  }
}

function failure(code: "unavailable" | "unimplemented"): PeerAnswer {
  return { ok: false, error: new HearthError(code, "no") };
}

describe("read indexes of a reader thread", () => {
  it("come from the leader, for the term in which the reads had come", () => {
    const thread = new Thread();
    thread.reads.setLeader(LEADER);
    assert.deepEqual(thread.targets, [LEADER]);
    const results = thread.read();
    assert.deepEqual(results, []);
    assert.equal(thread.asked[0]?.term, 3);
    thread.nowMs = 0.2;
    thread.answer({ ok: true, body: encodeReadGrant({ index: 9, term: 3 }) });
    assert.deepEqual(results, [{ ok: true, index: 9, term: 3 }]);
    const { leader, main, waits } = thread.reads.metrics();
    assert.deepEqual([leader, main, waits?.count, waits?.sumSeconds], [1, 0, 1, 0.0002]);
  });

  it("come by way of main where there is no connection, and on the leader", () => {
    const thread = new Thread();
    thread.isConnected = false;
    assert.deepEqual(thread.read(), [MAIN_GRANT]);
    thread.isConnected = true;
    thread.isLeader = true;
    assert.deepEqual(thread.read(), [MAIN_GRANT]);
    assert.equal(thread.asked.length, 0);
    assert.deepEqual(thread.reads.metrics(), { leader: 0, main: 2, waits: null });
  });

  it("come by way of main behind a question that failed, and for a second", () => {
    const thread = new Thread();
    const results = thread.read();
    thread.answer(failure("unavailable"));
    assert.deepEqual(results, [MAIN_GRANT], "nobody hears of the detour");
    thread.nowMs = 999;
    thread.read();
    assert.equal(thread.asked.length, 0);
    thread.nowMs = 1_000;
    thread.read();
    assert.equal(thread.asked.length, 1);
  });

  it("are not asked for again where the leader does not know the question, until somebody else leads", () => {
    const thread = new Thread();
    thread.read();
    thread.answer(failure("unimplemented"));
    thread.nowMs = 29_999;
    thread.read();
    assert.equal(thread.asked.length, 0);
    thread.reads.setLeader(LEADER);
    thread.read();
    assert.equal(thread.asked.length, 1);
  });

  it("of a leader whose answer cannot be read come by way of main", () => {
    const thread = new Thread();
    const results = thread.read();
    thread.answer({ ok: true, body: new Uint8Array(3) });
    assert.deepEqual(results, [MAIN_GRANT]);
  });
});

/** A replica that leads in term 3, until a test says otherwise. */
class Leader {
  isServing = true;
  term = 3;
  /** What it can tell at once; null: only a round can. */
  index: number | null = 41;
  readonly granted: unknown[] = [];
  readonly rounds: { readonly from: string; readonly done: ReadIndexDone }[] = [];

  grantRead(from: string, term: number): number | null {
    this.granted.push([from, term]);
    return this.index;
  }

  confirmIndexFor(from: string, done: ReadIndexDone): void {
    this.rounds.push({ from, done });
  }

  ask(body: Uint8Array): PeerAnswer[] {
    const answers: PeerAnswer[] = [];
    answerReadQuestion(this, "b", body, (answer) => answers.push(answer));
    return answers;
  }
}

function textOf(answer: PeerAnswer | undefined): string {
  if (answer === undefined) return "none";
  return answer.ok ? "ok" : `${answer.error.code} ${answer.error.reason}`;
}

describe("the leader's answer to a question", () => {
  it("is the index that the replica grants to that member", () => {
    const leader = new Leader();
    const [answer] = leader.ask(encodeReadQuestion(3));
    assert.ok(answer?.ok);
    assert.deepEqual(tryDecodeReadGrant(answer.body), { index: 41, term: 3 });
    assert.deepEqual(leader.granted, [["b", 3]]);
    assert.equal(leader.rounds.length, 0);
  });

  it("follows with a round where the two are no majority, and where the asker is of an earlier term", () => {
    for (const term of [3, 2]) {
      const leader = new Leader();
      leader.index = null;
      const answers = leader.ask(encodeReadQuestion(term));
      assert.equal(answers.length, 0);
      const [round] = leader.rounds;
      assert.equal(round?.from, "b");
      round?.done({ ok: true, index: 44, term: 4 });
      assert.ok(answers[0]?.ok);
      assert.deepEqual(tryDecodeReadGrant(answers[0].body), { index: 44, term: 4 });
    }
  });

  it("is the refusal of the round", () => {
    const leader = new Leader();
    leader.index = null;
    const answers = leader.ask(encodeReadQuestion(3));
    const error = new HearthError("unavailable", "nobody leads", { reason: "no_leader" });
    leader.rounds[0]?.done({ ok: false, error });
    assert.equal(textOf(answers[0]), "unavailable no_leader");
  });

  it("is given by no member that does not lead, or not in that term yet", () => {
    const behind = new Leader();
    behind.index = null;
    assert.equal(textOf(behind.ask(encodeReadQuestion(4))[0]), "unavailable not_leader");
    const follower = new Leader();
    follower.index = null;
    follower.isServing = false;
    assert.equal(textOf(follower.ask(encodeReadQuestion(3))[0]), "unavailable not_leader");
    assert.deepEqual([behind.rounds, follower.rounds], [[], []]);
  });

  it("refuses what is no question", () => {
    const good = encodeReadQuestion(3);
    const otherVersion = good.slice();
    otherVersion[0] = 2;
    const notInteger = good.slice();
    new DataView(notInteger.buffer).setFloat64(8, 0.5, true);
    const negative = good.slice();
    new DataView(negative.buffer).setFloat64(8, -1, true);
    for (const body of [
      new Uint8Array(0),
      good.slice(0, 15),
      new Uint8Array(17),
      otherVersion,
      notInteger,
      negative,
    ]) {
      const leader = new Leader();
      assert.equal(textOf(leader.ask(body)[0]), "invalid_argument bad_peer_request");
      assert.deepEqual([leader.granted, leader.rounds], [[], []]);
    }
  });
});
