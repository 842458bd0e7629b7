/** Reads over the socket against the bare socket: an echo server with answers of the same size. */

import { join } from "node:path";
import {
  type BlockMeta,
  ByteSink,
  encodeBlockListRequest,
  encodeQueryRequest,
  OP,
} from "../../../src/protocol/index.ts";
import type { QueryParams } from "../../../src/read/index.ts";
import {
  type BenchCase,
  type BenchContext,
  type PreparedCase,
  repeat,
  type Sample,
  type Subject,
  sumOf,
} from "../../harness/index.ts";
import { makeBlock, serviceNames } from "../../support/block-fixture.ts";
import { processCpuUs, type ServerUnderTest, startEcho } from "../../support/processes.ts";
import { Queries } from "../../support/queries.ts";
import { RawWebSocket, runClosedLoop, runDepthOne } from "../../support/raw-websocket.ts";
import {
  exchange,
  isLastFrame,
  openSession,
  requestFrame,
  type ServedNode,
  startServedNode,
} from "../../support/served-node.ts";

const AT_MS = Date.UTC(2026, 10, 22, 12);
const BLOCKS = 2_000;
const SHARDS = 4;
const CONNECTIONS = 8;
const DEPTH = 32;

function blocks(datasets = 10): BlockMeta[] {
  const services = serviceNames(200);
  return Array.from({ length: BLOCKS }, (_, i) =>
    makeBlock({
      createdAtMs: AT_MS + i,
      serial: i,
      owner: "acme",
      datasetTenant: "acme",
      shard: i % SHARDS,
      services: Array.from({ length: datasets }, (__, k) => services[(i * 7 + k) % 200] as string),
      minTimeMs: AT_MS + i * 1000,
      maxTimeMs: AT_MS + i * 1000 + 30_000,
    }),
  );
}

/** A window in which the service has four blocks. */
const QUERY: QueryParams = {
  tenants: ["acme"],
  startMs: AT_MS + 500_000,
  endMs: AT_MS + 580_000,
  selector: '{service_name="service-00107"}',
  labels: ["service_name"],
};

async function loadedNode(
  context: BenchContext,
  name: string,
  readerThreads: number,
  datasets = 10,
): Promise<ServedNode> {
  context.progress(`loading ${BLOCKS} blocks through the socket`);
  const node = await startServedNode(join(context.directory, name), readerThreads);
  const all = blocks(datasets);
  for (let i = 0; i < all.length; i += 500) await node.client.addBlocks(all.slice(i, i + 500));
  return node;
}

function queryPayload(query: QueryParams): Uint8Array {
  const sink = new ByteSink();
  encodeQueryRequest(sink, {
    tenants: query.tenants,
    startMs: query.startMs,
    endMs: query.endMs,
    selector: query.selector,
    labels: query.labels,
    consistency: "strong",
    maxStalenessMs: 0,
  });
  return sink.copy();
}

function pointPayload(block: BlockMeta): Uint8Array {
  const sink = new ByteSink();
  const tenant = "acme";
  encodeBlockListRequest(sink, {
    tenant,
    shard: block.shard,
    blocks: [block.id],
    consistency: "strong",
  });
  return sink.copy();
}

/** Closed-loop load on one server, with the server's CPU. */
function loadOn(
  name: string,
  server: { readonly pid: number },
  sockets: readonly RawWebSocket[],
  frames: readonly Uint8Array[],
  isLast?: (buffer: Uint8Array, start: number) => boolean,
): Subject {
  return {
    name,
    async sample(targetMs): Promise<Sample> {
      const cpuUs = processCpuUs(server.pid);
      const result = await runClosedLoop({
        sockets,
        frames,
        depth: DEPTH,
        durationMs: targetMs,
        ...(isLast === undefined ? {} : { isLast }),
      });
      const cpuMs = (processCpuUs(server.pid) - cpuUs) / 1000;
      return { operations: result.requests, wallMs: result.elapsedMs, cpuMs };
    },
  };
}

function depthOneOn(name: string, socket: RawWebSocket, frames: readonly Uint8Array[]): Subject {
  return {
    name,
    async sample(targetMs): Promise<Sample> {
      const count = Math.max(200, Math.round(targetMs * 5));
      const startedAtMs = performance.now();
      const latenciesUs = await runDepthOne(socket, frames, count);
      return { operations: count, wallMs: performance.now() - startedAtMs, cpuMs: 0, latenciesUs };
    },
  };
}

/** Each connection has DEPTH requests in flight: ids must differ within one connection only. */
function framesOf(opcode: number, payloads: readonly Uint8Array[]): Uint8Array[] {
  const count = Math.max(payloads.length, DEPTH * CONNECTIONS * 4);
  return Array.from({ length: count }, (_, i) =>
    requestFrame(opcode, i + 2, payloads[i % payloads.length] as Uint8Array),
  );
}

interface Rig {
  readonly node: ServedNode;
  readonly sockets: RawWebSocket[];
  readonly echo: ServerUnderTest;
  readonly echoSockets: RawWebSocket[];
  readonly frames: Uint8Array[];
  close(): Promise<void>;
}

async function openRig(
  context: BenchContext,
  opcode: number,
  payloads: readonly Uint8Array[],
  { datasets = 10, usesBundles = true } = {},
): Promise<Rig> {
  const node = await loadedNode(context, "node", 1, datasets);
  const sockets = await openAll(() => openSession(node.port, { usesBundles }));
  const frames = framesOf(opcode, payloads);
  // The second answer: ahead of the first come dictionary records, once per connection.
  await exchange(sockets[0] as RawWebSocket, frames[0] as Uint8Array);
  const answerBytes = await exchange(sockets[0] as RawWebSocket, frames[0] as Uint8Array);
  context.fact("answer bytes", answerBytes);
  const echo = await startEcho(answerBytes);
  const echoSockets = await openAll(() => RawWebSocket.connect(echo.port));
  context.progress("warming both up");
  await warmUp(sockets, frames, isLastFrame);
  await warmUp(echoSockets, frames);
  return {
    node,
    sockets,
    echo,
    echoSockets,
    frames,
    close: async () => {
      for (const socket of [...sockets, ...echoSockets]) socket.close();
      await node.close();
      await echo.stop();
    },
  };
}

/** Another process compiles its hot code later than the harness' own warm-up sample ends. */
async function warmUp(
  sockets: readonly RawWebSocket[],
  frames: readonly Uint8Array[],
  isLast?: (buffer: Uint8Array, start: number) => boolean,
): Promise<void> {
  const durationMs = 1_500;
  await runClosedLoop({
    sockets,
    frames,
    depth: DEPTH,
    durationMs,
    ...(isLast === undefined ? {} : { isLast }),
  });
}

function openAll(open: () => Promise<RawWebSocket>): Promise<RawWebSocket[]> {
  return Promise.all(Array.from({ length: CONNECTIONS }, open));
}

function pointPayloads(): Uint8Array[] {
  return blocks()
    .slice(0, 2_000)
    .map((block) => pointPayload(block));
}

async function preparePoint(
  context: BenchContext,
  options: { readonly datasets: number; readonly usesBundles?: boolean },
): Promise<PreparedCase> {
  const rig = await openRig(context, OP.get_block_metadata, pointPayloads(), options);
  return {
    ours: loadOn("point read, strong", rig.node.server, rig.sockets, rig.frames, isLastFrame),
    limit: loadOn("raw uWS echo", rig.echo, rig.echoSockets, rig.frames),
    close: () => rig.close(),
  };
}

async function prepareQuery(context: BenchContext): Promise<PreparedCase> {
  const rig = await openRig(context, OP.query_metadata, [queryPayload(QUERY)]);
  const db = rig.node.openIndex();
  const queries = new Queries(db);
  const ids = queries.ids(QUERY);
  context.fact("blocks in the answer", ids.length);
  if (ids.length < 2 || ids.length > 8)
    throw new Error(`Expected about 4 blocks, got ${ids.length}`);
  const engine = repeat("engine", () => queries.plan(QUERY));
  const echo = loadOn("echo", rig.echo, rig.echoSockets, rig.frames);
  const limit = sumOf("engine in process + raw uWS echo", engine, echo);
  return {
    ours: loadOn("query over the socket", rig.node.server, rig.sockets, rig.frames, isLastFrame),
    limit,
    close: async () => {
      await db.close();
      await rig.close();
    },
  };
}

async function prepareDepthOne(context: BenchContext): Promise<PreparedCase> {
  const rig = await openRig(context, OP.query_metadata, [queryPayload(QUERY)]);
  return {
    ours: depthOneOn("query, one at a time", rig.sockets[0] as RawWebSocket, rig.frames),
    limit: depthOneOn(
      "raw uWS echo, one at a time",
      rig.echoSockets[0] as RawWebSocket,
      rig.frames,
    ),
    close: () => rig.close(),
  };
}

/** Fifty blocks: heavy enough that the server, not the load, is what the cores are busy with. */
const WIDE_QUERY: QueryParams = { ...QUERY, startMs: AT_MS + 500_000, endMs: AT_MS + 1_500_000 };

async function prepareTwoReaders(context: BenchContext): Promise<PreparedCase> {
  const one = await loadedNode(context, "one", 1);
  const two = await loadedNode(context, "two", 2);
  const frames = framesOf(OP.query_metadata, [queryPayload(WIDE_QUERY)]);
  const oneSockets = await openAll(() => openSession(one.port));
  const twoSockets = await openAll(() => openSession(two.port));
  await warmUp(oneSockets, frames, isLastFrame);
  await warmUp(twoSockets, frames, isLastFrame);
  return {
    ours: loadOn("two reader threads", two.server, twoSockets, frames, isLastFrame),
    limit: loadOn("one reader thread", one.server, oneSockets, frames, isLastFrame),
    close: async () => {
      for (const socket of [...oneSockets, ...twoSockets]) socket.close();
      await one.close();
      await two.close();
    },
  };
}

const POINT_READ_GOALS: BenchCase["goals"] = [
  { metric: "rate", form: "ours/limit", atLeast: 0.3 },
  { metric: "cpuUs", form: "ours/limit", atMost: 3.5 },
];

export const cases: readonly BenchCase[] = [
  ...[2, 10].map(
    (datasets): BenchCase => ({
      name: `server/point-read/${datasets}-datasets`,
      about:
        "GetBlockMetadata of one block, linearizable, sent as our client does, against an echo of the same answer size.",
      goals: POINT_READ_GOALS,
      prepare: (context) => preparePoint(context, { datasets }),
    }),
  ),
  {
    name: "server/point-read/10-datasets/message-per-request",
    about: "The same for a client that takes no bundles of frames.",
    goals: POINT_READ_GOALS,
    isLong: true,
    prepare: (context) => preparePoint(context, { datasets: 10, usesBundles: false }),
  },
  {
    name: "server/query/4-matches",
    about:
      "CPU of a query over the socket against the engine in process plus an echo of its answer.",
    goals: [{ metric: "cpuUs", form: "ours/limit", atMost: 1.35 }],
    prepare: prepareQuery,
  },
  {
    name: "server/query/depth-one",
    about: "What the query adds to the tail of a round trip, one request at a time.",
    goals: [{ metric: "p99Us", form: "ours-limit", atMost: 1_000 }],
    prepare: prepareDepthOne,
  },
  {
    name: "server/query/two-readers",
    about: "Two reader threads against one, queries of some hundred blocks.",
    goals: [{ metric: "rate", form: "ours/limit", atLeast: 1.5 }],
    sampleMs: 300,
    prepare: prepareTwoReaders,
  },
];
