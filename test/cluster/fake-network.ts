/** Nodes that reach each other by address within one process: requests only, with delays of one turn. */

import { HearthError } from "../../src/base/index.ts";
import type {
  NodeIntroduction,
  PeerAnswer,
  PeerCall,
  PeerHandler,
  PeerLinkStatus,
  PeerNetwork,
  PeerTarget,
} from "../../src/cluster/index.ts";

export class FakeNetwork {
  readonly #nodes = new Map<string, FakePeer>();

  /** A node at the address of its introduction. */
  node(introduction: NodeIntroduction): FakePeer {
    const peer = new FakePeer(this, introduction);
    this.#nodes.set(introduction.addresses.peer, peer);
    return peer;
  }

  /** Another way to the same node. */
  alias(address: string, peer: FakePeer): void {
    this.#nodes.set(address, peer);
  }

  find(target: PeerTarget): FakePeer | undefined {
    if ("address" in target) return this.#nodes.get(target.address);
    return [...this.#nodes.values()].find(({ own }) => own.nodeId === target.nodeId);
  }
}

export class FakePeer implements Pick<PeerNetwork, "request" | "introduce" | "peers"> {
  handler: Pick<PeerHandler, "onRequest"> | null = null;
  /** Calls that this node has made, in order. */
  readonly asked: PeerCall[] = [];
  own: NodeIntroduction;
  readonly #network: FakeNetwork;

  constructor(network: FakeNetwork, introduction: NodeIntroduction) {
    this.#network = network;
    this.own = introduction;
  }

  introduce(introduction: NodeIntroduction): void {
    this.own = introduction;
  }

  /** Of links, what there is to know: none unless a test says so. */
  links: readonly PeerLinkStatus[] = [];

  peers(): readonly PeerLinkStatus[] {
    return this.links;
  }

  async request(target: PeerTarget, call: PeerCall, body: Uint8Array): Promise<PeerAnswer> {
    this.asked.push(call);
    await new Promise((resolve) => setImmediate(resolve));
    const peer = this.#network.find(target);
    const where = "address" in target ? target.address : target.nodeId;
    if (peer?.handler == null)
      return { ok: false, error: new HearthError("unavailable", `${where}: connection refused`) };
    const { handler } = peer;
    const bytes = new Uint8Array(body);
    return new Promise((resolve) =>
      handler.onRequest({ call, from: this.own, body: bytes }, resolve),
    );
  }
}

export function introductionOf(
  name: string,
  change: Partial<NodeIntroduction> = {},
): NodeIntroduction {
  return {
    clusterId: "",
    nodeId: `id-of-${name}`,
    serverId: name,
    addresses: { peer: `${name}:9099`, http: `${name}:4040`, websocket: `${name}:4041` },
    version: "1.0.0",
    bootNonce: "0123456789abcdef",
    ...change,
  };
}
