import assert from "node:assert/strict";
import { describe, it } from "node:test";
import {
  METRIC_CATALOG,
  MetricRegistry,
  type MetricSpec,
  SERIES_MAX_COUNT,
} from "../../src/metrics/index.ts";

const SPECS: readonly MetricSpec[] = [
  { kind: "counter", name: "t_requests_total", help: "Requests.", labels: ["route", "code"] },
  { kind: "gauge", name: "t_connections", help: "Connections." },
  { kind: "histogram", name: "t_seconds", help: "Time.", labels: ["route"], buckets: [0.1, 1] },
];

function registry(): MetricRegistry {
  return new MetricRegistry({ hasDefaultMetrics: false }, { specs: SPECS });
}

/** Lines of one metric, without comments. */
async function lines(metrics: MetricRegistry, name: string): Promise<string[]> {
  const { body } = await metrics.expose();
  return body.split("\n").filter((line) => line.startsWith(name));
}

describe("exposition", () => {
  it("counters, gauges and histograms have the form Prometheus reads", async () => {
    const metrics = registry();
    metrics.add("t_requests_total", { route: "/a", code: "ok" }, 2);
    metrics.add("t_requests_total", { code: "ok", route: "/a" });
    metrics.set("t_connections", 7);
    for (const seconds of [0.05, 0.1, 0.5, 5])
      metrics.observe("t_seconds", seconds, { route: "/a" });
    const { body, contentType } = await metrics.expose();
    assert.equal(contentType, "text/plain; version=0.0.4; charset=utf-8");
    assert.ok(
      body.includes("# HELP t_requests_total Requests.\n# TYPE t_requests_total counter\n"),
    );
    assert.deepEqual(await lines(metrics, "t_requests_total"), [
      't_requests_total{route="/a",code="ok"} 3',
    ]);
    assert.deepEqual(await lines(metrics, "t_connections"), ["t_connections 7"]);
    assert.deepEqual(await lines(metrics, "t_seconds"), [
      't_seconds_bucket{route="/a",le="0.1"} 2',
      't_seconds_bucket{route="/a",le="1"} 3',
      't_seconds_bucket{route="/a",le="+Inf"} 4',
      't_seconds_sum{route="/a"} 5.65',
      't_seconds_count{route="/a"} 4',
    ]);
  });

  it("a label value may hold anything", async () => {
    const metrics = registry();
    metrics.add("t_requests_total", { route: 'a"b\\c\nd', code: "x" });
    assert.deepEqual(await lines(metrics, "t_requests_total"), [
      't_requests_total{route="a\\"b\\\\c\\nd",code="x"} 1',
    ]);
  });

  it("a collector that throws spoils nothing", async () => {
    const metrics = registry();
    metrics.onCollect(() => {
      throw new Error("broken");
    });
    metrics.onCollect(() => metrics.set("t_connections", 1));
    assert.deepEqual(await lines(metrics, "t_connections"), ["t_connections 1"]);
  });

  it("an undeclared name is a bug of the caller", () => {
    assert.throws(() => registry().add("t_unknown"), /is not declared/);
  });

  it("label values that never end are dropped and counted", async () => {
    const metrics = registry();
    for (let i = 0; i < SERIES_MAX_COUNT + 5; i++)
      metrics.add("t_requests_total", { route: `/${i}`, code: "ok" });
    assert.equal((await lines(metrics, "t_requests_total")).length, SERIES_MAX_COUNT);
    assert.deepEqual(await lines(metrics, "hearth_metrics_dropped_total"), [
      'hearth_metrics_dropped_total{reason="too_many_series"} 5',
    ]);
  });
});

describe("other threads", () => {
  it("what they counted is added to ours", async () => {
    const metrics = registry();
    const labels = { route: "/a", code: "ok" };
    metrics.add("t_requests_total", labels, 1);
    metrics.observe("t_seconds", 0.5, { route: "/a" });
    for (const value of [10, 5]) {
      metrics.merge({ name: "t_requests_total", labels, value });
      metrics.merge({ name: "t_seconds", labels: { route: "/a" }, buckets: [1, 2, 0], sum: 1.5 });
    }
    assert.deepEqual(await lines(metrics, "t_requests_total"), [
      't_requests_total{route="/a",code="ok"} 16',
    ]);
    assert.deepEqual(await lines(metrics, "t_seconds"), [
      't_seconds_bucket{route="/a",le="0.1"} 2',
      't_seconds_bucket{route="/a",le="1"} 7',
      't_seconds_bucket{route="/a",le="+Inf"} 7',
      't_seconds_sum{route="/a"} 3.5',
      't_seconds_count{route="/a"} 7',
    ]);
  });

  it("numbers of another shape are dropped one by one", async () => {
    const metrics = registry();
    metrics.merge({ name: "t_nobody_knows", value: 1 });
    metrics.merge({ name: "t_seconds", labels: { route: "/a" }, buckets: [1, 2], sum: 1 });
    metrics.merge({ name: "t_seconds", value: 1 });
    metrics.merge({ name: "t_connections", value: Number.NaN });
    metrics.merge({ name: "t_requests_total", labels: { route: "/a", code: "ok" }, value: 4 });
    assert.deepEqual(await lines(metrics, "t_requests_total"), [
      't_requests_total{route="/a",code="ok"} 4',
    ]);
    assert.deepEqual(await lines(metrics, "t_seconds"), []);
    assert.deepEqual(await lines(metrics, "t_connections"), []);
    const dropped = await lines(metrics, "hearth_metrics_dropped_total");
    assert.deepEqual(dropped.sort(), [
      'hearth_metrics_dropped_total{reason="bad_shape"} 3',
      'hearth_metrics_dropped_total{reason="unknown_metric"} 1',
    ]);
  });
});

describe("the catalog", () => {
  it("has names that say area, thing and unit", () => {
    for (const { name, kind } of METRIC_CATALOG) {
      assert.match(name, /^(hearth|pyroscope|objstore)(_[a-z0-9]+)+$/, name);
      assert.equal(name.endsWith("_total"), kind === "counter", name);
    }
  });

  it("has each name once, and a sentence for each", () => {
    const names = METRIC_CATALOG.map(({ name }) => name);
    assert.equal(new Set(names).size, names.length);
    for (const { name, help } of METRIC_CATALOG) assert.match(help, /^[0-9A-Z].*\.$/, name);
  });

  it("keeps the reference's request histogram exactly", () => {
    const spec = METRIC_CATALOG.find(({ name }) => name === "pyroscope_request_duration_seconds");
    assert.deepEqual(spec?.labels, ["method", "route", "status_code", "ws"]);
    assert.deepEqual(
      spec?.buckets,
      [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 25, 50, 100],
    );
  });
});
