/**
 * The last line before a block changes the index: whatever is read from it further on stays inside its bytes and
 * within the limits. The door (protocol, validateBlock) refuses more and may become stricter at any time; this check
 * is part of what a log entry means and stays as it is for version 1 of the commands that carry blocks.
 *
 * Accepted on purpose, as it does no harm inside: datasets without a tenant, empty label names, inverted time ranges,
 * text that is not UTF-8, a first string that is not empty (reference 0 is the empty string all the same).
 */

import { type BlockReader, DATASET, HEAD } from "../../protocol/index.ts";
import { STATE_LIMITS } from "../limits.ts";
import type { Rejection } from "../metrics.ts";

/** Why the block is refused, or null. Cost: about 2 ns per label int and string. */
export function checkBlock(block: BlockReader): Rejection | null {
  if (!Number.isFinite(block.minTimeMs) || !Number.isFinite(block.maxTimeMs)) return "bad_block";
  if (!hasSoundStrings(block)) return "bad_block";
  const strings = Math.max(1, block.stringsCount);
  const owner = block.tenant;
  if (owner >>> 0 >= strings || block.createdBy >>> 0 >= strings) return "bad_block";
  if (block.datasetsCount > STATE_LIMITS.datasetsMax) return "bad_block";
  let sections = 0;
  for (let i = 0; i < block.datasetsCount; i++) {
    if (!isSoundDataset(block, i, strings)) return "bad_block";
    sections += block.datasetU32(i, DATASET.tocCount);
  }
  if (sections > STATE_LIMITS.sectionsMax) return "bad_block";
  const ownerBytes = block.stringEnd(owner) - block.stringStart(owner);
  return ownerBytes > STATE_LIMITS.tenantMaxBytes ? "tenant_too_long" : null;
}

/** Position of the id in the reader's i32, in words. */
export function idWord(block: BlockReader): number {
  return (block.headOffset + HEAD.id) >>> 2;
}

function hasSoundStrings(block: BlockReader): boolean {
  const { i32, stringsCount, stringBytesCount } = block;
  const ends = block.stringEndsOffset >>> 2;
  let start = 0;
  for (let i = 0; i < stringsCount; i++) {
    const end = (i32[ends + i] as number) >>> 0;
    if (end < start || end > stringBytesCount) return false;
    if (end - start > STATE_LIMITS.stringMaxBytes) return false;
    start = end;
  }
  return true;
}

function isSoundDataset(block: BlockReader, i: number, strings: number): boolean {
  if (block.datasetU32(i, DATASET.tenant) >= strings) return false;
  if (block.datasetU32(i, DATASET.name) >= strings) return false;
  if (!Number.isFinite(block.datasetF64(i, DATASET.minTimeMs))) return false;
  if (!Number.isFinite(block.datasetF64(i, DATASET.maxTimeMs))) return false;
  const tocCount = block.datasetU32(i, DATASET.tocCount);
  if (block.datasetU32(i, DATASET.tocStart) + tocCount > block.tocCount) return false;
  const start = block.datasetU32(i, DATASET.labelsStart);
  const count = block.datasetU32(i, DATASET.labelsCount);
  if (start + count > block.labelsCount || count > STATE_LIMITS.labelIntsMax) return false;
  return areSoundSets(block.i32, (block.labelsOffset >>> 2) + start, count, strings);
}

function areSoundSets(words: Int32Array, start: number, count: number, strings: number): boolean {
  const end = start + count;
  let at = start;
  while (at < end) {
    const pairs = words[at++] as number;
    if (pairs < 0 || pairs * 2 > end - at) return false;
    const setEnd = at + 2 * pairs;
    for (; at < setEnd; at++) if ((words[at] as number) >>> 0 >= strings) return false;
  }
  return true;
}
