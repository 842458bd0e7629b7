/**
 * Task: waits for a mark, opens a transaction at once, and digests the state in it.
 *
 * Everything that takes time is done before the mark, because main commits again right behind it: the transaction has
 * to see the state of exactly that log index.
 */

import type { MessagePort } from "node:worker_threads";
import { IndexDatabase } from "../../db/index.ts";
import type { TableDigests } from "../../protocol/index.ts";
import { readHead } from "../snapshot/image-writer.ts";
import type { DatabasePlace } from "../snapshot/messages.ts";
import { digestState } from "./digest.ts";

/** Shared words, an Int32Array: `phase` is stored by whoever goes on, and the other end is notified. */
export const DIGEST_WORDS = { phase: 0, count: 1 } as const;
export const DIGEST_PHASE = { waiting: 0, marked: 1, opened: 2, cancelled: 3 } as const;

export interface DigestRequest {
  readonly database: DatabasePlace;
  readonly words: SharedArrayBuffer;
  /** How long a mark is waited for. */
  readonly waitMs: number;
  /** Says "ready" once. Transferred. */
  readonly port: MessagePort;
}

/** Null: no mark came in time, or none is wanted any more. */
export type DigestResult = { readonly index: number; readonly tables: TableDigests } | null;

export async function runTask(request: DigestRequest): Promise<DigestResult> {
  const words = new Int32Array(request.words);
  const db = IndexDatabase.open({ ...request.database, role: "reader" });
  try {
    request.port.postMessage("ready");
    Atomics.wait(words, DIGEST_WORDS.phase, DIGEST_PHASE.waiting, request.waitMs);
    if (Atomics.load(words, DIGEST_WORDS.phase) !== DIGEST_PHASE.marked) return null;
    db.beginRead();
    try {
      Atomics.compareExchange(words, DIGEST_WORDS.phase, DIGEST_PHASE.marked, DIGEST_PHASE.opened);
      Atomics.notify(words, DIGEST_WORDS.phase);
      const { index } = readHead(db, 0);
      const tables = digestState(db, () => {
        const isCancelled = Atomics.load(words, DIGEST_WORDS.phase) === DIGEST_PHASE.cancelled;
        if (isCancelled) throw new Error("The digest is not wanted any more");
      });
      return { index, tables };
    } finally {
      db.endRead();
    }
  } finally {
    await db.close();
    request.port.close();
  }
}
