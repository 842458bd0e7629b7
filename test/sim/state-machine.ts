/**
 * The replicated state of the simulator over a simulated LMDB environment: what is committed to it at once, what read
 * transactions see, and what a crash leaves.
 *
 * - A read transaction sees the state of its beginning, however much is applied meanwhile.
 * - A killed process keeps every committed transaction. After a power cut the environment is thrown away (the index is
 *   a cache): the member starts from its snapshot and its log.
 */

import type { CommittedBatch } from "../../src/protocol/index.ts";
import { type LogPlace, SESSION_LIMITS, SessionTable } from "../../src/session/index.ts";
import { entryHashes } from "./entry-hash.ts";
import { mix } from "./event-loop.ts";
import { SessionRows } from "./session-rows.ts";
import { OPERATION, type SimCommand, visitCommands } from "./commands.ts";

interface Version {
  readonly index: number;
  /** Register: the value. List: the element. Counter: unused. */
  readonly value: number;
}

/** Told about every entry that is applied, in order. */
export interface ApplyObserver {
  applied(entry: AppliedEntry): void;
}

export interface AppliedEntry {
  readonly index: number;
  readonly term: number;
  readonly appendedAtMs: number;
  readonly hash: number;
  readonly checksum: number;
  readonly command: SimCommand | null;
  readonly hasEffect: boolean;
  /** A repeat of a session: the log index that its first answer told; -1: no repeat. */
  readonly repeatOfIndex: number;
}

/** What stands behind a commit: the numbers of the last entry in it. */
interface Position {
  readonly appliedIndex: number;
  readonly appliedTerm: number;
  readonly appendedAtMs: number;
  readonly checksum: number;
}

interface Image extends Position {
  readonly versions: [number, Version[]][];
  readonly sessions: [string, number[]][];
}

const EMPTY: Position = { appliedIndex: 0, appliedTerm: 0, appendedAtMs: 0, checksum: 0x1234567 };

/** What an environment holds. Versions stay, so that a read transaction is just an index. */
export class SimState {
  /** Of the last entry, staged ones included. */
  position: Position = EMPTY;
  /** Of the last entry that readers and a restarted process see. */
  committed: Position = EMPTY;
  /** By operation * 256 + key. */
  readonly #versions = new Map<number, Version[]>();
  readonly #rows: SessionRows;
  readonly #sessions: SessionTable;
  /** Slots that staged entries have changed, to take it back. */
  #undo: number[] = [];

  constructor(rows = new SessionRows()) {
    this.#rows = rows;
    this.#sessions = new SessionTable(rows, LIMITS);
  }

  read(operation: number, key: number, atIndex: number): number | readonly number[] | null {
    const versions = this.#versions.get(operation * 256 + key) ?? [];
    let end = versions.length;
    while (end > 0 && (versions[end - 1] as Version).index > atIndex) end -= 1;
    if (operation === OPERATION.write) return versions[end - 1]?.value ?? null;
    if (operation === OPERATION.increment) return end;
    return versions.slice(0, end).map(({ value }) => value);
  }

  /** Outcome code per entry from `offset` on: 0 applied, 1 a repeat, 2 refused by the session table. */
  stage(
    batch: CommittedBatch,
    outcomes: Uint8Array,
    offset: number,
    observer: ApplyObserver,
  ): void {
    const hashes = entryHashes(batch.body, batch.count);
    const { term, appendedAtMs } = batch;
    visitCommands(batch.body, batch.count, (command, i) => {
      const index = batch.firstIndex + i;
      const { appliedIndex } = this.position;
      if (index <= appliedIndex) return;
      if (index !== appliedIndex + 1) throw new Error(`Gap: ${appliedIndex} -> ${index}`);
      const place = { index, appendedAtMs };
      const { code, repeatOfIndex } = command === null ? DONE : this.#execute(command, place);
      const hasEffect = code === 0 && command !== null && command.operation !== OPERATION.open;
      outcomes[offset + i] = code;
      const hash = hashes[i] as number;
      const checksum = mix(mix(this.position.checksum, hash), code);
      this.position = { appliedIndex: index, appliedTerm: term, appendedAtMs, checksum };
      observer.applied({
        index,
        term,
        appendedAtMs,
        hash,
        checksum,
        command,
        hasEffect,
        repeatOfIndex,
      });
    });
  }

  commit(): void {
    this.committed = this.position;
    this.#undo = [];
    this.#rows.commit();
  }

  /** The process has died: what was staged never was. */
  rollBack(): void {
    for (const slot of this.#undo) this.#versions.get(slot)?.pop();
    this.#rows.rollBack();
    this.#undo = [];
    this.position = this.committed;
  }

  /** The committed state. */
  encode(): Uint8Array {
    const { committed } = this;
    const image: Image = {
      ...committed,
      versions: [...this.#versions]
        .map(([slot, versions]): [number, Version[]] => [
          slot,
          versions.filter(({ index }) => index <= committed.appliedIndex),
        ])
        .sort(([a], [b]) => a - b),
      sessions: this.#rows.encode(),
    };
    return new TextEncoder().encode(JSON.stringify(image));
  }

  static decode(bytes: Uint8Array): SimState {
    const { versions, sessions, ...position } = JSON.parse(
      new TextDecoder().decode(bytes),
    ) as Image;
    const state = new SimState(SessionRows.decode(sessions));
    state.position = position;
    state.committed = position;
    for (const [slot, list] of versions) state.#versions.set(slot, list);
    return state;
  }

  #execute(command: SimCommand, place: LogPlace): Executed {
    const { session: sessionId, sequence } = command;
    if (command.operation === OPERATION.open) {
      this.#sessions.open(place);
      return DONE;
    }
    if (sessionId === 0) {
      this.#write(command, place.index);
      return DONE;
    }
    // A client has one write at a time: with the next one it says that it needs no older answer.
    const request = { sessionId, sequence, ackedThrough: sequence - 1 };
    const outcome = this.#sessions.apply(request, place, () => {
      this.#write(command, place.index);
      return new Uint8Array(new Float64Array([place.index]).buffer);
    });
    if (outcome.kind === "new") return DONE;
    if (outcome.kind !== "repeat") return REFUSED;
    const [repeatOfIndex] = new Float64Array(outcome.answer.slice().buffer);
    return { code: 1, repeatOfIndex: repeatOfIndex ?? 0 };
  }

  #write({ operation, key, value }: SimCommand, index: number): void {
    const slot = operation * 256 + key;
    this.#undo.push(slot);
    const versions = this.#versions.get(slot);
    if (versions === undefined) this.#versions.set(slot, [{ index, value }]);
    else versions.push({ index, value });
  }
}

interface Executed {
  readonly code: number;
  readonly repeatOfIndex: number;
}

const DONE: Executed = { code: 0, repeatOfIndex: -1 };
const REFUSED: Executed = { code: 2, repeatOfIndex: -1 };

/** Few sessions, so that some are put out while their clients still use them. */
const LIMITS = { ...SESSION_LIMITS, sessionsMax: 5, windowMax: 4 };
