/** The environment of one machine, and what the driver and the reader threads see of it. */

import type { CommittedBatch } from "../../src/protocol/index.ts";
import type { SnapshotMeta } from "../../src/raft/index.ts";
import type { ApplyOutcome, StateMachine } from "../../src/replica/index.ts";
import type { ReadTransactions } from "../../src/service/index.ts";
import type { SnapshotSource } from "../../src/snapshot/index.ts";
import type { Coverage } from "./coverage.ts";
import { check } from "./failure.ts";
import { OPERATION, visitCommands } from "./commands.ts";
import { type AppliedEntry, type ApplyObserver, SimState } from "./state-machine.ts";

/** Pieces in which an image of the state is handed out. */
const PIECE_BYTES = 700;
const NO_REJECTIONS: ReadonlyMap<number, string> = new Map();

/** Survives the death of its process; a power cut empties it. */
export class SimDatabase {
  state = new SimState();

  crashProcess(): void {
    this.state.rollBack();
  }

  crashPower(): void {
    this.state = new SimState();
  }
}

export interface StateMachineModules {
  readonly database: SimDatabase;
  readonly coverage: Coverage;
  readonly observer: ApplyObserver;
  /** A snapshot has taken the place of the state. */
  readonly onInstalled: (state: SimState) => void;
}

/** The state machine of one incarnation. */
export class SimStateMachine implements StateMachine {
  readonly #modules: StateMachineModules;
  /** What was staged ahead of the disk, and may still be taken back. */
  #ahead: AppliedEntry[] = [];
  #hasAbandoned = false;
  readonly #aheadObserver: ApplyObserver = { applied: (entry) => this.#ahead.push(entry) };

  constructor(modules: StateMachineModules) {
    this.#modules = modules;
  }

  get appliedIndex(): number {
    return this.#modules.database.state.position.appliedIndex;
  }

  get appliedTerm(): number {
    return this.#modules.database.state.position.appliedTerm;
  }

  apply(batches: readonly CommittedBatch[]): ApplyOutcome {
    const outcome = this.stage(batches);
    this.commit();
    return outcome;
  }

  stage(batches: readonly CommittedBatch[]): ApplyOutcome {
    const { database, observer } = this.#modules;
    if (this.#hasAbandoned) this.#modules.coverage.hit("aheadTakenBack");
    this.#hasAbandoned = false;
    const outcomes = new Uint8Array(batches.reduce((sum, { count }) => sum + count, 0));
    let offset = 0;
    for (const batch of batches) {
      database.state.stage(batch, outcomes, offset, observer);
      offset += batch.count;
    }
    return { outcomes, rejections: NO_REJECTIONS };
  }

  /** Commands of clients alone, and of these none that opens a session: some have to wait. */
  stageAhead(batch: CommittedBatch): ApplyOutcome | null {
    const { database, coverage } = this.#modules;
    let mayBeAhead = true;
    visitCommands(batch.body, batch.count, (command) => {
      mayBeAhead &&= command !== null && command.operation !== OPERATION.open;
    });
    if (!mayBeAhead) return null;
    coverage.hit("stagedAhead");
    const outcomes = new Uint8Array(batch.count);
    database.state.stage(batch, outcomes, 0, this.#aheadObserver);
    return { outcomes, rejections: NO_REJECTIONS };
  }

  abandon(): void {
    this.#modules.coverage.hit("aheadAbandoned");
    this.#hasAbandoned = true;
    this.#ahead = [];
    this.#modules.database.state.rollBack();
  }

  commit(): void {
    this.#modules.database.state.commit();
  }

  /** The driver counts entries up to here as applied. */
  confirm(appliedIndex: number): void {
    while ((this.#ahead[0]?.index ?? Number.POSITIVE_INFINITY) <= appliedIndex) {
      this.#modules.observer.applied(this.#ahead.shift() as AppliedEntry);
    }
  }

  openSnapshot(): SnapshotSource {
    const { state } = this.#modules.database;
    const { appliedIndex: index, appliedTerm: term } = state.committed;
    const bytes = state.encode();
    let at = 0;
    return {
      index,
      term,
      next: async () => {
        if (at >= bytes.length) return null;
        const piece = bytes.slice(at, at + PIECE_BYTES);
        at += piece.length;
        return piece;
      },
      close: () => {},
    };
  }

  async install(meta: SnapshotMeta, source: SnapshotSource): Promise<void> {
    const { database, coverage, onInstalled } = this.#modules;
    const pieces: Uint8Array[] = [];
    for (let piece = await source.next(); piece !== null; piece = await source.next()) {
      pieces.push(piece.slice());
    }
    source.close();
    const state = SimState.decode(new Uint8Array(Buffer.concat(pieces)));
    const { appliedIndex, appliedTerm } = state.position;
    check(appliedIndex === meta.index && appliedTerm === meta.term, "snapshot-content", () => {
      return `${meta.index} of term ${meta.term} holds ${appliedIndex} of term ${appliedTerm}`;
    });
    database.state = state;
    coverage.hit("snapshotInstalled");
    onInstalled(state);
  }
}

/** Read transactions of one reader thread: what was committed when one began is all that it sees. */
export class SimReader implements ReadTransactions {
  readonly #database: SimDatabase;
  #state: SimState | null = null;
  #index = 0;

  constructor(database: SimDatabase) {
    this.#database = database;
  }

  beginRead(): void {
    this.#state = this.#database.state;
    this.#index = this.#state.committed.appliedIndex;
  }

  endRead(): void {
    this.#state = null;
  }

  get appliedIndex(): number {
    return this.#index;
  }

  read(operation: number, key: number): number | readonly number[] | null {
    check(this.#state !== null, "read-transaction", () => "read outside of a transaction");
    return this.#state?.read(operation, key, this.#index) ?? null;
  }
}
