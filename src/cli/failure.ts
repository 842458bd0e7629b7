/** What went wrong, for people and for programs, and the exit code that says it shortest. */
import { type HearthError, isHearthError, toHearthError } from "../base/index.ts";
import { EXIT, type ExitCode, type Terminal, UsageError } from "./command.ts";

/** No node gave an answer: one reason per endpoint. */
export class UnreachableError extends Error {
  override readonly name = "UnreachableError";
  readonly attempts: readonly { readonly endpoint: string; readonly reason: string }[];
  readonly next: string;

  constructor(
    message: string,
    attempts: readonly { readonly endpoint: string; readonly reason: string }[],
    next: string,
  ) {
    super(message);
    this.attempts = attempts;
    this.next = next;
  }
}

/** Not done, though it could be: a person has to say more, or the cluster is not in a state for it. */
export class RefusedError extends Error {
  override readonly name = "RefusedError";
  /** What would happen, or what was seen: one line each. */
  readonly plan: readonly string[];
  readonly next: string | null;

  constructor(message: string, plan: readonly string[], next: string | null) {
    super(message);
    this.plan = plan;
    this.next = next;
  }
}

/** Prints a failure to stderr and returns the exit code. */
export function reportFailure(error: unknown, isJson: boolean, terminal: Terminal): ExitCode {
  const code = exitCodeOf(error);
  if (isJson) terminal.talk(JSON.stringify(failureObject(error)));
  else for (const line of failureLines(error)) terminal.talk(line);
  return code;
}

export function exitCodeOf(error: unknown): ExitCode {
  if (error instanceof UsageError) return EXIT.misuse;
  if (error instanceof UnreachableError) return EXIT.unreachable;
  if (error instanceof RefusedError) return EXIT.refused;
  if (isAbort(error)) return EXIT.interrupted;
  if (!isHearthError(error)) return EXIT.failed;
  switch (error.code) {
    case "invalid_argument":
      return EXIT.misuse;
    case "permission_denied":
    case "unauthenticated":
    case "failed_precondition":
      return EXIT.refused;
    default:
      return EXIT.failed;
  }
}

function isAbort(error: unknown): boolean {
  return error instanceof Error && error.name === "InterruptedError";
}

/** First Ctrl-C: the reason that travels through every abort signal. */
export class InterruptedError extends Error {
  override readonly name = "InterruptedError";

  constructor() {
    super("interrupted");
  }
}

function failureLines(error: unknown): string[] {
  const message = error instanceof Error ? error.message : String(error);
  const lines = [`hearth: ${error instanceof RefusedError ? "refused: " : ""}${message}`];
  if (error instanceof UnreachableError) {
    const width = Math.max(...error.attempts.map(({ endpoint }) => endpoint.length));
    lines.push(
      ...error.attempts.map(({ endpoint, reason }) => `  ${endpoint.padEnd(width)}  ${reason}`),
    );
  }
  if (error instanceof RefusedError)
    lines.push(...error.plan.map((line, i) => `  ${i === 0 ? "plan " : "     "}  ${line}`));
  if (isHearthError(error) && error.leader !== null) {
    lines.push(`  leader ${error.leader.id} at ${error.leader.address}`);
  }
  const next = nextOf(error);
  if (next !== null) lines.push(`  next   ${next}`);
  return lines;
}

function nextOf(error: unknown): string | null {
  const hasNext =
    error instanceof UsageError ||
    error instanceof UnreachableError ||
    error instanceof RefusedError ||
    isHearthError(error);
  if (!hasNext) return null;
  return error.next ?? (isHearthError(error) && error.code === "unavailable" ? LOOK : null);
}

/** A node that cannot do it now answers this all the same. */
const LOOK = "hearth status says what is wrong, also without a leader";

function failureObject(error: unknown): object {
  const { code, requestId, leader } = describe(error);
  return { error: { code, message: wholeMessage(error), next: nextOf(error), leader, requestId } };
}

/** Programs get the reason of each endpoint too. */
function wholeMessage(error: unknown): string {
  const message = error instanceof Error ? error.message : String(error);
  if (!(error instanceof UnreachableError)) return message;
  const reasons = error.attempts.map(({ endpoint, reason }) => `${endpoint}: ${reason}`);
  return [message, ...reasons].join("; ");
}

function describe(error: unknown): Pick<HearthError, "code" | "requestId" | "leader"> {
  if (error instanceof UsageError) return { code: "invalid_argument", requestId: "", leader: null };
  if (error instanceof UnreachableError)
    return { code: "unavailable", requestId: "", leader: null };
  if (error instanceof RefusedError)
    return { code: "failed_precondition", requestId: "", leader: null };
  if (isAbort(error)) return { code: "cancelled", requestId: "", leader: null };
  return toHearthError(error);
}
