/** Polls that are under way when their leader loses its office. */

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { HearthError, SILENT_LOGGER } from "../../src/base/index.ts";
import type { Planner } from "../../src/leader/compaction/planner.ts";
import { CompactionCoordinator, COORDINATOR_DEFAULTS } from "../../src/leader/index.ts";
import { encodePollRequest } from "../../src/protocol/index.ts";
import type { ReadIndexDone } from "../../src/replica/index.ts";
import { untilTrue } from "../support/until.ts";
import { TestScheduler } from "./support.ts";

type Modules = ConstructorParameters<typeof CompactionCoordinator>[1];
type Outcome = Parameters<Parameters<CompactionCoordinator["poll"]>[2]>[0];

const POLL = { worker: "", requestId: 0, capacity: 1, waitMs: 0, reports: [] };

interface Bench {
  readonly coordinator: CompactionCoordinator;
  readonly replica: { isServing: boolean };
  /** Read indexes that were asked for. */
  readonly asked: ReadIndexDone[];
  poll(): Promise<Outcome>;
}

/** A leader whose read indexes nobody grants but the test. */
function bench(): Bench {
  const asked: ReadIndexDone[] = [];
  const replica = {
    isServing: true,
    term: 3,
    readIndex: (done: ReadIndexDone) => void asked.push(done),
    propose: () => assert.fail("nothing is proposed"),
    demandCommit: () => {},
    status: () => ({ leader: replica.isServing ? { id: "node-0", address: "" } : null }),
  };
  const planner: Pick<Planner, "plan" | "close"> = {
    plan: () => Promise.reject(new Error("nothing is planned")),
    close: () => Promise.resolve(),
  };
  const modules = {
    replica,
    state: { compaction: { workCount: 0, policy: null }, appliedAtMs: 0 },
    database: () => ({}),
    planner,
    clock: { nowMs: () => 0 },
    scheduler: new TestScheduler(),
    logger: SILENT_LOGGER,
  } as unknown as Modules;
  const coordinator = new CompactionCoordinator(COORDINATOR_DEFAULTS, modules);
  const poll = (): Promise<Outcome> =>
    new Promise((resolve) => coordinator.poll(encodePollRequest(POLL), 0, resolve));
  return { coordinator, replica, asked, poll };
}

describe("a poll whose leader loses its office", () => {
  it("is refused then, and not when there is a leader again", async () => {
    const { coordinator, replica, asked, poll } = bench();
    const waiting = poll();
    await untilTrue(() => asked.length === 1);
    replica.isServing = false;
    const error = new HearthError("unavailable", "no leader", { reason: "no_leader" });
    for (const done of asked) done({ ok: false, error });
    const outcome = await waiting;
    assert.ok(!outcome.ok);
    assert.equal(outcome.error.code, "unavailable");
    assert.equal(outcome.error.reason, "not_leader");
    assert.equal(outcome.error.leader, null);
    assert.equal(coordinator.waitingCount, 0);
    assert.equal(coordinator.stats.plans, 0);
    await coordinator.stop();
  });

  it("is refused, and not planned, when the index comes from the next leader", async () => {
    const { coordinator, replica, asked, poll } = bench();
    const waiting = poll();
    await untilTrue(() => asked.length === 1);
    replica.isServing = false;
    for (const done of asked) done({ ok: true, index: 1, term: 4 });
    const outcome = await waiting;
    assert.ok(!outcome.ok);
    assert.equal(outcome.error.reason, "not_leader");
    await coordinator.stop();
  });

  it("hears of every other refusal as it is", async () => {
    const { coordinator, asked, poll } = bench();
    const waiting = poll();
    await untilTrue(() => asked.length === 1);
    const error = new HearthError("unavailable", "stopping", { reason: "shutting_down" });
    for (const done of asked) done({ ok: false, error });
    const outcome = await waiting;
    assert.ok(!outcome.ok);
    assert.equal(outcome.error.reason, "shutting_down");
    await coordinator.stop();
  });

  it("is planned when the index is granted", async () => {
    const { coordinator, asked, poll } = bench();
    const waiting = poll();
    await untilTrue(() => asked.length === 1);
    for (const done of asked.splice(0)) done({ ok: true, index: 1, term: 3 });
    // Planned, that is, which this bench cannot.
    const outcome = await waiting;
    assert.ok(!outcome.ok);
    assert.match(outcome.error.message, /nothing is planned/);
    assert.equal(coordinator.stats.failedPolls, 1);
    await coordinator.stop();
  });
});
