/**
 * The door: what a block must be to enter the log (spec 14: W1, W2, W6, W16).
 *
 * Whatever passes here is applied on every replica and replayed at every start, where a surprise
 * would stop them all; so the check is complete, works in place on hostile bytes, and is the same
 * on every member: it depends on the bytes alone, not on a clock or a setting.
 */

import { encodeUlid, ulidTimeMs } from "../../base/index.ts";
import { isAsciiInWords, isValidUtf8 } from "../bytes/text.ts";
import { DATASET, HEAD } from "../layout.ts";
import { CREATION_TIME_MAX_MS, LIMITS, TIME_MAX_MS } from "../limits.ts";
import type { BlockRefusal, ValidationFailure } from "../refusals.ts";
import { BlockReader } from "./block-reader.ts";

const READER = new BlockReader();

/**
 * Checks the wire Block in bytes[offset, offset + length) and returns why it is refused, or null.
 *
 * Errors: none thrown for any content of the bytes.
 * Cost: one pass, bounded by LIMITS; no allocation for a valid ASCII block.
 */
export function validateBlock(
  bytes: Uint8Array,
  offset = 0,
  length: number = bytes.length - offset,
): ValidationFailure | null {
  if (length > LIMITS.blockMaxBytes) {
    return refuse(
      "block_too_large",
      `the block has ${length} bytes, limit is ${LIMITS.blockMaxBytes}`,
    );
  }
  const malformed = READER.tryReset(bytes, offset, length);
  if (malformed !== null) return refuse("bad_structure", malformed.message);
  return (
    checkHead(READER) ?? checkStrings(READER) ?? checkReferences(READER) ?? checkDatasets(READER)
  );
}

function checkHead(block: BlockReader): ValidationFailure | null {
  const createdAtMs = ulidTimeMs(block.u8, block.headOffset + HEAD.id);
  if (createdAtMs > CREATION_TIME_MAX_MS) {
    return refuseIn(
      block,
      "creation_time_out_of_range",
      `its id is created at ${createdAtMs} ms, limit is ${CREATION_TIME_MAX_MS}`,
    );
  }
  const { datasetsCount, stringsCount } = block;
  if (datasetsCount > LIMITS.datasetsMax) {
    return refuseIn(
      block,
      "too_many_datasets",
      `${datasetsCount} datasets, limit is ${LIMITS.datasetsMax}`,
    );
  }
  if (stringsCount > LIMITS.stringsMax) {
    return refuseIn(
      block,
      "too_many_strings",
      `${stringsCount} strings, limit is ${LIMITS.stringsMax}`,
    );
  }
  return checkTimes(block, block.minTimeMs, block.maxTimeMs, -1);
}

function checkTimes(
  block: BlockReader,
  minTimeMs: number,
  maxTimeMs: number,
  dataset: number,
): ValidationFailure | null {
  if (!isTime(minTimeMs) || !isTime(maxTimeMs)) {
    const bad = isTime(minTimeMs) ? maxTimeMs : minTimeMs;
    return refuseIn(
      block,
      "bad_time",
      `${place(dataset)}time ${bad}, allowed are integral milliseconds within +-${TIME_MAX_MS}`,
    );
  }
  if (minTimeMs <= maxTimeMs) return null;
  return refuseIn(
    block,
    "time_range_inverted",
    `${place(dataset)}minimum time ${minTimeMs} is after maximum time ${maxTimeMs}`,
  );
}

function checkStrings(block: BlockReader): ValidationFailure | null {
  const { u8, i32, stringsCount, stringBytesOffset, stringBytesCount } = block;
  const ends = block.stringEndsOffset >>> 2;
  // Checked at once: any piece of ASCII is valid UTF-8. Only tables with other characters are
  // checked per string.
  const allAscii = isAsciiInWords(u8, i32, stringBytesOffset, stringBytesOffset + stringBytesCount);
  let start = 0;
  for (let i = 0; i < stringsCount; i++) {
    const end = (i32[ends + i] as number) >>> 0;
    if (end < start || end > stringBytesCount) {
      return refuseIn(
        block,
        "bad_string_table",
        `string ${i} ends at ${end}, allowed is ${start} to ${stringBytesCount}`,
      );
    }
    if (i === 0 && end !== 0) {
      return refuseIn(
        block,
        "first_string_not_empty",
        `the first string has ${end} bytes, it must be empty`,
      );
    }
    if (end - start > LIMITS.stringMaxBytes) {
      return refuseIn(
        block,
        "string_too_long",
        `string ${i} has ${end - start} bytes, limit is ${LIMITS.stringMaxBytes}`,
      );
    }
    if (!allAscii && !isValidUtf8(u8, stringBytesOffset + start, stringBytesOffset + end)) {
      return refuseIn(block, "string_not_utf8", `string ${i} is not UTF-8`);
    }
    start = end;
  }
  return null;
}

function checkReferences(block: BlockReader): ValidationFailure | null {
  if (!isReference(block, block.createdBy)) return badReference(block, -1, block.createdBy);
  return checkTenant(block, block.tenant, -1);
}

function checkTenant(
  block: BlockReader,
  reference: number,
  dataset: number,
): ValidationFailure | null {
  if (!isReference(block, reference)) return badReference(block, dataset, reference);
  const bytes = block.stringEnd(reference) - block.stringStart(reference);
  if (bytes <= LIMITS.tenantMaxBytes) return null;
  return refuseIn(
    block,
    "tenant_name_too_long",
    `${place(dataset)}tenant of ${bytes} bytes, limit is ${LIMITS.tenantMaxBytes}`,
  );
}

function checkDatasets(block: BlockReader): ValidationFailure | null {
  let sections = 0;
  let labels = 0;
  for (let i = 0; i < block.datasetsCount; i++) {
    const failure = checkDataset(block, i);
    if (failure !== null) return failure;
    sections += block.datasetU32(i, DATASET.tocCount);
    labels += block.datasetU32(i, DATASET.labelsCount);
    // Summed before the labels are walked: datasets may share a run, so a small block could ask for
    // much work.
    if (sections > LIMITS.sectionsPerBlockMax) {
      return refuseIn(
        block,
        "too_many_sections",
        `${sections} table of contents elements, limit is ${LIMITS.sectionsPerBlockMax}`,
      );
    }
    if (labels > LIMITS.labelIntsPerBlockMax) {
      return refuseIn(
        block,
        "too_many_labels",
        `${labels} label numbers, limit is ${LIMITS.labelIntsPerBlockMax}`,
      );
    }
    const bad = checkLabels(block, i);
    if (bad !== null) return bad;
  }
  return null;
}

function checkDataset(block: BlockReader, i: number): ValidationFailure | null {
  const tenant = block.datasetI32(i, DATASET.tenant);
  const name = block.datasetI32(i, DATASET.name);
  const badTimes = checkTimes(
    block,
    block.datasetF64(i, DATASET.minTimeMs),
    block.datasetF64(i, DATASET.maxTimeMs),
    i,
  );
  if (badTimes !== null) return badTimes;
  const badTenant = checkTenant(block, tenant, i);
  if (badTenant !== null) return badTenant;
  if (block.stringEnd(tenant) === block.stringStart(tenant)) {
    return refuseIn(block, "dataset_without_tenant", `${place(i)}no tenant; each must name one`);
  }
  if (!isReference(block, name)) return badReference(block, i, name);
  return (
    checkRun(block, i, DATASET.tocStart, block.tocCount, "table of contents") ??
    checkRun(block, i, DATASET.labelsStart, block.labelsCount, "labels")
  );
}

/** A run is a start and, in the next word, a count. */
function checkRun(
  block: BlockReader,
  i: number,
  startField: number,
  allowed: number,
  what: string,
): ValidationFailure | null {
  const start = block.datasetU32(i, startField);
  const count = block.datasetU32(i, startField + 4);
  if (start + count <= allowed) return null;
  return refuseIn(
    block,
    "bad_run",
    `${place(i)}${what} ${start} to ${start + count}, the block has ${allowed}`,
  );
}

function checkLabels(block: BlockReader, i: number): ValidationFailure | null {
  const { i32, stringsCount } = block;
  const ends = block.stringEndsOffset >>> 2;
  const count = block.datasetU32(i, DATASET.labelsCount);
  if (count > LIMITS.labelIntsPerDatasetMax) {
    return refuseIn(
      block,
      "too_many_labels",
      `${place(i)}${count} label numbers, limit is ${LIMITS.labelIntsPerDatasetMax}`,
    );
  }
  let position = (block.labelsOffset >>> 2) + block.datasetU32(i, DATASET.labelsStart);
  const end = position + count;
  while (position < end) {
    const pairs = i32[position++] as number;
    if (pairs < 0 || 2 * pairs > end - position) {
      return refuseIn(
        block,
        "bad_label_count",
        `${place(i)}a label set of ${pairs} pairs where ${end - position} numbers are left`,
      );
    }
    const setEnd = position + 2 * pairs;
    for (; position < setEnd; position += 2) {
      const name = i32[position] as number;
      const value = i32[position + 1] as number;
      // Unsigned comparison refuses negative references as well; value 0 needs no table.
      if (value !== 0 && value >>> 0 >= stringsCount) return badReference(block, i, value);
      if (name !== 0 && name >>> 0 >= stringsCount) return badReference(block, i, name);
      if (name === 0 || i32[ends + name] === i32[ends + name - 1]) {
        return refuseIn(block, "empty_label_name", `${place(i)}a label with an empty name`);
      }
    }
  }
  return null;
}

function isTime(timeMs: number): boolean {
  return Math.abs(timeMs) <= TIME_MAX_MS && Math.floor(timeMs) === timeMs;
}

/** 0 is the empty string, also without a table. */
function isReference(block: BlockReader, reference: number): boolean {
  return reference === 0 || reference >>> 0 < block.stringsCount;
}

function badReference(block: BlockReader, dataset: number, reference: number): ValidationFailure {
  return refuseIn(
    block,
    "bad_string_reference",
    `${place(dataset)}string reference ${reference}, the table has ${block.stringsCount} strings`,
  );
}

function place(dataset: number): string {
  return dataset < 0 ? "" : `dataset ${dataset}: `;
}

function refuseIn(block: BlockReader, reason: BlockRefusal, what: string): ValidationFailure {
  return refuse(reason, `${encodeUlid(block.u8, block.headOffset + HEAD.id)}: ${what}`);
}

function refuse(reason: BlockRefusal, what: string): ValidationFailure {
  return { reason, message: `Cannot accept block: ${what}` };
}
