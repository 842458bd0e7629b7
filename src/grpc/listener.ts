/**
 * The HTTP/2 server of one thread: plain text or TLS, its connections, pings and their end. What a stream asks is for
 * the endpoint to say.
 *
 * Pings of clients are answered by the library, as often as they come: a client that pings an idle connection does what
 * it should. GOAWAY is sent when the server ends and never before.
 */

import { readFileSync } from "node:fs";
import {
  createSecureServer,
  createServer,
  type Http2SecureServer,
  type Http2Server,
  type IncomingHttpHeaders,
  type SecureServerOptions,
  type ServerHttp2Session,
  type ServerHttp2Stream,
  type ServerOptions,
} from "node:http2";
import { Server as TcpServer } from "node:net";
import { HearthError, type Logger } from "../base/index.ts";
import { canSharePort } from "../service/index.ts";
import {
  CONNECTION_WINDOW_BYTES,
  LARGE_MESSAGES_MAX,
  RESETS_BURST,
  RESETS_PER_SECOND,
  STREAM_WINDOW_BYTES,
} from "./limits.ts";
import { CLIENT_AUTH, type ClientAuth, type GrpcOptions, type TlsOptions } from "./options.ts";

export interface ListenerModules {
  readonly onStream: (stream: ServerHttp2Stream, headers: IncomingHttpHeaders) => void;
  /** A connection was not taken, or broken off. */
  readonly onRejected: (reason: string) => void;
  readonly logger: Logger;
}

const MIB = 1024 * 1024;

export class GrpcListener {
  readonly #options: GrpcOptions;
  readonly #modules: ListenerModules;
  readonly #server: Http2Server | Http2SecureServer;
  readonly #sessions = new Set<ServerHttp2Session>();
  readonly #pings: NodeJS.Timeout | null;
  /** Since the start. */
  openedCount = 0;

  /** Errors: `failed_precondition` when the files of TLS cannot be used. */
  constructor(options: GrpcOptions, modules: ListenerModules) {
    this.#options = options;
    this.#modules = modules;
    this.#server = openServer(options);
    this.#server.on("session", (session) => this.#take(session));
    this.#server.on("stream", modules.onStream);
    this.#server.on("sessionError", () => modules.onRejected("bad_http2"));
    this.#server.on("tlsClientError", () => modules.onRejected("bad_tls"));
    // Not a reason to stay alive.
    const { keepaliveTimeMs } = options;
    this.#pings =
      keepaliveTimeMs > 0 ? setInterval(() => this.#pingAll(), keepaliveTimeMs).unref() : null;
  }

  get connectionCount(): number {
    return this.#sessions.size;
  }

  /** Errors: `unavailable` when the port cannot be had. */
  listen(): Promise<void> {
    const { host, port } = this.#options;
    const server = this.#server;
    return new Promise((resolve, reject) => {
      server.once("error", (cause: Error) => {
        const message = `Cannot listen for gRPC on ${host}:${port}: ${cause.message}`;
        reject(new HearthError("unavailable", message, { reason: "listen_failed", cause }));
      });
      const shared = canSharePort() ? { reusePort: true } : {};
      server.listen({ host, port, ...shared }, () => resolve());
    });
  }

  /** Takes no more connections; those that are open go on. */
  stopListening(): void {
    // Not that of HTTP/2, which in newer versions of Node.js ends the connections, too.
    TcpServer.prototype.close.call(this.#server);
  }

  /** Sends GOAWAY: what runs is finished, nothing new is begun. */
  closeConnections(): void {
    for (const session of this.#sessions) session.close();
  }

  /** Ends everything. */
  close(): void {
    if (this.#pings !== null) clearInterval(this.#pings);
    if (this.#server.listening) this.stopListening();
    for (const session of this.#sessions) session.destroy();
  }

  #take(session: ServerHttp2Session): void {
    // Before anything else: what a connection dies of must not be thrown.
    session.on("error", ignoreError);
    if (this.#sessions.size >= this.#options.connectionsPerThreadMax) {
      this.#modules.onRejected("connections_limit");
      session.destroy();
      return;
    }
    this.openedCount++;
    this.#sessions.add(session);
    const timer = setTimeout(() => {
      this.#modules.onRejected("no_http2");
      session.destroy();
    }, this.#options.handshakeTimeoutMs).unref();
    session.once("remoteSettings", () => clearTimeout(timer));
    session.on("close", () => {
      clearTimeout(timer);
      this.#sessions.delete(session);
    });
    session.setLocalWindowSize(CONNECTION_WINDOW_BYTES);
  }

  #pingAll(): void {
    for (const session of this.#sessions) this.#ping(session);
  }

  #ping(session: ServerHttp2Session): void {
    const timer = setTimeout(() => session.destroy(), this.#options.keepaliveTimeoutMs).unref();
    const isSent = session.ping(() => clearTimeout(timer));
    if (!isSent) clearTimeout(timer);
  }
}

/** What Node.js has from 22.10 on, and its types do not know. */
interface ResetOptions {
  readonly streamResetBurst: number;
  readonly streamResetRate: number;
}

function openServer(options: GrpcOptions): Http2Server | Http2SecureServer {
  const { receiveMaxBytes, sendMaxBytes, streamsMax, tls } = options;
  const settings: ServerOptions & ResetOptions = {
    settings: {
      maxConcurrentStreams: streamsMax,
      initialWindowSize: STREAM_WINDOW_BYTES,
      enablePush: false,
    },
    // In MiB: what is queued for a slow client counts, and over it the library refuses every new stream.
    maxSessionMemory: Math.ceil(
      (LARGE_MESSAGES_MAX * (receiveMaxBytes + sendMaxBytes) + 64 * MIB) / MIB,
    ),
    streamResetBurst: RESETS_BURST,
    streamResetRate: RESETS_PER_SECOND,
  };
  if (tls === null) return createServer(settings);
  try {
    const server = createSecureServer({ ...settings, ...secureOptions(tls) });
    if (CLIENT_AUTH[tls.clientAuth].isAsked) checkCertificate(server, tls.clientAuth);
    return server;
  } catch (error) {
    throw badFiles(error);
  }
}

function badFiles(cause: unknown): HearthError {
  const why = cause instanceof Error ? cause.message : String(cause);
  return new HearthError("failed_precondition", `Cannot use the certificate of gRPC: ${why}`, {
    reason: "bad_tls_files",
    next: "Check the files that the settings server.grpc-tls-* name",
    cause,
  });
}

function secureOptions(tls: TlsOptions): SecureServerOptions {
  const { isAsked, isVerified, isRequired } = CLIENT_AUTH[tls.clientAuth];
  return {
    cert: readFileSync(tls.certPath),
    key: readFileSync(tls.keyPath),
    ...(tls.caPath === "" ? {} : { ca: readFileSync(tls.caPath) }),
    requestCert: isAsked,
    rejectUnauthorized: isVerified && isRequired,
    allowHTTP1: false,
    minVersion: "TLSv1.2",
  };
}

/** What the TLS library has no setting for: any certificate will do, or none, but not a bad one. */
function checkCertificate(server: Http2SecureServer, clientAuth: ClientAuth): void {
  const { isVerified, isRequired } = CLIENT_AUTH[clientAuth];
  // Before the listener of HTTP/2, which then finds the connection ended.
  server.prependListener("secureConnection", (socket) => {
    const hasCertificate = Object.keys(socket.getPeerCertificate()).length > 0;
    const isBad = hasCertificate ? isVerified && !socket.authorized : isRequired;
    if (isBad) socket.destroy();
  });
}

/** Connections and streams that break are told by their close. */
export function ignoreError(): void {}
