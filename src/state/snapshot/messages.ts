/**
 * What main says to the threads that take and fill images, and hears of them.
 *
 *   take:  main ── TakeRequest ──────────────────> thread     (task)
 *          main <── opened, frame*, end ──────────            (port; frames are transferred)
 *          main ── credits, stop ────────────────>            (shared words)
 *
 *   fill:  main ── FillRequest ──────────────────> thread     (task)
 *          main ── bytes*, end | stop ───────────>            (port)
 *          main <── taken* ───────────────────────            (port; one per `bytes`)
 *
 * The end of the task is the end of everything: it resolves, or rejects with a JSON of PlainFailure as its message.
 *
 * Shared words of taking, an Int32Array. The thread never returns to its event loop while it scans, so that nothing
 * can come between it and its transaction; hence no messages to it.
 *
 * | word | field   | writer            | readers | ordered by                                                       |
 * |------|---------|-------------------|---------|------------------------------------------------------------------|
 * | 0    | credits | main adds, thread subtracts | both | Atomics; frames that may be sent. Far below 0 after a stop  |
 * | 1    | stopped | main              | thread  | Atomics.store of 1, then notify of both words                    |
 */

import type { MessagePort } from "node:worker_threads";
import type { ImageHead } from "./head.ts";
import type { Compression } from "./options.ts";

export const TAKE_WORDS = { credits: 0, stopped: 1, count: 2 } as const;

/** Stored into the credits by a stop: no number of credits makes up for it. */
export const NO_CREDITS = -0x4000_0000;

/** Which content of which database. */
export interface DatabasePlace {
  readonly directory: string;
  readonly mapSizeBytes: number;
  readonly generation: number;
}

export interface TakeRequest {
  readonly database: DatabasePlace;
  readonly layout: number;
  readonly compression: Compression;
  readonly rateBytesPerSec: number;
  readonly growthRatio: number;
  readonly growthMinBytes: number;
  readonly deadlineMs: number;
  readonly words: SharedArrayBuffer;
  /** Transferred. */
  readonly port: MessagePort;
}

export type FromTaker =
  | { readonly kind: "opened"; readonly head: ImageHead }
  /** Transferred. */
  | { readonly kind: "frame"; readonly bytes: Uint8Array<ArrayBuffer> }
  | { readonly kind: "end" };

export interface FillRequest {
  readonly database: DatabasePlace;
  readonly layout: number;
  /** Transferred. */
  readonly port: MessagePort;
}

export type ToFiller =
  | { readonly kind: "bytes"; readonly bytes: Uint8Array }
  | { readonly kind: "end" }
  | { readonly kind: "stop" };

export type FromFiller = { readonly kind: "taken" };

/** What a filled generation holds. */
export interface Filled {
  readonly head: ImageHead;
  readonly rows: number;
}
