/** The objects of the placement in the bucket: their keys, and what is done about one that cannot be read. */

import { isHearthError } from "../../base/index.ts";

/** Where distributors look, and the pins beside it. */
export const PLACEMENT_KEYS = {
  rules: "adaptive_placement/placement_rules.binpb",
  stats: "adaptive_placement/placement_stats.binpb",
  pins: "adaptive_placement/hearth_pins.json",
} as const;

/** An object that cannot be read counts as not there, and is told of. */
export function readable<T>(
  bytes: Uint8Array | null,
  decode: (bytes: Uint8Array) => T,
  problems: string[],
): T | null {
  if (bytes === null) return null;
  try {
    return decode(bytes);
  } catch (error) {
    if (!isHearthError(error)) throw error;
    problems.push(error.message);
    return null;
  }
}
