/**
 * The one error that crosses an edge (socket, HTTP, client library), and its closed list of codes.
 *
 * The codes are the gRPC codes in snake_case, so that every wire can name the same outcome. Inside a module,
 * expected failures are values; this class is for leaving the service layer.
 */

/** Code name -> gRPC number. Closed: a new outcome must find its place among these. */
export const ERROR_CODES = {
  cancelled: 1,
  unknown: 2,
  invalid_argument: 3,
  deadline_exceeded: 4,
  not_found: 5,
  already_exists: 6,
  permission_denied: 7,
  resource_exhausted: 8,
  failed_precondition: 9,
  aborted: 10,
  out_of_range: 11,
  unimplemented: 12,
  internal: 13,
  unavailable: 14,
  data_loss: 15,
  unauthenticated: 16,
} as const;

export type ErrorCode = keyof typeof ERROR_CODES;

/** Where the leader is, as far as the answering member knows. */
export interface LeaderHint {
  readonly id: string;
  readonly address: string;
}

/** Whether a request reached a server: decides if a caller may repeat what is not idempotent. */
export type SentState = "no" | "maybe" | "yes";

export interface ErrorDetails {
  /** Label of the rejection counter: a short snake_case word from a closed set per listener. */
  readonly reason?: string | undefined;
  /** What the reader should do next, one sentence. */
  readonly next?: string | undefined;
  readonly leader?: LeaderHint | undefined;
  readonly retryAfterMs?: number | undefined;
  readonly sent?: SentState | undefined;
  readonly endpoint?: string | undefined;
  readonly requestId?: string | undefined;
  readonly attempts?: number | undefined;
  readonly cause?: unknown;
}

/** Codes for which the same request may succeed later. */
const RETRYABLE: ReadonlySet<ErrorCode> = new Set(["unavailable", "resource_exhausted", "aborted"]);

const NAME_BY_NUMBER = new Map<number, ErrorCode>(
  (Object.entries(ERROR_CODES) as [ErrorCode, number][]).map(([name, number]) => [number, name]),
);

/** A brand instead of instanceof, so that two copies of the package recognise each other's errors. */
const BRAND = Symbol.for("hearth.error");

export class HearthError extends Error {
  readonly [BRAND] = true;
  readonly code: ErrorCode;
  readonly reason: string;
  readonly retryable: boolean;
  readonly retryAfterMs: number | null;
  readonly sent: SentState;
  readonly endpoint: string | null;
  readonly leader: LeaderHint | null;
  readonly requestId: string;
  readonly attempts: number;
  readonly next: string | null;

  constructor(code: ErrorCode, message: string, details: ErrorDetails = {}) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause });
    this.name = "HearthError";
    this.code = code;
    this.reason = details.reason ?? code;
    this.retryable = RETRYABLE.has(code);
    this.retryAfterMs = details.retryAfterMs ?? null;
    this.sent = details.sent ?? "no";
    this.endpoint = details.endpoint ?? null;
    this.leader = details.leader ?? null;
    this.requestId = details.requestId ?? "";
    this.attempts = details.attempts ?? 1;
    this.next = details.next ?? null;
  }

  /** The same error with more said about it: edges add what only they know. */
  with(details: ErrorDetails): HearthError {
    return new HearthError(this.code, this.message, {
      reason: this.reason,
      next: this.next ?? undefined,
      leader: this.leader ?? undefined,
      retryAfterMs: this.retryAfterMs ?? undefined,
      sent: this.sent,
      endpoint: this.endpoint ?? undefined,
      requestId: this.requestId,
      attempts: this.attempts,
      cause: this.cause,
      ...details,
    });
  }
}

/** True for errors of this package, whichever copy of it made them. */
export function isHearthError(value: unknown): value is HearthError {
  return typeof value === "object" && value !== null && BRAND in value;
}

/** gRPC number of a code. */
export function errorCodeNumber(code: ErrorCode): number {
  return ERROR_CODES[code];
}

/** Code of a gRPC number; numbers outside the list read as "unknown", as gRPC clients do. */
export function errorCodeFromNumber(number: number): ErrorCode {
  return NAME_BY_NUMBER.get(number) ?? "unknown";
}

/** Anything thrown, as a HearthError: what is not ours is `internal`, with its cause kept. */
export function toHearthError(error: unknown): HearthError {
  if (isHearthError(error)) return error;
  const message = error instanceof Error ? error.message : String(error);
  return new HearthError("internal", message, { reason: "internal", cause: error });
}

/** Shorthand for the commonest refusal: a request that can never succeed. */
export function invalidArgument(reason: string, message: string): HearthError {
  return new HearthError("invalid_argument", message, { reason });
}
