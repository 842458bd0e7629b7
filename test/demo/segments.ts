/**
 * Segments as a writer would send them now: the shapes of real ones, under new ids and of this moment. The recorded ones
 * were written before datasets had labels; each gets the one that every writer gives, the name of its service.
 */

import { readFileSync } from "node:fs";
import { encodeUlid, Prng, ULID_BYTES } from "../../src/base/index.ts";
import type { BlockMeta } from "../../src/client/index.ts";
import { blockMetaFromJson } from "../../src/protocol/index.ts";
import { inRoot } from "../support/project.ts";

/** Tenant of all real segments. */
export const TENANT = "anonymous";

export class SegmentSource {
  readonly #shapes: readonly BlockMeta[];
  readonly #random: Prng;
  readonly #shardCount: number;
  readonly #id = new Uint8Array(ULID_BYTES);

  constructor(seed: number, shardCount: number) {
    this.#random = new Prng(seed);
    this.#shardCount = shardCount;
    this.#shapes = readShapes();
  }

  next(nowMs: number): BlockMeta {
    const shape = this.#random.pick(this.#shapes);
    return {
      ...shape,
      id: this.#newId(nowMs),
      shard: 1 + this.#random.nextInt(this.#shardCount),
      minTimeMs: nowMs,
      maxTimeMs: nowMs,
      datasets: shape.datasets.map((dataset) => ({
        ...dataset,
        minTimeMs: nowMs,
        maxTimeMs: nowMs,
      })),
    };
  }

  #newId(nowMs: number): string {
    const view = new DataView(this.#id.buffer);
    view.setUint16(0, Math.floor(nowMs / 0x1_0000_0000));
    view.setUint32(2, nowMs >>> 0);
    view.setUint16(6, this.#random.nextU32() & 0xffff);
    view.setUint32(8, this.#random.nextU32());
    view.setUint32(12, this.#random.nextU32());
    return encodeUlid(this.#id, 0);
  }
}

function readShapes(): BlockMeta[] {
  const path = inRoot("examples", "blocks", "block-metas.json");
  const { blocks } = JSON.parse(readFileSync(path, "utf8")) as { blocks: unknown[] };
  return blocks.map((block) => labelled(blockMetaFromJson(block)));
}

/** A dataset without labels is in no answer to a query. */
function labelled(block: BlockMeta): BlockMeta {
  const stringTable = [...block.stringTable, "service_name"];
  const labelName = stringTable.length - 1;
  const datasets = block.datasets.map((dataset) => ({
    ...dataset,
    labels: [1, labelName, dataset.name],
  }));
  return { ...block, stringTable, datasets };
}
