/** Proposals on their way into the core: which ones go in together, in which order, and who hears of a refusal. */

import assert from "node:assert/strict";
import { test } from "node:test";
import type { ProposedEntries, ProposeOutcome, Raft } from "../../src/raft/index.ts";
import { Intake } from "../../src/replica/intake.ts";
import { ProposalQueue } from "../../src/replica/proposal-queue.ts";
import { createReplicaStats } from "../../src/replica/types.ts";

const BATCH_MAX_BYTES = 256;

/** A core that takes everything, or refuses everything. */
class FakeCore {
  isLeader = true;
  isTransferring = false;
  readonly got: { readonly count: number; readonly bytes: number[] }[] = [];
  #lastIndex = 10;

  propose({ body, bodyBytes, count, appendedAtMs }: ProposedEntries): ProposeOutcome {
    if (!this.isLeader) return { ok: false, refusal: "not_leader", detail: "" };
    if (this.isTransferring) return { ok: false, refusal: "transferring", detail: "" };
    this.got.push({ count, bytes: Array.from(body.subarray(0, bodyBytes)) });
    const firstIndex = this.#lastIndex + 1;
    this.#lastIndex += count;
    return { ok: true, firstIndex, term: 3, appendedAtMs: appendedAtMs ?? 0 };
  }
}

function setUp() {
  const core = new FakeCore();
  const queue = new ProposalQueue();
  const refused: string[] = [];
  const stats = createReplicaStats();
  const intake = new Intake(BATCH_MAX_BYTES, {
    core: core as unknown as Raft,
    queue,
    stats,
    nowMs: () => 0,
    onRefused: (outcome, done) => {
      refused.push(outcome.refusal);
      done({
        ok: true,
        firstIndex: 0,
        term: 0,
        outcomes: new Uint8Array(0),
        rejections: new Map(),
      });
    },
  });
  const told: string[] = [];
  const add = (name: string, bytes: number[], rest: Partial<ProposedEntries> = {}): void => {
    const body = Uint8Array.from(bytes);
    intake.add({ body, bodyBytes: body.length, count: 1, ...rest }, () => told.push(name));
  };
  return { core, queue, intake, stats, refused, told, add };
}

function filled(length: number, value: number): number[] {
  return Array.from({ length }, () => value);
}

test("small proposals of one turn are one batch, and each knows its place", () => {
  const { core, queue, intake, stats, add } = setUp();
  add("a", filled(8, 1));
  add("b", filled(16, 2), { count: 2 });
  add("c", [...filled(8, 3), 99, 99], { bodyBytes: 8 });
  assert.equal(intake.length, 3);
  assert.equal(core.got.length, 0);
  intake.handOver();
  const bytes = [...filled(8, 1), ...filled(16, 2), ...filled(8, 3)];
  assert.deepEqual(core.got, [{ count: 4, bytes }]);
  assert.equal(intake.length, 0);
  const places: number[][] = [];
  for (const { firstIndex, term, count } of queue.takeAll()) places.push([firstIndex, term, count]);
  assert.deepEqual(places, [
    [11, 3, 1],
    [12, 3, 2],
    [14, 3, 1],
  ]);
  assert.deepEqual([stats.proposals, stats.entries], [3, 4]);
});

test("a proposal that is alone is handed on as it came", () => {
  const { core, intake, add } = setUp();
  add("a", filled(8, 1));
  intake.handOver();
  add("b", filled(8, 2));
  intake.handOver();
  intake.handOver();
  assert.deepEqual(
    core.got.map(({ bytes }) => bytes),
    [filled(8, 1), filled(8, 2)],
  );
});

test("what has been handed over stays as it was while later groups are gathered", () => {
  const { core, intake, add } = setUp();
  const bodies: Uint8Array[] = [];
  const propose = core.propose.bind(core);
  core.propose = (entries) => {
    bodies.push(entries.body.subarray(0, entries.bodyBytes));
    return propose(entries);
  };
  // More than one slab of memory.
  for (let group = 0; group < 12_000; group++) {
    add("a", filled(64, group & 0xff));
    add("b", filled(64, group & 0xff));
    intake.handOver();
  }
  for (const [group, body] of bodies.entries()) {
    assert.ok(
      body.length === 128 && body.every((byte) => byte === (group & 0xff)),
      `group ${group}`,
    );
  }
});

test("a group that is full goes in, and large or dated proposals go in alone, all in order", () => {
  const { core, intake, add } = setUp();
  add("a", filled(200, 1));
  add("b", filled(56, 2));
  add("c", filled(8, 3));
  add("large", filled(264, 4));
  add("d", filled(8, 5));
  add("dated", filled(8, 6), { appendedAtMs: 77 });
  add("e", filled(8, 7));
  intake.handOver();
  assert.deepEqual(
    core.got.map(({ bytes }) => [bytes.length, bytes[0], bytes.at(-1)]),
    [
      [256, 1, 2],
      [8, 3, 3],
      [264, 4, 4],
      [8, 5, 5],
      [8, 6, 6],
      [8, 7, 7],
    ],
  );
});

test("a refusal is told to every member of the group, and at once by a member that does not lead", () => {
  const { core, queue, intake, stats, refused, told, add } = setUp();
  add("a", filled(8, 1));
  add("b", filled(8, 2));
  core.isTransferring = true;
  intake.handOver();
  assert.deepEqual(told, ["a", "b"]);
  core.isLeader = false;
  add("c", filled(8, 3));
  assert.deepEqual(told, ["a", "b", "c"]);
  assert.deepEqual(refused, ["transferring", "transferring", "not_leader"]);
  assert.deepEqual([queue.length, stats.proposals, stats.entries], [0, 0, 0]);
});

test("half of what the turn before brought is enough to start a write, but never a little", () => {
  const { intake, add } = setUp();
  const turn = (bytes: number): void => {
    for (let sent = 0; sent < bytes; sent += 32 * 1024) add("a", filled(32 * 1024, 0));
  };
  turn(96 * 1024);
  assert.equal(intake.isEnoughToWrite, false);
  turn(32 * 1024);
  assert.equal(intake.isEnoughToWrite, true);
  turn(384 * 1024);
  intake.drained();
  turn(224 * 1024);
  assert.equal(intake.isEnoughToWrite, false);
  turn(32 * 1024);
  assert.equal(intake.isEnoughToWrite, true);
});
