/**
 * The index and its queries against a naive model: random operations, every answer compared.
 *
 * HEARTH_MODEL_OPERATIONS sets how many, HEARTH_MODEL_SEED repeats one seed in every shape.
 */

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { runSession } from "./session.ts";
import { SHAPES } from "./shapes.ts";

const OPERATIONS_DEFAULT = 510_000;
/** Many short lives find more than a long one: dictionaries, tenants and ordinals start anew. */
const OPERATIONS_PER_SESSION = 10_000;

const operations = Number(process.env.HEARTH_MODEL_OPERATIONS ?? OPERATIONS_DEFAULT);
const givenSeed = process.env.HEARTH_MODEL_SEED;

function seedsOf(share: number): number[] {
  if (givenSeed !== undefined) return [Number(givenSeed)];
  const sessions = Math.max(1, Math.ceil((operations * share) / OPERATIONS_PER_SESSION));
  return Array.from({ length: sessions }, (_, i) => 1_000 + i);
}

describe("index and queries answer as the naive model does", () => {
  for (const shape of SHAPES) {
    it(shape.name, async (context) => {
      let done = 0;
      let telling = 0;
      for (const seed of seedsOf(shape.share)) {
        const length = Math.min(OPERATIONS_PER_SESSION, operations);
        const result = await runSession(shape, seed, length);
        done += result.operations;
        telling += result.telling;
        if (result.failure !== null) assert.fail(result.failure);
      }
      context.diagnostic(`${done} operations, ${telling} reads with an answer that is not empty`);
      assert.ok(telling > done / 16, `only ${telling} of ${done} operations compared anything`);
    });
  }
});
