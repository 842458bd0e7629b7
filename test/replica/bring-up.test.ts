/** Starts whose state has to come from a snapshot, when the content of a snapshot is damaged behind right hashes. */

import assert from "node:assert/strict";
import { readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { HearthError } from "../../src/base/index.ts";
import type { SnapshotMeta } from "../../src/raft/index.ts";
import type { SnapshotSource } from "../../src/replica/index.ts";
import { type ClusterSetting, Network, SnapshotState, TestMember } from "./cluster-support.ts";

/** An empty state that cannot read some images. */
class PickyState extends SnapshotState {
  readonly tried: number[] = [];
  problemWith: (index: number) => Error | null = () => null;

  override async install(meta: SnapshotMeta, source: SnapshotSource): Promise<void> {
    this.tried.push(meta.index);
    const problem = this.problemWith(meta.index);
    if (problem !== null) throw problem;
    await super.install(meta, source);
  }
}

const DAMAGED = new HearthError("data_loss", "its rows are out of order", { reason: "x" });

interface Stopped {
  readonly member: TestMember;
  readonly setting: ClusterSetting;
  /** Log indexes of its two snapshots. The log reaches back behind both. */
  readonly older: number;
  readonly newer: number;
  readonly before: SnapshotState;
}

/** A member that was stopped and has lost its index. */
async function stoppedMember(t: TestContext): Promise<Stopped> {
  const member = new TestMember({ id: "a", serverId: "server-a", address: "" });
  t.after(() => rmSync(member.directory, { recursive: true, force: true }));
  const setting: ClusterSetting = {
    options: { tickMs: 5, snapshotKeepEntries: 60 },
    members: [member.member],
    network: new Network(),
  };
  await member.start(setting);
  const indexes: number[] = [];
  // The log is cut by segments of 256 KiB.
  for (const proposals of [15, 3]) {
    for (let i = 0; i < proposals; i++) assert.ok((await member.propose(10, 4_096)).ok);
    indexes.push((await member.replica.takeSnapshot()).index);
  }
  const [older = 0, newer = 0] = indexes;
  assert.ok(member.log.firstIndex > 1 && member.log.firstIndex <= older, "the log was cut");
  assert.ok((await member.propose(5)).ok);
  const before = member.state;
  await member.stop();
  return { member, setting, older, newer, before };
}

function namesOf({ directory }: TestMember): string[] {
  return readdirSync(join(directory, "snapshots"));
}

test("an older snapshot brings the state up when the newest is damaged, which is set aside", async (t) => {
  const { member, setting, older, newer, before } = await stoppedMember(t);
  const state = new PickyState();
  state.problemWith = (index) => (index === newer ? DAMAGED : null);
  member.state = state;
  await member.start(setting);
  assert.deepEqual([state.tried, state.installs], [[newer, older], [older]]);
  assert.deepEqual(state.entries.slice(0, before.entries.length), before.entries);
  assert.equal(member.replica.status().snapshotIndex, older);
  assert.equal(member.replica.stats.snapshotFailures.install, 1);
  const damaged = namesOf(member).filter((name) => name.endsWith(".damaged"));
  assert.equal(Number(damaged[0]?.slice(0, 16)), newer);
  assert.ok((await member.replica.takeSnapshot()).index > newer);
  await member.stop();
});

test("a start without a snapshot that can be read says what to do, and leaves all of them", async (t) => {
  const { member, setting, older, newer } = await stoppedMember(t);
  const names = namesOf(member);
  const picky = new PickyState();
  picky.problemWith = () => DAMAGED;
  member.state = picky;
  await assert.rejects(member.start(setting), (error: HearthError) => {
    assert.equal(error.reason, "install_failed");
    assert.match(error.message, new RegExp(`snapshot 0+${newer}-.*rows are out of order`));
    assert.match(error.next ?? "", /empty its directories/);
    return true;
  });
  assert.deepEqual(picky.tried, [newer, older]);
  await member.stop();
  assert.deepEqual(namesOf(member), names);
  // As with a later version of the program, which reads what this one cannot.
  member.state = new PickyState();
  await member.start(setting);
  assert.deepEqual(member.state.installs, [newer]);
  await member.stop();
});

test("a start does not try another snapshot when it is not the image that is wrong", async (t) => {
  const { member, setting, newer } = await stoppedMember(t);
  const names = namesOf(member);
  const state = new PickyState();
  state.problemWith = () => new Error("MDB_MAP_FULL");
  member.state = state;
  await assert.rejects(member.start(setting), {
    reason: "install_failed",
    message: /MDB_MAP_FULL/,
  });
  await member.stop();
  assert.deepEqual([state.tried, namesOf(member)], [[newer], names]);
});
