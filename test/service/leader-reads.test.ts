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

  it("are not asked for again where every question needs a round, until somebody else leads", () => {
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

describe("the leader's answer to a question", () => {
  const leads = { isServing: true, term: 3 };

  it("is the index that the replica grants to that member", () => {
    const asked: unknown[] = [];
    const grantRead = (from: string, term: number): number => asked.push([from, term]) + 40;
    const answer = answerReadQuestion({ ...leads, grantRead }, "b", encodeReadQuestion(3));
    assert.ok(answer.ok);
    assert.deepEqual(tryDecodeReadGrant(answer.body), { index: 41, term: 3 });
    assert.deepEqual(asked, [["b", 3]]);
  });

  it("says whether another question could fare better", () => {
    const codeOf = (state: typeof leads, body: Uint8Array): string => {
      const answer = answerReadQuestion({ ...state, grantRead: () => null }, "b", body);
      return answer.ok ? "ok" : `${answer.error.code} ${answer.error.reason}`;
    };
    assert.equal(codeOf(leads, encodeReadQuestion(3)), "unimplemented needs_round");
    assert.equal(codeOf(leads, encodeReadQuestion(2)), "unavailable not_leader");
    assert.equal(
      codeOf({ ...leads, isServing: false }, encodeReadQuestion(3)),
      "unavailable not_leader",
    );
  });

  it("refuses what is no question", () => {
    const grantRead = (): never => assert.fail("nothing is granted for it");
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
      const answer = answerReadQuestion({ ...leads, grantRead }, "b", body);
      assert.equal(answer.ok ? "ok" : answer.error.code, "invalid_argument");
    }
  });
});
