import assert from "node:assert/strict";
import { test } from "node:test";
import { isHearthError } from "../../src/base/index.ts";
import {
  addsBlocks,
  appendAddBlockEntry,
  appendEntry,
  appendSessionEntry,
  beginCommandRequest,
  beginEntry,
  type BlockMeta,
  BlockReader,
  ByteSink,
  checkBlockBatch,
  checkEntries,
  COMMAND,
  COMMAND_NAMES,
  COMMAND_VERSION,
  type CompactedBlocks,
  decodeBlockBatch,
  decodeCommandRequest,
  decodeCompactedBlocks,
  decodeCompletedJobs,
  decodeDeleteShard,
  decodeTombstones,
  decodeTruncateIndex,
  encodeBlockBatch,
  encodeCompactedBlocks,
  encodeCompletedJobs,
  encodeDeleteShard,
  encodeTombstones,
  encodeTruncateIndex,
  endEntry,
  iterateBlockBatch,
  iterateEntries,
  LIMITS,
  type ShardTombstone,
  type Tombstone,
  validateCommand,
} from "../../src/protocol/index.ts";
import { blockOf, datasetOf, realBlocks, wireOf } from "./support.ts";

const SHARD: ShardTombstone = {
  name: "acme-3",
  timestampNs: 1_721_044_800_000_000_001n,
  durationNs: 21_600_000_000_000n,
  shard: 3,
  tenant: "acme",
};

const TOMBSTONES: readonly Tombstone[] = [
  {
    blocks: {
      name: "job-1",
      shard: 7,
      tenant: "",
      compactionLevel: 1,
      blocks: ["a", "01J2VJR31PT3X4NDJC4Q2BHWQ1"],
    },
    shard: null,
  },
  { blocks: null, shard: { ...SHARD, timestampNs: -1n } },
  { blocks: null, shard: null },
];

const SOURCE = { tenant: "acme", shard: 2, blocks: ["01J2VJR31PT3X4NDJC4Q2BHWQ1"] };

function batchOf(blocks: readonly (BlockMeta | Uint8Array)[]): Uint8Array {
  const sink = new ByteSink();
  encodeBlockBatch(sink, blocks);
  return sink.copy();
}

function plain(compacted: CompactedBlocks): object {
  return { ...compacted, newBlocks: compacted.newBlocks.map((block) => [...block]) };
}

test("a batch holds plain blocks and encoded ones alike", () => {
  const metas = realBlocks().map(({ meta }) => meta);
  const bytes = batchOf(metas.map((meta, i) => (i % 2 === 0 ? meta : wireOf(meta))));
  assert.equal(bytes.length % 8, 0);
  assert.deepEqual(decodeBlockBatch(bytes), metas);
  assert.equal(checkBlockBatch(bytes), null);
  const places: number[] = [];
  assert.equal(
    iterateBlockBatch(bytes, 0, bytes.length, (offset) => places.push(offset)),
    metas.length,
  );
  assert.ok(places.every((offset) => offset % 8 === 0));
});

test("a batch whose last block is not padded is accepted", () => {
  const wire = wireOf(blockOf({ stringTable: [...blockOf().stringTable, "12"] }));
  const reader = new BlockReader().reset(wire);
  const end = reader.stringBytesOffset + reader.stringBytesCount;
  assert.notEqual(end % 8, 0);
  const bytes = batchOf([wire.subarray(0, end)]);
  assert.equal(bytes.length % 8, 0);
  assert.equal(checkBlockBatch(bytes, 0, 16 + end), null);
});

test("a batch is refused as a whole, and the message names the block", () => {
  const bad = blockOf({ datasets: [datasetOf({ tenant: 0 })] });
  const failure = checkBlockBatch(batchOf([blockOf(), bad, blockOf()]));
  assert.equal(failure?.reason, "dataset_without_tenant");
  assert.match(failure?.message ?? "", /^Block 1: /);
  assert.equal(checkBlockBatch(batchOf([]))?.reason, "no_blocks");
  const sink = new ByteSink();
  assert.throws(
    () => encodeBlockBatch(sink, [blockOf(), blockOf({ id: "x" })]),
    (error) => isHearthError(error) && /^Block 1: /.test(error.message),
  );
  assert.equal(sink.length, 0);
});

test("a batch with wrong framing is refused", () => {
  const good = batchOf([blockOf(), blockOf()]);
  const patched = (offset: number, value: number): Uint8Array => {
    const bytes = good.slice();
    new DataView(bytes.buffer).setUint32(offset, value, true);
    return bytes;
  };
  const cases: readonly (readonly [string, string, Uint8Array])[] = [
    ["empty", "bad_structure", new Uint8Array(0)],
    ["cut in a block", "bad_structure", good.subarray(0, good.length - 16)],
    ["bytes behind", "bad_structure", patched(0, 1)],
    ["fewer blocks than said", "bad_structure", patched(0, 3)],
    ["huge block", "bad_structure", patched(8, 0xffff_ffff)],
    ["huge count", "too_many_blocks", patched(0, 0xffff_ffff)],
    ["one more than allowed", "too_many_blocks", patched(0, LIMITS.blocksPerAddMax + 1)],
  ];
  for (const [what, reason, bytes] of cases) {
    assert.equal(checkBlockBatch(bytes)?.reason, reason, what);
  }
});

test("entries stand back to back and are visited in order", () => {
  const sink = new ByteSink();
  appendEntry(sink, COMMAND.noop, new Uint8Array(0));
  appendAddBlockEntry(sink, wireOf(blockOf()));
  appendEntry(sink, COMMAND.deleteShard, encodeDeleteShard(SHARD));
  const start = beginEntry(sink, COMMAND.addBlocks);
  encodeBlockBatch(sink, [blockOf(), blockOf({ shard: 8 })]);
  endEntry(sink, start);
  const body = sink.view();
  const seen: string[] = [];
  const count = iterateEntries(body, body.length, (command, version, offset, bytes, position) => {
    assert.equal(offset % 8, 0);
    assert.equal(version, COMMAND_VERSION);
    assert.equal(validateCommand(command, version, body, offset, bytes), null);
    seen.push(`${position} ${COMMAND_NAMES.get(command)}`);
    if (position === 1) assert.deepEqual(decodeBlockBatch(body, offset, bytes), [blockOf()]);
    if (position === 2) assert.deepEqual(decodeDeleteShard(body, offset, bytes), SHARD);
  });
  assert.equal(count, 4);
  assert.deepEqual(seen, ["0 noop", "1 addBlocks", "2 deleteShard", "3 addBlocks"]);
});

test("an entry has this very layout", () => {
  const sink = new ByteSink();
  appendEntry(sink, COMMAND.truncateIndex, Uint8Array.of(1, 2, 3));
  assert.equal(
    Buffer.from(sink.view()).toString("hex"),
    "03000000" + "0400" + "0100" + "0000000000000000" + "0102030000000000",
  );
});

test("the entry of one block carries what an AddBlocks request of one block carries", () => {
  const sink = new ByteSink();
  appendAddBlockEntry(sink, wireOf(blockOf()));
  assert.deepEqual(sink.copy(16), batchOf([blockOf()]));
});

test("a body that is cut off is refused", () => {
  const sink = new ByteSink();
  appendEntry(sink, COMMAND.addTombstones, encodeTombstones(TOMBSTONES));
  const body = sink.copy();
  for (const bytes of [1, 8, 15, 16, body.length - 1]) {
    assert.throws(() => iterateEntries(body, bytes, () => {}), isHearthError, `${bytes} bytes`);
    assert.equal(checkEntries(body.subarray(0, bytes)).failure?.reason, "bad_structure");
  }
  assert.deepEqual(checkEntries(body), { count: 1, failure: null });
});

test("commands survive encoding and decoding", () => {
  assert.deepEqual(decodeTombstones(encodeTombstones(TOMBSTONES)), TOMBSTONES);
  assert.deepEqual(decodeTombstones(encodeTombstones([])), []);
  const truncate = { term: 12, tombstones: TOMBSTONES };
  assert.deepEqual(decodeTruncateIndex(encodeTruncateIndex(truncate)), truncate);
  assert.deepEqual(decodeDeleteShard(encodeDeleteShard(SHARD)), SHARD);
  const compacted = {
    source: SOURCE,
    newBlocks: [wireOf(blockOf()), wireOf(blockOf({ shard: 2 }))],
  };
  assert.deepEqual(
    plain(decodeCompactedBlocks(encodeCompactedBlocks(compacted))),
    plain(compacted),
  );
  const jobs = [
    { name: "job-1", compactionLevel: 1, compacted },
    { name: "", compactionLevel: 0, compacted: null },
    { name: "x", compactionLevel: 2, compacted: { source: null, newBlocks: [] } },
    {
      name: "y",
      compactionLevel: 2,
      compacted: { source: { ...SOURCE, blocks: [] }, newBlocks: [] },
    },
  ];
  const decoded = decodeCompletedJobs(encodeCompletedJobs(jobs));
  assert.deepEqual(
    decoded.map((job) => ({ ...job, compacted: job.compacted && plain(job.compacted) })),
    jobs.map((job) => ({ ...job, compacted: job.compacted && plain(job.compacted) })),
  );
});

test("blocks inside a command are read in place", () => {
  const payload = encodeCompactedBlocks({ source: SOURCE, newBlocks: [wireOf(blockOf())] });
  const sink = new ByteSink();
  appendEntry(sink, COMMAND.replaceBlocks, payload);
  const body = sink.copy();
  const { newBlocks } = decodeCompactedBlocks(body, 16, payload.length);
  assert.equal(newBlocks[0]?.buffer, body.buffer);
  assert.equal((newBlocks[0]?.byteOffset ?? 1) % 8, 0);
});

test("commands that could not be applied are refused", () => {
  const replace = (compacted: CompactedBlocks): Uint8Array => encodeCompactedBlocks(compacted);
  const good = wireOf(blockOf());
  const bad = wireOf(blockOf({ datasets: [datasetOf({ tenant: 0 })] }));
  const cases: readonly (readonly [string | undefined, number, Uint8Array])[] = [
    [undefined, COMMAND.replaceBlocks, replace({ source: SOURCE, newBlocks: [good] })],
    [
      "bad_block_id",
      COMMAND.replaceBlocks,
      replace({ source: { ...SOURCE, blocks: ["nope"] }, newBlocks: [] }),
    ],
    [
      "dataset_without_tenant",
      COMMAND.replaceBlocks,
      replace({ source: SOURCE, newBlocks: [good, bad] }),
    ],
    [
      "bad_structure",
      COMMAND.replaceBlocks,
      replace({ source: SOURCE, newBlocks: [new Uint8Array(3)] }),
    ],
    [
      "dataset_without_tenant",
      COMMAND.completeJobs,
      encodeCompletedJobs([
        { name: "j", compactionLevel: 1, compacted: { source: SOURCE, newBlocks: [bad] } },
      ]),
    ],
    ["bad_structure", COMMAND.deleteShard, new Uint8Array(5)],
    ["bad_structure", COMMAND.truncateIndex, new Uint8Array(64).fill(0xff)],
    [
      "string_too_long",
      COMMAND.deleteShard,
      encodeDeleteShard({ ...SHARD, tenant: "t".repeat(LIMITS.tenantMaxBytes + 1) }),
    ],
    [undefined, COMMAND.noop, new Uint8Array(0)],
    ["no_blocks", COMMAND.addBlocks, batchOf([])],
    ["unknown_command", 9, new Uint8Array(0)],
    ["unknown_command", 0, new Uint8Array(0)],
  ];
  for (const [reason, command, payload] of cases) {
    const failure = validateCommand(command, COMMAND_VERSION, payload);
    assert.equal(failure?.reason, reason, `command ${command}`);
  }
  const other = validateCommand(COMMAND.noop, COMMAND_VERSION + 1, new Uint8Array(0));
  assert.equal(other?.reason, "unsupported_command_version");
});

test("mutated commands give an error or values", () => {
  const good = encodeCompletedJobs([
    {
      name: "job-1",
      compactionLevel: 1,
      compacted: { source: SOURCE, newBlocks: [wireOf(blockOf())] },
    },
  ]);
  let refused = 0;
  for (let offset = 0; offset + 4 <= good.length; offset += 4) {
    for (const value of [0, 1, 0x7fff_ffff, 0xffff_fff0]) {
      const bytes = good.slice();
      new DataView(bytes.buffer).setUint32(offset, value, true);
      if (validateCommand(COMMAND.completeJobs, COMMAND_VERSION, bytes) !== null) refused++;
      else decodeCompletedJobs(bytes);
    }
  }
  assert.ok(refused > 50, `${refused} refused`);
});

test("a raw command request carries term, time and entries", () => {
  const sink = new ByteSink();
  beginCommandRequest(sink, { termAtLeast: 5, appendedAtMs: 1_721_060_035_611 });
  appendEntry(sink, COMMAND.addTombstones, encodeTombstones(TOMBSTONES));
  appendEntry(sink, COMMAND.noop, new Uint8Array(0));
  const request = decodeCommandRequest(sink.copy());
  assert.equal(request.termAtLeast, 5);
  assert.equal(request.appendedAtMs, 1_721_060_035_611);
  assert.equal(request.count, 2);
  assert.deepEqual(request.body, sink.copy(16));
});

test("raw command requests without entries or with a bad header are refused", () => {
  const refused = (options: Parameters<typeof beginCommandRequest>[1], entries: number): void => {
    const sink = new ByteSink();
    beginCommandRequest(sink, options);
    for (let i = 0; i < entries; i++) appendEntry(sink, COMMAND.noop, new Uint8Array(0));
    assert.throws(() => decodeCommandRequest(sink.copy()), isHearthError);
  };
  refused({}, 0);
  refused({}, LIMITS.entriesPerCommandMax + 1);
  refused({ termAtLeast: 0.5 }, 1);
  refused({ termAtLeast: -1 }, 1);
  refused({ appendedAtMs: Number.NaN }, 1);
  assert.throws(() => decodeCommandRequest(new Uint8Array(15)), isHearthError);
});

test("entries that add blocks are told from all others, in a session and without one", () => {
  const bodyOf = (...append: ((sink: ByteSink) => void)[]): Uint8Array => {
    const sink = new ByteSink();
    for (const one of append) one(sink);
    return sink.copy();
  };
  const add = (sink: ByteSink): void => void appendAddBlockEntry(sink, wireOf(blockOf()));
  const other = (sink: ByteSink): void =>
    void appendEntry(sink, COMMAND.replaceBlocks, new Uint8Array(8));
  const inSession = (entry: Uint8Array) => (sink: ByteSink) =>
    void appendSessionEntry(sink, { sessionId: 1, sequence: 1, ackedThrough: 0 }, entry);
  const verdict = (body: Uint8Array): boolean => addsBlocks(body, body.length);
  assert.equal(verdict(bodyOf(add)), true);
  assert.equal(verdict(bodyOf(other, other)), false);
  assert.equal(verdict(bodyOf(other, add, other)), true);
  assert.equal(verdict(bodyOf(inSession(bodyOf(add)))), true);
  assert.equal(verdict(bodyOf(inSession(bodyOf(other)))), false);
  assert.throws(() => addsBlocks(new Uint8Array(4), 4), isHearthError);
});
