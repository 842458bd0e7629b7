/**
 * gRPC on a node, put together: its options, what its threads are told of the node, and what they may ask about members.
 * It is served by the reader threads (node-reader-thread.ts), over the services that they have anyway.
 */
import type { Config } from "../../config/index.ts";
import {
  GRPC_DEFAULTS,
  type GrpcOptions,
  type NodeHealth,
  type NodeNews,
} from "../../grpc/index.ts";
import type { Replica } from "../../replica/index.ts";
import { type MemberPort, probePort, type ReaderPool } from "../../server/index.ts";
import { MEMBER_CALL_DEFAULTS, MemberCalls } from "../../service/index.ts";
import { listeningAddress, listenHost } from "./listen-host.ts";
import type { Peers } from "./peers.ts";

export interface NodeGrpcModules {
  readonly peers: Pick<Peers, "control" | "self">;
  readonly replica: Pick<Replica, "status">;
  readonly version: string;
}

/** Compiled and uncompiled trees differ in the suffix only. */
const ENTRY = new URL(
  `./node-reader-thread${import.meta.url.endsWith(".ts") ? ".ts" : ".js"}`,
  import.meta.url,
);

export class NodeGrpc {
  /** For the reader pool. */
  readonly edge: { readonly entry: URL; readonly settings: GrpcOptions };
  readonly members: MemberPort;
  readonly #modules: NodeGrpcModules;
  #pool: Pick<ReaderPool, "tellEdges"> | null = null;
  #health: NodeHealth = "starting";
  /** What was told last, as text. */
  #told = "";

  /** Errors: `unavailable` when somebody else has the port. */
  static async open(config: Config, modules: NodeGrpcModules): Promise<NodeGrpc> {
    const { address, port, ...grpc } = config.grpc;
    const host = await listenHost(address);
    const options: GrpcOptions = {
      ...GRPC_DEFAULTS,
      ...grpc,
      host,
      // Named from here on: threads can share it, and one that starts again finds it.
      port: await probePort(host, port),
      serverId: config.node.serverId,
    };
    return new NodeGrpc(options, modules);
  }

  private constructor(options: GrpcOptions, modules: NodeGrpcModules) {
    this.#modules = modules;
    this.edge = { entry: ENTRY, settings: options };
    const calls = new MemberCalls(
      { ...MEMBER_CALL_DEFAULTS, version: modules.version },
      {
        control: modules.peers.control,
        status: () => modules.replica.status(),
        advertisedAddress: () => modules.peers.self.address,
      },
    );
    this.members = calls;
  }

  /** host:port of the listener. */
  get address(): string {
    const { host, port } = this.edge.settings;
    return listeningAddress(host, port);
  }

  /** The threads run: they are told what there is to know, now and whenever it changes. */
  attach(pool: Pick<ReaderPool, "tellEdges">): void {
    this.#pool = pool;
    this.changed();
  }

  /** The node is up, or about to go. */
  setHealth(health: NodeHealth): void {
    this.#health = health;
    this.changed();
  }

  /** Role, leader or members may have changed. */
  changed(): void {
    const { members, leader } = this.#modules.peers.control.view();
    const addresses = Object.fromEntries(
      members.map(({ serverId, addresses: { peer } }) => [serverId, peer]),
    );
    const news: NodeNews = {
      health: this.#health,
      leader: leader === null ? null : { id: leader.id, address: addresses[leader.id] ?? "" },
      addresses,
    };
    const text = JSON.stringify(news);
    if (this.#pool === null || text === this.#told) return;
    this.#told = text;
    this.#pool.tellEdges(news);
  }
}
