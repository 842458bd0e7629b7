/**
 * A state machine under a long run of single entries. Entries are staged, as a busy member does, and committed now and
 * then: a transaction per entry would be all that such a run does. What is read in between is the open transaction.
 */

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { SILENT_LOGGER } from "../../../src/base/index.ts";
import { INDEX_DATABASE_DEFAULTS, IndexDatabase } from "../../../src/db/index.ts";
import type { CommittedBatch } from "../../../src/protocol/index.ts";
import { STATE_DEFAULTS, StateMachine } from "../../../src/state/index.ts";
import { batchOf, type Entry } from "../support.ts";

export class CompactionWorld {
  readonly #directory = mkdtempSync(join(tmpdir(), "hearth-compaction-"));
  #db: IndexDatabase;
  #state: StateMachine;
  /** The log behind the last commit. */
  #uncommitted: CommittedBatch[] = [];

  constructor() {
    this.#db = this.#openDatabase();
    this.#state = this.#createState();
  }

  get state(): StateMachine {
    return this.#state;
  }

  /** Applies entries as one batch; their outcomes. */
  apply(
    entries: readonly Entry[],
    place: { readonly term: number; readonly appendedAtMs: number },
  ): Uint8Array {
    const batch = batchOf(entries, { ...place, firstIndex: this.#state.appliedIndex + 1 });
    this.#uncommitted.push(batch);
    return this.#state.stage([batch]).outcomes;
  }

  /** Everything that was applied is there to be read. */
  read<T>(ask: (db: IndexDatabase) => T): T {
    if (!this.#db.isWriteOpen) return this.#readCommitted(ask);
    this.#state.writeStaged();
    this.#state.compaction.flush();
    return ask(this.#db);
  }

  /** The same in a transaction of its own, as other threads read. */
  readCommitted<T>(ask: (db: IndexDatabase) => T): T {
    this.commit();
    return this.#readCommitted(ask);
  }

  commit(): void {
    this.#state.commit();
    this.#uncommitted = [];
  }

  /** The process dies: what was not committed is gone, and comes back from the log. */
  async crash(): Promise<void> {
    const log = this.#uncommitted;
    await this.#db.close();
    this.#db = this.#openDatabase();
    this.#state = this.#createState();
    if (log.length > 0) this.#state.stage(log);
  }

  async close(): Promise<void> {
    await this.#db.close();
    rmSync(this.#directory, { recursive: true, force: true });
  }

  #readCommitted<T>(ask: (db: IndexDatabase) => T): T {
    this.#db.beginRead();
    try {
      return ask(this.#db);
    } finally {
      this.#db.endRead();
    }
  }

  #createState(): StateMachine {
    return new StateMachine(STATE_DEFAULTS, { db: this.#db, logger: SILENT_LOGGER });
  }

  #openDatabase(): IndexDatabase {
    return IndexDatabase.open({
      ...INDEX_DATABASE_DEFAULTS,
      directory: this.#directory,
      role: "writer",
    });
  }
}
