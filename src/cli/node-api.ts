/**
 * A node's HTTP API, from the command line: tries the endpoints in order, says for each why it gave no answer.
 *
 * Own code over node:http instead of fetch: loading fetch takes longer than most commands run, and its errors hide
 * whether a node was refused, unresolved, silent, or had another name in its certificate.
 */
import { request as httpRequest, type IncomingMessage } from "node:http";
import { request as httpsRequest } from "node:https";
import {
  type ErrorCode,
  ERROR_CODES,
  formatDurationSetting,
  HearthError,
  type LeaderHint,
  timeoutSignal,
} from "../base/index.ts";
import type { CommandContext } from "./command.ts";
import { UnreachableError } from "./failure.ts";

export interface NodeAnswer {
  readonly endpoint: string;
  readonly status: number;
  readonly body: string;
}

export interface NodeRequest {
  readonly method: "GET" | "POST" | "DELETE";
  readonly path: string;
  readonly body?: string;
}

export interface NodeApiOptions {
  readonly endpoints: readonly string[];
  readonly timeoutMs: number;
  readonly signal: AbortSignal;
}

/** Answers of a node never come near this; what does is not a node. */
const ANSWER_MAX_BYTES = 1024 * 1024 * 1024;
/** How long a node that kept silent may take to say what it is doing. */
const READY_TIMEOUT_MS = 1_000;

/** What `/ready` of a node says, as a sentence about it. */
export interface Readiness {
  readonly text: string;
  readonly isReady: boolean;
}

interface Attempt {
  readonly endpoint: string;
  readonly reason: string;
  /** It was there and took too long: the command could succeed, so the next step is another one. */
  readonly isSlow: boolean;
}

export class NodeApi {
  readonly #options: NodeApiOptions;

  constructor(options: NodeApiOptions) {
    this.#options = options;
  }

  static of(context: Pick<CommandContext, "globals" | "signal">): NodeApi {
    const { endpoints, timeoutMs } = context.globals;
    return new NodeApi({ endpoints, timeoutMs, signal: context.signal });
  }

  /**
   * The JSON answer of the first node that gives one.
   * Errors: UnreachableError when none answers; the node's own HearthError when it refuses.
   */
  async json<T>(request: NodeRequest): Promise<{ readonly endpoint: string; readonly value: T }> {
    const answer = await this.ask(request);
    if (answer.status >= 200 && answer.status < 300) {
      return { endpoint: answer.endpoint, value: parse(answer) as T };
    }
    throw refusalOf(answer);
  }

  /** The same, for one node alone. */
  at(endpoint: string, timeoutMs: number = this.#options.timeoutMs): NodeApi {
    return new NodeApi({ ...this.#options, endpoints: [endpoint], timeoutMs });
  }

  /** The first answer of any status. Errors: UnreachableError when no node answers. */
  async ask(request: NodeRequest): Promise<NodeAnswer> {
    const attempts: Attempt[] = [];
    for (const endpoint of this.#options.endpoints) {
      try {
        return await send(endpoint, request, this.#options);
      } catch (error) {
        this.#options.signal.throwIfAborted();
        attempts.push(await this.#attemptOf(error, endpoint, request));
      }
    }
    throw unreachable(attempts, this.#options.timeoutMs);
  }

  /** What the first node that answers in time says of itself; null: none does. */
  async readiness(): Promise<Readiness | null> {
    for (const endpoint of this.#options.endpoints) {
      const word = await this.#readiness(endpoint);
      if (word !== null)
        return { text: `${endpoint} is ${word}`, isReady: !word.startsWith("not ") };
    }
    return null;
  }

  async #attemptOf(error: unknown, endpoint: string, request: NodeRequest): Promise<Attempt> {
    if (!isTimeout(error))
      return { endpoint, reason: describeFailure(error, endpoint), isSlow: false };
    const waited = `no answer within ${formatDurationSetting(this.#options.timeoutMs)}`;
    // Probes are answered by a node that can do nothing else: their silence needs no second one.
    const isProbe = /^\/(?:ready|livez)/.test(request.path);
    const word = isProbe ? null : await this.#readiness(endpoint);
    if (word === null) return { endpoint, reason: `${waited}${HANGS}`, isSlow: false };
    return { endpoint, reason: `${waited}; /ready there says: ${word}`, isSlow: true };
  }

  /** What a node that gave no answer says of itself, in one line; null: nothing, or it is no node. */
  async #readiness(endpoint: string): Promise<string | null> {
    const { signal, timeoutMs } = this.#options;
    const limits = { ...this.#options, timeoutMs: Math.min(timeoutMs, READY_TIMEOUT_MS) };
    try {
      const { body } = await send(endpoint, { method: "GET", path: "/ready" }, limits);
      return READY_TEXT.test(body) ? (body.split("\n")[0] ?? null) : null;
    } catch {
      signal.throwIfAborted();
      return null;
    }
  }
}

/** How every answer of `/ready` and `/livez` begins, whatever its status. */
export const READY_TEXT = /^(?:not )?(?:ready|live)\b/;

const HANGS = ", nor from /ready: it hangs, or it is no node";

function unreachable(attempts: readonly Attempt[], timeoutMs: number): UnreachableError {
  if (attempts.some(({ isSlow }) => isSlow)) {
    return new UnreachableError(
      `no node answered within ${formatDurationSetting(timeoutMs)}`,
      attempts,
      "hearth status says what is wrong, also without a leader; or wait longer: --timeout",
    );
  }
  return new UnreachableError(
    "no node answered",
    attempts,
    "Name a node that runs: --endpoint http://host:4040, or start one: hearth server",
  );
}

function isTimeout(error: unknown): boolean {
  const { name } = error as Error;
  return name === "TimeoutError" || name === "AbortError";
}

function send(
  endpoint: string,
  request: NodeRequest,
  options: NodeApiOptions,
): Promise<NodeAnswer> {
  const url = new URL(`${endpoint}${request.path}`);
  const start = url.protocol === "https:" ? httpsRequest : httpRequest;
  const signal = AbortSignal.any([options.signal, timeoutSignal(options.timeoutMs)]);
  const body = request.body === undefined ? null : Buffer.from(request.body);
  const headers: Record<string, string | number> = {
    accept: "application/json",
    connection: "close",
  };
  // Also where there is no body: no web page of another origin can send this type unasked, and nodes insist on it.
  if (request.method !== "GET") headers["content-type"] = "application/json";
  if (body !== null) headers["content-length"] = body.length;
  return new Promise((resolve, reject) => {
    const outgoing = start(url, { method: request.method, headers, signal }, (incoming) => {
      readAnswer(incoming).then(
        (text) => resolve({ endpoint, status: incoming.statusCode ?? 0, body: text }),
        reject,
      );
    });
    outgoing.on("error", reject);
    outgoing.end(body ?? undefined);
  });
}

async function readAnswer(incoming: IncomingMessage): Promise<string> {
  const parts: Buffer[] = [];
  let sizeBytes = 0;
  for await (const part of incoming as AsyncIterable<Buffer>) {
    sizeBytes += part.length;
    if (sizeBytes > ANSWER_MAX_BYTES) throw new Error("the answer is larger than 1 GiB");
    parts.push(part);
  }
  return Buffer.concat(parts).toString("utf8");
}

function parse(answer: NodeAnswer): unknown {
  try {
    return JSON.parse(answer.body);
  } catch (error) {
    throw notANode(answer, error);
  }
}

function notANode(answer: NodeAnswer, cause: unknown): HearthError {
  return new HearthError("unknown", `${answer.endpoint} did not answer with JSON`, {
    reason: "not_a_node",
    next: "Is this the HTTP port of a Hearth node?",
    cause,
  });
}

/** The error object of the API, as the error it was on the node. */
function refusalOf(answer: NodeAnswer): HearthError {
  const body = parse(answer) as { error?: Record<string, unknown> };
  const error = body.error ?? {};
  const code = typeof error.code === "string" && error.code in ERROR_CODES ? error.code : "unknown";
  const message =
    typeof error.message === "string" ? error.message : `HTTP status ${answer.status}`;
  return new HearthError(code as ErrorCode, message, {
    next: typeof error.next === "string" ? error.next : undefined,
    requestId: typeof error.requestId === "string" ? error.requestId : undefined,
    leader: isLeader(error.leader) ? error.leader : undefined,
    endpoint: answer.endpoint,
  });
}

function isLeader(value: unknown): value is LeaderHint {
  return typeof value === "object" && value !== null && "id" in value && "address" in value;
}

const NOT_HTTP = "it does not speak HTTP there; the port is 4040 unless a node was told otherwise";

const REASONS: Readonly<Record<string, string>> = {
  ECONNREFUSED: "connection refused: nothing listens there",
  ECONNRESET: "connection reset by the other side",
  ENOTFOUND: "unknown host name",
  EAI_AGAIN: "the name server does not answer",
  EHOSTUNREACH: "no route to the host",
  ENETUNREACH: "no route to the network",
  ETIMEDOUT: "timed out while connecting",
  DEPTH_ZERO_SELF_SIGNED_CERT: "its certificate is self-signed",
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: "its certificate is signed by nobody we know",
  CERT_HAS_EXPIRED: "its certificate has expired",
  EPROTO: "it does not speak TLS there; try http://",
};

function describeFailure(error: unknown, endpoint: string): string {
  const { code, message } = error as NodeJS.ErrnoException;
  // Several addresses of one name were tried: the first reason stands for all.
  if (error instanceof AggregateError && error.errors.length > 0) {
    return describeFailure(error.errors[0], endpoint);
  }
  // The parser of node:http: HPE_INVALID_CONSTANT and its like.
  if (code?.startsWith("HPE_") === true) return NOT_HTTP;
  if (code === "ERR_TLS_CERT_ALTNAME_INVALID") {
    return `its certificate is not for ${new URL(endpoint).hostname}`;
  }
  return REASONS[code ?? ""] ?? message;
}
