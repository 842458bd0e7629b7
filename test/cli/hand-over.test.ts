/** The first part of an orderly stop, and what /ready rests on meanwhile, in time that a test can hold still. */

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { HearthError, type Scheduler, SILENT_LOGGER } from "../../src/base/index.ts";
import { ConsistencyWatch } from "../../src/cli/server/consistency.ts";
import { handOver } from "../../src/cli/server/hand-over.ts";
import { followSpace } from "../../src/cli/server/space-watch.ts";
import type { ReadIndexDone } from "../../src/replica/index.ts";
import type { ClusterView, MemberView } from "../../src/service/index.ts";

/** Timers that fire when the test moves the time. */
class ManualTime implements Scheduler {
  nowMs = 0;
  #timers: { readonly atMs: number; readonly task: () => void }[] = [];

  monotonicMs(): number {
    return this.nowMs;
  }

  defer(task: () => void): void {
    setImmediate(task);
  }

  after(delayMs: number, task: () => void): () => void {
    const timer = { atMs: this.nowMs + delayMs, task };
    this.#timers.push(timer);
    return () => {
      this.#timers = this.#timers.filter((other) => other !== timer);
    };
  }

  /** Longest delay that somebody waits for. */
  get waitsMs(): number {
    return Math.max(0, ...this.#timers.map(({ atMs }) => atMs - this.nowMs));
  }

  pass(durationMs: number): void {
    const endMs = this.nowMs + durationMs;
    for (;;) {
      const [next] = this.#timers
        .filter(({ atMs }) => atMs <= endMs)
        .sort((a, b) => a.atMs - b.atMs);
      if (next === undefined) break;
      this.#timers = this.#timers.filter((timer) => timer !== next);
      this.nowMs = next.atMs;
      next.task();
    }
    this.nowMs = endMs;
  }
}

function viewOf(voters: number, leader: string | null, areOthersThere = true): ClusterView {
  const members = ["a", "b", "c"].slice(0, voters).map((serverId) => ({
    serverId,
    suffrage: "voter",
    isSelf: serverId === "a",
    isLeader: serverId === leader,
    isConnected: serverId === "a" || areOthersThere,
  }));
  return {
    voters,
    leader: leader === null ? null : { id: leader, address: "" },
    members: members as unknown as readonly MemberView[],
  } as ClusterView;
}

async function stopping(
  voters: number,
  leader: string | null,
  transfer: () => Promise<string>,
  areOthersThere = true,
): Promise<{ said: string[]; lingerMs: number }> {
  const time = new ManualTime();
  const said: string[] = [];
  let view = viewOf(voters, leader, areOthersThere);
  const done = handOver(
    { lingerMs: 15_000, timeoutMs: 20_000 },
    {
      control: {
        view: () => view,
        transferLeadership: async () => {
          view = viewOf(voters, await transfer());
          return { changed: true, text: "", members: [], voters, failureTolerance: 1 };
        },
      },
      scheduler: time,
      logger: SILENT_LOGGER,
      onDoing: (text) => said.push(text),
      onLeaving: () => said.push("health: leaving"),
    },
  );
  for (let i = 0; i < 5; i++) await new Promise((resolve) => setImmediate(resolve));
  const lingerMs = time.waitsMs;
  time.pass(lingerMs);
  await done;
  return { said, lingerMs };
}

describe("an orderly stop", () => {
  it("of a leader moves the leadership, then gives clients time, at most half of the stop's", async () => {
    assert.deepEqual(await stopping(3, "a", async () => "c"), {
      said: ["handing over the leadership", "health: leaving", "leadership moved to c"],
      lingerMs: 10_000,
    });
  });

  it("goes on when nobody takes over", async () => {
    const refuse = (): Promise<string> => Promise.reject(new HearthError("unavailable", "no"));
    const { said, lingerMs } = await stopping(3, "a", refuse);
    assert.deepEqual([said.at(-1), lingerMs], ["nobody could take the leadership", 10_000]);
  });

  it("of a leader that is alone does not ask anybody", async () => {
    const { said } = await stopping(3, "a", () => assert.fail("handed over"), false);
    assert.deepEqual(said, ["health: leaving", "nobody could take the leadership"]);
  });

  it("of a follower only gives clients time, and of the only voter nothing", async () => {
    const never = (): Promise<string> => assert.fail("handed over");
    const follower = await stopping(3, "b", never);
    assert.deepEqual(follower.said, [
      "health: leaving",
      "requests are answered until clients have noticed",
    ]);
    assert.deepEqual(await stopping(1, "a", never), { said: ["health: leaving"], lingerMs: 0 });
  });
});

class FakeReplica {
  isServing = false;
  applied = 0;
  readonly asked: ReadIndexDone[] = [];
  membership = {
    index: 1,
    membership: {
      members: [],
      voters: ["a", "b", "c"] as readonly string[],
      votersOutgoing: [] as readonly string[],
      learners: [],
      learnersNext: [],
    },
  };

  status(): never {
    return { appliedIndex: this.applied, nodeId: "a" } as never;
  }

  confirmIndex(done: ReadIndexDone): void {
    this.asked.push(done);
  }
}

describe("being consistent", () => {
  it("needs a read index of the leader that is applied here, and not older than a moment", () => {
    const time = new ManualTime();
    const replica = new FakeReplica();
    const watch = new ConsistencyWatch(replica, time);
    watch.start();
    assert.equal(watch.isConsistent, false);
    time.pass(5_000);
    assert.equal(replica.asked.length, 1, "one question at a time");
    replica.asked.shift()?.({ ok: true, index: 100, term: 1 });
    assert.equal(watch.isConsistent, false);
    replica.applied = 60;
    time.pass(500);
    assert.deepEqual(watch.lag, { entries: 40, entriesPerSec: watch.lag?.entriesPerSec });
    assert.ok((watch.lag?.entriesPerSec ?? 0) > 1, "it has been catching up");
    replica.applied = 100;
    assert.equal(watch.isConsistent, true);
    assert.equal(watch.lag, null);
    time.pass(10_000);
    assert.equal(watch.isConsistent, false, "nobody has answered since");
    watch.stop();
    assert.equal(time.waitsMs, 0);
  });

  it("of the only voter needs nobody", () => {
    const replica = new FakeReplica();
    replica.membership.membership.voters = ["a"];
    const watch = new ConsistencyWatch(replica, new ManualTime());
    replica.isServing = true;
    watch.start();
    assert.deepEqual([watch.isConsistent, replica.asked.length], [true, 0]);
    watch.stop();
  });

  for (const [name, voters, votersOutgoing] of [
    ["of a leader that leaves another voter behind", ["b"], []],
    ["of one that the voters of before still have a say in", ["a"], ["a", "b", "c"]],
  ] as const) {
    it(`${name} needs an answer`, () => {
      const replica = new FakeReplica();
      Object.assign(replica.membership.membership, { voters, votersOutgoing });
      const watch = new ConsistencyWatch(replica, new ManualTime());
      replica.isServing = true;
      watch.start();
      assert.deepEqual([watch.isConsistent, replica.asked.length], [false, 1]);
      watch.stop();
    });
  }
});

describe("a leader without room for the next segment of its log", () => {
  interface Situation {
    readonly voters?: number;
    readonly areOthersThere?: boolean;
    readonly isServing?: boolean;
  }

  /** How often the leadership was to move on within half a minute, of which the disk is full for 25 s. */
  async function movesOf({ voters = 3, areOthersThere = true, isServing = true }: Situation) {
    const time = new ManualTime();
    const atMs: number[] = [];
    const replica = { isServing, space: null as { text: string; isReadOnly: boolean } | null };
    const end = followSpace({
      replica,
      control: {
        view: () => viewOf(voters, "a", areOthersThere),
        transferLeadership: () => {
          atMs.push(time.nowMs);
          return Promise.reject(new HearthError("unavailable", "it is full, too"));
        },
      },
      scheduler: time,
      logger: SILENT_LOGGER,
    });
    time.pass(1_000);
    assert.deepEqual(atMs, []);
    replica.space = { text: "ENOSPC", isReadOnly: false };
    time.pass(25_000);
    replica.space = null;
    time.pass(4_000);
    end();
    assert.equal(time.waitsMs, 0);
    return atMs;
  }

  it("gives way at once, and again after a while when it leads again", async () => {
    assert.deepEqual(await movesOf({}), [1_250, 11_250, 21_250]);
  });

  it("stays where nobody could take over, and a follower has nothing to give", async () => {
    assert.deepEqual(await movesOf({ voters: 1 }), []);
    assert.deepEqual(await movesOf({ areOthersThere: false }), []);
    assert.deepEqual(await movesOf({ isServing: false }), []);
  });
});
