/** AddBlock over the socket, durable and applied, against an echo of the same frames. */

import { join } from "node:path";
import type {
  BenchCase,
  BenchContext,
  PreparedCase,
  Sample,
  Subject,
} from "../../harness/index.ts";
import { AddBlockFrames } from "../../support/add-block-frames.ts";
import { SegmentSource } from "../../support/node-in-process.ts";
import { processCpuUs, startEcho } from "../../support/processes.ts";
import { type FrameSource, RawWebSocket, runClosedLoop } from "../../support/raw-websocket.ts";
import { isLastFrame, openSession, startServedNode } from "../../support/served-node.ts";

const IN_FLIGHT = 512;
const CONNECTIONS = 4;
/** A WriteReply with its frame header. */
const ANSWER_BYTES = 56;

/** A connection and what it sends: no block is sent twice, no id is in flight twice. */
interface Sender {
  readonly socket: RawWebSocket;
  readonly frames: FrameSource;
}

function load(
  name: string,
  pid: number,
  senders: readonly Sender[],
  isLast?: (buffer: Uint8Array, start: number) => boolean,
): Subject {
  return {
    name,
    async sample(targetMs): Promise<Sample> {
      const cpuUs = processCpuUs(pid);
      const results = await Promise.all(
        senders.map(({ socket, frames }) =>
          runClosedLoop({
            sockets: [socket],
            frames,
            depth: IN_FLIGHT / senders.length,
            durationMs: targetMs,
            ...(isLast === undefined ? {} : { isLast }),
          }),
        ),
      );
      return {
        operations: results.reduce((sum, result) => sum + result.requests, 0),
        wallMs: Math.max(...results.map((result) => result.elapsedMs)),
        cpuMs: (processCpuUs(pid) - cpuUs) / 1000,
      };
    },
  };
}

async function prepare(context: BenchContext, usesBundles: boolean): Promise<PreparedCase> {
  const node = await startServedNode(join(context.directory, "node"), 1);
  const echo = await startEcho(ANSWER_BYTES);
  const source = new SegmentSource();
  const senders = await openAll(source, () => openSession(node.port, { usesBundles }));
  const echoSenders = await openAll(source, () => RawWebSocket.connect(echo.port));
  context.fact("frame bytes", new AddBlockFrames(source).frameBytes);
  return {
    ours: load("AddBlock, logged, applied, answered", node.server.pid, senders, isLastFrame),
    limit: load("raw uWS echo of the same frames", echo.pid, echoSenders),
    close: async () => {
      for (const { socket } of [...senders, ...echoSenders]) socket.close();
      await node.close();
      await echo.stop();
    },
  };
}

function openAll(source: SegmentSource, open: () => Promise<RawWebSocket>): Promise<Sender[]> {
  const openOne = async (): Promise<Sender> => ({
    socket: await open(),
    frames: new AddBlockFrames(source),
  });
  return Promise.all(Array.from({ length: CONNECTIONS }, openOne));
}

const CASE = {
  goals: [{ metric: "rate", form: "ours/limit", atLeast: 0.15 }],
  // Long enough for the server to have compiled its write path after the first two.
  sampleMs: 400,
  pairs: 9,
} satisfies Partial<BenchCase>;

export const cases: readonly BenchCase[] = [
  {
    ...CASE,
    name: "server/add-block/512-in-flight",
    about:
      "Durable writes over the socket, sent as our client does, against an echo of the same frames, 512 in flight.",
    prepare: (context) => prepare(context, true),
  },
  {
    ...CASE,
    name: "server/add-block/512-in-flight/message-per-request",
    about: "The same for a client that takes no bundles of frames.",
    isLong: true,
    prepare: (context) => prepare(context, false),
  },
];
