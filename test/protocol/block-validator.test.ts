import assert from "node:assert/strict";
import { test } from "node:test";
import {
  BLOCK_REFUSALS,
  type BlockMeta,
  BlockReader,
  type BlockRefusal,
  DATASET,
  decodeBlock,
  HEAD,
  LIMITS,
  validateBlock,
} from "../../src/protocol/index.ts";
import { blockOf, datasetOf, range, wireOf } from "./support.ts";

/** A rule of the door: a block just inside, and the same just outside. */
interface Twins {
  readonly reason: BlockRefusal;
  readonly accepted: Partial<BlockMeta>;
  readonly refused: Partial<BlockMeta>;
  /** What the message must name. */
  readonly names: RegExp;
}

const STRINGS = blockOf().stringTable;
const TWO_TO_53 = 2 ** 53;

function withDataset(changes: Parameters<typeof datasetOf>[0]): Partial<BlockMeta> {
  return { datasets: [datasetOf(changes)] };
}

const TWINS: readonly Twins[] = [
  {
    reason: "creation_time_out_of_range",
    accepted: { id: "07ZZZZZZZZT3X4NDJC4Q2BHWQ1" },
    refused: { id: "0G00000000T3X4NDJC4Q2BHWQ1" },
    names: /17592186044416 ms, limit is 9223372036854/,
  },
  {
    reason: "bad_time",
    accepted: { minTimeMs: -TWO_TO_53 },
    refused: { minTimeMs: -TWO_TO_53 - 2 },
    names: /-9007199254740994, allowed .*9007199254740992/,
  },
  {
    reason: "bad_time",
    accepted: { maxTimeMs: TWO_TO_53 },
    refused: { maxTimeMs: Number.POSITIVE_INFINITY },
    names: /Infinity/,
  },
  {
    reason: "bad_time",
    accepted: withDataset({ minTimeMs: 1_721_060_035_611 }),
    refused: withDataset({ minTimeMs: 1_721_060_035_610.5 }),
    names: /dataset 0: time 1721060035610.5/,
  },
  {
    reason: "bad_time",
    accepted: withDataset({ maxTimeMs: 1_721_060_095_611 }),
    refused: withDataset({ maxTimeMs: Number.NaN }),
    names: /dataset 0: time NaN/,
  },
  {
    reason: "time_range_inverted",
    accepted: { minTimeMs: 5, maxTimeMs: 5 },
    refused: { minTimeMs: 6, maxTimeMs: 5 },
    names: /6 is after maximum time 5/,
  },
  {
    reason: "time_range_inverted",
    accepted: withDataset({ minTimeMs: 0, maxTimeMs: 0 }),
    refused: withDataset({ minTimeMs: 0, maxTimeMs: -1 }),
    names: /dataset 0: minimum time 0 is after maximum time -1/,
  },
  {
    reason: "first_string_not_empty",
    accepted: { stringTable: ["", ...STRINGS.slice(1)] },
    refused: { stringTable: ["x", ...STRINGS.slice(1)] },
    names: /has 1 bytes, it must be empty/,
  },
  {
    reason: "string_too_long",
    accepted: { stringTable: [...STRINGS, "x".repeat(LIMITS.stringMaxBytes)] },
    refused: { stringTable: [...STRINGS, "x".repeat(LIMITS.stringMaxBytes + 1)] },
    names: /string 5 has 16385 bytes, limit is 16384/,
  },
  {
    reason: "bad_string_reference",
    accepted: { tenant: 4 },
    refused: { tenant: 5 },
    names: /reference 5, the table has 5 strings/,
  },
  {
    reason: "bad_string_reference",
    accepted: { createdBy: 4 },
    refused: { createdBy: -1 },
    names: /reference -1/,
  },
  {
    reason: "bad_string_reference",
    accepted: { stringTable: [], createdBy: 0, datasets: [] },
    refused: { stringTable: [], createdBy: 1, datasets: [] },
    names: /reference 1, the table has 0 strings/,
  },
  {
    reason: "bad_string_reference",
    accepted: withDataset({ tenant: 4 }),
    refused: withDataset({ tenant: -2_147_483_648 }),
    names: /dataset 0: string reference -2147483648/,
  },
  {
    reason: "bad_string_reference",
    accepted: withDataset({ name: 0 }),
    refused: withDataset({ name: 5 }),
    names: /dataset 0: string reference 5/,
  },
  {
    reason: "bad_string_reference",
    accepted: withDataset({ labels: [1, 3, 0] }),
    refused: withDataset({ labels: [1, 3, 5] }),
    names: /reference 5/,
  },
  {
    reason: "bad_string_reference",
    accepted: withDataset({ labels: [1, 4, 4] }),
    refused: withDataset({ labels: [1, -4, 4] }),
    names: /reference -4/,
  },
  {
    reason: "tenant_name_too_long",
    accepted: { tenant: 5, stringTable: [...STRINGS, "t".repeat(LIMITS.tenantMaxBytes)] },
    refused: { tenant: 5, stringTable: [...STRINGS, "t".repeat(LIMITS.tenantMaxBytes + 1)] },
    names: /tenant of 1025 bytes, limit is 1024/,
  },
  {
    reason: "tenant_name_too_long",
    accepted: { ...withDataset({ tenant: 5 }), stringTable: [...STRINGS, "é".repeat(512)] },
    refused: { ...withDataset({ tenant: 5 }), stringTable: [...STRINGS, "é".repeat(513)] },
    names: /dataset 0: tenant of 1026 bytes/,
  },
  {
    reason: "dataset_without_tenant",
    accepted: withDataset({ tenant: 1 }),
    refused: withDataset({ tenant: 0 }),
    names: /dataset 0: no tenant/,
  },
  {
    reason: "dataset_without_tenant",
    accepted: { ...withDataset({ tenant: 5 }), stringTable: [...STRINGS, "x"] },
    refused: { ...withDataset({ tenant: 5 }), stringTable: [...STRINGS, ""] },
    names: /no tenant/,
  },
  {
    reason: "bad_label_count",
    accepted: withDataset({ labels: [0] }),
    refused: withDataset({ labels: [-1] }),
    names: /dataset 0: a label set of -1 pairs where 0 numbers are left/,
  },
  {
    reason: "bad_label_count",
    accepted: withDataset({ labels: [1, 3, 4, 1, 3, 4] }),
    refused: withDataset({ labels: [1, 3, 4, 1, 3] }),
    names: /a label set of 1 pairs where 1 numbers are left/,
  },
  {
    reason: "bad_label_count",
    accepted: withDataset({ labels: [] }),
    refused: withDataset({ labels: [2_147_483_647, 3, 4] }),
    names: /a label set of 2147483647 pairs/,
  },
  {
    reason: "empty_label_name",
    accepted: withDataset({ labels: [1, 3, 0] }),
    refused: withDataset({ labels: [1, 0, 3] }),
    names: /dataset 0: a label with an empty name/,
  },
  {
    reason: "empty_label_name",
    accepted: { ...withDataset({ labels: [1, 5, 4] }), stringTable: [...STRINGS, "n"] },
    refused: { ...withDataset({ labels: [1, 5, 4] }), stringTable: [...STRINGS, ""] },
    names: /empty name/,
  },
  {
    reason: "too_many_labels",
    accepted: withDataset({ labels: new Array<number>(LIMITS.labelIntsPerDatasetMax).fill(0) }),
    refused: withDataset({ labels: new Array<number>(LIMITS.labelIntsPerDatasetMax + 1).fill(0) }),
    names: /16385 label numbers, limit is 16384/,
  },
  {
    reason: "block_too_large",
    accepted: { stringTable: [...STRINGS, ...range(400, () => "x".repeat(16_384))] },
    refused: { stringTable: [...STRINGS, ...range(513, () => "x".repeat(16_384))] },
    names: /bytes, limit is 8388608/,
  },
];

for (const [i, { reason, accepted, refused, names }] of TWINS.entries()) {
  test(`the door opens on one side of the limit and names ${reason} on the other (${i})`, () => {
    const good = wireOf(blockOf(accepted));
    assert.equal(validateBlock(good), null);
    decodeBlock(good);
    const failure = validateBlock(wireOf(blockOf(refused)));
    assert.equal(failure?.reason, reason);
    assert.match(failure?.message ?? "", names);
    assert.match(failure?.message ?? "", /^Cannot accept block: /);
  });
}

test("datasets beyond 16 bits are refused, up to them accepted", () => {
  const head = wireOf(blockOf({ datasets: [] }));
  const dataset = datasetOf({ tableOfContents: [], labels: [] });
  const many = blockOf({ datasets: new Array(LIMITS.datasetsMax).fill(dataset) });
  assert.equal(validateBlock(head), null);
  const wire = wireOf(many);
  assert.equal(validateBlock(wire), null);
  // One more does not pass the encoder, so the vector's length is changed, with room behind it.
  const reader = new BlockReader().reset(wire);
  const grown = new Uint8Array(wire.length + DATASET.bytes);
  grown.set(wire);
  new DataView(grown.buffer).setUint32(reader.datasetsOffset - 4, LIMITS.datasetsMax + 1, true);
  assert.equal(validateBlock(grown)?.reason, "too_many_datasets");
});

test("strings beyond the limit are refused", () => {
  const texts = new Array<string>(LIMITS.stringsMax).fill("");
  const wire = wireOf(blockOf({ createdBy: 0, datasets: [], stringTable: texts }));
  assert.equal(validateBlock(wire), null);
  const reader = new BlockReader().reset(wire);
  const grown = new Uint8Array(wire.length + 8);
  grown.set(wire);
  const count = LIMITS.stringsMax + 1;
  new DataView(grown.buffer).setUint32(reader.stringEndsOffset - 4, count, true);
  assert.equal(validateBlock(grown)?.reason, "too_many_strings");
});

test("datasets that share a run cannot ask for more work than the block's limit", () => {
  const labels = new Array<number>(LIMITS.labelIntsPerDatasetMax).fill(0);
  const share = (count: number): Uint8Array => {
    const first = datasetOf({ labels, tableOfContents: [] });
    const rest = range(count - 1, () => datasetOf({ labels: [], tableOfContents: [] }));
    const wire = wireOf(blockOf({ datasets: [first, ...rest] }));
    const reader = new BlockReader().reset(wire);
    const view = new DataView(wire.buffer);
    for (let i = 0; i < count; i++) {
      view.setUint32(reader.datasetOffset(i) + DATASET.labelsStart, 0, true);
      view.setUint32(reader.datasetOffset(i) + DATASET.labelsCount, labels.length, true);
    }
    return wire;
  };
  const allowed = LIMITS.labelIntsPerBlockMax / LIMITS.labelIntsPerDatasetMax;
  assert.equal(validateBlock(share(allowed)), null);
  assert.equal(validateBlock(share(allowed + 1))?.reason, "too_many_labels");
});

test("sections are counted per dataset, shared or not", () => {
  const toc = new Array<bigint>(LIMITS.sectionsPerBlockMax / 2).fill(1n);
  const share = (extra: number): Uint8Array => {
    const datasets = [datasetOf({ tableOfContents: toc }), datasetOf({ tableOfContents: [] })];
    const wire = wireOf(blockOf({ datasets: [...datasets, datasetOf({ tableOfContents: [] })] }));
    const reader = new BlockReader().reset(wire);
    const view = new DataView(wire.buffer);
    const set = (i: number, count: number): void => {
      view.setUint32(reader.datasetOffset(i) + DATASET.tocStart, 0, true);
      view.setUint32(reader.datasetOffset(i) + DATASET.tocCount, count, true);
    };
    set(1, toc.length);
    set(2, extra);
    return wire;
  };
  assert.equal(validateBlock(share(0)), null);
  assert.equal(validateBlock(share(1))?.reason, "too_many_sections");
});

test("runs that leave their vector are refused", () => {
  const fields = [DATASET.labelsStart, DATASET.labelsCount, DATASET.tocStart, DATASET.tocCount];
  for (const field of fields) {
    for (const value of [0xffff_ffff, 0x8000_0000, 4]) {
      const wire = wireOf(blockOf());
      const reader = new BlockReader().reset(wire);
      new DataView(wire.buffer).setUint32(reader.datasetOffset(0) + field, value, true);
      assert.equal(validateBlock(wire)?.reason, "bad_run", `field ${field} = ${value}`);
    }
  }
});

test("string ends that do not ascend or leave the bytes are refused", () => {
  for (const [position, value] of [
    [1, 0xffff_ffff],
    [2, 1],
    [4, 10_000],
  ] as const) {
    const wire = wireOf(blockOf());
    const reader = new BlockReader().reset(wire);
    new DataView(wire.buffer).setUint32(reader.stringEndsOffset + 4 * position, value, true);
    assert.equal(validateBlock(wire)?.reason, "bad_string_table", `end ${position} = ${value}`);
  }
});

test("strings that are not UTF-8 are refused, also where a character is cut by an end", () => {
  const wire = wireOf(blockOf());
  const reader = new BlockReader().reset(wire);
  wire[reader.stringStart(1)] = 0xff;
  assert.equal(validateBlock(wire)?.reason, "string_not_utf8");

  const cut = wireOf(blockOf({ stringTable: ["", "é", "x", "y", "z"] }));
  assert.equal(validateBlock(cut), null);
  const strings = new BlockReader().reset(cut);
  new DataView(cut.buffer).setUint32(strings.stringEndsOffset + 4, 1, true);
  assert.equal(validateBlock(cut)?.reason, "string_not_utf8");
});

test("bytes that are no block are refused as bad structure", () => {
  const wire = wireOf(blockOf());
  const patched = (offset: number, value: number): Uint8Array => {
    const bytes = wire.slice();
    new DataView(bytes.buffer).setUint32(offset, value, true);
    return bytes;
  };
  const reader = new BlockReader().reset(wire);
  const cases: readonly (readonly [string, Uint8Array])[] = [
    ["nothing", new Uint8Array(0)],
    ["seven bytes", wire.subarray(0, 7)],
    ["zeros", new Uint8Array(64)],
    ["ones", new Uint8Array(64).fill(255)],
    ["half a block", wire.subarray(0, wire.length / 2)],
    ["root out of bounds", patched(0, 0xffff_fff0)],
    ["root not aligned", patched(0, 21)],
    ["vtable before the block", patched(20, 0x7fff_ffff)],
    ["vtable behind the block", patched(20, 0x8000_0000)],
    ["vtable of no bytes", patched(4, 0)],
    ["no head", patched(8, 0)],
    ["vector behind the block", patched(96, 0xffff_fff0)],
    ["vector that points at itself", patched(96, 0)],
    ["huge vector", patched(reader.datasetsOffset - 4, 0xffff_ffff)],
  ];
  for (const [what, bytes] of cases) {
    assert.equal(validateBlock(bytes)?.reason, "bad_structure", what);
  }
});

test("every reason a block can be refused for has a test", () => {
  const elsewhere: readonly BlockRefusal[] = [
    "bad_structure",
    "too_many_datasets",
    "too_many_strings",
    "bad_string_table",
    "string_not_utf8",
    "too_many_sections",
    "bad_run",
  ];
  const tested = new Set([...TWINS.map((twins) => twins.reason), ...elsewhere]);
  assert.deepEqual([...tested].sort(), [...BLOCK_REFUSALS].sort());
  assert.equal(HEAD.bytes, 72);
});
