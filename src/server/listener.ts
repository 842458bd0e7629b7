/**
 * What the server needs from a WebSocket library, so that there can be two: uWebSockets.js (uws.ts), which is fast,
 * and ws (ws.ts), which loads everywhere. Binary messages only; one message is a frame of the protocol, or a bundle.
 *
 *   Listener --open(connection)--> ConnectionEvents        one pair per connection, all on the listener's thread
 *       connection.send/close  ->        message/drain/close  <-
 *
 * Rules both implementations keep:
 * - Message bytes are *borrowed*: they die when the handler returns.
 * - A frame that cannot be buffered within the bound closes the connection. A stream never has a gap.
 * - Messages above `frameMaxBytes` close the connection before memory is reserved for them.
 * - After `close` was delivered nothing else is; using a closed connection does nothing.
 */

import type { Logger } from "../base/index.ts";

/**
 * sent: handed to the kernel. buffered: kept until the peer reads; `drain` follows. overflow: the peer reads too
 * slowly or is gone; the frame was dropped and the connection with it.
 */
export type SendResult = "sent" | "buffered" | "overflow";

/** WebSocket close codes that we send. */
export const CLOSE_CODES = {
  /** The server stops; another member may be tried at once. */
  goingAway: 1001,
  /** The peer broke the protocol in a way that no request can be blamed for. */
  protocolError: 1002,
  /** A text message on a binary protocol. */
  unsupportedData: 1003,
  /** The peer does not read, or does not answer pings. */
  policyViolation: 1008,
  frameTooLarge: 1009,
} as const;

export type CloseCode = (typeof CLOSE_CODES)[keyof typeof CLOSE_CODES];

/** One peer. Every method may be called at any time, also after the connection was closed. */
export interface Connection {
  readonly id: number;
  /** Text form, for people. */
  readonly remoteAddress: string;
  /** The frame is borrowed until the call returns. */
  send(frame: Uint8Array): SendResult;
  /** Bytes given to `send` that the kernel has not taken yet. */
  readonly bufferedBytes: number;
  /** Runs `body` so that its sends leave together: nine times cheaper outside of a message handler. */
  cork(body: () => void): void;
  /** Says why and hangs up; `close` is delivered, possibly before this returns. */
  close(code: CloseCode, reason: string): void;
}

/** What the owner of a connection hears. */
export interface ConnectionEvents {
  /** One binary message. Borrowed: copy what must outlive the call. */
  message(frame: Uint8Array): void;
  /**
   * Offers a short message of whole words (deliver.ts). True: that was all, the answer is on its way. False: nothing has
   * happened, and it is to be delivered as any other. A listener may leave this out.
   */
  maybeAnswer(words: Int32Array): boolean;
  /** Everything buffered has left. */
  drain(): void;
  /** Exactly once, last. */
  close(): void;
}

/** Events that belong to no single connection, or end one without its owner's doing; for the counters. */
export interface ListenerEvents {
  open(connection: Connection): ConnectionEvents;
  /** A connection was refused or ended by the listener itself. */
  rejected(reason: ListenerReason): void;
}

export type ListenerReason =
  | "frame_too_large"
  | "text_message"
  | "connections_limit"
  | "idle_peer"
  | "slow_peer"
  | "not_websocket";

export interface ListenerOptions {
  readonly frameMaxBytes: number;
  /** Bytes that may wait for one slow peer before its connection is closed. */
  readonly outboundMaxBytes: number;
  /** Open connections per listener. */
  readonly connectionsMax: number;
  /** A peer that was silent this long is pinged, and dropped after twice as long. 0 = never. */
  readonly pingIntervalMs: number;
}

export interface ListenerModules {
  readonly events: ListenerEvents;
  readonly logger: Logger;
}

export interface Listener {
  readonly kind: TransportKind;
  /** Open connections now. */
  readonly connectionCount: number;
  /**
   * Starts to accept on a port that other threads of this process listen on too. Resolves with the port.
   * Errors: rejects with `unavailable` when the address cannot be had.
   */
  listen(host: string, port: number): Promise<number>;
  /** Accepts no further connections; open ones stay. */
  stopListening(): void;
  /** Tells every peer that the server goes away and closes its connection. */
  closeConnections(): void;
  /** Drops everything at once. After it the thread may end: no socket is left. May be repeated. */
  close(): void;
}

export type TransportKind = "uws" | "ws";
