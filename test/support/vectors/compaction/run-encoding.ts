/** Runs the cases of stored bytes: of placement objects, and of what the reference keeps in its own files. */

import {
  decodeDistributionStats,
  decodePlacementRules,
  encodeDistributionStats,
  encodePlacementRules,
} from "../../../../src/protocol/index.ts";
import { difference, type RulesJson, rulesOf, type StatsJson, statsOf } from "./placement-json.ts";
import {
  type LogEntryJson,
  type PrepareRequestJson,
  type QueueEntryJson,
  runLogEntry,
  runPrepareRequest,
  runQueueEntry,
  runTombstone,
  type TombstoneJson,
} from "./reference-records.ts";

export interface EncodingCase {
  readonly kind: string;
  readonly value: unknown;
  readonly hex: string;
  /** Of pairs, in place of `hex`. */
  readonly key_hex: string;
  readonly value_hex: string;
}

/** By the kind of a value: null, or what came out differently. */
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
    get_compaction_plan_update_request: ({ value, hex }) =>
      runPrepareRequest(value as PrepareRequestJson, hex),
    raft_log_entry: ({ value, hex }) => runLogEntry(value as LogEntryJson, hex),
    block_queue_entry: ({ value, key_hex, value_hex }) =>
      runQueueEntry(value as QueueEntryJson, { key: key_hex, value: value_hex }),
    tombstone: ({ value, key_hex, value_hex }) =>
      runTombstone(value as TombstoneJson, { key: key_hex, value: value_hex }),
  };

function toHex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("hex");
}
