/** PlanChunk and LabelsChunk messages for tests, made by the generated builder: an oracle apart from our writers. */
import { Builder } from "flatbuffers";
import { tryDecodeUlid } from "../../src/base/index.ts";
import { LabelsChunkWriter } from "../../src/protocol/index.ts";
import { Dataset } from "../../src/protocol/gen/wire/dataset.ts";
import { PlanBlock } from "../../src/protocol/gen/wire/plan-block.ts";
import { PlanChunk } from "../../src/protocol/gen/wire/plan-chunk.ts";

/** A chunk with one block per id, each with one dataset `service` of tenant "acme" and one label set. */
export function planChunk(ids: readonly string[], service = "api"): Uint8Array {
  const builder = new Builder(1024);
  const strings = ["", "acme", service, "service_name"];
  const bytes = strings.map((text) => Buffer.from(text));
  const ends: number[] = [];
  for (const text of bytes) ends.push((ends.at(-1) ?? 0) + text.length);
  const stringBytes = PlanChunk.createStringBytesVector(builder, Buffer.concat(bytes));
  const stringEnds = PlanChunk.createStringEndsVector(builder, ends);
  const labels = PlanChunk.createLabelsVector(builder, [1, 3, 2]);
  const toc = PlanChunk.createTocVector(builder, [10n, 20n]);
  PlanChunk.startDatasetsVector(builder, ids.length);
  for (let i = ids.length - 1; i >= 0; i--) {
    Dataset.createDataset(builder, 1_000, 2_000, 77n, 1, 2, 0, 3, 0, 2, 0, 0);
  }
  const datasets = builder.endVector();
  PlanChunk.startBlocksVector(builder, ids.length);
  for (let i = ids.length - 1; i >= 0; i--) addBlock(builder, ids[i] as string, i);
  const blocks = builder.endVector();
  const args = [blocks, datasets, labels, toc, stringEnds, stringBytes] as const;
  builder.finish(PlanChunk.createPlanChunk(builder, ...args, 42));
  return builder.asUint8Array();
}

export function labelsChunk(names: readonly string[], rows: readonly string[][]): Uint8Array {
  const writer = new LabelsChunkWriter();
  writer.begin(names);
  for (const row of rows) {
    for (const value of row) writer.pushValue(value === "" ? 0 : writer.addText(value));
  }
  return writer.finish(42).slice();
}

function addBlock(builder: Builder, id: string, datasetsStart: number): void {
  const idBytes = ulidBytes(id);
  PlanBlock.createPlanBlock(
    builder,
    [...idBytes],
    1_000,
    2_000,
    123n,
    99n,
    1,
    7,
    0,
    0,
    1,
    0,
    datasetsStart,
    1,
  );
}

export function ulidBytes(id: string): Uint8Array {
  const bytes = new Uint8Array(16);
  if (!tryDecodeUlid(id, bytes, 0)) throw new Error(`Not a ULID: ${id}`);
  return bytes;
}
