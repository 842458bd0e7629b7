/** Three cores in memory: the cost of consensus without disk, network and state. */

import { assert, Prng } from "../../../src/base/index.ts";
import {
  type Batch,
  createOutput,
  type Member,
  type Message,
  type Output,
  RAFT_DEFAULTS,
  RaftCore,
  type RaftStart,
} from "../../../src/raft/index.ts";
import { type BenchCase, type PreparedCase, repeat } from "../../harness/index.ts";
import { ENTRY_BYTES } from "../../support/node-in-process.ts";

const ENTRIES_PER_BATCH = 64;
/** Proposals between two turns: as many as the messages to a peer may carry. */
const BATCHES_PER_CALL = 4;
const NOW_MS = 1_700_000_000_000;

const EMPTY_START: RaftStart = {
  hardState: { term: 0, vote: "", abstains: false },
  firstIndex: 1,
  baseTerm: 0,
  lastIndex: 0,
  terms: [],
  memberships: [],
  snapshot: null,
  appliedIndex: 0,
  commitIndex: 0,
  lastAppendedAtMs: 0,
};

interface Seat {
  readonly core: RaftCore;
  readonly out: Output;
  appliedIndex: number;
}

/** Whatever is asked for happens at once: every write is durable, every message arrives. */
class MemoryCluster {
  readonly seats: readonly Seat[];
  readonly #places = new Map<string, Seat>();

  constructor(members: readonly Member[], seed: number) {
    this.seats = members.map(({ id }, i) => {
      const random = new Prng(seed, i);
      const options = { ...RAFT_DEFAULTS, nodeId: id, tailMaxBytes: 0 };
      const view = { slice: (): null => null };
      const core = new RaftCore(options, EMPTY_START, view, () => random.nextU32());
      core.bootstrap(members);
      const seat = { core, out: createOutput(), appliedIndex: 0 };
      this.#places.set(id, seat);
      return seat;
    });
  }

  settle(): void {
    for (let isBusy = true; isBusy; ) {
      isBusy = false;
      for (const seat of this.seats) isBusy = this.#turn(seat) || isBusy;
    }
  }

  #turn(seat: Seat): boolean {
    const { core, out } = seat;
    core.drain(out);
    const work = out.append.at(-1);
    for (const message of out.send) this.#deliver(message);
    if (work !== undefined) core.durable(work.sequence, work.term);
    const isBusy = out.send.length > 0 || work !== undefined;
    while (core.applicableIndex > seat.appliedIndex) {
      const batches = core.applicable(seat.appliedIndex + 1, Number.MAX_SAFE_INTEGER);
      const last = batches?.at(-1) as Batch;
      seat.appliedIndex = last.firstIndex + last.count - 1;
      core.applied(seat.appliedIndex);
    }
    return isBusy;
  }

  #deliver(message: Message): void {
    this.#places.get(message.to)?.core.step(message);
  }
}

function prepare(seed: number): PreparedCase {
  const members = ["a", "b", "c"].map((id) => ({ id, serverId: id, address: id }));
  const cluster = new MemoryCluster(members, seed);
  const leader = cluster.seats[0] as Seat;
  cluster.settle();
  leader.core.campaign();
  cluster.settle();
  assert(leader.core.isLeader, "The first member leads");
  const body = new Uint8Array(ENTRIES_PER_BATCH * ENTRY_BYTES);
  const entries = { body, bodyBytes: body.length, count: ENTRIES_PER_BATCH };
  const work = (): number => {
    const before = leader.core.commitIndex;
    for (let i = 0; i < BATCHES_PER_CALL; i++) {
      assert(leader.core.propose(entries, NOW_MS).ok, "The leader takes entries");
    }
    cluster.settle();
    const committed = leader.core.commitIndex - before;
    assert(committed === BATCHES_PER_CALL * ENTRIES_PER_BATCH, `${committed} entries committed`);
    return committed;
  };
  return {
    ours: repeat("three cores, batches of 64", work, {
      operationsPerCall: BATCHES_PER_CALL * ENTRIES_PER_BATCH,
    }),
  };
}

export const cases: readonly BenchCase[] = [
  {
    name: "raft/core/three-members",
    about: "Entries of 600 B committed by three cores in memory, in batches of 64.",
    goals: [{ metric: "rate", form: "ours", atLeast: 300_000 }],
    prepare: ({ seed }) => prepare(seed),
  },
];
