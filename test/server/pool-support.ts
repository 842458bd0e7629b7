/** A pool of real reader threads over a real index, with a replica that applies at once and keeps no log. */

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { once } from "node:events";
import { WebSocket } from "ws";
import {
  type HearthError,
  type LogFields,
  type Logger,
  SILENT_LOGGER,
} from "../../src/base/index.ts";
import { IndexDatabase } from "../../src/db/index.ts";
import { SharedState } from "../../src/read/index.ts";
import {
  type Proposer,
  ReaderPool,
  SERVER_DEFAULTS,
  type ServerOptions,
} from "../../src/server/index.ts";
import type { Proposal, ProposalResult, ReadIndexResult } from "../../src/service/index.ts";
import { STATE_DEFAULTS, StateMachine } from "../../src/state/index.ts";
import { findFreePorts } from "../support/ports.ts";
import { type Answer, type FrameParts, frame, helloFrame, readAnswer } from "./support.ts";

export class ApplyingProposer implements Proposer {
  readonly #state: StateMachine;
  readonly #shared: SharedState;
  lastProposal: Proposal | null = null;
  /** When set, proposals and rounds are refused with it. */
  refusal: HearthError | null = null;
  /** Answers every proposal twice: a bug of main, on which a reader must stop. */
  isAnsweringTwice = false;

  constructor(state: StateMachine, shared: SharedState) {
    this.#state = state;
    this.#shared = shared;
  }

  publish(canGrantReads = true): void {
    const appliedIndex = this.#state.appliedIndex;
    this.#shared.publish({
      term: 1,
      commitIndex: appliedIndex,
      appliedIndex,
      isLeader: true,
      canGrantReads,
    });
  }

  propose(proposal: Proposal, done: (result: ProposalResult) => void): void {
    this.lastProposal = proposal;
    setImmediate(() => {
      const result = this.#apply(proposal);
      done(result);
      if (this.isAnsweringTwice) done(result);
    });
  }

  readIndex(done: (result: ReadIndexResult) => void): void {
    const { refusal } = this;
    const result: ReadIndexResult =
      refusal === null
        ? { ok: true, index: this.#state.appliedIndex, term: 1 }
        : { ok: false, error: refusal };
    setImmediate(() => done(result));
  }

  status(): object {
    return { role: "leader", appliedIndex: this.#state.appliedIndex };
  }

  #apply({ body, count }: Proposal): ProposalResult {
    if (this.refusal !== null) return { ok: false, error: this.refusal };
    const firstIndex = this.#state.appliedIndex + 1;
    const batch = { firstIndex, term: 1, appendedAtMs: 1000, count, body, bodyBytes: body.length };
    const applied = this.#state.apply([batch]);
    this.publish();
    return { ok: true, firstIndex, term: 1, ...applied };
  }
}

export interface PoolRig {
  readonly pool: ReaderPool;
  readonly proposer: ApplyingProposer;
  readonly shared: SharedState;
  readonly gaveUp: HearthError[];
  readonly logs: { level: string; message: string; fields: LogFields }[];
  readonly database: IndexDatabase;
  readonly state: StateMachine;
}

/** Threads take long to start and to end where there are more of them than cores. */
const PATIENCE = { startTimeoutMs: 120_000, stopTimeoutMs: 120_000 };

/** Runs `body` over a started pool; stops it and removes its files whatever happens. */
export async function withPool(
  overrides: Partial<ServerOptions>,
  body: (rig: PoolRig) => Promise<void>,
): Promise<void> {
  const directory = mkdtempSync(join(tmpdir(), "hearth-pool-"));
  const database = { directory, mapSizeBytes: 256 * 1024 * 1024 };
  const writer = IndexDatabase.open({ ...database, role: "writer" });
  const state = new StateMachine(STATE_DEFAULTS, { db: writer, logger: SILENT_LOGGER });
  const shared = SharedState.create();
  const proposer = new ApplyingProposer(state, shared);
  proposer.publish();
  const gaveUp: HearthError[] = [];
  const logs: PoolRig["logs"] = [];
  // One that outgoing connections are not given while the threads start.
  const [port = 0] = await findFreePorts(1);
  const options = { ...SERVER_DEFAULTS, port, ...PATIENCE, ...overrides };
  const pool = new ReaderPool(options, {
    proposer,
    sharedState: shared,
    identity: { nodeId: "n1", clusterId: "c1", version: "0.0.0" },
    database,
    engine: {},
    logger: listLogger(logs),
    onGaveUp: (error) => void gaveUp.push(error),
  });
  try {
    await pool.start();
    await body({ pool, proposer, shared, gaveUp, logs, database: writer, state });
  } finally {
    await pool.stop();
    await writer.close();
    rmSync(directory, { recursive: true, force: true });
  }
}

function listLogger(logs: PoolRig["logs"]): Logger {
  const say =
    (level: string) =>
    (message: string, fields: LogFields = {}) =>
      void logs.push({ level, message, fields });
  const logger: Logger = {
    debug: say("debug"),
    info: say("info"),
    warn: say("warn"),
    error: say("error"),
    child: () => logger,
  };
  return logger;
}

/** A client that is nothing but frames. */
export class FrameClient {
  readonly socket: WebSocket;
  readonly answers: Answer[] = [];
  readonly #waiters: (() => void)[] = [];
  #nextId = 2;

  private constructor(socket: WebSocket) {
    this.socket = socket;
    socket.on("message", (data: Buffer) => {
      this.answers.push(readAnswer(data));
      this.#wake();
    });
    socket.on("close", () => this.#wake());
  }

  static async connect(port: number): Promise<FrameClient> {
    const socket = new WebSocket(`ws://127.0.0.1:${port}/`, { perMessageDeflate: false });
    await once(socket, "open");
    const client = new FrameClient(socket);
    socket.send(helloFrame());
    await client.answerTo(1);
    return client;
  }

  /** Sends a request and returns its last answer. */
  async call(parts: Omit<FrameParts, "requestId">): Promise<Answer> {
    const requestId = this.#nextId++;
    this.socket.send(frame({ ...parts, requestId }));
    return this.answerTo(requestId);
  }

  async answerTo(requestId: number): Promise<Answer> {
    for (;;) {
      const answer = this.answers.find((each) => each.requestId === requestId && each.isLast);
      if (answer !== undefined) return answer;
      if (this.socket.readyState !== WebSocket.OPEN) throw new Error("the connection is closed");
      await new Promise<void>((resolve) => this.#waiters.push(resolve));
    }
  }

  #wake(): void {
    for (const wake of this.#waiters.splice(0)) wake();
  }

  close(): void {
    this.socket.terminate();
  }
}
