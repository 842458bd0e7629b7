/** What the checks ask for: nodes of a cluster that start, stop and stand still at their word. */

import { setTimeout as sleep } from "node:timers/promises";
import type { TestCluster } from "../support/cluster/index.ts";
import type { TestNode } from "../support/cluster/test-node.ts";

export interface Wish {
  readonly do: string;
  readonly node?: string;
}

const READY_LIMIT_MS = 120_000;
const POLL_MS = 50;

/** Names of nodes as the checks know them. */
export class Processes {
  readonly #cluster: TestCluster;
  readonly #nodes = new Map<string, TestNode>();

  constructor(cluster: TestCluster) {
    this.#cluster = cluster;
    for (const node of cluster.nodes) this.#nodes.set(node.serverId, node);
  }

  /** Errors: an unknown wish, or one that cannot be fulfilled; the checks cannot go on then. */
  async fulfil(wish: Wish): Promise<object> {
    switch (wish.do) {
      case "start":
        this.#node(wish).start();
        return {};
      case "ready":
        await Promise.all(this.#cluster.nodes.map((node) => node.waitUntilReady(READY_LIMIT_MS)));
        return {};
      case "new-node":
        return this.#startStranger();
      case "kill":
        await this.#node(wish).kill();
        this.#cluster.forget(this.#node(wish));
        return {};
      case "stop":
        return await this.#node(wish).stop();
      case "pause":
        this.#node(wish).pause();
        return {};
      case "resume":
        this.#node(wish).resume();
        return {};
      default:
        throw new Error(`The checks ask for ${JSON.stringify(wish)}, which nobody can do`);
    }
  }

  /** A node that waits to be added, under its peer address: that is how the reference's AddNode names it. */
  async #startStranger(): Promise<object> {
    const node = await this.#cluster.addNode("stranger", [
      "-metastore.raft.bootstrap-expect-peers=0",
    ]);
    const { peerAddress: id } = node;
    node.flags = [...node.flags, `-metastore.raft.server-id=${id}`];
    this.#nodes.set(id, node);
    node.start();
    // Until it can be asked who it is; it stays not ready before it is added.
    while ((await node.whyNotReady())?.startsWith("not ready: waiting to be added") !== true) {
      if (!node.isRunning) throw new Error(`The new node has ended:\n${node.output}`);
      await sleep(POLL_MS);
    }
    return { id, address: node.grpcAddress };
  }

  #node({ node: name = "" }: Wish): TestNode {
    const node = this.#nodes.get(name);
    if (node === undefined) throw new Error(`The checks speak of ${name}, which is no node`);
    return node;
  }
}
