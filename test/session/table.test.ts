/** Sessions: one rule per test, then random entries against a naive model and on two replicas. */

import assert from "node:assert/strict";
import { describe, it, test } from "node:test";
import { Prng } from "../../src/base/index.ts";
import {
  type LogPlace,
  type SessionLimits,
  type SessionOutcome,
  type SessionRequest,
  SessionTable,
} from "../../src/session/index.ts";
import { MemoryStore } from "./support/memory-store.ts";

const LIMITS: SessionLimits = {
  sessionsMax: 4,
  windowMax: 3,
  answerMaxBytes: 16,
  idleMs: 100,
  evictionsPerEntry: 2,
};

const answerOf = (value: number): Uint8Array => Uint8Array.of(value % 256, value % 7);

/** A table with a log that grows by one entry per call. */
class Log {
  readonly store = new MemoryStore();
  readonly table = new SessionTable(this.store, LIMITS);
  index = 0;
  nowMs = 1000;
  executed = 0;

  place(): LogPlace {
    return { index: ++this.index, appendedAtMs: this.nowMs };
  }

  open(): number {
    return this.table.open(this.place());
  }

  send(sessionId: number, sequence: number, ackedThrough = 0): SessionOutcome {
    return this.table.apply({ sessionId, sequence, ackedThrough }, this.place(), () => {
      this.executed++;
      return answerOf(this.executed);
    });
  }

  kind(sessionId: number, sequence: number, ackedThrough = 0): string {
    return this.send(sessionId, sequence, ackedThrough).kind;
  }
}

describe("a session", () => {
  it("is named by the index of the entry that opened it", () => {
    const log = new Log();
    assert.equal(log.open(), 1);
    assert.equal(log.open(), 2);
    assert.equal(log.table.count, 2);
  });

  it("executes a sequence once and gives the same bytes again", () => {
    const log = new Log();
    const id = log.open();
    const first = log.send(id, 1);
    const second = log.send(id, 2);
    assert.deepEqual(first, { kind: "new", answer: answerOf(1) });
    assert.deepEqual(log.send(id, 1), { kind: "repeat", answer: answerOf(1) });
    assert.deepEqual(log.send(id, 2), { ...second, kind: "repeat" });
    assert.equal(log.executed, 2);
  });

  it("takes sequences in any order within the window", () => {
    const log = new Log();
    const id = log.open();
    assert.deepEqual(
      [3, 1, 2].map((sequence) => log.kind(id, sequence)),
      ["new", "new", "new"],
    );
    assert.equal(log.kind(id, 4), "ahead");
    assert.equal(log.kind(id, 4, 1), "new", "after the first answer is acknowledged");
    assert.equal(log.kind(id, 5, 1), "ahead");
    assert.equal(log.executed, 4);
  });

  it("forgets what was acknowledged and never executes it again", () => {
    const log = new Log();
    const id = log.open();
    log.send(id, 1);
    const rows = log.store.rows().size;
    assert.equal(log.kind(id, 2, 1), "new");
    assert.equal(log.store.rows().size, rows, "one answer for another");
    assert.equal(log.kind(id, 1), "stale");
    // An older entry that comes late does not take the acknowledgement back.
    assert.equal(log.kind(id, 2, 0), "repeat");
    assert.equal(log.kind(id, 1), "stale");
    assert.equal(log.executed, 2);
  });

  it("may acknowledge what was never executed: that is then given up", () => {
    const log = new Log();
    const id = log.open();
    assert.equal(log.kind(id, 9, 8), "new");
    assert.equal(log.kind(id, 8), "stale");
  });

  it("keeps its sequences apart from those of others", () => {
    const log = new Log();
    const [a, b] = [log.open(), log.open()];
    assert.deepEqual([log.kind(a, 1), log.kind(b, 1), log.kind(a, 1)], ["new", "new", "repeat"]);
  });

  it("keeps an empty answer", () => {
    const log = new Log();
    const id = log.open();
    const send = (): SessionOutcome =>
      log.table.apply({ sessionId: id, sequence: 1, ackedThrough: 0 }, log.place(), () => {
        log.executed++;
        return new Uint8Array(0);
      });
    assert.equal(send().kind, "new");
    assert.deepEqual(send(), { kind: "repeat", answer: new Uint8Array(0) });
    assert.equal(log.executed, 1);
  });

  it("stops on an answer above the limit, and takes one at it", () => {
    const log = new Log();
    const id = log.open();
    const send = (sequence: number, bytes: number): SessionOutcome =>
      log.table.apply(
        { sessionId: id, sequence, ackedThrough: 0 },
        log.place(),
        () => new Uint8Array(bytes),
      );
    assert.equal(send(1, 16).kind, "new");
    assert.throws(() => send(2, 17), /17 B exceeds 16 B/);
  });

  it("refuses numbers that no client makes", () => {
    const log = new Log();
    const id = log.open();
    const bad: readonly (readonly [number, number, number])[] = [
      [id, 0, 0],
      [id, -1, 0],
      [id, 1.5, 0],
      [id, 1, 1],
      [id, 1, 2],
      [id, 2, -1],
      [id, Number.NaN, 0],
      [id, Number.POSITIVE_INFINITY, 0],
      [id, 2 ** 53, 0],
      [Number.NaN, 1, 0],
      [-1, 1, 0],
    ];
    for (const request of bad) assert.equal(log.kind(...request), "invalid", request.join());
    assert.equal(log.executed, 0);
    assert.equal(log.kind(id, 2 ** 52 - 1, 2 ** 52 - 2), "new", "the largest");
    assert.equal(log.kind(id, 2 ** 52 - 1, 2 ** 52 - 2), "repeat");
  });
});

describe("the end of a session", () => {
  it("is the session used longest ago when there are too many", () => {
    const log = new Log();
    const ids = [log.open(), log.open(), log.open(), log.open()] as const;
    log.send(ids[0], 1);
    const fifth = log.open();
    assert.equal(log.table.count, 4);
    assert.equal(log.kind(ids[1], 1), "expired");
    for (const id of [ids[0], ids[2], ids[3], fifth]) assert.notEqual(log.kind(id, 1), "expired");
  });

  it("comes after a time without use, by the time of the log", () => {
    const log = new Log();
    const [kept, dropped] = [log.open(), log.open()];
    log.nowMs += 100;
    assert.equal(log.kind(kept, 1), "new");
    log.nowMs += 1;
    assert.equal(log.kind(dropped, 1), "expired");
    assert.equal(log.kind(kept, 1), "repeat");
    assert.equal(log.table.count, 1);
  });

  it("comes at once for its own entry, also when others are to go first", () => {
    const log = new Log();
    const ids = [log.open(), log.open(), log.open(), log.open()];
    log.nowMs += 101;
    // Two go per entry; this is the fourth.
    assert.equal(log.kind(ids[3] as number, 1), "expired");
    assert.equal(log.table.count, 1);
    log.open();
    assert.equal(log.table.count, 1, "the third, and the new one");
  });

  it("leaves no row behind", () => {
    const log = new Log();
    const id = log.open();
    for (const sequence of [1, 2, 3]) log.send(id, sequence);
    log.nowMs += 101;
    assert.equal(log.kind(id, 4), "expired");
    assert.equal(log.store.rows().size, 1, "the count alone");
    assert.equal(log.table.count, 0);
  });

  it("does not bring its sequences back", () => {
    const log = new Log();
    const id = log.open();
    log.send(id, 1);
    log.nowMs += 101;
    const next = log.open();
    assert.notEqual(next, id);
    assert.equal(log.kind(id, 1), "expired");
    assert.equal(log.kind(id, 2), "expired");
    assert.equal(log.executed, 1);
  });
});

// -- random ----------------------------------------------------------------------------------------------------------

type Entry =
  | { readonly kind: "open"; readonly at: LogPlace }
  | { readonly kind: "write"; readonly at: LogPlace; readonly request: SessionRequest };

/** Opens, fresh writes, repeats, acknowledgements, late entries, unknown sessions, pauses. */
function randomEntries(prng: Prng, count: number): Entry[] {
  const entries: Entry[] = [];
  const sessions: { id: number; next: number; acked: number }[] = [];
  let appendedAtMs = 5000;
  for (let index = 1; index <= count; index++) {
    appendedAtMs += prng.nextChance(0.02) ? prng.nextInt(150) : prng.nextInt(6);
    const at = { index, appendedAtMs };
    if (sessions.length === 0 || prng.nextChance(0.08)) {
      sessions.push({ id: index, next: 1, acked: 0 });
      entries.push({ kind: "open", at });
      continue;
    }
    const recent = sessions.slice(-6);
    const session = prng.pick(prng.nextChance(0.1) ? sessions : recent);
    if (prng.nextChance(0.5)) session.next++;
    if (prng.nextChance(0.4))
      session.acked = Math.max(session.acked, session.next - 1 - prng.nextInt(5));
    const sequence = Math.max(0, session.next - prng.nextInt(4));
    const ackedThrough = Math.max(0, Math.min(session.acked, sequence - prng.nextInt(2)));
    const sessionId = prng.nextChance(0.03) ? prng.nextInt(index + 5) : session.id;
    entries.push({ kind: "write", at, request: { sessionId, sequence, ackedThrough } });
  }
  return entries;
}

/** The rules as one would say them, over plain maps; looks at everything every time. */
class Model {
  readonly sessions = new Map<
    number,
    { at: LogPlace; acked: number; answers: Map<number, Uint8Array> }
  >();

  apply(entry: Entry, execute: () => Uint8Array): SessionOutcome | number {
    const { at } = entry;
    for (const [id, session] of this.sessions) {
      if (at.appendedAtMs - session.at.appendedAtMs > LIMITS.idleMs) this.sessions.delete(id);
    }
    if (entry.kind === "open") {
      const byUse = [...this.sessions].sort(([, a], [, b]) => a.at.index - b.at.index);
      for (const [id] of byUse.slice(0, Math.max(0, byUse.length - LIMITS.sessionsMax + 1))) {
        this.sessions.delete(id);
      }
      this.sessions.set(at.index, { at, acked: 0, answers: new Map() });
      return at.index;
    }
    const { sessionId, sequence, ackedThrough } = entry.request;
    if (sequence < 1 || ackedThrough >= sequence) return { kind: "invalid" };
    const session = this.sessions.get(sessionId);
    if (session === undefined) return { kind: "expired" };
    session.at = at;
    session.acked = Math.max(session.acked, ackedThrough);
    if (sequence <= session.acked) return { kind: "stale" };
    if (sequence > session.acked + LIMITS.windowMax) return { kind: "ahead" };
    const known = session.answers.get(sequence);
    if (known !== undefined) return { kind: "repeat", answer: known };
    const answer = execute();
    session.answers.set(sequence, answer);
    return { kind: "new", answer };
  }
}

function applyTo(table: SessionTable, entry: Entry): SessionOutcome | number {
  return entry.kind === "open"
    ? table.open(entry.at)
    : table.apply(entry.request, entry.at, () => answerOf(entry.at.index));
}

test("random entries come out as in a naive model", () => {
  const seen = new Map<string, number>();
  for (let seed = 1; seed <= 60; seed++) {
    const entries = randomEntries(new Prng(seed), 400);
    const store = new MemoryStore();
    const table = new SessionTable(store, LIMITS);
    const model = new Model();
    for (const entry of entries) {
      const found = applyTo(table, entry);
      const expected = model.apply(entry, () => answerOf(entry.at.index));
      assert.deepEqual(found, expected, `seed ${seed}, entry ${entry.at.index}`);
      const kind = typeof found === "number" ? "open" : found.kind;
      seen.set(kind, (seen.get(kind) ?? 0) + 1);
      assert.ok(table.count <= LIMITS.sessionsMax);
      const rowsMax = 1 + LIMITS.sessionsMax * (2 + LIMITS.windowMax);
      assert.ok(store.rows().size <= rowsMax, `${store.rows().size} rows`);
    }
    const { evictedForRoom, evictedIdle } = table.stats;
    seen.set("evicted for room", (seen.get("evicted for room") ?? 0) + evictedForRoom);
    seen.set("evicted idle", (seen.get("evicted idle") ?? 0) + evictedIdle);
  }
  const kinds = ["open", "new", "repeat", "stale", "ahead", "expired", "invalid"];
  for (const kind of [...kinds, "evicted for room", "evicted idle"]) {
    assert.ok((seen.get(kind) ?? 0) > 50, `${kind}: ${seen.get(kind)}`);
  }
});

test("two replicas agree on rows and answers, with a snapshot in the middle of one", () => {
  for (let seed = 1; seed <= 40; seed++) {
    const prng = new Prng(seed, 1);
    const entries = randomEntries(new Prng(seed), 300);
    const store = new MemoryStore();
    const table = new SessionTable(store, LIMITS);
    let otherStore = new MemoryStore();
    let other = new SessionTable(otherStore, LIMITS);
    for (const entry of entries) {
      if (prng.nextChance(0.05)) {
        // All there is to a restart, and to a snapshot: the rows.
        otherStore = new MemoryStore(otherStore.rows());
        other = new SessionTable(otherStore, LIMITS);
      }
      const place = `seed ${seed}, entry ${entry.at.index}`;
      assert.deepEqual(applyTo(other, entry), applyTo(table, entry), place);
    }
    assert.deepEqual([...otherStore.rows()], [...store.rows()], `seed ${seed}`);
  }
});
