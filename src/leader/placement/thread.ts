/** Main's side of the thread of the placement: started by the first request, one request at a time. */

import { assert, HearthError, TIMER_MAX_MS } from "../../base/index.ts";
import { TaskThreads } from "../../tasks/index.ts";
import type { PlacementReply, PlacementRequest } from "./messages.ts";

const ENTRY = new URL(
  `./placement-thread${import.meta.url.endsWith(".ts") ? ".ts" : ".js"}`,
  import.meta.url,
);

/** The thread keeps the rates, so it does not end for want of work. */
const IDLE_MS = TIMER_MAX_MS;
/** A cycle, a batch of samples, and a few people who look. */
const WAITING_MAX = 8;

export type ReplyOf<Kind extends PlacementReply["kind"]> = Extract<PlacementReply, { kind: Kind }>;

/** An interface, so that tests run the engine where they stand. */
export interface PlacementThread {
  /** Errors: what the thread failed with, its state is then gone; `unavailable`, reason stopping, behind `close`. */
  run(request: PlacementRequest): Promise<PlacementReply>;
  close(): Promise<void>;
}

export class OwnPlacementThread implements PlacementThread {
  #threads: TaskThreads | null = null;
  #isClosed = false;

  async run(request: PlacementRequest): Promise<PlacementReply> {
    // A cycle or a batch of samples that was under way asks again later: nobody would end a thread made then.
    if (this.#isClosed)
      throw new HearthError("unavailable", "The server is stopping", { reason: "stopping" });
    this.#threads ??= new TaskThreads({ threadsMax: 1, waitingMax: WAITING_MAX, idleMs: IDLE_MS });
    return this.#threads.run<PlacementReply>(ENTRY, request, []);
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    const threads = this.#threads;
    this.#threads = null;
    await threads?.close();
  }
}

/** The reply of the kind that belongs to the request; another one is a bug. */
export function expectReply<Kind extends PlacementReply["kind"]>(
  reply: PlacementReply,
  kind: Kind,
): ReplyOf<Kind> {
  assert(reply.kind === kind, `The placement's thread replied ${reply.kind} instead of ${kind}`);
  return reply as ReplyOf<Kind>;
}
