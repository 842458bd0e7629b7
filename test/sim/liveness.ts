/**
 * The second phase (R2): a quorum is healed for good, the rest stays broken in a way drawn from the seed, and within
 * 20 election timeouts the healed members have to work as if nothing had happened.
 */

import type { Prng } from "../../src/base/index.ts";
import type { Membership, NodeId } from "../../src/raft/index.ts";
import { type Cluster, TICK_MS } from "./cluster.ts";
import { OPERATION } from "./commands.ts";
import { EVENT } from "./event-loop.ts";
import { violated } from "./failure.ts";
import type { Machine } from "./machine.ts";
import { hasQuorum } from "./quorums.ts";
import { exponential } from "./random.ts";

export const LIVENESS_TIMEOUTS = 20;
/** Terms that may pass until the healed members have agreed on a leader. */
const TERMS_MAX = 3;
/** Files of a log whose prefix is cut as it should be; a follower may hold a few more than the leader. */
const LOG_BYTES_MAX = 64 * 32 * 1024;
/** A write is tried again this often, us. */
const WRITE_RETRY_US = 150_000;

const CONTROL = { kind: EVENT.control, place: -1, life: null } as const;

export class LivenessPhase {
  readonly #cluster: Cluster;
  readonly #prng: Prng;
  /** The healed quorum. */
  #core: readonly Machine[] = [];
  #termBefore = 0;
  #endsAtUs = 0;
  #hasWritten = false;
  #readsLeft = 0;

  constructor(cluster: Cluster) {
    this.#cluster = cluster;
    this.#prng = cluster.streams.stream("liveness");
  }

  get endsAtUs(): number {
    return this.#endsAtUs;
  }

  /** False when no healthy quorum exists: too many disks are lost or damaged to demand anything. */
  begin(): boolean {
    const { machines, coverage, loop, plan, clients } = this.#cluster;
    const core = this.#drawCore();
    if (core === null) return false;
    this.#core = core;
    clients.isStopped = true;
    this.#healNetwork();
    for (const machine of core) heal(machine);
    for (const machine of machines) if (!core.includes(machine)) this.#breakForGood(machine);
    if (core.length < machines.length) coverage.hit("livenessBrokenRest");
    const timeoutUs = plan.electionTicks * TICK_MS * 1000;
    this.#endsAtUs = loop.nowUs + LIVENESS_TIMEOUTS * timeoutUs;
    // Whoever was broken has had time to notice by then: what happens to terms from here on is up to the healed ones.
    loop.at(loop.nowUs + 4 * timeoutUs, CONTROL, () => {
      this.#termBefore = this.#highestTerm();
      this.#write();
    });
    return true;
  }

  /** At `endsAtUs`. */
  check(): void {
    const { coverage, history } = this.#cluster;
    coverage.hit("livenessChecked");
    const leaders = this.#core.filter(({ core }) => core?.isLeader === true);
    const [leader] = leaders;
    if (leader === undefined || leaders.length > 1) {
      violated("liveness-leader", `${leaders.length} leaders among ${this.#describe()}`);
    }
    const term = leader.core?.term ?? 0;
    if (this.#highestTerm() - this.#termBefore > TERMS_MAX) {
      violated("liveness-terms", `from ${this.#termBefore} to ${this.#highestTerm()}`);
    }
    if (!this.#hasWritten) violated("liveness-write", `no write commits: ${this.#describe()}`);
    if (this.#readsLeft > 0) violated("liveness-read", `${this.#readsLeft} reads are not answered`);
    const members = new Set(
      leader.core?.status().membership.membership.members.map(({ id }) => id),
    );
    const lastIndex = leader.core?.lastIndex ?? 0;
    for (const machine of this.#core) {
      if (!members.has(machine.nodeId)) continue;
      const { core } = machine;
      if (
        core === null ||
        core.term !== term ||
        machine.database.state.position.appliedIndex < lastIndex
      ) {
        violated(
          "liveness-converge",
          `${machine.nodeId} is behind ${leader.nodeId}: ${this.#describe()}`,
        );
      }
      const logBytes = machine.process?.log?.sizeBytes ?? 0;
      if (logBytes > LOG_BYTES_MAX)
        violated("liveness-log", `${machine.nodeId}: ${logBytes} bytes`);
    }
    for (const { command, index } of history.acknowledged) {
      if (index > lastIndex)
        violated("liveness-acknowledged", `value ${command.value} at ${index}`);
    }
  }

  /** A random set of healthy members that decides under every configuration that may be in force. */
  #drawCore(): Machine[] | null {
    const { machines, invariants } = this.#cluster;
    const isHealthy = (machine: Machine): boolean =>
      !machine.isDamaged && !machine.hasRefused && !machine.hasLostEntries;
    let core = machines.filter(isHealthy);
    // A configuration may be in a leader's memory and on no disk yet: it is going to be in force all the same.
    const pending: Membership[] = [];
    for (const { core: raft } of machines) {
      const newest = raft?.isLeader === true ? raft.status().membership : null;
      if (newest !== null && newest.index > (raft?.commitIndex ?? 0))
        pending.push(newest.membership);
    }
    const decides = (set: readonly Machine[]): boolean => {
      const ids = new Set<NodeId>(set.map(({ nodeId }) => nodeId));
      return (
        invariants.isQuorumEverywhere(ids) &&
        pending.every((membership) => hasQuorum(membership, ids))
      );
    };
    if (!decides(core)) return null;
    for (const machine of core) {
      if (!this.#prng.nextChance(0.5)) continue;
      const smaller = core.filter((other) => other !== machine);
      if (decides(smaller)) core = smaller;
    }
    return core;
  }

  #healNetwork(): void {
    const { network } = this.#cluster;
    network.heal();
    network.isFaulty = false;
  }

  #breakForGood(machine: Machine): void {
    const { network } = this.#cluster;
    machine.disk.heal();
    const choice = this.#prng.nextInt(4);
    if (choice === 0) {
      machine.onDown = () => {};
      machine.crash();
      return;
    }
    machine.resume();
    if (!machine.isUp) machine.boot();
    for (const other of this.#cluster.machines) {
      if (other === machine) continue;
      // 1: alone. 2: it hears nothing, but speaks. 3: it hears, but nobody hears it.
      if (choice !== 3) network.cut(other.nodeId, machine.nodeId);
      if (choice !== 2) network.cut(machine.nodeId, other.nodeId);
    }
  }

  #highestTerm(): number {
    return this.#core.reduce((highest, { core, promised }) => {
      // One that is still starting has its term on the disk.
      return Math.max(highest, core?.term ?? promised.durableHardState.term);
    }, 0);
  }

  /** A new write through whoever leads, until one is done; then everything is read everywhere. */
  #write(): void {
    const { clients, loop, history, leader } = this.#cluster;
    if (this.#hasWritten || loop.nowUs >= this.#endsAtUs) return;
    const again = (): void => {
      loop.at(loop.nowUs + WRITE_RETRY_US, CONTROL, () => this.#write());
    };
    if (leader === null || !this.#core.includes(leader)) return again();
    const command = {
      operation: OPERATION.write,
      key: 0,
      value: clients.newValue(),
      session: 0,
      sequence: 0,
    };
    const invoked = history.beginWrite(command, loop.nowUs);
    clients.writeAt(leader, command, (outcome) => {
      if (outcome.kind === "done") {
        history.endWrite(invoked, outcome.index, loop.nowUs);
        if (this.#hasWritten) return;
        this.#hasWritten = true;
        this.#readAll();
        return;
      }
      if (outcome.kind === "refused") history.refuseWrite(invoked);
      again();
    });
  }

  /** The oracle compares each answer with everything that was acknowledged. */
  #readAll(): void {
    const { plan } = this.#cluster;
    const members = new Set(
      this.#cluster.leader?.core?.status().membership.membership.members.map(({ id }) => id),
    );
    for (const machine of this.#core) {
      if (!members.has(machine.nodeId)) continue;
      for (let key = 0; key < plan.keys; key++) {
        for (const operation of [OPERATION.write, OPERATION.append, OPERATION.increment]) {
          this.#readsLeft += 1;
          this.#read(machine, operation, key);
        }
      }
    }
  }

  #read(machine: Machine, operation: number, key: number): void {
    const { clients, history, loop } = this.#cluster;
    clients.readAt(machine, history.beginRead(operation, key, loop.nowUs), (isAnswered) => {
      if (isAnswered) {
        this.#readsLeft -= 1;
        return;
      }
      loop.at(loop.nowUs + exponential(this.#prng, 100_000), CONTROL, () =>
        this.#read(machine, operation, key),
      );
    });
  }

  #describe(): string {
    return this.#core.map((machine) => describe(machine)).join("; ");
  }
}

function heal(machine: Machine): void {
  machine.disk.heal();
  machine.clock.setRate(1);
  machine.mayFail = false;
  machine.resume();
  if (!machine.isUp) machine.boot();
}

/** One member in words: what a person needs to see why nobody leads. */
function describe({ nodeId, core, isUp }: Machine): string {
  if (core === null) return `${nodeId} ${isUp ? "starting" : "down"}`;
  const { role, term, vote, leader, commitIndex, lastIndex, membership, ...rest } = core.status();
  const { voters, votersOutgoing } = membership.membership;
  const configuration = `voters of ${membership.index}: ${voters.join()} / ${votersOutgoing.join()}`;
  const place = `commit ${commitIndex} last ${lastIndex} stalled ${rest.stalledTicks}`;
  const opinion = `vote "${vote}" leader "${leader}"${rest.abstains ? " abstains" : ""}`;
  return `${nodeId} ${role} term ${term} ${opinion} ${place} ${configuration}`;
}
