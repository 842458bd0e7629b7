/**
 * Mutated blocks: whatever the bytes, the door answers; whatever it lets in can be read whole.
 * Seeded.
 */

import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { isHearthError } from "../../src/base/index.ts";
import {
  BLOCK_REFUSALS,
  BlockReader,
  DATASET,
  decodeBlock,
  EntryReader,
  EntryWriter,
  validateBlock,
} from "../../src/protocol/index.ts";
import { blockArbitrary, realBlocks, wireOf } from "./support.ts";

const SEED = 20_240_731;
const MUTATIONS = 40_000;

/** Small and fast; the sequence depends on the seed alone. */
function createRandom(seed: number): (below: number) => number {
  let state = seed >>> 0;
  return (below) => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) % below;
  };
}

const INTERESTING = [0, 1, 2, 7, 0x7f, 0x80, 0xff, 0x7fff_ffff, 0x8000_0000, 0xffff_ffff];

function mutate(bytes: Uint8Array, random: (below: number) => number): Uint8Array {
  const copy = bytes.slice();
  const view = new DataView(copy.buffer);
  const changes = 1 + random(3);
  for (let i = 0; i < changes; i++) {
    const word = 4 * random(copy.length / 4);
    // The front holds the structure; half of the changes go there.
    const target = random(2) === 0 ? 4 * random(Math.min(40, copy.length / 4)) : word;
    switch (random(4)) {
      case 0:
        copy[random(copy.length)] = random(256);
        break;
      case 1:
        view.setUint32(target, INTERESTING[random(INTERESTING.length)] as number, true);
        break;
      case 2:
        view.setUint32(target, (view.getUint32(target, true) + random(17) - 8) >>> 0, true);
        break;
      default:
        view.setUint32(target, random(copy.length), true);
    }
  }
  return random(8) === 0 ? copy.subarray(0, random(copy.length)) : copy;
}

/** Reads every part a hot reader may touch. */
function readWhole(bytes: Uint8Array, offset: number, length: number): void {
  const reader = new BlockReader().reset(bytes, offset, length);
  let sum = 0;
  for (let i = 0; i < reader.datasetsCount; i++) {
    const labels = (reader.labelsOffset >>> 2) + reader.datasetU32(i, DATASET.labelsStart);
    const count = reader.datasetU32(i, DATASET.labelsCount);
    for (let k = 0; k < count; k++) sum += reader.i32[labels + k] as number;
    assert.ok(reader.string(reader.datasetI32(i, DATASET.tenant)).length > 0);
    reader.string(reader.datasetI32(i, DATASET.name));
  }
  for (let i = 0; i < reader.stringsCount; i++) reader.string(i);
  assert.ok(!Number.isNaN(sum));
  const keys = new Uint32Array(reader.datasetsCount);
  const entry = new EntryWriter().write(reader, { tenant: 0, createdBy: 0, keys }).slice();
  const views = {
    u8: entry,
    i32: new Int32Array(entry.buffer),
    f64: new Float64Array(entry.buffer),
  };
  new EntryReader(views).reset(0, entry.length);
}

test("mutated blocks are answered, and accepted ones can be read whole", () => {
  const random = createRandom(SEED);
  const sources = [
    ...realBlocks().map(({ meta }) => meta),
    ...fc.sample(blockArbitrary, { numRuns: 30, seed: SEED }),
  ].map(wireOf);
  const reasons = new Map<string, number>();
  let accepted = 0;
  for (let run = 0; run < MUTATIONS; run++) {
    const mutated = mutate(sources[run % sources.length] as Uint8Array, random);
    // Poison around the block, and a place that is aligned or not.
    const offset = random(3) === 0 ? 3 : 8;
    const buffer = new Uint8Array(mutated.length + 24).fill(0xa5);
    buffer.set(mutated, offset);
    const failure = validateBlock(buffer, offset, mutated.length);
    if (failure === null) {
      accepted++;
      readWhole(buffer, offset, mutated.length);
      // A read outside of the block would see the poison here, and something else there.
      const inPlace = decodeBlock(buffer, offset, mutated.length);
      assert.deepEqual(inPlace, decodeBlock(mutated.slice()), `seed ${SEED}, run ${run}`);
      continue;
    }
    reasons.set(failure.reason, (reasons.get(failure.reason) ?? 0) + 1);
    assert.ok((BLOCK_REFUSALS as readonly string[]).includes(failure.reason), failure.reason);
    assert.throws(
      () => decodeBlock(buffer, offset, mutated.length),
      (error) => isHearthError(error) && error.code === "invalid_argument",
      `seed ${SEED}, run ${run}`,
    );
  }
  // The fuzz would prove nothing if all mutants fell at the first check, or none did.
  assert.ok(accepted > MUTATIONS / 100, `${accepted} accepted`);
  assert.ok(reasons.size >= 10, `reasons: ${[...reasons.keys()].join(", ")}`);
});

test("random bytes are refused", () => {
  const random = createRandom(SEED + 1);
  for (let run = 0; run < 5_000; run++) {
    const bytes = Uint8Array.from({ length: random(400) }, () => random(256));
    assert.equal(validateBlock(bytes)?.reason, "bad_structure", `run ${run}`);
  }
});
