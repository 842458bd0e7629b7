import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import {
  decodeReferenceLogEntry,
  decodeReferencePrepareRequest,
  decodeReferenceQueueEntry,
  decodeReferenceTombstone,
  encodeReferenceLogEntry,
  encodeReferenceQueueEntry,
  encodeReferenceTombstone,
  LIMITS,
  type ReferencePair,
  type ReferenceQueueEntry,
  type ReferenceTombstone,
} from "../../src/protocol/index.ts";

const REFUSAL = { code: "data_loss", reason: "bad_reference_record" };
const PLAIN = { noNullPrototype: true } as const;
const u32 = fc.nat(0xffff_ffff);
const text = fc.string({ unit: "grapheme", maxLength: 12 });
const instantNs = fc.bigInt(-(1n << 63n), (1n << 63n) - 1n);
const index = fc.maxSafeNat();

const anyQueueEntry: fc.Arbitrary<ReferenceQueueEntry> = fc.record(
  { index, id: text, appendedAtNs: instantNs, level: u32, shard: u32, tenant: text },
  PLAIN,
);

const anyTombstone: fc.Arbitrary<ReferenceTombstone> = fc.record(
  {
    index,
    appendedAtNs: instantNs,
    name: text,
    tombstone: fc.record(
      {
        blocks: fc.option(
          fc.record(
            {
              name: text,
              shard: u32,
              tenant: text,
              compactionLevel: u32,
              blocks: fc.array(text, { maxLength: 4 }),
            },
            PLAIN,
          ),
        ),
        shard: fc.option(
          fc.record(
            { name: text, timestampNs: instantNs, durationNs: instantNs, shard: u32, tenant: text },
            PLAIN,
          ),
        ),
      },
      PLAIN,
    ),
  },
  PLAIN,
);

const QUEUE_ENTRY: ReferenceQueueEntry = {
  index: 258,
  id: "01J8E2V3000000000000000001",
  appendedAtNs: 1_727_049_600_000_000_000n,
  level: 1,
  shard: 7,
  tenant: "tenant-a",
};

const TOMBSTONE: ReferenceTombstone = {
  index: 9,
  appendedAtNs: 1_727_049_600_000_000_000n,
  name: "n",
  tombstone: {
    blocks: { name: "n", shard: 1, tenant: "A", compactionLevel: 2, blocks: ["x", ""] },
    shard: { name: "s", timestampNs: -1n, durationNs: 5n, shard: 3, tenant: "B" },
  },
};

/** Two updates, the first with the compacted blocks of older versions, and a number of jobs. */
const PREPARE = Buffer.from(
  "0a260a086a6f622d646f6e651028180222160a0e0a0874656e616e742d611a0262311204120262320a110a0b6a6f622d72756e6e696e67102918011003",
  "hex",
);
const PREPARE_PARTS = [0, 40, 59, 61];

describe("records of the reference", () => {
  it("come back as they were written", () => {
    fc.assert(
      fc.property(anyQueueEntry, anyTombstone, (entry, tombstone) => {
        assert.deepEqual(decodeReferenceQueueEntry(encodeReferenceQueueEntry(entry)), entry);
        assert.deepEqual(decodeReferenceTombstone(encodeReferenceTombstone(tombstone)), tombstone);
      }),
      { numRuns: 300 },
    );
    const entry = { command: 4_000_000_000, payload: new Uint8Array([1, 2]) };
    const decoded = decodeReferenceLogEntry(encodeReferenceLogEntry(entry));
    assert.deepEqual([decoded.command, [...decoded.payload]], [entry.command, [1, 2]]);
  });

  it("are refused when a log entry ends within its command", () => {
    for (let end = 0; end < 4; end++)
      assert.throws(() => decodeReferenceLogEntry(new Uint8Array(end)), REFUSAL, `${end} bytes`);
    assert.deepEqual(decodeReferenceLogEntry(new Uint8Array(4)).payload.length, 0);
  });

  it("are refused when a request ends within a field", () => {
    for (let end = 0; end <= PREPARE.length; end++) {
      const read = (): unknown => decodeReferencePrepareRequest(PREPARE.subarray(0, end));
      if (PREPARE_PARTS.includes(end)) assert.doesNotThrow(read, `${end} bytes`);
      else assert.throws(read, REFUSAL, `${end} bytes`);
    }
    assert.equal(PREPARE.length, PREPARE_PARTS.at(-1));
  });

  it("are refused when a key or value is shorter than its numbers", () => {
    const queued = encodeReferenceQueueEntry(QUEUE_ENTRY);
    for (let end = 0; end < 8; end++) refusesQueue({ ...queued, key: queued.key.subarray(0, end) });
    for (let end = 0; end < 16; end++)
      refusesQueue({ ...queued, value: queued.value.subarray(0, end) });
    const shortest = { key: queued.key.subarray(0, 8), value: queued.value.subarray(0, 16) };
    assert.deepEqual(decodeReferenceQueueEntry(shortest), { ...QUEUE_ENTRY, id: "", tenant: "" });
    const stored = encodeReferenceTombstone(TOMBSTONE);
    for (let end = 0; end < 16; end++)
      refusesTombstone({ ...stored, key: stored.key.subarray(0, end) });
    const nameless = { ...stored, key: stored.key.subarray(0, 16) };
    assert.equal(decodeReferenceTombstone(nameless).name, "");
  });

  it("are refused when a tombstone ends within a part", () => {
    const stored = encodeReferenceTombstone(TOMBSTONE);
    const blocksEnd = 2 + (stored.value[1] as number);
    for (let end = 1; end < stored.value.length; end++) {
      const cut = { ...stored, value: stored.value.subarray(0, end) };
      if (end !== blocksEnd) refusesTombstone(cut);
      else assert.equal(decodeReferenceTombstone(cut).tombstone.shard, null);
    }
  });

  it("are refused with numbers and texts that cannot be", () => {
    const { key, value } = encodeReferenceQueueEntry(QUEUE_ENTRY);
    const farIndex = Buffer.from(key);
    farIndex[1] = 0x20;
    refusesQueue({ key: farIndex, value });
    refusesQueue({ key: Buffer.concat([key, Buffer.of(0xff)]), value });
    refusesQueue({ key, value: Buffer.concat([value, Buffer.of(0xc3)]) });
    refusesQueue({ key: Buffer.concat([key, Buffer.alloc(LIMITS.idMaxBytes, "x")]), value });
    refusesQueue({ key, value: Buffer.concat([value, Buffer.alloc(LIMITS.tenantMaxBytes, "x")]) });
    const farToken = Buffer.from("0a0a10ffffffffffffffff7f", "hex");
    assert.throws(() => decodeReferencePrepareRequest(farToken), REFUSAL);
    const updates = Buffer.concat(Array(LIMITS.jobsPerCommandMax + 1).fill(Buffer.of(10, 0)));
    assert.throws(() => decodeReferencePrepareRequest(updates), REFUSAL);
    assert.doesNotThrow(() => decodeReferencePrepareRequest(updates.subarray(2)));
  });

  it("merge parts that stand there twice, and skip what they do not know", () => {
    const { key } = encodeReferenceTombstone(TOMBSTONE);
    // blocks {name: "a"}, field 9, blocks {shard: 5}, shard as a number instead of a message.
    const value = Buffer.from("0a030a0161" + "4a0178" + "0a021005" + "1007", "hex");
    assert.deepEqual(decodeReferenceTombstone({ key, value }).tombstone, {
      blocks: { name: "a", shard: 5, tenant: "", compactionLevel: 0, blocks: [] },
      shard: null,
    });
  });

  it("are refused or read, never worse, whatever bytes come", () => {
    const some = fc.uint8Array({ maxLength: 48 });
    fc.assert(
      fc.property(some, some, (key, value) => {
        for (const decode of [decodeReferenceQueueEntry, decodeReferenceTombstone])
          readOrRefused(() => decode({ key, value }));
        readOrRefused(() => decodeReferenceLogEntry(value));
        readOrRefused(() => decodeReferencePrepareRequest(value));
      }),
      { numRuns: 2_000 },
    );
  });
});

function refusesQueue(pair: ReferencePair): void {
  assert.throws(() => decodeReferenceQueueEntry(pair), REFUSAL);
}

function refusesTombstone(pair: ReferencePair): void {
  assert.throws(() => decodeReferenceTombstone(pair), REFUSAL);
}

function readOrRefused(read: () => unknown): void {
  try {
    read();
  } catch (error) {
    const { code, reason } = error as { code?: string; reason?: string };
    assert.deepEqual({ code, reason }, REFUSAL);
  }
}
