/**
 * Payloads of the rarer commands, read with every offset checked (raw commands come from clients)
 * and refused when the state machine could not apply them. Decoders throw HearthError
 * invalid_argument; `validateCommand` says the same as a value.
 */

import { isHearthError } from "../../base/index.ts";
import { validateBlock } from "../block/block-validator.ts";
import { FlatReader, structureError } from "../bytes/flat-reader.ts";
import { checkBlockBatch } from "../client/block-batch.ts";
import { LIMITS } from "../limits.ts";
import { refusalError, refusalOf, type ValidationFailure } from "../refusals.ts";
import { readCompacted, readShardTombstone, readTombstones } from "./command-tables.ts";
import { COMMAND, COMMAND_NAMES, isKnownVersion, newestVersion } from "./entry-body.ts";
import { decodeControlJobs, decodePlanUpdate, decodePolicyCommand } from "./plan-decoder.ts";
import { decodeRetireShards } from "./retire-shards.ts";
import { decodeSessionEntry } from "./session-entry.ts";
import {
  decodeClearTenant,
  decodeDeleteTenant,
  decodeNoteDeletion,
  decodeOpenTenant,
} from "./tenant-deletion.ts";
import type {
  CompactedBlocks,
  CompletedJob,
  ShardTombstone,
  Tombstone,
  TruncateIndex,
} from "./types.ts";

/** Payload of ReplaceBlocks. `newBlocks` are borrowed from the bytes. */
export function decodeCompactedBlocks(
  bytes: Uint8Array,
  offset = 0,
  length: number = bytes.length - offset,
): CompactedBlocks {
  const table = new FlatReader().open(bytes, offset, length).table(0);
  return table === null ? { source: null, newBlocks: [] } : readCompacted(table);
}

/** Payload of CompleteJobs. `newBlocks` are borrowed from the bytes. */
export function decodeCompletedJobs(
  bytes: Uint8Array,
  offset = 0,
  length: number = bytes.length - offset,
): CompletedJob[] {
  const root = new FlatReader().open(bytes, offset, length);
  return root.tables(0, LIMITS.jobsPerCommandMax, "jobs").map((job) => {
    const compacted = job.table(2);
    return {
      name: job.text(0, LIMITS.tombstoneNameMaxBytes, "job name"),
      compactionLevel: job.u32(1),
      compacted: compacted === null ? null : readCompacted(compacted),
    };
  });
}

/** Payload of TruncateIndex. */
export function decodeTruncateIndex(
  bytes: Uint8Array,
  offset = 0,
  length: number = bytes.length - offset,
): TruncateIndex {
  const table = new FlatReader().open(bytes, offset, length);
  return { term: table.f64(0), tombstones: readTombstones(table, 1) };
}

/** Payload of DeleteShard. */
export function decodeDeleteShard(
  bytes: Uint8Array,
  offset = 0,
  length: number = bytes.length - offset,
): ShardTombstone {
  const table = new FlatReader().open(bytes, offset, length).table(0);
  if (table === null) throw structureError("no shard");
  return readShardTombstone(table);
}

/** Payload of AddTombstones and of DeleteTombstones. */
export function decodeTombstones(
  bytes: Uint8Array,
  offset = 0,
  length: number = bytes.length - offset,
): Tombstone[] {
  return readTombstones(new FlatReader().open(bytes, offset, length), 0);
}

/**
 * Why a command must not enter the log, or null. Errors: none thrown for any content of the bytes.
 */
export function validateCommand(
  command: number,
  version: number,
  bytes: Uint8Array,
  offset = 0,
  length: number = bytes.length - offset,
): ValidationFailure | null {
  if (!COMMAND_NAMES.has(command)) {
    return {
      reason: "unknown_command",
      message: `Cannot accept command ${command}: known are 1 to ${Math.max(...COMMAND_NAMES.keys())}`,
    };
  }
  if (command === COMMAND.membership) {
    return {
      reason: "unknown_command",
      message: `Cannot accept command ${command}: members are changed by the leader itself`,
    };
  }
  if (command === COMMAND.checkState) {
    return {
      reason: "unknown_command",
      message: `Cannot accept command ${command}: states are compared by the members themselves`,
    };
  }
  if (!isKnownVersion(command, version)) {
    return {
      reason: "unsupported_command_version",
      message: `Cannot accept command ${command}: version ${version}, known is ${newestVersion(command)}`,
    };
  }
  if (command === COMMAND.addBlocks) return checkBlockBatch(bytes, offset, length);
  try {
    if (command === COMMAND.sessionEntry) {
      const inner = decodeSessionEntry(bytes, offset, length);
      return validateCommand(inner.command, inner.version, bytes, inner.offset, inner.length);
    }
    decodeCommand(command, bytes, offset, length);
    return null;
  } catch (error) {
    if (isHearthError(error)) return refusalOf(error);
    throw error;
  }
}

function decodeCommand(command: number, bytes: Uint8Array, offset: number, length: number): void {
  switch (command) {
    case COMMAND.replaceBlocks:
      checkNewBlocks([decodeCompactedBlocks(bytes, offset, length)]);
      break;
    case COMMAND.completeJobs:
      checkNewBlocks(decodeCompletedJobs(bytes, offset, length).map((job) => job.compacted));
      break;
    case COMMAND.truncateIndex:
      decodeTruncateIndex(bytes, offset, length);
      break;
    case COMMAND.deleteShard:
      decodeDeleteShard(bytes, offset, length);
      break;
    case COMMAND.addTombstones:
    case COMMAND.deleteTombstones:
      decodeTombstones(bytes, offset, length);
      break;
    case COMMAND.updateCompactionPlan: {
      const { completedJobs } = decodePlanUpdate(bytes, offset, length);
      checkNewBlocks(completedJobs.map((job) => job.compacted));
      break;
    }
    case COMMAND.setCompactionPolicy:
    case COMMAND.changeCompactionPolicy:
      decodePolicyCommand(bytes, offset, length);
      break;
    case COMMAND.controlJobs:
      decodeControlJobs(bytes, offset, length);
      break;
    case COMMAND.retireShards:
      decodeRetireShards(bytes, offset, length);
      break;
    case COMMAND.deleteTenant:
      decodeDeleteTenant(bytes, offset, length);
      break;
    case COMMAND.clearTenant:
      decodeClearTenant(bytes, offset, length);
      break;
    case COMMAND.noteDeletion:
      decodeNoteDeletion(bytes, offset, length);
      break;
    case COMMAND.openTenant:
      decodeOpenTenant(bytes, offset, length);
      break;
    default:
      // Noop and openSession: their payload plays no part.
      break;
  }
}

function checkNewBlocks(results: readonly (CompactedBlocks | null)[]): void {
  for (const result of results) {
    for (const block of result?.newBlocks ?? []) {
      const failure = validateBlock(block);
      if (failure !== null) throw refusalError(failure);
    }
  }
}
