/** A reader thread's sessions, services and engine over a real index, in this thread, with main made of functions. */

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { SILENT_LOGGER } from "../../src/base/index.ts";
import { IndexDatabase } from "../../src/db/index.ts";
import {
  BUNDLE_MAX_BYTES,
  BundleReader,
  ByteSink,
  createFrameHeader,
  EntryChunkReader,
  FLAG,
  HeldDictionaries,
  OP,
  readFrameHeader,
} from "../../src/protocol/index.ts";
import { QueryEngine, SharedState } from "../../src/read/index.ts";
import { SERVER_DEFAULTS, Session, ThreadCounters } from "../../src/server/index.ts";
import { DeadlineSweeper } from "../../src/server/deadlines.ts";
import { deliver } from "../../src/server/deliver.ts";
import { LeaderNews } from "../../src/server/leader-news.ts";
import { Gatherer } from "../../src/server/outbox.ts";
import { createTombstonePort } from "../../src/server/tombstone-port.ts";
import {
  CompactionControl,
  TenantControl,
  Inspector,
  ReadService,
  RequestService,
  WriteService,
} from "../../src/service/index.ts";
import { STATE_DEFAULTS, StateMachine } from "../../src/state/index.ts";
import { FakeMain, helloFrame, MemoryConnection, nextTurn } from "../server/support.ts";
import { cpuTimeMs } from "../support/cpu-time.ts";

/** Longer than any budget that a request can ask for. */
const FOREVER_MS = 3_600_000;

/** Kept of dictionary records: little, so that it is forgotten again and again. */
const DICTIONARY_MAX_BYTES = 4_096;

export class FuzzRig {
  readonly counters = new ThreadCounters();
  readonly state: StateMachine;
  readonly #directory = mkdtempSync(join(tmpdir(), "hearth-fuzz-"));
  readonly #db: IndexDatabase;
  readonly #main = new FakeMain();
  readonly #shared = SharedState.create();
  readonly #deadlines: DeadlineSweeper;
  readonly #handler: RequestService;
  readonly #writes: WriteService;
  readonly #sinks = {
    frames: new ByteSink(),
    payloads: new ByteSink(),
    records: new ByteSink(),
    gatherer: new Gatherer(),
  };
  #held = new HeldDictionaries(DICTIONARY_MAX_BYTES);
  entryChunks = 0;
  #nowMs = 0;
  #connection!: MemoryConnection;
  #session!: Session;
  /** Requests of the open connection that must each get exactly one last answer. */
  #owed = 0;
  #problem: string | null = null;
  readonly answersByCode = new Map<string, number>();
  connectionsClosed = 0;

  constructor() {
    const options = { ...SERVER_DEFAULTS, allowRawCommands: true, writeBatchMaxBytes: 1 << 20 };
    this.#db = IndexDatabase.open({
      directory: this.#directory,
      mapSizeBytes: 1 << 30,
      role: "writer",
    });
    this.state = new StateMachine(STATE_DEFAULTS, { db: this.#db, logger: SILENT_LOGGER });
    const engine = new QueryEngine({}, { db: this.#db });
    const reads = new ReadService(options, {
      transactions: this.#db,
      appliedIndex: () => engine.appliedIndex(),
      progress: this.#shared,
      rounds: this.#main,
      logger: SILENT_LOGGER,
    });
    this.#writes = new WriteService(options, { main: this.#main });
    const inspector = new Inspector(createTombstonePort(this.#db));
    const compaction = new CompactionControl(options, {
      db: this.#db,
      reads,
      main: this.#main,
      appliedIndex: () => engine.appliedIndex(),
      clock: { nowMs: () => this.#nowMs },
    });
    const writes = this.#writes;
    const tenants = new TenantControl({ db: this.#db, reads, main: this.#main });
    const services = { engine, reads, writes, main: this.#main, inspector, compaction, tenants };
    this.#handler = new RequestService(options, services);
    this.#deadlines = new DeadlineSweeper(() => this.#nowMs);
    this.#publish();
    this.#connect();
  }

  /** Gives one frame to the session; returns the CPU time that it took, ms. */
  send(frame: Uint8Array): number {
    if (!this.#session.isOpen) {
      this.#problem ??= this.#collect().problem;
      this.connectionsClosed++;
      this.#connect();
    }
    this.#owed += answersOwed(frame);
    const startedAtMs = cpuTimeMs();
    deliver(this.#session, new Uint8Array(frame).buffer);
    return cpuTimeMs() - startedAtMs;
  }

  /** Ends the turn: main applies and answers, everything still open runs out of time. Returns what went wrong. */
  async settle(): Promise<string | null> {
    await nextTurn();
    // Reads end their transaction at the end of the turn; applying on the same handle comes after that.
    await nextTurn();
    this.#applyAll();
    this.#nowMs += FOREVER_MS;
    this.#deadlines.sweep();
    return this.#check();
  }

  async close(): Promise<void> {
    this.#deadlines.close();
    await nextTurn();
    await this.#db.close();
    rmSync(this.#directory, { recursive: true, force: true });
  }

  #connect(): void {
    this.#connection = new MemoryConnection();
    this.#held = new HeldDictionaries(DICTIONARY_MAX_BYTES);
    this.#session = new Session(SERVER_DEFAULTS.session, {
      handler: this.#handler,
      identity: { nodeId: "n", clusterId: "c", version: "0" },
      leaderNews: new LeaderNews(null),
      counters: this.counters,
      deadlines: this.#deadlines,
      ...this.#sinks,
      nowMs: () => this.#nowMs,
      beganMs: () => this.#nowMs,
      chunkMaxBytes: 1000,
      isStopping: () => false,
      connection: this.#connection,
    });
    this.#connection.session = this.#session;
    this.#session.message(helloFrame(1, DICTIONARY_MAX_BYTES, false, BUNDLE_MAX_BYTES));
    this.#connection.take();
    this.#owed = 0;
  }

  /** What the log and the replica would do. Content must never make it throw. */
  #applyAll(): void {
    for (const { proposal, done } of this.#main.proposals.splice(0)) {
      const { body, count, appendedAtMs, termAtLeast } = proposal;
      const firstIndex = this.state.appliedIndex + 1;
      const term = Math.max(1, this.state.appliedTerm, Math.min(termAtLeast, 1e6));
      const batch = {
        firstIndex,
        term,
        appendedAtMs: Math.max(1000, appendedAtMs),
        count,
        body,
        bodyBytes: body.length,
      };
      done({ ok: true, firstIndex, term, ...this.state.apply([batch]) });
    }
    this.#publish();
  }

  #publish(): void {
    const { appliedIndex, appliedTerm: term } = this.state;
    this.#shared.publish({
      term,
      commitIndex: appliedIndex,
      appliedIndex,
      isLeader: true,
      canGrantReads: true,
    });
  }

  /** Takes the answers of the open connection: how many requests they end, and the first that must not be. */
  #collect(): { answered: number; problem: string | null } {
    let answered = 0;
    let problem: string | null = null;
    for (const { error, isLast, requestId, opcode, flags, payload } of this.#connection.take()) {
      if (opcode === OP.dictionary && requestId === 0) {
        this.#held = this.#held.receive(payload);
        continue;
      }
      if ((flags & FLAG.entries) !== 0) {
        // Throws for an answer that its asker could not read.
        for (const block of new EntryChunkReader(payload, this.#held)) block.toBlockMeta();
        this.entryChunks++;
      }
      const code = error?.code ?? "ok";
      this.answersByCode.set(code, (this.answersByCode.get(code) ?? 0) + 1);
      if (isLast && requestId !== 0) answered++;
      if (error === null) continue;
      const isBug = ["internal", "unknown", "data_loss"].includes(code);
      if (isBug) problem ??= `${code}: ${error.message}`;
      if (!/^[a-z][a-z0-9_]*$/.test(error.reason))
        problem ??= `reason "${error.reason}" is no label`;
    }
    return { answered, problem };
  }

  #check(): string | null {
    const { answered, problem } = this.#collect();
    if (this.#problem !== null || problem !== null) return this.#problem ?? problem;
    if (this.#session.inFlight !== 0)
      return `${this.#session.inFlight} requests were never answered`;
    if (this.counters.queuedAnswerBytes !== 0)
      return `${this.counters.queuedAnswerBytes} bytes leaked in queues`;
    if (this.#writes.pendingBytes !== 0)
      return `${this.#writes.pendingBytes} bytes of writes leaked`;
    // Who closed the connection gave up its answers.
    if (!this.#session.isOpen) return null;
    const owed = this.#owed;
    this.#owed = 0;
    return answered === owed ? null : `${owed} requests got ${answered} answers`;
  }
}

const HEADER = createFrameHeader();

/** Of a bundle those of its frames; a damaged one ends the connection. */
function answersOwed(message: Uint8Array): number {
  if (readFrameHeader(message, HEADER) !== null) return 0;
  if (HEADER.opcode !== OP.bundle) return isOwedAnAnswer(message) ? 1 : 0;
  const bundle = new BundleReader();
  let owed = 0;
  if (!bundle.open(message, HEADER)) return 0;
  while (bundle.step()) if (isOwedAnAnswer(message.subarray(bundle.start, bundle.end))) owed++;
  return owed;
}

function isOwedAnAnswer(frame: Uint8Array): boolean {
  if (readFrameHeader(frame, HEADER) !== null || HEADER.requestId === 0) return false;
  return HEADER.opcode !== OP.cancel && HEADER.opcode !== OP.credit;
}
