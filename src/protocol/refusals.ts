/**
 * Why the door refuses what wants to enter the log. A closed set: the reasons are labels of the
 * rejection counter.
 */

import { HearthError } from "../base/index.ts";

/** Reasons that one block can be refused for. */
export const BLOCK_REFUSALS = [
  /** Not a Block, or a part of it lies outside of the bytes. */
  "bad_structure",
  /** Larger than a block may be. */
  "block_too_large",
  /** The creation time in the id is after 2262-04-11. */
  "creation_time_out_of_range",
  /** A time is not an integral number of milliseconds in the range that doubles hold exactly. */
  "bad_time",
  /** A minimum time is after its maximum time. */
  "time_range_inverted",
  "too_many_datasets",
  "too_many_strings",
  /** String ends do not ascend or leave the bytes. */
  "bad_string_table",
  /** The first string is not the empty one. */
  "first_string_not_empty",
  "string_too_long",
  "string_not_utf8",
  /** A reference outside of the string table. */
  "bad_string_reference",
  "tenant_name_too_long",
  "dataset_without_tenant",
  "too_many_sections",
  "too_many_labels",
  /** A run of labels or sections outside of its vector. */
  "bad_run",
  /** A label set with a negative or too large count. */
  "bad_label_count",
  "empty_label_name",
] as const;

/** All reasons: those of a block, then those of batches and commands around them. */
export const REFUSALS = [
  ...BLOCK_REFUSALS,
  /** More blocks than one request may carry. */
  "too_many_blocks",
  "no_blocks",
  /** A list is longer than its limit. */
  "too_many_elements",
  "unknown_command",
  "unsupported_command_version",
  /** A source id that is no ULID: it could not be found in any partition. */
  "bad_block_id",
  /** Two reports about one job in one poll. */
  "duplicate_report",
  /** A compaction result whose sources, owner, shard or level are not those of its job. */
  "foreign_result",
] as const;

export type BlockRefusal = (typeof BLOCK_REFUSALS)[number];
export type Refusal = (typeof REFUSALS)[number];

/** A refusal as a value: the reason for the counter, the message for the sender. */
export interface ValidationFailure {
  readonly reason: Refusal;
  readonly message: string;
}

/** The error a refusal becomes when it leaves the service. */
export function refusalError(failure: ValidationFailure): HearthError {
  return new HearthError("invalid_argument", failure.message, { reason: failure.reason });
}

/** The refusal that a decoder's error stands for. */
export function refusalOf(error: HearthError): ValidationFailure {
  const known = REFUSALS.find((reason) => reason === error.reason);
  return { reason: known ?? "bad_structure", message: error.message };
}
