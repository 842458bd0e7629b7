/** Polls with more results than one plan takes. */

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { HearthError } from "../../src/base/index.ts";
import {
  decodePollReply,
  decodePollRequest,
  encodePollReply,
  type JobReport,
  LIMITS,
  type PollReply,
  type PollRequest,
  REPORT_STATUS,
} from "../../src/protocol/index.ts";
import { pollInParts, type SingleReply } from "../../src/service/index.ts";
import { blockOf, wireOf } from "../protocol/support.ts";
import { FakeMain } from "../server/support.ts";

const BLOCK = wireOf(blockOf());
const { failed, inProgress, released, success } = REPORT_STATUS;

class KeptReply implements SingleReply {
  readonly group = { cork: (body: () => void) => body() };
  readonly deadlineAtMs = Number.POSITIVE_INFINITY;
  isSettled = false;
  onSettled: (() => void) | undefined;
  reply: PollReply | null = null;
  error: HearthError | null = null;

  end(payload: Uint8Array): void {
    this.reply = decodePollReply(payload);
    this.settle();
  }

  fail(error: HearthError): void {
    this.error = error;
    this.settle();
  }

  settle(): void {
    this.isSettled = true;
    this.onSettled?.();
  }
}

function report(name: string, blocks: number): JobReport {
  const compacted = { source: null, newBlocks: new Array<Uint8Array>(blocks).fill(BLOCK) };
  return { name, token: 1, status: success, reason: "", compacted };
}

/** Three results of which one plan takes one. */
const LARGE: PollRequest = {
  worker: "",
  requestId: 0,
  capacity: 5,
  waitMs: 0,
  reports: [
    report("a", LIMITS.resultsPerPollMax),
    { name: "b", token: 1, status: inProgress, reason: "", compacted: null },
    report("c", LIMITS.resultsPerPollMax - 1),
    report("d", 2),
    { name: "e", token: 1, status: failed, reason: "why", compacted: null },
  ],
};

function begin(poll: PollRequest): { readonly main: FakeMain; readonly reply: KeptReply } {
  const main = new FakeMain();
  const reply = new KeptReply();
  pollInParts(main, poll, reply);
  return { main, reply };
}

/** What main was sent last: capacity, and what is said of each job. */
function lastPoll(main: FakeMain): { capacity: number; said: [string, number, number][] } {
  const { capacity, reports } = decodePollRequest(main.polls.at(-1)?.payload as Uint8Array);
  const said = reports.map(({ name, status, compacted }): [string, number, number] => [
    name,
    status,
    compacted?.newBlocks.length ?? 0,
  ]);
  return { capacity, said };
}

function planOf(name: string): PollReply["jobs"][number] {
  return { name, tenant: "", shard: 1, level: 0, sourceBlocks: [], tombstones: [] };
}

function lease(name: string, token: number): PollReply["assignments"][number] {
  return { name, token, leaseMs: 15_000 };
}

function answer(main: FakeMain, reply: Partial<PollReply>): void {
  const whole = { jobs: [], assignments: [], ...reply };
  main.polls.at(-1)?.done({ ok: true, reply: encodePollReply(whole) });
}

describe("a poll", () => {
  it("of usual size is one plan", () => {
    const { main, reply } = begin({ ...LARGE, reports: LARGE.reports.slice(1, 3) });
    assert.deepEqual(lastPoll(main), {
      capacity: 5,
      said: [
        ["b", inProgress, 0],
        ["c", success, LIMITS.resultsPerPollMax - 1],
      ],
    });
    answer(main, {});
    assert.equal(main.polls.length, 1);
    assert.deepEqual(reply.reply, { jobs: [], assignments: [] });
  });

  it("with more results is several, and gets one answer", () => {
    const { main, reply } = begin(LARGE);
    assert.deepEqual(lastPoll(main), {
      capacity: 0,
      said: [
        ["a", inProgress, 0],
        ["b", inProgress, 0],
        ["c", inProgress, 0],
        ["d", inProgress, 0],
        ["e", failed, 0],
      ],
    });
    answer(main, { assignments: ["a", "b", "c", "d"].map((name) => lease(name, 1)) });
    const { resultsPerPollMax: most } = LIMITS;
    assert.deepEqual(lastPoll(main), { capacity: 0, said: [["a", success, most]] });
    // Somebody else has the job by now, which makes room for another one.
    answer(main, { jobs: [planOf("f")], assignments: [lease("f", 8)] });
    assert.deepEqual(lastPoll(main), { capacity: 0, said: [["c", success, most - 1]] });
    answer(main, {});
    assert.deepEqual(lastPoll(main), { capacity: 5, said: [["d", success, 2]] });
    assert.equal(reply.reply, null);
    answer(main, { jobs: [planOf("g")], assignments: [lease("g", 9)] });
    assert.equal(main.polls.length, 4);
    assert.deepEqual(reply.reply, {
      jobs: [planOf("f"), planOf("g")],
      assignments: [lease("b", 1), lease("f", 8), lease("g", 9)],
    });
  });

  it("with large results is several, too", () => {
    const strings = Array.from({ length: 200 }, (_, i) => `${i}`.padEnd(LIMITS.stringMaxBytes));
    const large = wireOf(blockOf({ stringTable: [...blockOf().stringTable, ...strings] }));
    const result = { source: null, newBlocks: [large] };
    const reports = ["a", "b"].map((name) => ({ ...report(name, 0), compacted: result }));
    const { main } = begin({ ...LARGE, reports });
    assert.equal(lastPoll(main).said.length, 2);
    answer(main, {});
    assert.deepEqual(lastPoll(main), { capacity: 0, said: [["a", success, 1]] });
    answer(main, {});
    assert.deepEqual(lastPoll(main), { capacity: 5, said: [["b", success, 1]] });
  });

  it("of which a part fails has failed, and gives back what it was given", () => {
    const { main, reply } = begin(LARGE);
    answer(main, { jobs: [planOf("f")], assignments: [lease("b", 1), lease("f", 8)] });
    const error = new HearthError("unavailable", "no leader", { reason: "no_leader" });
    main.polls.at(-1)?.done({ ok: false, error });
    assert.equal(reply.error?.reason, "no_leader");
    assert.equal(main.polls.length, 3);
    assert.deepEqual(lastPoll(main), { capacity: 0, said: [["f", released, 0]] });
  });

  it("whose worker leaves is not gone on with", () => {
    const { main, reply } = begin(LARGE);
    answer(main, {});
    reply.settle();
    assert.equal(main.polls.at(-1)?.isGone, true);
    answer(main, { jobs: [planOf("f")], assignments: [lease("f", 8)] });
    assert.equal(main.polls.length, 3);
    assert.deepEqual(lastPoll(main), { capacity: 0, said: [["f", released, 0]] });
  });

  it("that says two things about one job is refused before a part of it leaves", () => {
    const main = new FakeMain();
    const poll = { ...LARGE, reports: [...LARGE.reports, report("a", 1)] };
    assert.throws(() => pollInParts(main, poll, new KeptReply()), { reason: "duplicate_report" });
    assert.equal(main.polls.length, 0);
  });
});
