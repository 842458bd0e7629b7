/** Makes operations from a seed and the model's state, so that most of them concern something that is there. */

import { encodeUlid, type Prng } from "../../src/base/index.ts";
import type { ShardTombstone, Tombstone } from "../../src/protocol/index.ts";
import { type NaiveIndex, PARTITION_MS, type PlainQuery, partitionStart } from "./naive-index.ts";
import type {
  Operation,
  PlainCompaction,
  ReadOperation,
  Stamp,
  WriteOperation,
} from "./operations.ts";
import type { LabelSet, PlainBlock, PlainDataset, TableStyle } from "./plain.ts";
import { equalTo, type PlainMatcher, REGEX_TESTS } from "./selectors.ts";
import type { Shape } from "./shapes.ts";

const LABEL_NAMES = ["service_name", "env", "__profile_type__", "a.b", "absent"] as const;
const LABEL_VALUES = ["web", "WEB", "api", "website", "b", "a.b", "", "～", "😀"] as const;
const JOB_NAMES = ["job-1", "job-2", "job-3", "job-4", ""] as const;
const HOUR_MS = 3_600_000;

const DATA_OFFSETS_MS = [0, 1, HOUR_MS, 2 * HOUR_MS, PARTITION_MS - 1, PARTITION_MS] as const;
/** Data a year away from the creation of its block (W5), around the epoch (W9), and at the ends of time. */
const FAR_TIMES_MS = [-1, 0, 1, -HOUR_MS, 1_700_000_000_000, -(2 ** 53), 2 ** 53] as const;

export class Generator {
  readonly #prng: Prng;
  readonly #shape: Shape;
  readonly #model: NaiveIndex;
  /** Lists are shared between datasets, as services repeat themselves from block to block. */
  readonly #labelLists: readonly (readonly LabelSet[])[];
  #stamp: Stamp = { term: 1, appendedAtMs: 1_750_000_000_000 };
  #known: PlainBlock[] = [];

  constructor(prng: Prng, shape: Shape, model: NaiveIndex) {
    this.#prng = prng;
    this.#shape = shape;
    this.#model = model;
    this.#labelLists = Array.from({ length: shape.labelListsCount }, () => this.#labelList());
  }

  /** A run of operations of one sort: writes are applied together, reads see one state. */
  nextRun(): Operation[] {
    this.#known = [...this.#model.blocks()];
    const prng = this.#prng;
    if (prng.nextChance(0.0005)) return [{ kind: "restart" }];
    if (prng.nextChance(0.005)) return [{ kind: "replay" }];
    // Three writes to a read: a read costs five times a write, and each of them looks at much.
    if (prng.nextChance(0.6)) {
      return Array.from({ length: prng.nextBetween(1, 64) }, () => this.#write());
    }
    return Array.from({ length: prng.nextBetween(1, 32) }, () => this.#read());
  }

  #write(): WriteOperation {
    this.#advanceStamp();
    const stamp = this.#stamp;
    const isFull = this.#known.length >= this.#shape.blocksMax;
    const additions = isFull ? 20 : 100;
    const choice = this.#prng.nextInt(additions + this.#shape.removalWeight);
    if (choice < additions * 0.93)
      return { kind: "addBlocks", blocks: this.#additions(), style: this.#style(), ...stamp };
    if (choice < additions) return this.#tombstoneWrite(stamp);
    return this.#removal(stamp);
  }

  #tombstoneWrite(stamp: Stamp): WriteOperation {
    const tombstones = Array.from({ length: this.#prng.nextBetween(0, 2) }, () =>
      this.#tombstone(),
    );
    if (this.#prng.nextChance(0.1)) return { kind: "noop", ...stamp };
    const kind = this.#prng.pick(["addTombstones", "deleteTombstones"] as const);
    return { kind, tombstones, ...stamp };
  }

  #removal(stamp: Stamp): WriteOperation {
    const prng = this.#prng;
    const style = this.#style();
    if (prng.nextChance(this.#shape.shardRemovals)) return this.#shardRemoval(stamp);
    if (prng.nextChance(0.5)) {
      return { kind: "replaceBlocks", style, ...this.#compaction(), ...stamp };
    }
    const compaction = prng.nextChance(0.95) ? this.#compaction() : null;
    return {
      kind: "completeJob",
      name: prng.pick(JOB_NAMES),
      level: 0,
      style,
      compaction,
      ...stamp,
    };
  }

  #shardRemoval(stamp: Stamp): WriteOperation {
    const prng = this.#prng;
    if (prng.nextChance(0.6))
      return { kind: "deleteShard", shard: this.#shardTombstone(), ...stamp };
    const plannedTerm = prng.nextChance(0.8) ? stamp.term : stamp.term - 1;
    const tombstones = Array.from({ length: prng.nextBetween(0, 3) }, () => this.#tombstone());
    return { kind: "truncateIndex", plannedTerm, tombstones, ...stamp };
  }

  #read(): ReadOperation {
    const prng = this.#prng;
    const choice = prng.nextInt(100);
    if (choice < 36) return { kind: "query", query: this.#query(), spelling: prng.nextInt(420) };
    if (choice < 68)
      return { kind: "queryLabels", query: this.#query(), spelling: prng.nextInt(420) };
    if (choice < 75) return this.#getBlocks();
    if (choice < 79) return { kind: "getTenants" };
    if (choice < 86) return { kind: "getTenant", tenant: prng.pick(this.#shape.owners) };
    if (choice < 97) return { kind: "tombstoneExists", ...this.#place() };
    return { kind: "listTombstones", beforeMs: this.#stamp.appendedAtMs - prng.nextInt(2_000) };
  }

  #advanceStamp(): void {
    const prng = this.#prng;
    if (!prng.nextChance(0.2)) return;
    this.#stamp = {
      term: this.#stamp.term + (prng.nextChance(0.02) ? 1 : 0),
      appendedAtMs: this.#stamp.appendedAtMs + prng.nextInt(100),
    };
  }

  #style(): TableStyle {
    return this.#prng.pick(STYLES);
  }

  #additions(): PlainBlock[] {
    const count = this.#prng.nextChance(0.9) ? 1 : this.#prng.nextBetween(2, 5);
    return Array.from({ length: count }, () => this.#block(this.#prng.pick(this.#shape.owners)));
  }

  #block(owner: string, shard = this.#prng.pick(this.#shape.shards)): PlainBlock {
    const prng = this.#prng;
    const id = this.#id();
    const [minTimeMs, maxTimeMs] = this.#times(id);
    const count = prng.nextInt(this.#shape.datasetsMax + 1);
    return {
      id,
      tenant: owner,
      createdBy: prng.pick(["", "writer-1", "web", owner]),
      shard,
      level: prng.nextInt(4),
      formatVersion: prng.nextInt(3),
      minTimeMs,
      maxTimeMs,
      sizeBytes: this.#long(),
      metadataOffset: this.#long(),
      datasets: Array.from({ length: count }, () => this.#dataset(owner, id, minTimeMs, maxTimeMs)),
    };
  }

  #dataset(owner: string, id: string, blockMinMs: number, blockMaxMs: number): PlainDataset {
    const prng = this.#prng;
    // Mostly inside of its block; ranges of the two are independent, though (spec 6.6).
    const [minTimeMs, maxTimeMs] = prng.nextChance(0.5)
      ? [blockMinMs, blockMaxMs]
      : this.#times(id);
    const isOwned = owner !== "" && prng.nextChance(0.9);
    return {
      tenant: isOwned ? owner : prng.pick(this.#shape.tenants),
      name: prng.pick(LABEL_VALUES),
      minTimeMs,
      maxTimeMs,
      sections: Array.from({ length: prng.nextInt(4) }, () => this.#long()),
      sizeBytes: this.#long(),
      labelSets: prng.pick(this.#labelLists),
      format: prng.nextInt(2),
    };
  }

  #labelList(): LabelSet[] {
    const prng = this.#prng;
    return Array.from({ length: prng.nextInt(this.#shape.labelSetsMax + 1) }, () =>
      // A name may repeat: then only its first pair counts.
      Array.from(
        { length: prng.nextInt(4) },
        () => [prng.pick(LABEL_NAMES.slice(0, 4)), prng.pick(LABEL_VALUES)] as const,
      ),
    );
  }

  #times(id: string): [number, number] {
    const prng = this.#prng;
    const instant = (): number =>
      prng.nextChance(0.03)
        ? prng.pick(FAR_TIMES_MS)
        : partitionStart(id) + prng.pick(DATA_OFFSETS_MS);
    const first = instant();
    const second = instant();
    return [Math.min(first, second), Math.max(first, second)];
  }

  #long(): bigint {
    const prng = this.#prng;
    if (prng.nextChance(0.9)) return BigInt(prng.nextInt(1_000_000));
    return (BigInt(prng.nextU32()) << 32n) | BigInt(prng.nextU32());
  }

  #id(): string {
    const prng = this.#prng;
    const startMs = prng.pick(this.#shape.windowsMs);
    // The very ends of a window belong to it and to its neighbour.
    const timeMs = startMs + prng.pick([0, 1, HOUR_MS, PARTITION_MS - 1]);
    const bytes = new Uint8Array(16);
    new DataView(bytes.buffer).setUint16(0, Math.floor(timeMs / 2 ** 32));
    new DataView(bytes.buffer).setUint32(2, timeMs % 2 ** 32);
    new DataView(bytes.buffer).setUint32(12, prng.nextInt(Math.ceil(this.#shape.idsPerWindow / 4)));
    return encodeUlid(bytes, 0);
  }

  /** An id with its place: mostly of a block that is there. */
  #place(): { tenant: string; shard: number; block: string } {
    const prng = this.#prng;
    if (this.#known.length > 0 && prng.nextChance(0.85)) {
      const { id, tenant, shard } = prng.pick(this.#known);
      return { tenant, shard, block: id };
    }
    return {
      tenant: prng.pick(this.#shape.owners),
      shard: prng.pick(this.#shape.shards),
      block: this.#id(),
    };
  }

  /** Ids of one place, some unknown, some twice. */
  #ids(place: { tenant: string; shard: number }, countMax: number): string[] {
    const prng = this.#prng;
    const here = this.#known.filter(
      ({ tenant, shard }) => tenant === place.tenant && shard === place.shard,
    );
    return Array.from({ length: prng.nextInt(countMax + 1) }, () =>
      here.length > 0 && prng.nextChance(0.85) ? prng.pick(here).id : this.#id(),
    );
  }

  #getBlocks(): ReadOperation {
    const { tenant, shard } = this.#place();
    return { kind: "getBlocks", tenant, shard, blocks: this.#ids({ tenant, shard }, 8) };
  }

  #compaction(): PlainCompaction {
    const prng = this.#prng;
    const { tenant, shard } = this.#place();
    const blocks = this.#ids({ tenant, shard }, 12);
    const newBlocks = Array.from({ length: prng.nextInt(3) }, () =>
      this.#block(prng.pick(this.#shape.owners), prng.nextChance(0.8) ? shard : undefined),
    );
    return { source: { tenant, shard, blocks }, newBlocks };
  }

  #tombstone(): Tombstone {
    const prng = this.#prng;
    const { tenant, shard, block } = this.#place();
    const blocks = {
      name: prng.pick(JOB_NAMES),
      shard,
      tenant,
      compactionLevel: 0,
      blocks: [block],
    };
    const choice = prng.nextInt(10);
    if (choice < 5) return { blocks, shard: null };
    return {
      blocks: choice === 9 ? blocks : null,
      shard: choice === 8 ? null : this.#shardTombstone(),
    };
  }

  #shardTombstone(): ShardTombstone {
    const prng = this.#prng;
    const { tenant, shard, block } = this.#place();
    const startNs = BigInt(partitionStart(block)) * 1_000_000n;
    const isExact = prng.nextChance(0.9);
    return {
      name: prng.pick(["shard-1", "shard-2", "job-1", ""]),
      timestampNs: isExact ? startNs : startNs + prng.pick([1n, -1n, 1_000_000n]),
      durationNs: prng.pick([
        21_600_000_000_000n,
        21_600_000_000_000n,
        21_600_000_000_001n,
        3_600_000_000_000n,
      ]),
      shard,
      tenant,
    };
  }

  #query(): PlainQuery {
    const prng = this.#prng;
    const isWide = prng.nextChance(this.#shape.wideReads);
    const [startMs, endMs] = isWide ? [-(2 ** 53), 2 ** 53] : this.#range();
    const tenants = Array.from({ length: prng.nextBetween(1, 3) }, () =>
      prng.pick(["", "nobody", ...this.#shape.tenants, ...this.#shape.tenants]),
    );
    const matchers = Array.from({ length: prng.nextInt(isWide ? 2 : 4) }, () => this.#matcher());
    const labels = Array.from({ length: prng.nextInt(4) }, () => prng.pick([...LABEL_NAMES, ""]));
    return { tenants, startMs, endMs, selector: matchers, labels };
  }

  #range(): [number, number] {
    const prng = this.#prng;
    const instant = (): number =>
      prng.nextChance(0.05)
        ? prng.pick(FAR_TIMES_MS)
        : prng.pick(this.#shape.windowsMs) + prng.pick(DATA_OFFSETS_MS) + prng.nextBetween(-1, 1);
    const startMs = instant();
    if (prng.nextChance(0.3)) return [startMs, startMs];
    // One in two of these is inverted now and then: it selects what contains the gap.
    const endMs = prng.nextChance(0.5) ? startMs + prng.pick(DATA_OFFSETS_MS) : instant();
    return prng.nextChance(0.9)
      ? [Math.min(startMs, endMs), Math.max(startMs, endMs)]
      : [startMs, endMs];
  }

  #matcher(): PlainMatcher {
    const prng = this.#prng;
    const isRegex = prng.nextChance(0.4);
    return {
      name: prng.nextChance(0.02) ? "" : prng.pick(LABEL_NAMES),
      isNegative: prng.nextChance(0.3),
      test: isRegex ? prng.pick(REGEX_TESTS) : equalTo(prng.pick(LABEL_VALUES)),
    };
  }
}

/** Some ways to lay out a string table; see TableStyle. */
const STYLES: readonly TableStyle[] = [
  { unused: [], hasCopies: false },
  { unused: ["unused", "web"], hasCopies: false },
  { unused: ["😀", ""], hasCopies: true },
];
