/** An index in a temporary directory with its state machine and query engine, and blocks written the short way. */

import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { encodeUlid, isHearthError, SILENT_LOGGER } from "../../src/base/index.ts";
import { IndexDatabase } from "../../src/db/index.ts";
import {
  appendEntry,
  type BlockMeta,
  ByteSink,
  COMMAND,
  encodeBlockBatch,
  encodeCompactedBlocks,
  encodeDeleteShard,
  LabelsChunkReader,
  parseBlockMetaProto,
  PlanChunkReader,
} from "../../src/protocol/index.ts";
import { QueryEngine, type QueryEngineOptions, type QueryParams } from "../../src/read/index.ts";
import { STATE_DEFAULTS, StateMachine } from "../../src/state/index.ts";
import { blockList, planAsker } from "../support/engine.ts";
import { decodeMessage, encodeMessage, type Message } from "../support/grpc/schema.ts";

export interface DatasetSpec {
  readonly tenant?: string;
  readonly name?: string;
  readonly min?: number;
  readonly max?: number;
  /** Label sets as pairs. */
  readonly sets?: readonly (readonly (readonly [string, string])[])[];
}

export interface BlockSpec {
  /** ULID; made from `created` and `random` when absent. */
  readonly id?: string;
  readonly created?: number;
  readonly random?: number;
  readonly owner?: string;
  readonly shard?: number;
  readonly min?: number;
  readonly max?: number;
  readonly datasets?: readonly DatasetSpec[];
}

/** 2025-03-10T12:00:00Z, the start of a partition. */
export const NOON = 1_741_608_000_000;
export const HOUR = 3_600_000;

/** A ULID of a creation time and a number. */
export function ulid(createdMs: number, random: number): string {
  const bytes = Buffer.alloc(16);
  bytes.writeUIntBE(createdMs, 0, 6);
  bytes.writeUInt32BE(random, 12);
  return encodeUlid(bytes, 0);
}

/** The block of a spec; its string table is in order of first use. */
export function blockOf(spec: BlockSpec): BlockMeta {
  const strings = [""];
  const ref = (text: string): number => {
    const known = strings.indexOf(text);
    return known >= 0 ? known : strings.push(text) - 1;
  };
  const min = spec.min ?? NOON;
  const max = spec.max ?? NOON + HOUR;
  // The order in which answers refer to strings (spec 2.2), so that a block comes back equal.
  const tenant = ref(spec.owner ?? "");
  const createdBy = ref("writer");
  const datasets = (spec.datasets ?? []).map((dataset, i) => ({
    tenant: ref(dataset.tenant ?? "acme"),
    name: ref(dataset.name ?? ""),
    minTimeMs: dataset.min ?? min,
    maxTimeMs: dataset.max ?? max,
    tableOfContents: [BigInt(i), 7n],
    sizeBytes: BigInt(100 + i),
    labels: (dataset.sets ?? []).flatMap((set) => [
      set.length,
      ...set.flatMap(([name, value]) => [ref(name), ref(value)]),
    ]),
    format: 0,
  }));
  return {
    formatVersion: 1,
    id: spec.id ?? ulid(spec.created ?? NOON, spec.random ?? 0),
    tenant,
    shard: spec.shard ?? 1,
    compactionLevel: 1,
    minTimeMs: min,
    maxTimeMs: max,
    createdBy,
    sizeBytes: 1000n,
    datasets,
    stringTable: strings,
    metadataOffset: 0n,
  };
}

export class TestIndex {
  readonly db: IndexDatabase;
  readonly state: StateMachine;
  engine: QueryEngine;
  readonly #directory: string;

  constructor(options: Partial<QueryEngineOptions> = {}) {
    this.#directory = mkdtempSync(join(tmpdir(), "hearth-read-"));
    this.db = IndexDatabase.open({
      directory: this.#directory,
      mapSizeBytes: 1024 ** 3,
      role: "writer",
    });
    this.state = new StateMachine(STATE_DEFAULTS, { db: this.db, logger: SILENT_LOGGER });
    this.engine = new QueryEngine(options, { db: this.db });
  }

  async close(): Promise<void> {
    await this.db.close();
    rmSync(this.#directory, { recursive: true, force: true });
  }

  /** Applies one entry with these blocks. */
  add(...specs: readonly BlockSpec[]): void {
    const payload = new ByteSink();
    encodeBlockBatch(payload, specs.map(blockOf));
    this.apply(COMMAND.addBlocks, payload.view());
  }

  deleteShard(owner: string, shard: number, startMs = NOON): void {
    const timestampNs = BigInt(startMs) * 1_000_000n;
    const durationNs = 21_600_000_000_000n;
    this.apply(
      COMMAND.deleteShard,
      encodeDeleteShard({ name: "d", timestampNs, durationNs, shard, tenant: owner }),
    );
  }

  /** Removes blocks of a shard, adding none. */
  remove(tenant: string, shard: number, blocks: readonly string[]): void {
    const source = { tenant, shard, blocks };
    this.apply(COMMAND.replaceBlocks, encodeCompactedBlocks({ source, newBlocks: [] }));
  }

  apply(command: number, payload: Uint8Array): void {
    const body = new ByteSink();
    appendEntry(body, command, payload);
    const { outcomes } = this.state.apply([
      {
        firstIndex: this.state.appliedIndex + 1,
        term: 1,
        appendedAtMs: 0,
        count: 1,
        body: body.view(),
        bodyBytes: body.length,
      },
    ]);
    assert.notEqual(outcomes[0], 2, "entry was rejected");
  }

  read<T>(body: (engine: QueryEngine) => T): T {
    this.db.beginRead();
    try {
      return body(this.engine);
    } finally {
      this.db.endRead();
    }
  }

  query(params: Partial<QueryParams> = {}): BlockMeta[] {
    return this.read((engine) =>
      collectPlan((sink) => engine.queryMetadata(paramsOf(params), sink)),
    );
  }

  /** Ids and dataset names, the short form of an answer. */
  found(params: Partial<QueryParams> = {}): string[] {
    return this.query(params).map(
      (block) =>
        `${block.id.slice(-3)}:${block.datasets.map(({ name }) => block.stringTable[name]).join(",")}`,
    );
  }

  labels(params: Partial<QueryParams>): string[][] {
    const rows: string[][] = [];
    this.read((engine) =>
      engine.queryMetadataLabels(paramsOf(params), (chunk) => {
        const reader = new LabelsChunkReader(chunk.slice());
        for (let i = 0; i < reader.rowCount; i++) rows.push(reader.row(i));
      }),
    );
    return rows;
  }

  /** The same as `query`, by way of a protobuf answer. */
  queryProto(params: Partial<QueryParams> = {}): BlockMeta[] {
    const answer = { sink: new ByteSink(), maxBytes: 1 << 30 };
    this.read((engine) => engine.queryMetadataProto(paramsOf(params), answer));
    return blocksOfProto(answer.sink.view());
  }

  labelsProto(params: Partial<QueryParams>): string[][] {
    const answer = { sink: new ByteSink(), maxBytes: 1 << 30 };
    this.read((engine) => engine.queryMetadataLabelsProto(paramsOf(params), answer));
    const message = decodeMessage(
      "metastore.v1.QueryMetadataLabelsResponse",
      answer.sink.view(),
    ) as { labels: { labels: { value?: string }[] }[] };
    return message.labels.map(({ labels }) => labels.map(({ value = "" }) => value));
  }

  getProto(tenant: string, shard: number, blocks: readonly string[]): BlockMeta[] {
    const answer = { sink: new ByteSink(), maxBytes: 1 << 30 };
    this.read((engine) => engine.getBlockMetadataProto(blockList(tenant, shard, blocks), answer));
    return blocksOfProto(answer.sink.view());
  }

  get(tenant: string, shard: number, blocks: readonly string[]): BlockMeta[] {
    return this.read((engine) =>
      collectPlan((sink) =>
        engine.getBlockMetadata(blockList(tenant, shard, blocks), planAsker(sink)),
      ),
    );
  }
}

/** The blocks of a QueryMetadataResponse or GetBlockMetadataResponse, read by protobufjs. */
function blocksOfProto(answer: Uint8Array): BlockMeta[] {
  const { blocks } = decodeMessage("metastore.v1.QueryMetadataResponse", answer) as {
    blocks: Message[];
  };
  return blocks.map((block) => parseBlockMetaProto(encodeMessage("metastore.v1.BlockMeta", block)));
}

function paramsOf(params: Partial<QueryParams>): QueryParams {
  return {
    tenants: ["acme"],
    startMs: NOON,
    endMs: NOON + HOUR,
    selector: "{}",
    labels: [],
    ...params,
  };
}

/** All blocks of an answer; checks that exactly the last chunk is marked. */
export function collectPlan(
  run: (sink: (chunk: Uint8Array, isLast: boolean) => void) => void,
): BlockMeta[] {
  const blocks: BlockMeta[] = [];
  let isEnded = false;
  run((chunk, isLast) => {
    assert.equal(isEnded, false, "chunk after the last one");
    isEnded = isLast;
    const reader = new PlanChunkReader(chunk.slice());
    for (let i = 0; i < reader.blockCount; i++) blocks.push(reader.block(i).toBlockMeta());
  });
  assert.equal(isEnded, true, "no last chunk");
  return blocks;
}

/** A dataset of one label set, its service name. */
export function service(name: string, more: Partial<DatasetSpec> = {}): DatasetSpec {
  return { name, sets: [[["service_name", name]]], ...more };
}

/** For assert.throws: an error of this code, and of this reason when it is given. */
export function isCode(code: string, reason?: string): (error: unknown) => boolean {
  return (error) =>
    isHearthError(error) &&
    error.code === code &&
    (reason === undefined || error.reason === reason);
}
