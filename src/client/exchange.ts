/**
 * One request on one connection and where its answer goes. A call that is repeated makes a new exchange each time.
 */
import type { HearthError, SentState } from "../base/index.ts";
import type { HeldDictionaries } from "../protocol/index.ts";

/** A frame of an answer. */
export interface AnswerFrame {
  /** Header included. */
  readonly bytes: Uint8Array;
  /** Of an entry chunk: what its ids refer to, which later frames do not change. Null for other payloads. */
  readonly held: HeldDictionaries | null;
}

/** Receives an answer. Callbacks never throw except to say that the server's bytes make no sense. */
export interface AnswerSink {
  /** One frame of the answer; owned by the sink. */
  onFrame(frame: AnswerFrame): void;
  /** The end, exactly once: null after the last frame, else why there is no (complete) answer. */
  onEnd(error: HearthError | null): void;
}

/** Life of an exchange on its connection; only the connection changes it. */
export type ExchangeState = "new" | "queued" | "sent" | "done";

export interface ExchangeSettings {
  readonly opcode: number;
  /** The request with room for its header, which the connection writes. */
  readonly frame: Uint8Array;
  /** Time budget told to the server, ms; 0 = the server's default. */
  readonly timeoutMs: number;
  /** Initial credit of a streamed answer, bytes; 0 otherwise. */
  readonly credit: number;
  readonly sink: AnswerSink;
}

export class Exchange {
  readonly opcode: number;
  readonly frame: Uint8Array;
  readonly timeoutMs: number;
  readonly credit: number;
  readonly sink: AnswerSink;
  /** 0 until the connection takes it. */
  requestId = 0;
  state: ExchangeState = "new";
  /** Whether a server may have seen it: stays "maybe" until an answer arrives. */
  sent: SentState = "no";

  constructor(settings: ExchangeSettings) {
    this.opcode = settings.opcode;
    this.frame = settings.frame;
    this.timeoutMs = settings.timeoutMs;
    this.credit = settings.credit;
    this.sink = settings.sink;
  }
}
