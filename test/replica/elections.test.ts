import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { HearthError } from "../../src/base/index.ts";
import { ROLE } from "../../src/raft/index.ts";
import { ElectionCount } from "../../src/replica/elections.ts";
import { ReadQueue } from "../../src/replica/read-queue.ts";
import { createReplicaStats, type ReplicaStats } from "../../src/replica/types.ts";

describe("campaigns", () => {
  it("are counted once each, whatever else the core says meanwhile", () => {
    const count = new ElectionCount();
    count.observe({ role: ROLE.follower, term: 1 });
    count.observe({ role: ROLE.preCandidate, term: 1 });
    count.observe({ role: ROLE.preCandidate, term: 1 });
    count.observe({ role: ROLE.candidate, term: 2 });
    count.observe({ role: ROLE.candidate, term: 2 });
    count.observe({ role: ROLE.leader, term: 2 });
    count.observe({ role: ROLE.leader, term: 2 });
    count.observe({ role: ROLE.follower, term: 3 });
    count.observe({ role: ROLE.candidate, term: 4 });
    assert.deepEqual(count.totals, { pre_vote: 2, vote: 2, won: 1 });
  });

  it("a sole voter leads within one step, and has asked for its vote", () => {
    const count = new ElectionCount();
    count.observe({ role: ROLE.leader, term: 1 });
    assert.deepEqual(count.totals, { pre_vote: 0, vote: 1, won: 1 });
  });
});

/** `showState`: whether what is applied can be seen. */
function queueOf(showState: () => boolean): { queue: ReadQueue; stats: ReplicaStats } {
  const stats = createReplicaStats();
  return { queue: new ReadQueue(stats, showState), stats };
}

describe("reads that wait", () => {
  it("say how many one grant answered", () => {
    const { queue, stats } = queueOf(() => assert.fail("nobody looks"));
    for (let i = 0; i < 3; i++) queue.push({ done: () => {}, looksAtState: false });
    const counts = [2, 2, 3].map((throughId) => {
      queue.grant({ throughId, index: 5, term: 1 });
      return stats.readsPerRound.take().sum;
    });
    assert.deepEqual(counts, [2, 0, 1]);
  });

  it("are refused from the oldest on, and later ones are granted under the ids they had", () => {
    const { queue } = queueOf(() => true);
    const told: string[] = [];
    const push = (name: string): number =>
      queue.push({
        done: (result) => told.push(`${name} ${result.ok ? "granted" : result.error.reason}`),
        looksAtState: false,
      });
    const refuse = (): number =>
      queue.refuseOlder(2, () => new HearthError("unavailable", "", { reason: "no_leader" }));
    assert.equal(push("a"), 1);
    queue.onTick();
    assert.equal(push("b"), 2);
    queue.onTick();
    assert.deepEqual([refuse(), told], [0, []], "the first tick may have come at once");
    queue.onTick();
    assert.deepEqual([refuse(), told, queue.length], [1, ["a no_leader"], 1]);
    assert.equal(push("c"), 3);
    queue.onTick();
    assert.equal(refuse(), 1);
    queue.grant({ throughId: 2, index: 5, term: 1 });
    assert.equal(told.length, 2);
    queue.grant({ throughId: 3, index: 5, term: 1 });
    assert.deepEqual(told, ["a no_leader", "b no_leader", "c granted"]);
  });

  it("may be asked for again by whoever is refused", () => {
    const { queue } = queueOf(() => true);
    const again: number[] = [];
    const read = { done: () => {}, looksAtState: false };
    queue.push({ ...read, done: () => again.push(queue.push(read)) });
    queue.onTick();
    assert.equal(
      queue.refuseOlder(0, () => new HearthError("unavailable", "", { reason: "no_leader" })),
      1,
    );
    assert.deepEqual([again, queue.length], [[2], 1]);
  });

  it("are answered when what they are about to look at is there", () => {
    const events: string[] = [];
    const { queue } = queueOf(() => events.push("visible") > 0);
    queue.push({ done: () => events.push("index"), looksAtState: false });
    queue.push({ done: () => events.push("read"), looksAtState: true });
    queue.grant({ throughId: 2, index: 5, term: 1 });
    assert.deepEqual(events, ["visible", "index", "read"]);
  });

  it("wait while it takes a moment, and those behind them, too", () => {
    const events: string[] = [];
    let isVisible = false;
    const { queue } = queueOf(() => isVisible);
    const push = (name: string, looksAtState: boolean): number =>
      queue.push({
        done: (result) => events.push(`${name} ${result.ok ? result.index : ""}`),
        looksAtState,
      });
    push("a", false);
    push("b", true);
    push("c", false);
    queue.grant({ throughId: 1, index: 5, term: 1 });
    queue.grant({ throughId: 2, index: 6, term: 1 });
    queue.grant({ throughId: 3, index: 7, term: 1 });
    queue.giveOut();
    assert.deepEqual([events, queue.length], [["a 5"], 2]);
    isVisible = true;
    queue.giveOut();
    assert.deepEqual(events, ["a 5", "b 6", "c 7"]);
  });

  it("are told once, although what makes the state visible gives out as well", () => {
    const told: number[] = [];
    let asks = 0;
    const { queue } = queueOf(() => {
      asks += 1;
      if (asks === 1) queue.giveOut();
      return true;
    });
    for (const id of [1, 2]) {
      queue.push({ done: () => told.push(id), looksAtState: true });
      queue.grant({ throughId: id, index: 5, term: 1 });
    }
    assert.deepEqual([told, queue.length], [[1, 2], 0]);
  });
});
