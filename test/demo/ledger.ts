/**
 * What the demo knows from outside: which segments were acknowledged, what jobs were made of, and when the node took
 * their results. At the end the state of the node is held against it.
 *
 * Every completed job leaves a tombstone under its name, so the tombstones say which jobs have taken effect, whatever
 * workers believe; and bytes of profiles are conserved, whatever is merged with what.
 */

import type { BlockMeta, CompactionJob } from "../../src/client/index.ts";

interface Segment {
  readonly sentAtMs: number;
  /** 0: not acknowledged. */
  ackedAtMs: number;
  /** When the node took the result of a job over it; 0: it has not. */
  compactedAtMs: number;
  readonly bytesByService: ReadonlyMap<string, bigint>;
}

/** What the node shows at the end. */
export interface FinalState {
  readonly blocks: readonly BlockMeta[];
  readonly tombstones: ReadonlySet<string>;
}

export interface Findings {
  /** Segments that no completed job was made of and that are not in the index either. */
  readonly lost: number;
  /** Segments that several completed jobs were made of, or that are in the index although one was. */
  readonly twice: number;
  /** Segments that still wait. */
  readonly waiting: number;
  readonly once: number;
  /** Services whose bytes in the index are not those of the acknowledged segments. */
  readonly wrongBytes: readonly string[];
}

export class Ledger {
  readonly #segments = new Map<string, Segment>();
  /** Segments of each job over segments, by its name. */
  readonly #jobs = new Map<string, readonly string[]>();
  #acked = 0;

  get ackedCount(): number {
    return this.#acked;
  }

  get sentCount(): number {
    return this.#segments.size;
  }

  sent(block: BlockMeta, nowMs: number): void {
    const segment = { sentAtMs: nowMs, ackedAtMs: 0, compactedAtMs: 0 };
    this.#segments.set(block.id, { ...segment, bytesByService: bytesByService([block]) });
  }

  acked(id: string, nowMs: number): void {
    const segment = this.#segments.get(id);
    if (segment === undefined || segment.ackedAtMs > 0) return;
    segment.ackedAtMs = nowMs;
    this.#acked++;
  }

  taken({ name, level, sourceBlocks }: CompactionJob): void {
    if (level === 0) this.#jobs.set(name, sourceBlocks);
  }

  compacted({ level, sourceBlocks }: CompactionJob, nowMs: number): void {
    if (level > 0) return;
    for (const id of sourceBlocks) {
      const segment = this.#segments.get(id);
      if (segment?.compactedAtMs === 0) segment.compactedAtMs = nowMs;
    }
  }

  /** From the call of addBlock to the first compaction, ms, ascending. */
  latenciesMs(): number[] {
    const done = [...this.#segments.values()].filter(({ compactedAtMs }) => compactedAtMs > 0);
    return done
      .map(({ sentAtMs, compactedAtMs }) => compactedAtMs - sentAtMs)
      .sort((a, b) => a - b);
  }

  check({ blocks, tombstones }: FinalState): Findings {
    const indexed = new Set(blocks.map(({ id }) => id));
    const times = new Map<string, number>();
    for (const [name, sources] of this.#jobs) {
      if (!tombstones.has(name)) continue;
      for (const id of sources) times.set(id, (times.get(id) ?? 0) + 1);
    }
    const counts = { lost: 0, twice: 0, waiting: 0, once: 0 };
    for (const [id, { ackedAtMs }] of this.#segments) {
      if (ackedAtMs === 0) continue;
      const jobs = times.get(id) ?? 0;
      if (jobs > 1 || (jobs === 1 && indexed.has(id))) counts.twice++;
      else if (jobs === 1) counts.once++;
      else if (indexed.has(id)) counts.waiting++;
      else counts.lost++;
    }
    return { ...counts, wrongBytes: this.#wrongBytes(blocks) };
  }

  #wrongBytes(blocks: readonly BlockMeta[]): string[] {
    const wanted = new Map<string, bigint>();
    for (const { ackedAtMs, bytesByService: own } of this.#segments.values()) {
      if (ackedAtMs === 0) continue;
      for (const [service, bytes] of own) wanted.set(service, (wanted.get(service) ?? 0n) + bytes);
    }
    const found = bytesByService(blocks);
    const services = new Set([...wanted.keys(), ...found.keys()]);
    return [...services].filter((service) => wanted.get(service) !== found.get(service)).sort();
  }
}

/** Without the indexes of tenants, which are made, not moved. */
function bytesByService(blocks: readonly BlockMeta[]): Map<string, bigint> {
  const bytes = new Map<string, bigint>();
  for (const { datasets, stringTable } of blocks) {
    for (const { name, format, sizeBytes } of datasets) {
      if (format !== 0) continue;
      const service = stringTable[name] ?? "";
      bytes.set(service, (bytes.get(service) ?? 0n) + sizeBytes);
    }
  }
  return bytes;
}
