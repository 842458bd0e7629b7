/** Sessions in memory: a connection that keeps its frames, a main thread made of functions, an engine made of arrays. */

import assert from "node:assert/strict";
import { encodeUlid, SILENT_LOGGER, ULID_BYTES } from "../../src/base/index.ts";
import {
  appendFrameHeader,
  type BlockMeta,
  ByteSink,
  encodeBlock,
  encodeBlockListRequest,
  encodeHello,
  encodeQueryRequest,
  encodeTenantRequest,
  OP,
} from "../../src/protocol/index.ts";
import {
  SERVER_DEFAULTS,
  type ServerOptions,
  Session,
  ThreadCounters,
} from "../../src/server/index.ts";
import { DeadlineSweeper } from "../../src/server/deadlines.ts";
import { LeaderNews } from "../../src/server/leader-news.ts";
import { Gatherer } from "../../src/server/outbox.ts";
import {
  type ChunkSink,
  Inspector,
  type MainLink,
  type NodeQuestion,
  type MemberCall,
  type MemberCallResult,
  type PollResult,
  type Proposal,
  type ProposalResult,
  type QueryPort,
  type ReadIndexResult,
  ReadService,
  RequestService,
  WriteService,
} from "../../src/service/index.ts";
import { type Answer, MemoryConnection } from "./memory-connection.ts";

export {
  type Answer,
  bundleOf,
  framesOf,
  MemoryConnection,
  readAnswer,
} from "./memory-connection.ts";

/** Main as functions: proposals and rounds wait until the test answers them. */
export class FakeMain implements MainLink {
  readonly proposals: { proposal: Proposal; done: (result: ProposalResult) => void }[] = [];
  readonly rounds: ((result: ReadIndexResult) => void)[] = [];
  nextIndex = 1;

  propose(proposal: Proposal, done: (result: ProposalResult) => void): void {
    this.proposals.push({ proposal, done });
  }

  readIndex(done: (result: ReadIndexResult) => void): void {
    this.rounds.push(done);
  }

  readonly polls: {
    readonly payload: Uint8Array;
    readonly waitMs: number;
    readonly done: (result: PollResult) => void;
    isGone: boolean;
  }[] = [];

  pollCompaction(
    payload: Uint8Array,
    waitMs: number,
    done: (result: PollResult) => void,
  ): () => void {
    const poll = { payload, waitMs, done, isGone: false };
    this.polls.push(poll);
    return () => {
      poll.isGone = true;
    };
  }

  readonly memberCalls: { call: MemberCall; done: (result: MemberCallResult) => void }[] = [];

  memberCall(call: MemberCall, done: (result: MemberCallResult) => void): void {
    this.memberCalls.push({ call, done });
  }

  nodeInfo(about: NodeQuestion, done: (json: string) => void): void {
    done(JSON.stringify({ nodeId: "memory", about }));
  }

  /** Acknowledges everything that waits. */
  acknowledge(outcome = 0): void {
    for (const { proposal, done } of this.proposals.splice(0)) {
      const firstIndex = this.nextIndex;
      this.nextIndex += proposal.count;
      const outcomes = new Uint8Array(proposal.count).fill(outcome);
      done({ ok: true, firstIndex, term: 3, outcomes, rejections: new Map([[0, "some_reason"]]) });
    }
  }
}

/** Progress without shared memory. */
export class FakeProgress {
  term = 3;
  appliedIndex = 0;
  isLeader = true;
  wakeCount = 0;
  /** -1: ask main. */
  grant = 0;
  readonly #wakers: (() => void)[] = [];

  /** How often a grant was asked for. */
  grants = 0;

  tryGrantRead(): number {
    this.grants++;
    return this.grant;
  }

  waitForPublish(seen: number): Promise<void> {
    if (seen !== this.wakeCount) return Promise.resolve();
    return new Promise((resolve) => this.#wakers.push(resolve));
  }

  publish(appliedIndex: number): void {
    this.appliedIndex = appliedIndex;
    this.wakeCount++;
    for (const wake of this.#wakers.splice(0)) wake();
  }
}

/** Answers every question with the chunks it was given. */
export class FakeEngine implements QueryPort {
  applied = 0;
  chunks: Uint8Array[] = [new Uint8Array([1, 2, 3])];
  calls = 0;
  failure: Error | null = null;

  appliedIndex(): number {
    return this.applied;
  }

  /** Runs before every chunk. */
  beforeChunk: () => void = () => {};

  queryMetadata(_request: unknown, sink: ChunkSink, checkpoint: () => void = () => {}): void {
    this.calls++;
    if (this.failure !== null) throw this.failure;
    this.chunks.forEach((chunk, i) => {
      this.beforeChunk();
      checkpoint();
      sink(chunk, i === this.chunks.length - 1);
    });
  }

  queryMetadataLabels(request: unknown, sink: ChunkSink, checkpoint: () => void): void {
    this.queryMetadata(request, sink, checkpoint);
  }

  /** Ids of all look-ups. */
  readonly lookedUp: string[] = [];

  getBlockMetadata(request: { ids: Uint8Array }, asker: { chunk: ChunkSink }): void {
    for (let at = 0; at < request.ids.length; at += ULID_BYTES)
      this.lookedUp.push(encodeUlid(request.ids, at));
    this.queryMetadata(request, (chunk, isLast) => asker.chunk(chunk, isLast));
  }

  getTenants(): string[] {
    return ["a", "b"];
  }

  getTenant(name: string): {
    dataIngested: boolean;
    oldestProfileTimeMs: number;
    newestProfileTimeMs: number;
  } {
    return { dataIngested: name === "a", oldestProfileTimeMs: 1, newestProfileTimeMs: 2 };
  }
}

export interface Bench {
  readonly connection: MemoryConnection;
  readonly session: Session;
  readonly main: FakeMain;
  readonly progress: FakeProgress;
  /** Read transactions. */
  readonly transactions: { readonly begun: number };
  readonly engine: FakeEngine;
  readonly counters: ThreadCounters;
  readonly writes: WriteService;
  readonly reads: ReadService;
  readonly deadlines: DeadlineSweeper;
  readonly leaderNews: LeaderNews;
  readonly clock: { nowMs: number; pass(ms: number): void };
  /** Another connection to the same thread. */
  connect(): { connection: MemoryConnection; session: Session };
  isStopping: boolean;
}

/** A thread with one session that has not said Hello. */
export function createBench(overrides: Partial<ServerOptions> = {}): Bench {
  const options = { ...SERVER_DEFAULTS, ...overrides, writeBatchMaxBytes: 1 << 20 };
  const main = new FakeMain();
  const progress = new FakeProgress();
  const engine = new FakeEngine();
  const counters = new ThreadCounters();
  const clock = {
    nowMs: 1000,
    pass(ms: number): void {
      clock.nowMs += ms;
    },
  };
  const transactions = {
    begun: 0,
    beginRead: () => {
      transactions.begun++;
    },
    endRead: () => {},
  };
  const reads = new ReadService(options, {
    transactions,
    appliedIndex: () => engine.appliedIndex(),
    progress,
    rounds: main,
    logger: SILENT_LOGGER,
  });
  const writes = new WriteService(options, { main });
  const inspector = new Inspector({ exists: () => true, list: () => ["x"] });
  const compaction = { handle: () => {} };
  const handler = new RequestService(options, {
    engine,
    reads,
    writes,
    main,
    inspector,
    compaction,
    tenants: { handle: () => {} },
  });
  const deadlines = new DeadlineSweeper(() => clock.nowMs);
  const leaderNews = new LeaderNews(null);
  const state = { isStopping: false };
  const modules = {
    handler,
    identity: { nodeId: "n1", clusterId: "c1", version: "0.0.0" },
    leaderNews,
    counters,
    deadlines,
    frames: new ByteSink(),
    payloads: new ByteSink(),
    records: new ByteSink(),
    gatherer: new Gatherer(),
    nowMs: () => clock.nowMs,
    beganMs: () => clock.nowMs,
    chunkMaxBytes: 1000,
    isStopping: () => state.isStopping,
  };
  const connect = () => {
    const connection = new MemoryConnection();
    const session = new Session(options.session, { ...modules, connection });
    connection.session = session;
    return { connection, session };
  };
  return Object.assign(state, {
    ...connect(),
    main,
    progress,
    transactions,
    engine,
    counters,
    writes,
    reads,
    deadlines,
    leaderNews,
    clock,
    connect,
  });
}

/** A thread with one session that has said Hello. */
export function greeted(overrides: Partial<ServerOptions> = {}): Bench {
  const bench = createBench(overrides);
  bench.session.message(helloFrame());
  bench.connection.take();
  return bench;
}

/** The one answer since the last look. */
export function only(bench: Bench): Answer {
  const answers = bench.connection.take();
  assert.equal(answers.length, 1, "exactly one answer");
  return answers[0] as Answer;
}

/** The one answer is this error, and was counted. */
export function assertRefused(bench: Bench, code: string, reason: string, requestId: number): void {
  const answer = only(bench);
  assert.equal(answer.error?.code, code);
  assert.equal(answer.error?.reason, reason);
  assert.equal(answer.requestId, requestId);
  assert.equal(answer.isLast, true);
  assert.equal(
    bench.counters.snapshot().rejected[reason],
    1,
    "the refusal is counted by its reason",
  );
}

export interface FrameParts {
  readonly opcode: number;
  readonly requestId: number;
  readonly flags?: number;
  readonly timeoutMs?: number;
  readonly aux?: number;
  readonly payload?: Uint8Array;
}

export function frame(parts: FrameParts): Uint8Array {
  const sink = new ByteSink();
  const { opcode, requestId, flags = 0, timeoutMs = 0, aux = 0 } = parts;
  appendFrameHeader(sink, { opcode, requestId, flags, timeoutMs, aux });
  sink.append(parts.payload ?? new Uint8Array(0));
  return sink.copy();
}

export function encoded(write: (sink: ByteSink) => unknown): Uint8Array {
  const sink = new ByteSink();
  write(sink);
  return sink.copy();
}

export const helloFrame = (
  requestId = 1,
  dictionaryMaxBytes = 0,
  wantsLeader = false,
  bundleMaxBytes = 0,
): Uint8Array =>
  frame({
    opcode: OP.hello,
    requestId,
    payload: encoded((sink) =>
      encodeHello(sink, {
        protocolMin: 1,
        protocolMax: 1,
        name: "test",
        role: "tool",
        dictionaryMaxBytes,
        wantsLeader,
        bundleMaxBytes,
      }),
    ),
  });

export const queryFrame = (requestId: number, parts: Partial<FrameParts> = {}): Uint8Array =>
  frame({ opcode: OP.query_metadata, requestId, payload: queryPayload(), ...parts });

export const ULID_A = "01HQZX5T8M0000000000000001";
export const ULID_B = "01HQZX5T8M0000000000000002";

/** A look-up of one block. */
export const lookUpFrame = (requestId: number, id = ULID_A): Uint8Array =>
  frame({
    opcode: OP.get_block_metadata,
    requestId,
    payload: encoded((sink) =>
      encodeBlockListRequest(sink, {
        tenant: "a",
        shard: 1,
        blocks: [id],
        consistency: "strong",
      }),
    ),
  });

export function queryPayload(selector = "{}"): Uint8Array {
  return encoded((sink) =>
    encodeQueryRequest(sink, {
      tenants: ["a"],
      startMs: 0,
      endMs: 1000,
      selector,
      labels: [],
      consistency: "strong",
      maxStalenessMs: 0,
    }),
  );
}

export function tenantPayload(
  tenant: string,
  consistency: "strong" | "local" = "strong",
): Uint8Array {
  return encoded((sink) => encodeTenantRequest(sink, { tenant, consistency }));
}

export function blockPayload(changes: Partial<BlockMeta> = {}): Uint8Array {
  return encoded((sink) => encodeBlock({ ...BLOCK, ...changes }, sink));
}

export const BLOCK: BlockMeta = {
  formatVersion: 1,
  id: "01HQZX5T8M0000000000000001",
  tenant: 0,
  shard: 1,
  compactionLevel: 0,
  minTimeMs: 1000,
  maxTimeMs: 2000,
  createdBy: 0,
  sizeBytes: 10n,
  metadataOffset: 0n,
  stringTable: ["", "a", "service", "service_name"],
  datasets: [
    {
      tenant: 1,
      name: 2,
      minTimeMs: 1000,
      maxTimeMs: 2000,
      tableOfContents: [0n, 1n, 2n],
      sizeBytes: 5n,
      labels: [1, 3, 2],
      format: 0,
    },
  ],
};

/** The end of this turn of the event loop, in which batches leave. */
export function nextTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
