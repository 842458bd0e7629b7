/**
 * Between the units of the vectors (nanoseconds as text, dense log positions) and ours (milliseconds as doubles, one
 * log): times of a case count from shortly before its earliest one, so that single nanoseconds survive the doubles;
 * log indexes and tokens are stretched, so that entries of our own fit between those of the case.
 */

import type { JobState } from "../../../../src/protocol/index.ts";
import type { CompactedBlocks, JobPlan, Tombstone } from "../../../../src/protocol/index.ts";
import { COMPACTION_DEFAULTS } from "../../../../src/state/index.ts";
import { blockBytes } from "../steps.ts";
import type {
  CompactedJson,
  CompactionCase,
  Config,
  PlainBlock,
  PlanJson,
  StateJson,
  TombstoneJson,
} from "./types.ts";

/** Entries of ours per position of the case. */
export const INDEX_SCALE = 4;

const STATUS_NAMES = ["UNSPECIFIED", "IN_PROGRESS", "SUCCESS"] as const;
const NS_PER_MS = 1_000_000;
/** Ours for every block: they carry no data. */
const NO_DATA = {
  formatVersion: 1,
  minTimeMs: 0,
  maxTimeMs: 0,
  createdBy: 0,
  sizeBytes: 0n,
  metadataOffset: 0n,
  datasets: [],
} as const;

export class Translation {
  readonly #baseNs: bigint;

  constructor(vectorCase: CompactionCase) {
    const times = [...JSON.stringify(vectorCase).matchAll(/"(?:time|added_at)_ns":"(\d+)"/g)]
      .map((match) => BigInt(match[1] as string))
      .filter((time) => time > 0n);
    const earliest = times.reduce((least, time) => (time < least ? time : least), times[0] ?? 0n);
    this.#baseNs = earliest - 1_000_000_000n;
  }

  /** 0 stays 0: it means "never". */
  toMs(ns: string): number {
    if (ns === "0") return 0;
    return Number(BigInt(ns) - this.#baseNs) / NS_PER_MS;
  }

  toNs(ms: number): string {
    if (ms === 0) return "0";
    return (BigInt(Math.round(ms * NS_PER_MS)) + this.#baseNs).toString();
  }

  stateToJson(state: JobState): StateJson {
    return {
      name: state.name,
      compaction_level: state.level,
      status: STATUS_NAMES[state.status] as NonNullable<StateJson["status"]>,
      token: state.token / INDEX_SCALE,
      lease_expires_at_ns: this.toNs(state.leaseExpiresAtMs),
      added_at_ns: this.toNs(state.addedAtMs),
      failures: state.failures,
    };
  }

  stateFromJson(state: StateJson): JobState {
    return {
      name: state.name,
      level: state.compaction_level ?? 0,
      status: STATUS_NAMES.indexOf(state.status ?? "UNSPECIFIED"),
      token: (state.token ?? 0) * INDEX_SCALE,
      leaseExpiresAtMs: this.toMs(state.lease_expires_at_ns ?? "0"),
      addedAtMs: this.toMs(state.added_at_ns ?? "0"),
      failures: state.failures ?? 0,
      owner: "",
      reason: "",
    };
  }
}

export function planToJson(plan: JobPlan): PlanJson {
  return {
    name: plan.name,
    tenant: plan.tenant,
    shard: plan.shard,
    compaction_level: plan.level,
    source_blocks: plan.sourceBlocks,
    tombstones: plan.tombstones.map(tombstoneToJson),
  };
}

export function planFromJson(plan: PlanJson): JobPlan {
  return {
    name: plan.name,
    tenant: plan.tenant,
    shard: plan.shard,
    level: plan.compaction_level,
    sourceBlocks: plan.source_blocks,
    tombstones: (plan.tombstones ?? []).map(tombstoneFromJson),
  };
}

export function tombstoneToJson({ blocks, shard }: Tombstone): TombstoneJson {
  return {
    ...(blocks === null
      ? {}
      : {
          blocks: {
            name: blocks.name,
            shard: blocks.shard,
            tenant: blocks.tenant,
            compaction_level: blocks.compactionLevel,
            blocks: blocks.blocks,
          },
        }),
    ...(shard === null
      ? {}
      : {
          shard: {
            name: shard.name,
            timestamp_ns: shard.timestampNs.toString(),
            duration_ns: shard.durationNs.toString(),
            shard: shard.shard,
            tenant: shard.tenant,
          },
        }),
  };
}

export function tombstoneFromJson({ blocks, shard }: TombstoneJson): Tombstone {
  return {
    blocks: blocks === undefined ? null : { ...blocks, compactionLevel: blocks.compaction_level },
    shard:
      shard === undefined
        ? null
        : {
            ...shard,
            timestampNs: BigInt(shard.timestamp_ns),
            durationNs: BigInt(shard.duration_ns),
          },
  };
}

export function compactedFromJson(compacted: CompactedJson): CompactedBlocks {
  const { source_blocks: source, new_blocks: newBlocks = [] } = compacted;
  return {
    source:
      source === undefined
        ? null
        : { tenant: source.tenant, shard: source.shard, blocks: source.blocks ?? [] },
    newBlocks: newBlocks.map(plainBlockBytes),
  };
}

/** A wire Block with that id, owner, shard and level, and nothing in it. */
export function plainBlockBytes({ id, tenant, shard, level }: PlainBlock): Uint8Array {
  return blockBytes({
    ...NO_DATA,
    id,
    shard,
    compactionLevel: level,
    tenant: tenant === "" ? 0 : 1,
    stringTable: tenant === "" ? [""] : ["", tenant],
  });
}

/** The configuration of a case as a policy; what the reference does not have keeps our defaults. */
export function policyJson({ compactor, scheduler }: Config): string {
  const ms = (ns: string): number => Number(ns) / NS_PER_MS;
  return JSON.stringify({
    ...COMPACTION_DEFAULTS,
    levels: compactor.levels.map(({ max_blocks: maxBlocks, max_age_ns: maxAge }) => ({
      maxBlocks,
      maxAgeMs: ms(maxAge),
    })),
    cleanupBatchSize: compactor.cleanup_batch_size,
    cleanupDelayMs: ms(compactor.cleanup_delay_ns),
    cleanupMinLevel: compactor.cleanup_job_min_level,
    cleanupMaxLevel: compactor.cleanup_job_max_level,
    failuresMax: scheduler.max_failures,
    leaseMs: ms(scheduler.lease_duration_ns),
    jobsMax: scheduler.max_queue_size,
  });
}

export function statusNumber(status: string): number {
  return (STATUS_NAMES as readonly string[]).indexOf(status);
}
