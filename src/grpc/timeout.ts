/** The `grpc-timeout` header: up to eight digits and a unit. */

const UNIT_MS: Readonly<Record<string, number>> = {
  H: 3_600_000,
  M: 60_000,
  S: 1_000,
  m: 1,
  u: 0.001,
  n: 0.000_001,
};

/** The budget of a call, ms; null: it names none; NaN: what it says is no timeout. */
export function parseTimeout(header: string | undefined): number | null {
  if (header === undefined) return null;
  const unitMs = UNIT_MS[header.at(-1) ?? ""];
  const digits = header.slice(0, -1);
  if (unitMs === undefined || !/^\d{1,8}$/.test(digits)) return Number.NaN;
  return Number(digits) * unitMs;
}
