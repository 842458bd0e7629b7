/** Everything of one seed put together: machines, network, clients, checks; and the step that checks after each event. */

import { LOG_DEFAULTS } from "../../src/log/index.ts";
import {
  decodeMessage,
  encodeMessage,
  joinPieces,
  type Message,
  type NodeId,
} from "../../src/raft/index.ts";
import { REPLICA_DEFAULTS } from "../../src/replica/index.ts";
import { checkConfiguration, checkMatches } from "./beliefs.ts";
import { Clients } from "./clients.ts";
import type { Coverage } from "./coverage.ts";
import { EventLoop } from "./event-loop.ts";
import { History } from "./history.ts";
import { type Holder, type InvariantLimits, Invariants } from "./invariants.ts";
import { Machine } from "./machine.ts";
import { SimNetwork } from "./network.ts";
import type { Plan } from "./plan.ts";
import type { Streams } from "./random.ts";
import type { ShadowLog } from "./shadow-log.ts";

export const TICK_MS = 20;
const SEGMENT_BYTES = 32 * 1024;
const GROUP_BYTES = 8 * 1024;
/** The full status is looked at every so many events of a machine. */
const STATUS_EVERY = 8;
/** Where the wall clocks begin, Unix ms. */
const START_AT_MS = 1_700_000_000_000;

const LIMITS: InvariantLimits = {
  uncommittedMaxBytes: 32 * 1024,
  inflightMaxMessages: 32,
  inflightMaxBytes: 16 * 1024,
  largestBytes: GROUP_BYTES,
};

export class Cluster {
  readonly plan: Plan;
  readonly loop = new EventLoop();
  readonly coverage: Coverage;
  readonly history = new History();
  readonly invariants: Invariants;
  readonly network: SimNetwork;
  readonly machines: Machine[] = [];
  readonly clients: Clients;
  readonly streams: Streams;
  #checks = 0;

  constructor(plan: Plan, streams: Streams, coverage: Coverage) {
    this.plan = plan;
    this.streams = streams;
    this.coverage = coverage;
    const inflightMaxMessages = plan.inflightMaxMessages;
    this.invariants = new Invariants({ ...LIMITS, inflightMaxMessages }, coverage);
    const codec = streams.stream("codec");
    this.network = new SimNetwork(plan.network, {
      loop: this.loop,
      prng: streams.stream("network"),
      coverage,
      onSend: (message) => {
        if (!codec.nextChance(plan.codecShare)) return message;
        coverage.hit("codecSampled");
        return throughBytes(message);
      },
    });
    for (let place = 0; place < plan.voters + plan.learners + plan.spares; place++) {
      this.machines.push(this.#newMachine(place));
    }
    this.clients = new Clients(
      { count: plan.clients, thinkUs: plan.thinkUs, readShare: plan.readShare, keys: plan.keys },
      {
        loop: this.loop,
        history: this.history,
        coverage,
        machines: this.machines,
        stream: (name) => streams.stream(name),
      },
    );
  }

  start(): void {
    const founders = this.machines.slice(0, this.plan.voters);
    const bootstrap = founders.map(({ member }) => member);
    for (const machine of founders) machine.bootstrap = bootstrap;
    const none = { votersOutgoing: [], learners: [], learnersNext: [] };
    this.invariants.founded({ members: bootstrap, voters: bootstrap.map(({ id }) => id), ...none });
    for (const machine of this.machines) machine.boot();
    this.clients.start();
  }

  /** Looks at what the last event can have changed. */
  checkEvent(): void {
    const { place } = this.loop;
    if (place < 0) return;
    const machine = this.machines[place];
    const view = machine?.view ?? null;
    if (machine === undefined || view === null) return;
    if (view.core.isLeader) this.invariants.leads(view.nodeId, view.core.term);
    // Inputs alone change nothing that anybody could see: what they lead to is handed out in a turn of the driver.
    if (!machine.hasDrained) return;
    machine.hasDrained = false;
    this.#checks += 1;
    this.invariants.afterEvent(view, () => this.#holders());
    if (this.#checks % STATUS_EVERY !== 0) return;
    this.invariants.checkStatus(view);
    const status = view.core.status();
    checkConfiguration(view, status, this.invariants);
    checkMatches(view, status, (id) => this.#intactLog(id));
  }

  /** The log of a member that no damage took anything from. */
  #intactLog(nodeId: NodeId): ShadowLog | null {
    const machine = this.machineOf(nodeId);
    if (machine === null || machine.isDamaged) return null;
    const wasCut = machine.ghosts.some(({ holder }) => holder.nodeId === nodeId);
    return wasCut ? null : machine.holder.shadow;
  }

  #holders(): Holder[] {
    return this.machines.flatMap((machine) => [machine, ...machine.ghosts]);
  }

  /** The member that leads in the newest term, if one thinks so. */
  get leader(): Machine | null {
    let found: Machine | null = null;
    for (const machine of this.machines) {
      const { core } = machine;
      if (core?.isLeader === true && core.term > (found?.core?.term ?? -1)) found = machine;
    }
    return found;
  }

  machineOf(nodeId: NodeId): Machine | null {
    return this.machines.find((machine) => machine.nodeId === nodeId) ?? null;
  }

  #newMachine(place: number): Machine {
    const { plan, loop, network, invariants, history, coverage, streams } = this;
    return new Machine(
      {
        place,
        startAtMs: START_AT_MS,
        readerThreads: 1 + (place % 2),
        snapshotChunkBytes: 1024,
        log: {
          segmentBytes: SEGMENT_BYTES,
          groupMaxBytes: GROUP_BYTES,
          reuseMaxBytes: 2 * SEGMENT_BYTES,
          spaceRetryMs: 50,
          inPlaceMaxMs: LOG_DEFAULTS.inPlaceMaxMs,
          queueMinBytes: 0,
          damagePolicy: plan.voters > 1 ? "abstain" : "refuse",
        },
        replica: {
          ...REPLICA_DEFAULTS,
          tickMs: TICK_MS,
          electionTicks: plan.electionTicks,
          heartbeatTicks: plan.heartbeatTicks,
          appendMaxBytes: 2 * 1024,
          inflightMaxMessages: plan.inflightMaxMessages,
          inflightMaxBytes: LIMITS.inflightMaxBytes,
          inflightMaxChunks: 2,
          tailMaxBytes: 4 * 1024,
          promoteMaxLag: 20,
          uncommittedMaxBytes: LIMITS.uncommittedMaxBytes,
          applyMaxBytes: 2 * 1024,
          replayMaxBytes: 4 * 1024,
          commitMaxBytes: 4 * 1024,
          readsMax: 1000,
          snapshotLogBytes: plan.snapshotLogBytes,
          snapshotKeepEntries: plan.snapshotKeepEntries,
        },
      },
      { loop, network, invariants, history, coverage, stream: (name) => streams.stream(name) },
    );
  }
}

/** What arrives when the message goes over a wire. */
function throughBytes(message: Message): Message {
  return decodeMessage(joinPieces(encodeMessage(message)));
}
