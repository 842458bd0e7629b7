/** Carries the demand of reader threads for what was acknowledged to the replica, which then commits at once. */

import type { Scheduler } from "../../base/index.ts";
import type { SharedState } from "../../read/index.ts";
import type { Replica } from "../../replica/index.ts";

/**
 * Reads are asked about again after this time; the replica stays in the mode in which no read waits for longer
 * (eagerCommitMs), so that a steady stream of reads keeps it there.
 */
const ASK_AGAIN_MS = 50;

/** Returns the function that ends it. */
export function followDemand(
  shared: Pick<SharedState, "waitForDemand" | "takeDemand">,
  replica: Pick<Replica, "demandCommit">,
  scheduler: Scheduler,
): () => void {
  let isOver = false;
  const wait = (): void => {
    if (isOver) return;
    shared.takeDemand();
    void shared.waitForDemand().then(() => {
      if (isOver) return;
      replica.demandCommit();
      scheduler.after(ASK_AGAIN_MS, wait);
    });
  };
  wait();
  return () => {
    isOver = true;
  };
}
