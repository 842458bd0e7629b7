/**
 * One connection to one server: the hello, requests by id, answers in any order, and its end. One state machine, so
 * one file.
 *
 *   opening ──channel open──► greeting ──HelloReply──► ready ──► closed
 *      └───────────────┴── error, close, time-out ──────┴─────────►
 *
 * Invariants:
 * - an exchange in `#open` has been handed to the channel and its last frame has not arrived. That includes
 *   abandoned ones: their ids are not free before the server has said its last word about them, and they count
 *   for the server's limit;
 * - `sink.onEnd` is called exactly once per exchange, except for abandoned ones, which are never called again;
 * - any frame that makes no sense ends the connection: after it, nothing that follows could be trusted.
 */
import { assert, HearthError, IdTable, isHearthError } from "../base/index.ts";
import {
  BUNDLE_MAX_BYTES,
  BundleReader,
  createFrameHeader,
  decodeErrorReply,
  decodeLeaderNotice,
  FLAG,
  type FrameHeader,
  type FrameRefusal,
  HeldDictionaries,
  type HelloReply,
  type LeaderNotice,
  OP,
  readFrameHeader,
  usableBundleBytes,
} from "../protocol/index.ts";
import { connectionLost, protocolViolation } from "./errors.ts";
import { Exchange } from "./exchange.ts";
import { buildFrame, controlFrame, payloadOf, writeRequestHeader } from "./frames.ts";
import { helloExchange } from "./hello.ts";
import { KeepAlive } from "./keep-alive.ts";
import { Outbox } from "./outbox.ts";
import type { Channel, ChannelClose, Transport } from "./transport/transport.ts";
import type { PeerInfo } from "./types.ts";

export interface ConnectionSettings {
  readonly endpoint: string;
  readonly name: string;
  readonly role: string;
  readonly keepAliveIntervalMs: number;
  /** Bytes that may wait in the channel before requests are refused. */
  readonly maxBufferedBytes: number;
  /** Cost of dictionary records to keep; 0 = none. */
  readonly dictionaryMaxBytes: number;
  /** Ask to be told when another member leads. */
  readonly followLeader: boolean;
}

/** Told by the connection to its owner; onClosed comes exactly once, onReady before it at most once. */
export interface ConnectionListener {
  onReady(connection: Connection): void;
  /** Another member leads. The hello says who does when the connection is made. */
  onLeader(leader: LeaderNotice): void;
  onClosed(connection: Connection, error: HearthError, isDraining: boolean): void;
}

type ConnectionState = "opening" | "greeting" | "ready" | "closed";

const ANSWER_FLAGS = FLAG.last | FLAG.error | FLAG.entries;
const REQUEST_ID_MAX = 0xffff_ffff;

export class Connection {
  readonly endpoint: string;
  readonly #settings: ConnectionSettings;
  readonly #listener: ConnectionListener;
  readonly #channel: Channel;
  readonly #outbox: Outbox;
  readonly #bundleMaxBytes: number;
  readonly #keepAlive: KeepAlive;
  readonly #header: FrameHeader = createFrameHeader();
  #open = new IdTable<Exchange>();
  /** Beyond the server's limit of open requests; in order of arrival. */
  readonly #queue = new Set<Exchange>();
  #state: ConnectionState = "opening";
  #hello: HelloReply | null = null;
  /** What the server sent for its answers to refer to; null when it was not asked to, or does not. */
  #held: HeldDictionaries | null = null;
  #nextRequestId = 1;
  #closeError: HearthError | null = null;
  #isRetiring = false;
  #isChannelClosed = false;
  readonly #onChannelClosed: (() => void)[] = [];

  constructor(
    settings: ConnectionSettings,
    modules: { readonly transport: Transport; readonly listener: ConnectionListener },
  ) {
    this.endpoint = settings.endpoint;
    this.#settings = settings;
    this.#listener = modules.listener;
    const { messageMaxBytes = BUNDLE_MAX_BYTES } = modules.transport;
    this.#bundleMaxBytes = Math.min(BUNDLE_MAX_BYTES, messageMaxBytes);
    this.#keepAlive = new KeepAlive(settings.keepAliveIntervalMs, {
      probe: () => this.#probe(),
      onSilence: (silentMs) =>
        this.fail(connectionLost(this.endpoint, `no sign of life for ${silentMs} ms`)),
    });
    this.#channel = modules.transport.open(settings.endpoint, {
      onOpen: () => this.#greet(),
      onFrame: (message) => this.#onMessage(message),
      onClose: (close) => this.#onClose(close),
    });
    this.#outbox = new Outbox((message) => this.#channel.send(message));
  }

  get isReady(): boolean {
    return this.#state === "ready";
  }

  /** Whether the transport has a connection, with or without a hello: tells two kinds of silence apart. */
  get hasChannel(): boolean {
    return this.#state === "greeting" || this.#state === "ready";
  }

  /** What the server said of itself and its limits. Only once ready. */
  get hello(): HelloReply {
    assert(this.#hello !== null, "The hello of a connection was asked for before it was ready");
    return this.#hello;
  }

  get peer(): PeerInfo {
    const { nodeId, clusterId, version } = this.hello;
    return { endpoint: this.endpoint, nodeId, clusterId, version };
  }

  /**
   * Sends a request now, or once the server's limit of open requests lets it.
   *
   * Errors: `unavailable` if the connection is not ready, `invalid_argument` for a frame over the server's limit,
   *   `resource_exhausted` while the channel is full. Nothing was sent then.
   */
  begin(exchange: Exchange): void {
    if (this.#state !== "ready" || this.#isRetiring) {
      throw this.#closeError ?? connectionLost(this.endpoint, "it is closing");
    }
    this.#checkSize(exchange.frame.length);
    if (this.#open.size >= this.hello.inFlightMax) {
      exchange.state = "queued";
      this.#queue.add(exchange);
    } else {
      this.#send(exchange);
    }
  }

  /** Gives up on a request: nobody waits for its answer, and the server is told. */
  abandon(exchange: Exchange): void {
    if (exchange.state === "queued") this.#queue.delete(exchange);
    if (exchange.state === "sent" && this.#state === "ready") {
      this.#outbox.send(controlFrame(OP.cancel, exchange.requestId));
    }
    exchange.state = "done";
    this.#closeIfRetired();
  }

  /** Lets the server send `bytes` more of a streamed answer. */
  grant(exchange: Exchange, bytes: number): void {
    if (exchange.state !== "sent" || this.#state !== "ready") return;
    this.#outbox.send(controlFrame(OP.credit, exchange.requestId, bytes));
  }

  /**
   * Ends the connection in an orderly way; open requests fail with `error`. Resolves when the channel is closed,
   * which the channel bounds in time.
   */
  close(error: HearthError): Promise<void> {
    this.#end(error, false);
    if (this.#isChannelClosed) return Promise.resolve();
    this.#channel.close();
    return new Promise((resolve) => {
      this.#onChannelClosed.push(resolve);
    });
  }

  /** Ends the connection at once: the server is silent or breaks the protocol. */
  fail(error: HearthError): void {
    this.#end(error, false);
    this.#channel.terminate();
  }

  /** Takes no new requests and closes when the open ones are answered. */
  retire(): void {
    this.#isRetiring = true;
    this.#closeIfRetired();
  }

  #greet(): void {
    if (this.#state !== "opening") return;
    this.#state = "greeting";
    const { name, role, dictionaryMaxBytes, followLeader } = this.#settings;
    const wants = {
      dictionaryMaxBytes,
      wantsLeader: followLeader,
      bundleMaxBytes: this.#bundleMaxBytes,
    };
    const onRefused = (error: HearthError): void => this.fail(error);
    const onHello = (hello: HelloReply): void => this.#onHello(hello);
    this.#send(helloExchange({ name, role, ...wants, onHello, onRefused }));
  }

  #onHello(hello: HelloReply): void {
    this.#hello = hello;
    const { dictionaryMaxBytes } = hello;
    this.#outbox.useBundles(usableBundleBytes(hello.bundleMaxBytes));
    if (dictionaryMaxBytes > 0) this.#held = new HeldDictionaries(dictionaryMaxBytes);
    this.#state = "ready";
    this.#keepAlive.start();
    this.#listener.onReady(this);
  }

  #probe(): void {
    const sink = { onFrame: (): void => {}, onEnd: (): void => {} };
    const frame = buildFrame(() => {});
    this.#send(new Exchange({ opcode: OP.ping, frame, timeoutMs: 0, credit: 0, sink }));
  }

  #checkSize(bytes: number): void {
    const { frameMaxBytes } = this.hello;
    if (bytes > frameMaxBytes) {
      throw new HearthError(
        "invalid_argument",
        `Cannot send a frame of ${bytes} bytes, limit of ${this.endpoint} is ${frameMaxBytes}`,
        { reason: "frame_too_large", next: "Send fewer blocks in one request" },
      );
    }
    const waiting = this.#channel.bufferedBytes + this.#outbox.waitingBytes;
    if (waiting + bytes > this.#settings.maxBufferedBytes) {
      throw new HearthError(
        "resource_exhausted",
        `Cannot send ${bytes} bytes: ${waiting} bytes wait for ${this.endpoint} already`,
        {
          reason: "channel_full",
          next: "The server reads slowly; send less, or to another member",
        },
      );
    }
  }

  #send(exchange: Exchange): void {
    const requestId = this.#takeRequestId();
    exchange.requestId = requestId;
    exchange.state = "sent";
    exchange.sent = "maybe";
    this.#open.add(exchange);
    const { opcode, timeoutMs, credit: aux } = exchange;
    writeRequestHeader(exchange.frame, { opcode, requestId, timeoutMs, aux });
    this.#outbox.send(exchange.frame);
  }

  #takeRequestId(): number {
    for (;;) {
      if (this.#nextRequestId > REQUEST_ID_MAX) this.#nextRequestId = 1;
      const requestId = this.#nextRequestId++;
      if (!this.#open.has(requestId)) return requestId;
    }
  }

  #onMessage(message: Uint8Array): void {
    if (this.#state === "closed") return;
    this.#keepAlive.heard();
    const refusal = readFrameHeader(message, this.#header);
    if (refusal === null && this.#header.opcode === OP.bundle) this.#openBundle(message);
    else this.#onFrame(message, refusal);
  }

  #openBundle(message: Uint8Array): void {
    const bundle = new BundleReader();
    if (!this.isReady || !bundle.open(message, this.#header)) {
      this.fail(protocolViolation(this.endpoint, "a bundle of frames that cannot be taken apart"));
      return;
    }
    while (this.isReady && bundle.step()) {
      const frame = message.subarray(bundle.start, bundle.end);
      this.#onFrame(frame, readFrameHeader(frame, this.#header));
    }
  }

  /** A frame whose header was read. */
  #onFrame(frame: Uint8Array, refusal: FrameRefusal | null): void {
    const problem = refusal?.replaceAll("_", " ") ?? this.#problem();
    const { requestId, flags } = this.#header;
    const isError = (flags & FLAG.error) !== 0;
    if (problem !== null) {
      this.fail(protocolViolation(this.endpoint, problem));
    } else if (requestId === 0) {
      if (isError) this.#onConnectionError(frame);
      else if (this.#header.opcode === OP.leader_changed) this.#onLeaderChanged(frame);
      else this.#onRecords(frame);
    } else {
      const exchange = this.#open.get(requestId) as Exchange;
      this.#deliver(exchange, frame, { isError, isLast: isError || (flags & FLAG.last) !== 0 });
    }
  }

  /** What is wrong with an answer that has this header, or null. */
  #problem(): string | null {
    const { requestId, flags, opcode } = this.#header;
    if ((flags & ~ANSWER_FLAGS) !== 0) return `unknown flags ${flags}`;
    if (requestId === 0) {
      const isKnown =
        (opcode === OP.dictionary && this.#held !== null) ||
        (opcode === OP.leader_changed && this.#settings.followLeader && this.isReady);
      return (flags === 0 && isKnown) || (flags & FLAG.error) !== 0
        ? null
        : "an answer without a request id";
    }
    const exchange = this.#open.get(requestId);
    if (exchange === null) return `an answer to unknown request ${requestId}`;
    if (opcode !== exchange.opcode)
      return `opcode ${opcode} answers a request of opcode ${exchange.opcode}`;
    const mayReferToRecords = opcode === OP.get_block_metadata && this.#held !== null;
    if ((flags & FLAG.entries) === 0 || mayReferToRecords) return null;
    return "entries that were not asked for";
  }

  /** Records that later answers refer to. */
  #onRecords(frame: Uint8Array): void {
    try {
      this.#held = (this.#held as HeldDictionaries).receive(payloadOf(frame));
    } catch (cause) {
      this.fail(protocolViolation(this.endpoint, "dictionary records that cannot be read", cause));
    }
  }

  #onLeaderChanged(frame: Uint8Array): void {
    try {
      const leader = decodeLeaderNotice(payloadOf(frame));
      if (leader !== null) this.#listener.onLeader(leader);
    } catch (cause) {
      this.fail(protocolViolation(this.endpoint, "a leader that cannot be read", cause));
    }
  }

  /** An error that belongs to no request: the server explains why it closes. */
  #onConnectionError(frame: Uint8Array): void {
    try {
      this.fail(this.#readError(frame));
    } catch (cause) {
      this.fail(protocolViolation(this.endpoint, "an error that cannot be read", cause));
    }
  }

  #deliver(
    exchange: Exchange,
    frame: Uint8Array,
    { isError, isLast }: { readonly isError: boolean; readonly isLast: boolean },
  ): void {
    if (isLast) this.#open.delete(exchange.requestId);
    // Else it was abandoned, and this is the server's last word about it, or an earlier one.
    if (exchange.state === "sent") {
      exchange.sent = "yes";
      if (isLast) exchange.state = "done";
      try {
        const error = isError ? this.#readError(frame) : null;
        if (error === null) exchange.sink.onFrame({ bytes: frame, held: this.#heldFor() });
        if (isLast) exchange.sink.onEnd(error);
      } catch (cause) {
        this.#onBadAnswer(exchange, cause);
        return;
      }
    }
    if (isLast) this.#fillUp();
  }

  /** What the frame that was just received refers to. */
  #heldFor(): HeldDictionaries | null {
    return (this.#header.flags & FLAG.entries) === 0 ? null : this.#held;
  }

  #readError(frame: Uint8Array): HearthError {
    return decodeErrorReply(payloadOf(frame)).with({ sent: "yes", endpoint: this.endpoint });
  }

  /** The payload of an answer makes no sense: its request learns that first, then all others. */
  #onBadAnswer(exchange: Exchange, cause: unknown): void {
    const why = cause instanceof Error ? cause.message : String(cause);
    const isJudged = isHearthError(cause) && cause.reason === "protocol_violation";
    const violation = isJudged
      ? cause
      : protocolViolation(this.endpoint, `an answer that cannot be read (${why})`, cause);
    this.#open.delete(exchange.requestId);
    exchange.state = "done";
    exchange.sink.onEnd(violation.with({ sent: "yes" }));
    this.fail(violation);
  }

  /** Sends what waited for the server's limit. */
  #fillUp(): void {
    if (this.#state !== "ready") return;
    for (const exchange of this.#queue) {
      if (this.#open.size >= this.hello.inFlightMax) return;
      this.#queue.delete(exchange);
      this.#send(exchange);
    }
    this.#closeIfRetired();
  }

  #closeIfRetired(): void {
    if (!this.#isRetiring || this.#state !== "ready") return;
    if (this.#open.size > 0 || this.#queue.size > 0) return;
    void this.close(connectionLost(this.endpoint, "no longer needed"));
  }

  #onClose(close: ChannelClose): void {
    this.#isChannelClosed = true;
    for (const resolve of this.#onChannelClosed) resolve();
    this.#end(connectionLost(this.endpoint, close.reason, close.cause), close.isDraining);
  }

  #end(error: HearthError, isDraining: boolean): void {
    if (this.#state === "closed") return;
    this.#state = "closed";
    this.#closeError = error;
    this.#keepAlive.stop();
    const open = this.#open.values().sort((a, b) => a.requestId - b.requestId);
    const ended = [...open, ...this.#queue];
    this.#open = new IdTable();
    this.#queue.clear();
    for (const exchange of ended) {
      if (exchange.state === "done") continue;
      exchange.state = "done";
      exchange.sink.onEnd(error.with({ sent: exchange.sent }));
    }
    this.#listener.onClosed(this, error, isDraining);
  }
}
