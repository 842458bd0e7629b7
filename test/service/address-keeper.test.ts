/** Members that came back under another address. */

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { HearthError, type Scheduler, SILENT_LOGGER } from "../../src/base/index.ts";
import type { NodeIntroduction, PeerLinkStatus } from "../../src/cluster/index.ts";
import type { MembershipChange } from "../../src/raft/index.ts";
import type { ProposeDone } from "../../src/replica/index.ts";
import { AddressKeeper, type MemberPort } from "../../src/service/index.ts";
import { introductionOf } from "../cluster/fake-network.ts";

interface Bench {
  readonly keeper: AddressKeeper;
  /** Addresses that were proposed, and how to answer. */
  readonly proposed: (readonly string[])[];
  readonly answers: ProposeDone[];
  readonly timers: (() => void)[];
  readonly port: { leader: string; isServing: boolean; membership: object };
}

/** "a" leads a, b and c, all at their names; these say that they are elsewhere. */
function setUp(moved: Readonly<Record<string, string>>, count = 3): Bench {
  const names = ["a", "b", "c"].slice(0, count);
  const members = names.map((name) => ({
    id: `id-of-${name}`,
    serverId: name,
    address: `${name}:9099`,
  }));
  const introductions = names.map((name): NodeIntroduction => {
    const peer = moved[name] ?? `${name}:9099`;
    const addresses = { peer, http: "", websocket: "" };
    return introductionOf(name, { clusterId: "c1", addresses });
  });
  const bench = {
    proposed: [] as string[][],
    answers: [] as ProposeDone[],
    timers: [] as (() => void)[],
  };
  const port = {
    leader: "id-of-a",
    isServing: true,
    membership: { index: 1, membership: { members, votersOutgoing: [] } },
    status: () => ({ commitIndex: 5 }),
    changeMembership: (changes: readonly MembershipChange[], done: ProposeDone) => {
      bench.proposed.push(changes.map(({ kind, member }) => `${kind} ${member.address}`));
      bench.answers.push(done);
    },
  };
  const scheduler: Scheduler = {
    monotonicMs: () => 0,
    defer: (task) => task(),
    after: (_delayMs, task) => {
      bench.timers.push(task);
      return () => {};
    },
  };
  const keeper = new AddressKeeper({
    member: port as unknown as MemberPort,
    self: () => introductions[0] as NodeIntroduction,
    peers: () =>
      introductions
        .slice(1)
        .map((introduction) => ({ nodeId: introduction.nodeId, introduction }) as PeerLinkStatus),
    scheduler,
    logger: SILENT_LOGGER,
  });
  return { keeper, port, ...bench };
}

describe("addresses of members", () => {
  it("follow what members say, all in one entry, the leader's own among them", () => {
    const { keeper, proposed } = setUp({ a: "new-a:9099", c: "new-c:9099" });
    keeper.check();
    keeper.check();
    assert.deepEqual(proposed, [["readdress new-a:9099", "readdress new-c:9099"]]);
  });

  it("stay when nothing is new, when another member leads, and when nobody else is there", () => {
    const still = setUp({});
    still.keeper.check();
    const follower = setUp({ c: "new-c:9099" });
    follower.port.leader = "id-of-b";
    follower.keeper.check();
    const alone = setUp({ a: "new-a:9099" }, 1);
    alone.keeper.check();
    const proposed = [still, follower, alone].flatMap((bench) => bench.proposed);
    assert.deepEqual(proposed, []);
  });

  it("do not become ones that lead others back to themselves", () => {
    const { keeper, proposed } = setUp({ b: "localhost:9099" });
    keeper.check();
    assert.deepEqual(proposed, []);
  });

  it("wait for a leader that is new, and are tried again after a refusal", () => {
    const { keeper, port, proposed, answers, timers } = setUp({ c: "new-c:9099" });
    port.isServing = false;
    keeper.check();
    assert.deepEqual([proposed.length, timers.length], [0, 1]);
    port.isServing = true;
    timers.shift()?.();
    assert.equal(proposed.length, 1);
    const error = new HearthError("failed_precondition", "x", { reason: "change_pending" });
    answers.shift()?.({ ok: false, error });
    timers.shift()?.();
    assert.equal(proposed.length, 2);
    keeper.stop();
    keeper.check();
    assert.equal(proposed.length, 2);
  });
});
