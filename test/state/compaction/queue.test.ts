import assert from "node:assert/strict";
import { test } from "node:test";
import { COMMAND, encodePolicyCommand } from "../../../src/protocol/index.ts";
import { listStaged } from "../../../src/state/index.ts";
import { entry, type StateFixture, ulidAt, WINDOW_MS, withState } from "../support.ts";

const POLICY = { levels: [{ maxBlocks: 4, maxAgeMs: 0 }] };

function add(fixture: StateFixture, numbers: readonly number[]): void {
  for (const i of numbers) fixture.apply([entry.addBlocks({ id: ulidAt(WINDOW_MS, i) })]);
}

test("a key whose batches are all flushed takes blocks after a restart", () =>
  withState(async (fixture) => {
    const payload = encodePolicyCommand(JSON.stringify(POLICY));
    fixture.apply([{ command: COMMAND.setCompactionPolicy, payload }]);
    add(fixture, [1, 2, 3, 4]);
    await fixture.restart();
    add(fixture, [5, 6, 7]);
    await fixture.restart();
    const staged = fixture.read((db) => listStaged(db, 10));
    assert.deepEqual(
      staged.map(({ blocks }) => blocks.map(({ id }) => id)),
      [[5, 6, 7].map((i) => ulidAt(WINDOW_MS, i))],
    );
  }));
