/** The reader thread of commit.test.ts: asks for a grant, and reads until its transaction has what was granted. */

import assert from "node:assert/strict";
import { parentPort, workerData } from "node:worker_threads";
import { APPLIED_RECORD, IndexDatabase, META_KEYS } from "../../src/db/index.ts";
import { SharedState } from "../../src/read/index.ts";

/** Pauses between reads, so that main goes back to committing late in between. */
const PAUSES_MS = [0, 1, 5, 20, 150];
const READS = 60;

const { directory, mapSizeBytes } = workerData as { directory: string; mapSizeBytes: number };
const shared = SharedState.attach(workerData.shared as SharedArrayBuffer);
const acked = new Int32Array(workerData.acked as SharedArrayBuffer);
const db = IndexDatabase.open({ directory, mapSizeBytes, role: "reader" });

function appliedIndex(): number {
  db.beginRead();
  const bytes = db.get("meta", META_KEYS.applied);
  const index = bytes < 0 ? 0 : (db.f64[APPLIED_RECORD.index64] as number);
  db.endRead();
  return index;
}

let waited = 0;
let missed = 0;
let longestMs = 0;
for (let i = 0; i < READS; i++) {
  const acknowledged = Atomics.load(acked, 0);
  const granted = shared.tryGrantRead();
  assert.ok(granted >= 0, "the only voter grants reads");
  if (granted < acknowledged) missed += 1;
  const startedAtMs = performance.now();
  let hasWaited = false;
  for (;;) {
    const { wakeCount } = shared;
    if (appliedIndex() >= granted) break;
    hasWaited = true;
    // A timer beside it keeps this thread alive; it is not what ends the wait.
    const alive = setTimeout(() => {}, 60_000);
    await shared.waitForPublish(wakeCount);
    clearTimeout(alive);
  }
  if (hasWaited) waited += 1;
  longestMs = Math.max(longestMs, performance.now() - startedAtMs);
  const pauseMs = PAUSES_MS[i % PAUSES_MS.length] as number;
  await new Promise((resolve) => setTimeout(resolve, pauseMs));
}
await db.close();
parentPort?.postMessage({ reads: READS, waited, missed, longestMs });
