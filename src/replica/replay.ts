/** Brings the state up to the log after a start, and refuses a state that does not belong to the log. */

import { type DurableLog, nextTurn } from "../log/index.ts";
import { applyFailed, mismatch } from "./errors.ts";
import type { StateMachine } from "./types.ts";

/** Errors: HearthError failed_precondition; what to do about it is in its `next`. */
export async function assertStateFitsLog(
  log: DurableLog,
  stateMachine: StateMachine,
): Promise<void> {
  const { appliedIndex, appliedTerm } = stateMachine;
  if (appliedIndex > log.lastIndex) {
    const text = `The index has applied log index ${appliedIndex}, but the log ends at ${log.lastIndex}`;
    throw mismatch("state_ahead_of_log", text);
  }
  if (appliedIndex + 1 < log.firstIndex) {
    const text = `The index ends at log index ${appliedIndex}, but the log begins at ${log.firstIndex}`;
    throw mismatch("state_behind_log", text);
  }
  if (appliedIndex < log.firstIndex) return;
  const [batch] = await log.read(appliedIndex, 0);
  if (batch !== undefined && batch.term === appliedTerm) return;
  const found = batch === undefined ? "nothing" : `term ${batch.term}`;
  const text = `The index has applied log index ${appliedIndex} of term ${appliedTerm}, but the log has ${found} there`;
  throw mismatch("state_of_other_log", text);
}

export interface ReplayTarget {
  readonly stateMachine: StateMachine;
  /** Bytes read and applied in one piece; the event loop turns between the pieces. */
  readonly maxBytes: number;
}

/** Called after each piece; false ends the replay early. */
export type ReplayProgress = (appliedIndex: number) => boolean;

/** Applies the entries of the range from the log, with a turn of the event loop after each piece. */
export async function replay(
  log: DurableLog,
  target: ReplayTarget,
  range: { readonly fromIndex: number; readonly throughIndex: number },
  onProgress: ReplayProgress,
): Promise<void> {
  let next = range.fromIndex;
  // One buffer for all pieces, with room for a frame header; a frame that is larger gets its own.
  const buffer = new Uint8Array(target.maxBytes + 4096);
  while (next <= range.throughIndex) {
    const batches = await log.read(next, target.maxBytes, buffer);
    try {
      target.stateMachine.apply(batches);
    } catch (cause) {
      throw applyFailed(next, cause);
    }
    const last = batches.at(-1);
    if (last === undefined) throw applyFailed(next, new Error("the log has no entries there"));
    next = last.firstIndex + last.count;
    if (!onProgress(next - 1)) return;
    await nextTurn();
  }
}
