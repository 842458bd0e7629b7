/** What applying costs the readers: queries on a thread of their own while main applies 20,000 blocks a second. */

import { once } from "node:events";
import { join } from "node:path";
import { Worker } from "node:worker_threads";
import { appendAddBlockEntry, ByteSink } from "../../../src/protocol/index.ts";
import type { QueryParams } from "../../../src/read/index.ts";
import type { StateMachine } from "../../../src/state/index.ts";
import type {
  BenchCase,
  BenchContext,
  PreparedCase,
  Sample,
  Subject,
} from "../../harness/index.ts";
import { makeBlock, serviceNames } from "../../support/block-fixture.ts";
import { IndexBuilder } from "../../support/index-builder.ts";
import { SegmentSource } from "../../support/node-in-process.ts";
import type { QueryThreadOptions } from "../../support/query-thread.ts";

const AT_MS = Date.UTC(2026, 10, 22, 12);
const PUTS_PER_SEC = 20_000;
const BATCH_MS = 5;

const QUERY: QueryParams = {
  tenants: ["acme"],
  startMs: AT_MS,
  endMs: AT_MS + 600_000,
  selector: '{service_name="wanted"}',
  labels: ["service_name"],
};

function fill(builder: IndexBuilder): void {
  const services = serviceNames(100);
  for (let i = 0; i < 5_000; i++) {
    builder.add(
      makeBlock({
        createdAtMs: AT_MS + i * 100,
        serial: i,
        owner: "acme",
        datasetTenant: "acme",
        shard: i % 4,
        services: i % 250 === 0 ? ["wanted"] : [services[i % 100] as string],
        minTimeMs: AT_MS + i * 100,
        maxTimeMs: AT_MS + i * 100 + 1_000,
      }),
    );
  }
  builder.finish();
}

/** Applies batches every few milliseconds until told to stop; resolves with the blocks applied. */
async function applyUntil(
  state: StateMachine,
  source: SegmentSource,
  isOver: () => boolean,
): Promise<number> {
  const startedAtMs = performance.now();
  let applied = 0;
  while (!isOver()) {
    const due = Math.floor(((performance.now() - startedAtMs) / 1000) * PUTS_PER_SEC) - applied;
    if (due > 0) applyBatch(state, source, due);
    applied += Math.max(0, due);
    await new Promise((resolve) => setTimeout(resolve, BATCH_MS));
  }
  return applied;
}

function applyBatch(state: StateMachine, source: SegmentSource, count: number): void {
  const body = new ByteSink(count * 1024);
  for (let i = 0; i < count; i++) appendAddBlockEntry(body, source.nextBlock());
  state.apply([
    {
      firstIndex: state.appliedIndex + 1,
      term: 1,
      appendedAtMs: state.appliedAtMs,
      count,
      body: body.u8,
      bodyBytes: body.length,
    },
  ]);
}

async function prepare(context: BenchContext): Promise<PreparedCase> {
  const directory = join(context.directory, "index");
  const builder = new IndexBuilder(directory);
  fill(builder);
  const source = new SegmentSource();
  const workerData: QueryThreadOptions = { directory, query: QUERY };
  const thread = new Worker(new URL("../../support/query-thread.js", import.meta.url), {
    workerData,
  });
  await once(thread, "message");
  const read = async (targetMs: number): Promise<Sample> => {
    thread.postMessage(targetMs);
    const [{ count, wallMs }] = (await once(thread, "message")) as [
      { count: number; wallMs: number },
    ];
    return { operations: count, wallMs, cpuMs: wallMs };
  };
  const whileApplying: Subject = {
    name: "queries while 20k blocks/s are applied",
    async sample(targetMs) {
      let isOver = false;
      const applying = applyUntil(builder.state, source, () => isOver);
      const sample = await read(targetMs);
      isOver = true;
      const applied = await applying;
      return { ...sample, figures: { appliedPerSec: (applied / sample.wallMs) * 1000 } };
    },
  };
  return {
    ours: whileApplying,
    limit: { name: "queries alone", sample: read },
    close: async () => {
      await thread.terminate();
      await builder.close();
    },
  };
}

export const cases: readonly BenchCase[] = [
  {
    name: "read/query/while-applying",
    about:
      "Queries of one thread while main applies 20,000 blocks a second, against queries alone.",
    goals: [
      { metric: "rate", form: "ours/limit", atLeast: 0.75 },
      { metric: "figure:appliedPerSec", form: "ours", atLeast: 15_000 },
    ],
    sampleMs: 300,
    prepare,
  },
];
