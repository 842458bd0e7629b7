/**
 * The listener on uWebSockets.js.
 *
 * Traps of the library that this file keeps to itself:
 * - A thread (or process) that ends while a socket is open aborts the whole process: `close()` must come first.
 * - Any call on a closed socket throws: every use looks at `#socket`, which is null from the close event on.
 * - `send` may return 2: the message was dropped and the socket stays open, so the stream has a hole. We close.
 * - The message buffer is detached when the handler returns.
 * - A port that cannot be had is a falsy token, not an exception.
 * - Outside of a handler an uncorked send costs 6 us, a corked one 0.7 us.
 */

import { createRequire } from "node:module";
import type * as Uws from "uWebSockets.js";
import { HearthError } from "../base/index.ts";
import { deliver } from "./deliver.ts";
import {
  CLOSE_CODES,
  type CloseCode,
  type Connection,
  type ConnectionEvents,
  type Listener,
  type ListenerEvents,
  type ListenerModules,
  type ListenerOptions,
  type SendResult,
} from "./listener.ts";
import { type PingedConnection, Silence, startPings } from "./silence.ts";

export type UwsModule = typeof Uws;

/** The module, or in words why this system cannot load it. */
export function tryLoadUws(): UwsModule | string {
  try {
    return createRequire(import.meta.url)("uWebSockets.js") as UwsModule;
  } catch (error) {
    const text = error instanceof Error ? error.message : String(error);
    return text.split("\n").findLast((line) => line.trim() !== "") ?? text;
  }
}

/** What `ws.send` returns. */
const SEND_SENT = 1;
const SEND_DROPPED = 2;

/** What the close event carries when a message was over the limit: the library closes without a code. */
const TOO_BIG_MESSAGE = "Received too big message";

type Socket = Uws.WebSocket<SocketData>;

interface SocketData {
  /** Set in the open event; the library makes the socket before we can make the connection. */
  connection: UwsConnection | null;
}

export class UwsListener implements Listener {
  readonly kind = "uws";
  readonly #options: ListenerOptions;
  readonly #uws: UwsModule;
  readonly #events: ListenerEvents;
  readonly #app: Uws.TemplatedApp;
  readonly #connections = new Set<UwsConnection>();
  readonly #pingTimer: NodeJS.Timeout | null;
  #listenSocket: Uws.us_listen_socket | null = null;
  #nextId = 1;
  #isClosed = false;

  constructor(options: ListenerOptions, modules: ListenerModules & { uws: UwsModule }) {
    this.#options = options;
    this.#uws = modules.uws;
    this.#events = modules.events;
    this.#app = modules.uws.App();
    this.#app.ws<SocketData>("/*", {
      maxPayloadLength: options.frameMaxBytes,
      maxBackpressure: options.outboundMaxBytes,
      // We close ourselves: with this switch on, a message may still leave after the limit was hit.
      closeOnBackpressureLimit: false,
      // Our own pings: the library's timer ends the process for some values and counts in steps of 4 s.
      idleTimeout: 0,
      sendPingsAutomatically: false,
      compression: modules.uws.DISABLED,
      upgrade: (response, request, context) => this.#upgrade(response, request, context),
      open: (socket) => this.#open(socket),
      message: (socket, message, isBinary) => this.#message(socket, message, isBinary),
      drain: (socket) => socket.getUserData().connection?.deliverDrain(),
      pong: (socket) => socket.getUserData().connection?.silence.end(),
      close: (socket, _code, reason) => this.#closed(socket, reason),
    });
    this.#app.any("/*", (response) => this.#answerHttp(response));
    this.#pingTimer = startPings(options.pingIntervalMs, {
      ...modules,
      connections: this.#connections,
    });
  }

  get connectionCount(): number {
    return this.#connections.size;
  }

  listen(host: string, port: number): Promise<number> {
    return new Promise((resolve, reject) => {
      this.#app.listen(host, port, (token) => {
        if (token === false || token === null) {
          const message = `Cannot listen on ${host}:${port}: the address is in use or not available`;
          reject(new HearthError("unavailable", message, { reason: "listen_failed" }));
          return;
        }
        this.#listenSocket = token;
        resolve(this.#uws.us_socket_local_port(token as unknown as Uws.us_socket));
      });
    });
  }

  stopListening(): void {
    if (this.#listenSocket === null) return;
    this.#uws.us_listen_socket_close(this.#listenSocket);
    this.#listenSocket = null;
  }

  closeConnections(): void {
    for (const connection of [...this.#connections]) {
      connection.close(CLOSE_CODES.goingAway, "server is stopping");
    }
  }

  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    if (this.#pingTimer !== null) clearInterval(this.#pingTimer);
    this.#listenSocket = null;
    this.#app.close();
  }

  #upgrade(
    response: Uws.HttpResponse,
    request: Uws.HttpRequest,
    context: Uws.us_socket_context_t,
  ): void {
    if (this.#connections.size >= this.#options.connectionsMax) {
      this.#events.rejected("connections_limit");
      response.writeStatus("503 Service Unavailable").end("Too many connections\n");
      return;
    }
    response.upgrade<SocketData>(
      { connection: null },
      request.getHeader("sec-websocket-key"),
      request.getHeader("sec-websocket-protocol"),
      request.getHeader("sec-websocket-extensions"),
      context,
    );
  }

  #answerHttp(response: Uws.HttpResponse): void {
    this.#events.rejected("not_websocket");
    response
      .writeStatus("426 Upgrade Required")
      .end("This port speaks the binary WebSocket protocol\n");
  }

  #open(socket: Socket): void {
    const connection = new UwsConnection(this.#nextId++, socket, this.#events);
    socket.getUserData().connection = connection;
    this.#connections.add(connection);
    connection.attach(this.#events.open(connection));
  }

  #message(socket: Socket, message: ArrayBuffer, isBinary: boolean): void {
    const connection = socket.getUserData().connection;
    if (connection === null) return;
    if (isBinary) {
      connection.deliverMessage(message);
      return;
    }
    this.#events.rejected("text_message");
    connection.close(CLOSE_CODES.unsupportedData, "text messages are not understood");
  }

  #closed(socket: Socket, reason: ArrayBuffer): void {
    const connection = socket.getUserData().connection;
    if (connection === null) return;
    if (Buffer.from(reason).toString() === TOO_BIG_MESSAGE)
      this.#events.rejected("frame_too_large");
    this.#connections.delete(connection);
    connection.deliverClose();
  }
}

class UwsConnection implements Connection, PingedConnection {
  readonly id: number;
  readonly remoteAddress: string;
  readonly silence = new Silence();
  readonly #listenerEvents: ListenerEvents;
  #events: ConnectionEvents | null = null;
  /** Null once the library said that the socket is closed: any call on it would throw. */
  #socket: Socket | null;
  /** False while everything sent went straight to the kernel: saves asking the library before each answer. */
  #mayHaveBuffered = false;

  constructor(id: number, socket: Socket, listenerEvents: ListenerEvents) {
    this.id = id;
    this.#socket = socket;
    this.#listenerEvents = listenerEvents;
    this.remoteAddress = Buffer.from(socket.getRemoteAddressAsText()).toString();
  }

  attach(events: ConnectionEvents): void {
    this.#events = events;
  }

  send(frame: Uint8Array): SendResult {
    if (this.#socket === null) return "overflow";
    const status = this.#socket.send(frame, true, false);
    if (status === SEND_SENT) return "sent";
    this.#mayHaveBuffered = true;
    if (status !== SEND_DROPPED) return "buffered";
    this.#listenerEvents.rejected("slow_peer");
    this.drop();
    return "overflow";
  }

  get bufferedBytes(): number {
    if (this.#socket === null || !this.#mayHaveBuffered) return 0;
    const bytes = this.#socket.getBufferedAmount();
    this.#mayHaveBuffered = bytes > 0;
    return bytes;
  }

  cork(body: () => void): void {
    if (this.#socket === null) body();
    else this.#socket.cork(body);
  }

  close(code: CloseCode, reason: string): void {
    this.#socket?.end(code, reason);
  }

  deliverMessage(message: ArrayBuffer): void {
    this.silence.end();
    if (this.#events !== null) deliver(this.#events, message);
  }

  deliverDrain(): void {
    this.#events?.drain();
  }

  deliverClose(): void {
    this.#socket = null;
    this.#events?.close();
    this.#events = null;
  }

  ping(): void {
    this.#socket?.ping();
  }

  drop(): void {
    this.#socket?.close();
  }
}
