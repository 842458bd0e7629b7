/** Parameters of a query string, read strictly: what is misspelt is told, not taken for absent. */
import { invalidArgument, parseDuration } from "../base/index.ts";
import type { AdminRequest } from "./types.ts";

/** Longer budgets are refused: the request would outlive every proxy on its way. */
const TIMEOUT_MAX_MS = 5 * 60_000;

/** The budget of a request, `?timeout=`, ms. Errors: `invalid_argument`. */
export function readTimeout(request: AdminRequest, whenAbsentMs: number): number {
  return readDuration(request, "timeout", TIMEOUT_MAX_MS) ?? whenAbsentMs;
}

/** A duration above 0 and at most `maxMs`, or null where it is not given. Errors: `invalid_argument`. */
export function readDuration(request: AdminRequest, name: string, maxMs: number): number | null {
  const written = request.query.get(name);
  if (written === null) return null;
  const parsed = parseDuration(written);
  if (!parsed.ok) throw invalidArgument(`bad_${name}`, `${name}: ${parsed.reason}`);
  if (parsed.value > 0 && parsed.value <= maxMs) return parsed.value;
  const limit = maxMs % 60_000 === 0 ? `${maxMs / 60_000}m` : `${maxMs / 1_000}s`;
  throw invalidArgument(`bad_${name}`, `${name}: ${written} is not between 1ms and ${limit}`);
}

/** `?dryRun`, `?dryRun=true`, `?dryRun=false`. Errors: `invalid_argument` for anything else. */
export function readSwitch(request: AdminRequest, name: string): boolean {
  const written = request.query.get(name);
  if (written === null || written === "false") return false;
  if (written === "" || written === "true") return true;
  throw invalidArgument(`bad_${name}`, `${name}: "${written}" is neither true nor false`);
}

/** A whole number from 0 to 2^53 - 1. Errors: `invalid_argument`. */
export function readCount(request: AdminRequest, name: string, whenAbsent: number): number {
  const written = request.query.get(name);
  if (written === null) return whenAbsent;
  const number = /^\d{1,16}$/.test(written) ? Number(written) : Number.NaN;
  if (Number.isSafeInteger(number)) return number;
  throw invalidArgument(`bad_${name}`, `${name}: "${written}" is not a whole number`);
}

/** A misspelt parameter would otherwise be taken for an absent one: a dry run for the real thing. */
export function refuseUnknownParameters(request: AdminRequest, known: readonly string[]): void {
  for (const name of request.query.keys()) {
    if (known.includes(name)) continue;
    const list = known.length === 0 ? "it takes none" : `known are ${known.join(", ")}`;
    throw invalidArgument("unknown_parameter", `Unknown parameter "${name}"; ${list}`);
  }
}
