/** Several pieces of waiting work at a time. */

/**
 * Takes items in order, `lanesMax` at a time. The first failure ends it for all, once those under way are done. Errors: that
 * failure.
 */
export async function inLanes<T>(
  items: readonly T[],
  lanesMax: number,
  work: (item: T) => Promise<void>,
): Promise<void> {
  let next = 0;
  const failures: unknown[] = [];
  const lane = async (): Promise<void> => {
    while (next < items.length && failures.length === 0) {
      try {
        await work(items[next++] as T);
      } catch (error) {
        failures.push(error);
      }
    }
  };
  await Promise.all(Array.from({ length: Math.min(lanesMax, items.length) }, lane));
  if (failures.length > 0) throw failures[0];
}
