/**
 * How a node without state comes to belong to a cluster (spec raft-and-cluster, 7 and 8; DESIGN.md of src/cluster).
 *
 * ```
 *   resolve peers --> ask all of them who they are
 *        ^                  |
 *        |                  +-- one has a cluster ------> wait to be added, or ask to be taken in (auto-join)
 *        |                  +-- one does not answer ----> try again, 20 times
 *        +-- back-off <-----+-- all are there, none has state: the last by server id founds, the others wait for it
 * ```
 *
 * Whatever happens meanwhile, a notice of a founder or of a leader (`PEER_CALL.found`) ends it: then `membership` has a
 * cluster id. Nobody founds unless every expected node has said in this very attempt that it has no state, so that a
 * node with an emptied disk cannot begin a second cluster beside the first.
 */

import type { HearthError, Scheduler } from "../../base/index.ts";
import type { Member, NodeId } from "../../raft/index.ts";
import { PEER_CALL, type PeerNetwork } from "../types.ts";
import {
  decodeProbeAnswer,
  encodeJson,
  type FoundNotice,
  type JoinWish,
  type ProbeAnswer,
} from "./calls.ts";
import type { BootstrapPeer, ResolvedPeers } from "../discovery/resolve-peers.ts";

export interface FormationOptions {
  readonly self: Member;
  /** Nodes that found the cluster, this one included; 0: never, it waits to be added. */
  readonly expectPeers: number;
  /** Asks to be taken in, and never founds. */
  readonly isAutoJoin: boolean;
  readonly attemptsMax: number;
  readonly delayMinMs: number;
  readonly delayMaxMs: number;
  /** Of one request to one peer. */
  readonly requestTimeoutMs: number;
}

export const FORMATION_DEFAULTS = {
  // Spec 7.
  attemptsMax: 20,
  delayMinMs: 1_000,
  delayMaxMs: 10_000,
  // Founding waits for the slowest of all peers, and a dead address must not cost more than a back-off.
  requestTimeoutMs: 2_000,
} as const;

/** The identity on the disk of this node, as far as formation needs it. */
export interface ClusterBond {
  /** Empty: none yet. */
  readonly clusterId: string;
  /** Persists, then answers; from here on the node belongs to the cluster. */
  join(notice: Pick<FoundNotice, "clusterId" | "founders">): void;
  /** Resolves when there is a cluster id. */
  readonly joined: Promise<void>;
}

export interface FormationModules {
  readonly network: Pick<PeerNetwork, "request">;
  readonly bond: ClusterBond;
  readonly resolve: () => Promise<ResolvedPeers>;
  readonly scheduler: Scheduler;
  /** In [0, 1). */
  readonly random: () => number;
  readonly newClusterId: () => string;
  /** What is going on, for /ready; completes "not ready: ...". */
  readonly onProgress: (text: string) => void;
}

/** A peer and what it said. */
interface Asked {
  readonly peer: BootstrapPeer;
  readonly answer: ProbeAnswer | null;
  /** Why it cannot take part; null: it can. */
  readonly problem: string | null;
}

/** One look at everybody. */
interface Look {
  readonly asked: readonly Asked[];
  /** What is wrong with the names; null: nothing. */
  readonly problem: HearthError | null;
}

/** Waiting for others is looked at this often: they act within a second or two. */
const WAIT_MS = 1_000;
/** Looks after which a peer that has a cluster is not one that has just founded it. */
const FOUNDER_LOOKS_MAX = 5;

export class Formation {
  readonly #options: FormationOptions;
  readonly #modules: FormationModules;
  #hasStopped = false;
  /** Looks in a row that found a peer with a cluster. */
  #ownerLooks = 0;
  #wake: () => void = () => {};

  constructor(options: FormationOptions, modules: FormationModules) {
    this.#options = options;
    this.#modules = modules;
  }

  /**
   * Resolves when this node belongs to a cluster, or with what kept it from that after the last attempt; null when it
   * succeeded or was stopped.
   */
  async run(): Promise<string | null> {
    const { bond } = this.#modules;
    void bond.joined.then(() => this.#wake());
    if (this.#isAlone()) this.#found([]);
    let failures = 0;
    while (bond.clusterId === "" && !this.#hasStopped) {
      const look = await this.#look();
      // Written wrongly: another try finds the same.
      if (look.problem?.code === "invalid_argument") return look.problem.message;
      if (bond.clusterId !== "" || this.#hasStopped) break;
      const outcome = await this.#act(look);
      if (outcome.kind === "done") break;
      failures = outcome.kind === "failed" ? failures + 1 : 0;
      const { attemptsMax } = this.#options;
      if (failures >= attemptsMax) return outcome.text;
      const delayMs = outcome.kind === "failed" ? this.#delayMs(failures) : WAIT_MS;
      const tries = `try ${failures} of ${attemptsMax}, next in ${Math.ceil(delayMs / 1_000)} s`;
      this.#modules.onProgress(
        outcome.kind === "failed" ? `${outcome.text}, ${tries}` : outcome.text,
      );
      await this.#pause(delayMs);
    }
    return null;
  }

  stop(): void {
    this.#hasStopped = true;
    this.#wake();
  }

  /** A lone node asks nobody. */
  #isAlone(): boolean {
    return this.#options.expectPeers === 1 && !this.#options.isAutoJoin;
  }

  async #act(look: Look): Promise<Outcome> {
    const { expectPeers, isAutoJoin } = this.#options;
    const owner = look.asked.find(({ answer }) => (answer?.clusterId ?? "") !== "");
    if (isAutoJoin) return this.#join(look, owner);
    if (owner !== undefined) return waiting(this.#waitingFor(owner));
    this.#ownerLooks = 0;
    if (expectPeers === 0)
      return waiting(`waiting to be added: ${this.#addCommand()} on a member of the cluster`);
    const problem = this.#whyNotComplete(look);
    if (problem !== null) return { kind: "failed", text: problem };
    const founders = foundersOf(look, this.#options.self);
    const last = founders.at(-1) as Member;
    if (last.id !== this.#options.self.id)
      return waiting(`waiting for ${last.serverId} to found the cluster`);
    this.#found(founders);
    return { kind: "done" };
  }

  /** Ask everybody, at once. */
  async #look(): Promise<Look> {
    const { peers, problem } = await this.#modules.resolve();
    const { self } = this.#options;
    const others = peers.filter(
      ({ address, serverId }) =>
        !isSameName(address, self.address) && !isSameName(serverId, self.serverId),
    );
    const asked = await Promise.all(others.map((peer) => this.#probe(peer)));
    // A name may lead back here.
    return { asked: asked.filter(({ answer }) => answer?.nodeId !== self.id), problem };
  }

  async #probe(peer: BootstrapPeer): Promise<Asked> {
    const { network } = this.#modules;
    const { requestTimeoutMs } = this.#options;
    const result = await network.request(
      { address: peer.address },
      PEER_CALL.probe,
      encodeJson({}),
      { timeoutMs: requestTimeoutMs },
    );
    if (!result.ok) return { peer, answer: null, problem: result.error.message };
    try {
      const answer = decodeProbeAnswer(result.body);
      const isOther = isNamed(peer) && !isSameName(peer.serverId, answer.serverId);
      const problem = isOther
        ? `${peer.address} calls itself ${answer.serverId}: name it ${peer.address}/${answer.serverId}`
        : null;
      return { peer, answer, problem };
    } catch (error) {
      return { peer, answer: null, problem: (error as Error).message };
    }
  }

  #whyNotComplete({ asked, problem: names }: Look): string | null {
    const { expectPeers, self } = this.#options;
    const good = asked.filter(({ problem }) => problem === null);
    const nodes = foundersOf({ asked: good, problem: null }, self);
    const present = new Set(nodes.map(({ serverId }) => serverId));
    // How many names there are does not matter: one node may have several. How many nodes answer does.
    const areNamesGood = names === null || names.reason === "peers_unexpected";
    const isComplete =
      present.size === expectPeers &&
      nodes.length === expectPeers &&
      good.length === asked.length &&
      areNamesGood;
    if (isComplete) return null;
    const found = `found ${present.size} of ${expectPeers} (${[...present].sort().join(", ")})`;
    const bad = asked.flatMap(({ problem }) => (problem === null ? [] : [problem]));
    const why = names === null || bad.length > 0 ? bad : [names.message];
    return `waiting for peers: ${found}${why.length === 0 ? "" : `: ${why.join("; ")}`}`;
  }

  #found(founders: readonly Member[]): void {
    const { bond, newClusterId } = this.#modules;
    const members = founders.length === 0 ? [this.#options.self] : founders;
    bond.join({ clusterId: newClusterId(), founders: members });
  }

  #waitingFor({ answer, peer }: Asked): string {
    const { self } = this.#options;
    const name = answer?.serverId ?? peer.address;
    this.#ownerLooks += 1;
    // One that has just founded tells the others in the next moment.
    if (this.#ownerLooks <= FOUNDER_LOOKS_MAX)
      return `waiting for ${name} to say whether its cluster ${answer?.clusterId ?? "?"} includes this node`;
    return (
      `waiting to be added: ${name} belongs to cluster ${answer?.clusterId ?? "?"} already, and this node has no state; ` +
      `if ${self.serverId} was a member and lost its disk: hearth member remove ${self.serverId}, then ${this.#addCommand()}`
    );
  }

  #addCommand(): string {
    const { serverId, address } = this.#options.self;
    return `hearth member add ${serverId}=${address}`;
  }

  async #join(look: Look, owner: Asked | undefined): Promise<Outcome> {
    const count = look.asked.length;
    if (owner?.answer == null) {
      const why = look.asked.flatMap(({ problem }) => problem ?? []);
      if (count === 0 && look.problem !== null) why.push(look.problem.message);
      const silent = why.length === 0 ? "none belongs to a cluster yet" : why.join("; ");
      return waiting(`joining: asked ${count} peers: ${silent}`);
    }
    const { answer, peer } = owner;
    const address = answer.leaderAddress === "" ? peer.address : answer.leaderAddress;
    const { self, requestTimeoutMs } = this.#options;
    const wish: JoinWish = { serverId: self.serverId, nodeId: self.id, address: self.address };
    const result = await this.#modules.network.request(
      { address },
      PEER_CALL.join,
      encodeJson(wish),
      // The leader asks back who this is, and commits an entry.
      { timeoutMs: 5 * requestTimeoutMs },
    );
    if (this.#modules.bond.clusterId !== "") return { kind: "done" };
    const said = result.ok ? "taken in, waiting for the leader" : result.error.message;
    return waiting(`joining cluster ${answer.clusterId}: ${said}`);
  }

  /** Grows from delayMinMs to delayMaxMs, randomised so that nodes which start together do not try together. */
  #delayMs(failures: number): number {
    const { delayMinMs, delayMaxMs } = this.#options;
    const topMs = Math.min(delayMaxMs, delayMinMs * 2 ** (failures - 1));
    return Math.round(topMs / 2 + (topMs / 2) * this.#modules.random());
  }

  #pause(delayMs: number): Promise<void> {
    if (this.#hasStopped || this.#modules.bond.clusterId !== "") return Promise.resolve();
    return new Promise((resolve) => {
      const cancel = this.#modules.scheduler.after(delayMs, resolve);
      this.#wake = () => {
        cancel();
        resolve();
      };
    });
  }
}

type Outcome =
  | { readonly kind: "done" }
  | { readonly kind: "waiting"; readonly text: string }
  | { readonly kind: "failed"; readonly text: string };

function waiting(text: string): Outcome {
  return { kind: "waiting", text };
}

/** Ascending by the names that the nodes gave themselves: every one of them sees the same order. */
function foundersOf({ asked }: Look, self: Member): readonly Member[] {
  const byId = new Map([[self.id, self]]);
  for (const { answer, peer } of asked)
    if (answer !== null) byId.set(answer.nodeId, memberAt(peer.address, answer));
  return [...byId.values()].sort((a, b) => (a.serverId < b.serverId ? -1 : 1));
}

/** A node's own word on its address; where it gives none, the one at which it was found. */
function memberAt(
  address: string,
  answer: {
    readonly nodeId: NodeId;
    readonly serverId: string;
    readonly addresses: { readonly peer: string };
  },
): Member {
  const { nodeId, serverId, addresses } = answer;
  return { id: nodeId, serverId, address: addresses.peer === "" ? address : addresses.peer };
}

/** The name was written, not made from the address. */
function isNamed({ address, serverId }: BootstrapPeer): boolean {
  return serverId !== address && serverId !== address.replace(/:\d+$/, "");
}

/** Two spellings of one address or server id: a full name may end with a dot before its port. */
function isSameName(left: string, right: string): boolean {
  return undotted(left) === undotted(right);
}

function undotted(name: string): string {
  return name.replace(/\.(?=:\d+$|$)/, "");
}
