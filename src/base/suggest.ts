/** "Did you mean": the nearest of a closed set of names, for flags, keys, commands and paths alike. */

/**
 * The candidate nearest to `name`, or null when none is near enough to be meant.
 *
 * A third of the letters may differ (at least one) unless `distanceMax` says otherwise: more would offer names that
 * nobody meant. Cost: one small table per candidate; only ever run on a path that already failed.
 */
export function suggest(
  name: string,
  candidates: Iterable<string>,
  distanceMax?: number,
): string | null {
  const wanted = normalize(name);
  const limit = distanceMax ?? Math.max(1, Math.floor(wanted.length / 3));
  let best: string | null = null;
  let bestDistance = limit + 1;
  for (const candidate of candidates) {
    const distance = editDistance(wanted, normalize(candidate), bestDistance);
    if (distance >= bestDistance) continue;
    best = candidate;
    bestDistance = distance;
  }
  return best;
}

/** Separators and case are the commonest slips: snapshot_threshold, snapshot-threshold and snapshotThreshold. */
function normalize(name: string): string {
  return name.toLowerCase().replaceAll(/[-_]/g, "");
}

/** Levenshtein distance with swaps of neighbours as one step; `bound` or more is reported as `bound`. */
function editDistance(left: string, right: string, bound: number): number {
  if (Math.abs(left.length - right.length) >= bound) return bound;
  let beforePrevious: number[] = [];
  let previous = Array.from({ length: right.length + 1 }, (_, column) => column);
  for (let row = 1; row <= left.length; row++) {
    const current = [row];
    for (let column = 1; column <= right.length; column++) {
      const isSame = left[row - 1] === right[column - 1];
      let distance = Math.min(
        at(previous, column) + 1,
        at(current, column - 1) + 1,
        at(previous, column - 1) + (isSame ? 0 : 1),
      );
      const isSwap =
        row > 1 &&
        column > 1 &&
        left[row - 1] === right[column - 2] &&
        left[row - 2] === right[column - 1];
      if (isSwap) distance = Math.min(distance, at(beforePrevious, column - 2) + 1);
      current.push(distance);
    }
    beforePrevious = previous;
    previous = current;
  }
  return Math.min(bound, at(previous, right.length));
}

function at(row: readonly number[], column: number): number {
  return row[column] ?? 0;
}
