import assert from "node:assert/strict";
import { test } from "node:test";
import { BlockReader, DATASET, HEAD } from "../../src/protocol/index.ts";
import { OUTCOME } from "../../src/state/index.ts";
import { Random } from "./random-entries.ts";
import { type BlockSpec, entry, ulidAt, WINDOW_MS, wireBlock, withState } from "./support.ts";

const SPEC: BlockSpec = {
  id: ulidAt(WINDOW_MS, 1),
  tenant: "acme",
  datasets: [
    {
      name: "web",
      sets: [
        [
          ["service_name", "web"],
          ["type", "cpu"],
        ],
        [],
      ],
    },
    { name: "db", toc: [7n] },
  ],
};

/** What a change may touch: views over the bytes, and where the parts of the block stand. */
interface Parts {
  readonly view: DataView;
  readonly head: number;
  readonly dataset: number;
  readonly labels: number;
  readonly ends: number;
  readonly strings: number;
  readonly labelInts: number;
}

function changed(change: (parts: Parts) => void): Uint8Array {
  const bytes = wireBlock(SPEC);
  const block = new BlockReader().reset(bytes);
  change({
    view: new DataView(bytes.buffer),
    head: block.headOffset,
    dataset: block.datasetsOffset,
    labels: block.labelsOffset,
    ends: block.stringEndsOffset,
    strings: block.stringsCount,
    labelInts: block.labelsCount,
  });
  return bytes;
}

/** Each rule with the last value it takes and the first it refuses. */
const TWINS: Record<string, readonly [good: (p: Parts) => void, bad: (p: Parts) => void]> = {
  "owner reference": [
    ({ view, head, strings }) => view.setInt32(head + HEAD.tenant, strings - 1, true),
    ({ view, head, strings }) => view.setInt32(head + HEAD.tenant, strings, true),
  ],
  "creator reference": [
    ({ view, head }) => view.setInt32(head + HEAD.createdBy, 0, true),
    ({ view, head }) => view.setInt32(head + HEAD.createdBy, -1, true),
  ],
  "dataset tenant reference": [
    ({ view, dataset }) => view.setInt32(dataset + DATASET.tenant, 0, true),
    ({ view, dataset, strings }) => view.setInt32(dataset + DATASET.tenant, strings, true),
  ],
  "dataset name reference": [
    ({ view, dataset, strings }) => view.setInt32(dataset + DATASET.name, strings - 1, true),
    ({ view, dataset }) => view.setInt32(dataset + DATASET.name, -7, true),
  ],
  "block time": [
    ({ view, head }) => view.setFloat64(head + HEAD.minTimeMs, -1, true),
    ({ view, head }) => view.setFloat64(head + HEAD.minTimeMs, Number.NaN, true),
  ],
  "dataset time": [
    ({ view, dataset }) => view.setFloat64(dataset + DATASET.maxTimeMs, 0, true),
    ({ view, dataset }) =>
      view.setFloat64(dataset + DATASET.maxTimeMs, Number.POSITIVE_INFINITY, true),
  ],
  "section run": [
    ({ view, dataset }) => view.setUint32(dataset + DATASET.tocCount, 4, true),
    ({ view, dataset }) => view.setUint32(dataset + DATASET.tocCount, 5, true),
  ],
  "label run": [
    ({ view, dataset, labelInts }) => {
      view.setUint32(dataset + DATASET.labelsStart, labelInts, true);
      view.setUint32(dataset + DATASET.labelsCount, 0, true);
    },
    ({ view, dataset }) => view.setUint32(dataset + DATASET.labelsStart, 0xffff_fffe, true),
  ],
  "label pair count": [
    ({ view, labels }) => view.setInt32(labels, 2, true),
    ({ view, labels }) => view.setInt32(labels, 3, true),
  ],
  "negative label pair count": [
    ({ view, labels }) => view.setInt32(labels + 20, 0, true),
    ({ view, labels }) => view.setInt32(labels + 20, -1, true),
  ],
  "label reference": [
    ({ view, labels, strings }) => view.setInt32(labels + 4, strings - 1, true),
    ({ view, labels, strings }) => view.setInt32(labels + 4, strings, true),
  ],
  "string ends": [
    ({ view, ends }) => view.setUint32(ends + 4, view.getUint32(ends + 8, true), true),
    ({ view, ends }) => view.setUint32(ends + 4, view.getUint32(ends + 8, true) + 1, true),
  ],
};

for (const [rule, [good, bad]] of Object.entries(TWINS)) {
  test(`a block is taken at the edge of its ${rule} and refused beyond it`, () =>
    withState((fixture) => {
      assert.equal(fixture.applyOne(entry.addBlocks(changed(bad))), "bad_block");
      assert.equal(fixture.state.counters.blocks, 0);
      assert.equal(fixture.state.counters.nextTenant, 1);
      assert.equal(fixture.applyOne(entry.addBlocks(changed(good))), OUTCOME.applied);
    }));
}

test("an owner name may have 1,024 bytes", () =>
  withState((fixture) => {
    assert.equal(fixture.add({ ...SPEC, tenant: "x".repeat(1_025) }), "tenant_too_long");
    assert.equal(fixture.add({ ...SPEC, tenant: "x".repeat(1_024) }), OUTCOME.applied);
  }));

test("blocks with random damage are refused or stored soundly, and never stop the machine", () =>
  withState((fixture) => {
    const random = new Random(5);
    const seen = { applied: 0, refused: 0 };
    for (let i = 0; i < 1_500; i++) {
      const bytes = wireBlock({ ...SPEC, id: ulidAt(WINDOW_MS, i) });
      for (let k = random.below(4); k >= 0; k--)
        bytes[random.below(bytes.length)] = random.below(256);
      const outcome = fixture.applyOne(
        entry.addBlocks(bytes.subarray(0, bytes.length - random.below(2) * 8)),
      );
      if (typeof outcome === "string") seen.refused++;
      else seen.applied++;
    }
    assert.equal(seen.applied > 100 && seen.refused > 100, true, JSON.stringify(seen));
  }));
