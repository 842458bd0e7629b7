/** The short way of reading a look-up says what the long one says, or nothing. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { encodeUlid, Prng, ULID_BYTES } from "../../src/base/index.ts";
import {
  appendFrameHeader,
  type BlockListRequest,
  ByteSink,
  decodeBlockListRequest,
  encodeBlockListRequest,
  FRAME_HEADER_BYTES,
  type FrameHeader,
  LIMITS,
  LookUpFrame,
  mayBeLookUp,
  OP,
} from "../../src/protocol/index.ts";
import { mutate } from "../fuzz/mutate.ts";

const HEADER: FrameHeader = {
  opcode: OP.get_block_metadata,
  flags: 0,
  requestId: 7,
  timeoutMs: 900,
  aux: 4096,
};

function frameOf(request: Partial<BlockListRequest> = {}, header = HEADER): Uint8Array {
  const sink = new ByteSink();
  appendFrameHeader(sink, header);
  const base = { tenant: "acme", shard: 3, blocks: [idOf(1)], consistency: "strong" as const };
  encodeBlockListRequest(sink, { ...base, ...request });
  return sink.copy();
}

function idOf(number: number): string {
  const bytes = new Uint8Array(ULID_BYTES).fill(number);
  return encodeUlid(bytes, 0);
}

const idsOf = (count: number): string[] => Array.from({ length: count }, (_, i) => idOf(i));

function wordsOf(frame: Uint8Array): Int32Array {
  return new Int32Array(frame.slice().buffer);
}

const TENANTS = ["", "a", "acme", "tenant-with-a-longer-name", "größe", "x".repeat(300), "acmf"];

test("what our own encoder writes is taken, and read as the long way reads it", () => {
  const reader = new LookUpFrame();
  // Twice, since names are found again.
  for (const tenant of [...TENANTS, ...TENANTS]) {
    for (const shard of [0, 1, 0xffff_ffff]) {
      for (const count of [0, 1, 2, 12]) {
        const frame = frameOf({ tenant, shard, blocks: idsOf(count) });
        // No ids are no vector, which is left to the long way.
        assert.equal(reader.tryRead(wordsOf(frame)), count > 0, `${tenant} ${shard} ${count}`);
        if (count === 0) continue;
        const long = decodeBlockListRequest(frame, FRAME_HEADER_BYTES);
        assert.equal(reader.tenant, tenant);
        assert.equal(reader.shard, shard);
        assert.deepEqual(reader.ids, long.ids);
        assert.equal(reader.consistency, long.consistency);
        assert.equal(reader.requestId, HEADER.requestId);
        assert.equal(reader.timeoutMs, HEADER.timeoutMs);
        assert.equal(reader.creditBytes, HEADER.aux);
      }
    }
  }
});

test("other frames are left to the long way", () => {
  const reader = new LookUpFrame();
  const refused: [string, Uint8Array][] = [
    ["another operation", frameOf({}, { ...HEADER, opcode: OP.query_metadata })],
    ["flags", frameOf({}, { ...HEADER, flags: 1 })],
    ["another consistency", frameOf({ consistency: "local" })],
    ["an id that is none", frameOf({ blocks: [idOf(1), `${idOf(1).slice(1)}u`] })],
    ["a short id", frameOf({ blocks: ["01J2VJR31P"] })],
    ["a tenant over the limit", frameOf({ tenant: "x".repeat(LIMITS.tenantMaxBytes + 1) })],
    ["nothing", new Uint8Array(0)],
    ["a header alone", frameOf().slice(0, FRAME_HEADER_BYTES)],
  ];
  for (const [what, frame] of refused) {
    assert.equal(reader.tryRead(wordsOf(frame)), false, what);
  }
  const version = frameOf();
  version[1] = 2;
  assert.equal(reader.tryRead(wordsOf(version)), false, "another version");
});

test("a frame that is cut anywhere is left to the long way", () => {
  const reader = new LookUpFrame();
  const frame = frameOf({ blocks: idsOf(3) });
  for (let bytes = 0; bytes < frame.length; bytes += 4) {
    // Zeros behind the end of the table's last string are padding.
    const isWhole = frame.subarray(bytes).every((byte) => byte === 0);
    assert.equal(reader.tryRead(wordsOf(frame.slice(0, bytes))), isWhole, `${bytes} bytes`);
  }
});

test("counts that a frame cannot hold reserve nothing", () => {
  const reader = new LookUpFrame();
  const words = wordsOf(frameOf({ tenant: "" }));
  const blocks = FRAME_HEADER_BYTES / 4 + 14;
  assert.equal(words[blocks], 1);
  for (const count of [2, 1 << 20, 0x7fff_ffff, -1]) {
    words[blocks] = count;
    assert.equal(reader.tryRead(words), false, `${count}`);
    assert.equal(reader.ids.length, ULID_BYTES);
  }
});

test("a damaged frame that is taken means the same to the long way", () => {
  const prng = new Prng(20_261);
  const reader = new LookUpFrame();
  let taken = 0;
  for (let i = 0; i < 60_000; i++) {
    const tenant = prng.pick(TENANTS);
    const frame = frameOf({ tenant, shard: prng.nextInt(9), blocks: idsOf(1 + prng.nextInt(3)) });
    const damaged = mutate(prng, frame, frameOf({ tenant: prng.pick(TENANTS) }));
    if (!mayBeLookUp(damaged.length)) continue;
    if (!reader.tryRead(wordsOf(damaged))) continue;
    taken++;
    const long = decodeBlockListRequest(damaged, FRAME_HEADER_BYTES);
    const { tenant: owner, shard, ids, consistency } = reader;
    assert.deepEqual({ tenant: owner, shard, ids, consistency }, { ...long });
  }
  assert.ok(taken > 1000, `only ${taken} damaged frames were taken`);
});
