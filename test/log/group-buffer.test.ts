/** How large the buffers of the log become. */

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import {
  createFrameHeader,
  SEGMENT_HEADER_BYTES,
  tryDecodeFrameHeader,
} from "../../src/log/format.ts";
import { GroupBuffer } from "../../src/log/group-buffer.ts";
import { isBodyIntact } from "../../src/log/segment-scan.ts";

const MIB = 1024 * 1024;

function batch(firstIndex: number, bodyBytes: number) {
  const body = new Uint8Array(bodyBytes);
  return { firstIndex, term: 1, appendedAtMs: 1, count: 1, body, bodyBytes };
}

describe("a group", () => {
  it("with something in it takes no more than a few MiB, however much may be written at once", () => {
    const group = new GroupBuffer(17 * MIB);
    let taken = 0;
    while (group.tryAppend(batch(taken + 1, 60 * 1024))) taken += 1;
    assert.ok(group.bytes.length <= 4.1 * MIB, `${group.bytes.length} bytes`);
    assert.equal(taken, 68);
    assert.ok(!group.tryAppend(batch(taken + 1, 10 * MIB)));
  });

  it("takes a larger frame alone, and gives the memory back behind it", () => {
    const group = new GroupBuffer(17 * MIB);
    assert.ok(group.tryAppend(batch(1, 16 * MIB)));
    assert.ok(!group.tryAppend(batch(2, 8)), "what comes behind it goes with the next write");
    assert.ok(!new GroupBuffer(17 * MIB).tryAppend(batch(1, 17 * MIB)), "the bound holds");
    group.reset();
    assert.ok(group.bytes.length <= 4.1 * MIB, `${group.bytes.length} bytes`);
    assert.ok(group.isEmpty && group.tryAppend(batch(2, 8)));
  });

  it("has the same checksums, however often they were taken on the way", () => {
    const bodies = [1, 2, 3, 4].map((value) => new Uint8Array(64 + 8 * value).fill(value));
    const frames = [[], [0], [0, 1, 2, 3], [2, 2]].map((checksAfter) => {
      const group = new GroupBuffer(4096);
      for (const [i, body] of bodies.entries()) {
        const place = { firstIndex: i + 1, term: 1, appendedAtMs: 1, count: 1 };
        assert.ok(group.tryAppend({ ...place, body, bodyBytes: body.length }));
        for (const after of checksAfter) if (after === i) group.check();
      }
      group.seal(
        {
          sequence: 1,
          groupStart: 8192,
          commitIndex: 0,
          previousCrc: 7,
          hardStateCount: 0,
          salt: 5,
        },
        () => {},
      );
      const frame = createFrameHeader();
      assert.ok(tryDecodeFrameHeader(group.bytes, group.view, SEGMENT_HEADER_BYTES, 5, frame));
      assert.ok(isBodyIntact(group.bytes, { ...frame, offset: SEGMENT_HEADER_BYTES }));
      assert.equal(frame.count, 4);
      return frame;
    });
    for (const frame of frames) assert.deepEqual(frame, frames[0]);
  });

  it("of a log with smaller groups is bounded by them", () => {
    const group = new GroupBuffer(4096);
    assert.ok(group.tryAppend(batch(1, 2048)));
    assert.ok(!group.tryAppend(batch(2, 2048)));
  });
});
