/**
 * Faults of the profile `terms`: leaders that others have replaced and that do not know it yet, with proposals, reads
 * and acknowledgements under way. Cut by themselves such leaders are found out within an election timeout; these
 * faults are shaped so that clients are there to see what they do until then.
 */

import type { Prng } from "../../src/base/index.ts";
import type { Cluster } from "./cluster.ts";
import { OPERATION } from "./commands.ts";
import { EVENT } from "./event-loop.ts";
import type { Machine } from "./machine.ts";
import { exponential, logUniform } from "./random.ts";

const FAULT = { kind: EVENT.fault, place: -1, life: null } as const;
/** Between two operations of the crowd, us. */
const CROWD_EVERY_US = 10_000;
/** Looks this often whether a snapshot has passed what is stranded, us. */
const LOOK_EVERY_US = 4_000;

const STRANDED_MAX_US = 1_000_000;
/** How long a leader that was replaced is asked to lead again, us. */
const RETURN_US = 600_000;

/** A leader with proposals that nobody else has. */
interface Stranded {
  readonly leader: Machine;
  readonly companion: Machine | null;
  readonly rest: readonly Machine[];
  /** What was committed when it was cut off. */
  readonly start: number;
  readonly endsAtUs: number;
}

export class LeaderTrouble {
  isStopped = false;
  readonly #cluster: Cluster;
  readonly #prng: Prng;
  readonly #tickUs: number;

  constructor(cluster: Cluster, tickMs: number) {
    this.#cluster = cluster;
    this.#prng = cluster.streams.stream("trouble");
    this.#tickUs = tickMs * 1000;
  }

  /** Hands over, and cuts the old leader from the new one while the votes are on their way. */
  handOver(): void {
    const found = this.#leaderAndOthers();
    const target = found === null ? null : this.#prng.pick(found.others);
    const replica = found?.leader.process?.replica;
    if (found === null || target === null || replica == null) return;
    const { leader, others } = found;
    this.#onProcess(leader, () => replica.transfer(target.nodeId));
    const companion = this.#prng.pick(others);
    // Alone or with a follower that hears of nobody else, or away from the new leader only.
    const side =
      companion === target || this.#prng.nextChance(0.3) ? [leader] : [leader, companion];
    const rest = this.#prng.nextChance(0.4) ? [target] : this.#rest(side);
    this.#later(exponential(this.#prng, this.#tickUs / 2), () => this.#cut(side, rest));
    const us = logUniform(this.#prng, 200_000, 1_000_000);
    this.#crowd(us, [...side, target]);
    this.#later(us, () => this.#heal());
  }

  /**
   * Proposals that only a leader and perhaps a companion ever see, until the others have a snapshot in their place.
   * Then the leader is asked to lead again while its companion stands still: what that one said long ago may come back.
   */
  strand(): void {
    const found = this.#leaderAndOthers();
    if (found === null) return;
    const { leader, others } = found;
    const companion =
      others.length >= 3 && this.#prng.nextChance(0.5) ? this.#prng.pick(others) : null;
    const side = companion === null ? [leader] : [leader, companion];
    const rest = this.#rest(side);
    this.#cut(side, rest);
    const count = this.#prng.nextBetween(5, 80);
    for (let i = 0; i < count; i++) {
      this.#later(this.#prng.nextFloat() * 60_000, () => this.#write(leader));
    }
    this.#crowd(STRANDED_MAX_US, side);
    const start = leader.core?.commitIndex ?? 0;
    const endsAtUs = this.#cluster.loop.nowUs + STRANDED_MAX_US;
    this.#healBehindSnapshot({ leader, companion, rest, start, endsAtUs });
  }

  /** Slow clocks: a leader and its companion that hear of nobody else do not miss the others for a long time. */
  standStill(): void {
    const found = this.#leaderAndOthers();
    if (found === null || found.leader.isPaused) return;
    const { leader, others } = found;
    const hasCompanion = others.length >= 3 && this.#prng.nextChance(0.8);
    const side = hasCompanion ? [leader, this.#prng.pick(others)] : [leader];
    this.#cut(side, this.#rest(side));
    for (const { clock } of side) clock.setRate(logUniform(this.#prng, 0.1, 0.4));
    const timeoutUs = this.#cluster.plan.electionTicks * this.#tickUs;
    const us = timeoutUs * (2 + 2 * this.#prng.nextFloat());
    if (this.#prng.nextChance(0.3)) {
      leader.pause();
      this.#later(us / 2, () => leader.resume());
    }
    this.#crowd(us, this.#prng.nextChance(0.5) ? side.slice(-1) : side);
    this.#later(us, () => {
      if (this.isStopped) return;
      for (const { clock } of side) clock.setRate(1);
      this.#heal();
    });
  }

  // -- parts ---------------------------------------------------------------------------------------------------

  #leaderAndOthers(): { readonly leader: Machine; readonly others: readonly Machine[] } | null {
    const { leader, machines } = this.#cluster;
    const status = leader?.core?.status();
    if (leader === null || status === undefined) return null;
    const { voters } = status.membership.membership;
    const others = machines.filter(
      (machine) => machine !== leader && machine.isUp && voters.includes(machine.nodeId),
    );
    return others.length === 0 ? null : { leader, others };
  }

  #rest(side: readonly Machine[]): Machine[] {
    return this.#cluster.machines.filter((machine) => !side.includes(machine));
  }

  #cut(side: readonly Machine[], rest: readonly Machine[]): void {
    if (this.isStopped) return;
    const { network } = this.#cluster;
    for (const a of side) {
      for (const b of rest) {
        network.cut(a.nodeId, b.nodeId);
        network.cut(b.nodeId, a.nodeId);
      }
    }
  }

  #heal(): void {
    if (!this.isStopped) this.#cluster.network.heal();
  }

  #healBehindSnapshot(stranded: Stranded): void {
    const { leader, companion, rest, start, endsAtUs } = stranded;
    if (this.isStopped) return;
    const last = leader.core?.lastIndex ?? 0;
    const isPassed = rest.some(({ core, process }) => {
      const index = process?.snapshots?.latest?.index ?? 0;
      return core?.isLeader === true && index > start && index <= last;
    });
    const { nowUs } = this.#cluster.loop;
    if (!isPassed && nowUs < endsAtUs) {
      return this.#later(LOOK_EVERY_US, () => this.#healBehindSnapshot(stranded));
    }
    if (companion?.isUp === true && !companion.isPaused) {
      companion.pause();
      this.#later(2 * RETURN_US, () => companion.resume());
    }
    this.#heal();
    this.#giveBack(leader, nowUs + RETURN_US);
  }

  /** Hands the lead to this one, until it has it. */
  #giveBack(machine: Machine, endsAtUs: number): void {
    const { leader, loop } = this.#cluster;
    if (this.isStopped || loop.nowUs >= endsAtUs) return;
    const replica = leader?.process?.replica;
    if (leader !== null && leader !== machine && replica != null) {
      this.#onProcess(leader, () => replica.transfer(machine.nodeId));
    }
    this.#later(2 * this.#tickUs, () => this.#giveBack(machine, endsAtUs));
  }

  /** Writes through whoever leads, reads on those who may not know of it. */
  #crowd(us: number, asked: readonly Machine[]): void {
    const { loop } = this.#cluster;
    const endsAtUs = loop.nowUs + us;
    const next = (): void => {
      if (this.isStopped || loop.nowUs >= endsAtUs) return;
      const { leader } = this.#cluster;
      if (leader !== null) this.#write(leader);
      for (const machine of asked) this.#read(machine);
      this.#later(exponential(this.#prng, CROWD_EVERY_US), next);
    };
    next();
  }

  #write(machine: Machine): void {
    if (this.isStopped) return;
    const { clients, history, loop, plan } = this.#cluster;
    const key = this.#prng.nextInt(plan.keys);
    const value = clients.newValue();
    const command = { operation: OPERATION.write, key, value, session: 0, sequence: 0 };
    const invoked = history.beginWrite(command, loop.nowUs);
    clients.writeAt(machine, command, (outcome) => {
      if (outcome.kind === "done") history.endWrite(invoked, outcome.index, loop.nowUs);
      else if (outcome.kind === "refused") history.refuseWrite(invoked);
    });
  }

  #read(machine: Machine): void {
    const { clients, history, loop, plan } = this.#cluster;
    const key = this.#prng.nextInt(plan.keys);
    clients.readAt(machine, history.beginRead(OPERATION.write, key, loop.nowUs), () => {});
  }

  #later(inUs: number, task: () => void): void {
    const { loop } = this.#cluster;
    loop.at(loop.nowUs + inUs, FAULT, task);
  }

  #onProcess(machine: Machine, task: () => void): void {
    const { loop } = this.#cluster;
    const life = machine.process?.life ?? null;
    loop.at(loop.nowUs, { kind: EVENT.control, place: machine.place, life }, task);
  }
}
