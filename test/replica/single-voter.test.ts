/** A member whose cluster is gone for good becomes the only voter of a new history of its data. */

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { SILENT_LOGGER } from "../../src/base/index.ts";
import { DurableLog } from "../../src/log/index.ts";
import {
  BATCH_KIND,
  decodeMembershipBatch,
  encodeMembershipBody,
  type Member,
  type Membership,
} from "../../src/raft/index.ts";
import { becomeOnlyVoter } from "../../src/replica/index.ts";
import { LogUnderTest } from "../log/support/log-harness.ts";
import { MemoryDisk } from "../log/support/memory-disk.ts";
import { LOG_OPTIONS, Rig, SELF } from "./support.ts";

const B: Member = { id: "node-b", serverId: "server-b", address: "b:1" };
const C: Member = { id: "node-c", serverId: "server-c", address: "c:1" };
const OLD = { ...LOG_OPTIONS, owner: { clusterId: "c1", nodeId: SELF.id } };
const NEW = { ...OLD, owner: { clusterId: "c2", nodeId: SELF.id }, formerClusterIds: ["c1"] };
const INDEX_RAISE = 10_000;

function membershipOf(members: readonly Member[]): Membership {
  const voters = members.map(({ id }) => id);
  return { members, voters, votersOutgoing: [], learners: [], learnersNext: [] };
}

/** A follower of three: a configuration, 20 entries of term 2, 5 of term 3; 10 are known to be committed. */
async function followerOfThree(abstains = false): Promise<MemoryDisk> {
  const disk = new MemoryDisk();
  const under = await LogUnderTest.open(disk, OLD);
  const body = encodeMembershipBody(membershipOf([SELF, B, C]));
  const kind = BATCH_KIND.membership;
  const first = { kind, firstIndex: 1, term: 1, appendedAtMs: 5, count: 1, body };
  await under.durable(under.log.append({ ...first, bodyBytes: body.length }));
  await under.append(20, { term: 2 });
  under.log.commitIndex = 10;
  await under.append(5, { term: 3 });
  await under.setHardState(4, "node-b", abstains);
  await under.log.close();
  return disk;
}

async function recover(disk: MemoryDisk): Promise<DurableLog> {
  const log = await DurableLog.open(NEW, { files: disk, logger: SILENT_LOGGER });
  await becomeOnlyVoter(log, { self: SELF, nowMs: 5_000, indexRaise: INDEX_RAISE });
  return log;
}

describe("the only voter of a new history", () => {
  it("stands at the end of a longer log, in a later term, under a vote for itself", async () => {
    const log = await recover(await followerOfThree());
    assert.equal(log.lastIndex, 26 + INDEX_RAISE + 1);
    assert.deepEqual(log.hardState, { term: 1_004, vote: SELF.id, abstains: false });
    assert.equal(log.lastTerm, 1_004);
    assert.equal(log.commitIndex, 10, "nothing is called committed before the member leads");
    const newest = log.memberships.at(-1);
    assert.equal(newest?.index, log.lastIndex);
    const { body } = newest as { body: Uint8Array };
    assert.deepEqual(decodeMembershipBatch({ body, bodyBytes: body.length }), membershipOf([SELF]));
    await log.close();
  });

  it("leads at once, with everything that its log held, committed or not", async () => {
    const disk = await followerOfThree();
    await (await recover(disk)).close();
    const rig = await Rig.start({ disk: new MemoryDisk(disk.files), options: { bootstrap: [] } });
    const { role, voters, term } = rig.replica.status();
    assert.deepEqual([role, voters, term], ["leader", 1, 1_005]);
    assert.deepEqual(
      rig.state.entries.slice(0, 26).map(({ index, term: of }) => [index, of]),
      Array.from({ length: 26 }, (_, i) => [i + 1, i === 0 ? 1 : i <= 20 ? 2 : 3]),
    );
    const write = await rig.propose(1);
    assert.ok(write.ok && write.firstIndex > 26 + INDEX_RAISE, JSON.stringify(write));
    await rig.replica.stop();
  });

  it("ends abstention: there is no leader left to learn from", async () => {
    const disk = await followerOfThree(true);
    const log = await recover(disk);
    assert.equal(log.hardState.abstains, false);
    await log.close();
    const rig = await Rig.start({ disk: new MemoryDisk(disk.files), options: { bootstrap: [] } });
    assert.equal(rig.replica.status().role, "leader");
    await rig.replica.stop();
  });

  it("a crash at any write leaves the old configuration or the new one, and a second try succeeds", async () => {
    const whole = await followerOfThree();
    const counting = new MemoryDisk(whole.files);
    await (await recover(counting)).close();
    const writes = counting.syncs;
    assert.ok(writes > 5, `${writes} writes`);
    for (let failing = 0; failing < writes; failing++) {
      const disk = new MemoryDisk(whole.files);
      disk.fault = (write) => (write >= failing ? "error" : "none");
      const outcome = await recover(disk).then(
        () => "done",
        () => "failed",
      );
      disk.fault = () => "none";
      const after = new MemoryDisk(disk.files);
      const log = await DurableLog.open(NEW, { files: after, logger: SILENT_LOGGER });
      const configurations = log.memberships.length;
      assert.ok(log.lastIndex >= 26, `write ${failing}: nothing is lost`);
      if (outcome === "done") assert.equal(configurations, 2, `write ${failing}`);
      await log.close();
      const again = await recover(after);
      assert.ok(again.memberships.length >= 2, `write ${failing}`);
      assert.equal(again.memberships.at(-1)?.index, again.lastIndex, `write ${failing}`);
      await again.close();
    }
  });

  it("a log that begins behind a snapshot is continued there", async () => {
    const disk = new MemoryDisk();
    const under = await LogUnderTest.open(disk, OLD);
    await under.resetTo(500, 7);
    await under.log.close();
    const log = await recover(disk);
    assert.equal(log.firstIndex, 501);
    assert.equal(log.lastIndex, 500 + INDEX_RAISE + 1);
    assert.equal(log.hardState.term, 1_007);
    await log.close();
  });
});
