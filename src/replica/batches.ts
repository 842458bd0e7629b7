/** Parts of runs of batches. Frames of the log may hold more entries than what is asked for. */

import { type Batch, sliceBatch } from "../raft/index.ts";

/** The entries of the batches up to `lastIndex`. */
export function batchesThrough(batches: readonly Batch[], lastIndex: number): readonly Batch[] {
  const taken: Batch[] = [];
  for (const batch of batches) {
    const count = Math.min(batch.count, lastIndex - batch.firstIndex + 1);
    if (count <= 0) break;
    taken.push(sliceBatch(batch, batch.firstIndex, batch.firstIndex + count - 1));
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
