/** What retention may and must take, in the plainest words there are: no index, no order, block by block. */

export const HOUR_MS = 3_600_000;
export const PARTITION_MS = 6 * HOUR_MS;

export interface Block {
  /** Its name in the index, as a number: the random part of its ULID. */
  readonly serial: number;
  readonly id: string;
  /** "" is the anonymous owner. */
  readonly owner: string;
  readonly shard: number;
  /** Of its partition, Unix ms. */
  readonly startMs: number;
  readonly createdAtMs: number;
  /** Newest data in it, Unix ms. */
  readonly newestMs: number;
  /** Whose data is in it. */
  readonly tenants: readonly string[];
}

export interface Periods {
  /** 0: for ever. */
  defaultMs: number;
  readonly overridesMs: Map<string, number>;
}

/** "" asks for that of tenants without one of their own. */
export function periodOf({ defaultMs, overridesMs }: Periods, tenant: string): number {
  const own = tenant === "" ? undefined : overridesMs.get(tenant);
  const periodMs = own ?? defaultMs;
  return periodMs === 0 ? Number.POSITIVE_INFINITY : periodMs;
}

/** A tenant with data that is inside its period at `nowMs`; null: all may go. Hidden ones have no say. */
export function whoseDataIsKept(
  { newestMs, tenants }: Block,
  periods: Periods,
  nowMs: number,
  hidden: { has(tenant: string): boolean },
): string | null {
  const isInside = (tenant: string): boolean => newestMs >= nowMs - periodOf(periods, tenant);
  return tenants.find((tenant) => !hidden.has(tenant) && isInside(tenant)) ?? null;
}

/** The block that must not be there once passes at `nowMs` find nothing more; null: there is none. */
export function leftBehind(
  blocks: Iterable<Block>,
  periods: Periods,
  { nowMs, graceMs }: { readonly nowMs: number; readonly graceMs: number },
): Block | null {
  const longestMs = Math.max(
    ...["", ...periods.overridesMs.keys()].map((name) => periodOf(periods, name)),
  );
  const owned = new Set<number>();
  const newest = new Map<string, number>();
  for (const block of blocks) {
    if (block.owner !== "") owned.add(block.startMs);
    const shard = shardOf(block);
    newest.set(shard, Math.max(newest.get(shard) ?? 0, block.newestMs));
  }
  for (const block of blocks) {
    const { owner, startMs } = block;
    // Compaction may still be at work where a tenant has something.
    if (owner === "" && owned.has(startMs)) continue;
    const cutOffMs = nowMs - (owner === "" ? longestMs : periodOf(periods, owner));
    const isPartitionPast = startMs + PARTITION_MS + graceMs < cutOffMs;
    // The unit of deletion is the shard: its newest block decides.
    if (isPartitionPast && (newest.get(shardOf(block)) as number) < cutOffMs) return block;
  }
  return null;
}

export function shardOf({ owner, startMs, shard }: Block): string {
  return `${owner} ${startMs} ${shard}`;
}
