/**
 * Checks the index database against itself: every record, row and count that follows from another one. For tests and
 * for an operator who wants to know whether to trust a database; it reads everything once.
 *
 * The caller holds a read transaction. Shards are checked one after the other, so memory follows the largest shard.
 */

import {
  APPLIED_RECORD,
  GARBAGE_KIND,
  type IndexDatabase,
  KeyBuffer,
  keyU32,
  META_KEYS,
  PARTITION_RECORD_BYTES,
} from "../../db/index.ts";
import { Counters } from "../counters.ts";
import { decodePartition, decodeShards } from "../index/records.ts";
import type { OwnerState, PartitionState } from "../index/shard-state.ts";
import { checkCompaction } from "./check-compaction.ts";
import { DictionaryCheck } from "./check-dictionary.ts";
import { checkDeletions } from "./check-deletions.ts";
import { checkShard } from "./check-shard.ts";
import { checkTombstones } from "./check-tombstones.ts";
import { Problems } from "./problems.ts";

export interface VerifyReport {
  /** What is wrong, in words; empty: nothing. At most `VERIFY_PROBLEMS_MAX`, the rest is only counted. */
  readonly problems: readonly string[];
  readonly problemsCount: number;
  readonly owners: number;
  readonly partitions: number;
  readonly shards: number;
  readonly blocks: number;
  readonly datasets: number;
  readonly dictionaries: number;
  readonly tombstones: number;
  /** Blocks in the compaction queue, and compaction jobs. */
  readonly queuedBlocks: number;
  readonly jobs: number;
  /** Blocks that compaction should know and does not: from before it was turned on, until they are found. */
  readonly strayBlocks: number;
  readonly appliedIndex: number;
}

const FIRST = new Uint8Array(4);
const LAST = new Uint8Array(33).fill(0xff);

/** Everything the walk finds; compared with counters and with the rows that no record leads to. */
interface Totals {
  owners: number;
  partitions: number;
  shards: number;
  blocks: number;
  datasets: number;
  bytes: number;
  readonly ordinals: Set<number>;
  readonly dictionaries: Map<number, DictionaryCheck>;
}

/** Reads the whole index and reports every contradiction. Cost: a few us per block. */
export function verifyIndex(db: IndexDatabase): VerifyReport {
  const problems = new Problems();
  const totals: Totals = {
    owners: 0,
    partitions: 0,
    shards: 0,
    blocks: 0,
    datasets: 0,
    bytes: 0,
    ordinals: new Set(),
    dictionaries: new Map(),
  };
  for (const owner of readOwners(db)) checkOwner(db, owner, totals, problems);
  checkPartitionRows(db, totals, problems);
  checkOrphans(db, totals, problems);
  const tombstones = checkTombstones(db, problems);
  const compaction = checkCompaction(db, problems);
  checkDeletions(db, problems);
  checkCounters(db, totals, problems);
  const applied = db.get("meta", META_KEYS.applied);
  return {
    problems: problems.list,
    problemsCount: problems.count,
    owners: totals.owners,
    partitions: totals.partitions,
    shards: totals.shards,
    blocks: totals.blocks,
    datasets: totals.datasets,
    dictionaries: totals.dictionaries.size,
    tombstones,
    queuedBlocks: compaction.queued,
    jobs: compaction.jobs,
    strayBlocks: compaction.strays,
    appliedIndex: applied < 0 ? 0 : (db.f64[APPLIED_RECORD.index64] as number),
  };
}

function readOwners(db: IndexDatabase): OwnerState[] {
  const owners: OwnerState[] = [];
  db.scan("owners", FIRST, LAST, (key, length) => {
    const owner: OwnerState = {
      tenant: keyU32(key, 0),
      partitions: [],
      byStart: new Map(),
      isDirty: false,
    };
    for (let at = 0; at < length; at += PARTITION_RECORD_BYTES) {
      owner.partitions.push(decodePartition(owner, db.u32, db.f64, at));
    }
    owners.push(owner);
    return true;
  });
  return owners;
}

function checkOwner(
  db: IndexDatabase,
  owner: OwnerState,
  totals: Totals,
  problems: Problems,
): void {
  totals.owners++;
  problems.check(owner.partitions.length > 0, () => `owner ${owner.tenant} has an empty record`);
  const tenantKey = new KeyBuffer(4).u32(0, owner.tenant).bytes;
  if (owner.tenant !== 0) {
    problems.check(db.get("tenants", tenantKey) > 0, () => `owner ${owner.tenant} has no name`);
  }
  let before = Number.NEGATIVE_INFINITY;
  for (const partition of owner.partitions) {
    problems.check(partition.startMs > before, () => `${placeOf(partition)} is out of order`);
    before = partition.startMs;
    checkPartition(db, partition, totals, problems);
  }
}

function checkPartition(
  db: IndexDatabase,
  partition: PartitionState,
  totals: Totals,
  problems: Problems,
): void {
  const place = placeOf(partition);
  totals.partitions++;
  const key = partitionKey(partition);
  const length = Math.max(0, db.get("partitions", key));
  const shards = decodeShards(partition, db.u32, db.f64, length);
  let blocks = 0;
  let bytes = 0;
  let dictionary = totals.dictionaries.get(partition.dictionary);
  if (dictionary === undefined) {
    dictionary = new DictionaryCheck(db, partition.dictionary, problems);
    totals.dictionaries.set(partition.dictionary, dictionary);
  }
  dictionary.checkUse(partition);
  for (const shard of shards.values()) {
    problems.check(
      !totals.ordinals.has(shard.ordinal),
      () => `ordinal ${shard.ordinal} is used twice`,
    );
    totals.ordinals.add(shard.ordinal);
    checkShard(db, shard, dictionary, problems);
    problems.check(
      !(shard.liveMinMs < partition.liveMinMs) && !(shard.liveMaxMs > partition.liveMaxMs),
      () => `${place} is narrower than its shard ${shard.shard}`,
    );
    totals.shards++;
    totals.datasets += shard.datasets;
    blocks += shard.blocks;
    bytes += shard.bytes;
  }
  totals.blocks += blocks;
  totals.bytes += bytes;
  problems.same(`${place} shards`, partition.shardCount, shards.size);
  problems.same(`${place} blocks`, partition.blocks, blocks);
  problems.same(`${place} bytes`, partition.bytes, bytes);
}

/** Rows of `partitions` that no owner record leads to. */
function checkPartitionRows(db: IndexDatabase, totals: Totals, problems: Problems): void {
  let rows = 0;
  db.scan("partitions", FIRST, LAST, () => {
    rows++;
    return true;
  });
  problems.same("rows of partitions", rows, totals.partitions);
}

/** Rows that belong to no shard or dictionary and do not wait to be swept either. */
function checkOrphans(db: IndexDatabase, totals: Totals, problems: Problems): void {
  const ordinals = new Set(totals.ordinals);
  const dictionaries = new Set(totals.dictionaries.keys());
  db.scan("garbage", FIRST, LAST, (key) => {
    const id = keyU32(key, 4);
    (keyU32(key, 0) === GARBAGE_KIND.ordinal ? ordinals : dictionaries).add(id);
    return true;
  });
  for (const table of ["blocks", "tails", "tailKeys", "postings", "directory"] as const) {
    db.scan(table, FIRST, LAST, (key) => {
      const ordinal = keyU32(key, 0);
      problems.check(
        ordinals.has(ordinal),
        () => `${table} has rows of unknown ordinal ${ordinal}`,
      );
      return true;
    });
  }
  for (const table of [
    "dictionaries",
    "strings",
    "stringIds",
    "keys",
    "keyIds",
    "pairs",
  ] as const) {
    db.scan(table, FIRST, LAST, (key) => {
      const id = keyU32(key, 0);
      problems.check(dictionaries.has(id), () => `${table} has rows of unknown dictionary ${id}`);
      return true;
    });
  }
}

function checkCounters(db: IndexDatabase, totals: Totals, problems: Problems): void {
  const counters = new Counters();
  counters.load(db);
  for (const field of ["owners", "partitions", "shards", "blocks", "datasets", "bytes"] as const) {
    problems.same(`counter ${field}`, counters[field], totals[field]);
  }
  let garbage = 0;
  db.scan("garbage", FIRST, LAST, () => {
    garbage++;
    return true;
  });
  problems.same("counter garbage", counters.garbage, garbage);
}

function partitionKey(partition: PartitionState): Uint8Array {
  return new KeyBuffer(16)
    .u32(0, partition.owner.tenant)
    .u64(4, partition.startMs)
    .u32(12, partition.durationSec).bytes;
}

function placeOf(partition: PartitionState): string {
  return `partition ${partition.startMs} of owner ${partition.owner.tenant}`;
}
