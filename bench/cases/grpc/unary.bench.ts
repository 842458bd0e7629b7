/** Unary calls over gRPC: against bare servers with answers of the same size, and against the binary protocol. */

import { join } from "node:path";
import { GrpcClient } from "../../../test/support/grpc/client.ts";
import { encodeMessage } from "../../../test/support/grpc/schema.ts";
import type {
  BenchCase,
  BenchContext,
  PreparedCase,
  Sample,
  Subject,
} from "../../harness/index.ts";
import { AddBlockCalls } from "../../support/add-block-calls.ts";
import { AddBlockFrames } from "../../support/add-block-frames.ts";
import { makeBlock, serviceNames } from "../../support/block-fixture.ts";
import type { EchoKind } from "../../support/grpc-echo-server.ts";
import { SegmentSource } from "../../support/node-in-process.ts";
import { processCpuUs, type ServerUnderTest, startGrpcEcho } from "../../support/processes.ts";
import { callFrames, RawHttp2, runCalls } from "../../support/raw-http2.ts";
import { type RawWebSocket, runClosedLoop } from "../../support/raw-websocket.ts";
import {
  isLastFrame,
  openSession,
  type ServedNode,
  startServedNode,
} from "../../support/served-node.ts";

const AT_MS = Date.UTC(2026, 10, 22, 12);
const BLOCKS = 2_000;
/** Of ten datasets each: about 4 KiB of protobuf. */
const ANSWER_BLOCKS = 6;
const CONNECTIONS = 4;
const DEPTH = 16;
/**
 * Per connection, before anything is timed: measured, an answer costs three times as much after 1,000 calls as after
 * 15,000, and no less after more.
 */
const WARM_UP_CALLS = 5_000;
const QUERY_PATH = "/metastore.v1.MetadataQueryService/QueryMetadata";
const ECHO_PATH = "/bench.Echo/Echo";

function queryRequest(): Uint8Array {
  return encodeMessage("metastore.v1.QueryMetadataRequest", {
    tenant_id: ["small"],
    start_time: String(AT_MS),
    end_time: String(AT_MS + 1_000_000),
    query: "{}",
    labels: ["service_name"],
  });
}

async function loadedNode(context: BenchContext): Promise<ServedNode> {
  const node = await startServedNode(join(context.directory, "node"), 1);
  const services = serviceNames(200);
  // Most blocks are of others; those of the tenant that is asked for are all in the answer.
  const blocks = Array.from({ length: BLOCKS + ANSWER_BLOCKS }, (_, i) =>
    makeBlock({
      createdAtMs: AT_MS + i,
      serial: i,
      owner: i < ANSWER_BLOCKS ? "small" : "acme",
      datasetTenant: i < ANSWER_BLOCKS ? "small" : "acme",
      // In one shard: what looking at more of them costs is measured in read/.
      shard: i < ANSWER_BLOCKS ? 5 : i % 4,
      services: Array.from({ length: 10 }, (__, k) => services[(i * 7 + k) % 200] as string),
      minTimeMs: AT_MS + i * 1_000,
      maxTimeMs: AT_MS + i * 1_000 + 30_000,
    }),
  );
  for (let i = 0; i < blocks.length; i += 500)
    await node.client.addBlocks(blocks.slice(i, i + 500));
  return node;
}

function grpcPort(node: ServedNode): number {
  return Number(node.server.grpcAddress.split(":")[1]);
}

async function answerBytesOf(context: BenchContext, node: ServedNode): Promise<number> {
  const client = new GrpcClient(node.server.grpcAddress);
  const answer = await client.callBytes(QUERY_PATH, queryRequest());
  client.close();
  context.fact("answer bytes", answer.length);
  if (answer.length < 2_000 || answer.length > 8_192)
    throw new Error(`Expected an answer of about 4 KiB, got ${answer.length}`);
  return answer.length;
}

function callsOn(
  name: string,
  server: { readonly pid: number },
  connections: readonly RawHttp2[],
  next: () => Buffer,
  depth = DEPTH,
): Subject {
  return {
    name,
    async sample(targetMs): Promise<Sample> {
      const cpuUs = processCpuUs(server.pid);
      const { calls, elapsedMs } = await runCalls({
        connections,
        next,
        depth,
        until: { durationMs: targetMs },
      });
      const cpuMs = (processCpuUs(server.pid) - cpuUs) / 1000;
      return { operations: calls, wallMs: elapsedMs, cpuMs };
    },
  };
}

function openAll(port: number, count = CONNECTIONS): Promise<RawHttp2[]> {
  return Promise.all(Array.from({ length: count }, () => RawHttp2.connect(port)));
}

async function warmUp(connections: readonly RawHttp2[], next: () => Buffer): Promise<void> {
  await runCalls({ connections, next, depth: DEPTH, until: { calls: WARM_UP_CALLS } });
}

async function echoOn(
  kind: EchoKind,
  answerBytes: number,
): Promise<{ readonly echo: ServerUnderTest; readonly subject: Subject; close(): Promise<void> }> {
  const echo = await startGrpcEcho(kind, answerBytes);
  const connections = await openAll(echo.port);
  const frames = callFrames(ECHO_PATH, queryRequest());
  await warmUp(connections, () => frames);
  return {
    echo,
    subject: callsOn(`echo, ${kind}`, echo, connections, () => frames),
    close: async () => {
      for (const connection of connections) connection.close();
      await echo.stop();
    },
  };
}

async function prepareQuery(context: BenchContext, kind: EchoKind): Promise<PreparedCase> {
  const node = await loadedNode(context);
  const answerBytes = await answerBytesOf(context, node);
  const connections = await openAll(grpcPort(node));
  const frames = callFrames(QUERY_PATH, queryRequest());
  context.progress("warming both up");
  await warmUp(connections, () => frames);
  const limit = await echoOn(kind, answerBytes);
  return {
    ours: callsOn("QueryMetadata", node.server, connections, () => frames),
    limit: limit.subject,
    close: async () => {
      for (const connection of connections) connection.close();
      await limit.close();
      await node.close();
    },
  };
}

async function prepareLibrary(): Promise<PreparedCase> {
  const answerBytes = 4_096;
  const ours = await echoOn("edge", answerBytes);
  const limit = await echoOn("grpc-js", answerBytes);
  return {
    ours: ours.subject,
    limit: limit.subject,
    close: async () => {
      await ours.close();
      await limit.close();
    },
  };
}

const WRITES_IN_FLIGHT = 64;
const WRITES_TO_WARM_UP = 15_000;

async function prepareAddBlock(context: BenchContext): Promise<PreparedCase> {
  const node = await startServedNode(join(context.directory, "node"), 1);
  const source = new SegmentSource();
  const blocks = new AddBlockCalls(source);
  const next = (): Buffer => blocks.next();
  const connections = await openAll(grpcPort(node), 1);
  const socket = await openSession(node.port);
  const frames = new AddBlockFrames(source);
  const limit: Subject = {
    name: "AddBlock over WebSocket",
    sample: (targetMs) => writeOverWebSocket(node, socket, frames, targetMs),
  };
  context.progress("warming both up");
  const until = { calls: WRITES_TO_WARM_UP };
  await runCalls({ connections, next, depth: WRITES_IN_FLIGHT, until });
  await limit.sample(1_000);
  return {
    ours: callsOn("AddBlock over gRPC", node.server, connections, next, WRITES_IN_FLIGHT),
    limit,
    close: async () => {
      for (const connection of connections) connection.close();
      socket.close();
      await node.close();
    },
  };
}

async function writeOverWebSocket(
  node: ServedNode,
  socket: RawWebSocket,
  frames: AddBlockFrames,
  durationMs: number,
): Promise<Sample> {
  const cpuUs = processCpuUs(node.server.pid);
  const result = await runClosedLoop({
    sockets: [socket],
    frames,
    depth: WRITES_IN_FLIGHT,
    durationMs,
    isLast: isLastFrame,
  });
  const cpuMs = (processCpuUs(node.server.pid) - cpuUs) / 1000;
  return { operations: result.requests, wallMs: result.elapsedMs, cpuMs };
}

export const cases: readonly BenchCase[] = [
  {
    name: "grpc/query-metadata/http2",
    about:
      "A query with an answer of about 4 KiB against an echo of that size by bare node:http2, which knows nothing of gRPC.",
    goals: [
      { metric: "rate", form: "ours/limit", atLeast: 0.7 },
      { metric: "cpuUs", form: "ours/limit", atMost: 2.5 },
    ],
    sampleMs: 300,
    isLong: true,
    prepare: (context) => prepareQuery(context, "http2"),
  },
  {
    name: "grpc/query-metadata/edge",
    about:
      "The same against an echo of that size by our own endpoint: what the query adds to a call.",
    goals: [
      { metric: "rate", form: "ours/limit", atLeast: 0.7 },
      { metric: "cpuUs", form: "ours/limit" },
    ],
    sampleMs: 300,
    isLong: true,
    prepare: (context) => prepareQuery(context, "edge"),
  },
  {
    name: "grpc/echo/library",
    about:
      "An echo of 4 KiB by our own endpoint against one by @grpc/grpc-js: why we have our own.",
    goals: [
      { metric: "rate", form: "ours/limit" },
      { metric: "cpuUs", form: "ours/limit", atMost: 0.8 },
    ],
    sampleMs: 300,
    isLong: true,
    prepare: () => prepareLibrary(),
  },
  {
    name: "grpc/add-block/64-in-flight",
    about: "Durable writes over gRPC, 64 in flight, against the same over the binary protocol.",
    goals: [
      { metric: "rate", form: "ours/limit", atLeast: 0.4 },
      { metric: "cpuUs", form: "ours/limit" },
    ],
    sampleMs: 300,
    isLong: true,
    prepare: prepareAddBlock,
  },
];
