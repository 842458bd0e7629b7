/** A network between members without sockets: every node of one process, in later turns, in order; nodes can be cut off. */

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
import { type Member, type Message, MESSAGE, type NodeId } from "../../src/raft/index.ts";

/** All nodes that can reach each other. */
export class MemoryPeers {
  readonly nodes = new Set<MemoryPeerNetwork>();
  /** These reach nobody, and nobody reaches them. */
  readonly cutOff = new Set<NodeId>();

  /** The network of one node; `introduction.addresses.peer` is where it is found. */
  join(introduction: NodeIntroduction): MemoryPeerNetwork {
    return new MemoryPeerNetwork(this, introduction);
  }

  find(from: NodeId, isWanted: (node: MemoryPeerNetwork) => boolean): MemoryPeerNetwork | null {
    if (this.cutOff.has(from)) return null;
    const found = [...this.nodes].find(isWanted);
    return found === undefined || this.cutOff.has(found.own.nodeId) ? null : found;
  }
}

export class MemoryPeerNetwork implements PeerNetwork {
  own: NodeIntroduction;
  handler: PeerHandler | null = null;
  readonly #peers: MemoryPeers;
  #members: readonly Member[] = [];

  constructor(peers: MemoryPeers, introduction: NodeIntroduction) {
    this.#peers = peers;
    this.own = introduction;
  }

  setHandler(handler: PeerHandler): void {
    this.handler = handler;
  }

  async listen(): Promise<number> {
    this.#peers.nodes.add(this);
    return 1;
  }

  introduce(introduction: NodeIntroduction): void {
    this.own = introduction;
    this.#meetMembers();
  }

  setMembers(members: readonly Member[]): void {
    this.#members = members.filter(({ id }) => id !== this.own.nodeId);
    this.#meetMembers();
  }

  /** Nothing is queued. */
  flush(): void {}

  send(message: Message): void {
    const target = this.#reach(message.to);
    if (target === null || target.own.clusterId !== this.own.clusterId) {
      setImmediate(() => this.handler?.onUnreachable(message.to));
      return;
    }
    const copy = owned(message);
    setImmediate(() => target.handler?.onMessage(copy));
  }

  request(
    target: PeerTarget,
    call: PeerCall,
    body: Uint8Array,
    options: { readonly timeoutMs: number; readonly signal?: AbortSignal },
  ): Promise<PeerAnswer> {
    const peer = "address" in target ? this.#at(target.address) : this.#reach(target.nodeId);
    const request = { call, from: this.own, body: new Uint8Array(body) };
    return new Promise((resolve) => {
      const fail = (code: "unavailable" | "deadline_exceeded", sent: "no" | "maybe"): void =>
        resolve({ ok: false, error: new HearthError(code, "Cannot reach peer", { sent }) });
      if (peer === null) return fail("unavailable", "no");
      const timer = setTimeout(() => fail("deadline_exceeded", "maybe"), options.timeoutMs);
      setImmediate(() =>
        peer.handler?.onRequest(request, (answer) => {
          clearTimeout(timer);
          setImmediate(() => resolve(answer));
        }),
      );
    });
  }

  resolve(address: string): Promise<readonly string[]> {
    return Promise.resolve([address]);
  }

  peers(): readonly PeerLinkStatus[] {
    return this.#members.map(({ id, serverId, address }) => {
      const introduction = this.#reach(id)?.own ?? null;
      const isConnected = introduction !== null;
      return {
        nodeId: id,
        serverId,
        address,
        isConnected,
        introduction,
        lastContactAtMs: isConnected ? performance.now() : null,
        roundTripMs: isConnected ? 0 : null,
        problem: isConnected ? null : "connection refused",
        sentBytes: 0,
        receivedBytes: 0,
        queuedBytes: 0,
      };
    });
  }

  async close(): Promise<void> {
    this.#peers.nodes.delete(this);
  }

  #meetMembers(): void {
    for (const { id } of this.#members) {
      const { own } = this;
      const peer = this.#reach(id);
      if (peer !== null) setImmediate(() => peer.handler?.onIntroduced?.(own));
    }
  }

  #reach(nodeId: NodeId): MemoryPeerNetwork | null {
    return this.#peers.find(this.own.nodeId, ({ own }) => own.nodeId === nodeId);
  }

  #at(address: string): MemoryPeerNetwork | null {
    return this.#peers.find(this.own.nodeId, ({ own }) => own.addresses.peer === address);
  }
}

/** Whoever gets a message keeps its bodies; the sender may use its own again. */
function owned(message: Message): Message {
  if (message.kind !== MESSAGE.append) return message;
  const batches = message.batches.map((batch) => ({
    ...batch,
    body: batch.body.slice(0, batch.bodyBytes),
  }));
  return { ...message, batches };
}
