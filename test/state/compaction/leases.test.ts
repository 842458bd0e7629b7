/** Leases that go on: what is stored of them, and the order in which jobs are handed out after them. */

import assert from "node:assert/strict";
import { test } from "node:test";
import {
  beginEntry,
  ByteSink,
  COMMAND,
  encodePlanUpdate,
  encodePolicyCommand,
  endEntry,
  type PlanUpdate,
  REPORT_STATUS,
} from "../../../src/protocol/index.ts";
import { type Poll, type PollAnswer, prepare, type Prepared } from "../../../src/state/index.ts";
import { entry, type StateFixture, ulidAt, WINDOW_MS, withState } from "../support.ts";

const LEASE_MS = 15_000;
const POLICY = {
  levels: [{ maxBlocks: 1, maxAgeMs: 0 }],
  leaseMs: LEASE_MS,
  failuresMax: 3,
};

function turnOn(fixture: StateFixture): void {
  const payload = encodePolicyCommand(JSON.stringify(POLICY));
  fixture.apply([{ command: COMMAND.setCompactionPolicy, payload }]);
}

function planAt(fixture: StateFixture, nowMs: number, ...polls: readonly Poll[]): Prepared {
  const token = fixture.state.appliedIndex + 1;
  const prepared = fixture.read((db) => prepare(db, polls, { nowMs, token, term: 1 }));
  assert.ok(prepared !== null);
  return prepared;
}

let requests = 0;

/** Plans and applies. */
function run(fixture: StateFixture, nowMs: number, ...polls: readonly Poll[]): PollAnswer[] {
  const { plan, answers, isEmpty } = planAt(fixture, nowMs, ...polls);
  if (!isEmpty) {
    const payload = encodePlanUpdate(plan);
    const outcome = fixture.applyOne({ command: COMMAND.updateCompactionPlan, payload });
    assert.equal(outcome, 0);
  }
  return [...answers];
}

function poll(worker: string, capacity: number, held: PollAnswer | null = null): Poll {
  const reports = (held?.assignments ?? []).map(({ name, token }) => ({
    name,
    token,
    status: REPORT_STATUS.inProgress,
    reason: "",
    compacted: null,
  }));
  return { worker, requestId: ++requests, capacity, reports };
}

/** Three workers with a job each, given at WINDOW_MS. */
function giveThree(fixture: StateFixture): [PollAnswer, PollAnswer, PollAnswer] {
  turnOn(fixture);
  fixture.apply([entry.addBlocks(...[1, 2, 3].map((i) => ({ id: ulidAt(WINDOW_MS, i) })))]);
  run(fixture, WINDOW_MS, poll("a", 3));
  const given = run(fixture, WINDOW_MS, poll("a", 1), poll("b", 1), poll("c", 1));
  for (const { jobs } of given) assert.equal(jobs.length, 1);
  return given as [PollAnswer, PollAnswer, PollAnswer];
}

test("a renewed lease holds for its whole length, wherever its job stands in the order", () =>
  withState((fixture) => {
    const [a] = giveThree(fixture);
    const name = a.assignments[0]?.name;
    for (let atMs = 4_000; atMs <= 60_000; atMs += 4_000) {
      const [kept] = run(fixture, WINDOW_MS + atMs, poll("a", 0, a));
      assert.equal(kept?.assignments[0]?.leaseExpiresAtMs, WINDOW_MS + atMs + LEASE_MS);
    }
    const lastMs = WINDOW_MS + 60_000 + LEASE_MS;
    const before = planAt(fixture, lastMs, poll("d", 3));
    assert.equal(
      before.plan.assignedJobs.some((job) => job.name === name),
      false,
    );
    const after = planAt(fixture, lastMs + 1, poll("d", 3));
    assert.equal(
      after.plan.assignedJobs.some((job) => job.name === name),
      true,
    );
  }));

test("jobs whose leases are over are handed out by the end of their leases, renewed or not", () =>
  withState((fixture) => {
    const [a, b, c] = giveThree(fixture);
    // Stands where it stood; has moved; stands where it stood, with a lease between the two.
    run(fixture, WINDOW_MS + 5_000, poll("a", 0, a));
    run(fixture, WINDOW_MS + 9_000, poll("b", 0, b));
    run(fixture, WINDOW_MS + 4_000, poll("c", 0, c));
    const { plan } = planAt(fixture, WINDOW_MS + 60_000, poll("d", 3));
    const expected = [c, a, b].map(({ assignments }) => assignments[0]?.name);
    assert.deepEqual(
      plan.assignedJobs.map(({ name }) => name),
      expected,
    );
  }));

test("a clock that steps back shortens a lease and moves its job forward in the order", () =>
  withState((fixture) => {
    const [a, b] = giveThree(fixture);
    run(fixture, WINDOW_MS - 8_000, poll("b", 0, b));
    const { plan } = planAt(fixture, WINDOW_MS + 8_000, poll("d", 3));
    assert.deepEqual(
      plan.assignedJobs.map(({ name }) => name),
      [b.assignments[0]?.name],
    );
    assert.notEqual(a.assignments[0]?.name, b.assignments[0]?.name);
  }));

test("a job that is given away, failed or done leaves no lease behind", () =>
  withState((fixture) => {
    const [a, b, c] = giveThree(fixture);
    run(fixture, WINDOW_MS + 1_000, poll("a", 0, a), poll("b", 0, b), poll("c", 0, c));
    assert.equal(fixture.db.tableStats("compactionLeases").entries, 3);
    const ending = (held: PollAnswer, status: number): Poll => {
      const { name = "", token = 0 } = held.assignments[0] ?? {};
      const reports = [{ name, token, status, reason: "disk", compacted: null }];
      return { worker: "w", requestId: ++requests, capacity: 0, reports };
    };
    run(
      fixture,
      WINDOW_MS + 2_000,
      ending(a, REPORT_STATUS.failed),
      ending(b, REPORT_STATUS.success),
    );
    run(fixture, WINDOW_MS + 60_000, poll("d", 2));
    assert.equal(fixture.db.tableStats("compactionLeases").entries, 0);
    assert.notEqual(c.assignments[0], undefined);
  }));

test("a plan of version 1 renews no leases by name", () =>
  withState((fixture) => {
    const [a] = giveThree(fixture);
    const { plan } = planAt(fixture, WINDOW_MS + 5_000, poll("a", 0, a));
    assert.equal(plan.refreshed.length, 1);
    applyVersion(fixture, plan, 1);
    assert.equal(fixture.db.tableStats("compactionLeases").entries, 0);
    const again = planAt(fixture, WINDOW_MS + 5_000, poll("a", 0, a));
    applyVersion(fixture, again.plan, 2);
    assert.equal(fixture.db.tableStats("compactionLeases").entries, 1);
  }));

function applyVersion(fixture: StateFixture, plan: PlanUpdate, version: number): void {
  const sink = new ByteSink();
  const start = beginEntry(sink, COMMAND.updateCompactionPlan, version);
  sink.append(encodePlanUpdate(plan));
  endEntry(sink, start);
  const firstIndex = fixture.state.appliedIndex + 1;
  const { outcomes } = fixture.state.apply([
    {
      firstIndex,
      term: 1,
      appendedAtMs: WINDOW_MS,
      count: 1,
      body: sink.copy(),
      bodyBytes: sink.length,
    },
  ]);
  assert.equal(outcomes[0], 0);
}

test("a released job waits as if it had never been given away", () =>
  withState((fixture) => {
    const [a, b] = giveThree(fixture);
    const { name = "", token = 0 } = a.assignments[0] ?? {};
    const report = { name, token, status: REPORT_STATUS.released, reason: "", compacted: null };
    const release = (changes: Partial<typeof report>): Poll => ({
      worker: "",
      requestId: 0,
      capacity: 0,
      reports: [{ ...report, ...changes }],
    });
    const late = planAt(fixture, WINDOW_MS + 1_000, release({ token: token - 1 }));
    assert.equal(late.isEmpty, true, "only who holds it can release it");
    const { plan, reports } = planAt(fixture, WINDOW_MS + 1_000, release({}));
    assert.equal(reports.released, 1);
    assert.deepEqual(plan.updatedJobs.length, 1);
    run(fixture, WINDOW_MS + 1_000, release({}));
    // Long before its lease would have ended.
    const next = planAt(fixture, WINDOW_MS + 1_001, poll("d", 3));
    assert.deepEqual(
      next.plan.assignedJobs.map((job) => [job.name, job.failures, job.owner, job.reason]),
      [[name, 0, "d", ""]],
    );
    assert.ok((next.plan.assignedJobs[0]?.token ?? 0) > token);
    run(fixture, WINDOW_MS + 1_001, poll("d", 3));
    const again = planAt(fixture, WINDOW_MS + 1_002, release({}));
    assert.deepEqual([again.isEmpty, again.reports.wrong_token], [true, 1]);
    assert.notEqual(b.assignments[0]?.name, name);
  }));
