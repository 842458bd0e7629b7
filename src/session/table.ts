/**
 * Exactly once for writes whose outcome a client never learned (Raft dissertation, 6.3).
 *
 * A client opens a session, numbers its writes, and sends a write again, with its number, until it has an answer. Every
 * replica executes a number once and keeps the answer until the client says that it has it; the repeat gets the same
 * bytes. The table is a part of the replicated state: everything it knows is in its rows, and they depend on the
 * entries alone. Sessions go when the log says so: when there are too many (the one used longest ago, by log index), or
 * when one was idle for long (by the times that leaders wrote into the log). No clock of a member is asked, or two
 * replicas would differ in what they have executed.
 *
 * Invariants: one `use` row per session, at its last index; answers only of sequences in (ackedThrough, ackedThrough +
 * windowMax]; at most `sessionsMax` sessions, `count` of them.
 */

import { assert } from "../base/index.ts";
import { SESSION_LIMITS, type SessionLimits } from "./limits.ts";
import {
  answerKey,
  COUNT_KEY,
  decodeAnswer,
  decodeNumber,
  decodeRecord,
  encodeAnswer,
  encodeNumber,
  encodeRecord,
  type SessionRecord,
  sessionKey,
  useKey,
  USES_END,
  USES_START,
} from "./rows.ts";
import type {
  LogPlace,
  SessionOutcome,
  SessionRequest,
  SessionStats,
  SessionStore,
} from "./types.ts";

export class SessionTable {
  readonly stats: SessionStats = {
    opened: 0,
    executed: 0,
    repeated: 0,
    stale: 0,
    ahead: 0,
    expired: 0,
    invalid: 0,
    evictedIdle: 0,
    evictedForRoom: 0,
  };
  readonly #store: SessionStore;
  readonly #limits: SessionLimits;

  /** `limits` other than the default are for tests: they are part of what an entry means. */
  constructor(store: SessionStore, limits: SessionLimits = SESSION_LIMITS) {
    this.#store = store;
    this.#limits = limits;
  }

  get count(): number {
    const bytes = this.#store.get(COUNT_KEY);
    return bytes === null ? 0 : decodeNumber(bytes);
  }

  /** Opens a session and returns its id: the log index of the entry. */
  open(at: LogPlace): number {
    this.#evictIdle(at.appendedAtMs);
    while (this.count >= this.#limits.sessionsMax) {
      this.#evict(this.#longestUnused() as number);
      this.stats.evictedForRoom++;
    }
    const { index, appendedAtMs } = at;
    this.#store.put(COUNT_KEY, encodeNumber(this.count + 1));
    this.#write(index, { lastIndex: index, lastAtMs: appendedAtMs, ackedThrough: 0 });
    this.stats.opened++;
    return index;
  }

  /**
   * One write. `execute` is called at most once, and only for the outcome `new`; what it returns is kept. When it
   * throws, the transaction around this call must not happen.
   */
  apply(request: SessionRequest, at: LogPlace, execute: () => Uint8Array): SessionOutcome {
    this.#evictIdle(at.appendedAtMs);
    const { sessionId, sequence } = request;
    if (!isSound(request)) return this.#refuse("invalid");
    const found = this.#touch(request, at);
    if (found === null) return this.#refuse("expired");
    if (sequence <= found.ackedThrough) return this.#refuse("stale");
    if (sequence > found.ackedThrough + this.#limits.windowMax) return this.#refuse("ahead");
    const key = answerKey(sessionId, sequence);
    const known = this.#store.get(key);
    if (known !== null) {
      this.stats.repeated++;
      return { kind: "repeat", answer: decodeAnswer(known) };
    }
    const answer = execute();
    const { answerMaxBytes } = this.#limits;
    assert(
      answer.length <= answerMaxBytes,
      `An answer of ${answer.length} B exceeds ${answerMaxBytes} B`,
    );
    this.#store.put(key, encodeAnswer(answer));
    this.stats.executed++;
    return { kind: "new", answer };
  }

  #refuse(kind: "invalid" | "expired" | "stale" | "ahead"): SessionOutcome {
    this.stats[kind]++;
    return { kind };
  }

  /** The record after this use, with answers forgotten that are acknowledged; null when there is no such session. */
  #touch({ sessionId, ackedThrough }: SessionRequest, at: LogPlace): SessionRecord | null {
    const bytes = this.#store.get(sessionKey(sessionId));
    if (bytes === null) return null;
    const before = decodeRecord(bytes);
    if (this.#isIdle(before, at.appendedAtMs)) {
      this.#evict(sessionId);
      this.stats.evictedIdle++;
      return null;
    }
    if (ackedThrough > before.ackedThrough) this.#forgetAnswers(sessionId, ackedThrough);
    this.#store.delete(useKey(before.lastIndex));
    const after = {
      lastIndex: at.index,
      lastAtMs: at.appendedAtMs,
      ackedThrough: Math.max(before.ackedThrough, ackedThrough),
    };
    this.#write(sessionId, after);
    return after;
  }

  #write(id: number, record: SessionRecord): void {
    this.#store.put(sessionKey(id), encodeRecord(record));
    this.#store.put(useKey(record.lastIndex), encodeNumber(id));
  }

  #isIdle(record: SessionRecord, nowMs: number): boolean {
    return nowMs - record.lastAtMs > this.#limits.idleMs;
  }

  /** The order of last use is the order of their times, so the idle ones are the first. */
  #evictIdle(nowMs: number): void {
    for (let i = 0; i < this.#limits.evictionsPerEntry; i++) {
      const id = this.#longestUnused();
      if (id === null || !this.#isIdle(this.#recordOf(id), nowMs)) return;
      this.#evict(id);
      this.stats.evictedIdle++;
    }
  }

  #longestUnused(): number | null {
    let key: Uint8Array | null = null;
    this.#store.scan(USES_START, USES_END, (found) => {
      key = new Uint8Array(found);
      return false;
    });
    const id = key === null ? null : this.#store.get(key);
    return id === null ? null : decodeNumber(id);
  }

  #recordOf(id: number): SessionRecord {
    const bytes = this.#store.get(sessionKey(id));
    assert(bytes !== null, `Session ${id} has a use but no record`);
    return decodeRecord(bytes);
  }

  #evict(id: number): void {
    this.#forgetAnswers(id, Number.MAX_SAFE_INTEGER);
    this.#store.delete(useKey(this.#recordOf(id).lastIndex));
    this.#store.delete(sessionKey(id));
    this.#store.put(COUNT_KEY, encodeNumber(this.count - 1));
  }

  /** At most `windowMax` rows. */
  #forgetAnswers(id: number, throughSequence: number): void {
    const keys: Uint8Array[] = [];
    this.#store.scan(answerKey(id, 0), answerKey(id, throughSequence + 1), (key) => {
      keys.push(new Uint8Array(key));
      return true;
    });
    for (const key of keys) this.#store.delete(key);
  }
}

/** Everything later is arithmetic on exact numbers; one less than the largest, so that adding to them stays exact. */
function isSound({ sessionId, sequence, ackedThrough }: SessionRequest): boolean {
  const isCount = (value: number): boolean =>
    Number.isSafeInteger(value) && value >= 0 && value < SEQUENCE_LIMIT;
  return (
    isCount(sessionId) && isCount(sequence) && isCount(ackedThrough) && ackedThrough < sequence
  );
}

const SEQUENCE_LIMIT = 2 ** 52;
