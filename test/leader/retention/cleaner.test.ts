/** The cleaner over a real index: what it proposes, what apply refuses of it, and what it says. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { HearthError, SILENT_LOGGER } from "../../../src/base/index.ts";
import {
  type ActivityRun,
  RetentionCleaner,
  type RetentionPeriods,
} from "../../../src/leader/index.ts";
import {
  COMMAND,
  decodeRetireShards,
  type RetireShards,
  encodeRetireShards,
} from "../../../src/protocol/index.ts";
import { listTombstones } from "../../../src/state/index.ts";
import {
  type BlockSpec,
  HOUR_MS,
  type StateFixture,
  ulidAt,
  WINDOW_MS,
  withState,
} from "../../state/support.ts";
import { TestScheduler } from "../support.ts";

/** Term of the entries of the fixture. */
const TERM = 1;
const DAY_MS = 24 * HOUR_MS;

interface Rig {
  readonly cleaner: RetentionCleaner;
  readonly clock: { nowMs: number };
  readonly proposed: RetireShards[];
  readonly periods: { defaultMs: number; overridesMs: Map<string, number> };
  /** Before an entry is applied. */
  beforeApply: () => void;
  readonly run: (changes?: Partial<ActivityRun>) => ReturnType<RetentionCleaner["run"]>;
}

function rig(
  fixture: StateFixture,
  changes: { shardsPerPassMax?: number; termOfRead?: number; readError?: HearthError } = {},
): Rig {
  const clock = { nowMs: WINDOW_MS + 60 * DAY_MS };
  const periods = { defaultMs: 31 * DAY_MS, overridesMs: new Map<string, number>() };
  const proposed: RetireShards[] = [];
  const scheduler = new TestScheduler();
  const made: Rig = {
    clock,
    proposed,
    periods,
    beforeApply: () => {},
    cleaner: new RetentionCleaner(
      { intervalMs: 1_000, graceMs: 6 * HOUR_MS, shardsPerPassMax: changes.shardsPerPassMax ?? 32 },
      {
        replica: {
          term: TERM,
          readIndex: (done) =>
            done(
              changes.readError === undefined
                ? { ok: true, index: 1, term: changes.termOfRead ?? TERM }
                : { ok: false, error: changes.readError },
            ),
          propose: ({ body }, done) => {
            // The payload of the single entry, as apply gets it.
            const payload = body.slice(
              16,
              16 + new DataView(body.buffer, body.byteOffset).getUint32(0, true),
            );
            proposed.push(decodeRetireShards(payload));
            made.beforeApply();
            fixture.applyOne({ command: COMMAND.retireShards, payload });
            const outcomes = new Uint8Array(1);
            done({ ok: true, firstIndex: 1, term: TERM, outcomes, rejections: new Map() });
          },
        },
        db: fixture.db,
        periods: (): RetentionPeriods => periods,
        newestForeignEntryAtMs: () => 0,
        clock: { nowMs: () => clock.nowMs },
        scheduler,
        logger: SILENT_LOGGER,
      },
    ),
    run: (runChanges = {}) =>
      made.cleaner.run({
        term: TERM,
        signal: new AbortController().signal,
        isLeading: () => true,
        ...runChanges,
      }),
  };
  return made;
}

let count = 0;
function block(changes: Partial<BlockSpec> & { readonly atMs?: number } = {}): BlockSpec {
  const { atMs = WINDOW_MS, ...spec } = changes;
  return {
    id: ulidAt(atMs, ++count),
    tenant: "acme",
    minTimeMs: atMs,
    maxTimeMs: atMs + HOUR_MS,
    ...spec,
  };
}

describe("retention cleaner", () => {
  it("takes old shards out, leaves tombstones by the reference's names, and says what it did", () =>
    withState(async (fixture) => {
      fixture.add(block(), block({ shard: 2 }), block({ atMs: WINDOW_MS + 59 * DAY_MS }));
      const { run, proposed } = rig(fixture);
      const result = await run();
      assert.equal(result.outcome, "done");
      assert.match(
        result.text,
        /^Removed 2 shards with 2 blocks, 2\.0 kB|^Removed 2 shards with 2 blocks/,
      );
      assert.equal(proposed.length, 1);
      assert.equal(fixture.state.counters.blocks, 1);
      const names = fixture.read(() =>
        listTombstones(fixture.db, Number.POSITIVE_INFINITY).map(({ name }) => name),
      );
      assert.deepEqual(names, [
        "2025-03-10 06:00:00 (6h0m0s)-Tacme-S1",
        "2025-03-10 06:00:00 (6h0m0s)-Tacme-S2",
      ]);
      assert.equal((await run()).outcome, "nothing");
      assert.equal(proposed.length, 1, "nothing chosen, nothing logged");
    }));

  it("a block with newer data that is logged before the entry keeps its shard", () =>
    withState(async (fixture) => {
      fixture.add(block());
      const made = rig(fixture);
      made.beforeApply = () => fixture.add(block({ maxTimeMs: made.clock.nowMs }));
      await made.run();
      assert.equal(made.proposed.length, 1);
      assert.equal(fixture.state.counters.blocks, 2);
      assert.equal(fixture.state.metrics.retirementsKept, 1);
    }));

  it("a decision of another term changes nothing", () =>
    withState(async (fixture) => {
      fixture.add(block());
      const { run } = rig(fixture, { termOfRead: TERM + 1 });
      await run();
      assert.equal(fixture.state.counters.blocks, 1);
    }));

  it("segments that are not split yet stay as long as any tenant's data may", () =>
    withState(async (fixture) => {
      fixture.add(block({ tenant: "" }));
      const made = rig(fixture);
      made.periods.overridesMs.set("slow", 0);
      assert.equal((await made.run()).outcome, "nothing");
      made.periods.overridesMs.set("slow", 61 * DAY_MS);
      assert.equal((await made.run()).outcome, "nothing");
      made.periods.overridesMs.set("slow", 30 * DAY_MS);
      assert.equal((await made.run()).outcome, "done");
      assert.equal(fixture.state.counters.blocks, 0);
    }));

  it("a full pass comes again at once, until nothing is left", () =>
    withState(async (fixture) => {
      for (let shard = 1; shard <= 5; shard++) fixture.add(block({ shard }));
      const { run } = rig(fixture, { shardsPerPassMax: 2 });
      const first = await run();
      assert.deepEqual([first.againAfterMs, first.text.endsWith("3 more are due")], [1_000, true]);
      await run();
      const last = await run();
      assert.equal(last.againAfterMs, undefined);
      assert.equal(fixture.state.counters.blocks, 0);
    }));

  it("a limit of 0 removes nothing", () =>
    withState(async (fixture) => {
      fixture.add(block());
      const { run, proposed } = rig(fixture, { shardsPerPassMax: 0 });
      assert.equal((await run()).outcome, "nothing");
      assert.equal(proposed.length, 0);
    }));

  it("a clock that jumps ahead deletes nothing, and is told of", () =>
    withState(async (fixture) => {
      const made = rig(fixture);
      made.clock.nowMs = WINDOW_MS + DAY_MS;
      fixture.add(block());
      assert.equal((await made.run()).outcome, "nothing");
      made.clock.nowMs += 365 * DAY_MS;
      const result = await made.run();
      assert.deepEqual([result.outcome, result.reason], ["failed", "clock_ahead"]);
      assert.equal(fixture.state.counters.blocks, 1);
    }));

  it("without the leadership nothing is proposed", () =>
    withState(async (fixture) => {
      fixture.add(block());
      const readError = new HearthError("unavailable", "not the leader", { reason: "not_leader" });
      const { run, proposed } = rig(fixture, { readError });
      await assert.rejects(run(), { reason: "not_leader" });
      assert.equal(proposed.length, 0);
    }));

  it("a forecast names the same shards, and changes nothing", () =>
    withState(async (fixture) => {
      fixture.add(block(), block({ atMs: WINDOW_MS + 40 * DAY_MS }));
      const { cleaner, clock } = rig(fixture);
      const now = await cleaner.forecast(clock.nowMs, 10);
      assert.deepEqual({ ...now.totals }, { shards: 1, blocks: 1, bytes: 1_000 });
      const later = await cleaner.forecast(clock.nowMs + 20 * DAY_MS, 1);
      assert.deepEqual({ ...later.totals }, { shards: 2, blocks: 2, bytes: 2_000 });
      assert.equal(later.shards.length, 1);
      assert.equal(fixture.state.counters.blocks, 2);
    }));

  it("a command that names no partition of ours, or data at no time, retires nothing", () =>
    withState((fixture) => {
      fixture.add(block());
      const shard = {
        name: "n",
        timestampNs: BigInt(WINDOW_MS) * 1_000_000n,
        durationNs: 21_600_000_000_000n,
        shard: 1,
        tenant: "acme",
      };
      const retire = (changes: object, beforeMs: number): void => {
        const payload = encodeRetireShards({
          term: TERM,
          shards: [{ shard: { ...shard, ...changes }, beforeMs }],
        });
        fixture.applyOne({ command: COMMAND.retireShards, payload });
        assert.equal(fixture.state.counters.blocks, 1);
      };
      retire({}, Number.NaN);
      retire({}, Number.NEGATIVE_INFINITY);
      retire({}, WINDOW_MS + HOUR_MS);
      retire({ timestampNs: 1n }, Number.POSITIVE_INFINITY);
      retire({ tenant: "other" }, Number.POSITIVE_INFINITY);
      retire({ shard: 2 }, Number.POSITIVE_INFINITY);
    }));
});
