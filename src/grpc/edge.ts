/**
 * The gRPC endpoint of one reader thread (grpc-contract): HTTP/2 streams in, calls of methods out, over the services of
 * the thread. How calls end is in call.ts, what methods do in methods.ts.
 */

import type { IncomingHttpHeaders, ServerHttp2Stream } from "node:http2";
import { HearthError, type Logger, toHearthError } from "../base/index.ts";
import { ByteSink } from "../protocol/index.ts";
import {
  type Edge,
  type EdgeMetrics,
  type EdgeServices,
  RequestCounters,
} from "../service/index.ts";
import { ANSWER_HEADERS, type CallOwner, closeAfterAnswer, END_STREAM, GrpcCall } from "./call.ts";
import { ACCEPTED_ENCODINGS, type Encoding, encodingOf, unpack } from "./compression.ts";
import { MessageReader, PREFIX_BYTES } from "./framing.ts";
import { HealthService, type NodeHealth, WATCH_PATH } from "./health.ts";
import {
  DEADLINE_SWEEP_MS,
  LARGE_MESSAGES_MAX,
  STATUS_TEXT_MAX_LENGTH,
  TIMEOUT_MAX_MS,
} from "./limits.ts";
import { GrpcListener, ignoreError } from "./listener.ts";
import { createMethods, type Method } from "./methods.ts";
import type { GrpcOptions } from "./options.ts";
import { RefusalLog } from "./refusal-log.ts";
import { type Leader, type Status, statusOf, statusTrailers, type Surroundings } from "./status.ts";
import { parseTimeout } from "./timeout.ts";

/** What main tells the endpoints of all threads, whenever it changes. */
export interface NodeNews {
  readonly health: NodeHealth;
  readonly leader: Leader | null;
  /** Peer address of each member by server id. */
  readonly addresses: Readonly<Record<string, string>>;
}

export interface GrpcEdgeModules {
  /** What is served beside Health. */
  readonly methods: readonly Method[];
  /** Whether this thread opens the port. */
  readonly mayListen: boolean;
  readonly logger: Logger;
}

/** The endpoint of a reader thread: the methods of the contract over its services. */
export function createEdge(
  options: GrpcOptions,
  { services, mayListen }: { readonly services: EdgeServices; readonly mayListen: boolean },
): GrpcEdge {
  const { sendMaxBytes } = options;
  const methods = createMethods({ services, sendMaxBytes, nowMs: () => Date.now() });
  return new GrpcEdge(options, { methods, mayListen, logger: services.logger });
}

/** Of requests; the part after the plus names what messages are made of, which the path says already. Not grpc-web. */
const GRPC_TYPE = /^application\/grpc(?:$|[+;])/;

/** Sinks above this size are not kept between answers. */
const KEPT_SINK_BYTES = 1024 * 1024;

export class GrpcEdge implements Edge, CallOwner {
  readonly #options: GrpcOptions;
  readonly #mayListen: boolean;
  readonly #listener: GrpcListener;
  readonly #health = new HealthService();
  readonly #methods = new Map<string, Method>();
  readonly #routes = new Map<Method, number>();
  readonly #counters: RequestCounters;
  readonly #log: RefusalLog;
  readonly #watched = new Set<GrpcCall>();
  #sweeper: NodeJS.Timeout | null = null;
  #answer = new ByteSink(64 * 1024);
  #heldBytes = 0;
  #inFlight = 0;
  #receivedBytes = 0;
  #sentBytes = 0;
  #isStopping = false;
  #around: Surroundings;

  constructor(options: GrpcOptions, modules: GrpcEdgeModules) {
    const { mayListen } = modules;
    const logger = modules.logger.child("grpc");
    this.#options = options;
    this.#mayListen = mayListen;
    this.#around = { selfId: options.serverId, leader: null, addresses: {} };
    const methods = [...modules.methods, ...this.#health.methods()];
    for (const [i, method] of methods.entries()) {
      this.#methods.set(method.path, method);
      this.#routes.set(method, i + 1);
    }
    this.#counters = new RequestCounters(["unknown", ...methods.map(({ path }) => path)]);
    this.#log = new RefusalLog(logger);
    this.#listener = new GrpcListener(options, {
      onStream: (stream, headers) => this.#accept(stream, headers),
      onRejected: (reason) => this.#counters.countRejected(reason),
      logger,
    });
  }

  async listen(): Promise<void> {
    if (this.#mayListen) await this.#listener.listen();
  }

  receive(message: unknown): void {
    const { health, leader, addresses } = message as NodeNews;
    this.#around = { selfId: this.#options.serverId, leader, addresses };
    this.#health.set(health);
  }

  stopListening(): void {
    this.#isStopping = true;
    if (this.#mayListen) this.#listener.stopListening();
  }

  closeConnections(): void {
    this.#health.close();
    this.#listener.closeConnections();
  }

  close(): void {
    this.#listener.close();
    if (this.#sweeper !== null) clearInterval(this.#sweeper);
    this.#sweeper = null;
  }

  get connectionCount(): number {
    return this.#listener.connectionCount;
  }

  metrics(): EdgeMetrics {
    return {
      ...this.#counters.snapshot(),
      protocol: "grpc",
      connectionsOpened: this.#listener.openedCount,
      connections: this.#listener.connectionCount,
      receivedBytes: this.#receivedBytes,
      sentBytes: this.#sentBytes,
      inFlight: this.#inFlight,
    };
  }

  // -- for calls -------------------------------------------------------------------------------------------------

  get receiveMaxBytes(): number {
    return this.#options.receiveMaxBytes;
  }

  get sendMaxBytes(): number {
    return this.#options.sendMaxBytes;
  }

  nowMs(): number {
    return performance.now();
  }

  beginAnswer(): ByteSink {
    if (this.#answer.buffer.byteLength > KEPT_SINK_BYTES) this.answerTaken();
    this.#answer.length = PREFIX_BYTES;
    return this.#answer;
  }

  answerTaken(): void {
    this.#answer = new ByteSink(64 * 1024);
  }

  tryHold(bytes: number): boolean {
    const { receiveMaxBytes, sendMaxBytes } = this.#options;
    const limit = LARGE_MESSAGES_MAX * Math.max(receiveMaxBytes, sendMaxBytes);
    // A single message may always be held.
    if (this.#heldBytes > 0 && this.#heldBytes + bytes > limit) return false;
    this.#heldBytes += bytes;
    return true;
  }

  release(bytes: number): void {
    this.#heldBytes -= bytes;
  }

  statusOf(error: HearthError, method: Method): Status {
    return statusOf(error, method.kind, this.#around);
  }

  watch(call: GrpcCall): void {
    this.#watched.add(call);
    // Not a reason to stay alive: calls that wait have a connection that is one.
    this.#sweeper ??= setInterval(() => this.#sweep(), DEADLINE_SWEEP_MS).unref();
  }

  settled(call: GrpcCall, codeNumber: number, error: HearthError | null): void {
    this.#inFlight--;
    this.#receivedBytes += call.receivedBytes;
    this.#sentBytes += call.sentBytes;
    const { method } = call;
    const durationMs = this.nowMs() - call.startedAtMs;
    this.#counters.countRequest(this.#routes.get(method) ?? 0, codeNumber, durationMs);
    if (error === null) return;
    this.#counters.countRejected(error.reason);
    this.#log.refused(method.path, error);
  }

  // -- streams ---------------------------------------------------------------------------------------------------

  #accept(stream: ServerHttp2Stream, headers: IncomingHttpHeaders): void {
    const path = headers[":path"] ?? "";
    const type = headers["content-type"] ?? "";
    if (headers[":method"] !== "POST" || !GRPC_TYPE.test(type)) {
      this.#counters.countRejected("not_grpc");
      refuse(stream, { ":status": headers[":method"] === "POST" ? 415 : 405 });
      return;
    }
    const encoding = encodingOf(headers["grpc-encoding"] as string | undefined);
    if (encoding === null) {
      this.#counters.countRejected("unknown_encoding");
      refuse(stream, {
        ...unimplemented(`Encoding ${headers["grpc-encoding"]} is not known`),
        "grpc-accept-encoding": ACCEPTED_ENCODINGS,
      });
      return;
    }
    if (path === WATCH_PATH) this.#acceptWatch(stream, headers, encoding);
    else this.#acceptCall(stream, path, headers, encoding);
  }

  #acceptCall(
    stream: ServerHttp2Stream,
    path: string,
    headers: IncomingHttpHeaders,
    encoding: Encoding,
  ): void {
    const method = this.#methods.get(path);
    if (method === undefined) {
      this.#counters.countRejected("unknown_method");
      this.#counters.countRequest(0, UNIMPLEMENTED, 0);
      refuse(stream, unimplemented(`Method ${path} does not exist`));
      return;
    }
    const timeoutMs = parseTimeout(headers["grpc-timeout"] as string | undefined);
    this.#inFlight++;
    const call = new GrpcCall(
      stream,
      {
        method,
        encoding,
        timeoutMs: Math.min(timeoutMs ?? this.#options.defaultTimeoutMs, TIMEOUT_MAX_MS),
      },
      this,
    );
    if (timeoutMs !== null && Number.isNaN(timeoutMs)) call.fail(badTimeout());
    // Health is answered to the end.
    else if (this.#isStopping && method.kind !== "health") call.fail(stopping());
    else this.watch(call);
  }

  /** The only call that is no unary one. */
  #acceptWatch(stream: ServerHttp2Stream, headers: IncomingHttpHeaders, encoding: Encoding): void {
    const timeoutMs = parseTimeout(headers["grpc-timeout"] as string | undefined);
    const reader = new MessageReader(KEPT_SINK_BYTES);
    stream.on("error", ignoreError);
    const fail = (error: HearthError): void => {
      if (stream.destroyed || stream.headersSent) return;
      this.#counters.countRejected(error.reason);
      const status = statusOf(error, "health", this.#around);
      refuse(stream, { ...ANSWER_HEADERS, ...statusTrailers(status) });
    };
    if (timeoutMs !== null && Number.isNaN(timeoutMs)) return fail(badTimeout());
    stream.on("data", (piece: Buffer) => {
      const refusal = reader.add(piece);
      if (refusal !== null) fail(refusal);
    });
    const begin = (message: Uint8Array | HearthError): void => {
      if (message instanceof HearthError) return fail(message);
      try {
        if (!stream.destroyed && !stream.headersSent)
          this.#health.watch(message, stream, timeoutMs);
      } catch (error) {
        fail(toHearthError(error));
      }
    };
    stream.on("end", () => {
      const request = reader.finish();
      if (request instanceof HearthError) fail(request);
      else if (request.isPacked) unpack(request.message, encoding, KEPT_SINK_BYTES, begin);
      else begin(request.message);
    });
  }

  #sweep(): void {
    const nowMs = this.nowMs();
    for (const call of this.#watched) {
      if (call.isOver) this.#watched.delete(call);
      else if (nowMs >= call.deadlineAtMs) call.expire();
    }
    if (this.#watched.size > 0 || this.#sweeper === null) return;
    clearInterval(this.#sweeper);
    this.#sweeper = null;
  }
}

const UNIMPLEMENTED = 12;

/** Headers of a refusal that repeats what the client has sent. */
function unimplemented(text: string): Record<string, string | number> {
  const message = text.slice(0, STATUS_TEXT_MAX_LENGTH);
  return {
    ...ANSWER_HEADERS,
    ...statusTrailers({ code: UNIMPLEMENTED, message, leader: null }),
  };
}

/** Answers with headers alone, and looks at nothing more of the request. */
function refuse(stream: ServerHttp2Stream, headers: Record<string, string | number>): void {
  stream.on("error", ignoreError);
  if (stream.destroyed) return;
  stream.respond(headers, END_STREAM);
  closeAfterAnswer(stream);
}

function badTimeout(): HearthError {
  return new HearthError("invalid_argument", "The timeout of the call cannot be read", {
    reason: "bad_timeout",
  });
}

function stopping(): HearthError {
  return new HearthError("unavailable", "The server is stopping", { reason: "stopping" });
}
