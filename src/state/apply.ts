/**
 * The state machine: committed log entries in, index out.
 *
 * `apply` runs all entries it is given in one write transaction, together with the index of the last of them, so the
 * database always holds exactly the effects of the entries up to `applied`. It is a function of the entries and the
 * index before them (DESIGN.md, "Determinism"). Content cannot make it throw; when the database fails, the
 * transaction did not happen and everything in memory is dropped.
 */

import { assert, type Logger } from "../base/index.ts";
import { APPLIED_RECORD, type IndexDatabase, META_KEYS } from "../db/index.ts";
import {
  addsBlocksAlone,
  COMMAND,
  type CommittedBatch,
  decodeStateCheck,
  iterateEntries,
  type StateCheck,
} from "../protocol/index.ts";
import { Commands, OUTCOME } from "./commands.ts";
import { CompactionState } from "./compaction/compaction-state.ts";
import { Counters } from "./counters.ts";
import type { StoredDeletion } from "./deletions/rows.ts";
import { DeletionStore } from "./deletions/store.ts";
import { BlockIndex } from "./index/block-index.ts";
import type { LogEntry } from "./log-entry.ts";
import { type Rejection, StateMetrics } from "./metrics.ts";
import type { StateOptions } from "./options.ts";
import { SessionCommands } from "./sessions.ts";
import { TombstoneStore } from "./tombstones/store.ts";
import type { TombstoneCount } from "./tombstones/tally.ts";

export interface StateModules {
  /** Opened with role "writer". */
  readonly db: IndexDatabase;
  readonly logger: Logger;
  /**
   * Told of every entry that compares states. When it is told of a mark, the state behind that entry is committed and
   * nothing else is. Must not throw.
   */
  readonly onCheck?: ((check: StateCheck, index: number) => void) | undefined;
}

export interface ApplyResult {
  /** One of OUTCOME per entry of the batches, in order; entries applied before are `unchanged`. */
  readonly outcomes: Uint8Array;
  /** Why entries were refused, by position in `outcomes`. */
  readonly rejections: ReadonlyMap<number, Rejection>;
}

type Mutable<T> = { -readonly [K in keyof T]: T[K] };

const APPLIED_DOUBLES = Object.keys(APPLIED_RECORD).length;

export class StateMachine {
  readonly metrics = new StateMetrics();
  readonly compaction: CompactionState;
  readonly #options: StateOptions;
  readonly #db: IndexDatabase;
  readonly #logger: Logger;
  readonly #onCheck: StateModules["onCheck"];
  readonly #counters = new Counters();
  readonly #index: BlockIndex;
  readonly #tombstones: TombstoneStore;
  readonly #deletions: DeletionStore;
  readonly #commands: SessionCommands;
  /** The entry at hand: one object for all of them. */
  readonly #entry: Mutable<LogEntry> = {
    index: 0,
    term: 0,
    appendedAtMs: 0,
    command: 0,
    version: 0,
    body: new Uint8Array(0),
    offset: 0,
    length: 0,
  };
  readonly #applied = new Float64Array(APPLIED_DOUBLES);
  readonly #appliedBytes = new Uint8Array(this.#applied.buffer);
  /** False after a failed transaction, until counters and `applied` are read back. */
  #isLoaded = false;

  constructor(options: StateOptions, modules: StateModules) {
    const { db } = modules;
    this.#options = options;
    this.#db = db;
    this.#logger = modules.logger;
    this.#onCheck = modules.onCheck;
    const { metrics } = this;
    const counters = this.#counters;
    this.#index = new BlockIndex(options, { db, counters, metrics });
    const { tenants } = this.#index;
    const internTenant = (name: string): number => tenants.internName(name);
    this.#tombstones = new TombstoneStore({ db, counters, metrics, internTenant });
    this.compaction = new CompactionState({ db, index: this.#index });
    this.#deletions = new DeletionStore({ db, tenants });
    const commands = new Commands({
      index: this.#index,
      tombstones: this.#tombstones,
      deletions: this.#deletions,
      compaction: this.compaction,
      metrics,
    });
    this.#commands = new SessionCommands({ db, commands, metrics });
    this.#load();
  }

  /** Tombstones by owner and kind; null while they are being counted, which goes on with every call. */
  countTombstones(): TombstoneCount[] | null {
    return this.#tombstones.countByOwner();
  }

  /** Log index of the last applied entry; 0: none. */
  get appliedIndex(): number {
    return this.#applied[APPLIED_RECORD.index64] as number;
  }

  get appliedTerm(): number {
    return this.#applied[APPLIED_RECORD.term64] as number;
  }

  /** Append time of the last applied entry, Unix ms. */
  get appliedAtMs(): number {
    return this.#applied[APPLIED_RECORD.appendedAtMs64] as number;
  }

  /** Log index of the entry that last changed which tenants are hidden; 0: nobody is. */
  get hiddenAt(): number {
    return this.#deletions.hiddenAt;
  }

  /** Tenants that are hidden now. */
  get hiddenCount(): number {
    return this.#deletions.liveCount;
  }

  /** Deletions that are not over, oldest first, as of `appliedIndex`: from memory, without the reports beside them. */
  liveDeletions(): StoredDeletion[] {
    if (!this.#isLoaded) this.#load();
    return this.#deletions.list();
  }

  /** The one of that id; null: it is over, or there was none. */
  findDeletion(id: number): StoredDeletion | null {
    if (!this.#isLoaded) this.#load();
    return this.#deletions.find(id)?.deletion ?? null;
  }

  /** Totals of the index. Live: they change with the next apply. */
  get counters(): Readonly<Counters> {
    return this.#counters;
  }

  /**
   * Applies entries in one transaction, together with what was staged before.
   *
   * Shape: batches contiguous and ascending, the first not above `appliedIndex` + 1; entries up to `appliedIndex`
   *   are skipped. Bodies are borrowed until the call returns.
   * Errors: only when the database fails; nothing of the call has happened then.
   */
  apply(batches: readonly CommittedBatch[]): ApplyResult {
    const result = this.stage(batches);
    this.commit();
    return result;
  }

  /**
   * The same without the commit: outcomes are decided, `appliedIndex` has moved, but readers see none of it before
   * `commit`. What is staged is lost when the database fails: then `appliedIndex` is back at the last commit.
   */
  stage(batches: readonly CommittedBatch[]): ApplyResult {
    if (!this.#isLoaded) this.#load();
    const count = batches.reduce((sum, batch) => sum + batch.count, 0);
    const outcomes = new Uint8Array(count).fill(OUTCOME.unchanged);
    const rejections = new Map<number, Rejection>();
    if (count === 0) return { outcomes, rejections };
    try {
      if (!this.#db.isWriteOpen) this.#db.beginWrite();
      let position = 0;
      for (const batch of batches) {
        this.#applyBatch(batch, position, outcomes, rejections);
        position += batch.count;
      }
    } catch (error) {
      this.#giveUp();
      throw error;
    }
    return { outcomes, rejections };
  }

  /**
   * `stage` of entries that are in the log but not durable yet: `abandon` takes them back. Null, and nothing has happened, where
   * they do more than add blocks: what others decide is also told to the duties of a leader, and a mark commits.
   */
  stageAhead(batch: CommittedBatch): ApplyResult | null {
    return addsBlocksAlone(batch.body, batch.bodyBytes) ? this.stage([batch]) : null;
  }

  /** Takes back everything since the last commit, in memory and in the database. */
  abandon(): void {
    this.#giveUp();
  }

  /**
   * Does what is left of `stage`: rows that the outcomes did not need. For the time after the answers; `commit` does it,
   * too. Errors: as `commit`.
   */
  writeStaged(): void {
    if (!this.#db.isWriteOpen) return;
    try {
      this.#index.writePending();
    } catch (error) {
      this.#giveUp();
      throw error;
    }
  }

  /**
   * Ends the open transaction: what was applied since the last commit becomes visible to readers, all of it or, when
   * the database fails, nothing. Nothing to do when nothing was applied.
   */
  commit(): void {
    if (!this.#db.isWriteOpen) return;
    try {
      this.#finish();
      this.#db.commitWrite();
    } catch (error) {
      this.#giveUp();
      throw error;
    }
    this.#trim();
  }

  /**
   * Removes a bounded number of rows of what was deleted, while there is nothing to apply; true while more is left.
   * `commit` does the same.
   */
  sweep(): boolean {
    if (!this.#isLoaded) this.#load();
    if (this.#counters.garbage === 0) return false;
    if (!this.#db.isWriteOpen) this.#db.beginWrite();
    this.commit();
    return this.#counters.garbage > 0;
  }

  /** Another state stands in the database: nothing of the one before may stay in memory. Not while entries are staged. */
  reload(): void {
    assert(!this.#db.isWriteOpen, "Entries are staged");
    this.#forget();
    this.#load();
  }

  #applyBatch(
    batch: CommittedBatch,
    position: number,
    outcomes: Uint8Array,
    rejections: Map<number, Rejection>,
  ): void {
    const { appliedIndex } = this;
    const { firstIndex, term, appendedAtMs, body } = batch;
    assert(
      firstIndex <= appliedIndex + 1,
      `Cannot apply entries from ${firstIndex}: the last applied one is ${appliedIndex}`,
    );
    const entry = this.#entry;
    entry.term = term;
    entry.appendedAtMs = appendedAtMs;
    entry.body = body;
    const visited = iterateEntries(body, batch.bodyBytes, (command, version, offset, length, i) => {
      const index = firstIndex + i;
      if (index <= appliedIndex) return;
      entry.index = index;
      entry.command = command;
      entry.version = version;
      entry.offset = offset;
      entry.length = length;
      const result = this.#commands.apply(entry);
      this.metrics.entries++;
      if (result === "applied") outcomes[position + i] = OUTCOME.applied;
      else if (result !== "unchanged") {
        outcomes[position + i] = OUTCOME.rejected;
        rejections.set(position + i, result);
        this.#noteRejection(result, index, command, version);
      }
      if (command === COMMAND.checkState && result === "unchanged") {
        this.#noteCheck(decodeStateCheck(body, offset, length), { index, term, appendedAtMs });
      }
    });
    assert(
      visited === batch.count,
      `Batch at ${firstIndex} has ${visited} entries, not ${batch.count}`,
    );
    const last = firstIndex + batch.count - 1;
    if (last <= appliedIndex) return;
    this.#applied[APPLIED_RECORD.term64] = term;
    this.#applied[APPLIED_RECORD.index64] = last;
    this.#applied[APPLIED_RECORD.appendedAtMs64] = appendedAtMs;
  }

  /** A transaction ends right behind a mark, wherever in a batch it stands: replicas compare the state of that index. */
  #noteCheck(
    check: StateCheck,
    at: { readonly index: number; readonly term: number; readonly appendedAtMs: number },
  ): void {
    if (this.#onCheck === undefined) return;
    if (check.kind !== "mark") {
      this.#onCheck(check, at.index);
      return;
    }
    this.#applied[APPLIED_RECORD.term64] = at.term;
    this.#applied[APPLIED_RECORD.index64] = at.index;
    this.#applied[APPLIED_RECORD.appendedAtMs64] = at.appendedAtMs;
    this.#finish();
    this.#db.commitWrite();
    this.#onCheck(check, at.index);
    this.#db.beginWrite();
  }

  #noteRejection(reason: Rejection, index: number, command: number, version: number): void {
    this.metrics.rejected[reason]++;
    const fields = { reason, index, command, version };
    // A writer that was not told may go on for days; the count says so.
    if (reason === "tenant_deleted") this.#logger.debug("refused a log entry", fields);
    else this.#logger.warn("refused a log entry", fields);
  }

  #finish(): void {
    this.#index.sweep(this.#options.sweepRowsPerTransaction);
    this.#index.flush();
    this.compaction.flush();
    this.#counters.store(this.#db);
    const { hiddenAt } = this.#deletions;
    this.#applied[APPLIED_RECORD.hiddenAt64] = hiddenAt;
    // Without the last field the record is what members of older versions write: states are compared byte by byte.
    const bytes = hiddenAt === 0 ? this.#appliedBytes.subarray(0, -8) : this.#appliedBytes;
    this.#db.put("meta", META_KEYS.applied, bytes);
    this.metrics.transactions++;
  }

  #trim(): void {
    this.#index.trim();
    this.#tombstones.trim();
  }

  #giveUp(): void {
    if (this.#db.isWriteOpen) this.#db.abortWrite();
    this.#forget();
  }

  #forget(): void {
    this.#index.forget();
    this.#tombstones.forget();
    this.compaction.forget();
    this.#isLoaded = false;
  }

  #load(): void {
    this.#counters.load(this.#db);
    const bytes = this.#db.get("meta", META_KEYS.applied);
    for (let i = 0; i < APPLIED_DOUBLES; i++) {
      this.#applied[i] = 8 * i < bytes ? (this.#db.f64[i] as number) : 0;
    }
    this.#deletions.load(this.#applied[APPLIED_RECORD.hiddenAt64] as number);
    this.#isLoaded = true;
  }
}
