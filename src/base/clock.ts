/** The only way to the wall clock outside of edges; simulated in tests. */
export interface Clock {
  /** Unix time in ms. May jump. */
  nowMs(): number;
}

export const SYSTEM_CLOCK: Clock = { nowMs: () => Date.now() };
