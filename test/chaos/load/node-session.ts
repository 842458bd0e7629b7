/**
 * One client's connection to one node, kept up. Every request is a single attempt: the client library would hide what
 * came of it, and here an outcome that is not known must stay not known.
 */

import { HearthError } from "../../../src/base/index.ts";
import { Connection } from "../../../src/client/connection.ts";
import { type AnswerFrame, Exchange } from "../../../src/client/exchange.ts";
import { createWebSocketTransport } from "../../../src/client/index.ts";

export type Answer =
  | { readonly ok: true; readonly frames: readonly AnswerFrame[] }
  /** `error.sent`: "no" means that the request has not left this process. */
  | { readonly ok: false; readonly error: HearthError };

export interface SessionOptions {
  readonly endpoint: string;
  readonly name: string;
  /** 0: answers come as plan chunks, else point reads as entry chunks. */
  readonly dictionaryMaxBytes: number;
}

const TRANSPORT = createWebSocketTransport();
const RECONNECT_MS = 40;
/** Streams of this load fit in one window: nothing has to be granted. */
const CREDIT_BYTES = 1024 * 1024;
const NOT_CONNECTED = new HearthError("unavailable", "Not connected", {
  reason: "no_connection",
  sent: "no",
});

export class NodeSession {
  readonly #options: SessionOptions;
  #connection: Connection | null = null;
  #timer: NodeJS.Timeout | undefined;
  #isClosed = false;

  constructor(options: SessionOptions) {
    this.#options = options;
    this.#open();
  }

  get isReady(): boolean {
    return this.#connection?.isReady === true;
  }

  /** One attempt. Not answered within `timeoutMs`: given up, `deadline_exceeded` with sent "maybe". */
  ask(opcode: number, frame: Uint8Array, timeoutMs: number): Promise<Answer> {
    const connection = this.#connection;
    if (connection === null || !connection.isReady) {
      return Promise.resolve({ ok: false, error: NOT_CONNECTED });
    }
    return new Promise((resolve) => {
      const frames: AnswerFrame[] = [];
      const settings = { opcode, frame, timeoutMs, credit: CREDIT_BYTES };
      const finish = (error: HearthError | null): void => {
        clearTimeout(timer);
        if (error === null) resolve({ ok: true, frames });
        else resolve({ ok: false, error });
      };
      const exchange = new Exchange({
        ...settings,
        sink: { onFrame: (answer) => frames.push(answer), onEnd: finish },
      });
      const timer = setTimeout(() => {
        connection.abandon(exchange);
        finish(
          new HearthError("deadline_exceeded", `No answer within ${timeoutMs} ms`, {
            sent: "maybe",
          }),
        );
      }, timeoutMs);
      try {
        connection.begin(exchange);
      } catch (error) {
        finish((error as HearthError).with({ sent: "no" }));
      }
    });
  }

  close(): void {
    this.#isClosed = true;
    clearTimeout(this.#timer);
    this.#connection?.fail(NOT_CONNECTED);
  }

  #open(): void {
    if (this.#isClosed) return;
    const { endpoint, name, dictionaryMaxBytes } = this.#options;
    const settings = {
      endpoint: `ws://${endpoint}`,
      name,
      role: "tool",
      // A node that stands still is found out by the time limits of requests.
      keepAliveIntervalMs: 0,
      maxBufferedBytes: 4 * CREDIT_BYTES,
      dictionaryMaxBytes,
      // Every node is asked on purpose.
      followLeader: false,
    };
    const listener = {
      onReady: (): void => {},
      onLeader: (): void => {},
      onClosed: (): void => {
        this.#connection = null;
        if (!this.#isClosed) this.#timer = setTimeout(() => this.#open(), RECONNECT_MS);
      },
    };
    this.#connection = new Connection(settings, { transport: TRANSPORT, listener });
  }
}
