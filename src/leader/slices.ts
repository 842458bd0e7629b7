/**
 * Long looks at the index on the main thread: in pieces of a millisecond with turns of the event loop between them. Each piece
 * has a transaction of its own, so that nothing borrowed may live from one to the next, and the index goes on meanwhile.
 */
import type { IndexDatabase } from "../db/index.ts";

export interface SliceModules {
  readonly db: IndexDatabase;
  /** Monotonic ms. */
  readonly monotonicMs: () => number;
  /** Ends the turn of the event loop. */
  readonly nextTurn: () => Promise<void>;
  readonly signal?: AbortSignal | undefined;
}

/** The main thread may be away for 5 ms. Far below it: garbage collection and the transaction come on top, measured 3 ms. */
const SLICE_MS = 1;

/**
 * Calls `advance`, which takes some 0.1 ms, until it says that nothing is left: false. Errors: the signal's reason, of the
 * database, or of `advance`.
 */
export async function inSlices(advance: () => boolean, modules: SliceModules): Promise<void> {
  const { db, signal, nextTurn } = modules;
  for (;;) {
    signal?.throwIfAborted();
    const untilMs = modules.monotonicMs() + SLICE_MS;
    if (!db.reading(() => hasMoreAt(untilMs, advance, modules))) return;
    await nextTurn();
  }
}

function hasMoreAt(
  untilMs: number,
  advance: () => boolean,
  { monotonicMs }: Pick<SliceModules, "monotonicMs">,
): boolean {
  do {
    if (!advance()) return false;
  } while (monotonicMs() < untilMs);
  return true;
}
