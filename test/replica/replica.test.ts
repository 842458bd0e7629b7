import assert from "node:assert/strict";
import { test } from "node:test";
import { SYSTEM_SCHEDULER } from "../../src/base/index.ts";
import { ROOM_WAIT_MS } from "../../src/log/preallocator.ts";
import { appendEntry, ByteSink, COMMAND } from "../../src/protocol/index.ts";
import type { ProposeResult } from "../../src/replica/index.ts";
import { entriesBody, LogUnderTest } from "../log/support/log-harness.ts";
import { MemoryDisk } from "../log/support/memory-disk.ts";
import { untilTrue } from "../support/until.ts";
import { FakeClock, FakeState, LOG_OPTIONS, reasonOf, Rig } from "./support.ts";

test("a start makes the cluster, opens a term with a durable vote and an entry, and grants reads", async () => {
  const rig = await Rig.start();
  const status = rig.replica.status();
  assert.equal(status.phase, "ready");
  assert.equal(status.role, "leader");
  // Entry 1 says who the members are, entry 2 opens the term.
  assert.equal(status.term, 2);
  assert.deepEqual([status.commitIndex, status.appliedIndex, status.lastIndex], [2, 2, 2]);
  assert.deepEqual([status.voters, status.reachableVoters], [1, 1]);
  assert.deepEqual(status.leader, { id: "server-a", address: "" });
  assert.deepEqual(rig.log.hardState, { term: 2, vote: "node-a", abstains: false });
  assert.deepEqual(await rig.readIndex(), { ok: true, index: 2, term: 2 });
  assert.deepEqual(rig.published.at(-1), {
    term: 2,
    commitIndex: 2,
    appliedIndex: 2,
    isLeader: true,
    canGrantReads: true,
  });
  await rig.replica.stop();
  const again = await Rig.start({ disk: rig.disk, state: rig.state });
  assert.equal(again.replica.status().term, 3);
  assert.equal(again.state.appliedIndex, 3);
  await again.replica.stop();
});

test("a write is answered with its place and its outcomes after it is applied and published", async () => {
  const rig = await Rig.start();
  rig.state.rejects = (index) => index === 4;
  const order: string[] = [];
  const body = entriesBody(1, 3, 32);
  await new Promise<void>((resolve) => {
    const { length } = rig.published;
    rig.replica.propose({ body, bodyBytes: body.length, count: 3 }, (result) => {
      assert.ok(result.ok);
      assert.deepEqual([result.firstIndex, result.term], [3, 2]);
      assert.deepEqual([...result.outcomes], [0, 2, 0]);
      assert.deepEqual([...result.rejections], [[1, "test"]]);
      assert.equal(rig.log.durableIndex, 5, "durable before answered");
      assert.equal(rig.state.appliedIndex, 5, "applied before answered");
      assert.equal(rig.published[length]?.appliedIndex, 5, "published before answered");
      order.push("answered");
      resolve();
    });
    order.push("returned");
  });
  assert.deepEqual(order, ["returned", "answered"]);
  await rig.replica.stop();
});

test("rejections are counted from the first entry of each proposal", async () => {
  const rig = await Rig.start();
  rig.state.rejects = (index) => index === 6;
  const [first, second] = await Promise.all([rig.propose(3), rig.propose(3)]);
  assert.ok(first?.ok && second?.ok);
  assert.deepEqual([...first.outcomes, ...second.outcomes], [0, 0, 0, 2, 0, 0]);
  assert.equal(first.rejections.size, 0);
  assert.deepEqual([...second.rejections], [[0, "test"]]);
  await rig.replica.stop();
});

test("proposals of one turn are one frame, one write and one transaction", async () => {
  const rig = await Rig.start();
  const { writes, frames } = rig.log.stats;
  const ranges = rig.state.ranges.length;
  const results = await Promise.all(Array.from({ length: 40 }, () => rig.propose(2)));
  assert.ok(results.every((result) => result.ok));
  assert.equal(rig.log.stats.writes - writes, 1);
  assert.equal(rig.log.stats.frames - frames, 1);
  assert.deepEqual(rig.state.ranges.slice(ranges), [80]);
  await rig.replica.stop();
});

test("nothing is answered before it is durable", async () => {
  const rig = await Rig.start();
  rig.disk.fault = () => "hold";
  let answers = 0;
  const first = rig.propose().then(() => (answers += 1));
  await new Promise((resolve) => setImmediate(resolve));
  const second = rig.propose().then(() => (answers += 1));
  for (let i = 0; i < 5; i++) await new Promise((resolve) => setImmediate(resolve));
  assert.equal(answers, 0);
  assert.equal(rig.state.appliedIndex, 2);
  assert.equal(rig.disk.held.length, 1);
  assert.ok(rig.replica.status().pendingWriteMs > 0);
  rig.disk.held.shift()?.();
  await first;
  assert.equal(answers, 1);
  assert.equal(rig.disk.held.length, 1, "the next write was started");
  rig.disk.fault = () => "none";
  rig.disk.held.shift()?.();
  await second;
  await rig.replica.stop();
});

test("a large committed range is applied in pieces with turns of the event loop between", async () => {
  const rig = await Rig.start({ options: { applyMaxBytes: 1000 } });
  const before = rig.state.ranges.length;
  let turns = 0;
  const count = setInterval(() => (turns += 1), 0);
  const results = await Promise.all(Array.from({ length: 30 }, () => rig.propose(3)));
  clearInterval(count);
  assert.ok(results.every((result) => result.ok));
  const ranges = rig.state.ranges.slice(before);
  assert.ok(ranges.length >= 7, `${ranges.length} ranges`);
  assert.equal(
    ranges.reduce((sum, entries) => sum + entries, 0),
    90,
  );
  await rig.replica.stop();
});

test("more than the bound of waiting bytes is refused, and taken again when there is room", async () => {
  const { groupMaxBytes } = LOG_OPTIONS;
  const rig = await Rig.start({ options: { uncommittedMaxBytes: groupMaxBytes * 2 } });
  const accepted: Promise<ProposeResult>[] = [];
  let refusedResult: ProposeResult | null = null;
  for (let i = 0; i < 10 && refusedResult === null; i++) {
    const result = rig.propose(1, { payloadBytes: groupMaxBytes / 2 });
    const now = await Promise.race([result, Promise.resolve(null)]);
    if (now === null) accepted.push(result);
    else refusedResult = now;
  }
  assert.equal(accepted.length, 3);
  assert.ok(refusedResult !== null && !refusedResult.ok);
  assert.equal(refusedResult.error.code, "resource_exhausted");
  assert.equal(refusedResult.error.reason, "uncommitted_bytes");
  assert.equal(refusedResult.error.sent, "no");
  assert.equal(rig.replica.stats.refused.uncommitted_bytes, 1);
  assert.ok((await Promise.all(accepted)).every((result) => result.ok));
  assert.ok((await rig.propose(1, { payloadBytes: groupMaxBytes / 2 })).ok);
  await rig.replica.stop();
});

test("a proposal as large as a group is taken, a larger one is invalid", async () => {
  const rig = await Rig.start();
  const largest = rig.log.bodyMaxBytes - 16;
  assert.equal(reasonOf(await rig.propose(1, { payloadBytes: largest + 8 })), "too_large");
  assert.equal(reasonOf(await rig.propose(1, { payloadBytes: largest })), "ok");
  await rig.replica.stop();
});

test("entries that do not add up stop the process before they reach the log", async () => {
  const rig = await Rig.start();
  const body = entriesBody(1, 2, 32);
  const done = (): void => assert.fail("must not be answered");
  assert.throws(
    () => rig.replica.propose({ body, bodyBytes: body.length, count: 3 }, done),
    /entries/,
  );
  assert.throws(
    () => rig.replica.propose({ body, bodyBytes: body.length - 8, count: 2 }, done),
    /entries/,
  );
  assert.equal(rig.log.lastIndex, 2);
  await rig.replica.stop();
});

test("log time follows the clock, never goes back, and survives a restart", async () => {
  const rig = await Rig.start();
  rig.clock.now = 2_000_000;
  await rig.propose();
  rig.clock.now = 1_500_000;
  await rig.propose();
  await rig.replica.stop();
  const clock = new FakeClock();
  clock.now = 3;
  const again = await Rig.start({ disk: rig.disk, state: rig.state, clock });
  await again.propose();
  const times = again.state.entries.map((entry) => entry.appendedAtMs);
  assert.deepEqual(times, [0, 0, 2_000_000, 2_000_000, 2_000_000, 2_000_000]);
  await again.replica.stop();
});

test("a given log time is taken as it is", async () => {
  const rig = await Rig.start();
  await rig.propose(1, { appendedAtMs: 5_000_000 });
  await rig.propose(1, { appendedAtMs: 77 });
  await rig.propose();
  assert.deepEqual(
    rig.state.entries.map((entry) => entry.appendedAtMs),
    [0, 0, 5_000_000, 77, 5_000_000],
  );
  await rig.replica.stop();
});

test("campaign raises the term with an entry of its own, and is nothing when the term is high enough", async () => {
  const rig = await Rig.start();
  const write = rig.propose();
  const raised = await rig.campaign(7);
  assert.ok((await write).ok);
  assert.ok(raised.ok);
  assert.deepEqual([raised.firstIndex, raised.term], [4, 7]);
  assert.deepEqual(rig.log.hardState, { term: 7, vote: "node-a", abstains: false });
  const same = await rig.campaign(7);
  assert.ok(same.ok);
  assert.equal(rig.log.lastIndex, 4);
  const later = await rig.propose();
  assert.ok(later.ok && later.term === 7);
  assert.deepEqual(
    rig.state.entries.map((entry) => entry.term),
    [1, 2, 2, 7, 7],
  );
  await rig.replica.stop();
});

test("reads wait for the first commit of a raised term", async () => {
  const rig = await Rig.start();
  const raised = rig.campaign(4);
  assert.notEqual(rig.replica.status().role, "leader");
  const read = await rig.readIndex();
  assert.deepEqual(read, { ok: true, index: 3, term: 4 });
  await raised;
  await rig.replica.stop();
});

test("a start applies what the state lacks, in pieces, with progress", async () => {
  const rig = await Rig.start();
  for (let i = 0; i < 20; i++) await rig.propose(5, { payloadBytes: 200 });
  await rig.replica.stop();
  const state = new FakeState();
  const again = await Rig.open({ disk: rig.disk, state, options: { replayMaxBytes: 4000 } });
  assert.equal(again.replica.status().phase, "opening");
  const starting = again.replica.start();
  const seen = new Set<string>();
  const watch = setInterval(() => seen.add(again.replica.status().text), 0);
  assert.equal(reasonOf(await again.propose()), "not_ready");
  assert.equal(reasonOf(await again.readIndex()), "not_ready");
  await starting;
  clearInterval(watch);
  assert.deepEqual(state.entries.slice(0, 102), rig.state.entries);
  assert.equal(state.appliedIndex, 103);
  assert.ok(state.ranges.length > 4, `${state.ranges.length} pieces`);
  assert.equal(again.replica.status().replayedEntries, 103);
  assert.ok(again.published.length > 4, "each piece is published");
  await again.replica.stop();
});

test("a start applies only what the state lacks", async () => {
  const rig = await Rig.start();
  for (let i = 0; i < 10; i++) await rig.propose();
  await rig.replica.stop();
  rig.state.ranges.length = 0;
  const again = await Rig.start({ disk: rig.disk, state: rig.state });
  assert.deepEqual(rig.state.ranges, [1], "its own first entry only");
  await again.replica.stop();
});

test("a state that does not belong to the log is refused and nothing is written", async () => {
  const rig = await Rig.start();
  await rig.propose(3);
  await rig.replica.stop();
  const cases: [string, number, number][] = [
    ["state_ahead_of_log", 9, 1],
    ["state_of_other_log", 4, 3],
  ];
  for (const [reason, appliedIndex, appliedTerm] of cases) {
    const state = new FakeState();
    state.appliedIndex = appliedIndex;
    state.appliedTerm = appliedTerm;
    const other = await Rig.open({ disk: rig.disk, state });
    await assert.rejects(other.replica.start(), { reason });
    assert.equal(other.replica.status().phase, "failed");
    assert.equal(other.log.lastIndex, 5);
    await other.replica.stop();
  }
});

test("a failed write answers with an unknown outcome, refuses the rest and reports once", async () => {
  const rig = await Rig.start();
  rig.disk.fault = () => "error";
  const [first, second] = await Promise.all([rig.propose(), rig.propose()]);
  assert.equal(reasonOf(first), "outcome_unknown");
  assert.ok(!first.ok && first.error.sent === "maybe");
  assert.equal(reasonOf(second), "outcome_unknown");
  assert.equal(reasonOf(await rig.propose()), "failed");
  assert.equal(reasonOf(await rig.readIndex()), "failed");
  assert.equal(rig.fatal.length, 1);
  assert.equal(rig.fatal[0]?.reason, "log_write_failed");
  assert.equal(rig.replica.status().phase, "failed");
  assert.equal(rig.published.at(-1)?.isLeader, false);
  assert.equal(rig.state.appliedIndex, 2);
  await rig.replica.stop();
});

test("a failed database answers with an unknown outcome and reports; a restart applies the entries", async () => {
  const rig = await Rig.start();
  rig.state.failure = new Error("map full");
  const result = await rig.propose();
  assert.equal(reasonOf(result), "outcome_unknown");
  assert.equal(rig.fatal[0]?.reason, "apply_failed");
  await rig.replica.stop();
  rig.state.failure = null;
  const again = await Rig.start({ disk: rig.disk, state: rig.state });
  assert.equal(again.state.appliedIndex, 4);
  await again.replica.stop();
});

test("a stop finishes what was accepted, refuses what comes, and closes the files", async () => {
  const rig = await Rig.start({ options: { applyMaxBytes: 100 } });
  const writes = Array.from({ length: 20 }, () => rig.propose());
  const stopping = rig.replica.stop();
  assert.equal(reasonOf(await rig.propose()), "shutting_down");
  await stopping;
  assert.ok((await Promise.all(writes)).every((result) => result.ok));
  assert.equal(rig.disk.openFiles, 0);
  assert.equal(rig.replica.status().phase, "stopped");
  assert.equal(rig.published.at(-1)?.isLeader, false);
});

test("a stop during replay ends it between two pieces", async () => {
  const rig = await Rig.start();
  for (let i = 0; i < 50; i++) await rig.propose(5, { payloadBytes: 200 });
  await rig.replica.stop();
  const state = new FakeState();
  const again = await Rig.open({ disk: rig.disk, state, options: { replayMaxBytes: 2000 } });
  const starting = again.replica.start();
  while (state.ranges.length < 2) await new Promise((resolve) => setImmediate(resolve));
  await again.replica.stop();
  await starting;
  assert.ok(state.appliedIndex < 251, `applied ${state.appliedIndex}`);
  assert.equal(again.replica.status().phase, "stopped");
  assert.equal(rig.disk.openFiles, 0);
});

test("without room for the state blocks are refused before they are logged, everything else goes on", async () => {
  const rig = await Rig.start();
  const entry = (command: number): Uint8Array<ArrayBuffer> => {
    const sink = new ByteSink();
    appendEntry(sink, command, new Uint8Array(8));
    return new Uint8Array(sink.copy());
  };
  const add = entry(COMMAND.addBlocks);
  assert.ok((await rig.propose(1, { body: add })).ok);
  rig.roomProblem = "12 MiB are left";
  const { lastIndex } = rig.replica.status();
  const result = await rig.propose(1, { body: add });
  assert.ok(!result.ok && result.error.code === "resource_exhausted" && result.error.sent === "no");
  assert.equal(reasonOf(result), "index_full");
  assert.match(result.error.message, /12 MiB are left/);
  assert.equal(rig.replica.status().lastIndex, lastIndex);
  assert.ok((await rig.propose(1, { body: entry(COMMAND.replaceBlocks) })).ok, "makes room");
  assert.ok((await rig.readIndex()).ok);
  rig.roomProblem = null;
  assert.ok((await rig.propose(1, { body: add })).ok);
  await rig.replica.stop();
});

test("with a full disk writes are refused before they are logged, reads go on", async () => {
  const disk = new MemoryDisk();
  const rig = await Rig.start({ disk });
  // The first two segments are there; the third finds no room.
  disk.fault = (_, name) => (name <= "0000000002.log" ? "none" : "error");
  let result = await rig.propose(1, { payloadBytes: 8000 });
  for (let i = 0; i < 100 && result.ok; i++) result = await rig.propose(1, { payloadBytes: 8000 });
  assert.equal(reasonOf(result), "disk_full");
  assert.ok(!result.ok && result.error.code === "resource_exhausted" && result.error.sent === "no");
  assert.ok((await rig.readIndex()).ok);
  assert.equal(rig.fatal.length, 0);
  disk.fault = () => "none";
  while (!(await rig.propose()).ok) await new Promise((resolve) => setTimeout(resolve, 1));
  await rig.replica.stop();
});

test("a stop on a full disk ends: what was accepted and has no room is not acknowledged, and the member has failed", async () => {
  const disk = new MemoryDisk();
  let nowMs = 0;
  const logScheduler = { ...SYSTEM_SCHEDULER, monotonicMs: () => nowMs };
  const rig = await Rig.start({ disk, logScheduler });
  disk.fault = (_, name) => (name <= "0000000002.log" ? "none" : "error");
  // More than two segments hold, in one turn: nobody knows yet that there is no room for a third one.
  const writes = Array.from({ length: 80 }, () => rig.propose(1, { payloadBytes: 8000 }));
  await untilTrue(() => rig.log.spareError !== null && !rig.log.isIdle);
  const stopped = rig.replica.stop();
  nowMs = ROOM_WAIT_MS - 1;
  await new Promise((resolve) => setTimeout(resolve, 20));
  assert.equal(rig.replica.status().phase, "stopping");
  nowMs = ROOM_WAIT_MS;
  await stopped;
  const reasons = (await Promise.all(writes)).map(reasonOf);
  assert.deepEqual([...new Set(reasons)].sort(), ["ok", "outcome_unknown"]);
  assert.equal(rig.replica.status().phase, "failed");
  assert.deepEqual(
    rig.fatal.map(({ reason }) => reason),
    ["log_write_failed"],
  );
  assert.equal(disk.openFiles, 0);
  // What was acknowledged is there.
  const again = await LogUnderTest.open(new MemoryDisk(disk.files), LOG_OPTIONS);
  assert.ok(again.log.lastIndex >= reasons.filter((reason) => reason === "ok").length);
  await again.log.close();
});
