/** Pauses between repeats: full jitter, so that clients that failed together do not come back together. */

/** A random pause in [0, min(maxMs, minMs * 2^attempt)], ms. `attempt` counts from 0. */
export function jitteredDelayMs(attempt: number, minMs: number, maxMs: number): number {
  // Beyond 2^30 every sensible maximum is reached; the cap keeps the power exact.
  const ceiling = Math.min(maxMs, minMs * 2 ** Math.min(attempt, 30));
  return Math.random() * ceiling;
}

/** The values in random order: clients that start together spread over the members. */
export function shuffled<T>(values: readonly T[]): T[] {
  const result = [...values];
  for (let i = result.length - 1; i > 0; i--) {
    const j = Math.floor(Math.random() * (i + 1));
    const value = result[i] as T;
    result[i] = result[j] as T;
    result[j] = value;
  }
  return result;
}
