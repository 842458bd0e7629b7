/** For what has to happen within a time: on a machine that stands still meanwhile it does not, whatever is right or wrong. */

const TRIES = 3;

/** Attempts it with ten times the time of the attempt before, three times in all. Errors: those of the last one. */
export async function withMoreTime(
  firstMs: number,
  attempt: (limitMs: number) => Promise<void>,
): Promise<void> {
  for (let limitMs = firstMs, tries = 1; ; limitMs *= 10, tries++) {
    try {
      return await attempt(limitMs);
    } catch (error) {
      if (tries === TRIES) throw error;
    }
  }
}
