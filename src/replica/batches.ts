/** Parts of runs of batches. Frames of the log may hold more entries than what is asked for. */

import { assert } from "../base/index.ts";
import { entriesByteLength } from "../log/index.ts";
import type { Batch } from "../raft/index.ts";

/** The entries of the batches up to `lastIndex`. */
export function batchesThrough(batches: readonly Batch[], lastIndex: number): readonly Batch[] {
  const taken: Batch[] = [];
  for (const batch of batches) {
    const count = Math.min(batch.count, lastIndex - batch.firstIndex + 1);
    if (count <= 0) break;
    taken.push(count === batch.count ? batch : firstEntries(batch, count));
  }
  return taken;
}

/**
 * The entries from `fromIndex`, where a batch must begin, up to `lastIndex`, as many as `maxBytes` hold and at least
 * one batch; null when no batch begins there.
 */
export function batchesFrom(
  batches: readonly Batch[],
  fromIndex: number,
  lastIndex: number,
  maxBytes: number,
): readonly Batch[] | null {
  const start = batches.findIndex((batch) => batch.firstIndex === fromIndex);
  if (start < 0 || lastIndex < fromIndex) return null;
  let bytes = 0;
  let end = start;
  for (; end < batches.length; end++) {
    bytes += (batches[end] as Batch).bodyBytes;
    if (end > start && bytes > maxBytes) break;
  }
  return batchesThrough(batches.slice(start, end), lastIndex);
}

function firstEntries(batch: Batch, count: number): Batch {
  const bodyBytes = entriesByteLength(batch.body, count);
  assert(bodyBytes > 0, `The batch at ${batch.firstIndex} does not hold ${count} entries`);
  return { ...batch, count, bodyBytes };
}
