/**
 * An open connection to a node that has said who it is: Raft messages, requests, introductions that change, pings.
 *
 * A `peer` connection is the one of two nodes; a `call` connection is beside it and carries requests only.
 */

import { isHearthError } from "../../base/index.ts";
import type { Message } from "../../raft/index.ts";
import type { Problem } from "../errors.ts";
import {
  type ControlFrame,
  decodeControl,
  encodeControl,
  encodeMessageHead,
  FRAME,
  HEAD_BYTES,
  isFrameFault,
  OPTIONAL_KIND_FIRST,
} from "../frames/frame.ts";
import {
  decodeIntroduction,
  decodeRefusal,
  encodeIntroduction,
  encodeRefusal,
} from "../frames/hello.ts";
import { PEER_LIMITS } from "../limits.ts";
import type { CloseReason } from "../metrics.ts";
import type { AnswerPeer, NodeIntroduction, PeerRequest } from "../types.ts";
import type { Channel, ChannelOwner } from "./channel.ts";
import type { TransportContext } from "./context.ts";
import type { Exchange } from "./exchange.ts";
import { judgeCluster, type PeerRefusal } from "./judge.ts";
import { Requests } from "./requests.ts";

export interface ConnectionOwner {
  /** From the node of this connection, to this node, of the same cluster. */
  onMessage(message: Message): void;
  /** What arrived together was handed over. */
  onArrived(): void;
  onRequest(request: PeerRequest, answer: AnswerPeer): void;
  /** The peer introduced itself anew. */
  onIntroduced(connection: PeerConnection): void;
  onRoundTrip(connection: PeerConnection, roundTripMs: number): void;
  /** Once. */
  onEnd(connection: PeerConnection, problem: Problem): void;
}

export class PeerConnection implements ChannelOwner {
  readonly link: "peer" | "call";
  readonly openedAtMs: number;
  introduction: NodeIntroduction;
  lastContactAtMs: number;
  roundTripMs: number | null = null;
  /** When a message or a request last went either way. */
  lastUsedAtMs: number;
  readonly #channel: Channel;
  readonly #context: TransportContext;
  readonly #owner: ConnectionOwner;
  readonly #requests: Requests;
  #arrivalsSeen = 0;
  #silentPings = 0;
  #pingId = 0;
  /** When the ping without an answer left; null: none is open. */
  #pingedAtMs: number | null = null;
  #unansweredPings = 0;

  constructor(
    channel: Channel,
    peer: { readonly introduction: NodeIntroduction; readonly link: "peer" | "call" },
    context: TransportContext,
    owner: ConnectionOwner,
  ) {
    this.#channel = channel;
    this.#context = context;
    this.#owner = owner;
    this.introduction = peer.introduction;
    this.link = peer.link;
    const nowMs = context.scheduler.monotonicMs();
    this.openedAtMs = nowMs;
    this.lastContactAtMs = nowMs;
    this.lastUsedAtMs = nowMs;
    this.#requests = new Requests(context.options, {
      channel,
      stats: context.stats,
      onRequest: (call, body, answer) => {
        this.lastUsedAtMs = this.lastContactAtMs;
        owner.onRequest({ call, from: this.introduction, body }, answer);
      },
    });
    channel.handOver(this);
    this.#boundFrames();
  }

  get remote(): string {
    return this.#channel.remote;
  }

  get hasEnded(): boolean {
    return this.#channel.hasEnded;
  }

  get sentBytes(): number {
    return this.#channel.sentBytes;
  }

  get receivedBytes(): number {
    return this.#channel.receivedBytes;
  }

  get queuedBytes(): number {
    return this.#channel.queuedBytes + this.#requests.heldBytes;
  }

  /** Nothing waits for an answer on either side, and nothing has been said for the given time. */
  isIdle(idleMs: number): boolean {
    const quietMs = this.#context.scheduler.monotonicMs() - this.lastUsedAtMs;
    return this.#requests.isIdle && this.queuedBytes === 0 && quietMs >= idleMs;
  }

  /** Raft messages may go both ways: both ends belong to one cluster and know it. */
  get carriesMessages(): boolean {
    return this.link === "peer" && this.#isOfOneCluster;
  }

  get #isOfOneCluster(): boolean {
    const { clusterId } = this.#context.own;
    return clusterId !== "" && this.introduction.clusterId === clusterId;
  }

  /** Memory is reserved for long frames of members only. */
  #boundFrames(): void {
    const { guestFrameMaxBytes } = PEER_LIMITS;
    const memberMaxBytes = Number.MAX_SAFE_INTEGER;
    this.#channel.frameMaxBytes = this.#isOfOneCluster ? memberMaxBytes : guestFrameMaxBytes;
  }

  sendMessage(message: Message): void {
    const { pieces, totalBytes } = this.#context.codec.encode(message);
    this.#context.stats.sentMessages += 1;
    this.lastUsedAtMs = this.#context.scheduler.monotonicMs();
    this.#channel.send([encodeMessageHead(totalBytes), ...pieces]);
  }

  flush(): void {
    this.#channel.flush();
  }

  ask(exchange: Exchange): void {
    this.lastUsedAtMs = this.#context.scheduler.monotonicMs();
    this.#requests.ask(exchange);
  }

  /** This process has something new to say of itself. */
  introduce(): void {
    const refusal = judgeCluster(this.introduction, this.#context.own);
    this.#boundFrames();
    if (refusal === null) this.#channel.send(encodeIntroduction(this.#context.own));
    else this.#refuse(refusal);
  }

  /**
   * One ping interval has passed. Intervals are counted, not time: after a pause of this process there is one, and what
   * arrived meanwhile is read before the next.
   */
  tick(): void {
    const { silentPingsMax, lostPingsMax, pingIntervalMs } = this.#context.options;
    const hasHeard = this.#channel.arrivals !== this.#arrivalsSeen;
    this.#arrivalsSeen = this.#channel.arrivals;
    this.#silentPings = hasHeard ? 0 : this.#silentPings + 1;
    if (this.#silentPings > silentPingsMax) {
      const text = `connection is open, but nothing arrives for ${silentPingsMax * pingIntervalMs} ms`;
      this.close("silent", text);
      return;
    }
    if (this.#pingedAtMs === null) {
      this.#ping();
      return;
    }
    this.#unansweredPings += 1;
    if (this.#unansweredPings <= lostPingsMax) return;
    const text = `connection is open, but no ping is answered for ${lostPingsMax * pingIntervalMs} ms`;
    this.close("silent", text);
  }

  /** Ends at once. */
  close(reason: CloseReason, text: string): void {
    this.#channel.end({ reason, text });
  }

  /** Ends when what was said has left. */
  closeGently(reason: CloseReason, text: string): void {
    this.#channel.endWithLastWords({ reason, text });
  }

  // -- from the channel ----------------------------------------------------------------------------------------

  onFrame(kind: number, frame: Uint8Array<ArrayBuffer>): void {
    this.lastContactAtMs = this.#context.scheduler.monotonicMs();
    if (kind === FRAME.message) {
      this.#onMessageFrame(frame);
      return;
    }
    const control = decodeControl(frame);
    if (control === null) {
      this.#refuse({ reason: "bad_frame", text: "a frame arrived damaged" });
      return;
    }
    this.#onControl(kind, control);
  }

  onArrived(): void {
    this.#owner.onArrived();
  }

  onEnd(problem: Problem): void {
    const { reason, text } = problem;
    if (isFrameFault(reason)) this.#note({ reason, text });
    this.#requests.failAll(problem);
    this.#owner.onEnd(this, problem);
  }

  #onControl(kind: number, control: ControlFrame): void {
    switch (kind) {
      case FRAME.request:
        this.#requests.onRequest(control);
        return;
      case FRAME.answer:
        this.#requests.onAnswer(control);
        return;
      case FRAME.ping:
        this.#channel.send(encodeControl(FRAME.pong, { id: control.id }));
        return;
      case FRAME.pong:
        this.#onPong(control.id);
        return;
      case FRAME.introduce:
        this.#onIntroduce(control.body);
        return;
      case FRAME.refuse:
        this.#onRefused(control.body);
        return;
      default:
        if (kind >= OPTIONAL_KIND_FIRST) this.#context.stats.skippedFrames += 1;
        else this.#refuse({ reason: "unexpected_frame", text: `frame ${kind} has no place here` });
    }
  }

  #onMessageFrame(frame: Uint8Array<ArrayBuffer>): void {
    if (!this.carriesMessages) {
      const text = "a Raft message between nodes that are not of one cluster";
      this.#refuse({ reason: "no_cluster", text });
      return;
    }
    const message = this.#decode(frame.subarray(HEAD_BYTES));
    if (message === null) return;
    if (message.from !== this.introduction.nodeId || message.to !== this.#context.own.nodeId) {
      const text = `a Raft message from ${message.from} to ${message.to} between ${this.introduction.nodeId} and ${this.#context.own.nodeId}`;
      this.#refuse({ reason: "misaddressed", text });
      return;
    }
    this.#context.stats.receivedMessages += 1;
    this.lastUsedAtMs = this.lastContactAtMs;
    this.#owner.onMessage(message);
  }

  #decode(bytes: Uint8Array): Message | null {
    try {
      return this.#context.codec.decode(bytes);
    } catch (error) {
      if (!isHearthError(error)) throw error;
      this.#refuse({ reason: "bad_message", text: error.message });
      return null;
    }
  }

  #onIntroduce(body: Uint8Array): void {
    const introduction = decodeIntroduction(body);
    const known = this.introduction;
    const isSame =
      introduction !== null &&
      introduction.nodeId === known.nodeId &&
      introduction.bootNonce === known.bootNonce &&
      introduction.serverId === known.serverId &&
      (known.clusterId === "" || introduction.clusterId === known.clusterId);
    if (!isSame) {
      this.#refuse({ reason: "bad_hello", text: "a later introduction contradicts the hello" });
      return;
    }
    const refusal = judgeCluster(introduction, this.#context.own);
    if (refusal !== null) {
      this.#refuse(refusal);
      return;
    }
    this.introduction = introduction;
    this.#boundFrames();
    this.#owner.onIntroduced(this);
  }

  /** What the peer does not like about this side; it says so to its own log, too. */
  #onRefused(body: Uint8Array): void {
    const text = decodeRefusal(body)?.text ?? "without a reason";
    this.#channel.end({ reason: "ended", text: `ended by the peer: ${text}` });
  }

  // -- pings ---------------------------------------------------------------------------------------------------

  #ping(): void {
    this.#pingId = (this.#pingId + 1) >>> 0;
    this.#pingedAtMs = this.#context.scheduler.monotonicMs();
    this.#unansweredPings = 0;
    this.#channel.send(encodeControl(FRAME.ping, { id: this.#pingId }));
  }

  #onPong(id: number): void {
    if (this.#pingedAtMs === null || id !== this.#pingId) return;
    this.roundTripMs = this.lastContactAtMs - this.#pingedAtMs;
    this.#pingedAtMs = null;
    this.#owner.onRoundTrip(this, this.roundTripMs);
  }

  #refuse(refusal: PeerRefusal): void {
    // The channel names this refusal as the reason of its end; faults it finds itself are noted there.
    if (!isFrameFault(refusal.reason)) this.#note(refusal);
    this.#channel.send(encodeRefusal(refusal));
    this.#channel.endWithLastWords(refusal);
  }

  #note({ reason, text }: PeerRefusal): void {
    const { nodeId, serverId } = this.introduction;
    this.#context.refusals.note(reason, this.remote, { peer: serverId, nodeId, detail: text });
  }
}
