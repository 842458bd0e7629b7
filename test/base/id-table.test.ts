/** The table of open requests against a Map. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { IdTable, Prng } from "../../src/base/index.ts";

interface Request {
  readonly requestId: number;
}

const requestOf = (requestId: number): Request => ({ requestId });

/** Ids as clients make them, and such as fall into one place. */
const IDS: readonly ((prng: Prng, step: number) => number)[] = [
  (_prng, step) => step + 1,
  (prng) => 1 + prng.nextInt(300),
  (prng) => 64 * (1 + prng.nextInt(200)),
  (prng) => prng.nextU32() || 1,
  (prng) => 0xffff_ffff - prng.nextInt(200),
];

for (const [kind, nextId] of IDS.entries()) {
  test(`it holds what a map holds, ids of kind ${kind}`, () => {
    const prng = new Prng(7, kind);
    const table = new IdTable<Request>();
    const map = new Map<number, Request>();
    let added = 0;
    for (let step = 0; step < 30_000; step++) {
      const fill = step % 6_000 < 3_000 ? 0.55 : 0.4;
      if (prng.nextChance(fill)) {
        const id = nextId(prng, step);
        assert.equal(table.has(id), map.has(id));
        if (map.has(id)) continue;
        const request = requestOf(id);
        table.add(request);
        map.set(id, request);
        added++;
      } else {
        const known = [...map.keys()];
        const id = known.length > 0 && prng.nextChance(0.9) ? prng.pick(known) : nextId(prng, step);
        table.delete(id);
        map.delete(id);
      }
      assert.equal(table.size, map.size);
      if (step % 100 === 0) {
        for (const [id, request] of map) assert.equal(table.get(id), request);
        const byId = (a: Request, b: Request): number => a.requestId - b.requestId;
        assert.deepEqual(table.values().sort(byId), [...map.values()].sort(byId));
      }
    }
    assert.ok(added > 5_000);
  });
}

test("it grows to thousands, and is as good as new when they have ended", () => {
  const table = new IdTable<Request>();
  for (let round = 0; round < 3; round++) {
    for (let id = 1; id <= 20_000; id++) table.add(requestOf(3 * id));
    assert.equal(table.size, 20_000);
    assert.equal(table.get(30)?.requestId, 30);
    assert.equal(table.get(31), null);
    for (let id = 20_000; id >= 1; id--) table.delete(3 * id);
    assert.equal(table.size, 0);
    assert.deepEqual(table.values(), []);
  }
});
