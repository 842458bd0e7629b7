/** Task: says that it runs, ends when it is told to, and notes that it has. */

import type { MessagePort } from "node:worker_threads";

export const SLOW_WORDS = { told: 0, ended: 1, count: 2 } as const;

export interface SlowRequest {
  readonly words: SharedArrayBuffer;
  /** Says "running" once. Transferred. */
  readonly port: MessagePort;
}

/** A test that fails leaves no thread behind for ever. */
const LIMIT_MS = 60_000;

export async function runTask({ words: shared, port }: SlowRequest): Promise<string> {
  const words = new Int32Array(shared);
  port.postMessage("running");
  Atomics.wait(words, SLOW_WORDS.told, 0, LIMIT_MS);
  Atomics.store(words, SLOW_WORDS.ended, 1);
  port.close();
  return "done";
}
