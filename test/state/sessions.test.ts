/** Client sessions in the state machine: a write is executed once, however often it is in the log. */

import assert from "node:assert/strict";
import { test } from "node:test";
import {
  appendEntry,
  appendSessionEntry,
  ByteSink,
  COMMAND,
  COMMAND_VERSION,
  decodeSessionEntry,
  validateCommand,
} from "../../src/protocol/index.ts";
import { SESSION_LIMITS } from "../../src/session/index.ts";
import { OUTCOME } from "../../src/state/index.ts";
import { dumpTables } from "./dump.ts";
import { type Entry, entry, shardTombstone, ulidAt, WINDOW_MS, withState } from "./support.ts";

const BLOCK = { id: ulidAt(WINDOW_MS, 1), datasets: [{ name: "web" }] };
const OPEN: Entry = { command: COMMAND.openSession, payload: new Uint8Array(0) };

/** `one` in a session. */
function inSession(one: Entry, sessionId: number, sequence: number, ackedThrough = 0): Entry {
  const inner = new ByteSink();
  appendEntry(inner, one.command, one.payload);
  const sink = new ByteSink();
  const length = appendSessionEntry(sink, { sessionId, sequence, ackedThrough }, inner.copy());
  return { command: COMMAND.sessionEntry, payload: sink.copy().subarray(16, length) };
}

test("a repeated write is executed once and has the outcome of the first time", () =>
  withState(async (fixture) => {
    assert.equal(fixture.applyOne(OPEN), OUTCOME.applied);
    const id = fixture.state.appliedIndex;
    const add = inSession(entry.addBlocks(BLOCK), id, 1);
    assert.equal(fixture.applyOne(add), OUTCOME.applied);
    // Without the session these would be "unchanged", and the delete would find the block again.
    assert.equal(fixture.applyOne(entry.deleteShard(shardTombstone(1))), OUTCOME.applied);
    assert.equal(fixture.applyOne(add), OUTCOME.applied);
    assert.equal(fixture.state.counters.blocks, 0);
    assert.equal(fixture.state.metrics.sessionRepeats, 1);
    await fixture.restart();
    assert.equal(fixture.applyOne(add), OUTCOME.applied, "after a restart");
    assert.equal(fixture.state.counters.blocks, 0);
    const again = inSession(entry.addBlocks(BLOCK), id, 2, 1);
    assert.equal(fixture.applyOne(again), OUTCOME.applied);
    assert.equal(fixture.state.counters.blocks, 1);
    assert.equal(fixture.applyOne(add), "session_stale");
  }));

test("a refused write stays refused", () =>
  withState((fixture) => {
    fixture.apply([OPEN]);
    const bad = { command: COMMAND.deleteShard, payload: new Uint8Array(5) };
    assert.equal(fixture.applyOne(bad), "bad_payload");
    for (let i = 0; i < 3; i++) assert.equal(fixture.applyOne(inSession(bad, 1, 1)), "bad_payload");
    assert.equal(fixture.state.metrics.sessionRepeats, 2);
    const unchanged = inSession(entry.deleteShard(shardTombstone(9)), 1, 2);
    assert.equal(fixture.applyOne(unchanged), OUTCOME.unchanged);
    assert.equal(fixture.applyOne(unchanged), OUTCOME.unchanged);
  }));

test("what the table refuses changes nothing and says why", () =>
  withState((fixture) => {
    fixture.apply([OPEN]);
    const add = entry.addBlocks(BLOCK);
    assert.equal(fixture.applyOne(inSession(add, 77, 1)), "session_expired");
    assert.equal(fixture.applyOne(inSession(add, 1, 0)), "session_invalid");
    const ahead = SESSION_LIMITS.windowMax + 1;
    assert.equal(fixture.applyOne(inSession(add, 1, ahead)), "session_window_full");
    const lateAtMs = WINDOW_MS + SESSION_LIMITS.idleMs + 1000;
    assert.equal(
      fixture.applyOne(inSession(add, 1, 1), { appendedAtMs: lateAtMs }),
      "session_expired",
    );
    assert.equal(fixture.state.counters.blocks, 0);
  }));

test("only whole writes of clients may stand in a session", () =>
  withState((fixture) => {
    fixture.apply([OPEN]);
    const noop = inSession(entry.noop(), 1, 1);
    const nested = inSession(inSession(entry.addBlocks(BLOCK), 1, 1), 1, 1);
    const membership = inSession({ command: COMMAND.membership, payload: new Uint8Array(8) }, 1, 1);
    const whole = inSession(entry.addBlocks(BLOCK), 1, 1).payload;
    const two = new Uint8Array(whole.length * 2 - 24);
    two.set(whole);
    two.set(whole.subarray(24), whole.length);
    const bad: Entry[] = [noop, nested, membership, OPEN_IN_SESSION, { ...noop, payload: two }];
    for (let length = 0; length < whole.length; length += 8) {
      bad.push({ command: COMMAND.sessionEntry, payload: whole.subarray(0, length) });
    }
    for (const one of bad) {
      assert.equal(fixture.applyOne(one), "bad_payload");
      const { command, payload } = one;
      const refusal = validateCommand(command, COMMAND_VERSION, payload.slice());
      assert.equal(refusal?.reason, "bad_structure");
    }
    assert.equal(fixture.state.counters.blocks, 0);
    const good = inSession(entry.addBlocks(BLOCK), 1, 1).payload.slice();
    assert.equal(validateCommand(COMMAND.sessionEntry, COMMAND_VERSION, good), null);
    assert.equal(validateCommand(COMMAND.openSession, COMMAND_VERSION, new Uint8Array(0)), null);
    const decoded = decodeSessionEntry(good, 0, good.length);
    assert.deepEqual([decoded.sessionId, decoded.sequence, decoded.ackedThrough], [1, 1, 0]);
  }));

const OPEN_IN_SESSION = inSession(OPEN, 1, 1);

test("two replicas with the same entries in other batches hold the same rows", () =>
  withState((left) =>
    withState(async (right) => {
      const log: Entry[] = [OPEN, OPEN];
      for (let i = 0; i < 120; i++) {
        const block = { ...BLOCK, id: ulidAt(WINDOW_MS, i % 40) };
        const sequence = 1 + (i % 30);
        log.push(
          inSession(entry.addBlocks(block), 1 + (i % 3), sequence, Math.max(0, sequence - 9)),
        );
      }
      const appendedAtMs = WINDOW_MS;
      const outcomes: number[] = [];
      left.apply(log, { appendedAtMs });
      for (const one of log) {
        outcomes.push(...right.apply([one], { appendedAtMs }).outcomes);
        if (outcomes.length === 60) await right.restart();
      }
      assert.ok(left.state.metrics.sessionRepeats > 5, `${left.state.metrics.sessionRepeats}`);
      const rows = (lines: string[]): string[] =>
        lines.filter((line) => line.startsWith("sessions"));
      const found = rows(left.read(dumpTables));
      assert.ok(found.length > 10);
      assert.deepEqual(rows(right.read(dumpTables)), found);
    }),
  ));
