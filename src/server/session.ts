/**
 * The binary protocol on one connection, free of sockets: frames in, frames out.
 *
 *   frame ──> header ──violation──> error frame with request id 0, then close
 *                │
 *                ├─ Cancel, Credit: to the request they name; no answer; late ones are normal and ignored
 *                ├─ refusals that have a request id: an error answer, the connection lives on
 *                └─ Hello, Ping here; everything else to the request handler
 *
 * A violation is what leaves no request to answer: not our frame, id 0, an id in use (an answer to it would end the
 * wrong request), a Cancel or Credit with flags. Answers of one turn leave together (uws corks inside handlers).
 */

import { errorCodeNumber, HearthError, IdTable, toHearthError } from "../base/index.ts";
import {
  appendFrameHeader,
  BUNDLE_MAX_BYTES,
  BundleReader,
  type ByteSink,
  createFrameHeader,
  decodeHello,
  encodeErrorReply,
  encodeHelloReply,
  FLAG,
  type FrameHeader,
  LookUpFrame,
  mayBeLookUp,
  OP,
  opcodeOf,
  PROTOCOL_MAX,
  PROTOCOL_MIN,
  readFrameHeader,
  SentDictionaries,
  usableBundleBytes,
  writeFrameHeader,
  writeFrameHeaderWords,
  FRAME_HEADER_BYTES,
} from "../protocol/index.ts";
import type { Reply } from "../service/index.ts";
import { Call, type CallOwner, type CallTerms } from "./call.ts";
import { SOCKET_BACKLOG_BYTES } from "./limits.ts";
import { CLOSE_CODES, type Connection, type ConnectionEvents } from "./listener.ts";
import type { LeaderListener, LeaderNews } from "./leader-news.ts";
import type { ThreadCounters } from "./metrics.ts";
import type { ServerIdentity, SessionLimits } from "./options.ts";
import { type Gatherer, Outbox } from "./outbox.ts";

/** Does what a request asks. The frame is borrowed until the call returns; a throw becomes the answer. */
export interface RequestHandler {
  handle(opcode: number, frame: Uint8Array, reply: Reply): void;
  /**
   * Answers the look-up that was read from its frame, if that may be done now; false when nothing has happened. Throws
   * nothing: what goes wrong becomes the answer.
   */
  maybeLookUp(lookUp: LookUpFrame, reply: Reply): boolean;
}

/** What the sessions of a thread share. */
export interface SessionModules {
  readonly handler: RequestHandler;
  readonly identity: ServerIdentity;
  readonly leaderNews: LeaderNews;
  readonly counters: ThreadCounters;
  readonly deadlines: { watch(session: Session): void };
  /** Answers are put together here; one per thread, so that sending does not allocate. */
  readonly frames: ByteSink;
  readonly payloads: ByteSink;
  /** For peers that take bundles. */
  readonly gatherer: Gatherer;
  /** Dictionary records on their way to a peer. */
  readonly records: ByteSink;
  /** Ms of a clock that never goes back. */
  readonly nowMs: () => number;
  /** When a request that is looked at now began, of the same clock. */
  readonly beganMs: () => number;
  /** Largest chunk of a streamed answer, for HelloReply. */
  readonly chunkMaxBytes: number;
  /** True once the thread takes no further requests. */
  readonly isStopping: () => boolean;
}

/** One thread handles one frame at a time: one header is enough for all sessions. */
const REQUEST: FrameHeader = createFrameHeader();
const ANSWER: FrameHeader = createFrameHeader();
const LOOK_UP = new LookUpFrame();

export class Session implements ConnectionEvents, CallOwner, LeaderListener {
  readonly #limits: SessionLimits;
  readonly #modules: SessionModules;
  readonly #connection: Connection;
  readonly #outbox: Outbox;
  /** Requests without a complete answer, by id. Those answered inside their handler never enter it. */
  readonly #calls = new IdTable<Call>();
  #isOpen = true;
  #hasGreeted = false;
  readonly #bundle = new BundleReader();
  #queuedBytes = 0;
  /** For look-ups that are answered in their handler. */
  #spareCall = new Call(this);
  /** Null until a Hello asks for it, and for peers that keep nothing. */
  #dictionaries: SentDictionaries | null = null;

  constructor(limits: SessionLimits, modules: SessionModules & { connection: Connection }) {
    this.#limits = limits;
    this.#modules = modules;
    this.#connection = modules.connection;
    this.#outbox = new Outbox(modules.connection, modules.gatherer, modules.nowMs);
    modules.counters.connectionsOpened++;
    modules.counters.connections++;
  }

  get isOpen(): boolean {
    return this.#isOpen;
  }

  /** Requests without a complete answer. */
  get inFlight(): number {
    return this.#calls.size;
  }

  nowMs(): number {
    return this.#modules.nowMs();
  }

  beganMs(): number {
    return this.#modules.beganMs();
  }

  message(frame: Uint8Array): void {
    if (!this.#isOpen) return;
    const refusal = readFrameHeader(frame, REQUEST);
    if (refusal === null && REQUEST.opcode === OP.bundle) {
      this.#openBundle(frame);
      return;
    }
    const { counters } = this.#modules;
    counters.framesReceived++;
    counters.receivedBytes += frame.length;
    if (refusal !== null) this.#violate(refusal, "The frame is not one of this protocol");
    else if (REQUEST.requestId === 0)
      this.#violate("request_id_zero", "Request id 0 is not allowed");
    else if (REQUEST.opcode === OP.cancel || REQUEST.opcode === OP.credit) this.#control(REQUEST);
    else if (this.#calls.size > 0 && this.#calls.has(REQUEST.requestId)) {
      this.#violate("request_id_in_use", `Request id ${REQUEST.requestId} is in flight already`);
    } else this.#request(REQUEST, frame);
  }

  /**
   * The short way of a look-up that can be answered at once, which most are. It takes what `message` would take too, and
   * leaves everything that must be refused, or has to wait, to that.
   */
  maybeAnswer(words: Int32Array, at = 0, end = words.length): boolean {
    if (!this.#canTakeRequests() || !LOOK_UP.tryRead(words, at, end)) return false;
    const { requestId } = LOOK_UP;
    if (requestId === 0 || (this.#calls.size > 0 && !this.#isFree(requestId))) return false;
    const call = this.#beginCall(this.#spareCall, OP.get_block_metadata, LOOK_UP);
    if (!this.#modules.handler.maybeLookUp(LOOK_UP, call)) return false;
    const { counters } = this.#modules;
    counters.framesReceived++;
    counters.receivedBytes += 4 * (end - at);
    // What was answered is held by nobody, and may be the next one.
    if (call.isSettled) return true;
    this.#keepUnlessSettled(call);
    this.#spareCall = new Call(this);
    return true;
  }

  drain(): void {
    for (const call of this.#calls.values()) {
      if (!this.canSendChunk()) return;
      call.pump();
    }
  }

  close(): void {
    this.#isOpen = false;
    this.#modules.counters.connections--;
    this.#modules.leaderNews.remove(this);
    // Writes on their way go on; their answers find the call settled.
    for (const call of this.#calls.values()) call.abandon();
  }

  /** Fails what is out of time; returns how many requests are left to watch. */
  sweep(nowMs: number): number {
    for (const call of this.#calls.values()) {
      if (nowMs >= call.deadlineAtMs) call.expire();
    }
    return this.#calls.size;
  }

  cork(body: () => void): void {
    if (this.#isOpen) this.#connection.cork(() => this.#outbox.gather(body));
    else body();
  }

  canSendChunk(): boolean {
    return this.#connection.bufferedBytes < SOCKET_BACKLOG_BYTES;
  }

  sendFrame(call: Call, flags: number, payload: Uint8Array): void {
    ANSWER.opcode = call.opcode;
    ANSWER.requestId = call.requestId;
    this.#send(flags, payload);
  }

  sendChunk(call: Call, flags: number, chunk: Uint8Array): void {
    if (chunk.byteOffset < FRAME_HEADER_BYTES) {
      this.sendFrame(call, flags, chunk);
      return;
    }
    // The chunk's producer left room for the header: the frame goes out without a copy.
    const start = chunk.byteOffset - FRAME_HEADER_BYTES;
    const frame = new Uint8Array(chunk.buffer, start, FRAME_HEADER_BYTES + chunk.length);
    ANSWER.opcode = call.opcode;
    ANSWER.requestId = call.requestId;
    ANSWER.flags = flags;
    writeFrameHeader(frame, 0, ANSWER);
    this.#sendBytes(frame);
  }

  get dictionaries(): SentDictionaries | null {
    return this.#dictionaries;
  }

  sendEntries(call: Call, flags: number, chunk: ByteSink): void {
    const records = this.#dictionaries?.takeRecords() ?? null;
    if (records !== null) {
      ANSWER.opcode = OP.dictionary;
      ANSWER.requestId = 0;
      this.#send(0, records);
    }
    ANSWER.opcode = call.opcode;
    ANSWER.requestId = call.requestId;
    ANSWER.flags = flags;
    writeFrameHeaderWords(chunk.u32, ANSWER);
    this.#sendBytes(chunk.prefix());
  }

  leaderChanged(payload: Uint8Array): void {
    ANSWER.opcode = OP.leader_changed;
    ANSWER.requestId = 0;
    this.#send(0, payload);
  }

  sendError(call: Call, error: HearthError): void {
    this.#modules.counters.countRejected(error.reason);
    ANSWER.opcode = call.opcode;
    ANSWER.requestId = call.requestId;
    this.#send(FLAG.last | FLAG.error, this.#encodeError(error));
  }

  tryReserveQueue(bytes: number): boolean {
    const { counters } = this.#modules;
    if (this.#queuedBytes + bytes > this.#limits.queuedAnswerMaxBytes) return false;
    const threadBytes = counters.queuedAnswerBytes + bytes;
    if (threadBytes > this.#limits.queuedAnswersPerThreadMaxBytes) return false;
    this.#queuedBytes += bytes;
    counters.queuedAnswerBytes = threadBytes;
    return true;
  }

  releaseQueue(bytes: number): void {
    this.#queuedBytes -= bytes;
    this.#modules.counters.queuedAnswerBytes -= bytes;
  }

  settled(call: Call, codeNumber: number): void {
    // Mostly empty: what is answered inside its handler never enters it.
    if (this.#calls.size > 0) this.#calls.delete(call.requestId);
    const nowMs = this.#modules.nowMs();
    this.#modules.counters.countRequest(call.opcode, codeNumber, nowMs - call.startedAtMs);
    this.#outbox.noteTime(nowMs);
  }

  /** Frames in a bundle are taken as if each had come alone. A damaged bundle has no effect at all. */
  #openBundle(message: Uint8Array): void {
    const canTake = this.#hasGreeted && !this.#bundle.isOpen;
    if (!canTake || !this.#bundle.open(message, REQUEST)) {
      this.#violate("bad_bundle", "The bundle is damaged, in another one, or ahead of Hello");
      return;
    }
    this.#outbox.gather(() => this.#takeFrames(message));
  }

  #takeFrames(message: Uint8Array): void {
    const { buffer, byteOffset, length } = message;
    const bundle = this.#bundle;
    // A bundle is whole words; some listeners have messages anywhere.
    const words = (byteOffset & 3) === 0 ? new Int32Array(buffer, byteOffset, length >>> 2) : null;
    while (this.#isOpen && bundle.step()) {
      const { start, end } = bundle;
      const bytes = end - start;
      if (words === null || !mayBeLookUp(bytes) || !this.maybeAnswer(words, start >>> 2, end >>> 2))
        this.message(new Uint8Array(buffer, byteOffset + start, bytes));
    }
  }

  #control(header: FrameHeader): void {
    if (header.flags !== 0) {
      this.#violate("unknown_flags", `Flags ${header.flags} are not known`);
      return;
    }
    const call = this.#calls.get(header.requestId);
    if (call === null) return;
    if (header.opcode === OP.credit) call.addCredit(header.aux);
    else
      call.fail(new HearthError("cancelled", "The request was cancelled", { reason: "cancelled" }));
  }

  #canTakeRequests(): boolean {
    return this.#isOpen && this.#hasGreeted && !this.#modules.isStopping();
  }

  #isFree(requestId: number): boolean {
    return this.#calls.size < this.#limits.inFlightMax && !this.#calls.has(requestId);
  }

  #request(header: FrameHeader, frame: Uint8Array): void {
    const call = this.#beginCall(new Call(this), header.opcode, {
      requestId: header.requestId,
      timeoutMs: header.timeoutMs,
      creditBytes: header.aux,
    });
    try {
      this.#admit(header);
      this.#dispatch(header.opcode, frame, call);
    } catch (error) {
      call.fail(toHearthError(error));
    }
    this.#keepUnlessSettled(call);
  }

  #keepUnlessSettled(call: Call): void {
    if (call.isSettled || !this.#isOpen) return;
    this.#calls.add(call);
    this.#modules.deadlines.watch(this);
  }

  #beginCall(call: Call, opcode: number, terms: CallTerms): Call {
    const { requestId, creditBytes } = terms;
    const timeoutMs = terms.timeoutMs === 0 ? this.#limits.defaultTimeoutMs : terms.timeoutMs;
    return call.begin(opcode, { requestId, timeoutMs, creditBytes });
  }

  /** Throws what keeps the request from being looked at. */
  #admit(header: FrameHeader): void {
    if (header.flags !== 0) {
      const message = `Flags ${header.flags} are not known`;
      throw new HearthError("invalid_argument", message, { reason: "unknown_flags" });
    }
    if (opcodeOf(header.opcode) === undefined) {
      const message = `Operation ${header.opcode} does not exist`;
      throw new HearthError("unimplemented", message, { reason: "unknown_opcode" });
    }
    if (this.#hasGreeted === (header.opcode === OP.hello)) throw greetingError(this.#hasGreeted);
    if (this.#modules.isStopping()) {
      throw new HearthError("unavailable", "The server is stopping", { reason: "stopping" });
    }
    if (this.#calls.size >= this.#limits.inFlightMax) throw tooMany(this.#limits.inFlightMax);
  }

  #dispatch(opcode: number, frame: Uint8Array, call: Call): void {
    if (opcode === OP.hello) this.#greet(frame.subarray(FRAME_HEADER_BYTES), call);
    else if (opcode === OP.ping) call.end(EMPTY);
    else this.#modules.handler.handle(opcode, frame, call);
  }

  #greet(payload: Uint8Array, call: Call): void {
    const hello = decodeHello(payload);
    if (hello.protocolMin > PROTOCOL_MAX || hello.protocolMax < PROTOCOL_MIN) {
      const asked = `${hello.protocolMin} to ${hello.protocolMax}`;
      const message = `Protocol versions ${asked} are not spoken, ${PROTOCOL_MIN} to ${PROTOCOL_MAX} are`;
      throw new HearthError("failed_precondition", message, { reason: "protocol_version" });
    }
    this.#hasGreeted = true;
    const { identity, leaderNews, payloads, records, chunkMaxBytes } = this.#modules;
    if (hello.wantsLeader) leaderNews.add(this);
    const dictionaryMaxBytes = Math.min(hello.dictionaryMaxBytes, this.#limits.dictionaryMaxBytes);
    this.#outbox.useBundles(usableBundleBytes(hello.bundleMaxBytes));
    if (dictionaryMaxBytes > 0)
      this.#dictionaries = new SentDictionaries(dictionaryMaxBytes, { records });
    payloads.reset();
    const reply = {
      protocol: Math.min(hello.protocolMax, PROTOCOL_MAX),
      ...identity,
      frameMaxBytes: this.#limits.frameMaxBytes,
      inFlightMax: this.#limits.inFlightMax,
      chunkMaxBytes,
      dictionaryMaxBytes,
      leader: leaderNews.leader,
      bundleMaxBytes: Math.min(BUNDLE_MAX_BYTES, this.#limits.frameMaxBytes),
    };
    encodeHelloReply(payloads, reply);
    call.end(payloads.view());
  }

  #violate(reason: string, message: string): void {
    const { counters } = this.#modules;
    counters.countRejected(reason);
    counters.countRequest(0, errorCodeNumber("invalid_argument"), 0);
    ANSWER.opcode = 0;
    ANSWER.requestId = 0;
    const error = new HearthError("invalid_argument", message, { reason });
    this.#send(FLAG.last | FLAG.error, this.#encodeError(error));
    this.#outbox.flush();
    if (this.#isOpen) this.#connection.close(CLOSE_CODES.protocolError, reason);
    // Some listeners report the close later; until then nothing of this peer is looked at.
    this.#isOpen = false;
  }

  #encodeError(error: HearthError): Uint8Array {
    const { payloads } = this.#modules;
    payloads.reset();
    encodeErrorReply(payloads, error);
    return payloads.view();
  }

  #send(flags: number, payload: Uint8Array): void {
    const { frames } = this.#modules;
    ANSWER.flags = flags;
    frames.reset();
    appendFrameHeader(frames, ANSWER);
    frames.append(payload);
    this.#sendBytes(frames.view());
  }

  #sendBytes(frame: Uint8Array): void {
    if (!this.#isOpen) return;
    const { counters } = this.#modules;
    counters.framesSent++;
    counters.sentBytes += frame.length;
    // An overflow closes the connection, which comes back here as `close`.
    this.#outbox.send(frame);
  }
}

const EMPTY = new Uint8Array(0);

/** Of a thread, whose sessions have one limit: a peer that sends on is refused often, and making an error costs most of it. */
let inFlightRefusal: { readonly limit: number; readonly error: HearthError } | null = null;

function tooMany(limit: number): HearthError {
  if (inFlightRefusal?.limit !== limit) {
    const message = `${limit} requests are in flight, which is the limit`;
    const details = { reason: "in_flight", retryAfterMs: 10 };
    inFlightRefusal = { limit, error: new HearthError("resource_exhausted", message, details) };
  }
  return inFlightRefusal.error;
}

function greetingError(hasGreeted: boolean): HearthError {
  const reason = hasGreeted ? "hello_repeated" : "hello_missing";
  const message = hasGreeted ? "Hello was said already" : "The first request must be Hello";
  return new HearthError("failed_precondition", message, { reason });
}
