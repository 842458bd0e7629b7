import { HearthError } from "../../base/index.ts";

/**
 * Stored data that does not decode (spec W14): the answer would be wrong without a sign, so there is none.
 * The engine counts it where it leaves; the node has to rebuild its index from snapshot and log.
 */
export function dataLoss(problem: string): HearthError {
  return new HearthError("data_loss", `Cannot read the index: ${problem}`, {
    reason: "index_damaged",
    next: "Stop the node, delete its index directory and start it again: the index is rebuilt from snapshot and log",
  });
}
