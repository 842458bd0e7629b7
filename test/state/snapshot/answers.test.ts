/** What an installed image answers: real blocks and generated ones, the same bytes for every question. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { findBlockFiles, readBlockFile } from "../../../src/cli/block-files.ts";
import { LOAD_DEFAULTS, LoadGenerator } from "../../../src/cli/load/index.ts";
import {
  type BlockMeta,
  COMMAND,
  ByteSink,
  encodeBlockBatch,
} from "../../../src/protocol/index.ts";
import { QueryEngine, type QueryParams } from "../../../src/read/index.ts";
import { inRoot } from "../../support/project.ts";
import { batchOf } from "../support.ts";
import { type ImageRig, withRigs } from "./support.ts";

const GENERATED = 3_000;
const START_MS = Date.parse("2026-11-20T00:00:00Z");
const END_MS = Date.parse("2026-11-22T06:00:00Z");

function allBlocks(): BlockMeta[] {
  const real = findBlockFiles([inRoot("examples", "blocks")]).flatMap((file) => {
    const read = readBlockFile(file);
    return read.ok ? read.blocks : [];
  });
  assert.ok(real.length > 0, "no real blocks were found");
  const generator = new LoadGenerator({
    ...LOAD_DEFAULTS,
    blockCount: GENERATED,
    startAtMs: START_MS,
    endAtMs: END_MS,
  });
  const generated = Array.from({ length: GENERATED }, (_, i) => generator.block(i));
  return [...real, ...generated];
}

function add(rig: ImageRig, blocks: readonly BlockMeta[]): void {
  const entries = blocks.map((block) => {
    const payload = new ByteSink();
    encodeBlockBatch(payload, [block]);
    return { command: COMMAND.addBlocks, payload: new Uint8Array(payload.view()) };
  });
  const { rejections } = rig.state.apply([batchOf(entries, { firstIndex: 1 })]);
  assert.deepEqual([...rejections.values()], []);
}

/** The answer to every question, as bytes. */
function answersOf(rig: ImageRig, questions: readonly QueryParams[]): string[] {
  const engine = new QueryEngine({}, { db: rig.db });
  return questions.flatMap((question) =>
    rig.read(() => {
      const chunks: string[] = [];
      const sink = (chunk: Uint8Array): void =>
        void chunks.push(Buffer.from(chunk).toString("base64"));
      engine.queryMetadata(question, sink);
      engine.queryMetadataLabels(question, sink);
      return chunks;
    }),
  );
}

function questionsFor(blocks: readonly BlockMeta[]): QueryParams[] {
  const tenants = new Set<string>();
  const services = new Set<string>();
  for (const { datasets, stringTable } of blocks) {
    for (const { tenant, name } of datasets) {
      tenants.add(stringTable[tenant] ?? "");
      services.add(stringTable[name] ?? "");
    }
  }
  const times = blocks.flatMap(({ minTimeMs, maxTimeMs }) => [minTimeMs, maxTimeMs]);
  const range = { startMs: Math.min(...times), endMs: Math.max(...times) };
  const labels = ["service_name", "__profile_type__"];
  const ranges = [range, { startMs: START_MS, endMs: START_MS + 3_600_000 }];
  const selectors = ["{}", '{service_name=~".+a.*"}'].concat(
    [...services].slice(0, 5).map((name) => `{service_name="${name}"}`),
  );
  return [...tenants]
    .slice(0, 4)
    .flatMap((tenant) =>
      ranges.flatMap((within) =>
        selectors.map((selector) => ({ ...within, tenants: [tenant], selector, labels })),
      ),
    );
}

test("an installed image answers every query with the same bytes", () =>
  withRigs(2, async (from, to) => {
    const blocks = allBlocks();
    add(from, blocks);
    const source = await from.snapshots.open();
    await to.snapshots.install(source, source);
    const questions = questionsFor(blocks);
    const expected = answersOf(from, questions);
    assert.ok(expected.join("").length > 10_000, "the questions must find something");
    assert.deepEqual(answersOf(to, questions), expected);
  }));
