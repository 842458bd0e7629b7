/**
 * Log lines: logfmt by default, JSON on request; constant messages, everything else in fields. stderr only, since
 * stdout belongs to data.
 *
 * A failure that repeats writes a few lines and then one sum (ux, 10): a disk that refuses 9 writes a second must not
 * fill the other disk with lines about it. Debug is bounded in lines per second, because the chart runs us at debug.
 */
import type { LogFields, Logger, LogLevel } from "../../base/index.ts";
import { formatDurationSetting } from "../../base/index.ts";
import { readableStack } from "./readable-stack.ts";

export interface LoggingOptions {
  readonly level: LogLevel;
  readonly format: "logfmt" | "json";
}

export interface LoggingModules {
  /** Takes one line with its line end. */
  readonly write: (line: string) => void;
  /** Unix ms. */
  readonly nowMs: () => number;
}

const RANK: Readonly<Record<LogLevel, number>> = { debug: 0, info: 1, warn: 2, error: 3 };

/** Same line this often within the window: from then on only the sum. */
const REPEATS_SHOWN = 5;
const REPEAT_WINDOW_MS = 60_000;
/** Different lines watched for repeats; more at once are a flood that the sum would not describe either. */
const REPEAT_KEYS_MAX = 256;
const DEBUG_LINES_PER_SEC = 100;

interface Repeat {
  firstAtMs: number;
  shown: number;
  suppressed: number;
  readonly level: LogLevel;
  readonly message: string;
  readonly module: string;
}

/** The root logger of a process. */
export class LineLogger implements Logger {
  readonly #core: LogCore;
  readonly #module: string;

  static create(options: LoggingOptions, modules: LoggingModules): LineLogger {
    return new LineLogger(new LogCore(options, modules), "");
  }

  private constructor(core: LogCore, module: string) {
    this.#core = core;
    this.#module = module;
  }

  debug(message: string, fields?: LogFields): void {
    this.#core.log("debug", this.#module, message, fields);
  }

  info(message: string, fields?: LogFields): void {
    this.#core.log("info", this.#module, message, fields);
  }

  warn(message: string, fields?: LogFields): void {
    this.#core.log("warn", this.#module, message, fields);
  }

  error(message: string, fields?: LogFields): void {
    this.#core.log("error", this.#module, message, fields);
  }

  child(module: string): Logger {
    return new LineLogger(this.#core, this.#module === "" ? module : `${this.#module}.${module}`);
  }

  /** Writes the sums that are still owed; at the end of the process. */
  flush(): void {
    this.#core.flushRepeats(Number.POSITIVE_INFINITY);
  }
}

class LogCore {
  readonly #options: LoggingOptions;
  readonly #modules: LoggingModules;
  readonly #repeats = new Map<string, Repeat>();
  #debugSecond = 0;
  #debugLines = 0;
  #debugDropped = 0;

  constructor(options: LoggingOptions, modules: LoggingModules) {
    this.#options = options;
    this.#modules = modules;
  }

  log(level: LogLevel, module: string, message: string, fields: LogFields = {}): void {
    if (RANK[level] < RANK[this.#options.level]) return;
    const nowMs = this.#modules.nowMs();
    if (level === "debug" && !this.#mayDebug(nowMs)) return;
    if (RANK[level] >= RANK.warn && this.#isRepeat(level, module, message, fields, nowMs)) return;
    this.#write(level, module, message, fields, nowMs);
  }

  #mayDebug(nowMs: number): boolean {
    const second = Math.floor(nowMs / 1_000);
    if (second !== this.#debugSecond) {
      const dropped = this.#debugDropped;
      this.#debugSecond = second;
      this.#debugLines = 0;
      this.#debugDropped = 0;
      if (dropped > 0)
        this.#write("debug", "", "debug lines dropped", { repeated: dropped }, nowMs);
    }
    this.#debugLines++;
    if (this.#debugLines <= DEBUG_LINES_PER_SEC) return true;
    this.#debugDropped++;
    return false;
  }

  /** The same failure is the same message of the same module with the same reason. */
  #isRepeat(
    level: LogLevel,
    module: string,
    message: string,
    fields: LogFields,
    nowMs: number,
  ): boolean {
    this.flushRepeats(nowMs);
    const key = `${level}\u0000${module}\u0000${message}\u0000${fields.reason ?? ""}`;
    const known = this.#repeats.get(key);
    if (known === undefined) {
      if (this.#repeats.size < REPEAT_KEYS_MAX) {
        this.#repeats.set(key, {
          firstAtMs: nowMs,
          shown: 1,
          suppressed: 0,
          level,
          message,
          module,
        });
      }
      return false;
    }
    if (known.shown < REPEATS_SHOWN) {
      known.shown++;
      return false;
    }
    known.suppressed++;
    return true;
  }

  flushRepeats(nowMs: number): void {
    for (const [key, repeat] of this.#repeats) {
      if (nowMs - repeat.firstAtMs < REPEAT_WINDOW_MS) continue;
      this.#repeats.delete(key);
      if (repeat.suppressed === 0) continue;
      const atMs = this.#modules.nowMs();
      const forText = formatDurationSetting(Math.round((atMs - repeat.firstAtMs) / 1_000) * 1_000);
      const fields = { repeated: repeat.suppressed, for: forText };
      this.#write(repeat.level, repeat.module, repeat.message, fields, atMs);
    }
  }

  #write(level: LogLevel, module: string, message: string, fields: LogFields, nowMs: number): void {
    const { format } = this.#options;
    const ts = new Date(nowMs).toISOString();
    const named = module === "" ? {} : { module };
    const line = { ts, level, msg: message, ...named, ...withReadableStacks(fields) };
    this.#modules.write(`${format === "json" ? jsonLine(line) : logfmtLine(line)}\n`);
  }
}

/** Stacks come from all over the program, and as values of any field. */
function withReadableStacks(fields: LogFields): LogFields {
  return Object.fromEntries(
    Object.entries(fields).map(([name, value]) => [
      name,
      typeof value === "string" ? readableStack(value) : value,
    ]),
  );
}

function jsonLine(fields: LogFields): string {
  return JSON.stringify(fields);
}

function logfmtLine(fields: LogFields): string {
  const parts: string[] = [];
  for (const [name, value] of Object.entries(fields)) {
    if (value !== undefined) parts.push(`${name}=${logfmtValue(value)}`);
  }
  return parts.join(" ");
}

/** Only what needs no quotes: printable, without space, quote and equals sign. */
const BARE_VALUE = /^[!#-<>-~\u00a1-\uffff]+$/;

function logfmtValue(value: string | number | boolean | null): string {
  const text = String(value);
  return BARE_VALUE.test(text) ? text : JSON.stringify(text);
}
