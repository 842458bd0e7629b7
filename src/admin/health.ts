/**
 * Health in words (ux, 4). A check is a name and a function that says ok, or a sentence with the reason; nothing is
 * ever just "unhealthy". Live fails only for what a restart cures; ready for what keeps this node from serving now.
 */
import type { AdminRequest, AdminResponse, Route } from "./types.ts";
import { HearthError } from "../base/index.ts";
import { errorResponse, text } from "./responses.ts";

export type CheckResult =
  | { readonly state: "ok" }
  /** Holds, but somebody should know: shown by `?verbose` as `[!]`. */
  | { readonly state: "warning"; readonly reason: string }
  | { readonly state: "failed"; readonly reason: string };

export const CHECK_OK: CheckResult = { state: "ok" };

export interface HealthCheck {
  readonly name: string;
  readonly kind: HealthKind;
  /** Quick and without waiting: probes come every few seconds from several sides. */
  check(): CheckResult;
}

export type HealthKind = "live" | "ready";

export interface CheckOutcome {
  readonly name: string;
  readonly result: CheckResult;
}

/** The checks of a node; asked by probes, by the status page and by the metrics. */
export class Health {
  readonly #checks: readonly HealthCheck[];

  constructor(checks: readonly HealthCheck[]) {
    this.#checks = checks;
  }

  /** Every check of a kind, in order; one that throws has failed. */
  evaluate(kind: HealthKind): CheckOutcome[] {
    return this.#checks
      .filter((check) => check.kind === kind)
      .map((check) => ({ name: check.name, result: runCheck(check) }));
  }
}

function runCheck(check: HealthCheck): CheckResult {
  try {
    return check.check();
  } catch (error) {
    return { state: "failed", reason: `the check itself failed: ${String(error)}` };
  }
}

/** `/ready`, `/readyz`, `/livez`, and one check of each by name. */
export function healthRoutes(health: Health): Route[] {
  const paths = [
    {
      path: "/ready",
      kind: "ready",
      summary: "200 when this node serves reads and writes, else why not",
    },
    { path: "/readyz", kind: "ready", summary: "The same as /ready" },
    { path: "/livez", kind: "live", summary: "200 unless a restart would help, and then why" },
  ] as const;
  return paths.flatMap(({ path, kind, summary }) => [
    { method: "GET", path, summary, handle: (request) => answerAll(health, kind, request) },
    {
      method: "GET",
      path: `${path}/{name}`,
      summary: `One check of ${path} by its name`,
      handle: (request, parameters) => answerOne(health, kind, parameters.name ?? "", request),
    },
  ]) satisfies Route[];
}

const WORDS = {
  live: { good: "live", bad: "not live" },
  ready: { good: "ready", bad: "not ready" },
} as const;

/** Probes must see the present: no cache between may answer for us. */
const NO_STORE = { "cache-control": "no-store" };

function answerAll(health: Health, kind: HealthKind, request: AdminRequest): AdminResponse {
  const excluded = new Set(request.query.getAll("exclude"));
  const outcomes = health.evaluate(kind);
  const isGood = (outcome: CheckOutcome): boolean =>
    excluded.has(outcome.name) || outcome.result.state !== "failed";
  const firstBad = outcomes.find((outcome) => !isGood(outcome));
  const { good, bad } = WORDS[kind];
  const status = firstBad === undefined ? 200 : 503;
  const sentence = firstBad === undefined ? good : `${bad}: ${reasonOf(firstBad.result)}`;
  if (!isAsked(request, "verbose")) return text(status, `${sentence}\n`, NO_STORE);
  const lines = outcomes.map((outcome) => verboseLine(outcome, excluded.has(outcome.name)));
  const unknown = [...excluded].filter(
    (name) => !outcomes.some((outcome) => outcome.name === name),
  );
  const warnings = unknown.map((name) => `[!]${name} is no check, nothing was excluded`);
  return text(status, `${[...lines, ...warnings, sentence].join("\n")}\n`, NO_STORE);
}

function answerOne(
  health: Health,
  kind: HealthKind,
  name: string,
  request: AdminRequest,
): AdminResponse {
  const outcomes = health.evaluate(kind);
  const outcome = outcomes.find((candidate) => candidate.name === name);
  if (outcome === undefined) {
    const names = outcomes.map((candidate) => candidate.name).join(", ");
    const error = new HearthError("not_found", `There is no check "${name}"`, {
      reason: "unknown_check",
      next: `Checks are ${names}`,
    });
    return errorResponse(error, request.requestId);
  }
  const isBad = outcome.result.state === "failed";
  return text(isBad ? 503 : 200, `${verboseLine(outcome, false)}\n`, NO_STORE);
}

/** `?verbose` alone, or with anything but a denial. */
function isAsked(request: AdminRequest, name: string): boolean {
  const value = request.query.get(name);
  return value !== null && value !== "false" && value !== "0";
}

function verboseLine({ name, result }: CheckOutcome, isExcluded: boolean): string {
  if (isExcluded) return `[+]${name} excluded: ok`;
  if (result.state === "ok") return `[+]${name} ok`;
  if (result.state === "warning") return `[!]${name} ${result.reason}`;
  return `[-]${name} failed: ${result.reason}`;
}

function reasonOf(result: CheckResult): string {
  return result.state === "ok" ? "ok" : result.reason;
}
