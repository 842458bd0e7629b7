/**
 * Why a job failed, kept with it: one line per failure, numbered, the last few of them. What a worker said is a line when
 * it says so; one that fell silent gets its line when somebody else is given the job.
 *
 * ```
 * 1. worker-2: disk full
 * 2. worker-1: silent until its lease ended
 * ```
 */

import { LIMITS } from "../../protocol/index.ts";
import { workerOf } from "./owners.ts";

/** Failures that are told: a job has three by default, and nobody reads more. */
const LINES_MAX = 4;
const SILENT = "silent until its lease ended";

/** The job failed for the `number`-th time. Saying so again replaces the line. Fits what a state may hold. */
export function withReason(
  before: string,
  failure: { readonly number: number; readonly owner: string; readonly reason: string },
): string {
  const { number, owner, reason } = failure;
  const others = linesOf(before).filter((line) => !isOf(line, number));
  const text = reason.replaceAll(/\s+/g, " ").trim();
  const line = `${number}. ${workerOf(owner) ?? "?"}${text === "" ? "" : `: ${text}`}`;
  return fitted([...others, line]);
}

/** What an operator says of the job is a line without a number. */
export function withNote(before: string, note: string): string {
  return note === "" ? before : fitted([...linesOf(before), note]);
}

/** Its worker did not come back, unless it has said why. */
export function withSilence(before: string, number: number, owner: string): string {
  const isSaid = linesOf(before).some((line) => isOf(line, number));
  return isSaid ? before : withReason(before, { number, owner, reason: SILENT });
}

/** One line per failure, oldest first; what an operator said is a line like any other. */
export function linesOf(reason: string): string[] {
  return reason === "" ? [] : reason.split("\n");
}

function isOf(line: string, number: number): boolean {
  return line.startsWith(`${number}. `);
}

function fitted(lines: readonly string[]): string {
  const kept = lines.slice(-LINES_MAX);
  while (kept.length > 1 && bytesOf(kept) > LIMITS.jobReasonMaxBytes) kept.shift();
  return cut(kept.join("\n"));
}

function bytesOf(lines: readonly string[]): number {
  return Buffer.byteLength(lines.join("\n"), "utf8");
}

/** At most what a state may hold, without half a character at the end. */
function cut(text: string): string {
  let end = Math.min(text.length, LIMITS.jobReasonMaxBytes);
  while (Buffer.byteLength(text.slice(0, end), "utf8") > LIMITS.jobReasonMaxBytes) end--;
  const last = text.charCodeAt(end - 1);
  const isHalf = last >= 0xd800 && last < 0xdc00;
  return text.slice(0, isHalf ? end - 1 : end);
}
