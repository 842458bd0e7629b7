/**
 * Polls of compaction workers on a reader thread: checked completely here, planned and answered by main, where the
 * leader's coordinator is (src/leader/compaction). Who is gone meanwhile is given nothing: a poll that is not planned yet
 * is left out, and jobs of an answer that has nobody left to go to are given back at once.
 */

import {
  checkPoll,
  decodePollReply,
  decodePollRequest,
  encodePollRequest,
  type PollReply,
  REPORT_STATUS,
} from "../protocol/index.ts";
import type { MainLink } from "./main-link.ts";
import type { SingleReply } from "./reply.ts";

/** Errors: throws HearthError invalid_argument for a poll that is none; nothing of it has happened then. */
export function pollCompactionJobs(main: MainLink, payload: Uint8Array, reply: SingleReply): void {
  // Owned, since it outlives the call; and aligned, so that results are checked where they lie.
  const owned = new Uint8Array(payload);
  const poll = decodePollRequest(owned);
  checkPoll(poll);
  const { worker, capacity, waitMs } = poll;
  const isIdle = poll.reports.length === 0 && capacity > 0;
  const giveUp = main.pollCompaction(owned, isIdle ? waitMs : 0, (result) => {
    if (reply.isSettled) {
      // A worker with a name repeats its poll, and is then told the same.
      if (result.ok && worker === "") releaseJobs(main, decodePollReply(result.reply));
    } else if (result.ok) reply.end(result.reply);
    else reply.fail(result.error);
  });
  reply.onSettled = giveUp;
}

/** Gives the jobs of an answer back. Where that fails, too, the leases end by themselves. */
export function releaseJobs(main: MainLink, { jobs, assignments }: PollReply): void {
  if (jobs.length === 0) return;
  const names = new Set(jobs.map(({ name }) => name));
  const reports = assignments
    .filter(({ name }) => names.has(name))
    .map(({ name, token }) => ({
      name,
      token,
      status: REPORT_STATUS.released,
      reason: "",
      compacted: null,
    }));
  const poll = { worker: "", requestId: 0, capacity: 0, waitMs: 0, reports };
  main.pollCompaction(encodePollRequest(poll), 0, () => {});
}
