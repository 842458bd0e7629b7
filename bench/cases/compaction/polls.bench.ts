/**
 * Polls of many workers on one durable node: each refreshes the leases of four jobs. Every round is one log entry.
 *
 * The load is made of prebuilt frames, one connection per worker, as workers have: a client that made and read every
 * poll would take as much of the machine as the server.
 */

import type { HearthClient, PollRequest } from "../../../src/client/index.ts";
import { encodePollRequest, OP, REPORT_STATUS } from "../../../src/protocol/index.ts";
import { blockMeta, ulidAt } from "../../../test/state/support.ts";
import type { BenchCase, PreparedCase, Sample } from "../../harness/index.ts";
import { LOOP_PROBE, takeLoopDelay } from "../../support/loop-delay.ts";
import { processCpuUs } from "../../support/processes.ts";
import type { RawWebSocket } from "../../support/raw-websocket.ts";
import {
  isLastFrame,
  openSession,
  requestFrame,
  type ServedNode,
  startServedNode,
} from "../../support/served-node.ts";

const WORKERS = 64;
const JOBS_PER_WORKER = 4;
const BLOCKS_PER_JOB = 20;
/** Jobs in the state: those of the workers, and those of a crowd that does not poll meanwhile. */
const JOBS = 10_000;
/** Blocks that wait besides those of the jobs. */
const QUEUED_BLOCKS = 100_000;
const SHARDS = 64;
const PER_REQUEST = 4_000;
const CROWD_CAPACITY = 1_000;
/** A number that occurs once in a frame, where the number of the poll will stand. */
const MARK = 1_234_567_890_123;

/** One worker: its connection and the frame that it sends again and again, under growing numbers. */
interface Lane {
  readonly socket: RawWebSocket;
  readonly frame: Uint8Array;
  readonly number: DataView;
  requestId: number;
  /** Bytes of a full answer. */
  answerBytes: number;
}

async function prepare(directory: string): Promise<PreparedCase> {
  const node = await startServedNode(directory, 1, [LOOP_PROBE]);
  const { client } = node;
  await client.pollCompactionJobs(pollOf("first", 1, 0));
  await addBlocks(client, QUEUED_BLOCKS + JOBS * BLOCKS_PER_JOB);
  const jobs: Map<string, number>[] = [];
  for (let i = 0; i < WORKERS; i++) jobs.push(await takeJobs(client, `worker-${i}`));
  await makeCrowd(client);
  const lanes = await Promise.all(jobs.map((held, i) => openLane(node, `worker-${i}`, held)));
  return {
    ours: {
      name: `polls of ${WORKERS} workers, ${JOBS_PER_WORKER} jobs each`,
      sample: (targetMs) => sample(node, lanes, targetMs),
    },
    close: async () => {
      for (const { socket } of lanes) socket.close();
      await node.close();
    },
  };
}

function pollOf(
  worker: string,
  requestId: number,
  capacity: number,
  held: ReadonlyMap<string, number> = new Map(),
): PollRequest {
  const report = { status: REPORT_STATUS.inProgress, reason: "", compacted: null };
  const reports = [...held].map(([name, token]) => ({ ...report, name, token }));
  return { worker, requestId, capacity, waitMs: 0, reports };
}

/** Polls until the worker holds its jobs. */
async function takeJobs(client: HearthClient, worker: string): Promise<Map<string, number>> {
  const held = new Map<string, number>();
  for (let requestId = 1; held.size < JOBS_PER_WORKER; requestId++) {
    const poll = pollOf(worker, requestId, JOBS_PER_WORKER - held.size, held);
    const { assignments } = await client.pollCompactionJobs(poll);
    for (const { name, token } of assignments) held.set(name, token);
  }
  return held;
}

/** The other jobs, all handed out. */
async function makeCrowd(client: HearthClient): Promise<void> {
  let given = WORKERS * JOBS_PER_WORKER;
  for (let requestId = 1; given < JOBS; requestId++) {
    const poll = pollOf("crowd", requestId, Math.min(CROWD_CAPACITY, JOBS - given));
    const { jobs } = await client.pollCompactionJobs(poll);
    given += jobs.length;
    if (requestId > 2 && jobs.length === 0) throw new Error(`There are ${given} jobs only`);
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

async function openLane(
  node: ServedNode,
  worker: string,
  held: ReadonlyMap<string, number>,
): Promise<Lane> {
  const socket = await openSession(node.port);
  const payload = encodePollRequest(pollOf(worker, MARK, 0, held));
  const frame = requestFrame(OP.poll_compaction_jobs, 1, payload);
  const number = new DataView(frame.buffer, offsetOfMark(frame), 8);
  const lane: Lane = { socket, frame, number, requestId: 1_000, answerBytes: 0 };
  const { jobs, assignments } = await node.client.pollCompactionJobs(pollOf(worker, 999, 0, held));
  if (jobs.length > 0 || assignments.length !== JOBS_PER_WORKER) {
    throw new Error(`${worker} has ${assignments.length} jobs`);
  }
  return lane;
}

function offsetOfMark(frame: Uint8Array): number {
  const mark = Buffer.alloc(8);
  mark.writeDoubleLE(MARK);
  const offset = Buffer.from(frame.buffer, 0, frame.length).indexOf(mark);
  if (offset < 0) throw new Error("The frame has no number");
  return offset;
}

async function sample(
  { server }: ServedNode,
  lanes: readonly Lane[],
  targetMs: number,
): Promise<Sample> {
  const latencies: number[] = [];
  await takeLoopDelay(server);
  const cpuUs = processCpuUs(server.pid);
  const startedAtMs = performance.now();
  await Promise.all(lanes.map((lane) => runLane(lane, startedAtMs + targetMs, latencies)));
  const wallMs = performance.now() - startedAtMs;
  const cpuMs = (processCpuUs(server.pid) - cpuUs) / 1_000;
  const { p99Ms } = await takeLoopDelay(server);
  return {
    operations: Math.max(1, latencies.length),
    wallMs,
    cpuMs,
    latenciesUs: Float64Array.from(latencies),
    figures: { loopDelayP99Ms: p99Ms },
  };
}

/** One poll after the other until the time is over. */
function runLane(lane: Lane, endAtMs: number, latencies: number[]): Promise<void> {
  return new Promise((resolve, reject) => {
    let sentAtMs = 0;
    const send = (): void => {
      lane.number.setFloat64(0, ++lane.requestId, true);
      sentAtMs = performance.now();
      lane.socket.write(lane.frame);
    };
    lane.socket.onMessage = (buffer, start, end) => {
      if (!isLastFrame(buffer, start)) return;
      // Names and tokens stay the same: an answer of another length has lost a job.
      lane.answerBytes ||= end - start;
      if (end - start !== lane.answerBytes) reject(new Error("A worker lost a job"));
      const nowMs = performance.now();
      latencies.push((nowMs - sentAtMs) * 1_000);
      if (nowMs < endAtMs) send();
      else resolve();
    };
    send();
  });
}

export const cases: readonly BenchCase[] = [
  {
    name: "compaction/polls/64-workers",
    about:
      "Polls of 64 workers with four jobs each on one durable node, 10,000 jobs and 100,000 queued blocks.",
    goals: [
      { metric: "rate", form: "ours", atLeast: 5_000 },
      {
        metric: "figure:loopDelayP99Ms",
        form: "ours",
        atMost: 10,
        note: "How much later than planned the main thread ran a timer.",
      },
    ],
    isLong: true,
    sampleMs: 1_000,
    prepare: ({ directory }) => prepare(directory),
  },
];
