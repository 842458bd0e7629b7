/** Where the leader is, as reader threads are told. */

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { LineTarget, NodeIntroduction, PeerLinkStatus } from "../../src/cluster/index.ts";
import type { MembershipAt } from "../../src/raft/index.ts";
import { LeaderPlace } from "../../src/service/index.ts";
import { untilTrue } from "../support/until.ts";

const MEMBERSHIP = {
  index: 1,
  membership: {
    members: ["a", "b"].map((id) => ({ id, serverId: id, address: `${id}.svc:9099` })),
  },
} as unknown as MembershipAt;
const SELF = { nodeId: "b", clusterId: "c" } as NodeIntroduction;
const led = (leader: string) => ({ leader, term: 3, membership: MEMBERSHIP });

/** A member b; names resolve to what `known` says, and to nothing else. */
function setUp(
  known: Map<string, readonly string[]>,
  announced = "",
): {
  readonly place: LeaderPlace;
  readonly told: (LineTarget | null)[];
} {
  const introduction = { addresses: { peer: announced } } as NodeIntroduction;
  const peer = { nodeId: "a", introduction } as PeerLinkStatus;
  const place = new LeaderPlace({
    network: { peers: () => [peer], resolve: async (name) => known.get(name) ?? [] },
    self: () => SELF,
  });
  const told: (LineTarget | null)[] = [];
  place.listen((target) => told.push(target));
  return { place, told };
}

describe("the place of the leader", () => {
  it("is told as numbers: of the configuration first, then of what it says of itself", async () => {
    const known = new Map([
      ["a.svc:9099", ["10.0.0.1:9099", "10.0.0.2:9099"]],
      ["a.new:9099", ["10.0.0.3:9099", "10.0.0.1:9099"]],
    ]);
    const { place, told } = setUp(known, "a.new:9099");
    place.changed(led("a"));
    await untilTrue(() => told.length === 2);
    const addresses = ["10.0.0.1:9099", "10.0.0.2:9099", "10.0.0.3:9099"];
    assert.deepEqual(told, [null, { nodeId: "a", addresses, introduction: SELF }]);
  });

  it("is nowhere for the leader itself, without one, and where no name resolves", async () => {
    const known = new Map([["a.svc:9099", ["10.0.0.1:9099"]]]);
    const { place, told } = setUp(known);
    place.changed(led("a"));
    await untilTrue(() => told.length === 2);
    place.changed(led(""));
    place.changed(led("b"));
    assert.deepEqual(told.slice(2), [null]);
    known.clear();
    place.changed(led("a"));
    await new Promise<void>((resolve) => setImmediate(resolve));
    assert.deepEqual(told.slice(3), []);
    known.set("a.svc:9099", ["10.0.0.9:9099"]);
    place.check();
    await untilTrue(() => told.length === 4);
    assert.deepEqual(told[3]?.addresses, ["10.0.0.9:9099"]);
  });

  it("what an older look-up finds is void", async () => {
    const waiting: (() => void)[] = [];
    const told: (LineTarget | null)[] = [];
    const place = new LeaderPlace({
      network: {
        peers: () => [],
        resolve: () => new Promise((resolve) => waiting.push(() => resolve(["10.0.0.1:9099"]))),
      },
      self: () => SELF,
    });
    place.listen((target) => told.push(target));
    place.changed(led("a"));
    place.changed(led(""));
    for (const resolve of waiting) resolve();
    await new Promise<void>((resolve) => setImmediate(resolve));
    assert.deepEqual(told, [null]);
  });
});
