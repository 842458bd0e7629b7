/**
 * Choosing the shards that retention takes out (spec retention-dlq-placement, A4), over whatever lists partitions.
 *
 * A shard of a tenant is due when its partition ended, with grace, before the tenant's cut-off, and all its data is older
 * than that. Differences to the reference, which only ever keep more: both comparisons are strict, and the anonymous
 * owner's shards go when they are empty or older than the longest period of all, not because they are alone.
 *
 * Order: oldest partition first, then owners by bytes ("-" stands for the anonymous one), then shards. Only the first
 * `countMax` are kept, so that a backlog costs no memory; the others are still counted.
 */
import { NEVER, type RetentionPolicy } from "./policy.ts";

export interface PartitionTimes {
  readonly startMs: number;
  readonly durationMs: number;
}

/** A shard as the index knows it. */
export interface ShardContent {
  readonly shard: number;
  readonly blocks: number;
  readonly bytes: number;
  /** Newest data in it, Unix ms; anything when it holds no blocks. */
  readonly newestMs: number;
}

export interface DueShard extends PartitionTimes, ShardContent {
  /** "" is the anonymous owner. */
  readonly tenant: string;
  /** What it was judged by: it stays if data at or after this has come in. */
  readonly cutOffMs: number;
}

export interface DueTotals {
  shards: number;
  blocks: number;
  bytes: number;
}

export class RetentionPass {
  readonly totals: DueTotals = { shards: 0, blocks: 0, bytes: 0 };
  readonly #policy: RetentionPolicy;
  readonly #graceMs: number;
  readonly #countMax: number;
  /** The first ones of all that were judged, in order. */
  readonly #due: DueShard[] = [];

  constructor(
    policy: RetentionPolicy,
    { graceMs, countMax }: { readonly graceMs: number; readonly countMax: number },
  ) {
    this.#policy = policy;
    this.#graceMs = graceMs;
    this.#countMax = countMax;
  }

  /** Whether shards of this partition have to be looked at for this owner. False for all that start later, too. */
  mayHold(tenant: string, partition: PartitionTimes): boolean {
    return this.#endOf(partition) < this.#gateOf(tenant);
  }

  /**
   * Judges one shard. `content` is borrowed until it returns. `isAlone`: of a shard of the anonymous owner, that no tenant has a shard in its partition any more;
   * until then compaction may still be at work there.
   */
  look(tenant: string, partition: PartitionTimes, content: ShardContent, isAlone: boolean): void {
    const cutOffMs = this.#judge(tenant, partition, content, isAlone);
    if (cutOffMs === null) return;
    this.totals.shards += 1;
    this.totals.blocks += content.blocks;
    this.totals.bytes += content.bytes;
    const { startMs, durationMs } = partition;
    const { shard, blocks, bytes, newestMs } = content;
    if (!this.#hasRoomFor(tenant, partition, shard)) return;
    this.#keep({ tenant, startMs, durationMs, shard, blocks, bytes, newestMs, cutOffMs });
  }

  /** The first ones, in order. */
  take(): readonly DueShard[] {
    return this.#due;
  }

  #endOf({ startMs, durationMs }: PartitionTimes): number {
    return startMs + durationMs + this.#graceMs;
  }

  /** Empty shards of the anonymous owner hold nobody's data: they go when the first tenant's would. */
  #gateOf(tenant: string): number {
    return tenant === "" ? this.#policy.latest : this.#policy.cutOffOf(tenant);
  }

  /** The time it goes by, or null: it stays. */
  #judge(
    tenant: string,
    partition: PartitionTimes,
    { blocks, newestMs }: ShardContent,
    isAlone: boolean,
  ): number | null {
    const cutOffMs = this.#policy.cutOffOf(tenant);
    const endMs = this.#endOf(partition);
    if (tenant === "" && !isAlone) return null;
    if (blocks === 0) return endMs < this.#gateOf(tenant) ? NEVER : null;
    return endMs < cutOffMs && newestMs < cutOffMs ? cutOffMs : null;
  }

  /** Of a backlog nearly all come behind those that are kept: they are counted, and nothing is made for them. */
  #hasRoomFor(tenant: string, { startMs, durationMs }: PartitionTimes, shard: number): boolean {
    if (this.#due.length < this.#countMax) return true;
    const last = this.#due.at(-1);
    if (last === undefined) return false;
    if (startMs !== last.startMs) return startMs < last.startMs;
    return compareDue({ tenant, startMs, durationMs, shard }, last) <= 0;
  }

  /** Put where it belongs at once: to sort them at the end would hold the thread for as long as there are many. */
  #keep(shard: DueShard): void {
    const due = this.#due;
    if (due.length >= this.#countMax) due.pop();
    due.splice(placeOf(due, shard), 0, shard);
  }
}

/** What their order goes by. */
type DuePlace = Pick<DueShard, "startMs" | "durationMs" | "tenant" | "shard">;

/** Position of the first that comes behind `shard`. */
function placeOf(due: readonly DueShard[], shard: DueShard): number {
  let start = 0;
  let end = due.length;
  while (start < end) {
    const middle = (start + end) >>> 1;
    if (compareDue(due[middle] as DueShard, shard) > 0) end = middle;
    else start = middle + 1;
  }
  return start;
}

function compareDue(a: DuePlace, b: DuePlace): number {
  return (
    a.startMs - b.startMs ||
    a.durationMs - b.durationMs ||
    compareBytes(a.tenant || "-", b.tenant || "-") ||
    compareBytes(a.tenant, b.tenant) ||
    a.shard - b.shard
  );
}

function compareBytes(a: string, b: string): number {
  return a === b ? 0 : Buffer.compare(Buffer.from(a), Buffer.from(b));
}
