/**
 * The link to one node: at most one connection, whoever dialled it, and the dials that bring it back.
 *
 * ```
 *            wanted                 hello accepted
 *   idle ─────────────> dialling ────────────────────> up
 *    ^                   │    ^                         │ lost
 *    │ not wanted        │    └──────── waiting <───────┤
 *    └───────────────────┴── failed ──────^             │
 *   in every state: the peer's own dial is accepted ────┘ (own dial given up, older connection replaced)
 * ```
 *
 * Both ends may dial at the same time. DESIGN.md, "One connection per pair", says which of the two stays and why both
 * ends come to the same verdict.
 */

import type { Message, NodeId } from "../../raft/index.ts";
import { peerUnavailable, type Problem } from "../errors.ts";
import { encodeHello, type Hello } from "../frames/hello.ts";
import type { CloseReason } from "../metrics.ts";
import { CLOSE_REASONS } from "../metrics.ts";
import type { NodeIntroduction, PeerLinkStatus } from "../types.ts";
import type { Channel } from "./channel.ts";
import { type ConnectionOwner, PeerConnection } from "./connection.ts";
import { randomFraction, type TransportContext } from "./context.ts";
import { Dial, type DialResult } from "./dial.ts";
import type { Exchange } from "./exchange.ts";
import type { PeerRefusal } from "./judge.ts";
import { Waiters } from "./waiters.ts";

export interface LinkOwner extends Omit<ConnectionOwner, "onEnd"> {
  /** Messages to this peer may be missing. */
  onUnreachable(nodeId: NodeId): void;
  /** Neither connected nor wanted any more. */
  onIdle(link: PeerLink): void;
}

export class PeerLink implements ConnectionOwner {
  readonly nodeId: NodeId;
  /** Names of the newest configuration, or of the peer itself when it is in none. */
  #serverId = "";
  #address = "";
  #isMember = false;
  #introduction: NodeIntroduction | null = null;
  #connection: PeerConnection | null = null;
  #dial: Dial | null = null;
  /** Dials of this process to this peer; the newest has this number. */
  #dialCount = 0;
  /** Dials of a process of the peer that it has given up. */
  #voidDials = { bootNonce: "", upTo: 0 };
  /** Dials in a row without a steady connection. */
  #failures = 0;
  #lastDialAtMs = Number.NEGATIVE_INFINITY;
  #cancelRedial: (() => void) | null = null;
  #problem: Problem | null = null;
  #loggedProblem = "";
  #isUnreachableDue = false;
  #lastContactAtMs: number | null = null;
  /** Of connections that have ended. */
  #sentBytes = 0;
  #receivedBytes = 0;
  readonly #waiters = new Waiters();
  readonly #context: TransportContext;
  readonly #owner: LinkOwner;
  #isClosed = false;

  constructor(nodeId: NodeId, context: TransportContext, owner: LinkOwner) {
    this.nodeId = nodeId;
    this.#context = context;
    this.#owner = owner;
  }

  get connection(): PeerConnection | null {
    return this.#connection;
  }

  get isMember(): boolean {
    return this.#isMember;
  }

  get name(): string {
    const serverId = this.#serverId === "" ? this.#introduction?.serverId : this.#serverId;
    return serverId ?? this.nodeId;
  }

  /** Of the newest configuration: a connection is kept from now on. */
  keep(serverId: string, address: string): void {
    if (this.#isMember && this.#address === address && this.#serverId === serverId) return;
    this.#isMember = true;
    this.#serverId = serverId;
    this.#address = address;
    if (this.#connection === null) this.#dialSoon();
  }

  /** In no configuration any more: what is open is closed once it is idle. */
  release(): void {
    this.#isMember = false;
    this.#giveUpIfUnwanted();
  }

  /** Queues a message; without a connection it is lost, and the core is told in a later turn. */
  send(message: Message): void {
    const connection = this.#connection;
    if (connection?.carriesMessages) {
      connection.sendMessage(message);
      return;
    }
    this.#context.stats.unsentMessages += 1;
    this.#unreachable();
  }

  flush(): void {
    this.#connection?.flush();
  }

  ask(exchange: Exchange): void {
    if (this.#connection !== null) {
      this.#connection.ask(exchange);
      return;
    }
    if (this.#dialAddress() === "") {
      const problem = this.#problem ?? { reason: "unknown_peer", text: "its address is not known" };
      exchange.fail(peerUnavailable(this.name, problem, "no"));
      return;
    }
    this.#waiters.add(exchange);
    this.#dialNow();
  }

  tick(): void {
    const connection = this.#connection;
    if (connection === null) return;
    if (!this.#isMember && connection.isIdle(this.#context.options.idleMs)) {
      connection.closeGently("idle", "no member needs the connection");
      return;
    }
    connection.tick();
  }

  close(problem: Problem): void {
    this.#isClosed = true;
    this.#stopDialling();
    this.#waiters.failAll(problem);
    this.#connection?.closeGently("closing", problem.text);
  }

  status(): PeerLinkStatus {
    const connection = this.#connection;
    return {
      nodeId: this.nodeId,
      serverId: this.name,
      address: this.#address === "" ? (this.#introduction?.addresses.peer ?? "") : this.#address,
      isConnected: connection !== null,
      introduction: this.#introduction,
      lastContactAtMs: connection?.lastContactAtMs ?? this.#lastContactAtMs,
      roundTripMs: connection?.roundTripMs ?? null,
      problem: connection === null ? (this.#problem?.text ?? "not connected yet") : null,
      sentBytes: this.#sentBytes + (connection?.sentBytes ?? 0),
      receivedBytes: this.#receivedBytes + (connection?.receivedBytes ?? 0),
      queuedBytes: connection?.queuedBytes ?? 0,
    };
  }

  // -- the peer's dials ----------------------------------------------------------------------------------------

  /** Whether a connection that the peer has dialled is the one that stays. */
  judge(hello: Hello): PeerRefusal | null {
    const { bootNonce, nodeId } = hello.introduction;
    const isVoid = bootNonce === this.#voidDials.bootNonce && hello.dial <= this.#voidDials.upTo;
    const isOurTurn = this.#dial?.hasGreeted === true && this.#context.own.nodeId < nodeId;
    if (!isVoid && !isOurTurn) return null;
    return { reason: "duplicate", text: "both nodes dialled, and the other connection stays" };
  }

  accept(channel: Channel, hello: Hello): void {
    this.#stopDialling();
    const { own: introduction } = this.#context;
    // All dials of ours so far are given up for this connection.
    const answer = { introduction, target: this.nodeId, dial: this.#dialCount, link: hello.link };
    channel.send(encodeHello(answer));
    this.#establish(channel, hello);
  }

  // -- our own dials -------------------------------------------------------------------------------------------

  get #isWanted(): boolean {
    return !this.#isClosed && (this.#isMember || !this.#waiters.isEmpty);
  }

  /** The configured address, and in every second try the one that the peer last gave, when it has moved. */
  #dialAddress(): string {
    const announced = this.#introduction?.addresses.peer ?? "";
    if (this.#address === "") return announced;
    return this.#failures % 2 === 1 && announced !== "" ? announced : this.#address;
  }

  /** After the pause that repeated failures call for. */
  #dialSoon(): void {
    if (!this.#isWanted || this.#dial !== null || this.#cancelRedial !== null) return;
    const { redialMinMs, redialMaxMs } = this.#context.options;
    const pauseMs = Math.min(redialMaxMs, redialMinMs * 2 ** Math.min(this.#failures - 1, 20));
    const jitter = 0.5 + randomFraction(this.#context.random) / 2;
    this.#dialAfter(this.#failures === 0 ? 0 : pauseMs * jitter);
  }

  /** Somebody waits: without the pause, but not in a tight loop either. */
  #dialNow(): void {
    if (this.#dial !== null) return;
    const { scheduler, options } = this.#context;
    const sinceLastMs = scheduler.monotonicMs() - this.#lastDialAtMs;
    this.#cancelRedial?.();
    this.#dialAfter(Math.max(0, options.redialMinMs - sinceLastMs));
  }

  #dialAfter(delayMs: number): void {
    this.#cancelRedial = this.#context.scheduler.after(delayMs, () => {
      this.#cancelRedial = null;
      this.#startDial();
    });
  }

  #startDial(): void {
    const address = this.#dialAddress();
    if (!this.#isWanted || this.#connection !== null || address === "") return;
    this.#dialCount += 1;
    this.#lastDialAtMs = this.#context.scheduler.monotonicMs();
    const options = {
      address,
      target: this.nodeId,
      number: this.#dialCount,
      link: "peer",
    } as const;
    const dial = new Dial({ ...options, attempt: this.#failures }, this.#context, (result) => {
      this.#dial = null;
      this.#onDialled(address, result);
    });
    this.#dial = dial;
    dial.start();
  }

  #stopDialling(): void {
    this.#cancelRedial?.();
    this.#cancelRedial = null;
    this.#dial?.cancel();
    this.#dial = null;
  }

  #onDialled(address: string, result: DialResult): void {
    if (!result.ok) {
      this.#onDialFailed(address, result.problem, result.refusal);
      return;
    }
    const { channel, hello, said } = result;
    this.#voidDials = { bootNonce: hello.introduction.bootNonce, upTo: hello.dial };
    const connection = this.#establish(channel, hello);
    if (said !== this.#context.own) connection.introduce();
  }

  #onDialFailed(address: string, problem: Problem, refusal: PeerRefusal | null): void {
    this.#failures += 1;
    if (refusal !== null) {
      const fields = { peer: this.name, nodeId: this.nodeId, detail: refusal.text };
      this.#context.refusals.note(refusal.reason, address, fields);
    }
    // The connection that stays is about to come in: no problem to report.
    if (problem.reason !== "duplicate") {
      this.#problem = problem;
      this.#logProblem(address, problem);
    }
    this.#waiters.failAll(problem);
    this.#dialSoon();
    this.#giveUpIfUnwanted();
  }

  // -- the connection ------------------------------------------------------------------------------------------

  #establish(channel: Channel, hello: Hello): PeerConnection {
    const { introduction } = hello;
    // What strangers say must not push out what is known of members.
    if (introduction.clusterId !== "") this.#context.incarnations.accept(introduction);
    this.#introduction = introduction;
    const before = this.#connection;
    const connection = new PeerConnection(
      channel,
      { introduction, link: "peer" },
      this.#context,
      this,
    );
    this.#connection = connection;
    before?.close("replaced", "a newer connection has taken its place");
    this.#problem = null;
    this.#loggedProblem = "";
    const { remote } = connection;
    const fields = { peer: this.name, nodeId: this.nodeId, remote, version: introduction.version };
    const { logger } = this.#context;
    // Strangers may come and go as often as they like; the log is for members.
    if (this.#isMember) logger.info("peer connected", fields);
    else logger.debug("peer connected", fields);
    this.#owner.onIntroduced(connection);
    this.#waiters.askAll(connection);
    return connection;
  }

  onMessage(message: Message): void {
    this.#owner.onMessage(message);
  }

  onArrived(): void {
    this.#owner.onArrived();
  }

  onRequest(...request: Parameters<ConnectionOwner["onRequest"]>): void {
    this.#owner.onRequest(...request);
  }

  onIntroduced(connection: PeerConnection): void {
    this.#introduction = connection.introduction;
    this.#owner.onIntroduced(connection);
  }

  onRoundTrip(connection: PeerConnection, roundTripMs: number): void {
    this.#owner.onRoundTrip(connection, roundTripMs);
  }

  onEnd(connection: PeerConnection, problem: Problem): void {
    this.#sentBytes += connection.sentBytes;
    this.#receivedBytes += connection.receivedBytes;
    this.#countEnd(problem.reason);
    this.#unreachable();
    if (connection !== this.#connection) return;
    this.#connection = null;
    this.#lastContactAtMs = connection.lastContactAtMs;
    this.#problem = problem;
    const { scheduler, options } = this.#context;
    const wasSteady = scheduler.monotonicMs() - connection.openedAtMs >= options.steadyMs;
    this.#failures = wasSteady ? 0 : this.#failures + 1;
    if (!this.#isClosed) this.#logProblem(connection.remote, problem);
    this.#dialSoon();
    this.#giveUpIfUnwanted();
  }

  #countEnd(reason: string): void {
    const { closed } = this.#context.stats;
    if ((CLOSE_REASONS as readonly string[]).includes(reason)) closed[reason as CloseReason] += 1;
  }

  /** In a later turn: the driver may be in the middle of handing out work. */
  #unreachable(): void {
    if (this.#isUnreachableDue) return;
    this.#isUnreachableDue = true;
    queueMicrotask(() => {
      this.#isUnreachableDue = false;
      this.#owner.onUnreachable(this.nodeId);
    });
  }

  #giveUpIfUnwanted(): void {
    if (this.#isWanted || this.#connection !== null) return;
    this.#stopDialling();
    this.#owner.onIdle(this);
  }

  /** Once per problem: a peer that is down is dialled every second. */
  #logProblem(address: string, { reason, text }: Problem): void {
    if (this.#loggedProblem === reason || !this.#isMember) return;
    this.#loggedProblem = reason;
    const fields = { peer: this.name, nodeId: this.nodeId, address, reason, detail: text };
    this.#context.logger.warn("peer not reachable", fields);
  }
}
