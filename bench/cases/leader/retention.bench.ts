/** A retention pass over a large index: all shards are looked at, the oldest are chosen and taken out. */

import { performance } from "node:perf_hooks";
import {
  nextTurn,
  SILENT_LOGGER,
  SYSTEM_CLOCK,
  SYSTEM_SCHEDULER,
} from "../../../src/base/index.ts";
import { type ActivityRun, RetentionCleaner } from "../../../src/leader/index.ts";
import type { ProposeResult } from "../../../src/replica/index.ts";
import {
  type BenchCase,
  type BenchContext,
  cpuSinceMs,
  type PreparedCase,
  type Sample,
} from "../../harness/index.ts";
import { makeBlock } from "../../support/block-fixture.ts";
import { IndexBuilder } from "../../support/index-builder.ts";

const BLOCKS = 1_000_000;
const TENANTS = 40;
const PARTITIONS = 25;
const SHARDS = 8;
/** One partition is as wide as all partitions of ten tenants. */
const WIDE_SHARDS = 2_000;
const TOTAL_SHARDS = TENANTS * PARTITIONS * SHARDS + WIDE_SHARDS;
const PARTITION_MS = 6 * 3_600_000;
const DAY_MS = 24 * 3_600_000;
const TERM = 1;
const START_MS = Date.UTC(2026, 0, 1);

/** The i-th block: shards in turns, so that each has as many. */
function place(i: number): { owner: string; shard: number; partition: number } {
  const at = i % TOTAL_SHARDS;
  if (at < WIDE_SHARDS) return { owner: "wide", shard: at + 1, partition: 0 };
  const shard = (at % SHARDS) + 1;
  const partition = Math.floor(at / SHARDS) % PARTITIONS;
  return { owner: `tenant-${Math.floor(at / SHARDS / PARTITIONS)}`, shard, partition };
}

function fill(builder: IndexBuilder, { progress }: BenchContext): void {
  for (let i = 0; i < BLOCKS; i++) {
    const { owner, shard, partition } = place(i);
    const createdAtMs = START_MS + partition * PARTITION_MS;
    const times = { createdAtMs, minTimeMs: createdAtMs, maxTimeMs: createdAtMs + 30_000 };
    const services = [`service-${i % 20}`];
    builder.add(makeBlock({ ...times, serial: i, owner, datasetTenant: owner, shard, services }));
    if (i % 100_000 === 99_999) progress(`${i + 1} blocks`);
  }
  builder.finish();
}

/**
 * Measures turns of the event loop while it runs: the longest is how long everything else waits. By the clock, which says too
 * much on a machine that others use, and not by CPU time: that of the process counts threads that collect garbage beside the
 * main one and hold up nobody, and of one thread neither Node.js 20 nor the scheduler tells it finer than a tick of 4 ms.
 */
class TurnMeter {
  #longestMs = 0;
  #isRunning = true;

  constructor() {
    void this.#watch();
  }

  stop(): number {
    this.#isRunning = false;
    return this.#longestMs;
  }

  async #watch(): Promise<void> {
    while (this.#isRunning) {
      const startedAtMs = performance.now();
      await nextTurn(SYSTEM_SCHEDULER);
      this.#longestMs = Math.max(this.#longestMs, performance.now() - startedAtMs);
    }
  }
}

function cleanerOver({ db, state }: IndexBuilder): RetentionCleaner {
  const apply = (body: Uint8Array, done: (result: ProposeResult) => void): void => {
    const firstIndex = state.appliedIndex + 1;
    const entries = { firstIndex, term: TERM, appendedAtMs: Date.now(), count: 1 };
    const { outcomes, rejections } = state.apply([{ ...entries, body, bodyBytes: body.length }]);
    done({ ok: true, firstIndex, term: TERM, outcomes, rejections });
  };
  return new RetentionCleaner(
    { intervalMs: 900_000, graceMs: PARTITION_MS, shardsPerPassMax: 32 },
    {
      replica: {
        term: TERM,
        readIndex: (done) => done({ ok: true, index: state.appliedIndex, term: TERM }),
        // In a turn of its own, as when it comes back from the log.
        propose: ({ body }, done) => SYSTEM_SCHEDULER.defer(() => apply(body, done)),
      },
      db,
      // About half of the partitions are past it.
      periods: () => ({
        defaultMs: Date.now() - START_MS - (PARTITIONS / 2) * PARTITION_MS,
        overridesMs: new Map([
          ["tenant-1", 0],
          ["tenant-2", 10 * DAY_MS],
        ]),
      }),
      newestForeignEntryAtMs: () => 0,
      clock: SYSTEM_CLOCK,
      scheduler: SYSTEM_SCHEDULER,
      logger: SILENT_LOGGER,
    },
  );
}

function prepare(context: BenchContext): PreparedCase {
  const builder = new IndexBuilder(context.directory);
  fill(builder, context);
  const cleaner = cleanerOver(builder);
  const run: ActivityRun = {
    term: TERM,
    signal: new AbortController().signal,
    isLeading: () => true,
  };
  const pass = async (): Promise<Sample> => {
    const before = builder.state.counters.blocks;
    const cpu = process.cpuUsage();
    const startedAtMs = performance.now();
    const meter = new TurnMeter();
    const { text } = await cleaner.run(run);
    const longestTurnMs = meter.stop();
    // Nothing waits for anything: the whole time is the main thread's.
    const mainMs = performance.now() - startedAtMs;
    const cpuMs = cpuSinceMs(cpu);
    if (builder.state.counters.blocks >= before) throw new Error(text);
    return { operations: 1, wallMs: mainMs, cpuMs, figures: { mainMs, longestTurnMs } };
  };
  return {
    ours: { name: `pass over ${BLOCKS} blocks in ${TOTAL_SHARDS} shards`, sample: pass },
    close: () => builder.close(),
  };
}

export const cases: readonly BenchCase[] = [
  {
    name: "leader/retention/1m-blocks-10k-shards",
    about: "Every shard is judged, 32 are taken out, all in short turns of the main thread.",
    goals: [
      // By CPU time: on a machine that others use, and with a disk that others write to, the clock says little.
      { metric: "cpuUs", form: "ours", atMost: 200_000 },
      { metric: "figure:longestTurnMs", form: "ours", atMost: 5 },
      { metric: "figure:mainMs", form: "ours" },
    ],
    isLong: true,
    prepare,
  },
];
