/** A node with a million blocks of ten datasets: from start to ready after a clean stop, memory, index size. */

import { join } from "node:path";
import { connect } from "../../../src/client/index.ts";
import { ByteSink, encodeBlock } from "../../../src/protocol/index.ts";
import { type ServerProcess, startServer } from "../../../test/support/server-process.ts";
import type { BenchCase, BenchContext, PreparedCase, Sample } from "../../harness/index.ts";
import { makeBlock, serviceNames } from "../../support/block-fixture.ts";
import { anonymousMemoryBytes, processCpuUs } from "../../support/processes.ts";

const BLOCKS = 1_000_000;
const DATASETS = 10;
const SHARDS = 16;
const BATCH_BLOCKS = 500;
const BATCHES_IN_FLIGHT = 4;
const AT_MS = Date.UTC(2026, 10, 1);
const DAY_MS = 86_400_000;

function start(directory: string): Promise<ServerProcess> {
  return startServer({
    directory,
    flags: ["-hearth.reader-threads=1", "-metastore.min-ready-duration=0s", "-log.level=error"],
    readyLimitMs: 120_000,
  });
}

/** A fortnight of blocks, a thousand services. */
function* wireBlocks(): Generator<Uint8Array> {
  const services = serviceNames(1_000);
  const sink = new ByteSink();
  for (let i = 0; i < BLOCKS; i++) {
    const createdAtMs = AT_MS + Math.floor((i / BLOCKS) * 14 * DAY_MS);
    sink.reset();
    encodeBlock(
      makeBlock({
        createdAtMs,
        serial: i,
        owner: "acme",
        datasetTenant: "acme",
        shard: i % SHARDS,
        services: Array.from(
          { length: DATASETS },
          (_, k) => services[(i * 7 + k) % 1_000] as string,
        ),
        minTimeMs: createdAtMs - 60_000,
        maxTimeMs: createdAtMs,
      }),
      sink,
    );
    yield sink.copy();
  }
}

async function load(server: ServerProcess, context: BenchContext): Promise<void> {
  const client = await connect({
    endpoints: [server.endpoint],
    name: "bench",
    defaultTimeoutMs: 60_000,
  });
  const pending = new Set<Promise<unknown>>();
  let batch: Uint8Array[] = [];
  let sent = 0;
  for (const block of wireBlocks()) {
    batch.push(block);
    if (batch.length < BATCH_BLOCKS) continue;
    const write = client.addBlocks(batch).finally(() => pending.delete(write));
    pending.add(write);
    sent += batch.length;
    batch = [];
    if (pending.size >= BATCHES_IN_FLIGHT) await Promise.race(pending);
    if (sent % 100_000 === 0) context.progress(`${sent.toLocaleString("en")} blocks written`);
  }
  await Promise.all(pending);
  await client.close();
}

async function indexBytes(server: ServerProcess): Promise<number> {
  const text = await (await fetch(`${server.httpUrl}/metrics`)).text();
  return Number(/^hearth_index_bytes(?:\{[^}]*\})? (\S+)$/m.exec(text)?.[1] ?? Number.NaN);
}

async function prepare(context: BenchContext): Promise<PreparedCase> {
  const directory = join(context.directory, "node");
  let server = await start(directory);
  await load(server, context);
  const bytes = await indexBytes(server);
  context.fact("index bytes per block", Math.round(bytes / BLOCKS));
  context.fact("index bytes per dataset", Math.round(bytes / BLOCKS / DATASETS));
  return {
    ours: {
      name: "start to ready after a clean stop",
      async sample(): Promise<Sample> {
        await server.stop();
        const startedAtMs = performance.now();
        server = await start(directory);
        const wallMs = performance.now() - startedAtMs;
        const figures = { anonymousMiB: anonymousMemoryBytes(server.pid) / 1024 / 1024 };
        return { operations: 1, wallMs, cpuMs: processCpuUs(server.pid) / 1000, figures };
      },
    },
    close: async () => {
      await server.stop();
    },
  };
}

export const cases: readonly BenchCase[] = [
  {
    name: "node/restart/1000000-blocks",
    about:
      "One million blocks of ten datasets: restart to ready, memory beyond the map, index size.",
    goals: [
      { metric: "wallUs", form: "ours", atMost: 2_000_000 },
      { metric: "figure:anonymousMiB", form: "ours", atMost: 300 },
    ],
    pairs: 5,
    isLong: true,
    prepare,
  },
];
