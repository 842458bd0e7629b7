/** Name of a shard's tombstone, as the reference writes it: `2023-12-30 18:00:00 (6h0m0s)-Tanonymous-S3`. */
import type { ShardTombstone } from "../../protocol/index.ts";
import type { PartitionTimes } from "./pass.ts";

const NS_PER_MS = 1_000_000n;

export function shardTombstone(
  { startMs, durationMs }: PartitionTimes,
  tenant: string,
  shard: number,
): ShardTombstone {
  const start = new Date(startMs).toISOString().slice(0, 19).replace("T", " ");
  return {
    name: `${start} (${goDuration(durationMs)})-T${tenant || "anonymous"}-S${shard}`,
    timestampNs: BigInt(startMs) * NS_PER_MS,
    durationNs: BigInt(durationMs) * NS_PER_MS,
    shard,
    tenant,
  };
}

/** Whole seconds the way Go prints them: all smaller units once a larger one is there. */
function goDuration(ms: number): string {
  const seconds = Math.floor(ms / 1_000);
  const hours = Math.floor(seconds / 3_600);
  const minutes = Math.floor(seconds / 60) % 60;
  const rest = `${seconds % 60}s`;
  if (hours > 0) return `${hours}h${minutes}m${rest}`;
  return minutes > 0 ? `${minutes}m${rest}` : rest;
}
