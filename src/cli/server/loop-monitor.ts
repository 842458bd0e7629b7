/** Watches the event loop of the main thread: lag as a histogram, utilisation as a ratio. */
import { type EventLoopUtilization, performance } from "node:perf_hooks";
import type { MetricRegistry } from "../../metrics/index.ts";

/** Four samples a second cost nothing and show a stall of a quarter of a second for sure. */
const INTERVAL_MS = 250;
const THREAD = { thread: "main" } as const;

export class LoopMonitor {
  readonly #metrics: MetricRegistry;
  readonly #timer: NodeJS.Timeout;
  #plannedAtMs = performance.now() + INTERVAL_MS;
  #last: EventLoopUtilization = performance.eventLoopUtilization();

  constructor(metrics: MetricRegistry) {
    this.#metrics = metrics;
    this.#timer = setInterval(() => this.#sample(), INTERVAL_MS);
    this.#timer.unref();
    metrics.onCollect(() => {
      const now = performance.eventLoopUtilization();
      const { utilization } = performance.eventLoopUtilization(now, this.#last);
      this.#last = now;
      metrics.set("hearth_event_loop_utilization_ratio", utilization, THREAD);
    });
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  #sample(): void {
    const nowMs = performance.now();
    const lagMs = Math.max(0, nowMs - this.#plannedAtMs);
    this.#plannedAtMs = nowMs + INTERVAL_MS;
    this.#metrics.observe("hearth_event_loop_lag_seconds", lagMs / 1_000, THREAD);
  }
}
