/**
 * Real server processes that form one cluster on this machine, for tests, the chaos tool and benchmarks.
 *
 *   const cluster = await TestCluster.create({ directory, nodeCount: 3 });
 *   await cluster.start();
 *   const leader = await cluster.waitForLeader();
 *   await leader.kill();
 *   ...
 *   await cluster.stop();
 */

import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { findFreePorts } from "../ports.ts";
import { type NodeStatus, TestNode } from "./test-node.ts";

export interface TestClusterOptions {
  /** Every node has a folder of its own below it. */
  readonly directory: string;
  readonly nodeCount: number;
  /** Further flags of every node. */
  readonly flags?: readonly string[];
  /** See TestNodeOptions. */
  readonly entry?: string | undefined;
  /**
   * What peers dial instead of a node's own peer port: proxies that stand between them. Called once for each node,
   * resolves with the port of its proxy.
   */
  readonly openProxy?: (serverId: string, peerPort: number) => Promise<number>;
}

const START_LIMIT_MS = 120_000;
const LEADER_LIMIT_MS = 120_000;
const POLL_MS = 15;
const PORTS_PER_NODE = 4;

export class TestCluster {
  readonly nodes: TestNode[] = [];
  /** Nodes that were ever part of it: for names that were not used before. */
  nodesMade = 0;
  readonly #options: TestClusterOptions;

  private constructor(options: TestClusterOptions) {
    this.#options = options;
  }

  /** Chooses ports and makes directories; nothing runs yet. */
  static async create(options: TestClusterOptions): Promise<TestCluster> {
    const cluster = new TestCluster(options);
    const members: { readonly serverId: string; readonly advertised: string }[] = [];
    const plans: { readonly node: TestNode; readonly advertised: string }[] = [];
    const ports = await findFreePorts(options.nodeCount * PORTS_PER_NODE);
    for (let i = 0; i < options.nodeCount; i++) {
      const own = ports.slice(i * PORTS_PER_NODE, (i + 1) * PORTS_PER_NODE);
      const plan = await cluster.#plan(`node-${i + 1}`, own);
      plans.push(plan);
      members.push({ serverId: plan.node.serverId, advertised: plan.advertised });
    }
    for (const { node } of plans) {
      if (options.nodeCount > 1) node.flags = [...node.flags, ...bootstrapFlags(members)];
      cluster.nodes.push(node);
    }
    return cluster;
  }

  /** A further node, which is no member yet: it is made to join. Not started. */
  async addNode(serverId: string, flags: readonly string[]): Promise<TestNode> {
    const { node } = await this.#plan(serverId, await findFreePorts(PORTS_PER_NODE));
    node.flags = [...node.flags, ...flags];
    this.nodes.push(node);
    return node;
  }

  /** A node that has left; its process is its owner's business from here on. */
  forget(node: TestNode): void {
    const position = this.nodes.indexOf(node);
    if (position >= 0) this.nodes.splice(position, 1);
  }

  /** Starts every node and waits until all are ready. */
  async start(limitMs = START_LIMIT_MS): Promise<void> {
    for (const node of this.nodes) node.start();
    await Promise.all(this.nodes.map((node) => node.waitUntilReady(limitMs)));
  }

  /** The node that says that it leads, in the highest term of those that say so; null: none. */
  async leader(): Promise<TestNode | null> {
    return (await this.leaderAndTerm())?.node ?? null;
  }

  async leaderAndTerm(): Promise<{ readonly node: TestNode; readonly term: number } | null> {
    let best: { readonly node: TestNode; readonly term: number } | null = null;
    for (const { node, status } of await this.statuses()) {
      const raft = status?.raft;
      if (raft?.role !== "leader") continue;
      if (best === null || raft.term > best.term) best = { node, term: raft.term };
    }
    return best;
  }

  async statuses(): Promise<{ readonly node: TestNode; readonly status: NodeStatus | null }[]> {
    return Promise.all(this.nodes.map(async (node) => ({ node, status: await node.status() })));
  }

  /** Errors: rejects when nobody leads in time, with the state of every node. */
  async waitForLeader(
    limitMs = LEADER_LIMIT_MS,
    isWanted: (node: TestNode) => boolean = () => true,
  ): Promise<TestNode> {
    const endAtMs = performance.now() + limitMs;
    for (;;) {
      const leader = await this.leader();
      if (leader !== null && isWanted(leader)) return leader;
      if (performance.now() > endAtMs) {
        throw new Error(`No leader after ${limitMs} ms:\n${await this.describe()}`);
      }
      await sleep(POLL_MS);
    }
  }

  /** One line a node, for failures. */
  async describe(): Promise<string> {
    const lines = await Promise.all(
      this.nodes.map(async (node) => {
        const status = await node.status();
        const state = node.isPaused ? "paused" : (status?.state ?? "no answer");
        const raft = status?.raft;
        const place =
          raft == null
            ? ""
            : `, ${raft.role} in term ${raft.term}, leader ${raft.leaderId ?? "unknown"}, ` +
              `last ${raft.lastIndex}, commit ${raft.commitIndex}, applied ${raft.appliedIndex}`;
        return `  ${node.serverId}: ${state}${place}${status?.problem == null ? "" : ` (${status.problem})`}`;
      }),
    );
    return lines.join("\n");
  }

  /** Orderly, all at once. */
  async stop(): Promise<void> {
    await Promise.all(this.nodes.filter((node) => node.isRunning).map((node) => node.stop()));
  }

  async killAll(): Promise<void> {
    await Promise.all(this.nodes.map((node) => node.kill()));
  }

  async #plan(
    serverId: string,
    ports: readonly number[],
  ): Promise<{ readonly node: TestNode; readonly advertised: string }> {
    const { directory, flags = [], entry, openProxy } = this.#options;
    const [peer, http, websocket, grpc] = ports as [number, number, number, number];
    const advertisedPort = openProxy === undefined ? peer : await openProxy(serverId, peer);
    const advertised = `127.0.0.1:${advertisedPort}`;
    const peerFlags = [
      `-metastore.raft.bind-address=127.0.0.1:${peer}`,
      `-metastore.raft.advertise-address=${advertised}`,
    ];
    this.nodesMade += 1;
    const node = new TestNode({
      peerAddress: advertised,
      serverId,
      directory: join(directory, serverId),
      ports: { peer, http, websocket, grpc },
      flags: [...peerFlags, ...flags],
      entry,
    });
    return { node, advertised };
  }
}

function bootstrapFlags(
  members: readonly { readonly serverId: string; readonly advertised: string }[],
): string[] {
  return [
    ...members.map(
      ({ serverId, advertised }) => `-metastore.raft.bootstrap-peers=${advertised}/${serverId}`,
    ),
    `-metastore.raft.bootstrap-expect-peers=${members.length}`,
  ];
}
