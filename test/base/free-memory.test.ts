/** Memory that is given back before anybody collects garbage. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { freeMemory } from "../../src/base/index.ts";
import { whenMemoryIsFreed } from "../support/freed-memory.ts";

const MIB = 1024 * 1024;

test("the memory of a large buffer is free at once, and its views are empty", async () => {
  await whenMemoryIsFreed();
  const bytes = new Uint8Array(64 * MIB);
  const before = process.memoryUsage().arrayBuffers;
  freeMemory(bytes.buffer);
  assert.ok(before - process.memoryUsage().arrayBuffers >= 64 * MIB);
  assert.equal(bytes.length, 0);
  // There is nothing left to free.
  freeMemory(bytes.buffer);
});

test("a small one is left to the collector, shared memory to whoever shares it", () => {
  const [small, shared] = [new Uint8Array(1024), new Uint8Array(new SharedArrayBuffer(MIB))];
  for (const { buffer } of [small, shared]) freeMemory(buffer);
  assert.deepEqual([small.length, shared.length], [1024, MIB]);
});
