/**
 * Refusals in the log, since clients keep only their own: one line per method and reason every few seconds, with how many
 * there were. A reason comes from a closed set, so what is kept is bounded.
 */

import type { HearthError, Logger } from "../base/index.ts";
import { REFUSAL_LOG_MS } from "./limits.ts";

interface Refusals {
  count: number;
  loggedAtMs: number;
}

const KINDS_MAX = 1_024;

export class RefusalLog {
  readonly #logger: Logger;
  readonly #nowMs: () => number;
  readonly #kinds = new Map<string, Refusals>();

  constructor(logger: Logger, nowMs: () => number = () => performance.now()) {
    this.#logger = logger;
    this.#nowMs = nowMs;
  }

  refused(method: string, error: HearthError): void {
    const kind = `${method} ${error.reason}`;
    const nowMs = this.#nowMs();
    let refusals = this.#kinds.get(kind);
    if (refusals === undefined) {
      if (this.#kinds.size >= KINDS_MAX) this.#kinds.clear();
      refusals = { count: 0, loggedAtMs: Number.NEGATIVE_INFINITY };
      this.#kinds.set(kind, refusals);
    }
    refusals.count++;
    if (nowMs - refusals.loggedAtMs < REFUSAL_LOG_MS) return;
    const { code, reason, message } = error;
    this.#logger.warn("gRPC calls refused", {
      method,
      code,
      reason,
      count: refusals.count,
      last: message.slice(0, 200),
    });
    refusals.count = 0;
    refusals.loggedAtMs = nowMs;
  }
}
