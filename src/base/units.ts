/**
 * Durations, sizes and counts as people write and read them. Inside the program they are `Ms` and `Bytes`; this is
 * the one place where text becomes numbers and back, so that a flag, a YAML key, a table and a sentence agree.
 */

/** Milliseconds per unit. Go's units, and d, w and y (365 d), which retention periods use. */
const DURATION_UNITS: Readonly<Record<string, number>> = {
  ns: 1e-6,
  us: 1e-3,
  µs: 1e-3,
  μs: 1e-3,
  ms: 1,
  s: 1_000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
  w: 604_800_000,
  y: 31_536_000_000,
};

/** Bytes per unit; KB is 1000 and KiB is 1024, as the words say. */
const SIZE_UNITS: Readonly<Record<string, number>> = {
  b: 1,
  kb: 1e3,
  mb: 1e6,
  gb: 1e9,
  tb: 1e12,
  kib: 1024,
  mib: 1024 ** 2,
  gib: 1024 ** 3,
  tib: 1024 ** 4,
};

export type UnitResult =
  | { readonly ok: true; readonly value: number }
  | { readonly ok: false; readonly reason: string };

const fail = (reason: string): UnitResult => ({ ok: false, reason });

/**
 * Reads `15s`, `1h30m`, `1.5h`, `-10m`, `7d`. Units: the result is in ms.
 * Errors: a sentence without a period that names the cure; only `0` may go without a unit.
 */
export function parseDuration(text: string): UnitResult {
  const trimmed = text.trim();
  if (trimmed === "0") return { ok: true, value: 0 };
  if (/^[-+]?\d+(\.\d+)?$/.test(trimmed)) {
    return fail(`${trimmed} has no unit. Write ${trimmed}s, ${trimmed}m or ${trimmed}h`);
  }
  const shape = /^([-+]?)((?:\d+(?:\.\d*)?|\.\d+)[a-zµμ]+)+$/;
  const match = shape.exec(trimmed);
  if (match === null)
    return fail(`"${text}" is not a duration. Write for example 15s, 2m30s or 6h`);
  let totalMs = 0;
  for (const part of trimmed.matchAll(/(\d+(?:\.\d*)?|\.\d+)([a-zµμ]+)/g)) {
    const unitMs = DURATION_UNITS[part[2] as string];
    if (unitMs === undefined) {
      return fail(`"${part[2]}" is not a unit of time. Use ns, us, ms, s, m, h, d, w or y`);
    }
    totalMs += Number(part[1]) * unitMs;
  }
  return { ok: true, value: match[1] === "-" ? -totalMs : totalMs };
}

/** Reads `64MiB`, `1.5GB`, `512B`. Units: the result is in whole bytes. Only `0` may go without a unit. */
export function parseSize(text: string): UnitResult {
  const trimmed = text.trim();
  if (trimmed === "0") return { ok: true, value: 0 };
  if (/^\d+(\.\d+)?$/.test(trimmed)) {
    return fail(`${trimmed} has no unit. Write ${trimmed}B, ${trimmed}KiB or ${trimmed}MiB`);
  }
  const match = /^(\d+(?:\.\d+)?) ?([A-Za-z]+)$/.exec(trimmed);
  if (match === null) return fail(`"${text}" is not a size. Write for example 64MiB or 1GB`);
  const unitBytes = SIZE_UNITS[(match[2] as string).toLowerCase()];
  if (unitBytes === undefined) {
    return fail(`"${match[2]}" is not a unit of size. Use B, KiB, MiB, GiB, KB, MB or GB`);
  }
  return { ok: true, value: Math.round(Number(match[1]) * unitBytes) };
}

const CLOCK_PARTS = [
  ["d", 86_400_000],
  ["h", 3_600_000],
  ["m", 60_000],
  ["s", 1_000],
] as const;

/** `12 ms`, `3.2 s`, `4m 10s`, `1h 12m`, `3d 4h`: two parts at most, for sentences and tables. */
export function formatDuration(durationMs: number): string {
  if (durationMs < 0) return `-${formatDuration(-durationMs)}`;
  if (durationMs < 1) return durationMs === 0 ? "0 ms" : `${trimZeros(durationMs.toFixed(2))} ms`;
  if (durationMs < 1_000) return `${trimZeros(durationMs.toFixed(durationMs < 10 ? 1 : 0))} ms`;
  if (durationMs < 60_000) return `${trimZeros((durationMs / 1_000).toFixed(1))} s`;
  const parts: string[] = [];
  let restMs = durationMs;
  for (const [unit, unitMs] of CLOCK_PARTS) {
    const amount = Math.floor(restMs / unitMs);
    restMs -= amount * unitMs;
    if (amount > 0) parts.push(`${amount}${unit}`);
    else if (parts.length > 0) break;
    if (parts.length === 2) break;
  }
  return parts.join(" ");
}

/** A duration as a setting is written: `15s`, `2m30s`, `1.5ms`; reads back to the same value. */
export function formatDurationSetting(durationMs: number): string {
  if (durationMs === 0) return "0s";
  if (durationMs < 0) return `-${formatDurationSetting(-durationMs)}`;
  if (durationMs % 1_000 !== 0) return `${durationMs}ms`;
  let text = "";
  let restMs = durationMs;
  for (const [unit, unitMs] of CLOCK_PARTS.slice(1)) {
    const amount = Math.floor(restMs / unitMs);
    restMs -= amount * unitMs;
    if (amount > 0) text += `${amount}${unit}`;
  }
  return text;
}

const SIZE_STEPS = [
  ["TiB", 1024 ** 4],
  ["GiB", 1024 ** 3],
  ["MiB", 1024 ** 2],
  ["KiB", 1024],
] as const;

/** `812 B`, `1.2 GiB`: for sentences and tables. */
export function formatBytes(sizeBytes: number): string {
  for (const [unit, unitBytes] of SIZE_STEPS) {
    if (sizeBytes < unitBytes) continue;
    const amount = sizeBytes / unitBytes;
    return `${trimZeros(amount.toFixed(amount < 100 ? 1 : 0))} ${unit}`;
  }
  return `${sizeBytes} B`;
}

/** A size as a setting is written, in the largest unit that divides it: `64MiB`, `1000B`. */
export function formatSizeSetting(sizeBytes: number): string {
  for (const [unit, unitBytes] of SIZE_STEPS) {
    if (sizeBytes >= unitBytes && sizeBytes % unitBytes === 0)
      return `${sizeBytes / unitBytes}${unit}`;
  }
  return `${sizeBytes}B`;
}

/** `4,812,090`. Own code: Intl costs 20 ms at its first use, which a short command would notice. */
export function formatCount(count: number | bigint): string {
  const text = typeof count === "bigint" ? count.toString() : Math.trunc(count).toString();
  return text.replaceAll(/\B(?=(\d{3})+(?!\d))/g, ",");
}

function trimZeros(text: string): string {
  return text.includes(".") ? text.replace(/\.?0+$/, "") : text;
}
