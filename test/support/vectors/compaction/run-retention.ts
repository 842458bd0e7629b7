/** Vectors of retention: one pass over the partitions of a case, without an index. */
import {
  type PartitionTimes,
  RetentionPass,
  RetentionPolicy,
  shardTombstone,
} from "../../../../src/leader/index.ts";

interface RetentionCase {
  readonly config: {
    readonly default_retention_ns: string;
    readonly override_retention_ns: Readonly<Record<string, string>>;
    readonly grace_period_ns: string;
    readonly max_tombstones: number;
  };
  readonly now_ns: string;
  readonly partitions: readonly {
    readonly timestamp_ns: string;
    readonly duration_ns: string;
    readonly tenants: Readonly<
      Record<string, readonly { readonly shard: number; readonly max_time_ms: number }[]>
    >;
  }[];
  readonly expect: { readonly tombstones: readonly object[] };
}

const NS_PER_MS = 1_000_000n;

function ms(ns: string): number {
  return Number(BigInt(ns) / NS_PER_MS);
}

/** What differs, or null. */
export function runRetentionCase(vectorCase: RetentionCase): string | null {
  const { config, now_ns, partitions, expect } = vectorCase;
  const overridesMs = new Map(
    Object.entries(config.override_retention_ns).map(([tenant, period]) => [tenant, ms(period)]),
  );
  const periods = { defaultMs: ms(config.default_retention_ns), overridesMs };
  const pass = new RetentionPass(new RetentionPolicy(periods, ms(now_ns)), {
    graceMs: ms(config.grace_period_ns),
    countMax: config.max_tombstones,
  });
  for (const { timestamp_ns, duration_ns, tenants } of partitions) {
    const partition: PartitionTimes = { startMs: ms(timestamp_ns), durationMs: ms(duration_ns) };
    const isAlone = Object.keys(tenants).every((tenant) => tenant === "");
    for (const [tenant, shards] of Object.entries(tenants)) {
      if (!pass.mayHold(tenant, partition)) continue;
      for (const { shard, max_time_ms } of shards) {
        const blocks = max_time_ms === 0 ? 0 : 1;
        pass.look(tenant, partition, { shard, blocks, bytes: 0, newestMs: max_time_ms }, isAlone);
      }
    }
  }
  const found = pass.take().map((due) => {
    const { name, timestampNs, durationNs, shard, tenant } = shardTombstone(
      due,
      due.tenant,
      due.shard,
    );
    return {
      duration_ns: String(durationNs),
      name,
      shard,
      tenant,
      timestamp_ns: String(timestampNs),
    };
  });
  const [got, wanted] = [found, expect.tombstones].map((list) => JSON.stringify(list));
  return got === wanted ? null : `expected ${wanted}, got ${got}`;
}
