/** What a leader does beside answering, as the rest of the node sees it: something that is started, stopped and looked at. */

/** How a run ended. */
export const ACTIVITY_OUTCOME = {
  /** It did something. */
  done: "done",
  /** There was nothing to do. */
  nothing: "nothing",
  /** It could not do what it should, or only a part; the text says what, the next run tries again. */
  failed: "failed",
  /** The leadership went, or the node stops. */
  stopped: "stopped",
} as const;
export type ActivityOutcome = (typeof ACTIVITY_OUTCOME)[keyof typeof ACTIVITY_OUTCOME];

export interface ActivityResult {
  readonly outcome: ActivityOutcome;
  /** One sentence without a final period: what was done, or why not. */
  readonly text: string;
  /** Of a failure: the reason of the error, a snake_case word. */
  readonly reason?: string | undefined;
  /** Run again after this instead of the interval: there is more to do. */
  readonly againAfterMs?: number | undefined;
}

/** What a run is given. */
export interface ActivityRun {
  /** The term in which this member leads, or led when the run began. */
  readonly term: number;
  /** Aborts when the leadership is lost or the node stops; a run ends soon after. */
  readonly signal: AbortSignal;
  /** Asked right before each effect outside of the log: two leaders may overlap for a moment. */
  isLeading(): boolean;
}

export interface ActivityStatus {
  readonly name: string;
  /** False: switched off by its setting. */
  readonly isEnabled: boolean;
  /** This member leads and has started it. */
  readonly isActive: boolean;
  readonly isRunning: boolean;
  /** 0: switched off. */
  readonly intervalMs: number;
  /** Unix ms; null: no run in this process yet. Runs of members that led before are not known here. */
  readonly lastStartedAtMs: number | null;
  readonly lastDurationMs: number | null;
  readonly lastOutcome: ActivityOutcome | null;
  readonly lastText: string;
  readonly lastReason: string | null;
  /** Unix ms; null: not active. */
  readonly nextAtMs: number | null;
  /** Since the start of the process. */
  readonly runs: Readonly<Record<ActivityOutcome, number>>;
  /** Begin of the newest run that went well, Unix ms; null: none in this process. */
  readonly lastGoodAtMs: number | null;
  /** Failed runs since the last one that went well. */
  readonly failuresInRow: number;
}

/**
 * Start and stop may be called in any order and number. What one does must be harmless when the leader before still does
 * the same: proposals carry the term, everything else is idempotent.
 */
export interface LeaderActivity {
  readonly name: string;
  start(term: number): void;
  stop(): void;
  status(): ActivityStatus;
  /** A run now, whatever the timer says, or the one that is running. Errors: `not_leader` on members that do not lead. */
  runNow(): Promise<ActivityResult>;
}
