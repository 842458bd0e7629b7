/** Entries staged before they are known to be committed: which ones may be, and that nothing of them stays when they are not. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { appendSessionEntry, ByteSink, COMMAND } from "../../src/protocol/index.ts";
import { OUTCOME } from "../../src/state/index.ts";
import { dumpTables } from "./dump.ts";
import { RandomEntries } from "./random-entries.ts";
import {
  batchOf,
  type Entry,
  entry,
  shardTombstone,
  ulidAt,
  WINDOW_MS,
  withState,
} from "./support.ts";

function add(random: number, shard = 1): Entry {
  return entry.addBlocks({ id: ulidAt(WINDOW_MS, random), shard, datasets: [{ name: "web" }] });
}

/** The same as a write of a client session. */
function inSession(inner: Entry, sessionId: number, sequence: number): Entry {
  const sink = new ByteSink();
  const { body, bodyBytes } = batchOf([inner], { firstIndex: 1 });
  appendSessionEntry(
    sink,
    { sessionId, sequence, ackedThrough: sequence - 1 },
    body.subarray(0, bodyBytes),
  );
  // Without the header of the envelope, which `batchOf` makes.
  return { command: COMMAND.sessionEntry, payload: sink.copy().subarray(16) };
}

const openSession: Entry = { command: COMMAND.openSession, payload: new Uint8Array(0) };

test("blocks may be staged ahead, in a client session, too", () =>
  withState(({ state }) => {
    state.apply([batchOf([openSession], { firstIndex: 1 })]);
    const batch = batchOf([add(1), inSession(add(2), 1, 1), add(1)], { firstIndex: 2 });
    const outcomes = state.stageAhead(batch)?.outcomes;
    assert.deepEqual([...(outcomes ?? [])], [OUTCOME.applied, OUTCOME.applied, OUTCOME.unchanged]);
    assert.equal(state.appliedIndex, 4);
    state.commit();
    assert.equal(state.counters.blocks, 2);
  }));

test("what does more than add blocks has to wait, and so does what is logged with it", () =>
  withState(({ state, db }) => {
    state.apply([batchOf([openSession, add(1)], { firstIndex: 1 })]);
    const others: Entry[] = [
      entry.noop(),
      entry.deleteShard(shardTombstone(1)),
      entry.addTombstones(),
      openSession,
      inSession(entry.deleteShard(shardTombstone(1)), 1, 1),
      { command: COMMAND.sessionEntry, payload: new Uint8Array(8) },
      { command: COMMAND.checkState, payload: new Uint8Array(0) },
      { command: 42, payload: new Uint8Array(16) },
    ];
    for (const other of others) {
      const batch = batchOf([add(2), other], { firstIndex: 3 });
      assert.equal(state.stageAhead(batch), null, `command ${other.command}`);
      assert.equal(state.appliedIndex, 2);
      assert.equal(db.isWriteOpen, false);
    }
  }));

test("what is abandoned leaves nothing in database or memory, and can be applied again", () =>
  withState((fixture) =>
    withState((reference) => {
      const source = new RandomEntries(23);
      const before = [openSession, ...Array.from({ length: 200 }, () => source.next())];
      const next = Array.from({ length: 300 }, (_, i) =>
        i % 3 === 0 ? inSession(add(1_000 + i, i % 5), 1, 1 + i / 3) : add(i, i % 7),
      );
      for (const { state } of [fixture, reference])
        state.apply([batchOf(before, { firstIndex: 1 })]);
      const dump = fixture.read(dumpTables);
      const { blocks } = fixture.state.counters;
      const batch = batchOf(next, { firstIndex: 202 });
      for (const putsRows of [false, true]) {
        const ahead = fixture.state.stageAhead(batch);
        assert.ok(ahead !== null && fixture.state.counters.blocks > blocks);
        if (putsRows) fixture.state.writeStaged();
        fixture.state.abandon();
        assert.equal(fixture.db.isWriteOpen, false);
        assert.deepEqual(fixture.read(dumpTables), dump);
      }
      const outcomes = [fixture, reference].map(({ state }) => [...state.apply([batch]).outcomes]);
      assert.deepEqual(outcomes[0], outcomes[1]);
      assert.equal(fixture.state.counters.blocks, reference.state.counters.blocks);
      assert.deepEqual(fixture.read(dumpTables), reference.read(dumpTables));
    }),
  ));
