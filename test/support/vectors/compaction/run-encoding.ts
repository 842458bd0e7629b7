/** Runs the cases of stored bytes whose formats we keep. */

import {
  decodeDistributionStats,
  decodePlacementRules,
  encodeDistributionStats,
  encodePlacementRules,
} from "../../../../src/protocol/index.ts";
import { difference, type RulesJson, rulesOf, type StatsJson, statsOf } from "./placement-json.ts";

export interface EncodingCase {
  readonly kind: string;
  readonly value: unknown;
  readonly hex: string;
}

/** By the kind of a value: null, or what came out differently. Others are bytes that we do not keep. */
export const ENCODING_KINDS: Readonly<Record<string, (vectorCase: EncodingCase) => string | null>> =
  {
    placement_rules: ({ value, hex }) => {
      const rules = rulesOf(value as RulesJson);
      return (
        difference(hex, toHex(encodePlacementRules(rules))) ??
        difference(rules, decodePlacementRules(Buffer.from(hex, "hex")))
      );
    },
    placement_stats: ({ value, hex }) => {
      const stats = statsOf(value as StatsJson);
      return (
        difference(hex, toHex(encodeDistributionStats(stats))) ??
        difference(stats, decodeDistributionStats(Buffer.from(hex, "hex")))
      );
    },
  };

function toHex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("hex");
}
