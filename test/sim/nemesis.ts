/** Breaks things, and changes who the members are, at times drawn from one stream. */

import {
  CHANGE,
  type Member,
  type Membership,
  type MembershipChange,
  type NodeId,
} from "../../src/raft/index.ts";
import type { Prng } from "../../src/base/index.ts";
import { type Cluster, TICK_MS } from "./cluster.ts";
import { EVENT } from "./event-loop.ts";
import { LeaderTrouble } from "./leader-trouble.ts";
import { LOG_DIRECTORY, type Machine } from "./machine.ts";
import { type FaultClass, TERM_FAULTS } from "./plan.ts";
import { exponential, logUniform, sample } from "./random.ts";

const FAULT = { kind: EVENT.fault, place: -1, life: null } as const;
const DAY_MS = 86_400_000;
/** What #drawChanges chooses from. */
const CHANGE_KINDS = 7;
const RESTART_MEAN_US = 300_000;
/** Log bytes behind the header in which damage is looked for. */
const SECTOR_BYTES = 512;

export class Nemesis {
  #isStopped = false;
  readonly #trouble: LeaderTrouble;
  readonly #cluster: Cluster;
  readonly #prng: Prng;
  readonly #actions: readonly (() => void)[];

  constructor(cluster: Cluster) {
    this.#cluster = cluster;
    this.#prng = cluster.streams.stream("faults");
    const trouble = new LeaderTrouble(cluster, TICK_MS);
    this.#trouble = trouble;
    const all: Record<Exclude<FaultClass, "loss" | "snapshot" | "echo">, () => void> = {
      crash: () => this.#crash(),
      power: () => this.#cutPower(),
      pause: () => this.#pause(logUniform(this.#prng, 50_000, 4_000_000), "pause"),
      diskLoss: () => this.#loseDisk(),
      partition: () => this.#partition(),
      oneWay: () => this.#cutOneWay(),
      clog: () => this.#clog(),
      disconnect: () => this.#disconnect(),
      slowDisk: () => this.#slowDisk(),
      stalledDisk: () => this.#stallDisk(),
      diskError: () => this.#failDisk(),
      diskFull: () => this.#fillDisk(),
      bitFlip: () => this.#damage(),
      clock: () => this.#clock(),
      stall: () => this.#pause(logUniform(this.#prng, 5_000, 300_000), "stall"),
      membership: () => this.#changeMembers(),
      transfer: () => this.#transfer(),
      handOver: () => trouble.handOver(),
      strand: () => trouble.strand(),
      standStill: () => trouble.standStill(),
    };
    // What a profile is about comes as often as all the rest together, about.
    const often: readonly string[] = TERM_FAULTS;
    this.#actions = Object.entries(all)
      .filter(([name]) => cluster.plan.faults.has(name as FaultClass))
      .flatMap(([name, action]) => (often.includes(name) ? [action, action, action] : [action]));
    for (const machine of cluster.machines) machine.onDown = () => this.#restartLater(machine);
  }

  get isStopped(): boolean {
    return this.#isStopped;
  }

  /** Nothing breaks from now on; what is broken stays so. */
  stop(): void {
    this.#isStopped = true;
    this.#trouble.isStopped = true;
  }

  start(): void {
    this.#next();
    const learners = this.#cluster.plan.learners;
    // Learners of the plan join as soon as there is a leader to ask.
    if (learners > 0) this.#later(1_000_000, () => this.#joinLearners());
  }

  #next(): void {
    this.#later(exponential(this.#prng, this.#cluster.plan.faultIntervalUs), () => {
      if (this.isStopped) return;
      if (this.#actions.length > 0) this.#prng.pick(this.#actions)();
      this.#next();
    });
  }

  #later(inUs: number, task: () => void): void {
    const { loop } = this.#cluster;
    loop.at(loop.nowUs + inUs, FAULT, task);
  }

  /** A fault that ends by itself, unless everything was healed before. */
  #during(us: number, begin: () => void, end: () => void): void {
    begin();
    this.#later(us, () => {
      if (!this.isStopped) end();
    });
  }

  #anyone(): Machine {
    return this.#prng.pick(this.#cluster.machines);
  }

  /** The leader more often than its share: most bugs are about it. */
  #victim(): Machine {
    const { leader } = this.#cluster;
    return leader !== null && this.#prng.nextChance(0.4) ? leader : this.#anyone();
  }

  // -- processes -----------------------------------------------------------------------------------------------

  #restartLater(machine: Machine): void {
    if (this.isStopped) return;
    this.#later(exponential(this.#prng, RESTART_MEAN_US), () => {
      if (this.isStopped || machine.isUp) return;
      if (machine.hasRefused) this.#replaceDisk(machine);
      machine.boot();
    });
  }

  #crash(): void {
    const machine = this.#victim();
    if (!machine.isUp) return;
    this.#cluster.coverage.hit("crash");
    machine.crash();
  }

  #cutPower(): void {
    const { machines, coverage } = this.#cluster;
    const victims = this.#prng.nextChance(0.2) ? machines : [this.#victim()];
    for (const machine of victims) {
      if (!machine.isUp) continue;
      coverage.hit("powerLoss");
      machine.losePower();
    }
  }

  #pause(us: number, counter: "pause" | "stall"): void {
    const machine = this.#victim();
    if (!machine.isUp || machine.isPaused) return;
    this.#cluster.coverage.hit(counter);
    machine.pause();
    this.#later(us, () => machine.resume());
  }

  #loseDisk(): void {
    const machine = this.#victim();
    const { invariants, coverage } = this.#cluster;
    const isMember = invariants
      .possibleMemberships()
      .some(({ members }) => members.some(({ id }) => id === machine.nodeId));
    if (!isMember || !this.#canLose(machine)) return;
    coverage.hit("diskLoss");
    this.#replaceDisk(machine);
    this.#restartLater(machine);
    this.#later(1_000_000, () => this.#repairMembers());
  }

  /** The operator puts a member in the place of one that is gone for good. */
  #repairMembers(): void {
    const { leader } = this.#cluster;
    if (this.isStopped) return;
    const gone =
      leader === null
        ? []
        : this.#membershipOf(leader).members.filter(
            ({ id }) => this.#cluster.machineOf(id) === null,
          );
    if (leader !== null && gone.length === 0) return;
    this.#changeMembers();
    this.#later(700_000, () => this.#repairMembers());
  }

  #replaceDisk(machine: Machine): void {
    machine.replaceDisk();
  }

  /** Fault atlas: of every configuration that may count, a quorum keeps what it had. */
  #canLose(machine: Machine): boolean {
    const { machines, invariants } = this.#cluster;
    const intact = machines.filter(
      (other) => other !== machine && !other.isDamaged && !other.hasLostEntries,
    );
    return invariants.isQuorumEverywhere(new Set(intact.map(({ nodeId }) => nodeId)));
  }

  // -- network -------------------------------------------------------------------------------------------------

  #partition(): void {
    const { machines, network, coverage } = this.#cluster;
    const { leader } = this.#cluster;
    // A leader that nobody hears any more, while clients still reach it: where stale reads come from.
    const side =
      leader !== null && this.#prng.nextChance(0.4)
        ? [leader]
        : sample(this.#prng, machines, this.#prng.nextBetween(1, machines.length - 1));
    coverage.hit("partition");
    const begin = (): void => {
      for (const a of side) {
        for (const b of machines) {
          if (side.includes(b)) continue;
          network.cut(a.nodeId, b.nodeId);
          network.cut(b.nodeId, a.nodeId);
        }
      }
    };
    this.#during(logUniform(this.#prng, 100_000, 5_000_000), begin, () => network.heal());
  }

  #cutOneWay(): void {
    const { machines, network, coverage } = this.#cluster;
    const victim = this.#victim();
    const isDeaf = this.#prng.nextChance(0.5);
    const others = machines.filter((other) => other !== victim && this.#prng.nextChance(0.7));
    if (others.length === 0) return;
    coverage.hit("partitionOneWay");
    const begin = (): void => {
      for (const other of others) {
        if (isDeaf) network.cut(other.nodeId, victim.nodeId);
        else network.cut(victim.nodeId, other.nodeId);
      }
    };
    this.#during(logUniform(this.#prng, 100_000, 5_000_000), begin, () => network.heal());
  }

  #clog(): void {
    const { machines, network, coverage } = this.#cluster;
    coverage.hit("linkClogged");
    for (let i = 0; i < 3; i++) {
      const [a, b] = [this.#victim(), this.#prng.pick(machines)];
      if (a !== b) network.clog(a.nodeId, b.nodeId, logUniform(this.#prng, 20_000, 2_000_000));
    }
  }

  #disconnect(): void {
    const [a, b] = [this.#victim(), this.#anyone()];
    if (a !== b) this.#cluster.network.breakBetween(a.nodeId, b.nodeId);
  }

  // -- disks and clocks ----------------------------------------------------------------------------------------

  #slowDisk(): void {
    const { state } = this.#victim().disk;
    this.#cluster.coverage.hit("diskSlow");
    const healthyUs = state.latencyUs;
    this.#during(
      logUniform(this.#prng, 200_000, 4_000_000),
      () => {
        state.latencyUs = logUniform(this.#prng, 1_000, 60_000);
      },
      () => {
        state.latencyUs = Math.min(healthyUs, 150);
      },
    );
  }

  #stallDisk(): void {
    const { loop, coverage } = this.#cluster;
    coverage.hit("diskStalled");
    this.#victim().disk.state.stalledUntilUs =
      loop.nowUs + logUniform(this.#prng, 100_000, 3_000_000);
  }

  #failDisk(): void {
    const machine = this.#victim();
    machine.mayFail = true;
    machine.disk.state.failsNextWrite = true;
  }

  #fillDisk(): void {
    const machine = this.#victim();
    const { disk } = machine;
    machine.mayFail = true;
    this.#during(
      logUniform(this.#prng, 200_000, 3_000_000),
      () => {
        disk.state.capacityBytes = disk.usedBytes + this.#prng.nextInt(4096);
      },
      () => {
        disk.state.capacityBytes = Number.POSITIVE_INFINITY;
      },
    );
  }

  /** Rot in the log of a machine that the others can do without. */
  #damage(): void {
    const machine = this.#anyone();
    if (!this.#canLose(machine)) return;
    const { disk } = machine;
    const files = disk.paths().filter((path) => path.startsWith(LOG_DIRECTORY));
    if (files.length === 0) return;
    const path = this.#prng.pick(files);
    const position = this.#writtenPosition(machine, path);
    if (position < 0) return;
    this.#cluster.coverage.hit("bitFlip");
    machine.noteDamage();
    const sector = Math.floor(position / SECTOR_BYTES);
    // A zeroed sector in the last group looks like a write that a kill cut short: no log can tell (src/log/DESIGN.md).
    const mayZero = !disk.isLastWritten(path, sector);
    if (this.#prng.nextChance(0.3) && mayZero) disk.zeroSector(path, sector);
    else disk.flipBit(path, position, this.#prng.nextInt(8));
  }

  /** A byte that was written, among a few draws; most of a segment is zeros that nobody would miss. */
  #writtenPosition({ disk }: Machine, path: string): number {
    const sizeBytes = disk.fileBytes(path);
    for (let limit = sizeBytes; limit > 64; limit = Math.floor(limit / 2)) {
      const position = this.#prng.nextInt(limit);
      if (disk.byteAt(path, position) !== 0) return position;
    }
    return -1;
  }

  #clock(): void {
    const { clock } = this.#victim();
    if (this.#prng.nextChance(0.5)) {
      this.#cluster.coverage.hit("clockRate");
      clock.setRate(logUniform(this.#prng, 0.1, 10));
    } else {
      this.#cluster.coverage.hit("clockJump");
      clock.jump(Math.round((this.#prng.nextFloat() * 2 - 1) * DAY_MS));
    }
  }

  // -- operators -----------------------------------------------------------------------------------------------

  #transfer(): void {
    const { leader, coverage, loop } = this.#cluster;
    const replica = leader?.process?.replica;
    if (leader === null || replica == null) return;
    const { voters } = this.#membershipOf(leader);
    const to = this.#prng.pick(voters);
    coverage.hit("transferAsked");
    this.#onProcess(leader, () => {
      if (replica.transfer(to) !== null) return;
      const fromTerm = leader.core?.term ?? 0;
      loop.at(loop.nowUs + 1_000_000, FAULT, () => {
        const target = this.#cluster.machineOf(to)?.core;
        if (target?.isLeader === true && target.term > fromTerm) coverage.hit("transferDone");
      });
    });
  }

  #membershipOf(leader: Machine): Membership {
    const status = leader.core?.status();
    if (status === undefined) throw new Error("A leader has a core");
    return status.membership.membership;
  }

  #joinLearners(): void {
    const { plan, machines, leader } = this.#cluster;
    if (this.isStopped) return;
    const learners = machines.slice(plan.voters, plan.voters + plan.learners);
    const members = leader === null ? [] : this.#membershipOf(leader).members;
    const missing = learners.find(({ nodeId }) => !members.some(({ id }) => id === nodeId));
    if (missing === undefined) return;
    if (leader !== null) this.#ask(leader, [{ kind: CHANGE.addLearner, member: missing.member }]);
    this.#later(500_000, () => this.#joinLearners());
  }

  #changeMembers(): void {
    const { leader } = this.#cluster;
    if (leader === null) return;
    const changes = this.#drawChanges(leader);
    if (changes.length > 0) this.#ask(leader, changes);
  }

  #drawChanges(leader: Machine): MembershipChange[] {
    const { machines } = this.#cluster;
    const { members, voters, learners } = this.#membershipOf(leader);
    const isKnown = (id: NodeId): boolean => members.some((member) => member.id === id);
    const outside = machines.filter(({ nodeId }) => !isKnown(nodeId)).map(({ member }) => member);
    const gone = members.filter(({ id }) => this.#cluster.machineOf(id) === null);
    const byId = (id: NodeId): Member => members.find((member) => member.id === id) as Member;
    const removed = gone[0] ?? byId(this.#prng.pick(voters));
    const joining = outside.length > 0 ? this.#prng.pick(outside) : null;
    // A member that is gone for good is put right first.
    const choice =
      gone.length > 0 && this.#prng.nextChance(0.6)
        ? this.#prng.nextBetween(4, 5)
        : this.#prng.nextInt(CHANGE_KINDS);
    switch (choice) {
      case 0:
        return joining === null ? [] : [{ kind: CHANGE.addLearner, member: joining }];
      case 1:
        return learners.length === 0
          ? []
          : [{ kind: CHANGE.addVoter, member: byId(this.#prng.pick(learners)) }];
      case 2:
        return [{ kind: CHANGE.demote, member: byId(this.#prng.pick(voters)) }];
      case 3:
        return learners.length === 0
          ? []
          : [{ kind: CHANGE.remove, member: byId(this.#prng.pick(learners)) }];
      case 4:
        return [{ kind: CHANGE.remove, member: removed }];
      case 6:
        return this.#drawMoves(members);
      default:
        return learners.length === 0
          ? []
          : [
              { kind: CHANGE.addVoter, member: byId(this.#prng.pick(learners)) },
              { kind: CHANGE.remove, member: removed },
            ];
    }
  }

  /** Members that are found elsewhere from now on: one, or several in one entry, as after a start of all of them. */
  #drawMoves(members: readonly Member[]): MembershipChange[] {
    const moved = sample(this.#prng, members, this.#prng.nextBetween(1, members.length));
    return moved.map(({ id, serverId }) => {
      const address = `${serverId}:${this.#prng.nextBetween(1_024, 65_535)}`;
      return { kind: CHANGE.readdress, member: { id, serverId, address } };
    });
  }

  #ask(leader: Machine, changes: readonly MembershipChange[]): void {
    const replica = leader.process?.replica;
    if (replica == null) return;
    const { coverage } = this.#cluster;
    this.#onProcess(leader, () => {
      replica.changeMembership(changes, (result) => {
        if (!result.ok) return;
        for (const { kind, member } of changes) {
          if (kind === CHANGE.addLearner) coverage.hit("addLearner");
          if (kind === CHANGE.addVoter) coverage.hit("promote");
          if (kind === CHANGE.demote) coverage.hit("demote");
          if (kind === CHANGE.readdress) coverage.hit("readdress");
          if (kind === CHANGE.remove) coverage.hit("remove");
          if (kind === CHANGE.remove && member.id === leader.nodeId) coverage.hit("leaderRemoved");
        }
      });
    });
  }

  /** A process that stands still meets it when it goes on; behind the stop it is wanted no more. */
  #onProcess(machine: Machine, task: () => void): void {
    const { loop } = this.#cluster;
    const life = machine.process?.life ?? null;
    loop.at(loop.nowUs, { kind: EVENT.control, place: machine.place, life }, () => {
      if (!this.#isStopped) task();
    });
  }
}
