/**
 * The header of a segment: 504 B, little-endian, the content of one sector (sectors.ts).
 *
 *     0 u32 magic "HSEG"             4 u16 version            6 u16 vote bytes
 *     8 u32 sequence                12 u32 segment bytes     16 u8[8] log id
 *    24 f64 first index: of the first entry that this segment may hold
 *    32 f64 previous term: term of the entry before it (0: none)
 *    40 f64 hard state term         48 f64 commit index known   56 f64 last appended-at, Unix ms
 *    64 u32 below: sequence of the segment that holds the entry before (0: the log begins here)
 *    68 u32 below: offset where its frames end    72 u32 below: its last CRC    76 u32 group max bytes
 *    80 u8[128] hard state vote, UTF-8
 *   208 f64 newest membership before this segment: its index (0: none)    216 u32 the segment that holds it
 *   220 u32 flags: 1 hard state abstains, 2 begins after a snapshot, 4 begins after damage
 *   224 u32 hard states of this log before this segment
 *   228 u16 cluster id bytes       230 u16 node id bytes    232 u8[64] cluster id    296 u8[128] node id, UTF-8
 *   424 reserved (0)               500 u32 CRC32C of bytes 0..500
 *
 * Why each field exists: DESIGN.md, "Format".
 */

import { crc32c } from "@node-rs/crc32";
import { assert } from "../base/index.ts";
import type { HardState } from "../raft/index.ts";
import {
  areSafe,
  encodeVote,
  FORMAT_VERSION,
  isZero,
  LOG_ID_BYTES,
  SEGMENT_HEADER_BYTES,
  VOTE_MAX_BYTES,
  viewOf,
} from "./format.ts";
import { DISK_SECTOR_BYTES } from "./sectors.ts";

export const SEGMENT_MAGIC = 0x47455348;

/** Whose log it is; "" where that is not known (yet). At most 64 and 128 bytes of UTF-8. */
export interface LogOwnerName {
  readonly clusterId: string;
  readonly nodeId: string;
}

export const NO_OWNER: LogOwnerName = { clusterId: "", nodeId: "" };

/** Why a segment begins where it does. */
export const SEGMENT_ORIGIN = {
  /** It continues the log. */
  log: "log",
  /** A snapshot took the place of everything before. */
  snapshot: "snapshot",
  /** What followed was damaged and was cut off. */
  damage: "damage",
} as const;
export type SegmentOrigin = (typeof SEGMENT_ORIGIN)[keyof typeof SEGMENT_ORIGIN];

export interface SegmentHeader {
  readonly sequence: number;
  readonly segmentBytes: number;
  readonly logId: Uint8Array;
  readonly owner: LogOwnerName;
  readonly origin: SegmentOrigin;
  readonly firstIndex: number;
  readonly previousTerm: number;
  readonly hardState: HardState;
  /** Hard states of this log before this segment. */
  readonly hardStateCount: number;
  /** Newest membership before this segment, 0: none; and the segment that holds it. */
  readonly membershipIndex: number;
  readonly membershipSequence: number;
  readonly commitIndex: number;
  readonly appendedAtMs: number;
  readonly belowSequence: number;
  readonly belowEnd: number;
  readonly belowCrc: number;
  readonly groupMaxBytes: number;
  /** CRC of this header: the start of the chain. */
  readonly crc: number;
}

export type SegmentHeaderResult =
  | { readonly kind: "ok"; readonly header: SegmentHeader }
  | { readonly kind: "empty" }
  | { readonly kind: "invalid" }
  | { readonly kind: "version"; readonly version: number };

const CLUSTER_ID_MAX_BYTES = 64;
const NODE_ID_MAX_BYTES = 128;
/** Of the versions before, by number; the checksum at its end tells an old segment from a damaged one. */
const FORMER_HEADER_BYTES: ReadonlyMap<number, number> = new Map([
  [1, 256],
  [2, 512],
]);
const FLAG = { abstains: 1, snapshot: 2, damage: 4 } as const;
const CRC_OFFSET = SEGMENT_HEADER_BYTES - 4;

const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** Writes a segment header to bytes[0, 504). Returns its CRC. */
export function encodeSegmentHeader(
  bytes: Uint8Array,
  view: DataView,
  header: Omit<SegmentHeader, "crc">,
): number {
  const { hardState, owner, origin } = header;
  const vote = encodeVote(hardState.vote);
  bytes.fill(0, 0, SEGMENT_HEADER_BYTES);
  view.setUint32(0, SEGMENT_MAGIC, true);
  view.setUint16(4, FORMAT_VERSION, true);
  view.setUint16(6, vote.length, true);
  view.setUint32(8, header.sequence, true);
  view.setUint32(12, header.segmentBytes, true);
  bytes.set(header.logId, 16);
  view.setFloat64(24, header.firstIndex, true);
  view.setFloat64(32, header.previousTerm, true);
  view.setFloat64(40, hardState.term, true);
  view.setFloat64(48, header.commitIndex, true);
  view.setFloat64(56, header.appendedAtMs, true);
  view.setUint32(64, header.belowSequence, true);
  view.setUint32(68, header.belowEnd, true);
  view.setUint32(72, header.belowCrc, true);
  view.setUint32(76, header.groupMaxBytes, true);
  bytes.set(vote, 80);
  view.setFloat64(208, header.membershipIndex, true);
  view.setUint32(216, header.membershipSequence, true);
  const originFlag = origin === SEGMENT_ORIGIN.log ? 0 : FLAG[origin];
  view.setUint32(220, (hardState.abstains ? FLAG.abstains : 0) | originFlag, true);
  view.setUint32(224, header.hardStateCount, true);
  const { clusterId, nodeId } = encodeOwner(owner);
  view.setUint16(228, clusterId.length, true);
  view.setUint16(230, nodeId.length, true);
  bytes.set(clusterId, 232);
  bytes.set(nodeId, 232 + CLUSTER_ID_MAX_BYTES);
  const crc = crc32c(bytes.subarray(0, CRC_OFFSET));
  view.setUint32(CRC_OFFSET, crc, true);
  return crc;
}

function encodeOwner(owner: LogOwnerName): { clusterId: Uint8Array; nodeId: Uint8Array } {
  const clusterId = encoder.encode(owner.clusterId);
  const nodeId = encoder.encode(owner.nodeId);
  assert(clusterId.length <= CLUSTER_ID_MAX_BYTES, `Cluster id "${owner.clusterId}" is too long`);
  assert(nodeId.length <= NODE_ID_MAX_BYTES, `Node id "${owner.nodeId}" is too long`);
  return { clusterId, nodeId };
}

export function decodeSegmentHeader(bytes: Uint8Array): SegmentHeaderResult {
  if (isZero(bytes, 0, Math.min(bytes.length, SEGMENT_HEADER_BYTES))) return { kind: "empty" };
  if (bytes.length < SEGMENT_HEADER_BYTES) return { kind: "invalid" };
  const view = viewOf(bytes);
  if (view.getUint32(0, true) !== SEGMENT_MAGIC) return { kind: "invalid" };
  const version = view.getUint16(4, true);
  if (!hasCrc(bytes, view, SEGMENT_HEADER_BYTES)) return { kind: "invalid" };
  if (version !== FORMAT_VERSION) return { kind: "version", version };
  const header = decodeFields(bytes, view);
  const { firstIndex, previousTerm, commitIndex, hardState, membershipIndex } = header;
  const isSafe =
    areSafe(firstIndex, previousTerm, hardState.term, commitIndex) &&
    areSafe(membershipIndex, 0, 0, 0);
  return isSafe ? { kind: "ok", header } : { kind: "invalid" };
}

/** The version that wrote the first sector of a file, where that was one before this; else null. */
export function formerVersion(sector: Uint8Array): number | null {
  if (sector.length < DISK_SECTOR_BYTES) return null;
  const view = viewOf(sector);
  const version = view.getUint16(4, true);
  const headerBytes = FORMER_HEADER_BYTES.get(version);
  if (view.getUint32(0, true) !== SEGMENT_MAGIC || headerBytes === undefined) return null;
  return hasCrc(sector, view, headerBytes) ? version : null;
}

function decodeFields(bytes: Uint8Array, view: DataView): SegmentHeader {
  const flags = view.getUint32(220, true);
  return {
    sequence: view.getUint32(8, true),
    segmentBytes: view.getUint32(12, true),
    logId: bytes.slice(16, 16 + LOG_ID_BYTES),
    owner: {
      clusterId: textAt(bytes, 232, Math.min(view.getUint16(228, true), CLUSTER_ID_MAX_BYTES)),
      nodeId: textAt(
        bytes,
        232 + CLUSTER_ID_MAX_BYTES,
        Math.min(view.getUint16(230, true), NODE_ID_MAX_BYTES),
      ),
    },
    origin: originOf(flags),
    firstIndex: view.getFloat64(24, true),
    previousTerm: view.getFloat64(32, true),
    hardState: {
      term: view.getFloat64(40, true),
      vote: textAt(bytes, 80, Math.min(view.getUint16(6, true), VOTE_MAX_BYTES)),
      abstains: (flags & FLAG.abstains) !== 0,
    },
    hardStateCount: view.getUint32(224, true),
    membershipIndex: view.getFloat64(208, true),
    membershipSequence: view.getUint32(216, true),
    commitIndex: view.getFloat64(48, true),
    appendedAtMs: view.getFloat64(56, true),
    belowSequence: view.getUint32(64, true),
    belowEnd: view.getUint32(68, true),
    belowCrc: view.getUint32(72, true),
    groupMaxBytes: view.getUint32(76, true),
    crc: view.getUint32(CRC_OFFSET, true),
  };
}

function originOf(flags: number): SegmentOrigin {
  if ((flags & FLAG.snapshot) !== 0) return SEGMENT_ORIGIN.snapshot;
  return (flags & FLAG.damage) !== 0 ? SEGMENT_ORIGIN.damage : SEGMENT_ORIGIN.log;
}

function textAt(bytes: Uint8Array, start: number, length: number): string {
  return decoder.decode(bytes.subarray(start, start + length));
}

function hasCrc(bytes: Uint8Array, view: DataView, headerBytes: number): boolean {
  const crc = view.getUint32(headerBytes - 4, true);
  return crc32c(bytes.subarray(0, headerBytes - 4)) === crc;
}
