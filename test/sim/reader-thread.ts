/**
 * One reader thread of a machine: the server's own ReadService over simulated read transactions, with read indexes from the
 * leader itself or by way of main. Messages between it and the main thread take time, so reads interleave with everything else.
 */

import { HearthError, type Prng, SILENT_LOGGER } from "../../src/base/index.ts";
import type { LineTarget } from "../../src/cluster/index.ts";
import type { NodeId } from "../../src/raft/index.ts";
import type { ProposeResult, Replica } from "../../src/replica/index.ts";
import {
  LeaderReads,
  type ReadIndexResult,
  ReadService,
  type Reply,
  type ReplyGroup,
} from "../../src/service/index.ts";
import type { Coverage } from "./coverage.ts";
import { type SimDatabase, SimReader } from "./database.ts";
import { EVENT, type EventLoop, type Life, type MachineScheduler } from "./event-loop.ts";
import type { History } from "./history.ts";
import { SimLine } from "./line.ts";
import type { SimNetwork } from "./network.ts";
import type { SimProgress } from "./progress.ts";
import { exponential, logUniform } from "./random.ts";

/** Mean time of a message between the threads of one process, us. */
const THREAD_HOP_US = 30;
/** News of the leader that are late, and how late. */
const LATE_SHARE = 0.4;
const LATE_MIN_US = 1_000;
const LATE_MAX_US = 1_000_000;
const WAITING_READS_MAX = 1000;

export interface ReaderModules {
  readonly loop: EventLoop;
  readonly network: SimNetwork;
  readonly place: number;
  readonly nodeId: NodeId;
  readonly life: Life;
  readonly scheduler: MachineScheduler;
  readonly database: SimDatabase;
  readonly progress: SimProgress;
  readonly replica: Replica;
  readonly prng: Prng;
  readonly history: History;
  readonly coverage: Coverage;
}

export type ReadDone = (
  result:
    | {
        readonly ok: true;
        readonly index: number;
        readonly value: number | readonly number[] | null;
      }
    | { readonly ok: false; readonly error: HearthError },
) => void;

export class SimReaderThread {
  readonly #modules: ReaderModules;
  readonly #reader: SimReader;
  readonly #leaderReads: LeaderReads;
  /** When the last of them comes; they come in order. */
  #newsAtUs = 0;
  readonly #reads: ReadService;

  constructor(modules: ReaderModules) {
    this.#modules = modules;
    this.#leaderReads = new LeaderReads({
      progress: modules.progress,
      main: { readIndex: (done) => this.#askMain(done) },
      line: new SimLine(modules),
      scheduler: modules.scheduler,
    });
    const reader = new SimReader(modules.database);
    this.#reader = reader;
    this.#reads = new ReadService(
      { waitingReadsMax: WAITING_READS_MAX, readIndexMaxDistance: 0 },
      {
        transactions: reader,
        appliedIndex: () => reader.appliedIndex,
        progress: modules.progress,
        rounds: this.#leaderReads,
        logger: SILENT_LOGGER,
        scheduler: modules.scheduler,
      },
    );
  }

  read(operation: number, key: number, done: ReadDone): void {
    const before = this.#reads.waitingCount;
    this.#reads.run("strong", replyTo(done), () => {
      done({
        ok: true,
        index: this.#reader.appliedIndex,
        value: this.#reader.read(operation, key),
      });
    });
    if (this.#reads.waitingCount > before) this.#modules.coverage.hit("readParked");
  }

  propose(body: Uint8Array<ArrayBuffer>, done: (result: ProposeResult) => void): void {
    this.#hop(() => {
      this.#modules.replica.propose({ body, bodyBytes: body.length, count: 1 }, (result) =>
        // Outcomes are borrowed until this returns.
        this.#hopWith(result.ok ? { ...result, outcomes: result.outcomes.slice() } : result, done),
      );
    });
  }

  /** Main has heard who leads. It looks up a name, and the thread is busy: this may be news of long ago when it comes. */
  setLeader(leader: NodeId): void {
    const { loop, life, place, prng } = this.#modules;
    const lateUs = prng.nextChance(LATE_SHARE) ? logUniform(prng, LATE_MIN_US, LATE_MAX_US) : 0;
    this.#newsAtUs = Math.max(this.#newsAtUs, loop.nowUs + THREAD_HOP_US + lateUs);
    loop.at(this.#newsAtUs, { kind: EVENT.worker, place, life }, () =>
      this.#leaderReads.setLeader(targetOf(leader)),
    );
  }

  #askMain(done: (result: ReadIndexResult) => void): void {
    this.#hop(() =>
      this.#modules.replica.readIndex((result) => {
        if (!result.ok && result.error.reason === "no_leader")
          this.#modules.coverage.hit("readLeaderless");
        this.#hopWith(result, done);
      }),
    );
  }

  #hopWith<T>(value: T, done: (value: T) => void): void {
    this.#hop(() => done(value));
  }

  #hop(task: () => void): void {
    const { loop, life, place, prng } = this.#modules;
    if (!life.isAlive) return;
    const atUs = loop.nowUs + exponential(prng, THREAD_HOP_US);
    loop.at(atUs, { kind: EVENT.worker, place, life }, task);
  }
}

/** Null where nobody is known to lead. */
function targetOf(leader: NodeId): LineTarget | null {
  const addresses = { peer: "", http: "", websocket: "" };
  const own = { clusterId: "sim", nodeId: "", serverId: "", addresses, version: "", bootNonce: "" };
  return leader === "" ? null : { nodeId: leader, addresses: [leader], introduction: own };
}

const ONE_BY_ONE: ReplyGroup = { cork: (body) => body() };

function replyTo(done: ReadDone): Reply {
  const refuse = (): never => {
    throw new HearthError("internal", "Reads of the simulator answer by themselves");
  };
  return {
    isSettled: false,
    deadlineAtMs: Number.POSITIVE_INFINITY,
    group: ONE_BY_ONE,
    dictionaries: null,
    checkpoint: () => {},
    chunk: refuse,
    entries: refuse,
    end: refuse,
    fail: (error) => done({ ok: false, error }),
  };
}
