/**
 * Client sessions over the index database: the entries that open one, and writes that are executed once however often
 * they are in the log (src/session). What a write came to is kept as bytes and is the outcome of every repeat.
 *
 * ```
 * answer:  u8 outcome (OUTCOME) | name of the rejection, ASCII
 * ```
 */

import { assert, isHearthError } from "../base/index.ts";
import type { IndexDatabase } from "../db/index.ts";
import {
  COMMAND,
  COMMAND_VERSION,
  decodeSessionEntry,
  type SessionEntry,
} from "../protocol/index.ts";
import { type SessionStore, SessionTable } from "../session/index.ts";
import { type Commands, OUTCOME } from "./commands.ts";
import type { CommandResult, LogEntry } from "./log-entry.ts";
import { type Rejection, REJECTIONS, type StateMetrics } from "./metrics.ts";

export interface SessionModules {
  readonly db: IndexDatabase;
  readonly commands: Commands;
  readonly metrics: StateMetrics;
}

export class SessionCommands {
  readonly #commands: Commands;
  readonly #metrics: StateMetrics;
  readonly #table: SessionTable;

  constructor({ db, commands, metrics }: SessionModules) {
    this.#commands = commands;
    this.#metrics = metrics;
    this.#table = new SessionTable(rowsOf(db));
  }

  /** Any entry; those without a session go through unchanged. */
  apply(entry: LogEntry): CommandResult {
    const isOurs = entry.command === COMMAND.openSession || entry.command === COMMAND.sessionEntry;
    if (!isOurs) return this.#commands.apply(entry);
    if (entry.version !== COMMAND_VERSION) return "unknown_command";
    if (entry.command === COMMAND.sessionEntry) return this.#write(entry);
    this.#table.open(entry);
    return "applied";
  }

  #write(entry: LogEntry): CommandResult {
    let inner: SessionEntry;
    try {
      inner = decodeSessionEntry(entry.body, entry.offset, entry.length);
    } catch (error) {
      if (isHearthError(error)) return "bad_payload";
      throw error;
    }
    const { command, version, offset, length } = inner;
    const outcome = this.#table.apply(inner, entry, () =>
      encodeResult(this.#commands.apply({ ...entry, command, version, offset, length })),
    );
    switch (outcome.kind) {
      case "repeat":
        this.#metrics.sessionRepeats++;
        return decodeResult(outcome.answer);
      case "new":
        return decodeResult(outcome.answer);
      case "ahead":
        return "session_window_full";
      default:
        return `session_${outcome.kind}`;
    }
  }
}

function encodeResult(result: CommandResult): Uint8Array {
  if (result === "applied" || result === "unchanged") return Uint8Array.of(OUTCOME[result]);
  return Uint8Array.of(OUTCOME.rejected, ...new TextEncoder().encode(result));
}

function decodeResult(answer: Uint8Array): CommandResult {
  if (answer[0] === OUTCOME.applied) return "applied";
  if (answer[0] === OUTCOME.unchanged) return "unchanged";
  const reason = new TextDecoder().decode(answer.subarray(1)) as Rejection;
  assert(REJECTIONS.includes(reason), `The session table holds the unknown rejection "${reason}"`);
  return reason;
}

function rowsOf(db: IndexDatabase): SessionStore {
  return {
    get: (key) => {
      const length = db.get("sessions", key);
      return length < 0 ? null : db.u8.subarray(0, length);
    },
    put: (key, value) => db.put("sessions", key, value),
    delete: (key) => {
      db.remove("sessions", key);
    },
    scan: (start, end, visit) => db.scan("sessions", start, end, visit),
  };
}
