/**
 * A leader whose disk has no room for the next segment of its log gives way: while the segment in use lasts nobody was
 * refused anything yet, and a member with room goes on. One that leads without a successor refuses writes in the end.
 */
import type { Logger, Scheduler } from "../../base/index.ts";
import type { Replica } from "../../replica/index.ts";
import type { ClusterControl } from "../../service/index.ts";
import { moveLeadership, TRANSFER_MAX_MS } from "./hand-over.ts";

/** A segment lasts longer than that under any load. */
const LOOK_MS = 250;
/** All disks may be full: the leadership must not go round faster than clients can follow. */
const AGAIN_MS = 10_000;

export interface SpaceWatchModules {
  readonly replica: Pick<Replica, "space" | "isServing">;
  readonly control: Pick<ClusterControl, "view" | "transferLeadership">;
  readonly scheduler: Scheduler;
  readonly logger: Logger;
}

/** Looks until the returned function is called. */
export function followSpace(modules: SpaceWatchModules): () => void {
  const { replica, control, scheduler, logger } = modules;
  let notBeforeMs = Number.NEGATIVE_INFINITY;
  let cancel = (): void => {};
  const look = (): void => {
    cancel = scheduler.after(LOOK_MS, look);
    const { space, isServing } = replica;
    if (space === null || !isServing || scheduler.monotonicMs() < notBeforeMs) return;
    const { voters, members } = control.view();
    if (voters < 2) return;
    notBeforeMs = scheduler.monotonicMs() + AGAIN_MS;
    logger.warn("no room for the next segment of the log: the leadership moves on", {
      reason: space.text,
    });
    void moveLeadership(members, TRANSFER_MAX_MS, { control, logger });
  };
  look();
  return () => cancel();
}
