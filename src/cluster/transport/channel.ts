/**
 * Frames over one socket: cuts what arrives, gathers what leaves, counts both, and ends exactly once.
 *
 * Everything sent in one callback of the event loop leaves in one gathering write at its end, in the order of `send`.
 * What the system does not take at once waits in the socket's queue, which is bounded: above the bound the channel ends,
 * since a gap in the stream would be worse than a new connection.
 */

import type { Socket } from "node:net";
import { freeMemory, type Scheduler } from "../../base/index.ts";
import { type Problem, wordsOf } from "../errors.ts";
import { CONTROL_BYTES } from "../frames/frame.ts";
import { FrameReader } from "../frames/frame-reader.ts";
import { PEER_LIMITS } from "../limits.ts";
import type { PeerNetworkStats } from "../metrics.ts";
import { gather } from "./gather.ts";

/** Before the hello nothing longer than a hello is taken. */
const STRANGER_FRAME_MAX_BYTES = CONTROL_BYTES + PEER_LIMITS.introductionMaxBytes;

export interface ChannelOwner {
  /** A whole frame, which is the owner's. */
  onFrame(kind: number, frame: Uint8Array<ArrayBuffer>): void;
  /** The frames that arrived together were handed over. */
  onArrived?(): void;
  /** Once; nothing comes after it. */
  onEnd(problem: Problem): void;
}

export class Channel {
  /** Remote address and port, for the log. */
  readonly remote: string;
  sentBytes = 0;
  receivedBytes = 0;
  /** Grows with everything that arrives, so that silence can be told. */
  arrivals = 0;
  readonly #socket: Socket;
  readonly #sendQueueMaxBytes: number;
  readonly #stats: PeerNetworkStats;
  readonly #scheduler: Scheduler;
  readonly #reader: FrameReader;
  #owner: ChannelOwner;
  #pieces: Uint8Array[] = [];
  #piecesBytes = 0;
  #isFlushScheduled = false;
  #hasEnded = false;

  constructor(
    socket: Socket,
    options: { readonly sendQueueMaxBytes: number },
    modules: { readonly stats: PeerNetworkStats; readonly scheduler: Scheduler },
    owner: ChannelOwner,
  ) {
    this.#socket = socket;
    this.#sendQueueMaxBytes = options.sendQueueMaxBytes;
    this.#stats = modules.stats;
    this.#scheduler = modules.scheduler;
    this.#owner = owner;
    this.#reader = new FrameReader(STRANGER_FRAME_MAX_BYTES, (kind, frame) =>
      this.#owner.onFrame(kind, frame),
    );
    this.remote = `${socket.remoteAddress ?? "unknown"}:${socket.remotePort ?? 0}`;
    socket.on("data", (chunk: Buffer) => this.#onData(chunk));
    socket.on("end", () => this.end({ reason: "ended", text: "connection closed by the peer" }));
    socket.on("error", (error) => this.end({ reason: "failed", text: wordsOf(error) }));
    socket.on("close", () => this.end({ reason: "ended", text: "connection closed" }));
  }

  get hasEnded(): boolean {
    return this.#hasEnded;
  }

  /** Bytes that wait in this process. */
  get queuedBytes(): number {
    return this.#piecesBytes + this.#socket.writableLength;
  }

  /** The handshake is over: frames go to a new owner. */
  handOver(owner: ChannelOwner): void {
    this.#owner = owner;
  }

  /** Longest frame that is taken from now on, below what its kind allows anyway. */
  set frameMaxBytes(bytes: number) {
    this.#reader.frameMaxBytes = bytes;
  }

  /** Queues one frame; its pieces are borrowed until they have left. */
  send(pieces: readonly Uint8Array[]): void {
    if (this.#hasEnded) return;
    let bytes = 0;
    for (const piece of pieces) {
      this.#pieces.push(piece);
      bytes += piece.length;
    }
    this.#piecesBytes += bytes;
    this.sentBytes += bytes;
    this.#stats.sentBytes += bytes;
    if (this.queuedBytes > this.#sendQueueMaxBytes) {
      const text = `more than ${this.#sendQueueMaxBytes} bytes wait to be sent`;
      this.end({ reason: "overflow", text });
      return;
    }
    if (this.#isFlushScheduled) return;
    this.#isFlushScheduled = true;
    queueMicrotask(() => this.flush());
  }

  /** Gives the system what was queued, before the end of this callback. */
  flush(): void {
    this.#isFlushScheduled = false;
    if (this.#pieces.length > 0) this.#write();
  }

  /** Ends at once; what waits is lost. */
  end(problem: Problem): void {
    if (this.#hasEnded) return;
    this.#stop();
    this.#socket.destroy();
    this.#owner.onEnd(problem);
  }

  /** Ends after what waits has been handed to the system, or after a short time. */
  endWithLastWords(problem: Problem): void {
    if (this.#hasEnded) return;
    this.flush();
    this.#stop();
    const socket = this.#socket;
    const cancel = this.#scheduler.after(PEER_LIMITS.lastWordsMs, () => socket.destroy());
    socket.once("close", cancel);
    socket.end();
    this.#owner.onEnd(problem);
  }

  #stop(): void {
    this.#hasEnded = true;
    this.#reader.stop();
    this.#pieces = [];
    this.#piecesBytes = 0;
  }

  #onData(chunk: Buffer): void {
    if (this.#hasEnded) return;
    this.arrivals += 1;
    this.receivedBytes += chunk.length;
    this.#stats.receivedBytes += chunk.length;
    const fault = this.#reader.push(chunk);
    // It was copied, and is nobody else's: under load these are tens of MiB a second.
    if (chunk.length === chunk.buffer.byteLength) freeMemory(chunk.buffer);
    if (fault !== null) this.end({ reason: fault, text: FAULT_TEXT[fault] });
    this.#owner.onArrived?.();
  }

  #write(): void {
    const pieces = gather(this.#pieces);
    this.#pieces = [];
    this.#piecesBytes = 0;
    const socket = this.#socket;
    if (pieces.length === 1) {
      socket.write(pieces[0] as Uint8Array);
      return;
    }
    socket.cork();
    for (const piece of pieces) socket.write(piece);
    socket.uncork();
  }
}

const FAULT_TEXT = {
  not_a_peer: "what arrives is not the peer protocol",
  bad_frame: "a frame arrived damaged",
  too_large: "a frame is larger than allowed",
  unknown_kind: "a frame of a kind that this version does not know",
} as const;
