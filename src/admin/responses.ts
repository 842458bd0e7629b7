/** Answers, and the one shape of an error on this wire: `{"error":{code,message,next,leader,requestId}}`. */
import { type ErrorCode, errorCodeNumber, HearthError, isHearthError } from "../base/index.ts";
import type { AdminResponse } from "./types.ts";

export const JSON_TYPE = "application/json; charset=utf-8";
export const TEXT_TYPE = "text/plain; charset=utf-8";
export const HTML_TYPE = "text/html; charset=utf-8";
export const YAML_TYPE = "application/yaml; charset=utf-8";

/** The usual mapping of gRPC codes to HTTP (google.rpc.Code), which gateways and retry policies expect. */
const STATUS_BY_CODE: Readonly<Record<ErrorCode, number>> = {
  cancelled: 499,
  unknown: 500,
  invalid_argument: 400,
  deadline_exceeded: 504,
  not_found: 404,
  already_exists: 409,
  permission_denied: 403,
  resource_exhausted: 429,
  failed_precondition: 412,
  aborted: 409,
  out_of_range: 400,
  unimplemented: 501,
  internal: 500,
  unavailable: 503,
  data_loss: 500,
  unauthenticated: 401,
};

export function statusOfCode(code: ErrorCode): number {
  return STATUS_BY_CODE[code];
}

/** One line of meaning per code, for the reference page. */
const MEANINGS: Readonly<Record<ErrorCode, string>> = {
  cancelled: "The caller gave up",
  unknown: "A failure of which nothing more is known",
  invalid_argument: "The request can never succeed as it is",
  deadline_exceeded:
    "The time budget ended first; a write may still take effect, but not with reason not_proposed",
  not_found: "What was asked for does not exist",
  already_exists: "What was to be made exists",
  permission_denied: "Known, and not allowed",
  resource_exhausted: "A limit was reached; less at once, or later",
  failed_precondition: "The state does not allow it; repeating alone does not help",
  aborted: "The state changed under the request; ask again",
  out_of_range: "Outside of what is there",
  unimplemented: "This version does not do that",
  internal: "A bug in the server; its log says more",
  unavailable:
    "No leader, not ready, or shutting down; another member or a moment later may answer",
  data_loss: "Stored data is damaged",
  unauthenticated: "Who asks is not known",
};

/** The closed list of codes as data. */
export function statusCodes(): {
  code: ErrorCode;
  grpc: number;
  http: number;
  isRetryable: boolean;
  meaning: string;
}[] {
  return (Object.keys(STATUS_BY_CODE) as ErrorCode[])
    .map((code) => ({
      code,
      grpc: errorCodeNumber(code),
      http: STATUS_BY_CODE[code],
      isRetryable: new HearthError(code, "").retryable,
      meaning: MEANINGS[code],
    }))
    .sort((left, right) => left.grpc - right.grpc);
}

export function text(
  status: number,
  body: string,
  headers: Record<string, string> = {},
): AdminResponse {
  return { status, headers: { "content-type": TEXT_TYPE, ...headers }, body };
}

export function html(body: string): AdminResponse {
  const headers = {
    "content-type": HTML_TYPE,
    "content-security-policy": "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'",
  };
  return { status: 200, headers, body };
}

/** A JSON answer; 64-bit values must be strings already, as proto3 JSON wants them. */
export function json(
  status: number,
  value: unknown,
  headers: Record<string, string> = {},
): AdminResponse {
  return {
    status,
    headers: { "content-type": JSON_TYPE, ...headers },
    body: `${JSON.stringify(value)}\n`,
  };
}

/** The JSON object of an error, shared with the command line, which prints the same. */
export function errorBody(error: HearthError, requestId: string): object {
  return {
    error: {
      code: error.code,
      message: error.message,
      next: error.next,
      leader: error.leader,
      requestId: error.requestId === "" ? requestId : error.requestId,
    },
  };
}

function hidden(cause: unknown): HearthError {
  return new HearthError("internal", "Something failed inside this node", {
    reason: "internal",
    next: "Its log says more under this request id",
    cause,
  });
}

/**
 * Anything thrown, as an answer. What is not a HearthError is a fault of ours: the caller learns that it happened and
 * under which request id the log tells more, not what it was.
 */
export function errorResponse(thrown: unknown, requestId: string, status?: number): AdminResponse {
  const error = isHearthError(thrown) ? thrown : hidden(thrown);
  const headers: Record<string, string> = {};
  if (error.retryAfterMs !== null)
    headers["retry-after"] = String(Math.ceil(error.retryAfterMs / 1_000));
  return json(status ?? statusOfCode(error.code), errorBody(error, requestId), headers);
}
