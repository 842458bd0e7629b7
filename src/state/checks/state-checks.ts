/**
 * Comparing states through the log, one member's part: hears of the entries as they are applied, digests its state at
 * each mark in a thread, reports, and judges what all have reported. DESIGN.md has the protocol.
 *
 * Nothing here throws into the apply that calls it, and nothing of it is state: a member that was not there for a mark
 * reports nothing and judges nothing.
 */

import { MessageChannel } from "node:worker_threads";
import { type Logger, toHearthError } from "../../base/index.ts";
import type { IndexDatabase } from "../../db/index.ts";
import type { StateCheck, StateReport } from "../../protocol/index.ts";
import type { TaskThreads } from "../../tasks/index.ts";
import {
  DIGEST_PHASE,
  DIGEST_WORDS,
  type DigestRequest,
  type DigestResult,
} from "./digest-thread.ts";
import { type Divergence, StateTally } from "./tally.ts";

const ENTRY = new URL(
  `./digest-thread${import.meta.url.endsWith(".ts") ? ".ts" : ".js"}`,
  import.meta.url,
);

/** A thread that was made ready waits so long for its mark. */
const MARK_WAIT_MS = 60_000;
export interface StateCheckOptions {
  /**
   * Main waits at most so long, once per mark, for the thread to have its transaction. A thread that is ready needs
   * 0.1 ms; one that does not get a processor in time costs this member the check, and the next one comes.
   */
  readonly openWaitMs: number;
}

export const STATE_CHECK_DEFAULTS: StateCheckOptions = { openWaitMs: 3 };

export interface StateCheckModules {
  readonly db: IndexDatabase;
  readonly mapSizeBytes: number;
  readonly threads: TaskThreads;
  readonly logger: Logger;
  /** This member. */
  readonly node: string;
  /** Node ids of the voters now. */
  readonly voters: () => readonly string[];
  /** Puts a report into the log, by way of the leader. It may be lost. */
  readonly report: (report: StateReport) => void;
  /** This state differs from that of the majority. */
  readonly onDiverged: (divergence: Divergence) => void;
}

interface Prepared {
  readonly words: Int32Array;
  readonly generation: number;
  isReady: boolean;
}

export class StateChecks {
  readonly #options: StateCheckOptions;
  readonly #modules: StateCheckModules;
  readonly #tally: StateTally;
  #prepared: Prepared | null = null;

  constructor(options: StateCheckOptions, modules: StateCheckModules) {
    this.#options = options;
    this.#modules = modules;
    this.#tally = new StateTally(modules);
  }

  /** Log index of the newest mark at which this state was that of the majority; 0: none since the start. */
  get lastEqualIndex(): number {
    return this.#tally.lastEqualIndex;
  }

  /** Checks in which members differed, as far as this member knows. */
  get mismatches(): number {
    return this.#tally.mismatches;
  }

  /** A thread waits for the mark: this member will be part of the check. */
  get isReady(): boolean {
    return this.#prepared?.isReady ?? false;
  }

  /** An entry was applied; of a mark, the state behind it is committed and nothing else is. */
  onCheck(check: StateCheck, index: number): void {
    if (check.kind === "report") this.#tally.noteReport(check);
    else if (check.kind === "prepare") this.#prepare();
    else this.#mark(index);
  }

  /** The threads are the owner's. */
  stop(): void {
    this.#cancel();
  }

  #prepare(): void {
    this.#cancel();
    const { db, mapSizeBytes, threads } = this.#modules;
    const words = new Int32Array(new SharedArrayBuffer(4 * DIGEST_WORDS.count));
    const { generation, directory } = db;
    const prepared: Prepared = { words, generation, isReady: false };
    this.#prepared = prepared;
    const { port1, port2 } = new MessageChannel();
    port1.once("message", () => {
      prepared.isReady = true;
    });
    const request: DigestRequest = {
      database: { directory, mapSizeBytes, generation },
      words: words.buffer as SharedArrayBuffer,
      waitMs: MARK_WAIT_MS,
      port: port2,
    };
    threads
      .run<DigestResult>(ENTRY, request, [port2])
      .then((result) => this.#digested(prepared, result))
      .catch((error: unknown) => {
        const { message } = toHearthError(error);
        this.#modules.logger.warn("the state was not digested", { detail: message });
      })
      .finally(() => port1.close());
  }

  #mark(index: number): void {
    const { phase } = DIGEST_WORDS;
    this.#tally.noteMark(index);
    const prepared = this.#prepared;
    if (prepared === null || !prepared.isReady) return;
    if (prepared.generation !== this.#modules.db.generation) return this.#cancel();
    const { words } = prepared;
    Atomics.store(words, phase, DIGEST_PHASE.marked);
    Atomics.notify(words, phase);
    Atomics.wait(words, phase, DIGEST_PHASE.marked, this.#options.openWaitMs);
  }

  #digested(prepared: Prepared, result: DigestResult): void {
    if (this.#prepared === prepared) this.#prepared = null;
    const isOfNow = prepared.generation === this.#modules.db.generation;
    if (result === null || !isOfNow || !this.#tally.isMark(result.index)) return;
    const { index: atIndex, tables } = result;
    this.#tally.noteOwn(atIndex, tables);
    this.#modules.report({ kind: "report", atIndex, node: this.#modules.node, tables });
  }

  #cancel(): void {
    if (this.#prepared === null) return;
    Atomics.store(this.#prepared.words, DIGEST_WORDS.phase, DIGEST_PHASE.cancelled);
    Atomics.notify(this.#prepared.words, DIGEST_WORDS.phase);
    this.#prepared = null;
  }
}
