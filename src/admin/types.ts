/**
 * HTTP as plain values: handlers take an AdminRequest and give an AdminResponse, and never see a socket. So the same
 * handlers run behind node:http, behind a test, and later behind the WebSocket library's own HTTP.
 */
import type { HearthClient } from "../client/index.ts";
import type { BlockMeta } from "../protocol/index.ts";

export interface AdminRequest {
  readonly method: string;
  /** Path without the query, as it was sent; parameters of a route are decoded one by one. */
  readonly path: string;
  readonly query: URLSearchParams;
  /** Names in lower case. */
  readonly headers: Readonly<Record<string, string>>;
  /** Whole body, bounded by the server. Owned by the handler. */
  readonly body: Uint8Array;
  /** Aborts when the peer is gone or the server stops. */
  readonly signal: AbortSignal;
  /** Names the request in errors and log lines. */
  readonly requestId: string;
}

export interface AdminResponse {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string | Uint8Array;
}

export type AdminHandler = (
  request: AdminRequest,
  parameters: Readonly<Record<string, string>>,
) => AdminResponse | Promise<AdminResponse>;

/** One route, as data: the landing page, the 404 suggestions, the metrics and the reference page read it. */
export interface Route {
  readonly method: "GET" | "POST" | "DELETE";
  /** `{name}` stands for one segment; `{name...}`, only last, for the rest of the path. */
  readonly path: string;
  /** One sentence without a final period. */
  readonly summary: string;
  readonly handle: AdminHandler;
}

/** Some blocks of a streamed answer, as far as HTTP needs them. */
export type PlanBatchView = Iterable<{ toBlockMeta(): BlockMeta }>;

/**
 * The operations behind the HTTP API: a HearthClient whose frames go to a reader thread by message instead of over a
 * socket. Narrow, so that a test can hand in a few functions.
 */
export type MetadataClient = Pick<
  HearthClient,
  | "addBlocks"
  | "compaction"
  | "getBlockMetadata"
  | "queryMetadata"
  | "queryMetadataLabels"
  | "getTenants"
  | "getTenant"
  | "deleteTenant"
  | "tenantDeletions"
  | "openTenant"
  | "readIndex"
>;
