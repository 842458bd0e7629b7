/** A log entry as commands see it, and what became of it. */

import type { Rejection } from "./metrics.ts";

/** A log entry: all that its effect may depend on, besides the index before it. Borrowed until it is applied. */
export interface LogEntry {
  readonly index: number;
  readonly term: number;
  /** When the leader appended it, Unix ms. */
  readonly appendedAtMs: number;
  readonly command: number;
  readonly version: number;
  /** The payload is body[offset, offset + length). Borrowed. */
  readonly body: Uint8Array;
  readonly offset: number;
  readonly length: number;
}

/** `applied`, `unchanged`, or why it was refused. */
export type CommandResult = "applied" | "unchanged" | Rejection;
