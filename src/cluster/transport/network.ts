/**
 * The network between members over sockets: puts listener, links and calls together, and knows nothing of Raft but
 * whom a message is for.
 */

import { assert } from "../../base/index.ts";
import type { Member, Message, NodeId } from "../../raft/index.ts";
import { badAddress, bodyTooLarge, networkClosed, type Problem, unknownPeer } from "../errors.ts";
import { encodeHello, type Hello } from "../frames/hello.ts";
import { PEER_LIMITS } from "../limits.ts";
import type { PeerNetworkStats } from "../metrics.ts";
import { assertPeerOptions, type PeerOptions } from "../options.ts";
import type {
  AnswerPeer,
  NodeIntroduction,
  PeerAnswer,
  PeerCall,
  PeerHandler,
  PeerLinkStatus,
  PeerNetwork,
  PeerRequest,
  PeerTarget,
} from "../types.ts";
import { formatAddress, tryParseAddress } from "./address.ts";
import { AddressCalls } from "./address-calls.ts";
import type { Channel } from "./channel.ts";
import { type ConnectionOwner, PeerConnection } from "./connection.ts";
import { createContext, type TransportContext, type TransportModules } from "./context.ts";
import { Exchange } from "./exchange.ts";
import { Inbound } from "./inbound.ts";
import type { PeerRefusal } from "./judge.ts";
import { PeerLink } from "./link.ts";

export interface PeerModules extends TransportModules {
  /** Called with every round trip to a member that was measured. */
  readonly onRoundTrip?: (serverId: string, roundTripMs: number) => void;
}

const CLOSED: Problem = { reason: "shutting_down", text: "this node is shutting down" };

export class TcpPeerNetwork implements PeerNetwork {
  readonly stats: PeerNetworkStats;
  readonly #context: TransportContext;
  readonly #inbound: Inbound;
  readonly #links = new Map<NodeId, PeerLink>();
  /** Calls of others to our address. */
  readonly #inboundCalls = new Set<PeerConnection>();
  readonly #calls: AddressCalls;
  readonly #onRoundTrip: (serverId: string, roundTripMs: number) => void;
  readonly #callOwner: ConnectionOwner;
  #handler: PeerHandler | null = null;
  #cancelTick: (() => void) | null = null;
  #closing: Promise<void> | null = null;

  constructor(options: PeerOptions, modules: PeerModules) {
    assertPeerOptions(options);
    const { messageMaxBytes } = modules.codec;
    assert(
      messageMaxBytes <= PEER_LIMITS.messageMaxBytes,
      `Messages of ${messageMaxBytes} bytes do not fit into frames`,
    );
    assert(
      options.sendQueueMaxBytes > messageMaxBytes,
      `sendQueueMaxBytes ${options.sendQueueMaxBytes} is below a message of ${messageMaxBytes} bytes`,
    );
    this.#context = createContext(options, modules);
    this.stats = this.#context.stats;
    this.#onRoundTrip = modules.onRoundTrip ?? (() => {});
    this.#callOwner = this.#createCallOwner();
    this.#calls = new AddressCalls(this.#context, this.#callOwner);
    this.#inbound = new Inbound(this.#context, {
      judge: (hello) => this.#judge(hello),
      onWelcome: (channel, hello) => this.#onWelcome(channel, hello),
    });
  }

  setHandler(handler: PeerHandler): void {
    this.#handler = handler;
  }

  async listen(): Promise<number> {
    assert(this.#handler !== null, "The network listens without a handler");
    const port = await this.#inbound.listen();
    this.#scheduleTick();
    return port;
  }

  introduce(introduction: NodeIntroduction): void {
    const { own } = this.#context;
    assert(
      introduction.nodeId === own.nodeId && introduction.bootNonce === own.bootNonce,
      "A process does not become another node",
    );
    assert(
      own.clusterId === "" || introduction.clusterId === own.clusterId,
      "A node does not change its cluster",
    );
    this.#context.own = introduction;
    for (const link of [...this.#links.values()]) link.connection?.introduce();
    for (const call of [...this.#inboundCalls]) call.introduce();
    this.#calls.introduce();
  }

  setMembers(members: readonly Member[]): void {
    if (this.#closing !== null) return;
    const others = members.filter(({ id }) => id !== this.#context.own.nodeId);
    const ids = new Set(others.map(({ id }) => id));
    for (const link of [...this.#links.values()]) {
      if (link.isMember && !ids.has(link.nodeId)) link.release();
    }
    for (const { id, serverId, address } of others) this.#linkOf(id).keep(serverId, address);
    this.#scheduleTick();
  }

  send(message: Message): void {
    if (this.#closing !== null) return;
    const link = this.#links.get(message.to);
    if (link !== undefined) {
      link.send(message);
      return;
    }
    this.stats.unsentMessages += 1;
    const { to } = message;
    queueMicrotask(() => this.#handler?.onUnreachable(to));
  }

  flush(): void {
    for (const link of this.#links.values()) link.flush();
  }

  request(
    target: PeerTarget,
    call: PeerCall,
    body: Uint8Array,
    options: { readonly timeoutMs: number; readonly signal?: AbortSignal },
  ): Promise<PeerAnswer> {
    return new Promise((resolve) => {
      const peer = "address" in target ? target.address : this.#nameOf(target.nodeId);
      const { timeoutMs, signal } = options;
      const exchange = new Exchange(
        { peer, call, body, timeoutMs, signal },
        this.#context.scheduler,
        resolve,
      );
      this.#route(target, exchange);
    });
  }

  async resolve(address: string): Promise<readonly string[]> {
    const target = tryParseAddress(address);
    if (target === null) return [];
    try {
      const hosts = await this.#context.names.resolve(target.host);
      return hosts.map((host) => formatAddress({ host, port: target.port }));
    } catch {
      // Whoever dials the node says so; here it is merely not known.
      return [];
    }
  }

  peers(): readonly PeerLinkStatus[] {
    return [...this.#links.values()].map((link) => link.status());
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  // -- requests ------------------------------------------------------------------------------------------------

  #nameOf(nodeId: NodeId): string {
    return this.#links.get(nodeId)?.name ?? nodeId;
  }

  #route(target: PeerTarget, exchange: Exchange): void {
    const { bodyMaxBytes } = PEER_LIMITS;
    const { body } = exchange;
    if (this.#closing !== null) return exchange.fail(networkClosed("no"));
    if (body.length > bodyMaxBytes) return exchange.fail(bodyTooLarge(body.length, bodyMaxBytes));
    if ("address" in target) {
      const { address } = target;
      if (tryParseAddress(address) === null) return exchange.fail(badAddress(address));
      this.#scheduleTick();
      return this.#calls.ask(address, exchange);
    }
    const link = this.#links.get(target.nodeId);
    if (link === undefined) return exchange.fail(unknownPeer(target.nodeId));
    link.ask(exchange);
  }

  #answer(request: PeerRequest, answer: AnswerPeer): void {
    assert(this.#handler !== null, "A request came before the handler");
    if (this.#closing !== null) answer({ ok: false, error: networkClosed("no") });
    else this.#handler.onRequest(request, answer);
  }

  // -- links ---------------------------------------------------------------------------------------------------

  #linkOf(nodeId: NodeId): PeerLink {
    const known = this.#links.get(nodeId);
    if (known !== undefined) return known;
    const link = new PeerLink(nodeId, this.#context, {
      onMessage: (message) => this.#handler?.onMessage(message),
      onArrived: () => this.#handler?.onArrived?.(),
      onRequest: (request, answer) => this.#answer(request, answer),
      onUnreachable: (id) => {
        if (this.#closing === null) this.#handler?.onUnreachable(id);
      },
      onIntroduced: (connection) => this.#handler?.onIntroduced?.(connection.introduction),
      onRoundTrip: (_connection, roundTripMs) => this.#onRoundTrip(link.name, roundTripMs),
      onIdle: () => this.#links.delete(nodeId),
    });
    this.#links.set(nodeId, link);
    return link;
  }

  #judge(hello: Hello): PeerRefusal | null {
    if (this.#closing !== null)
      return { reason: "too_many_connections", text: "this node is shutting down" };
    const link = this.#links.get(hello.introduction.nodeId);
    if (link?.isMember !== true) return this.#judgeGuest(hello, link);
    if (hello.link === "peer") return link.judge(hello);
    const { memberCallsMax } = PEER_LIMITS;
    return this.#memberCallCount() < memberCallsMax
      ? null
      : tooMany(memberCallsMax, "of threads of members");
  }

  #judgeGuest(hello: Hello, link: PeerLink | undefined): PeerRefusal | null {
    const { guestsMax } = PEER_LIMITS;
    if (this.#guestCount() >= guestsMax)
      return tooMany(guestsMax, "with nodes that are no members");
    return hello.link === "call" ? null : (link?.judge(hello) ?? null);
  }

  #guestCount(): number {
    let count = this.#inboundCalls.size - this.#memberCallCount();
    for (const { isMember, connection } of this.#links.values()) {
      if (!isMember && connection !== null) count += 1;
    }
    return count;
  }

  #memberCallCount(): number {
    let count = 0;
    for (const { introduction } of this.#inboundCalls) {
      if (this.#links.get(introduction.nodeId)?.isMember === true) count += 1;
    }
    return count;
  }

  #onWelcome(channel: Channel, hello: Hello): void {
    const { introduction, link } = hello;
    if (link === "peer") {
      this.#linkOf(introduction.nodeId).accept(channel, hello);
      return;
    }
    const { own } = this.#context;
    const answer = { introduction: own, target: introduction.nodeId, dial: 0, link };
    channel.send(encodeHello(answer));
    const peer = { introduction, link };
    this.#inboundCalls.add(new PeerConnection(channel, peer, this.#context, this.#callOwner));
  }

  #createCallOwner(): ConnectionOwner {
    return {
      // The connection itself refuses Raft messages on a call.
      onMessage: () => {},
      onArrived: () => {},
      onRequest: (request, answer) => this.#answer(request, answer),
      onIntroduced: () => {},
      onRoundTrip: () => {},
      onEnd: (connection) => this.#inboundCalls.delete(connection),
    };
  }

  // -- time ----------------------------------------------------------------------------------------------------

  #scheduleTick(): void {
    if (this.#cancelTick !== null || this.#closing !== null) return;
    const { scheduler, options } = this.#context;
    this.#cancelTick = scheduler.after(options.pingIntervalMs, () => {
      this.#cancelTick = null;
      this.#scheduleTick();
      this.#onTick();
    });
  }

  #onTick(): void {
    const { idleMs } = this.#context.options;
    for (const link of [...this.#links.values()]) link.tick();
    for (const call of [...this.#inboundCalls]) {
      if (call.isIdle(idleMs)) call.closeGently("idle", "nobody asks any more");
      else call.tick();
    }
    this.#calls.tick();
  }

  async #close(): Promise<void> {
    this.#cancelTick?.();
    const closed = this.#inbound.close();
    for (const link of [...this.#links.values()]) link.close(CLOSED);
    for (const call of [...this.#inboundCalls]) call.closeGently("closing", CLOSED.text);
    this.#calls.close(CLOSED);
    await closed;
  }
}

function tooMany(max: number, ofWhom: string): PeerRefusal {
  return { reason: "too_many_connections", text: `${max} connections ${ofWhom} are open` };
}

/** Nothing is opened before `listen`; `close` ends everything. */
export function createPeerNetwork(options: PeerOptions, modules: PeerModules): TcpPeerNetwork {
  return new TcpPeerNetwork(options, modules);
}
