/** How large the buffers of the log become. */

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { GroupBuffer } from "../../src/log/group-buffer.ts";

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

  it("of a log with smaller groups is bounded by them", () => {
    const group = new GroupBuffer(4096);
    assert.ok(group.tryAppend(batch(1, 2048)));
    assert.ok(!group.tryAppend(batch(2, 2048)));
  });
});
