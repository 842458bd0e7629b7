/**
 * Connections without a socket: main opens one to a reader thread over a MessagePort, so that the HTTP API speaks the
 * same protocol, with the same limits and counters, as every other client.
 *
 *   LocalChannel (main) ══ frames as transferred ArrayBuffers ══ LocalEnd (reader) ── Session
 */

import { MessageChannel, type MessagePort } from "node:worker_threads";
import { deliver } from "./deliver.ts";
import type { CloseCode, Connection, ConnectionEvents, SendResult } from "./listener.ts";

/** What the opener hears. The shape is that of the client's transport, so that its code runs over it. */
export interface LocalChannelListener {
  onOpen(): void;
  /** One whole frame; owned by the listener. */
  onFrame(frame: Uint8Array): void;
  /** Exactly once, last. */
  onClose(close: { readonly reason: string; readonly isDraining: boolean }): void;
}

/** Main's end. */
export class LocalChannel {
  readonly #port: MessagePort;
  readonly #listener: LocalChannelListener;
  #isClosed = false;

  constructor(port: MessagePort, listener: LocalChannelListener) {
    this.#port = port;
    this.#listener = listener;
    port.on("message", (frame: ArrayBuffer) => listener.onFrame(new Uint8Array(frame)));
    // The other end was closed, or its thread ended.
    port.on("close", () => this.#closed("the reader thread closed the connection", true));
    // Not in the constructor: no callback may run before its opener has the channel in hand.
    queueMicrotask(() => {
      if (!this.#isClosed) listener.onOpen();
    });
  }

  /** Copies: the bytes stay the caller's. */
  send(frame: Uint8Array): void {
    if (!this.#isClosed) postFrame(this.#port, frame);
  }

  /** Messages leave at once; what a reader may queue is bounded by its own limits. */
  get bufferedBytes(): number {
    return 0;
  }

  close(): void {
    this.#closed("closed", false);
  }

  terminate(): void {
    this.#closed("dropped", false);
  }

  #closed(reason: string, isDraining: boolean): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#port.close();
    queueMicrotask(() => this.#listener.onClose({ reason, isDraining }));
  }
}

/** A channel whose other end still has to be sent to a reader. */
export function createLocalChannel(listener: LocalChannelListener): {
  channel: LocalChannel;
  readerPort: MessagePort;
} {
  const { port1, port2 } = new MessageChannel();
  return { channel: new LocalChannel(port1, listener), readerPort: port2 };
}

/** The reader's end. */
export class LocalEnd implements Connection {
  readonly id: number;
  readonly remoteAddress = "local";
  readonly #port: MessagePort;
  #events: ConnectionEvents | null = null;
  #isClosed = false;

  constructor(id: number, port: MessagePort) {
    this.id = id;
    this.#port = port;
  }

  attach(events: ConnectionEvents, onClosed: () => void): void {
    this.#events = events;
    this.#port.on("message", (frame: unknown) => this.#deliver(frame));
    this.#port.on("close", () => {
      this.#isClosed = true;
      this.#events?.close();
      this.#events = null;
      onClosed();
    });
  }

  send(frame: Uint8Array): SendResult {
    if (this.#isClosed) return "overflow";
    postFrame(this.#port, frame);
    return "sent";
  }

  get bufferedBytes(): number {
    return 0;
  }

  cork(body: () => void): void {
    body();
  }

  close(_code: CloseCode, _reason: string): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#port.close();
  }

  #deliver(frame: unknown): void {
    if (this.#isClosed || !(frame instanceof ArrayBuffer) || this.#events === null) return;
    deliver(this.#events, frame);
  }
}

function postFrame(port: MessagePort, frame: Uint8Array): void {
  // Not slice(): of a Buffer that is a view into a larger ArrayBuffer, which would be sent as a whole.
  const copy = new Uint8Array(frame).buffer;
  port.postMessage(copy, [copy]);
}
