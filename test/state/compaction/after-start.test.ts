/** A member that has just started does with an entry what a member does that went on: the same state, byte by byte. */

import assert from "node:assert/strict";
import { test } from "node:test";
import {
  COMMAND,
  encodeControlJobs,
  encodePlanUpdate,
  encodePolicyCommand,
} from "../../../src/protocol/index.ts";
import { type Poll, prepare } from "../../../src/state/index.ts";
import { digestState } from "../../../src/state/checks/digest.ts";
import { type Entry, entry, HOUR_MS, StateFixture, ulidAt, WINDOW_MS } from "../support.ts";

const POLICY = { levels: [{ maxBlocks: 1, maxAgeMs: 0 }], leaseMs: 15_000, failuresMax: 3 };

const policyEntry = (policy: object): Entry => ({
  command: COMMAND.setCompactionPolicy,
  payload: encodePolicyCommand(JSON.stringify(policy)),
});

/** Three blocks, a job for each, one of them handed out. */
function begin(fixture: StateFixture): string[] {
  fixture.apply([policyEntry(POLICY)]);
  fixture.apply([entry.addBlocks(...[1, 2, 3].map((i) => ({ id: ulidAt(WINDOW_MS, i) })))]);
  const poll: Poll = { worker: "a", requestId: 1, capacity: 3, reports: [] };
  fixture.apply([planOf(fixture, poll)]);
  const given: Poll = { ...poll, requestId: 2, capacity: 1 };
  const plan = planOf(fixture, given);
  fixture.apply([plan]);
  return fixture.read((db) => {
    const names: string[] = [];
    db.scan("compactionJobs", new Uint8Array(1), new Uint8Array(2).fill(0xff), (key) => {
      names.push(Buffer.from(key).toString());
      return true;
    });
    return names;
  });
}

function planOf(fixture: StateFixture, poll: Poll): Entry {
  const token = fixture.state.appliedIndex + 1;
  const prepared = fixture.read((db) => prepare(db, [poll], { nowMs: WINDOW_MS, token, term: 1 }));
  assert.ok(prepared !== null && !prepared.isEmpty);
  return { command: COMMAND.updateCompactionPlan, payload: encodePlanUpdate(prepared.plan) };
}

const control = (action: "retry" | "cancel" | "quarantine", names: string[]): Entry => ({
  command: COMMAND.controlJobs,
  payload: encodeControlJobs({ action, names, reason: "tried" }),
});

const FIRST: Readonly<Record<string, (names: string[]) => Entry>> = {
  "a job is cancelled": (names) => control("cancel", names.slice(0, 1)),
  "all jobs are cancelled": (names) => control("cancel", names),
  "jobs are to be tried again": (names) => control("retry", names),
  "jobs are put aside": (names) => control("quarantine", names),
  "a shard goes": () =>
    entry.deleteShard({
      name: "",
      tenant: "",
      shard: 1,
      timestampNs: BigInt(WINDOW_MS) * 1_000_000n,
      durationNs: BigInt(6 * HOUR_MS) * 1_000_000n,
    }),
  "the policy changes": () => policyEntry({ ...POLICY, failuresMax: 5 }),
  "a block comes": () => entry.addBlocks({ id: ulidAt(WINDOW_MS, 9) }),
};

for (const [what, makeEntry] of Object.entries(FIRST)) {
  test(`first thing after a start: ${what}`, async () => {
    const [goesOn, starts] = [new StateFixture(), new StateFixture()];
    try {
      const names = begin(goesOn);
      assert.deepEqual(begin(starts), names);
      assert.equal(names.length, 3);
      await starts.restart();
      const first = makeEntry(names);
      const more = entry.addBlocks({ id: ulidAt(WINDOW_MS, 10) });
      for (const fixture of [goesOn, starts]) {
        assert.equal(fixture.applyOne(first), 0);
        assert.equal(fixture.applyOne(more), 0);
      }
      assert.equal(starts.state.compaction.revision, goesOn.state.compaction.revision);
      assert.deepEqual(starts.read(digestState), goesOn.read(digestState));
    } finally {
      await goesOn.close();
      await starts.close();
    }
  });
}
