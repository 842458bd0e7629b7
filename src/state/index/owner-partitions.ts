/** Finding a partition among those of its owner, which stand in the order of their starts. */

import { DICTIONARY_EPOCH_MS } from "../../db/index.ts";
import type { OwnerState, PartitionState } from "./shard-state.ts";

/** Where a partition of that start stands or would stand. */
export function positionOf(owner: OwnerState, startMs: number): number {
  let low = 0;
  let high = owner.partitions.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((owner.partitions[middle] as PartitionState).startMs < startMs) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** Another partition of the owner in the same epoch: if there is one, then also next to the place of this one. */
export function siblingOf(owner: OwnerState, startMs: number): PartitionState | null {
  const position = positionOf(owner, startMs);
  for (const other of owner.partitions.slice(Math.max(0, position - 1), position + 1)) {
    if (epochOf(other.startMs) === epochOf(startMs)) return other;
  }
  return null;
}

/** Week of a partition, which decides its dictionary. */
export function epochOf(startMs: number): number {
  return Math.floor(startMs / DICTIONARY_EPOCH_MS);
}
