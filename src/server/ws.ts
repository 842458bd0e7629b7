/**
 * The listener on the ws package: the fallback where the native addon of uWebSockets.js does not load.
 *
 * It is slower by a small factor, and on Node.js below 22.12 it has no way to share a port among threads: there the
 * first reader thread listens alone (`canSharePort`).
 */

import { createServer, type IncomingMessage, type Server } from "node:http";
import type { Socket } from "node:net";
import { type RawData, type WebSocket, WebSocketServer } from "ws";
import { HearthError, type Logger } from "../base/index.ts";
import { canSharePort } from "../service/index.ts";
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

/** How long a peer may take over the closing handshake. Good enough: it has nothing else to say. */
const CLOSE_GRACE_MS = 500;

/** Code of the error that ws raises for a message above maxPayload. */
const TOO_BIG_CODE = "WS_ERR_UNSUPPORTED_MESSAGE_LENGTH";

export class WsListener implements Listener {
  readonly kind = "ws";
  readonly #options: ListenerOptions;
  readonly #events: ListenerEvents;
  readonly #logger: Logger;
  readonly #http: Server;
  readonly #server: WebSocketServer;
  readonly #connections = new Set<WsConnection>();
  readonly #pingTimer: NodeJS.Timeout | null;
  #nextId = 1;

  constructor(options: ListenerOptions, modules: ListenerModules) {
    this.#options = options;
    this.#events = modules.events;
    this.#logger = modules.logger;
    this.#http = createServer((_request, response) => {
      this.#events.rejected("not_websocket");
      response.writeHead(426, { connection: "close" });
      response.end("This port speaks the binary WebSocket protocol\n");
    });
    this.#server = new WebSocketServer({
      server: this.#http,
      maxPayload: options.frameMaxBytes,
      perMessageDeflate: false,
      verifyClient: (_info, done) => this.#admit(done),
    });
    // Errors of the underlying server are passed on here too; `listen` reports them.
    this.#server.on("error", () => {});
    this.#server.on("connection", (socket, request) => this.#open(socket, request));
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
      const onError = (cause: Error): void => {
        const message = `Cannot listen on ${host}:${port}: ${cause.message}`;
        reject(new HearthError("unavailable", message, { reason: "listen_failed", cause }));
      };
      this.#http.once("error", onError);
      // The type knows reusePort only from Node.js 22.12 on.
      const options = { host, port, ...(canSharePort() ? { reusePort: true } : {}) };
      this.#http.listen(options, () => {
        this.#http.off("error", onError);
        const address = this.#http.address();
        resolve(typeof address === "object" && address !== null ? address.port : port);
      });
    });
  }

  stopListening(): void {
    if (this.#http.listening) this.#http.close();
  }

  closeConnections(): void {
    for (const connection of [...this.#connections]) {
      connection.close(CLOSE_CODES.goingAway, "server is stopping");
    }
  }

  close(): void {
    if (this.#pingTimer !== null) clearInterval(this.#pingTimer);
    this.stopListening();
    for (const connection of [...this.#connections]) connection.drop();
    this.#server.close();
    this.#http.closeAllConnections();
  }

  #admit(done: (admitted: boolean, code?: number, message?: string) => void): void {
    if (this.#connections.size < this.#options.connectionsMax) {
      done(true);
      return;
    }
    this.#events.rejected("connections_limit");
    done(false, 503, "Too many connections");
  }

  #open(webSocket: WebSocket, request: IncomingMessage): void {
    const modules = { webSocket, socket: request.socket, listenerEvents: this.#events };
    const connection = new WsConnection(this.#nextId++, this.#options.outboundMaxBytes, modules);
    this.#connections.add(connection);
    webSocket.on("message", (data, isBinary) => this.#message(connection, data, isBinary));
    webSocket.on("pong", () => connection.silence.end());
    webSocket.on("error", (error: Error & { code?: string }) => {
      // The library closes the connection itself, with 1009 for this one.
      if (error.code === TOO_BIG_CODE) this.#events.rejected("frame_too_large");
      else
        this.#logger.debug("connection failed", {
          remote: connection.remoteAddress,
          error: error.message,
        });
    });
    webSocket.on("close", () => {
      this.#connections.delete(connection);
      connection.deliverClose();
    });
    request.socket.on("drain", () => connection.deliverDrain());
    connection.attach(this.#events.open(connection));
  }

  #message(connection: WsConnection, data: RawData, isBinary: boolean): void {
    if (isBinary && Buffer.isBuffer(data)) {
      connection.deliverMessage(data);
      return;
    }
    this.#events.rejected("text_message");
    connection.close(CLOSE_CODES.unsupportedData, "text messages are not understood");
  }
}

class WsConnection implements Connection, PingedConnection {
  readonly id: number;
  readonly remoteAddress: string;
  readonly silence = new Silence();
  readonly #outboundMaxBytes: number;
  readonly #webSocket: WebSocket;
  readonly #socket: Socket;
  readonly #listenerEvents: ListenerEvents;
  #events: ConnectionEvents | null = null;
  #isClosed = false;

  constructor(
    id: number,
    outboundMaxBytes: number,
    modules: { webSocket: WebSocket; socket: Socket; listenerEvents: ListenerEvents },
  ) {
    this.id = id;
    this.#outboundMaxBytes = outboundMaxBytes;
    this.#webSocket = modules.webSocket;
    this.#socket = modules.socket;
    this.#listenerEvents = modules.listenerEvents;
    this.remoteAddress = modules.socket.remoteAddress ?? "";
  }

  attach(events: ConnectionEvents): void {
    this.#events = events;
  }

  send(frame: Uint8Array): SendResult {
    if (this.#isClosed || this.#webSocket.readyState !== this.#webSocket.OPEN) return "overflow";
    if (this.#webSocket.bufferedAmount > this.#outboundMaxBytes) {
      this.#listenerEvents.rejected("slow_peer");
      this.drop();
      return "overflow";
    }
    // A copy: ws keeps the bytes until the kernel takes them, and our caller reuses its buffer.
    this.#webSocket.send(Buffer.from(frame), { binary: true });
    return this.#socket.writableNeedDrain ? "buffered" : "sent";
  }

  get bufferedBytes(): number {
    return this.#webSocket.readyState === this.#webSocket.OPEN ? this.#webSocket.bufferedAmount : 0;
  }

  cork(body: () => void): void {
    this.#socket.cork();
    try {
      body();
    } finally {
      this.#socket.uncork();
    }
  }

  close(code: CloseCode, reason: string): void {
    if (this.#isClosed) return;
    this.#webSocket.close(code, reason);
    setTimeout(() => this.drop(), CLOSE_GRACE_MS).unref();
  }

  drop(): void {
    if (!this.#isClosed) this.#webSocket.terminate();
  }

  deliverMessage(frame: Uint8Array): void {
    this.silence.end();
    this.#events?.message(frame);
  }

  deliverDrain(): void {
    this.#events?.drain();
  }

  deliverClose(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#events?.close();
    this.#events = null;
  }

  ping(): void {
    if (!this.#isClosed) this.#webSocket.ping();
  }
}
