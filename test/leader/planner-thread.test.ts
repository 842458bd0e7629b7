/** What the planner's thread makes of a round of polls. */

import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { packBytes, SILENT_LOGGER } from "../../src/base/index.ts";
import { INDEX_DATABASE_DEFAULTS, IndexDatabase } from "../../src/db/index.ts";
import type { PlannerRequest, PlannerResult } from "../../src/leader/compaction/messages.ts";
import { ThreadPlanner } from "../../src/leader/compaction/planner.ts";
import { runTask } from "../../src/leader/compaction/planner-thread.ts";
import {
  COMMAND,
  encodePolicyCommand,
  encodePollRequest,
  LIMITS,
} from "../../src/protocol/index.ts";
import { STATE_DEFAULTS, StateMachine } from "../../src/state/index.ts";
import { batchOf, WINDOW_MS } from "../state/support.ts";

function pollWith(worker: string, reports: number): Uint8Array {
  return encodePollRequest({
    worker,
    requestId: 1,
    capacity: 0,
    waitMs: 0,
    reports: Array.from({ length: reports }, (_, i) => ({
      name: `${worker}-${i}`,
      token: 1,
      status: 1,
      reason: "",
      compacted: null,
    })),
  });
}

async function planOf(polls: readonly Uint8Array[]): Promise<PlannerResult> {
  const directory = mkdtempSync(join(tmpdir(), "hearth-planner-"));
  const place = { ...INDEX_DATABASE_DEFAULTS, directory };
  const db = IndexDatabase.open({ ...place, role: "writer" });
  try {
    const state = new StateMachine(STATE_DEFAULTS, { db, logger: SILENT_LOGGER });
    const payload = encodePolicyCommand("{}");
    state.apply([batchOf([{ command: COMMAND.setCompactionPolicy, payload }], { firstIndex: 1 })]);
    const request: PlannerRequest = {
      kind: "plan",
      database: { ...place, generation: db.generation },
      polls: packBytes(polls),
      nowMs: WINDOW_MS,
      term: 1,
      minIndex: 1,
      strays: undefined,
    };
    return await runTask(request);
  } finally {
    await runTask({ kind: "close" });
    await db.close();
    rmSync(directory, { recursive: true, force: true });
  }
}

test("a plan takes as many polls as it can hold the reports of, and the others wait", async () => {
  const half = LIMITS.jobsPerCommandMax / 2;
  const result = await planOf(["a", "b", "c"].map((worker) => pollWith(worker, half)));
  assert.equal(result.kind === "planned" && result.answers.areEmpty.length, 2);
});

test("one poll is always taken", async () => {
  const result = await planOf([pollWith("a", LIMITS.jobsPerCommandMax), pollWith("b", 1)]);
  assert.equal(result.kind === "planned" && result.answers.areEmpty.length, 1);
});

test("a planner that was closed makes no thread for a round that goes on", async () => {
  const planner = new ThreadPlanner();
  const request: PlannerRequest = {
    kind: "plan",
    database: { ...INDEX_DATABASE_DEFAULTS, directory: "nowhere", generation: 0 },
    polls: packBytes([pollWith("a", 1)]),
    nowMs: WINDOW_MS,
    term: 1,
    minIndex: 1,
    strays: undefined,
  };
  await planner.close();
  await assert.rejects(planner.plan(request), { code: "unavailable", reason: "stopping" });
});
