/** `/metrics`: the Prometheus exposition. */
import type { MetricRegistry } from "../metrics/index.ts";
import type { Route } from "./types.ts";

export function metricsRoute(registry: Pick<MetricRegistry, "expose">): Route {
  return {
    method: "GET",
    path: "/metrics",
    summary: "Metrics in the Prometheus text format",
    handle: async () => {
      const { contentType, body } = await registry.expose();
      return { status: 200, headers: { "content-type": contentType }, body };
    },
  };
}
