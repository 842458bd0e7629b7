/** Whether the keys of a dataset should go to shards by fingerprint or in turn, judged by how uneven the load is. */

import { LOAD_BALANCING, type LoadBalancing } from "../../protocol/index.ts";

/** Standard deviation of whole numbers, rounded down at every step as the contract says; 0 for none. */
export function standardDeviation(values: readonly number[]): number {
  if (values.length === 0) return 0;
  const mean = Math.floor(sumOf(values) / values.length);
  let squares = 0;
  for (const value of values) squares += (value - mean) ** 2;
  return Math.floor(Math.sqrt(Math.floor(squares / values.length)));
}

export interface DatasetLoad {
  /** Bytes per second of each shard that took data of the dataset. */
  readonly usage: readonly number[];
  /** Smoothed standard deviation of `usage`. */
  readonly stdDev: number;
  readonly unitSizeBytes: number;
  /** Shards that the dataset should have. */
  readonly target: number;
}

/** The fingerprint keeps series together; only a dataset that stands still, is hot and uneven is worth more objects. */
export function chooseBalancing({
  usage,
  stdDev,
  unitSizeBytes,
  target,
}: DatasetLoad): LoadBalancing {
  const { fingerprint, roundRobin } = LOAD_BALANCING;
  if (usage.length < 2) return fingerprint;
  const ratio = usage.length / target;
  const isMoving = ratio > 2 || ratio < 0.5;
  if (isMoving) return fingerprint;
  if (!usage.some((value) => value >= 2 * unitSizeBytes)) return fingerprint;
  const mean = Math.floor(sumOf(usage) / usage.length);
  return stdDev / mean < 0.5 ? fingerprint : roundRobin;
}

export function sumOf(values: readonly number[]): number {
  let sum = 0;
  for (const value of values) sum += value;
  return sum;
}
