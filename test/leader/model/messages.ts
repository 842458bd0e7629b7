/** Between the test and the threads that play its worlds. */

/** Worlds of one database, one after the other. */
export interface Task {
  readonly seed: number;
  readonly worlds: number;
  /** Holds the index against itself at the end. */
  readonly verifies: boolean;
}

/** What happened in all of them. */
export interface Sums {
  /** Blocks that retention took. */
  retired: number;
  kept: number;
  requested: number;
  verified: number;
  opened: number;
  /** Objects that leaders deleted. */
  objects: number;
  /** Results of compaction that came for deleted tenants. */
  late: number;
  refused: number;
  jumps: number;
  overlaps: number;
  failures: number;
  /** Changes of a tenant's period. */
  periods: number;
}

export type TaskResult =
  | { readonly sums: Sums; readonly error: null }
  | { readonly sums: null; readonly error: string };

export function noSums(): Sums {
  return {
    retired: 0,
    kept: 0,
    requested: 0,
    verified: 0,
    opened: 0,
    objects: 0,
    late: 0,
    refused: 0,
    jumps: 0,
    overlaps: 0,
    failures: 0,
    periods: 0,
  };
}
