/**
 * The network between the machines of one cluster: every ordered pair is a link with its own faults.
 *
 * Two ways to be unreliable, drawn per seed:
 * - connections (as the real transport): in order, nothing is lost while a connection lasts; when it breaks, everything
 *   under way is gone and the sender is told.
 * - datagrams (worse than the real transport): each message is lost, repeated or overtaken on its own, and nobody is told.
 *
 * In both, what was sent by or to an earlier boot of a process is dropped: the transport promises that to the core.
 */

import type { Prng } from "../../src/base/index.ts";
import type { AnswerPeer } from "../../src/cluster/index.ts";
import type { Message, NodeId } from "../../src/raft/index.ts";
import type { Coverage } from "./coverage.ts";
import { EVENT, type EventLoop, type Life } from "./event-loop.ts";
import { exponential, logUniform } from "./random.ts";

/** When an echo comes, us. */
const ECHO_MIN_US = 20_000;
const ECHO_MAX_US = 3_000_000;

/** A process that is connected. */
export interface Endpoint {
  readonly place: number;
  readonly nodeId: NodeId;
  readonly life: Life;
  onMessage(message: Message): void;
  onUnreachable(peer: NodeId): void;
  /** What a reader thread of another member asks. */
  onQuestion(from: NodeId, body: Uint8Array, answer: AnswerPeer): void;
}

export interface NetworkOptions {
  readonly isOrdered: boolean;
  readonly delayMeanUs: number;
  readonly delayMinUs: number;
  /** Datagrams: share of messages lost and repeated. Connections: share after which the connection breaks. */
  readonly lossRate: number;
  readonly duplicateRate: number;
  /** Datagrams: share of messages that take ten times as long, and so are overtaken. */
  readonly reorderRate: number;
  /** Datagrams: share of messages that arrive once more, up to seconds later. */
  readonly echoRate: number;
  /** Messages under way on one link; over it a connection is closed, a datagram dropped. */
  readonly queueMax: number;
}

interface Link {
  /** Nothing passes; what is sent is lost without a word. */
  isCut: boolean;
  /** What is sent waits until then. */
  cloggedUntilUs: number;
  lastArrivalUs: number;
  /** Raised when the connection breaks: what was under way is of an older one. */
  connection: number;
  inFlight: number;
}

export interface NetworkModules {
  readonly loop: EventLoop;
  readonly prng: Prng;
  readonly coverage: Coverage;
  /** Called with what is handed over, before it is delivered; returns what arrives (a decoded copy on samples). */
  readonly onSend: (message: Message) => Message;
}

export class SimNetwork {
  readonly #options: NetworkOptions;
  readonly #modules: NetworkModules;
  readonly #endpoints = new Map<NodeId, Endpoint>();
  readonly #links = new Map<NodeId, Map<NodeId, Link>>();
  /** Off while the network is healed for good. */
  isFaulty = true;

  constructor(options: NetworkOptions, modules: NetworkModules) {
    this.#options = options;
    this.#modules = modules;
  }

  /** The process answers from now on; an earlier boot of the same member is forgotten. */
  connect(endpoint: Endpoint): void {
    this.#endpoints.set(endpoint.nodeId, endpoint);
    // What the earlier boot had under way is turned away from here on.
    for (const link of this.#links.get(endpoint.nodeId)?.values() ?? []) {
      link.connection += 1;
      link.inFlight = 0;
    }
  }

  /** The process has died. What it sent may still arrive. */
  disconnect(nodeId: NodeId): void {
    this.#endpoints.delete(nodeId);
    for (const peer of [...this.#endpoints.values()]) {
      if (this.#link(peer.nodeId, nodeId).inFlight > 0) this.#breakConnection(peer, nodeId);
    }
  }

  send(from: Endpoint, message: Message): void {
    const { loop, prng, coverage } = this.#modules;
    const link = this.#link(message.from, message.to);
    const to = this.#endpoints.get(message.to);
    const arriving = this.#modules.onSend(message);
    if (to === undefined || link.isCut) {
      coverage.hit("messageLost");
      // A refused connection is noticed at once; a cut cable is not.
      if (to === undefined) this.#tell(from, message.to);
      return;
    }
    if (link.inFlight >= this.#options.queueMax) {
      coverage.hit("queueOverflow");
      if (this.#options.isOrdered) this.#breakConnection(from, message.to);
      return;
    }
    if (this.isFaulty && prng.nextChance(this.#options.lossRate)) {
      coverage.hit("messageLost");
      if (this.#options.isOrdered) this.#breakConnection(from, message.to);
      return;
    }
    const sentUs = Math.max(loop.nowUs, link.cloggedUntilUs);
    this.#deliver({ from, to, link, message: arriving }, sentUs);
    if (this.#options.isOrdered || !this.isFaulty) return;
    if (this.#options.echoRate > 0 && prng.nextChance(this.#options.echoRate)) {
      this.#echo({ from, to, link, message: arriving });
    }
    if (!prng.nextChance(this.#options.duplicateRate)) return;
    coverage.hit("messageDuplicated");
    this.#deliver({ from, to, link, message: arriving }, sentUs);
  }

  /** What is no message of Raft, on a connection of its own: late or lost as they are, but nobody is told. */
  carry(from: NodeId, to: NodeId, arrive: (endpoint: Endpoint) => void): void {
    const { loop, prng, coverage } = this.#modules;
    const link = this.#link(from, to);
    const endpoint = this.#endpoints.get(to);
    const isLost = this.isFaulty && prng.nextChance(this.#options.lossRate);
    if (endpoint === undefined || link.isCut || isLost) {
      coverage.hit("messageLost");
      return;
    }
    const { place, life } = endpoint;
    const arrivalUs = Math.max(loop.nowUs, link.cloggedUntilUs) + this.#delayUs();
    loop.at(arrivalUs, { kind: EVENT.deliver, place, life }, () => {
      if (!link.isCut) arrive(endpoint);
    });
  }

  // -- faults --------------------------------------------------------------------------------------------------

  cut(from: NodeId, to: NodeId): void {
    this.#link(from, to).isCut = true;
  }

  clog(from: NodeId, to: NodeId, forUs: number): void {
    this.#link(from, to).cloggedUntilUs = this.#modules.loop.nowUs + forUs;
  }

  /** Both directions of a connection are gone; both ends notice. */
  breakBetween(a: NodeId, b: NodeId): void {
    for (const [from, to] of [
      [a, b],
      [b, a],
    ] as const) {
      const endpoint = this.#endpoints.get(from);
      if (endpoint !== undefined) this.#breakConnection(endpoint, to);
    }
  }

  /** No link is cut or clogged any more. */
  heal(): void {
    for (const links of this.#links.values()) {
      for (const link of links.values()) {
        link.isCut = false;
        link.cloggedUntilUs = 0;
      }
    }
  }

  // -- delivery ------------------------------------------------------------------------------------------------

  #deliver(parcel: Parcel, sentUs: number): void {
    const { loop, coverage } = this.#modules;
    const { from, to, link, message } = parcel;
    let arrivalUs = sentUs + this.#delayUs();
    if (this.#options.isOrdered) arrivalUs = Math.max(arrivalUs, link.lastArrivalUs);
    else if (arrivalUs < link.lastArrivalUs) coverage.hit("messageReordered");
    link.lastArrivalUs = Math.max(link.lastArrivalUs, Math.ceil(arrivalUs));
    const { connection } = link;
    link.inFlight += 1;
    loop.at(arrivalUs, { kind: EVENT.deliver, place: to.place, life: to.life }, () => {
      if (connection !== link.connection) return;
      link.inFlight -= 1;
      if (link.isCut) {
        coverage.hit("messageLost");
        return;
      }
      loop.note(message.kind * 16 + from.place);
      to.onMessage(message);
    });
  }

  /** Terms later, perhaps; it is no part of what is under way. */
  #echo({ from, to, link, message }: Parcel): void {
    const { loop, prng, coverage } = this.#modules;
    const { connection } = link;
    const atUs = loop.nowUs + logUniform(prng, ECHO_MIN_US, ECHO_MAX_US);
    loop.at(atUs, { kind: EVENT.deliver, place: to.place, life: to.life }, () => {
      if (connection !== link.connection || link.isCut || !this.isFaulty) return;
      coverage.hit("messageDuplicated");
      loop.note(message.kind * 16 + from.place);
      to.onMessage(message);
    });
  }

  #delayUs(): number {
    const { delayMinUs, delayMeanUs, reorderRate, isOrdered } = this.#options;
    const { prng } = this.#modules;
    const delayUs = delayMinUs + exponential(prng, delayMeanUs);
    if (isOrdered || !this.isFaulty || !prng.nextChance(reorderRate)) return delayUs;
    return delayUs * 10;
  }

  #breakConnection(from: Endpoint, to: NodeId): void {
    const link = this.#link(from.nodeId, to);
    link.connection += 1;
    link.inFlight = 0;
    link.lastArrivalUs = 0;
    this.#modules.coverage.hit("connectionLost");
    this.#tell(from, to);
  }

  #tell(endpoint: Endpoint, peer: NodeId): void {
    const { loop } = this.#modules;
    const { place, life } = endpoint;
    loop.at(loop.nowUs + this.#options.delayMinUs, { kind: EVENT.unreachable, place, life }, () =>
      endpoint.onUnreachable(peer),
    );
  }

  #link(from: NodeId, to: NodeId): Link {
    let links = this.#links.get(from);
    if (links === undefined) {
      links = new Map();
      this.#links.set(from, links);
    }
    let link = links.get(to);
    if (link === undefined) {
      link = {
        isCut: false,
        cloggedUntilUs: 0,
        lastArrivalUs: 0,
        connection: 0,
        inFlight: 0,
      };
      links.set(to, link);
    }
    return link;
  }
}

interface Parcel {
  readonly from: Endpoint;
  readonly to: Endpoint;
  readonly link: Link;
  readonly message: Message;
}
