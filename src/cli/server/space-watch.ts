/**
 * Looks at the disks of a node while it runs.
 *
 * A leader whose disk has no room for the next segment of its log gives way: while the segment in use lasts nobody was
 * refused anything yet, and a member with room goes on. One that leads without a successor refuses writes in the end.
 *
 * Little room for the index is said, and moves the leadership once: the node is going to end, and a hand-over is
 * shorter than an election. No more than once, since it may last for days, and on all members at the same time. With
 * nearly none left a leader refuses blocks (`IndexSpace.fullProblem`).
 */
import type { Logger, Scheduler } from "../../base/index.ts";
import type { Replica } from "../../replica/index.ts";
import type { ClusterControl } from "../../service/index.ts";
import type { IndexSpace } from "./index-space.ts";
import { moveLeadership, TRANSFER_MAX_MS } from "./hand-over.ts";

/** A segment lasts longer than that under any load. */
const LOOK_MS = 250;
/** All disks may be full: the leadership must not go round faster than clients can follow. */
const AGAIN_MS = 10_000;
/**
 * At full speed an index grows by 30 to 60 MiB in that time, and what is left below the last bound is 75 MiB on a disk of 3 GiB.
 * Every five seconds, such a disk went from enough to 308 KiB between two looks.
 */
const INDEX_LOOK_MS = 1_000;

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

export type IndexWatchModules = Pick<SpaceWatchModules, "control" | "scheduler" | "logger"> & {
  readonly replica: Pick<Replica, "isServing">;
};

/** Looks at once, and until the returned function is called. */
export function followIndexSpace(
  space: Pick<IndexSpace, "look" | "problem" | "fullProblem">,
  { replica, control, scheduler, logger }: IndexWatchModules,
): () => void {
  let before: string | null = null;
  let isFull = false;
  const judge = (): void => {
    const { problem, fullProblem } = space;
    const isNew = problem !== null && before === null;
    if (problem === null && before !== null) logger.info("there is room for the index again");
    before = problem;
    if ((fullProblem !== null) !== isFull) {
      isFull = fullProblem !== null;
      if (isFull)
        logger.error("no room for more blocks: a leader refuses them", { reason: fullProblem });
      else logger.info("there is room for more blocks again");
    }
    if (!isNew) return;
    logger.warn("little room for the index: without any the node ends", { reason: problem });
    const { voters, members } = control.view();
    if (replica.isServing && voters > 1)
      void moveLeadership(members, TRANSFER_MAX_MS, { control, logger });
  };
  return followDisk(space, scheduler, judge);
}

/** Keeps what a space knows of its disk new, and calls back after each look, until the returned function is called. */
export function followDisk(
  space: Pick<IndexSpace, "look">,
  scheduler: Scheduler,
  onLooked: () => void = () => {},
): () => void {
  let hasEnded = false;
  let cancel = (): void => {};
  const look = (): void =>
    void space.look().then(() => {
      if (hasEnded) return;
      cancel = scheduler.after(INDEX_LOOK_MS, look);
      onLooked();
    });
  look();
  return () => {
    hasEnded = true;
    cancel();
  };
}
