/** Polls of many workers on one durable node: each refreshes the leases of four jobs. Every round is one log entry. */

import { connect, type HearthClient, type PollRequest } from "../../../src/client/index.ts";
import { REPORT_STATUS } from "../../../src/protocol/index.ts";
import { blockMeta, ulidAt } from "../../../test/state/support.ts";
import { type BenchCase, type PreparedCase, repeatAsync } from "../../harness/index.ts";
import { startServedNode } from "../../support/served-node.ts";

const WORKERS = 64;
const JOBS_PER_WORKER = 4;
const BLOCKS_PER_JOB = 20;
/** Blocks that wait besides those of the jobs. */
const QUEUED_BLOCKS = 100_000;
const SHARDS = 64;
const PER_REQUEST = 4_000;

interface Worker {
  readonly name: string;
  requestId: number;
  readonly jobs: Map<string, number>;
}

async function prepare(directory: string): Promise<PreparedCase> {
  const node = await startServedNode(directory, 1);
  // Connections of their own, so that workers do not wait for one another.
  const clients = await Promise.all(
    Array.from({ length: 8 }, (_, i) =>
      connect({ endpoints: [node.server.endpoint], name: `bench-${i}`, defaultTimeoutMs: 60_000 }),
    ),
  );
  const first = clients[0] as HearthClient;
  const workers = Array.from({ length: WORKERS }, (_, i) => createWorker(`worker-${i}`));
  await first.pollCompactionJobs(pollOf(createWorker("first"), 0));
  await addBlocks(first, QUEUED_BLOCKS + WORKERS * JOBS_PER_WORKER * BLOCKS_PER_JOB);
  const clientOf = (i: number): HearthClient => clients[i % clients.length] as HearthClient;
  await Promise.all(workers.map((worker, i) => fill(clientOf(i), worker)));
  let next = 0;
  const poll = async (): Promise<void> => {
    const i = next++ % WORKERS;
    const worker = workers[i] as Worker;
    const reply = await clientOf(i).pollCompactionJobs(pollOf(worker, 0));
    if (reply.assignments.length !== JOBS_PER_WORKER) {
      throw new Error(`${worker.name} keeps ${reply.assignments.length} jobs`);
    }
  };
  return {
    ours: repeatAsync(`polls of ${WORKERS} workers, ${JOBS_PER_WORKER} jobs each`, poll, {
      inFlight: WORKERS,
      hasLatencies: true,
    }),
    close: async () => {
      await Promise.all(clients.map((client) => client.close()));
      await node.close();
    },
  };
}

function createWorker(name: string): Worker {
  return { name, requestId: 0, jobs: new Map() };
}

function pollOf(worker: Worker, capacity: number): PollRequest {
  const reports = [...worker.jobs].map(([name, token]) => ({
    name,
    token,
    status: REPORT_STATUS.inProgress,
    reason: "",
    compacted: null,
  }));
  return { worker: worker.name, requestId: ++worker.requestId, capacity, waitMs: 0, reports };
}

/** Polls until the worker holds its jobs. */
async function fill(client: HearthClient, worker: Worker): Promise<void> {
  while (worker.jobs.size < JOBS_PER_WORKER) {
    const poll = pollOf(worker, JOBS_PER_WORKER - worker.jobs.size);
    const { assignments } = await client.pollCompactionJobs(poll);
    for (const { name, token } of assignments) worker.jobs.set(name, token);
  }
}

async function addBlocks(client: HearthClient, count: number): Promise<void> {
  const nowMs = Date.now();
  for (let at = 0; at < count; at += PER_REQUEST) {
    const blocks = Array.from({ length: Math.min(PER_REQUEST, count - at) }, (_, i) =>
      blockMeta({ id: ulidAt(nowMs, at + i), shard: (at + i) % SHARDS }),
    );
    await client.addBlocks(blocks);
  }
}

export const cases: readonly BenchCase[] = [
  {
    name: "compaction/polls/64-workers",
    about: "Polls of 64 workers with four jobs each on one durable node, 100,000 blocks queued.",
    goals: [{ metric: "rate", form: "ours", atLeast: 5_000 }],
    isLong: true,
    sampleMs: 1_000,
    prepare: ({ directory }) => prepare(directory),
  },
];
