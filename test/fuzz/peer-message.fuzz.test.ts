/**
 * Hostile bytes from peers. The promise: whatever the bytes, a typed error, or a message that a member could have sent
 * (it survives encoding); nothing else is thrown, and memory is taken for nothing but what has arrived.
 *
 * HEARTH_FUZZ_SEED and HEARTH_FUZZ_FRAMES repeat or extend a run; a failure prints its seed.
 */

import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { Prng } from "../../src/base/index.ts";
import type { Message } from "../../src/raft/index.ts";
import { message as anyMessage } from "../raft/codec/arbitraries.ts";
import { attempt, frameOf, plain, resealed } from "../raft/codec/support.ts";
import { cpuTimeMs } from "../support/cpu-time.ts";
import { mutate } from "./mutate.ts";

const FRAMES = Number(process.env.HEARTH_FUZZ_FRAMES ?? 100_000);
const SEED = Number(process.env.HEARTH_FUZZ_SEED ?? 20_261_122);
/** Frames that mutation starts from. */
const CORPUS_FRAMES = 1_000;
/** CPU time, far above what any one frame may cost (R23 asks for 100 ms); the rest is left to a machine that is slow. */
const SLOWEST_MAX_MS = 1_000;
const HEAP_GROWTH_MAX_BYTES = 100 * 1024 * 1024;

test(`${FRAMES} mutated peer messages give typed errors or messages (seed ${SEED})`, (t) => {
  const corpus = fc
    .sample<Message>(anyMessage, { numRuns: CORPUS_FRAMES, seed: SEED })
    .map(frameOf);
  const prng = new Prng(SEED, 0);
  const heapBefore = process.memoryUsage().heapUsed;
  const totals = new Map<string, number>();
  let slowestMs = 0;
  for (let i = 0; i < FRAMES; i++) {
    const mutated = mutate(prng, prng.pick(corpus), prng.pick(corpus));
    // Without a fitting checksum hardly a frame would get past it.
    const bytes = prng.nextChance(0.1) ? mutated : resealed(padded(mutated));
    const startedAtMs = cpuTimeMs();
    const result = attempt(bytes);
    slowestMs = Math.max(slowestMs, cpuTimeMs() - startedAtMs);
    const name = typeof result === "string" ? result : "accepted";
    totals.set(name, (totals.get(name) ?? 0) + 1);
    if (typeof result === "string") continue;
    assert.deepEqual(attempt(frameOf(plain(result))), plain(result), `frame ${i}`);
  }
  t.diagnostic(JSON.stringify({ slowestMs: Math.round(slowestMs), ...Object.fromEntries(totals) }));
  assert.ok(slowestMs < SLOWEST_MAX_MS, `one frame took ${slowestMs} ms`);
  const growth = process.memoryUsage().heapUsed - heapBefore;
  assert.ok(growth < HEAP_GROWTH_MAX_BYTES, `the heap grew by ${growth} bytes`);
  for (const name of ["accepted", "bad_content", "bad_length", "bad_checksum", "too_large"]) {
    assert.ok((totals.get(name) ?? 0) > FRAMES / 1000, `"${name}" was hardly reached`);
  }
});

function padded(bytes: Uint8Array): Uint8Array {
  if (bytes.length % 8 === 0) return bytes;
  const result = new Uint8Array(Math.ceil(bytes.length / 8) * 8);
  result.set(bytes);
  return result;
}
