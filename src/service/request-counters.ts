/**
 * Counters of one thread that answers requests: plain numbers, so that counting costs nanoseconds, sent to main when it
 * asks. Main merges the threads and gives them their metric names.
 */

import { errorCodeNumber } from "../base/index.ts";

/** Upper bounds, seconds. Point reads take 5 us, scans of big plans up to a second; the last is the default budget. */
export const REQUEST_DURATION_BUCKETS_SECONDS = [
  0.000_025, 0.000_05, 0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1,
  0.25, 0.5, 1, 2.5, 10,
] as const;

/** Codes are gRPC numbers, 0 (ok) to 16. */
const CODES = 17;
const BUCKETS = REQUEST_DURATION_BUCKETS_SECONDS.length + 1;
const OUTCOMES = 3;
const CODE_CANCELLED = errorCodeNumber("cancelled");

/** Reasons counted by name per thread; the sets are closed, so more means a bug, and it must not eat memory. */
const REASONS_MAX = 256;

export interface RequestCount {
  /** Name of the operation, or "unknown". */
  readonly route: string;
  /** gRPC code number, 0 = ok. */
  readonly code: number;
  readonly count: number;
}

/** How a request ended, in the words of the reference's `status_code` label. */
export const REQUEST_OUTCOMES = ["success", "cancel", "error"] as const;
export type RequestOutcome = (typeof REQUEST_OUTCOMES)[number];

export interface RequestDuration {
  readonly route: string;
  readonly outcome: RequestOutcome;
  /** Requests per bucket, not cumulative; the last is everything above the highest bound. */
  readonly buckets: readonly number[];
  readonly count: number;
  readonly sumSeconds: number;
}

/** What requests came to. Plain data: it crosses threads. Counts since the thread started. */
export interface RequestMetrics {
  readonly requests: readonly RequestCount[];
  readonly durations: readonly RequestDuration[];
  /** Refusals by reason: requests and connections alike. */
  readonly rejected: Readonly<Record<string, number>>;
}

export class RequestCounters {
  readonly #routes: readonly string[];
  readonly #requests: Float64Array;
  /** By route and outcome. */
  readonly #buckets: Float64Array;
  readonly #sums: Float64Array;
  readonly #rejected = new Map<string, number>();

  /** Names of the operations by number; the first is that of requests for what does not exist. */
  constructor(routes: readonly string[]) {
    this.#routes = routes;
    this.#requests = new Float64Array(routes.length * CODES);
    this.#buckets = new Float64Array(routes.length * OUTCOMES * BUCKETS);
    this.#sums = new Float64Array(routes.length * OUTCOMES);
  }

  /** Counts an answered request. */
  countRequest(number: number, code: number, durationMs: number): void {
    const route = number < this.#routes.length ? number : 0;
    bump(this.#requests, route * CODES + code, 1);
    const series = route * OUTCOMES + outcomeOf(code);
    bump(this.#buckets, series * BUCKETS + bucketOf(durationMs / 1000), 1);
    bump(this.#sums, series, durationMs / 1000);
  }

  countRejected(reason: string): void {
    const count = this.#rejected.get(reason);
    if (count === undefined && this.#rejected.size >= REASONS_MAX) this.countRejected("other");
    else this.#rejected.set(reason, (count ?? 0) + 1);
  }

  snapshot(): RequestMetrics {
    const requests: RequestCount[] = [];
    const durations: RequestDuration[] = [];
    for (const [route, name] of this.#routes.entries()) {
      const counts = [...this.#requests.subarray(route * CODES, (route + 1) * CODES)];
      const total = counts.reduce((sum, count) => sum + count, 0);
      if (total === 0) continue;
      counts.forEach((count, code) => {
        if (count > 0) requests.push({ route: name, code, count });
      });
      durations.push(...this.#durationsOf(route, name));
    }
    return { requests, durations, rejected: Object.fromEntries(this.#rejected) };
  }

  #durationsOf(route: number, name: string): RequestDuration[] {
    const durations: RequestDuration[] = [];
    for (const [i, outcome] of REQUEST_OUTCOMES.entries()) {
      const series = route * OUTCOMES + i;
      const buckets = [...this.#buckets.subarray(series * BUCKETS, (series + 1) * BUCKETS)];
      const count = buckets.reduce((sum, inBucket) => sum + inBucket, 0);
      if (count === 0) continue;
      const sumSeconds = this.#sums[series] as number;
      durations.push({ route: name, outcome, buckets, count, sumSeconds });
    }
    return durations;
  }
}

function bump(counts: Float64Array, position: number, by: number): void {
  counts[position] = (counts[position] as number) + by;
}

/** Position in REQUEST_OUTCOMES. */
function outcomeOf(code: number): number {
  if (code === 0) return 0;
  return code === CODE_CANCELLED ? 1 : 2;
}

function bucketOf(seconds: number): number {
  let i = 0;
  while (i < BUCKETS - 1 && seconds > (REQUEST_DURATION_BUCKETS_SECONDS[i] as number)) i++;
  return i;
}
