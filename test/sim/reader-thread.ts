/**
 * One reader thread of a machine: the server's own ReadService over simulated read transactions. Messages between it
 * and the main thread take time, so reads interleave with everything else.
 */

import { HearthError, type Prng, SILENT_LOGGER } from "../../src/base/index.ts";
import type { ProposeResult, Replica } from "../../src/replica/index.ts";
import {
  type MainLink,
  ReadService,
  type Reply,
  type ReplyGroup,
} from "../../src/service/index.ts";
import type { Coverage } from "./coverage.ts";
import { type SimDatabase, SimReader } from "./database.ts";
import { EVENT, type EventLoop, type Life, type MachineScheduler } from "./event-loop.ts";
import type { SimProgress } from "./progress.ts";
import { exponential } from "./random.ts";

/** Mean time of a message between the threads of one process, us. */
const THREAD_HOP_US = 30;
const WAITING_READS_MAX = 1000;

export interface ReaderModules {
  readonly loop: EventLoop;
  readonly place: number;
  readonly life: Life;
  readonly scheduler: MachineScheduler;
  readonly database: SimDatabase;
  readonly progress: SimProgress;
  readonly replica: Replica;
  readonly prng: Prng;
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
  readonly #reads: ReadService;

  constructor(modules: ReaderModules) {
    this.#modules = modules;
    const reader = new SimReader(modules.database);
    this.#reader = reader;
    this.#reads = new ReadService(
      { waitingReadsMax: WAITING_READS_MAX, readIndexMaxDistance: 0 },
      {
        transactions: reader,
        appliedIndex: () => reader.appliedIndex,
        progress: modules.progress,
        main: this.#mainLink(),
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

  #mainLink(): MainLink {
    const refuse = (): never => {
      throw new Error("Not used here");
    };
    return {
      propose: refuse,
      nodeInfo: refuse,
      pollCompaction: refuse,
      memberCall: refuse,
      readIndex: (done) =>
        this.#hop(() =>
          this.#modules.replica.readIndex((result) => {
            if (!result.ok && result.error.reason === "no_leader")
              this.#modules.coverage.hit("readLeaderless");
            this.#hopWith(result, done);
          }),
        ),
    };
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
