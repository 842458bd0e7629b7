/** The cost of planning jobs: it follows the jobs that are planned, not the blocks that wait. */

import { join } from "node:path";
import { SILENT_LOGGER } from "../../../src/base/index.ts";
import { IndexDatabase } from "../../../src/db/index.ts";
import { COMMAND, encodePolicyCommand } from "../../../src/protocol/index.ts";
import {
  COMPACTION_DEFAULTS,
  prepare as preparePlan,
  STATE_DEFAULTS,
  StateMachine,
} from "../../../src/state/index.ts";
import { batchOf, type BlockSpec, entry, ulidAt, WINDOW_MS } from "../../../test/state/support.ts";
import { type BenchCase, type PreparedCase, repeat, type Subject } from "../../harness/index.ts";

const SHARDS = 64;
const JOBS = 32;
const PER_ENTRY = 4_096;

interface Queue {
  readonly subject: Subject;
  close(): Promise<void>;
}

/** A queue of that many blocks, and a plan of 32 new jobs over and over; the operation is one plan. */
function buildQueue(directory: string, blocksCount: number): Queue {
  const db = IndexDatabase.open({ directory, mapSizeBytes: 64 * 1024 ** 3, role: "writer" });
  const state = new StateMachine(STATE_DEFAULTS, { db, logger: SILENT_LOGGER });
  const json = JSON.stringify(COMPACTION_DEFAULTS);
  const policy = { command: COMMAND.setCompactionPolicy, payload: encodePolicyCommand(json) };
  state.apply([batchOf([policy], { firstIndex: 1 })]);
  for (let at = 0; at < blocksCount; at += PER_ENTRY) {
    const blocks: BlockSpec[] = [];
    for (let i = at; i < Math.min(blocksCount, at + PER_ENTRY); i++) {
      blocks.push({ id: ulidAt(WINDOW_MS + Math.floor(i / 100), i), shard: i % SHARDS });
    }
    const firstIndex = state.appliedIndex + 1;
    state.apply([batchOf([entry.addBlocks(...blocks)], { firstIndex })]);
  }
  const poll = { worker: "w", requestId: 1, capacity: JOBS, reports: [] };
  const options = { nowMs: WINDOW_MS + 10_000, token: 2 * blocksCount, term: 1 };
  const planOnce = (): void => {
    db.beginRead();
    const prepared = preparePlan(db, [poll], options);
    db.endRead();
    if (prepared?.plan.newJobs.length !== JOBS)
      throw new Error("The plan is not what it should be");
  };
  const subject = repeat(`plan of ${JOBS} jobs, ${blocksCount} blocks queued`, planOnce);
  return { subject, close: () => db.close() };
}

async function prepare(directory: string, blocksCount: number): Promise<PreparedCase> {
  const large = buildQueue(join(directory, "large"), blocksCount);
  const small = buildQueue(join(directory, "small"), 10_000);
  return {
    ours: large.subject,
    limit: small.subject,
    close: async () => {
      await large.close();
      await small.close();
    },
  };
}

export const cases: readonly BenchCase[] = [
  {
    name: "compaction/plan/1m-queued",
    about: "A plan of 32 jobs with a million blocks queued, against one with ten thousand.",
    goals: [{ metric: "cpuUs", form: "ours/limit", atMost: 1.3 }],
    isLong: true,
    prepare: ({ directory }) => prepare(directory, 1_000_000),
  },
  {
    name: "compaction/plan/100k-queued",
    about:
      "A plan of 32 jobs with a hundred thousand blocks queued, against one with ten thousand.",
    goals: [{ metric: "cpuUs", form: "ours/limit", atMost: 1.3 }],
    prepare: ({ directory }) => prepare(directory, 100_000),
  },
];
