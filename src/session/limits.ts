/**
 * Numbers that decide what the session table does with an entry. They are the same on every member and for every
 * replay of a log, so they are no settings; changing one needs a new command version.
 */

export interface SessionLimits {
  /** Sessions at a time; one more takes the place of the one that was used longest ago. */
  readonly sessionsMax: number;
  /** Sequences above the acknowledged ones that may be executed: writes under way, and answers kept, per session. */
  readonly windowMax: number;
  /** One answer. */
  readonly answerMaxBytes: number;
  /** A session that is not used for this long by the time of the log is gone, ms. */
  readonly idleMs: number;
  /** Idle sessions removed per entry, so that one entry after a long pause is no long job. */
  readonly evictionsPerEntry: number;
}

export const SESSION_LIMITS: SessionLimits = {
  // Every connection of every writer may have one. All full of the largest answers: 4096 x 256 x 0.3 kB = 290 MB.
  sessionsMax: 4_096,
  // Above the requests that a server takes in flight from one connection.
  windowMax: 256,
  // An outcome is a few bytes.
  answerMaxBytes: 256,
  // Far above every retry budget; writers that live send something every few seconds.
  idleMs: 3_600_000,
  // More than the one that an entry may open, so that the idle ones become fewer. Good enough.
  evictionsPerEntry: 4,
};
