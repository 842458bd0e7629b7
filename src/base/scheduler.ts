import { performance } from "node:perf_hooks";

/** Longest timer that Node.js can hold, ms: 25 days. A longer one would fire at once. */
export const TIMER_MAX_MS = 0x7fff_ffff;

/**
 * Turns and timers of the event loop, as an interface: whatever runs in the simulator takes time and later turns from
 * here only, so that one seed decides when everything happens.
 */
export interface Scheduler {
  /** Monotonic ms since an arbitrary start; for durations and deadlines only. */
  monotonicMs(): number;
  /** Runs `task` in a later turn, after the input of this one (setImmediate). */
  defer(task: () => void): void;
  /**
   * Runs `task` once after at least `delayMs`. Returns its cancellation. A pending timer keeps the process alive: what
   * waits for it, as a log that is closed while the disk is full, must not end unfinished. Whoever stops cancels.
   */
  after(delayMs: number, task: () => void): () => void;
}

/**
 * What turns `monotonicMs` of this thread, by addition, into ms that all threads of the process count alike: each thread
 * counts from its own start.
 */
export const THREAD_CLOCK_MS = Number(process.hrtime.bigint()) / 1e6 - performance.now();

export const SYSTEM_SCHEDULER: Scheduler = {
  // Imported: as a global it is a getter, which costs a third of the call.
  monotonicMs: () => performance.now(),
  defer: (task) => {
    setImmediate(task);
  },
  after: (delayMs, task) => {
    const timer = setTimeout(task, delayMs);
    return () => clearTimeout(timer);
  },
};

/** A later turn of the event loop, as a promise. */
export function nextTurn(scheduler: Scheduler): Promise<void> {
  return new Promise((resolve) => scheduler.defer(resolve));
}
