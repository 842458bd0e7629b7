/** Writes that the log makes in place: what a turn does with them, and when there are none. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { nextTurn, SYSTEM_SCHEDULER } from "../../src/base/index.ts";
import { BATCH_KIND, MESSAGE } from "../../src/raft/index.ts";
import { entriesBody } from "../log/support/log-harness.ts";
import { FakeState, HandTransport, HeldTime, Rig, type RigParts, SELF } from "./support.ts";

/** The disk of this log takes no time. */
const QUICK: RigParts = { logScheduler: new HeldTime(), logOptions: { inPlaceMaxMs: 0.5 } };

async function quick(): Promise<Rig> {
  const rig = await Rig.start(QUICK);
  while (rig.log.stats.writesInPlace === 0) await rig.propose();
  return rig;
}

/** Whether what was proposed is written in place. */
async function isWrittenInPlace(rig: Rig): Promise<boolean> {
  const before = rig.log.stats.writesInPlace;
  assert.ok((await rig.propose()).ok);
  return rig.log.stats.writesInPlace > before;
}

test("a proposal is written, applied and answered in one turn", async () => {
  const rig = await quick();
  const body = entriesBody(1, 1, 64);
  let isAnswered = false;
  rig.replica.propose({ body, bodyBytes: body.length, count: 1 }, ({ ok }) => {
    isAnswered = ok;
  });
  await nextTurn(SYSTEM_SCHEDULER);
  assert.ok(isAnswered);
  assert.equal(rig.state.appliedIndex, rig.log.durableIndex);
  await rig.replica.stop();
});

test("nothing is written in place where somebody reads meanwhile", async () => {
  const rig = await quick();
  assert.equal(await isWrittenInPlace(rig), true);
  assert.ok((await rig.readIndex()).ok);
  assert.equal(await isWrittenInPlace(rig), false);
  assert.equal(await isWrittenInPlace(rig), true);
  rig.replica.grantRead("node-b", rig.log.lastTerm);
  assert.equal(await isWrittenInPlace(rig), false);
  assert.equal(await isWrittenInPlace(rig), true);
  await rig.replica.stop();
});

/** One after another: how many of them were written in place. */
async function groupsInPlace(rig: Rig, count: number): Promise<number> {
  const before = rig.log.stats.writesInPlace;
  for (let i = 0; i < count; i++) assert.ok((await rig.propose(1, { payloadBytes: 6000 })).ok);
  return rig.log.stats.writesInPlace - before;
}

test("a group that all callers wait for is written in place", async () => {
  const rig = await quick();
  assert.equal(await groupsInPlace(rig, 8), 0);
  const inPlace = await groupsInPlace(rig, 99);
  assert.ok(inPlace > 90 && inPlace < 99, `${inPlace}: now and then one is not, to see who comes`);
  await rig.replica.stop();
});

test("a group is not written in place while the state has put something off", async () => {
  class PuttingOff extends FakeState {
    staged = 0;
    writeStaged(): void {
      this.staged += 1;
    }
  }
  const state = new PuttingOff();
  const rig = await Rig.start({ ...QUICK, state });
  while (rig.log.stats.writesInPlace === 0) await rig.propose();
  assert.ok((await groupsInPlace(rig, 100)) <= 1);
  assert.ok(state.staged > 90, `${state.staged}`);
  await rig.replica.stop();
});

test("a failed write in place ends the member, and nothing of it is answered or applied", async () => {
  const rig = await quick();
  const { appliedIndex } = rig.state;
  rig.disk.fault = () => "error";
  const result = await rig.propose();
  assert.equal(result.ok, false);
  assert.equal(rig.fatal.length, 1);
  assert.equal(rig.state.appliedIndex, appliedIndex);
});

test("a follower acknowledges what it has written before it applies what is committed", async () => {
  const events: string[] = [];
  class RecordingState extends FakeState {
    override apply(batches: Parameters<FakeState["apply"]>[0]): ReturnType<FakeState["apply"]> {
      events.push("applied");
      return super.apply(batches);
    }
  }
  class RecordingTransport extends HandTransport {
    override send(message: Parameters<HandTransport["send"]>[0]): void {
      events.push("sent");
      super.send(message);
    }
  }
  const transport = new RecordingTransport(true);
  const peers = ["node-b", "node-c"].map((id) => ({ id, serverId: id, address: id }));
  const options = { bootstrap: [SELF, ...peers], tickMs: 3_600_000 };
  const rig = await Rig.start({ ...QUICK, transport, state: new RecordingState(), options });
  const append = (index: number): void => {
    const body = entriesBody(1, 1, 64);
    const place = { firstIndex: index, term: 2, appendedAtMs: 0, count: 1 };
    transport.deliver({
      kind: MESSAGE.append,
      from: "node-b",
      to: SELF.id,
      term: 2,
      previousIndex: index - 1,
      previousTerm: index === 2 ? 1 : 2,
      batches: [{ kind: BATCH_KIND.entries, ...place, body, bodyBytes: body.length }],
      commitIndex: index - 1,
    });
    transport.arrived();
  };
  let index = 2;
  for (; rig.log.stats.writesInPlace === 0; index++) {
    append(index);
    while (rig.log.durableIndex < index) await nextTurn(SYSTEM_SCHEDULER);
  }
  await nextTurn(SYSTEM_SCHEDULER);
  events.length = 0;
  append(index);
  assert.deepEqual(events, ["sent", "applied"]);
  await rig.replica.stop();
});
