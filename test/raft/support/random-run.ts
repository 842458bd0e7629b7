/**
 * One seeded run: faults and operations at random, then a healed cluster that has to come to rest with one leader and
 * equal states. The seed is everything: a failing one fails again.
 *
 *   const counts = randomRun(seed, { steps: 400 });
 */

import assert from "node:assert/strict";
import { Prng } from "../../../src/base/index.ts";
import { CHANGE, type MembershipChange, type NodeId } from "../../../src/raft/index.ts";
import { Cluster } from "./cluster.ts";
import type { Node } from "./node.ts";

const FAULTS = [
  "drop",
  "duplicate",
  "reorder",
  "crash",
  "damage",
  "snapshot",
  "change",
  "transfer",
  "cut",
  "cold",
  "slow",
  "lag",
] as const;

export interface RunSettings {
  readonly steps: number;
}

/** What happened, by name: a run of many seeds in which something never did proves less than it seems. */
export type RunCounts = Record<string, number>;

export function randomRun(seed: number, { steps }: RunSettings): RunCounts {
  return new RandomRun(seed).run(steps);
}

class RandomRun {
  readonly prng: Prng;
  readonly cluster: Cluster;
  readonly counts: RunCounts = {};
  readonly #faults: ReadonlySet<string>;
  #texts = 0;
  #hasDamage = false;

  constructor(seed: number) {
    this.prng = new Prng(seed, 7);
    // Swarm: which faults exist differs from seed to seed.
    this.#faults = new Set(FAULTS.filter(() => this.prng.nextChance(0.6)));
    const voters = this.prng.pick([1, 2, 3, 3, 3, 4, 5]);
    const strangers = this.#faults.has("change") ? this.prng.nextInt(3) : 0;
    // Short timeouts: many elections in few steps.
    const options = { electionTicks: 4, heartbeatTicks: 1 };
    this.cluster = new Cluster({ voters, strangers, seed, options });
    if (this.prng.nextChance(0.8)) this.cluster.elect("a");
  }

  run(steps: number): RunCounts {
    for (let i = 0; i < steps; i++) {
      this.step();
      if (i % 50 === 0) this.#checkLogs();
    }
    this.#heal();
    return this.counts;
  }

  step(): void {
    const { prng } = this;
    const roll = prng.nextInt(100);
    if (roll < 55) return this.#deliver();
    if (roll < 70) return this.#sync();
    if (roll < 83) return this.#tick();
    if (roll < 90) return this.#propose();
    if (roll < 95) return this.#read();
    return this.#fault();
  }

  #count(name: string): void {
    this.counts[name] = (this.counts[name] ?? 0) + 1;
  }

  #node(): Node | null {
    const nodes = this.cluster.upNodes;
    return nodes.length === 0 ? null : this.prng.pick(nodes);
  }

  #deliver(): void {
    const { network } = this.cluster;
    if (network.length === 0) return;
    const { prng } = this;
    const position =
      this.#faults.has("reorder") && prng.nextChance(0.3) ? prng.nextInt(network.length) : 0;
    if (this.#faults.has("drop") && prng.nextChance(0.1)) {
      network.splice(position, 1);
      return this.#count("dropped");
    }
    if (this.#faults.has("duplicate") && prng.nextChance(0.1)) {
      const message = network[position];
      if (message !== undefined) network.push(message);
      this.#count("duplicated");
    }
    this.cluster.deliver(position);
  }

  #sync(): void {
    const node = this.#node();
    if (node === null) return;
    if (this.#faults.has("slow") && this.prng.nextChance(0.7)) return;
    this.cluster.sync(node.id, this.prng.nextChance(0.5) ? 1 : 100);
    if (node.isUp && this.prng.nextChance(0.5)) this.cluster.load(node.id);
  }

  #tick(): void {
    const { prng } = this;
    const node = this.#node();
    if (node === null) return;
    const count = this.#faults.has("lag") && prng.nextChance(0.1) ? 8 : 1;
    const before = node.core.state.role;
    this.cluster.tick(node.id, count);
    if (node.core.state.role !== before) this.#count(`${before} to ${node.core.state.role}`);
  }

  #propose(): void {
    const node = this.prng.nextChance(0.9) ? this.cluster.leader : this.#node();
    if (node === null) return;
    this.cluster.nowMs += this.prng.nextInt(20) - 5;
    const texts = Array.from({ length: 1 + this.prng.nextInt(4) }, () => `v${this.#texts++}`);
    const outcome = this.cluster.propose(node.id, ...texts);
    this.#count(outcome.ok ? "proposed" : outcome.refusal);
  }

  #read(): void {
    const node = this.#node();
    if (node === null) return;
    this.cluster.read(node.id);
    this.#count("reads");
  }

  #fault(): void {
    const { cluster, prng } = this;
    const fault = prng.pick([...this.#faults, "restart"]);
    const node = this.#node();
    if (fault === "restart") {
      const down = [...cluster.nodes.values()].filter(({ isUp }) => !isUp);
      if (down.length > 0) cluster.restart(prng.pick(down).id);
      return;
    }
    if (node === null) return;
    if (fault === "crash" && prng.nextChance(0.3)) return this.#crash(node);
    if (fault === "snapshot" && prng.nextChance(0.5)) {
      if (cluster.snapshot(node.id) !== null) this.#count("snapshots");
    }
    if (fault === "change") this.#change();
    if (fault === "transfer") this.#transfer();
    if (fault === "cut") this.#cut(node.id);
    if (fault === "cold") node.disk.isCold = true;
  }

  #crash(node: Node): void {
    const { cluster, prng } = this;
    cluster.crash(node.id);
    // The state may have been behind what was applied.
    const { app, disk } = node;
    if (prng.nextChance(0.5)) {
      const floor = Math.max(disk.firstIndex - 1, disk.snapshot?.index ?? 0);
      const kept = floor + prng.nextInt(Math.max(1, app.index - floor + 1));
      if (kept < app.index) {
        app.index = kept;
        app.digests.length = kept;
      }
    }
    this.#count("crashes");
    if (this.#faults.has("damage") && prng.nextChance(0.5)) this.#damage(node);
  }

  /**
   * Takes entries that the member may have acknowledged. Once per run and with enough voters: what more than a minority
   * has lost is lost.
   */
  #damage({ disk, app }: Node): void {
    const { cluster, prng } = this;
    const canLose = cluster.nodes.size >= 3 && !this.#faults.has("change");
    if (this.#hasDamage || !canLose || disk.entries.length === 0) return;
    this.#hasDamage = true;
    disk.entries.length = prng.nextInt(disk.entries.length);
    disk.hardState = { ...disk.hardState, abstains: true };
    app.index = Math.min(app.index, disk.lastIndex);
    app.digests.length = app.index;
    this.#count("damaged");
  }

  #change(): void {
    const { cluster, prng } = this;
    const { leader } = cluster;
    if (leader === null) return;
    const changes = Array.from({ length: 1 + prng.nextInt(2) }, () => {
      const kind = prng.pick(Object.values(CHANGE)) as MembershipChange["kind"];
      return [kind, prng.pick([...cluster.nodes.keys()])] as [MembershipChange["kind"], NodeId];
    });
    const outcome = cluster.change(leader.id, ...changes);
    this.#count(outcome.ok ? "changes" : `change ${outcome.refusal}`);
  }

  #transfer(): void {
    const { leader } = this.cluster;
    if (leader === null) return;
    const to = this.prng.pick([...this.cluster.nodes.keys()]);
    const reason = this.cluster.input(leader.id, (core) => core.transfer(to));
    if (reason === null) this.#count("transfers");
  }

  #cut(id: NodeId): void {
    const { cluster, prng } = this;
    if (prng.nextChance(0.6)) return cluster.heal();
    cluster.cut(id, prng.pick([...cluster.nodes.keys()]), prng.nextChance(0.4));
    this.#count("cuts");
  }

  #checkLogs(): void {
    const { cluster } = this;
    cluster.checks.logsMatch([...cluster.nodes.values()].map(({ disk }) => disk));
  }

  /** Liveness: what is left of the cluster elects, commits and converges. */
  #heal(): void {
    const { cluster } = this;
    cluster.heal();
    for (const node of cluster.nodes.values()) if (!node.isUp) cluster.restart(node.id);
    cluster.settle();
    for (let i = 0; i < 300 && !this.#isAtRest(); i++) cluster.run(1);
    this.#checkLogs();
    const { leader } = cluster;
    assert.ok(leader !== null, "no leader after healing");
    const outcome = cluster.propose(leader.id, "last");
    assert.ok(outcome.ok, "a healed cluster takes a proposal");
    cluster.run(30);
    this.#countOutcome();
    const { membership } = leader.core.status().membership;
    for (const { id } of membership.members) {
      const { core, app, reads } = cluster.node(id);
      assert.equal(core.leader, leader.id, `${id} follows`);
      assert.equal(core.status().abstains, false, `${id} votes again`);
      assert.equal(app.index, leader.app.index, `${id} has applied everything`);
      assert.deepEqual(app.digests, leader.app.digests, `${id} has the same state`);
      assert.equal(reads.size, 0, `${id} has open reads`);
    }
  }

  #countOutcome(): void {
    const { nodes, checks } = this.cluster;
    for (const { disk, granted } of nodes.values()) {
      this.counts["reads granted"] = (this.counts["reads granted"] ?? 0) + granted.length;
      this.counts["snapshots installed"] =
        (this.counts["snapshots installed"] ?? 0) + disk.installs;
      this.counts.truncations = (this.counts.truncations ?? 0) + disk.truncations;
    }
    this.counts.leaders = (this.counts.leaders ?? 0) + checks.leaders.size;
  }

  #isAtRest(): boolean {
    const { leader } = this.cluster;
    if (leader === null) return false;
    const status = leader.core.status();
    const { membership } = status.membership;
    if (status.transferTo !== "" || status.commitIndex < status.lastIndex) return false;
    if (membership.votersOutgoing.length > 0) return false;
    return membership.members.every(({ id }) => {
      const { core } = this.cluster.node(id);
      return core.leader === leader.id && core.commitIndex === status.commitIndex;
    });
  }
}
