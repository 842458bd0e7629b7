import type { AdminRequest, AdminResponse, MetadataClient, Route } from "../../src/admin/index.ts";
import { Router } from "../../src/admin/index.ts";
import { SILENT_LOGGER } from "../../src/base/index.ts";

export interface RequestParts {
  readonly method?: string;
  readonly body?: string | Uint8Array;
  readonly headers?: Readonly<Record<string, string>>;
}

/** A request as the server would hand it over. `target` is path and query. */
export function request(target: string, parts: RequestParts = {}): AdminRequest {
  const url = new URL(target, "http://test.invalid");
  const body = parts.body ?? "";
  return {
    method: parts.method ?? (parts.body === undefined ? "GET" : "POST"),
    path: url.pathname,
    query: url.searchParams,
    headers: parts.headers ?? {},
    body: typeof body === "string" ? Buffer.from(body) : body,
    signal: new AbortController().signal,
    requestId: "test-1",
  };
}

export interface Answer {
  readonly status: number;
  readonly text: string;
  readonly headers: AdminResponse["headers"];
  // biome-ignore lint/suspicious/noExplicitAny: tests look at what JSON.parse gives
  readonly json: () => any;
}

/** Sends a request through a router. */
export async function ask(
  routes: readonly Route[],
  target: string,
  parts?: RequestParts,
): Promise<Answer> {
  const { response } = await new Router({ routes, logger: SILENT_LOGGER }).dispatch(
    request(target, parts),
  );
  const text = Buffer.from(response.body).toString();
  return { status: response.status, text, headers: response.headers, json: () => JSON.parse(text) };
}

/** A client of which only the given methods may be called. */
export function fakeClient(methods: Partial<MetadataClient>): () => MetadataClient {
  const missing = new Proxy(methods, {
    get: (target, name) => {
      const method = Reflect.get(target, name);
      if (method === undefined) throw new Error(`Unexpected call of ${String(name)}`);
      return method;
    },
  });
  return () => missing as MetadataClient;
}

/** One batch after another, as a streamed answer. */
export async function* stream<T>(...batches: readonly T[]): AsyncGenerator<T, void, undefined> {
  yield* batches;
}
