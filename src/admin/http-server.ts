/**
 * The HTTP listener of a node: node:http on the main thread, with every wait and every size bounded, so that a slow or
 * hostile peer costs a socket and a few KiB at most. It listens before anything slow begins and closes last.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import type { Duplex } from "node:stream";
import { formatBytes, HearthError, type Logger } from "../base/index.ts";
import { errorResponse } from "./responses.ts";
import type { Router } from "./router.ts";
import type { AdminRequest, AdminResponse } from "./types.ts";

export interface HttpServerOptions {
  /** Empty: every interface. */
  readonly address: string;
  /** 0: the system chooses. */
  readonly port: number;
  readonly bodyMaxBytes: number;
}

export interface HttpRequestRecord {
  readonly method: string;
  readonly route: string;
  readonly status: number;
  readonly durationMs: number;
  /** Bytes of the bodies. */
  readonly receivedBytes: number;
  readonly sentBytes: number;
}

export interface HttpServerModules {
  readonly router: Router;
  readonly logger: Logger;
  /** Called once per answered request, for the metrics. */
  readonly onRequest?: (record: HttpRequestRecord) => void;
  /** Called for what never became a request, with a reason from a closed set. */
  readonly onReject?: (reason: HttpRejection) => void;
}

export type HttpRejection = "bad_request" | "headers_too_large" | "body_too_large" | "timeout";

/** Node's own default; our requests need a tenth of it. */
const HEADERS_MAX_BYTES = 16 * 1024;
/** A peer that cannot send its headers in this time is not a client of ours. */
const HEADERS_TIMEOUT_MS = 10_000;
/** For the whole request with its body: 16 MiB at 0.5 MiB/s. */
const REQUEST_TIMEOUT_MS = 30_000;
const KEEP_ALIVE_TIMEOUT_MS = 30_000;
/** Open sockets; probes, scrapes and people are a few dozen. */
const CONNECTIONS_MAX_COUNT = 1_024;
/** Larger names from a caller are cut: they go into log lines. */
const REQUEST_ID_MAX_LENGTH = 64;

export class AdminHttpServer {
  readonly #options: HttpServerOptions;
  readonly #modules: HttpServerModules;
  readonly #server: Server;
  readonly #closing = new AbortController();
  #requestCount = 0;
  #inFlightCount = 0;
  #connectionCount = 0;

  constructor(options: HttpServerOptions, modules: HttpServerModules) {
    this.#options = options;
    this.#modules = modules;
    this.#server = createServer(
      {
        maxHeaderSize: HEADERS_MAX_BYTES,
        headersTimeout: HEADERS_TIMEOUT_MS,
        requestTimeout: REQUEST_TIMEOUT_MS,
        keepAliveTimeout: KEEP_ALIVE_TIMEOUT_MS,
      },
      (incoming, outgoing) => void this.#serve(incoming, outgoing),
    );
    this.#server.maxConnections = CONNECTIONS_MAX_COUNT;
    this.#server.on("connection", (socket) => {
      this.#connectionCount++;
      socket.once("close", () => this.#connectionCount--);
    });
    this.#server.on("clientError", (error, socket) => this.#refuse(error, socket));
  }

  /** Open sockets. */
  get connectionCount(): number {
    return this.#connectionCount;
  }

  /** Requests that have no answer yet. */
  get inFlightCount(): number {
    return this.#inFlightCount;
  }

  /** Resolves with the port. Errors: `unavailable` in words when the address cannot be had. */
  listen(): Promise<number> {
    const { address, port } = this.#options;
    return new Promise((resolve, reject) => {
      const onError = (error: NodeJS.ErrnoException): void =>
        reject(translateListenError(error, address, port));
      this.#server.once("error", onError);
      this.#server.listen({ port, ...(address === "" ? {} : { host: address }) }, () => {
        this.#server.off("error", onError);
        resolve((this.#server.address() as AddressInfo).port);
      });
    });
  }

  /** Stops accepting, lets running requests end for `graceMs`, then drops what is left. Repeating it is harmless. */
  async close(graceMs: number): Promise<void> {
    const closed = new Promise<void>((resolve) => {
      this.#server.close(() => resolve());
    });
    this.#server.closeIdleConnections();
    const timer = setTimeout(() => {
      this.#closing.abort(
        new HearthError("unavailable", "The server is shutting down", { reason: "shutting_down" }),
      );
      this.#server.closeAllConnections();
    }, graceMs);
    await closed;
    clearTimeout(timer);
  }

  async #serve(incoming: IncomingMessage, outgoing: ServerResponse): Promise<void> {
    const startedAt = performance.now();
    const requestId = this.#requestId(incoming);
    this.#inFlightCount++;
    let route = "other";
    let receivedBytes = 0;
    let response: AdminResponse;
    try {
      const request = await this.#readRequest(incoming, outgoing, requestId);
      receivedBytes = request.body.length;
      const routed = await this.#modules.router.dispatch(request);
      response = routed.response;
      route = routed.route;
    } catch (error) {
      response = this.#failedRead(error, requestId, outgoing);
    }
    send(incoming, outgoing, response, requestId);
    this.#inFlightCount--;
    this.#modules.onRequest?.({
      method: incoming.method ?? "",
      route,
      status: response.status,
      durationMs: performance.now() - startedAt,
      receivedBytes,
      sentBytes: Buffer.byteLength(response.body),
    });
  }

  async #readRequest(
    incoming: IncomingMessage,
    outgoing: ServerResponse,
    requestId: string,
  ): Promise<AdminRequest> {
    const url = parseTarget(incoming.url ?? "/");
    const gone = new AbortController();
    outgoing.on("close", () => {
      if (outgoing.writableEnded) return;
      gone.abort(new HearthError("cancelled", "The caller went away", { reason: "caller_gone" }));
    });
    return {
      method: incoming.method ?? "GET",
      path: url.pathname,
      query: url.searchParams,
      headers: flatHeaders(incoming),
      body: await readBody(incoming, this.#options.bodyMaxBytes),
      signal: AbortSignal.any([gone.signal, this.#closing.signal]),
      requestId,
    };
  }

  #failedRead(error: unknown, requestId: string, outgoing: ServerResponse): AdminResponse {
    const isTooLarge = error instanceof HearthError && error.reason === "body_too_large";
    this.#modules.onReject?.(isTooLarge ? "body_too_large" : "bad_request");
    // The rest of the body is not read: the connection cannot carry another request.
    outgoing.shouldKeepAlive = false;
    return errorResponse(error, requestId, isTooLarge ? 413 : undefined);
  }

  /** What node:http could not even parse. */
  #refuse(error: NodeJS.ErrnoException, socket: Duplex): void {
    const [status, reason] =
      REFUSALS[error.code ?? ""] ?? (["400 Bad Request", "bad_request"] as const);
    this.#modules.onReject?.(reason);
    if (error.code === "ECONNRESET" || !socket.writable) {
      socket.destroy();
      return;
    }
    socket.end(`HTTP/1.1 ${status}\r\nconnection: close\r\ncontent-length: 0\r\n\r\n`);
  }

  /** The caller's own id where there is a sane one, so that its traces and our log lines meet. */
  #requestId(incoming: IncomingMessage): string {
    const given = incoming.headers["x-request-id"];
    if (typeof given === "string" && /^[\w.:-]+$/.test(given))
      return given.slice(0, REQUEST_ID_MAX_LENGTH);
    this.#requestCount++;
    return `http-${process.pid}-${this.#requestCount}`;
  }
}

const REFUSALS: Readonly<Record<string, readonly [string, HttpRejection]>> = {
  HPE_HEADER_OVERFLOW: ["431 Request Header Fields Too Large", "headers_too_large"],
  ERR_HTTP_REQUEST_TIMEOUT: ["408 Request Timeout", "timeout"],
};

function translateListenError(
  error: NodeJS.ErrnoException,
  address: string,
  port: number,
): HearthError {
  const where = `${address === "" ? "port" : `${address}:`}${address === "" ? " " : ""}${port}`;
  const reasons: Record<string, string> = {
    EADDRINUSE: "something else listens there",
    EACCES: "this user may not listen there",
    EADDRNOTAVAIL: "this machine has no such address",
  };
  const reason = reasons[error.code ?? ""] ?? error.message;
  return new HearthError("unavailable", `Cannot listen on ${where}: ${reason}`, {
    reason: "listen_failed",
    next: "Stop the other process, or set server.http-listen-port",
    cause: error,
  });
}

/** Only the path and the query of a target count; an absolute one (of a proxy) loses its host. */
function parseTarget(target: string): URL {
  try {
    return new URL(target, "http://node.invalid");
  } catch (error) {
    throw badTarget(error);
  }
}

function badTarget(cause: unknown): HearthError {
  const details = { reason: "bad_target", cause };
  return new HearthError("invalid_argument", "The request target is not a path", details);
}

function flatHeaders(incoming: IncomingMessage): Record<string, string> {
  const headers: Record<string, string> = {};
  for (const [name, value] of Object.entries(incoming.headers)) {
    if (value !== undefined) headers[name] = Array.isArray(value) ? value.join(", ") : value;
  }
  return headers;
}

/** The declared length is checked before a byte is kept, the real one while they come. */
async function readBody(incoming: IncomingMessage, maxBytes: number): Promise<Uint8Array> {
  const declaredBytes = Number(incoming.headers["content-length"] ?? 0);
  if (declaredBytes > maxBytes) throw bodyTooLarge(declaredBytes, maxBytes);
  const parts: Buffer[] = [];
  let sizeBytes = 0;
  for await (const part of incoming as AsyncIterable<Buffer>) {
    sizeBytes += part.length;
    if (sizeBytes > maxBytes) throw bodyTooLarge(sizeBytes, maxBytes);
    parts.push(part);
  }
  return Buffer.concat(parts);
}

function bodyTooLarge(sizeBytes: number, maxBytes: number): HearthError {
  return new HearthError(
    "resource_exhausted",
    `The body has ${formatBytes(sizeBytes)} or more, limit is ${formatBytes(maxBytes)}`,
    {
      reason: "body_too_large",
      next: "Send fewer blocks at once, or raise hearth.http-body-max-bytes",
    },
  );
}

function send(
  incoming: IncomingMessage,
  outgoing: ServerResponse,
  response: AdminResponse,
  requestId: string,
): void {
  if (outgoing.destroyed) return;
  const body = typeof response.body === "string" ? Buffer.from(response.body) : response.body;
  outgoing.writeHead(response.status, {
    "content-length": body.length,
    "x-content-type-options": "nosniff",
    "x-request-id": requestId,
    ...response.headers,
  });
  outgoing.end(incoming.method === "HEAD" ? undefined : body);
}
