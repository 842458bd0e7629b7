/**
 * Log entries as bytes: made by reader threads, written to the log and read by apply without a
 * change.
 *
 * ```
 * body:  entry | entry | ...
 * entry: u32 payload bytes | u16 command | u16 version | f64 reserved, 0 | payload | zeros to 8
 * ```
 *
 * Everything is 8-aligned when the body is, so that blocks are read in place.
 */

import { assert } from "../../base/index.ts";
import { structureError } from "../bytes/flat-reader.ts";
import type { ByteSink } from "../bytes/sink.ts";
import { BATCH_HEADER_BYTES } from "../client/block-batch.ts";

export const ENTRY_HEADER_BYTES = 16;
/** Of the command in an entry. */
export const COMMAND_OFFSET = 4;

/** Command numbers. Never used twice: logs outlive code. */
export const COMMAND = {
  /** Payload: a batch of blocks (client/block-batch.ts). */
  addBlocks: 1,
  /** Payload: CompactedBlocks. The index operation alone, without tombstones (spec 4.4). */
  replaceBlocks: 2,
  /** Payload: completed compaction jobs. */
  completeJobs: 3,
  truncateIndex: 4,
  deleteShard: 5,
  addTombstones: 6,
  deleteTombstones: 7,
  /** Empty payload: first entry of a term. */
  noop: 8,
  /** Payload: the members of the cluster (raft/codec/membership.ts). Made by leaders only. */
  membership: 9,
  /** Empty payload: a client session begins; its id is the log index of this entry. */
  openSession: 10,
  /** Payload: one whole entry in the envelope of session-entry.ts, executed once however often it is logged. */
  sessionEntry: 11,
  /** Payload: UpdateCompactionPlan. Made by leaders only. */
  updateCompactionPlan: 16,
  /** Payload: SetCompactionPolicy. */
  setCompactionPolicy: 17,
  /** Payload: ControlJobs. */
  controlJobs: 18,
  /** Payload: state-check.ts. Changes no state: a member that does not know it refuses it and differs in nothing. */
  checkState: 19,
  /** Payload: RetireShards. What retention takes out of the index. */
  retireShards: 20,
  /** Payload: tenant-deletion.ts, as of the next three. Hides a tenant, and begins its deletion. */
  deleteTenant: 21,
  /** Takes a bounded part of a hidden tenant out of the index. */
  clearTenant: 22,
  /** What was deleted from the bucket. */
  noteDeletion: 23,
  /** The name of a deleted tenant may be used again. */
  openTenant: 24,
  /** Payload: SetCompactionPolicy with a change of the policy in force (src/state/compaction/policy-change.ts). */
  changeCompactionPolicy: 25,
} as const;

export type CommandName = keyof typeof COMMAND;

/** Names by number, for metrics and inspection. */
export const COMMAND_NAMES: ReadonlyMap<number, CommandName> = new Map(
  (Object.keys(COMMAND) as CommandName[]).map((name) => [COMMAND[name], name]),
);

/** Version of every command that has not changed its effect. */
export const COMMAND_VERSION = 1;

/** Version in which a command is made today; apply knows it and all before it. */
export function newestVersion(command: number): number {
  // 2: leases that go on are names.
  return command === COMMAND.updateCompactionPlan ? 2 : COMMAND_VERSION;
}

/** Whether apply knows what that version of a command does. */
export function isKnownVersion(command: number, version: number): boolean {
  return version >= 1 && version <= newestVersion(command);
}

/** Called per entry with the place of its payload in the body. */
export type EntryVisitor = (
  command: number,
  version: number,
  payloadOffset: number,
  payloadBytes: number,
  position: number,
) => void;

/**
 * Starts an entry at the end of the sink (8-aligned); write the payload behind it, then call
 * `endEntry`.
 */
export function beginEntry(
  sink: ByteSink,
  command: number,
  version: number = newestVersion(command),
): number {
  assert((sink.length & 7) === 0, "An entry must begin at a multiple of 8");
  const start = sink.length;
  sink.appendWords(0, (command & 0xffff) | (version << 16));
  sink.appendWords(0, 0);
  return start;
}

/** Closes the entry that began at `start` and returns its length, padding included. */
export function endEntry(sink: ByteSink, start: number): number {
  sink.i32[start >>> 2] = sink.length - start - ENTRY_HEADER_BYTES;
  sink.align8();
  return sink.length - start;
}

/** Appends an entry with payload[offset, offset + length). Returns its length. */
export function appendEntry(
  sink: ByteSink,
  command: number,
  payload: Uint8Array,
  offset = 0,
  length: number = payload.length - offset,
): number {
  const start = beginEntry(sink, command);
  sink.append(payload, offset, length);
  return endEntry(sink, start);
}

/**
 * Appends an AddBlocks entry of the single wire Block bytes[offset, offset + length). Returns its
 * length.
 */
export function appendAddBlockEntry(
  sink: ByteSink,
  bytes: Uint8Array,
  offset = 0,
  length: number = bytes.length - offset,
): number {
  sink.reserve(ENTRY_HEADER_BYTES + 2 * BATCH_HEADER_BYTES + length + 8);
  const start = beginEntry(sink, COMMAND.addBlocks);
  sink.appendWords(1, 0);
  sink.appendWords(length, 0);
  sink.append(bytes, offset, length);
  // The padding of a batch belongs to the payload: it is what the AddBlocks request carries.
  sink.align8();
  return endEntry(sink, start);
}

/** Bytes that the first `count` entries of a body take, or -1 when the body ends before. */
export function entriesByteLength(body: Uint8Array, count: number): number {
  let offset = 0;
  for (let i = 0; i < count; i++) {
    if (offset + ENTRY_HEADER_BYTES > body.length) return -1;
    // Byte by byte: a DataView per call would cost more than the usual body of one entry.
    const payloadBytes =
      (body[offset] as number) |
      ((body[offset + 1] as number) << 8) |
      ((body[offset + 2] as number) << 16) |
      ((body[offset + 3] as number) << 24);
    if (payloadBytes < 0 || payloadBytes > body.length) return -1;
    offset += ENTRY_HEADER_BYTES + ((payloadBytes + 7) & ~7);
  }
  return offset <= body.length ? offset : -1;
}

/**
 * Visits the entries in body[0, bodyBytes) and returns how many there are.
 *
 * Errors: HearthError invalid_argument, `bad_structure`, when the framing is wrong; entries before
 *   it were visited.
 */
export function iterateEntries(body: Uint8Array, bodyBytes: number, visit: EntryVisitor): number {
  assert(bodyBytes <= body.length, "Body is shorter than its length");
  let offset = 0;
  let position = 0;
  while (offset < bodyBytes) {
    if (offset + ENTRY_HEADER_BYTES > bodyBytes) {
      throw structureError(`log entry ${position} is cut off`);
    }
    const payloadBytes = readU16(body, offset) + readU16(body, offset + 2) * 0x1_0000;
    const payloadOffset = offset + ENTRY_HEADER_BYTES;
    const end = payloadOffset + Math.ceil(payloadBytes / 8) * 8;
    if (end > bodyBytes) throw structureError(`log entry ${position} is cut off`);
    const command = readU16(body, offset + 4);
    const version = readU16(body, offset + 6);
    visit(command, version, payloadOffset, payloadBytes, position);
    offset = end;
    position++;
  }
  return position;
}

function readU16(bytes: Uint8Array, offset: number): number {
  return (bytes[offset] as number) | ((bytes[offset + 1] as number) << 8);
}
