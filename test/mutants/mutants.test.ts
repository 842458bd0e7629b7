/** The catalogue fits the sources, and a search of a second kills the mutants that need no seeds. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { CANARY, MUTANTS } from "./catalog/index.ts";
import { runMutants } from "./run.ts";
import type { Mutant } from "./types.ts";
import { staleReason } from "./workshop.ts";

const MUTANTS_MIN = 30;

test("every mutant fits the sources as they are: its text occurs exactly once", () => {
  const stale = MUTANTS.flatMap(({ id, edits }) =>
    edits.flatMap((edit) => {
      const reason = staleReason(edit);
      return reason === null ? [] : [`${id}: ${reason}`];
    }),
  );
  assert.deepEqual(stale, []);
});

test("there are enough mutants, each with a name of its own, a reason and a killer", () => {
  assert.ok(MUTANTS.length >= MUTANTS_MIN, `${MUTANTS.length} mutants`);
  assert.equal(new Set(MUTANTS.map(({ id }) => id)).size, MUTANTS.length);
  assert.ok(MUTANTS.some(({ id }) => id === CANARY));
  for (const { id, edits, killers } of MUTANTS) {
    assert.ok(edits.length > 0 && killers.length > 0, id);
  }
});

async function hunt(mutants: readonly Mutant[]): Promise<{ killed: string[]; because: string[] }> {
  const { kills, survivors } = await runMutants({
    mutants,
    lanes: 1,
    firstSeed: 1,
    timeoutMs: 240_000,
    onProgress: () => {},
  });
  return { killed: kills.map(({ id }) => id), because: survivors.flatMap((s) => s.because) };
}

test("the single-server bug and Figure 8 are found by exploration", async () => {
  const ids = ["single-server-change", "commit-prior-term"];
  const mutants = MUTANTS.filter(({ id }) => ids.includes(id)).map((mutant) => ({
    ...mutant,
    killers: mutant.killers.filter(({ kind }) => kind === "explore"),
  }));
  const { killed, because } = await hunt(mutants);
  assert.deepEqual(killed.sort(), [...ids].sort(), because.join("\n"));
});

test("a change that changes nothing survives, and a failure for another reason is no kill", async () => {
  const real = MUTANTS.find(({ id }) => id === "single-server-change") as Mutant;
  const [edit] = real.edits;
  assert.ok(edit !== undefined);
  const harmless: Mutant = { ...real, id: "harmless", edits: [{ ...edit, replace: edit.find }] };
  const otherReason: Mutant = {
    ...real,
    id: "other-reason",
    killers: real.killers.map((killer) => ({ ...killer, expect: /^nothing of the kind/ })),
  };
  const { killed, because } = await hunt([harmless, otherReason]);
  assert.deepEqual(killed, []);
  assert.equal(because.length, 2);
  assert.match(because.join("\n"), /passed/);
  assert.match(because.join("\n"), /for another reason: leader completeness/);
});
