/**
 * Polls with more results than one plan takes: the contract bounds a poll by the size of its message alone, and a worker
 * that could not report for a while brings all of it at once, again and again until it is taken.
 *
 *   poll ──> reports without results, and a sign of life of the other jobs ──> results, part by part ──> with the last: capacity
 *
 * The parts are polls of their own, one after the other, so that one log entry holds each. Every job is reported in the
 * first one: no lease of theirs ends meanwhile. One answer for all of them; where a part fails, the poll does, and the
 * worker repeats it: what was taken then is not known any more, which costs it nothing.
 */

import {
  checkPoll,
  decodePollReply,
  encodePollReply,
  encodePollRequest,
  type JobReport,
  LIMITS,
  type PollReply,
  type PollRequest,
  REPORT_STATUS,
} from "../protocol/index.ts";
import { pollCompactionJobs, releaseJobs } from "./compaction-polls.ts";
import type { MainLink } from "./main-link.ts";
import type { SingleReply } from "./reply.ts";

/** As much as the coordinator plans at once. A single result may be larger. */
const PART_MAX_BYTES = 4 * 1024 * 1024;

/** Errors: throws HearthError invalid_argument for a poll that is none; nothing of it has happened then. */
export function pollInParts(main: MainLink, poll: PollRequest, reply: SingleReply): void {
  const parts = partsOf(poll);
  const [only] = parts;
  if (parts.length === 1 && only !== undefined) {
    pollCompactionJobs(main, encodePollRequest(only), reply);
    return;
  }
  // Before the first one leaves.
  for (const part of parts) checkPoll(part);
  new PartedPoll(main, parts, reply).next();
}

function partsOf(poll: PollRequest): readonly PollRequest[] {
  const withResults = poll.reports.filter(({ compacted }) => compacted !== null);
  const groups = groupsOf(withResults);
  if (groups.length <= 1) return [poll];
  const first = poll.reports.map((report) => (report.compacted === null ? report : alive(report)));
  return [first, ...groups].map((reports, i) => ({
    ...poll,
    reports,
    capacity: i === groups.length ? poll.capacity : 0,
  }));
}

function alive(report: JobReport): JobReport {
  return { ...report, status: REPORT_STATUS.inProgress, compacted: null };
}

function groupsOf(reports: readonly JobReport[]): JobReport[][] {
  const groups: JobReport[][] = [];
  let bytes = 0;
  let blocks = 0;
  for (const report of reports) {
    const { newBlocks } = report.compacted ?? { newBlocks: [] };
    const size = newBlocks.reduce((sum, { length }) => sum + length, 0);
    bytes += size;
    blocks += newBlocks.length;
    const group = groups.at(-1);
    if (group !== undefined && bytes <= PART_MAX_BYTES && blocks <= LIMITS.resultsPerPollMax) {
      group.push(report);
      continue;
    }
    groups.push([report]);
    bytes = size;
    blocks = newBlocks.length;
  }
  return groups;
}

class PartedPoll {
  readonly #main: MainLink;
  readonly #parts: readonly PollRequest[];
  readonly #reply: SingleReply;
  readonly #answers: PollReply[] = [];

  constructor(main: MainLink, parts: readonly PollRequest[], reply: SingleReply) {
    this.#main = main;
    this.#parts = parts;
    this.#reply = reply;
  }

  next(): void {
    const part = this.#parts[this.#answers.length] as PollRequest;
    // Owned, since it outlives the call.
    const payload = new Uint8Array(encodePollRequest(part));
    this.#reply.onSettled = this.#main.pollCompaction(payload, 0, (result) => {
      if (result.ok) this.#answers.push(decodePollReply(result.reply));
      if (this.#reply.isSettled || !result.ok) {
        releaseJobs(this.#main, this.#whole());
        if (!result.ok && !this.#reply.isSettled) this.#reply.fail(result.error);
      } else if (this.#answers.length < this.#parts.length) this.next();
      else this.#reply.end(encodePollReply(this.#whole()));
    });
  }

  /** Leases that go on come first, then those of the jobs that were given. */
  #whole(): PollReply {
    const jobs = this.#answers.flatMap((answer) => answer.jobs);
    const given = new Set(jobs.map(({ name }) => name));
    const done = new Set(this.#parts.slice(1).flatMap(({ reports }) => reports.map(nameOf)));
    const all = this.#answers.flatMap(({ assignments }) => assignments);
    const refreshed = all.filter(({ name }) => !given.has(name) && !done.has(name));
    return { jobs, assignments: [...refreshed, ...all.filter(({ name }) => given.has(name))] };
  }
}

function nameOf({ name }: JobReport): string {
  return name;
}
