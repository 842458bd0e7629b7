/** Records of the reference's own log and files as the vectors write them, and ours for them. */

import {
  decodeReferenceLogEntry,
  decodeReferencePrepareRequest,
  decodeReferenceQueueEntry,
  decodeReferenceTombstone,
  encodeReferenceLogEntry,
  encodeReferenceQueueEntry,
  encodeReferenceTombstone,
  type ReferencePair,
  type ReferenceQueueEntry,
  type ReferenceTombstone,
} from "../../../../src/protocol/index.ts";
import { difference } from "./placement-json.ts";
import type { NsText } from "./types.ts";

const STATUSES = ["UNSPECIFIED", "IN_PROGRESS", "SUCCESS"] as const;

export interface PrepareRequestJson {
  readonly status_updates: readonly {
    readonly name: string;
    readonly token: number;
    readonly status: (typeof STATUSES)[number];
  }[];
  readonly assign_jobs_max: number;
}

export interface LogEntryJson {
  readonly command: number;
  readonly payload_hex: string;
}

export interface QueueEntryJson {
  readonly index: number;
  readonly id: string;
  readonly appended_at_ns: NsText;
  readonly level: number;
  readonly shard: number;
  readonly tenant: string;
}

export interface TombstoneJson {
  readonly index: number;
  readonly appended_at_ns: NsText;
  readonly blocks: {
    readonly name: string;
    readonly shard: number;
    readonly tenant: string;
    readonly compaction_level: number;
    readonly blocks: readonly string[];
  };
}

interface PairHex {
  readonly key: string;
  readonly value: string;
}

/** Only decoded: such entries are of older versions. */
export function runPrepareRequest(json: PrepareRequestJson, hex: string): string | null {
  const expected = {
    statusUpdates: json.status_updates.map((update) => ({
      ...update,
      status: STATUSES.indexOf(update.status),
    })),
    assignJobsMax: json.assign_jobs_max,
  };
  return difference(expected, decodeReferencePrepareRequest(Buffer.from(hex, "hex")));
}

export function runLogEntry({ command, payload_hex }: LogEntryJson, hex: string): string | null {
  const encoded = encodeReferenceLogEntry({ command, payload: Buffer.from(payload_hex, "hex") });
  const decoded = decodeReferenceLogEntry(Buffer.from(hex, "hex"));
  const shown = { command: decoded.command, payload_hex: toHex(decoded.payload) };
  return difference(hex, toHex(encoded)) ?? difference({ command, payload_hex }, shown);
}

export function runQueueEntry(json: QueueEntryJson, pair: PairHex): string | null {
  const { appended_at_ns, ...same } = json;
  const expected: ReferenceQueueEntry = { ...same, appendedAtNs: BigInt(appended_at_ns) };
  return (
    difference(pair, pairHex(encodeReferenceQueueEntry(expected))) ??
    difference(expected, decodeReferenceQueueEntry(pairOf(pair)))
  );
}

export function runTombstone(json: TombstoneJson, pair: PairHex): string | null {
  const { compaction_level, ...same } = json.blocks;
  const expected: ReferenceTombstone = {
    index: json.index,
    appendedAtNs: BigInt(json.appended_at_ns),
    name: json.blocks.name,
    tombstone: { blocks: { ...same, compactionLevel: compaction_level }, shard: null },
  };
  return (
    difference(pair, pairHex(encodeReferenceTombstone(expected))) ??
    difference(expected, decodeReferenceTombstone(pairOf(pair)))
  );
}

function pairOf({ key, value }: PairHex): ReferencePair {
  return { key: Buffer.from(key, "hex"), value: Buffer.from(value, "hex") };
}

function pairHex({ key, value }: ReferencePair): PairHex {
  return { key: toHex(key), value: toHex(value) };
}

function toHex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("hex");
}
