/** Polls that are under way when their leader loses its office. */

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { SILENT_LOGGER } from "../../src/base/index.ts";
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
  readonly scheduler: TestScheduler;
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
  const scheduler = new TestScheduler();
  const modules = {
    replica,
    state: { compaction: { workCount: 0, policy: null }, appliedAtMs: 0 },
    database: () => ({}),
    planner,
    clock: { nowMs: () => 0 },
    scheduler,
    logger: SILENT_LOGGER,
  } as unknown as Modules;
  const coordinator = new CompactionCoordinator(COORDINATOR_DEFAULTS, modules);
  const poll = (): Promise<Outcome> =>
    new Promise((resolve) => coordinator.poll(encodePollRequest(POLL), 0, resolve));
  return { coordinator, replica, asked, scheduler, poll };
}

describe("a poll whose leader loses its office", () => {
  it("is refused then, and not when there is a leader again", async () => {
    const { coordinator, replica, asked, scheduler, poll } = bench();
    const waiting = poll();
    await untilTrue(() => asked.length === 1);
    scheduler.advance(10_000);
    replica.isServing = false;
    scheduler.advance(10_000);
    const outcome = await waiting;
    assert.ok(!outcome.ok);
    assert.equal(outcome.error.code, "unavailable");
    assert.equal(outcome.error.reason, "not_leader");
    assert.equal(outcome.error.leader, null);
    // What comes too late changes nothing.
    for (const done of asked) done({ ok: true, index: 1, term: 4 });
    assert.equal(coordinator.waitingCount, 0);
    assert.equal(coordinator.stats.plans, 0);
    await coordinator.stop();
  });

  it("is planned when the index is granted, and not looked after any more", async () => {
    const { coordinator, asked, scheduler, poll } = bench();
    const waiting = poll();
    await untilTrue(() => asked.length === 1);
    for (const done of asked.splice(0)) done({ ok: true, index: 1, term: 3 });
    // Planned, that is, which this bench cannot.
    const outcome = await waiting;
    assert.ok(!outcome.ok);
    assert.match(outcome.error.message, /nothing is planned/);
    scheduler.advance(10_000);
    assert.equal(coordinator.stats.failedPolls, 1);
    await coordinator.stop();
  });
});
