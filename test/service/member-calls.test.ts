/** Changes of members over gRPC: which refusals end a tool's attempts, which send it to another node. */

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { HearthError } from "../../src/base/index.ts";
import {
  type ChangeResult,
  type ClusterView,
  MEMBER_CALL_DEFAULTS,
  type MemberCall,
  type MemberCallResult,
  MemberCalls,
} from "../../src/service/index.ts";

const VIEW: ClusterView = {
  clusterId: "0123456789abcdef",
  askedNode: "node-0",
  term: 5,
  leader: { id: "node-1", address: "" },
  configurationIndex: 3,
  isChanging: false,
  voters: 3,
  reachableVoters: 3,
  members: [],
};
const DONE: ChangeResult = {
  changed: true,
  text: "",
  members: [],
  voters: 3,
  failureTolerance: 1,
};

/** Control that answers every change the same, and keeps what it was asked. */
function ask(
  call: MemberCall,
  outcome: HearthError | null,
  view: Partial<ClusterView> = {},
): Promise<{ readonly result: MemberCallResult; readonly wishes: readonly object[] }> {
  const wishes: object[] = [];
  const change = (wish: object): Promise<ChangeResult> => {
    wishes.push(wish);
    return outcome === null ? Promise.resolve(DONE) : Promise.reject(outcome);
  };
  const control = {
    view: () => ({ ...VIEW, ...view }),
    addMember: change,
    promoteMember: change,
    removeMember: change,
    transferLeadership: change,
  };
  const calls = new MemberCalls(
    { ...MEMBER_CALL_DEFAULTS, version: "1.2.3" },
    { control, status: () => null, advertisedAddress: () => "node-0:9099" },
  );
  return new Promise((resolve) => calls.handle(call, (result) => resolve({ result, wishes })));
}

async function refusal(...asked: Parameters<typeof ask>): Promise<HearthError> {
  const { result } = await ask(...asked);
  assert.ok(!result.ok);
  return result.error;
}

const CHANGES = (["add", "remove", "promote", "demote"] as const).map((kind) => ({
  kind,
  serverId: kind === "demote" ? "node-1" : "node-2",
}));
const NO_LEADER = new HearthError("unavailable", "There is no leader", { reason: "not_leader" });

describe("a change of members", () => {
  it("of an older term is refused for good, of this or a later one it is done", async () => {
    for (const change of CHANGES) {
      assert.equal((await refusal({ ...change, currentTerm: 4 }, null)).code, "invalid_argument");
      for (const currentTerm of [5, 2 ** 53])
        assert.equal((await ask({ ...change, currentTerm }, null)).result.ok, true);
    }
  });

  it("is judged by nobody who knows no leader: another node may do it, whatever its term", async () => {
    for (const change of CHANGES) {
      const call = { ...change, currentTerm: 0 };
      const error = await refusal(call, NO_LEADER, { leader: null });
      assert.equal(error.code, "unavailable");
      // And one that finds a leader meanwhile still has the term to look at.
      const { wishes } = await ask(call, NO_LEADER, { leader: null });
      assert.equal((wishes[0] as { currentTerm: number }).currentTerm, 1);
    }
  });

  it("that cannot be is unknown, as is a handing-over that fails", async () => {
    const promote: MemberCall = { kind: "promote", serverId: "node-2", currentTerm: 5 };
    const failed = new HearthError("unavailable", "not in time", { reason: "transfer_failed" });
    const unlikely = new HearthError("failed_precondition", "no", { reason: "no_successor" });
    for (const error of [failed, unlikely])
      assert.equal((await refusal(promote, error)).code, "unknown");
    assert.equal((await refusal(promote, NO_LEADER)).code, "unavailable");
  });

  it("that takes an unknown member out is no error", async () => {
    const unknown = new HearthError("not_found", "no such member");
    const remove: MemberCall = { kind: "remove", serverId: "node-9", currentTerm: 5 };
    assert.equal((await ask(remove, unknown)).result.ok, true);
  });

  it("of the leader is refused as the contract has it", async () => {
    const code = async (kind: "remove" | "promote" | "demote", serverId: string): Promise<string> =>
      (await refusal({ kind, serverId, currentTerm: 5 }, null)).code;
    assert.equal(await code("remove", "node-1"), "unknown");
    assert.equal(await code("promote", "node-1"), "invalid_argument");
    assert.equal(await code("demote", "node-2"), "unknown");
  });
});

describe("what a node says of itself", () => {
  it("has its address, also when it is no member", async () => {
    const { result } = await ask({ kind: "info" }, null);
    assert.ok(result.ok && result.node !== null);
    assert.equal(result.node.advertisedAddress, "node-0:9099");
    assert.equal(result.node.serverId, "node-0");
    assert.deepEqual(result.node.peers, []);
  });
});
