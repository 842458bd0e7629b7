/** Server and client of one test, taken down after it whatever happened. */
import assert from "node:assert/strict";
import {
  type ConnectionStatus,
  type ConnectOptions,
  connect,
  type HearthClient,
  type HearthError,
  isHearthError,
} from "../../src/client/index.ts";
import { FakeServer, type FakeServerOptions } from "./fake-server.ts";

export const ULID_A = "01ARZ3NDEKTSV4RRFFQ69G5FAV";
export const ULID_B = "01BX5ZZKBKACTAV9WEVGEMMVRZ";
export const ULID_C = "01BX5ZZKBKACTAV9WEVGEMMVS0";

/** The part of a node:test context that is used here. */
export interface Teardown {
  after(step: () => unknown): void;
}

export interface Pair {
  readonly server: FakeServer;
  readonly client: HearthClient;
}

/** A server of the test's own. */
export async function startServer(
  t: Teardown,
  options: FakeServerOptions = {},
): Promise<FakeServer> {
  const server = await FakeServer.start(options);
  t.after(() => server.stop());
  return server;
}

/** A client that is closed after the test. Its pauses are short. */
export async function startClient(
  t: Teardown,
  endpoints: readonly string[],
  options: Partial<ConnectOptions> = {},
): Promise<HearthClient> {
  const client = await connect({
    endpoints,
    reconnect: { minDelayMs: 1, maxDelayMs: 20 },
    connectTimeoutMs: 60_000,
    maxWaitForConnectionMs: 60_000,
    ...options,
  });
  t.after(() => client.close());
  return client;
}

export async function startPair(
  t: Teardown,
  options: Partial<ConnectOptions> = {},
  serverOptions: FakeServerOptions = {},
): Promise<Pair> {
  const server = await startServer(t, serverOptions);
  return { server, client: await startClient(t, [server.endpoint], options) };
}

/** The HearthError that a promise rejects with. */
export async function failureOf(promise: Promise<unknown>): Promise<HearthError> {
  const error: unknown = await promise.then(
    () => assert.fail("It did not fail"),
    (reason: unknown) => reason,
  );
  assert.ok(isHearthError(error), `Not a HearthError: ${String(error)}`);
  return error;
}

/** The next status of that kind. */
export async function nextStatus<K extends ConnectionStatus["kind"]>(
  statuses: AsyncIterator<ConnectionStatus>,
  kind: K,
): Promise<Extract<ConnectionStatus, { kind: K }>> {
  for (;;) {
    const { done, value } = await statuses.next();
    assert.ok(done !== true, `No status "${kind}" before the end`);
    if (value.kind === kind) return value as Extract<ConnectionStatus, { kind: K }>;
  }
}

/** A query that asks for everything of tenant acme. */
export const EVERYTHING = {
  tenants: ["acme"],
  selector: "{}",
  startAtMs: 0,
  endAtMs: 10_000,
} as const;
