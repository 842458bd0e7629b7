/** Activities of a leader: started and stopped in any order, one run at a time, and told apart afterwards. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { HearthError, type LogFields, type Logger, SILENT_LOGGER } from "../../src/base/index.ts";
import {
  type ActivityResult,
  type ActivityRun,
  LeaderActivities,
  PeriodicActivity,
  type PeriodicOptions,
} from "../../src/leader/index.ts";
import { TestScheduler } from "./support.ts";

const DONE: ActivityResult = { outcome: "done", text: "Did it" };

interface Rig {
  readonly activity: PeriodicActivity;
  readonly scheduler: TestScheduler;
  readonly runs: {
    readonly run: ActivityRun;
    readonly end: (result: ActivityResult | Error) => void;
  }[];
  readonly lines: string[];
}

function rig(changes: Partial<PeriodicOptions> = {}): Rig {
  const scheduler = new TestScheduler();
  const runs: Rig["runs"] = [];
  const lines: string[] = [];
  const line = (message: string, fields?: LogFields): void =>
    void lines.push(`${message} ${fields?.["reason"] ?? ""} ${fields?.["repeated"] ?? ""}`.trim());
  const logger: Logger = { ...SILENT_LOGGER, info: line, warn: line };
  const options = { name: "sweep", intervalMs: 1_000, firstAfterMs: 100, ...changes };
  const activity = new PeriodicActivity(options, {
    run: (run) =>
      new Promise((resolve, reject) => {
        const end = (result: ActivityResult | Error): void =>
          result instanceof Error ? reject(result) : resolve(result);
        runs.push({ run, end });
      }),
    clock: { nowMs: () => 1_000_000 + scheduler.monotonicMs() },
    scheduler,
    logger,
  });
  return { activity, scheduler, runs, lines };
}

async function settle(): Promise<void> {
  for (let i = 0; i < 10; i++) await Promise.resolve();
}

describe("periodic activity", () => {
  it("first runs after its delay, then one interval after each end", async () => {
    const { activity, scheduler, runs } = rig();
    activity.start(3);
    assert.equal(activity.status().nextAtMs, 1_000_100);
    scheduler.advance(99);
    assert.equal(runs.length, 0);
    scheduler.advance(1);
    assert.equal(runs.length, 1);
    assert.equal(runs[0]?.run.term, 3);
    scheduler.advance(5_000);
    assert.equal(runs.length, 1, "runs do not overlap");
    runs[0]?.end(DONE);
    await settle();
    scheduler.advance(999);
    assert.equal(runs.length, 1);
    scheduler.advance(1);
    assert.equal(runs.length, 2);
    const { lastOutcome, lastDurationMs, lastText, isRunning } = activity.status();
    assert.deepEqual(
      [lastOutcome, lastDurationMs, lastText, isRunning],
      ["done", 5_000, "Did it", true],
    );
  });

  it("starting twice in a term is one start, in another term a new one", () => {
    const { activity, scheduler, runs } = rig();
    activity.start(3);
    scheduler.advance(90);
    activity.start(3);
    scheduler.advance(10);
    assert.equal(runs.length, 1);
    activity.start(4);
    assert.equal(runs[0]?.run.signal.aborted, true);
    assert.equal(runs[0]?.run.isLeading(), false);
  });

  it("stopping aborts the run, and repeating it does nothing", async () => {
    const { activity, scheduler, runs } = rig();
    activity.stop();
    activity.start(3);
    scheduler.advance(100);
    activity.stop();
    activity.stop();
    assert.equal(runs[0]?.run.signal.aborted, true);
    runs[0]?.end(new Error("whatever an abort leads to"));
    await settle();
    assert.equal(activity.status().lastOutcome, "stopped");
    scheduler.advance(100_000);
    assert.equal(runs.length, 1);
    assert.equal(activity.status().nextAtMs, null);
  });

  it("a new office waits for the run of the old one to end", async () => {
    const { activity, scheduler, runs } = rig();
    activity.start(3);
    scheduler.advance(100);
    activity.stop();
    activity.start(5);
    scheduler.advance(10_000);
    assert.equal(runs.length, 1);
    runs[0]?.end(DONE);
    await settle();
    assert.equal(runs.length, 2);
    assert.equal(runs[1]?.run.term, 5);
  });

  it("an interval of 0 runs only when it is asked to", async () => {
    const { activity, scheduler, runs } = rig({ intervalMs: 0 });
    activity.start(1);
    scheduler.advance(100_000);
    assert.equal(runs.length, 0);
    assert.equal(activity.status().isEnabled, false);
    const asked = activity.runNow();
    runs[0]?.end(DONE);
    assert.equal(await asked, DONE);
  });

  it("runNow joins the run under way, and is refused where nobody leads", async () => {
    const { activity, scheduler, runs } = rig();
    await assert.rejects(activity.runNow(), (error: HearthError) => error.reason === "not_leader");
    activity.start(1);
    scheduler.advance(100);
    const asked = activity.runNow();
    assert.equal(runs.length, 1);
    runs[0]?.end(DONE);
    assert.equal(await asked, DONE);
  });

  it("runAfresh waits for the run under way and begins another one", async () => {
    const { activity, scheduler, runs } = rig();
    activity.start(1);
    scheduler.advance(100);
    const asked = activity.runAfresh();
    runs[0]?.end({ ...DONE, text: "began before" });
    await settle();
    assert.equal(runs.length, 2);
    runs[1]?.end(DONE);
    assert.equal(await asked, DONE);
  });

  it("more to do runs again sooner", async () => {
    const { activity, scheduler, runs } = rig();
    activity.start(1);
    scheduler.advance(100);
    runs[0]?.end({ ...DONE, againAfterMs: 5 });
    await settle();
    scheduler.advance(5);
    assert.equal(runs.length, 2);
  });

  it("a failure that repeats is one line, then a sum; going well again is a line", async () => {
    const { activity, scheduler, runs, lines } = rig();
    activity.start(1);
    scheduler.advance(100);
    const down = new HearthError("unavailable", "Cannot list", { reason: "storage_unavailable" });
    for (let i = 0; i < 601; i++) {
      runs.at(-1)?.end(down);
      await settle();
      scheduler.advance(1_000);
    }
    assert.deepEqual(lines, [
      "activity failed storage_unavailable 0",
      "activity failed storage_unavailable 599",
    ]);
    assert.equal(activity.status().failuresInRow, 601);
    assert.equal(activity.status().lastReason, "storage_unavailable");
    runs.at(-1)?.end(DONE);
    await settle();
    assert.equal(lines.at(-1), "activity works again");
    assert.equal(activity.status().failuresInRow, 0);
  });
});

describe("activities of a leader", () => {
  it("follow the role, and run in each term anew", () => {
    const activities = new LeaderActivities();
    const { activity, scheduler, runs } = rig();
    activities.add(activity);
    activities.observe({ isLeader: false, term: 7 });
    assert.equal(activity.status().isActive, false);
    activities.observe({ isLeader: true, term: 8 });
    activities.observe({ isLeader: true, term: 8 });
    scheduler.advance(100);
    assert.equal(runs[0]?.run.term, 8);
    activities.observe({ isLeader: true, term: 9 });
    assert.equal(runs[0]?.run.signal.aborted, true);
    activities.observe({ isLeader: false, term: 9 });
    assert.equal(activity.status().isActive, false);
    activities.stop();
    activities.observe({ isLeader: true, term: 10 });
    assert.equal(activity.status().isActive, false, "a node that stops starts nothing");
  });

  it("one that is added late is started at once", () => {
    const activities = new LeaderActivities();
    activities.observe({ isLeader: true, term: 2 });
    const { activity } = rig();
    activities.add(activity);
    assert.equal(activity.status().isActive, true);
    assert.equal(activities.find("sweep"), activity);
    assert.equal(activities.find("other"), null);
  });
});
