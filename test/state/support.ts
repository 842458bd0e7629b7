/**
 * Helpers for tests that need an index with something in it: plain block descriptions to wire Blocks, entries to
 * batches, and a state machine over a temporary database.
 */

import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { encodeUlid, SILENT_LOGGER } from "../../src/base/index.ts";
import { INDEX_DATABASE_DEFAULTS, IndexDatabase } from "../../src/db/index.ts";
import {
  appendEntry,
  type BlockMeta,
  ByteSink,
  type CommittedBatch,
  COMMAND,
  type CompactedBlocks,
  type CompletedJob,
  encodeBlock,
  encodeBlockBatch,
  encodeCompactedBlocks,
  encodeCompletedJobs,
  encodeDeleteShard,
  encodeTombstones,
  encodeTruncateIndex,
  type ShardTombstone,
  type Tombstone,
  type TruncateIndex,
} from "../../src/protocol/index.ts";
import {
  type ApplyResult,
  type Rejection,
  STATE_DEFAULTS,
  StateMachine,
  type StateOptions,
  verifyIndex,
} from "../../src/state/index.ts";

/** 2025-03-10 06:00 UTC: the start of a partition. */
export const WINDOW_MS = 1_741_586_400_000;
export const HOUR_MS = 3_600_000;

/** A dataset in words. Times default to those of the block. */
export interface DatasetSpec {
  readonly tenant?: string;
  readonly name?: string;
  readonly minTimeMs?: number;
  readonly maxTimeMs?: number;
  /** Label sets; default: one with `service_name` = name. */
  readonly sets?: readonly (readonly (readonly [string, string])[])[];
  readonly toc?: readonly bigint[];
  readonly format?: number;
}

/** A block in words. */
export interface BlockSpec {
  readonly id: string;
  /** Owner; default "": anonymous. */
  readonly tenant?: string;
  readonly shard?: number;
  readonly level?: number;
  readonly minTimeMs?: number;
  readonly maxTimeMs?: number;
  readonly createdBy?: string;
  readonly sizeBytes?: bigint;
  readonly datasets?: readonly DatasetSpec[];
  /** Strings put in front of the table, to force another order of references. */
  readonly stringsFirst?: readonly string[];
}

/** A ULID of that creation time whose random part is the number. */
export function ulidAt(createdAtMs: number, random = 0): string {
  const bytes = new Uint8Array(16);
  const view = new DataView(bytes.buffer);
  view.setUint16(0, Math.floor(createdAtMs / 0x1_0000_0000));
  view.setUint32(2, createdAtMs >>> 0);
  view.setUint32(12, random);
  return encodeUlid(bytes, 0);
}

export function blockMeta(spec: BlockSpec): BlockMeta {
  const strings = [""];
  const ref = (text: string): number => {
    const known = strings.indexOf(text);
    return known >= 0 ? known : strings.push(text) - 1;
  };
  for (const text of spec.stringsFirst ?? []) ref(text);
  const minTimeMs = spec.minTimeMs ?? WINDOW_MS;
  const maxTimeMs = spec.maxTimeMs ?? minTimeMs + HOUR_MS;
  const datasets = (spec.datasets ?? []).map((dataset) => {
    const name = dataset.name ?? "service";
    const sets = dataset.sets ?? [[["service_name", name] as const]];
    return {
      tenant: ref(dataset.tenant ?? "acme"),
      name: ref(name),
      minTimeMs: dataset.minTimeMs ?? minTimeMs,
      maxTimeMs: dataset.maxTimeMs ?? maxTimeMs,
      tableOfContents: dataset.toc ?? [1n, 2n, 3n],
      sizeBytes: 100n,
      labels: sets.flatMap((set) => [
        set.length,
        ...set.flatMap(([key, value]) => [ref(key), ref(value)]),
      ]),
      format: dataset.format ?? 0,
    };
  });
  return {
    formatVersion: 1,
    id: spec.id,
    tenant: ref(spec.tenant ?? ""),
    shard: spec.shard ?? 1,
    compactionLevel: spec.level ?? 0,
    minTimeMs,
    maxTimeMs,
    createdBy: ref(spec.createdBy ?? "writer-1"),
    sizeBytes: spec.sizeBytes ?? 1_000n,
    datasets,
    stringTable: strings,
    metadataOffset: 900n,
  };
}

/** Wire bytes, owned and 8-aligned. */
export function wireBlock(spec: BlockSpec): Uint8Array {
  return wireBytes(blockMeta(spec));
}

export function wireBytes(meta: BlockMeta): Uint8Array {
  const sink = new ByteSink();
  encodeBlock(meta, sink);
  return sink.copy();
}

/** A log entry before it has an index. */
export interface Entry {
  readonly command: number;
  readonly payload: Uint8Array;
}

export const entry = {
  addBlocks(...blocks: readonly (BlockSpec | Uint8Array)[]): Entry {
    const sink = new ByteSink();
    encodeBlockBatch(
      sink,
      blocks.map((block) => (block instanceof Uint8Array ? block : blockMeta(block))),
    );
    return { command: COMMAND.addBlocks, payload: sink.copy() };
  },
  replaceBlocks: (compacted: CompactedBlocks): Entry => ({
    command: COMMAND.replaceBlocks,
    payload: encodeCompactedBlocks(compacted),
  }),
  completeJobs: (...jobs: readonly CompletedJob[]): Entry => ({
    command: COMMAND.completeJobs,
    payload: encodeCompletedJobs(jobs),
  }),
  truncateIndex: (truncate: TruncateIndex): Entry => ({
    command: COMMAND.truncateIndex,
    payload: encodeTruncateIndex(truncate),
  }),
  deleteShard: (shard: ShardTombstone): Entry => ({
    command: COMMAND.deleteShard,
    payload: encodeDeleteShard(shard),
  }),
  addTombstones: (...tombstones: readonly Tombstone[]): Entry => ({
    command: COMMAND.addTombstones,
    payload: encodeTombstones(tombstones),
  }),
  deleteTombstones: (...tombstones: readonly Tombstone[]): Entry => ({
    command: COMMAND.deleteTombstones,
    payload: encodeTombstones(tombstones),
  }),
  noop: (): Entry => ({ command: COMMAND.noop, payload: new Uint8Array(0) }),
};

/** The shard tombstone of a partition, with a name as the retention job makes them. */
export function shardTombstone(
  shard: number,
  tenant = "",
  changes: Partial<ShardTombstone> = {},
): ShardTombstone {
  return {
    name: `window-T${tenant || "anonymous"}-S${shard}`,
    timestampNs: BigInt(WINDOW_MS) * 1_000_000n,
    durationNs: 21_600_000_000_000n,
    shard,
    tenant,
    ...changes,
  };
}

export interface BatchPlace {
  readonly firstIndex: number;
  readonly term?: number;
  readonly appendedAtMs?: number;
}

/** Entries as the driver loop hands them over. */
export function batchOf(entries: readonly Entry[], place: BatchPlace): CommittedBatch {
  const sink = new ByteSink();
  for (const { command, payload } of entries) appendEntry(sink, command, payload);
  return {
    firstIndex: place.firstIndex,
    term: place.term ?? 1,
    appendedAtMs: place.appendedAtMs ?? WINDOW_MS + place.firstIndex,
    count: entries.length,
    body: sink.copy(),
    bodyBytes: sink.length,
  };
}

/** A state machine over a database in a temporary directory. Close it in `finally`. */
export class StateFixture {
  db: IndexDatabase;
  state: StateMachine;
  /** False: transactions stay open until `state.commit`, as those of a busy replica do; `read` sees into them. */
  commitsEach = true;
  readonly #directory = mkdtempSync(join(tmpdir(), "hearth-state-"));
  readonly #options: StateOptions;

  constructor(options: Partial<StateOptions> = {}) {
    this.#options = { ...STATE_DEFAULTS, ...options };
    this.db = this.#openDatabase();
    this.state = new StateMachine(this.#options, { db: this.db, logger: SILENT_LOGGER });
  }

  /** Applies the entries as one batch at the next index. */
  apply(entries: readonly Entry[], place: Partial<BatchPlace> = {}): ApplyResult {
    const firstIndex = this.state.appliedIndex + 1;
    return this.applyBatch(batchOf(entries, { firstIndex, ...place }));
  }

  applyBatch(batch: CommittedBatch): ApplyResult {
    return this.commitsEach ? this.state.apply([batch]) : this.state.stage([batch]);
  }

  /** Applies one entry: its outcome, or why it was refused. */
  applyOne(one: Entry, place: Partial<BatchPlace> = {}): number | Rejection {
    const { outcomes, rejections } = this.apply([one], place);
    return rejections.get(0) ?? (outcomes[0] as number);
  }

  add(...blocks: readonly BlockSpec[]): number | Rejection {
    return this.applyOne(entry.addBlocks(...blocks));
  }

  /** Runs the questions inside one transaction. */
  read<T>(ask: (db: IndexDatabase) => T): T {
    return this.db.reading(() => ask(this.db));
  }

  /** Drops everything in memory and opens the directory again. */
  async restart(): Promise<void> {
    await this.db.close();
    this.db = this.#openDatabase();
    this.state = new StateMachine(this.#options, { db: this.db, logger: SILENT_LOGGER });
  }

  async close(): Promise<void> {
    await this.db.close();
    rmSync(this.#directory, { recursive: true, force: true });
  }

  #openDatabase(): IndexDatabase {
    return IndexDatabase.open({
      ...INDEX_DATABASE_DEFAULTS,
      directory: this.#directory,
      role: "writer",
    });
  }
}

/** Runs the body over a fresh state machine, then checks the index against itself. */
export async function withState(
  body: (fixture: StateFixture) => void | Promise<void>,
  options: Partial<StateOptions> = {},
): Promise<void> {
  const fixture = new StateFixture(options);
  try {
    await body(fixture);
    assert.deepEqual(fixture.read(verifyIndex).problems, []);
  } finally {
    await fixture.close();
  }
}
