/** Instants as people write them: RFC 3339, Unix milliseconds, or relative to now. */
import { parseDuration } from "../base/index.ts";
import { UsageError } from "./command.ts";

/**
 * Unix ms of `2026-11-22T10:24:55Z`, `2026-11-22`, `1795343095000`, `now`, `now-1h`, `now+30m`.
 * Errors: UsageError that names the flag and shows the forms.
 */
export function parseTime(flag: string, written: string, nowMs: number): number {
  if (/^-?\d+$/.test(written)) return Number(written);
  const relative = /^now(?:([+-])(.+))?$/.exec(written);
  if (relative !== null) {
    if (relative[1] === undefined) return nowMs;
    const parsed = parseDuration(relative[2] as string);
    if (!parsed.ok) throw new UsageError(`--${flag}: ${parsed.reason}`);
    return relative[1] === "-" ? nowMs - parsed.value : nowMs + parsed.value;
  }
  // A date alone is midnight UTC; a time without a zone would mean another instant on another machine.
  const isZoned = /^\d{4}-\d{2}-\d{2}(T\d{2}:\d{2}(:\d{2}(\.\d+)?)?(Z|[+-]\d{2}:\d{2}))?$/.test(
    written,
  );
  const timeMs = isZoned ? Date.parse(written) : Number.NaN;
  if (!Number.isNaN(timeMs)) return timeMs;
  throw new UsageError(
    `--${flag}: "${written}" is not a time`,
    "Write 2026-11-22T10:24:55Z, Unix milliseconds, or now-1h",
  );
}

/** For tables: seconds are enough, and UTC is the same for everybody. */
export function formatTime(timeMs: number): string {
  const date = new Date(timeMs);
  if (Number.isNaN(date.getTime())) return String(timeMs);
  return date.toISOString().replace(/\.\d{3}Z$/, "Z");
}
