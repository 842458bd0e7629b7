/** A worker of the contract that leaves before the answer to its poll is there, however it leaves. */

import assert from "node:assert/strict";
import { type ClientHttp2Stream, constants } from "node:http2";
import { describe, it } from "node:test";
import { SILENT_LOGGER } from "../../src/base/index.ts";
import { GRPC_DEFAULTS, GrpcEdge } from "../../src/grpc/index.ts";
import { createMethods } from "../../src/grpc/methods.ts";
import { decodePollRequest, encodePollReply, REPORT_STATUS } from "../../src/protocol/index.ts";
import type { EdgeServices } from "../../src/service/index.ts";
import { FakeMain } from "../server/support.ts";
import { framed, openRaw } from "../support/grpc/raw.ts";
import { encodeMessage } from "../support/grpc/schema.ts";
import { withMoreTime } from "../support/more-time.ts";
import { findFreePorts } from "../support/ports.ts";
import { until } from "../support/until.ts";

const POLL = "/metastore.v1.CompactionService/PollCompactionJobs";
const JOB = { name: "job", tenant: "", shard: 1, level: 0, sourceBlocks: [], tombstones: [] };
const REPLY = { jobs: [JOB], assignments: [{ name: "job", token: 7, leaseMs: 15_000 }] };

interface Rig {
  readonly main: FakeMain;
  readonly stream: ClientHttp2Stream;
  /** Ends the client's connection. */
  hangUp(): void;
}

/** With a poll under way, which main has and does not answer yet. */
async function withPoll(
  headers: Readonly<Record<string, string>>,
  body: (rig: Rig) => Promise<void>,
): Promise<void> {
  const main = new FakeMain();
  const [port = 0] = await findFreePorts(1);
  // The method needs nothing else.
  const services = { main } as unknown as EdgeServices;
  const methods = createMethods({ services, sendMaxBytes: 1_000, nowMs: () => 0 });
  const edge = new GrpcEdge(
    { ...GRPC_DEFAULTS, port },
    { methods, mayListen: true, logger: SILENT_LOGGER },
  );
  await edge.listen();
  const session = await openRaw(`127.0.0.1:${port}`);
  const stream = session.request({
    ":method": "POST",
    ":path": POLL,
    "content-type": "application/grpc",
    te: "trailers",
    ...headers,
  });
  stream.on("error", () => {});
  const request = encodeMessage("metastore.v1.PollCompactionJobsRequest", { job_capacity: 1 });
  stream.end(framed(request));
  try {
    let isOver = false;
    stream.once("close", () => {
      isOver = true;
    });
    stream.resume();
    await until("main has the poll, or its time is up", () => main.polls.length === 1 || isOver);
    assert.equal(main.polls.length, 1);
    await body({ main, stream, hangUp: () => session.destroy() });
  } finally {
    session.destroy();
    edge.closeConnections();
    edge.close();
  }
}

/** Main has planned the poll although its worker has left. */
async function answerTooLate(main: FakeMain): Promise<void> {
  await until("main is told", () => main.polls[0]?.isGone === true);
  main.polls[0]?.done({ ok: true, reply: encodePollReply(REPLY) });
  const { capacity, reports } = decodePollRequest(main.polls[1]?.payload as Uint8Array);
  assert.equal(capacity, 0);
  assert.deepEqual(
    reports.map(({ name, token, status }) => ({ name, token, status })),
    [{ name: "job", token: 7, status: REPORT_STATUS.released }],
  );
}

describe("a poll over gRPC", { timeout: 120_000 }, () => {
  it("is answered", () =>
    withPoll({}, async ({ main, stream }) => {
      const status = new Promise((resolve) => stream.once("trailers", resolve));
      main.polls[0]?.done({ ok: true, reply: encodePollReply(REPLY) });
      assert.equal(((await status) as Record<string, string>)["grpc-status"], "0");
      assert.equal(main.polls.length, 1);
    }));

  it("keeps no job when its stream is cancelled", () =>
    withPoll({}, async ({ main, stream }) => {
      stream.close(constants.NGHTTP2_CANCEL);
      await answerTooLate(main);
    }));

  it("keeps no job when its connection ends", () =>
    withPoll({}, async ({ main, hangUp }) => {
      hangUp();
      await answerTooLate(main);
    }));

  it("keeps no job when its time is up", () =>
    withMoreTime(50, (timeoutMs) =>
      withPoll({ "grpc-timeout": `${timeoutMs}m` }, ({ main }) => answerTooLate(main)),
    ));
});
