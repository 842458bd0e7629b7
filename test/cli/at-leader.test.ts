/** Who is named to those that ask a member for what the leader does. */
import assert from "node:assert/strict";
import { it } from "node:test";
import { HearthError } from "../../src/base/index.ts";
import { atLeader } from "../../src/cli/server/at-leader.ts";

type Status = ReturnType<Parameters<typeof atLeader>[0]["status"]>;

const replicaOf = (leader: Status["leader"]): { status: () => Status } => ({
  status: () => ({ leader }) as Status,
});
const refuse = (reason: string) => (): Promise<never> =>
  Promise.reject(new HearthError("unavailable", "Cannot", { reason, next: "Ask" }));

it("another member names the leader", async () => {
  const leader = { id: "hearth-1", address: "10.0.3.6:4040" };
  await assert.rejects(atLeader(replicaOf(leader), refuse("not_leader")), { leader, next: "Ask" });
});

it("without a leader it says that nobody leads", async () => {
  await assert.rejects(atLeader(replicaOf(null), refuse("not_leader")), {
    leader: null,
    next: /^Nobody leads: /,
  });
});

it("other errors and results pass as they are", async () => {
  const leader = { id: "hearth-1", address: "10.0.3.6:4040" };
  await assert.rejects(atLeader(replicaOf(leader), refuse("busy")), { leader: null });
  assert.equal(await atLeader(replicaOf(leader), async () => 7), 7);
});
