import assert from "node:assert/strict";
import { test } from "node:test";
import {
  appendFrameHeader,
  ByteSink,
  createFrameHeader,
  FRAME_HEADER_BYTES,
  OP,
  opcodeOf,
  OPCODES,
  readFrameHeader,
  writeFrameHeader,
} from "../../src/protocol/index.ts";

const HEADER = {
  opcode: OP.query_metadata,
  flags: 3,
  requestId: 0xffff_ffff,
  timeoutMs: 0x8000_0001,
  aux: 65_536,
};

test("a frame header has this very layout", () => {
  const sink = new ByteSink();
  appendFrameHeader(sink, HEADER);
  assert.equal(Buffer.from(sink.view()).toString("hex"), "48010503ffffffff0100008000000100");
});

test("a frame header survives writing and reading, at any place", () => {
  const bytes = new Uint8Array(40);
  writeFrameHeader(bytes, 5, HEADER);
  const read = createFrameHeader();
  assert.equal(readFrameHeader(bytes.subarray(5), read), null);
  assert.deepEqual(read, HEADER);
});

test("what is no frame of ours is refused with the reason", () => {
  const good = new Uint8Array(FRAME_HEADER_BYTES);
  writeFrameHeader(good, 0, HEADER);
  const read = createFrameHeader();
  const changed = (offset: number, value: number): Uint8Array => {
    const bytes = good.slice();
    bytes[offset] = value;
    return bytes;
  };
  assert.equal(readFrameHeader(good, read), null);
  assert.equal(readFrameHeader(good.subarray(0, 15), read), "frame_too_short");
  assert.equal(readFrameHeader(new Uint8Array(0), read), "frame_too_short");
  assert.equal(readFrameHeader(changed(0, 0x47), read), "bad_magic");
  assert.equal(readFrameHeader(changed(1, 0), read), "unsupported_version");
  assert.equal(readFrameHeader(changed(1, 2), read), "unsupported_version");
});

test("operations are in order of their numbers, none twice, and found by number", () => {
  const numbers = OPCODES.map(({ number }) => number);
  assert.deepEqual(
    numbers,
    [...new Set(numbers)].sort((a, b) => a - b),
  );
  for (const opcode of OPCODES) assert.equal(opcodeOf(opcode.number), opcode);
  assert.deepEqual(Object.keys(OP).sort(), OPCODES.map((opcode) => opcode.name).sort());
  assert.equal(opcodeOf(0), undefined);
  assert.equal(opcodeOf(255), undefined);
  assert.equal(OPCODES.length, 32);
});
