/**
 * The first part of an orderly stop of a cluster's member (spec raft-and-cluster, 11): the leadership moves on while this
 * node still answers, and clients get the time to notice. Bounded by the stop's own limit, half of which is left for
 * what follows.
 */
import { type Logger, type Scheduler, toHearthError } from "../../base/index.ts";
import type { ClusterControl, MemberView } from "../../service/index.ts";

export interface HandOverOptions {
  /** How long clients may take to notice (metastore.min-ready-duration). */
  readonly lingerMs: number;
  /** Of the whole stop. */
  readonly timeoutMs: number;
}

export interface HandOverModules {
  readonly control: Pick<ClusterControl, "view" | "transferLeadership">;
  readonly scheduler: Scheduler;
  readonly logger: Logger;
  /** What goes on, for /ready. */
  readonly onDoing: (text: string) => void;
  /** Nobody waits for this node any more: clients that watch its health are told, and have the rest of the time to leave. */
  readonly onLeaving: () => void;
}

/** An election takes a round trip or two; a target that does not win within this time will not. */
export const TRANSFER_MAX_MS = 3_000;

/** Never rejects: a stop goes on without a successor. */
export async function handOver(options: HandOverOptions, modules: HandOverModules): Promise<void> {
  const { control, scheduler, onDoing, onLeaving } = modules;
  const { lingerMs, timeoutMs } = options;
  const { voters, members } = control.view();
  const self = members.find(({ isSelf }) => isSelf);
  if (self === undefined || voters < 2) {
    onLeaving();
    return;
  }
  const moved = self.isLeader ? await moveOn(members, timeoutMs, modules) : null;
  onLeaving();
  onDoing(moved ?? "requests are answered until clients have noticed");
  const leftMs = Math.min(lingerMs, timeoutMs / 2);
  if (leftMs > 0) await new Promise<void>((resolve) => scheduler.after(leftMs, resolve));
}

const NOBODY = "nobody could take the leadership";

/** What became of the leadership, in words. */
function moveOn(
  members: readonly MemberView[],
  timeoutMs: number,
  { control, logger, onDoing }: HandOverModules,
): Promise<string> {
  const onMoving = (): void => onDoing("handing over the leadership");
  const limitMs = Math.min(TRANSFER_MAX_MS, timeoutMs / 4);
  return moveLeadership(members, limitMs, { control, logger, onMoving });
}

export interface MoveModules extends Pick<HandOverModules, "control" | "logger"> {
  /** There is a successor. */
  readonly onMoving?: () => void;
}

/** From this node to the voter that is nearest. Never rejects: what became of it is said in words, and in the log. */
export async function moveLeadership(
  members: readonly MemberView[],
  timeoutMs: number,
  { control, logger, onMoving }: MoveModules,
): Promise<string> {
  const hasSuccessor = members.some(
    ({ isSelf, suffrage, isConnected }) => !isSelf && suffrage === "voter" && isConnected,
  );
  // Where all members stop at once there is nobody whose word could be waited for.
  if (!hasSuccessor) {
    logger.warn("leadership was not handed over", { reason: "no other voter is connected" });
    return NOBODY;
  }
  onMoving?.();
  try {
    await control.transferLeadership({ serverId: null, timeoutMs });
    const { leader } = control.view();
    logger.info("leadership was handed over", { leader: leader?.id ?? "" });
    return `leadership moved to ${leader?.id ?? "another member"}`;
  } catch (error) {
    logger.warn("leadership was not handed over", { reason: toHearthError(error).message });
    return NOBODY;
  }
}
