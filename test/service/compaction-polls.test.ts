/** Polls on a reader thread: what becomes of an answer that has nobody left to go to. */

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { HearthError } from "../../src/base/index.ts";
import {
  decodePollReply,
  decodePollRequest,
  encodePollReply,
  encodePollRequest,
  type PollReply,
  REPORT_STATUS,
} from "../../src/protocol/index.ts";
import { pollCompactionJobs, type SingleReply } from "../../src/service/index.ts";
import { FakeMain } from "../server/support.ts";

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

function planOf(name: string): PollReply["jobs"][number] {
  return { name, tenant: "", shard: 1, level: 0, sourceBlocks: [], tombstones: [] };
}

/** One lease that went on, and two jobs. */
const REPLY: PollReply = {
  jobs: [planOf("b"), planOf("c")],
  assignments: [
    { name: "a", token: 3, leaseMs: 15_000 },
    { name: "b", token: 9, leaseMs: 15_000 },
    { name: "c", token: 9, leaseMs: 15_000 },
  ],
};

/** Main answers the first poll. */
function answer(main: FakeMain, reply: PollReply): void {
  main.polls[0]?.done({ ok: true, reply: encodePollReply(reply) });
}

function poll(worker: string): Uint8Array {
  return encodePollRequest({ worker, requestId: 1, capacity: 2, waitMs: 0, reports: [] });
}

function begin(worker = ""): { readonly main: FakeMain; readonly reply: KeptReply } {
  const main = new FakeMain();
  const reply = new KeptReply();
  pollCompactionJobs(main, poll(worker), reply);
  return { main, reply };
}

describe("the answer to a poll", () => {
  it("goes to who waits for it", () => {
    const { main, reply } = begin();
    answer(main, REPLY);
    assert.deepEqual(reply.reply, REPLY);
    assert.equal(main.polls.length, 1);
  });

  it("releases its jobs, and no lease that goes on, when nobody waits any more", () => {
    const { main, reply } = begin();
    reply.settle();
    assert.equal(main.polls[0]?.isGone, true);
    answer(main, REPLY);
    assert.equal(main.polls.length, 2);
    const { worker, capacity, reports } = decodePollRequest(main.polls[1]?.payload as Uint8Array);
    assert.deepEqual([worker, capacity], ["", 0]);
    assert.deepEqual(
      reports.map(({ name, token, status }) => ({ name, token, status })),
      ["b", "c"].map((name) => ({ name, token: 9, status: REPORT_STATUS.released })),
    );
    // The leases end by themselves.
    const error = new HearthError("unavailable", "no leader", { reason: "no_leader" });
    main.polls[1]?.done({ ok: false, error });
    assert.equal(main.polls.length, 2);
  });

  it("releases nothing when it has no jobs, is a refusal, or is for a worker that asks again", () => {
    const ended = [
      (main: FakeMain) => answer(main, { jobs: [], assignments: REPLY.assignments.slice(0, 1) }),
      (main: FakeMain) =>
        main.polls[0]?.done({ ok: false, error: new HearthError("cancelled", "gone") }),
    ];
    for (const end of ended) {
      const { main, reply } = begin();
      reply.settle();
      end(main);
      assert.equal(main.polls.length, 1);
    }
    const { main, reply } = begin("worker-1");
    reply.settle();
    answer(main, REPLY);
    assert.equal(main.polls.length, 1);
  });
});
