import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { SILENT_LOGGER } from "../../src/base/index.ts";
import { ReaderMetricsPoller } from "../../src/cli/server/reader-metrics.ts";
import { METRIC_CATALOG, MetricRegistry } from "../../src/metrics/index.ts";
import type { ReaderMetrics } from "../../src/server/index.ts";
import { REQUEST_DURATION_BUCKETS_SECONDS } from "../../src/service/index.ts";

function reader(scale: number): ReaderMetrics {
  const buckets = new Array<number>(REQUEST_DURATION_BUCKETS_SECONDS.length + 1).fill(0);
  buckets[0] = 3 * scale;
  buckets[buckets.length - 1] = scale;
  return {
    requests: [
      { route: "add_block", code: 0, count: 10 * scale },
      { route: "add_block", code: 14, count: scale },
    ],
    durations: [
      {
        route: "add_block",
        outcome: "success",
        buckets,
        count: 4 * scale,
        sumSeconds: 0.5 * scale,
      },
    ],
    rejected: { frame_too_large: scale },
    connectionsOpened: 5 * scale,
    connections: 2,
    receivedBytes: 100 * scale,
    sentBytes: 200 * scale,
    framesReceived: 0,
    framesSent: 0,
    writeBatches: scale,
    writeEntries: 0,
    pendingWriteBytes: 7,
    waitingReads: 1,
    readRounds: {
      leader: 4 * scale,
      main: 2 * scale,
      waits: {
        route: "leader",
        outcome: "success",
        buckets,
        count: 4 * scale,
        sumSeconds: 0.25 * scale,
      },
    },
    queuedAnswerBytes: 0,
    engine: { queries: scale },
    edge: null,
  };
}

function poller(answers: readonly ReaderMetrics[][]): {
  poll: () => Promise<void>;
  value: (line: string) => Promise<string | undefined>;
} {
  const metrics = new MetricRegistry({ hasDefaultMetrics: false }, { specs: METRIC_CATALOG });
  const left = [...answers];
  const polled = new ReaderMetricsPoller({
    metrics,
    logger: SILENT_LOGGER,
    poll: async () => left.shift() ?? [],
    readerCount: 2,
  });
  polled.stop();
  return {
    poll: () => polled.poll(),
    value: async (line) => {
      const { body } = await metrics.expose();
      return body
        .split("\n")
        .find((candidate) => candidate.startsWith(line))
        ?.slice(line.length + 1);
    },
  };
}

const OK = 'hearth_requests_total{protocol="websocket",route="add_block",code="ok"}';
const CONNECTIONS = 'hearth_connections{protocol="websocket"}';

describe("numbers of reader threads", () => {
  it("are summed under the names of the reference", async () => {
    const { poll, value } = poller([[reader(1), reader(2)]]);
    await poll();
    assert.equal(await value(OK), "30");
    assert.equal(
      await value(
        'hearth_requests_total{protocol="websocket",route="add_block",code="unavailable"}',
      ),
      "3",
    );
    assert.equal(
      await value('hearth_requests_rejected_total{protocol="websocket",reason="frame_too_large"}'),
      "3",
    );
    assert.equal(await value(CONNECTIONS), "4");
    const labels =
      'method="WebSocket",route="/metastore.v1.IndexService/AddBlock",status_code="success",ws="true"';
    assert.equal(
      await value(`pyroscope_request_duration_seconds_bucket{${labels},le="0.005"}`),
      "9",
    );
    assert.equal(
      await value(`pyroscope_request_duration_seconds_bucket{${labels},le="+Inf"}`),
      "12",
    );
    assert.equal(await value(`pyroscope_request_duration_seconds_sum{${labels}}`), "1.5");
  });

  it("count the ways of questions for a read index, and how long the leader took", async () => {
    const { poll, value } = poller([
      [reader(1), { ...reader(1), readRounds: { leader: 0, main: 3, waits: null } }],
    ]);
    await poll();
    assert.equal(await value('hearth_read_rounds_total{way="leader"}'), "4");
    assert.equal(await value('hearth_read_rounds_total{way="main"}'), "5");
    const wait = "pyroscope_metastore_raft_read_index_wait_duration_seconds";
    assert.equal(await value(`${wait}_bucket{le="0.005"}`), "3");
    assert.equal(await value(`${wait}_bucket{le="+Inf"}`), "4");
    assert.equal(await value(`${wait}_sum`), "0.25");
  });

  it("only grow: what was counted is not counted again", async () => {
    const { poll, value } = poller([
      [reader(1), reader(1)],
      [reader(1), reader(1)],
      [reader(2), reader(3)],
    ]);
    await poll();
    await poll();
    assert.equal(await value(OK), "20");
    await poll();
    assert.equal(await value(OK), "50");
  });

  it("a thread that does not answer, or starts anew, invents no counts", async () => {
    const { poll, value } = poller([
      [reader(5), reader(5)],
      [reader(5)],
      [reader(5), reader(1)],
      [reader(5), reader(2)],
    ]);
    await poll();
    assert.equal(await value(OK), "100");
    await poll();
    assert.equal(await value(OK), "100", "one thread did not answer");
    assert.equal(await value(CONNECTIONS), "2", "a gauge shows what is known");
    await poll();
    assert.equal(await value(OK), "100", "it was started anew");
    await poll();
    assert.equal(await value(OK), "110", "and counts on");
  });

  it("a poll that fails leaves everything as it is", async () => {
    const metrics = new MetricRegistry({ hasDefaultMetrics: false }, { specs: METRIC_CATALOG });
    const failing = new ReaderMetricsPoller({
      metrics,
      logger: SILENT_LOGGER,
      poll: () => Promise.reject(new Error("gone")),
      readerCount: 1,
    });
    failing.stop();
    await failing.poll();
    assert.ok((await metrics.expose()).body.length > 0);
  });
});
