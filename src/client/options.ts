/** Settings of the client with their defaults, checked once, all problems at once. */
import { HearthError } from "../base/index.ts";
import { normalizeEndpoint } from "./endpoint.ts";
import { DICTIONARY_MAX_BYTES, ENDPOINTS_MAX } from "./limits.ts";
import type { Transport } from "./transport/transport.ts";
import { createWebSocketTransport } from "./transport/websocket.ts";
import type { ConnectOptions } from "./types.ts";

/** ConnectOptions with nothing left open; meanings and units are documented there. */
export interface ClientOptions {
  readonly endpoints: readonly string[];
  readonly name: string;
  readonly role: string;
  readonly connectTimeoutMs: number;
  readonly defaultTimeoutMs: number;
  readonly maxInFlight: number;
  readonly maxBufferedBytes: number;
  readonly streamWindowBytes: number;
  readonly maxWaitForConnectionMs: number;
  readonly reconnectMinDelayMs: number;
  readonly reconnectMaxDelayMs: number;
  readonly dictionaryMaxBytes: number;
  readonly keepAliveIntervalMs: number;
  readonly exactlyOnce: boolean;
  readonly followLeader: boolean;
  readonly transport: Transport;
}

const DEFAULTS = {
  name: "hearth-client",
  role: "tool",
  connectTimeoutMs: 5_000,
  defaultTimeoutMs: 10_000,
  maxInFlight: 1_024,
  /** 1,024 streams with a full window each. */
  maxBufferedBytes: 256 * 1024 * 1024,
  /** A few chunks: enough to keep the pipe busy on a local network, good enough. */
  streamWindowBytes: 256 * 1024,
  maxWaitForConnectionMs: 1_000,
  reconnectMinDelayMs: 50,
  reconnectMaxDelayMs: 5_000,
  /** About 15,000 dataset keys with their strings: what a front end asks for in hours. */
  dictionaryMaxBytes: 4 * 1024 * 1024,
  keepAliveIntervalMs: 10_000,
} as const;

/**
 * Fills in the defaults.
 *
 * Errors: `invalid_argument` that lists every problem, not only the first.
 */
export function resolveOptions(options: ConnectOptions): ClientOptions {
  const problems: string[] = [];
  const resolved: ClientOptions = {
    endpoints: resolveEndpoints(options.endpoints, problems),
    name: options.name ?? DEFAULTS.name,
    role: options.role ?? DEFAULTS.role,
    connectTimeoutMs: options.connectTimeoutMs ?? DEFAULTS.connectTimeoutMs,
    defaultTimeoutMs: options.defaultTimeoutMs ?? DEFAULTS.defaultTimeoutMs,
    maxInFlight: options.maxInFlight ?? DEFAULTS.maxInFlight,
    maxBufferedBytes: options.maxBufferedBytes ?? DEFAULTS.maxBufferedBytes,
    streamWindowBytes: options.streamWindowBytes ?? DEFAULTS.streamWindowBytes,
    maxWaitForConnectionMs: options.maxWaitForConnectionMs ?? DEFAULTS.maxWaitForConnectionMs,
    reconnectMinDelayMs: options.reconnect?.minDelayMs ?? DEFAULTS.reconnectMinDelayMs,
    reconnectMaxDelayMs: options.reconnect?.maxDelayMs ?? DEFAULTS.reconnectMaxDelayMs,
    dictionaryMaxBytes: options.dictionaryMaxBytes ?? DEFAULTS.dictionaryMaxBytes,
    keepAliveIntervalMs: options.keepAliveIntervalMs ?? DEFAULTS.keepAliveIntervalMs,
    exactlyOnce: options.exactlyOnce ?? false,
    followLeader: options.followLeader ?? true,
    transport: options.transport ?? createWebSocketTransport(),
  };
  checkNumbers(resolved, problems);
  if (problems.length > 0) {
    throw new HearthError("invalid_argument", `Cannot connect: ${problems.join("; ")}`, {
      reason: "bad_options",
    });
  }
  return resolved;
}

function resolveEndpoints(endpoints: readonly string[], problems: string[]): readonly string[] {
  if (!Array.isArray(endpoints) || endpoints.length === 0) {
    problems.push("endpoints must name at least one member");
    return [];
  }
  if (endpoints.length > ENDPOINTS_MAX) {
    problems.push(`endpoints has ${endpoints.length} entries, limit is ${ENDPOINTS_MAX}`);
    return [];
  }
  const unique = new Set<string>();
  for (const endpoint of endpoints as readonly unknown[]) {
    try {
      unique.add(normalizeEndpoint(String(endpoint)));
    } catch (error) {
      problems.push((error as Error).message);
    }
  }
  return [...unique];
}

function checkNumbers(options: ClientOptions, problems: string[]): void {
  const least = (name: keyof ClientOptions, minimum: number): void => {
    const value = options[name];
    if (typeof value !== "number" || Number.isNaN(value) || value < minimum) {
      problems.push(`${name} is ${String(value)}, must be at least ${minimum}`);
    }
  };
  least("connectTimeoutMs", 1);
  least("defaultTimeoutMs", 1);
  least("maxInFlight", 1);
  least("maxBufferedBytes", 1);
  least("streamWindowBytes", 1);
  least("maxWaitForConnectionMs", 0);
  least("reconnectMinDelayMs", 1);
  least("reconnectMaxDelayMs", 1);
  least("keepAliveIntervalMs", 0);
  least("dictionaryMaxBytes", 0);
  if (options.dictionaryMaxBytes > DICTIONARY_MAX_BYTES) {
    problems.push(
      `dictionaryMaxBytes is ${options.dictionaryMaxBytes}, limit is ${DICTIONARY_MAX_BYTES}`,
    );
  }
  if (options.reconnectMaxDelayMs < options.reconnectMinDelayMs) {
    problems.push("reconnect.maxDelayMs is below reconnect.minDelayMs");
  }
}
