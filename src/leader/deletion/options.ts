/** Settings of the deletion of tenants. */

export interface DeletionOptions {
  /** Between two looks; 0: switched off, tenants stay hidden and nothing of them is removed. */
  readonly intervalMs: number;
}

export const DELETION_DEFAULTS = {
  // A look at nothing is a comparison of numbers.
  intervalMs: 2_000,
  // Longer than dead letters, late workers and segments of a writer that was cut off are on their way.
  closedForMs: 7 * 24 * 3_600_000,
} as const;
