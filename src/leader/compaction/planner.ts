/** Main's side of the planner: one thread that makes one plan at a time, started by the first plan. */

import { HearthError, TIMER_MAX_MS } from "../../base/index.ts";
import { TaskThreads } from "../../tasks/index.ts";
import type { PlannerRequest, PlannerResult } from "./messages.ts";

const ENTRY = new URL(
  `./planner-thread${import.meta.url.endsWith(".ts") ? ".ts" : ".js"}`,
  import.meta.url,
);

/** The thread keeps its database open, so it does not end for want of work. */
const IDLE_MS = TIMER_MAX_MS;

/** Makes plans; an interface, so that tests plan where they stand. */
export interface Planner {
  plan(request: PlannerRequest): Promise<PlannerResult>;
  close(): Promise<void>;
}

export class ThreadPlanner implements Planner {
  #threads: TaskThreads | null = null;
  #isClosed = false;

  /** Errors: what the thread failed with, then the next plan has another thread; `unavailable` behind `close`. */
  async plan(request: PlannerRequest): Promise<PlannerResult> {
    // A round that waits for the index asks again later: nobody would close the database of a thread made then.
    if (this.#isClosed)
      throw new HearthError("unavailable", "The server is stopping", { reason: "stopping" });
    this.#threads ??= new TaskThreads({ threadsMax: 1, waitingMax: 2, idleMs: IDLE_MS });
    return this.#threads.run<PlannerResult>(ENTRY, request, []);
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    const threads = this.#threads;
    this.#threads = null;
    if (threads === null) return;
    // A thread that dies with an open database may take the process along.
    await threads.run<PlannerResult>(ENTRY, { kind: "close" }, []).catch(() => {});
    await threads.close();
  }
}
