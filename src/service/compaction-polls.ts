/**
 * Polls of compaction workers on a reader thread: checked completely here, planned and answered by main, where the
 * leader's coordinator is (src/leader/compaction). Who is gone meanwhile is given nothing.
 */

import { checkPoll, decodePollRequest } from "../protocol/index.ts";
import type { MainLink } from "./main-link.ts";
import type { SingleReply } from "./reply.ts";

/** Errors: throws HearthError invalid_argument for a poll that is none; nothing of it has happened then. */
export function pollCompactionJobs(main: MainLink, payload: Uint8Array, reply: SingleReply): void {
  // Owned, since it outlives the call; and aligned, so that results are checked where they lie.
  const owned = new Uint8Array(payload);
  const poll = decodePollRequest(owned);
  checkPoll(poll);
  const isIdle = poll.reports.length === 0 && poll.capacity > 0;
  const giveUp = main.pollCompaction(owned, isIdle ? poll.waitMs : 0, (result) => {
    if (reply.isSettled) return;
    if (result.ok) reply.end(result.reply);
    else reply.fail(result.error);
  });
  reply.onSettled = giveUp;
}
