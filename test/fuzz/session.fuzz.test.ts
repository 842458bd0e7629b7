/**
 * Hostile frames against a session with the real services, engine and state machine behind it. The promise: whatever
 * the bytes, a typed answer or a closed connection; nothing thrown, nothing leaked, no request forgotten, no frame that
 * keeps the thread busy for long, and nothing accepted that apply cannot digest.
 *
 * HEARTH_FUZZ_SEED and HEARTH_FUZZ_FRAMES repeat or extend a run; a failure prints its seed.
 */

import assert from "node:assert/strict";
import { test } from "node:test";
import { Prng } from "../../src/base/index.ts";
import { bundleOf, frame } from "../server/support.ts";
import { type Seed, SEEDS } from "./corpus.ts";
import { mutate } from "./mutate.ts";
import { FuzzRig } from "./rig.ts";

const FRAMES = Number(process.env.HEARTH_FUZZ_FRAMES ?? 220_000);
const SEED = Number(process.env.HEARTH_FUZZ_SEED ?? 20_261_122);
/** A fresh index per round: the queries of a run must not become slow because of what was accepted before them. */
const ROUND_FRAMES = 10_000;
const BURST_FRAMES = 50;
/** CPU time, far above what any one frame may cost (R23 asks for 100 ms); the rest is left to a machine that is slow. */
const SLOWEST_MAX_MS = 1_000;
const HEAP_GROWTH_MAX_BYTES = 300 * 1024 * 1024;

test(`${FRAMES} mutated frames are answered with typed errors (seed ${SEED})`, {
  timeout: 600_000,
}, async (t) => {
  const heapBefore = process.memoryUsage().heapUsed;
  const totals = new Map<string, number>();
  let slowestMs = 0;
  for (let done = 0, round = 0; done < FRAMES; done += ROUND_FRAMES, round++) {
    const rig = new FuzzRig();
    try {
      const count = Math.min(ROUND_FRAMES, FRAMES - done);
      slowestMs = Math.max(slowestMs, await runRound(rig, new Prng(SEED, round), count));
    } catch (error) {
      throw new Error(`Round ${round} of seed ${SEED} failed`, { cause: error });
    } finally {
      await rig.close();
    }
    for (const [code, count] of rig.answersByCode)
      totals.set(code, (totals.get(code) ?? 0) + count);
    totals.set(
      "connections closed",
      (totals.get("connections closed") ?? 0) + rig.connectionsClosed,
    );
    totals.set("entry chunks", (totals.get("entry chunks") ?? 0) + rig.entryChunks);
    totals.set("entries applied", (totals.get("entries applied") ?? 0) + rig.state.appliedIndex);
  }
  t.diagnostic(JSON.stringify({ slowestMs: Math.round(slowestMs), ...Object.fromEntries(totals) }));
  assert.ok(slowestMs < SLOWEST_MAX_MS, `one frame took ${slowestMs} ms`);
  const growth = process.memoryUsage().heapUsed - heapBefore;
  assert.ok(growth < HEAP_GROWTH_MAX_BYTES, `the heap grew by ${growth} bytes`);
  // A run that never gets past the header, or never damages anything, would prove nothing.
  for (const code of [
    "ok",
    "invalid_argument",
    "unimplemented",
    "connections closed",
    "entries applied",
    "entry chunks",
  ]) {
    assert.ok((totals.get(code) ?? 0) > FRAMES / 1000, `"${code}" was hardly reached`);
  }
});

async function runRound(rig: FuzzRig, prng: Prng, frames: number): Promise<number> {
  let slowestMs = 0;
  let requestId = 1;
  for (let sent = 0; sent < frames; sent += BURST_FRAMES) {
    for (let i = 0; i < BURST_FRAMES; ) {
      const count = prng.nextChance(0.2) ? 2 + prng.nextInt(6) : 1;
      const frames = Array.from({ length: count }, () => nextFrame(prng, ++requestId));
      slowestMs = Math.max(slowestMs, rig.send(nextMessage(prng, frames)));
      i += count;
    }
    const problem = await rig.settle();
    assert.equal(problem, null, `after frame ${sent + BURST_FRAMES}`);
  }
  return slowestMs;
}

/** One frame by itself, several as a bundle, which is damaged now and then. */
function nextMessage(prng: Prng, frames: readonly Uint8Array[]): Uint8Array {
  const [first] = frames;
  if (frames.length === 1 && first !== undefined) return first;
  const bundle = bundleOf(...frames);
  return prng.nextChance(0.2) ? mutate(prng, bundle, first ?? bundle) : bundle;
}

function nextFrame(prng: Prng, requestId: number): Uint8Array {
  const parts = prng.pick<Seed>(SEEDS)(prng);
  const valid = frame({ ...parts, requestId });
  if (prng.nextChance(0.1)) return valid;
  const other = frame({ ...prng.pick<Seed>(SEEDS)(prng), requestId });
  return mutate(prng, valid, other);
}
