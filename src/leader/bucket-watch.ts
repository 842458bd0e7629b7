/**
 * Asks the object store for one object every now and then: whether it can be reached is known before something depends
 * on it, and also where everything that uses it is switched off.
 */
import type { ObjectStore } from "../storage/index.ts";
import { ACTIVITY_OUTCOME, type ActivityResult, type ActivityRun } from "./activities/index.ts";

export const BUCKET_WATCH = {
  name: "bucket",
  // A page of one key; a minute is soon enough for a line in the log.
  intervalMs: 60_000,
  firstAfterMs: 1_000,
} as const;

/** A run of the activity. Errors: those of the store. */
export async function watchBucket(store: ObjectStore, run: ActivityRun): Promise<ActivityResult> {
  const options = { prefix: "", pageMaxCount: 1, signal: run.signal };
  for await (const _ of store.list(options)) {
    return { outcome: ACTIVITY_OUTCOME.done, text: `${store.name} can be listed` };
  }
  return { outcome: ACTIVITY_OUTCOME.nothing, text: `${store.name} holds no objects` };
}
