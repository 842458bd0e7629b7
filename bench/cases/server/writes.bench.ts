/** AddBlock over the socket, durable and applied, against an echo of the same frames. */

import { join } from "node:path";
import { OP } from "../../../src/protocol/index.ts";
import type {
  BenchCase,
  BenchContext,
  PreparedCase,
  Sample,
  Subject,
} from "../../harness/index.ts";
import { SegmentSource } from "../../support/node-in-process.ts";
import { processCpuUs, startEcho } from "../../support/processes.ts";
import { RawWebSocket, runClosedLoop } from "../../support/raw-websocket.ts";
import {
  isLastFrame,
  openSession,
  requestFrame,
  startServedNode,
} from "../../support/served-node.ts";

const IN_FLIGHT = 512;
const CONNECTIONS = 4;
/** A WriteReply with its frame header. */
const ANSWER_BYTES = 56;
/** Blocks made ahead of each sample: more than a sample can write. */
const BLOCKS_PER_SAMPLE = 60_000;

function load(
  name: string,
  pid: number,
  sockets: readonly RawWebSocket[],
  framesOf: () => Uint8Array[],
  isLast?: (buffer: Uint8Array, start: number) => boolean,
): Subject {
  return {
    name,
    async sample(targetMs): Promise<Sample> {
      const frames = framesOf();
      const cpuUs = processCpuUs(pid);
      // Each connection walks through frames of its own: no block is sent twice, no id is in flight twice.
      const share = Math.floor(frames.length / sockets.length);
      const results = await Promise.all(
        sockets.map((socket, i) =>
          runClosedLoop({
            sockets: [socket],
            frames: frames.slice(i * share, (i + 1) * share),
            depth: IN_FLIGHT / sockets.length,
            durationMs: targetMs,
            ...(isLast === undefined ? {} : { isLast }),
          }),
        ),
      );
      const operations = results.reduce((sum, result) => sum + result.requests, 0);
      // The echo may see a frame twice; a block sent twice would be a duplicate, which costs less.
      const isOver = isLast !== undefined && operations > share * sockets.length;
      if (isOver) throw new Error("A sample ran out of blocks");
      const wallMs = Math.max(...results.map((result) => result.elapsedMs));
      return { operations, wallMs, cpuMs: (processCpuUs(pid) - cpuUs) / 1000 };
    },
  };
}

async function prepare(context: BenchContext): Promise<PreparedCase> {
  const node = await startServedNode(join(context.directory, "node"), 1);
  const echo = await startEcho(ANSWER_BYTES);
  const sockets = await openAll(() => openSession(node.port));
  const echoSockets = await openAll(() => RawWebSocket.connect(echo.port));
  const source = new SegmentSource();
  const nextFrames = (): Uint8Array[] =>
    Array.from({ length: BLOCKS_PER_SAMPLE }, (_, i) =>
      requestFrame(OP.add_block, i + 2, source.nextBlock()),
    );
  const echoFrames = nextFrames().slice(0, 8_192);
  context.fact("frame bytes", (echoFrames[0] as Uint8Array).length);
  return {
    ours: load(
      "AddBlock, logged, applied, answered",
      node.server.pid,
      sockets,
      nextFrames,
      isLastFrame,
    ),
    limit: load("raw uWS echo of the same frames", echo.pid, echoSockets, () => echoFrames),
    close: async () => {
      for (const socket of [...sockets, ...echoSockets]) socket.close();
      await node.close();
      await echo.stop();
    },
  };
}

function openAll(open: () => Promise<RawWebSocket>): Promise<RawWebSocket[]> {
  return Promise.all(Array.from({ length: CONNECTIONS }, open));
}

export const cases: readonly BenchCase[] = [
  {
    name: "server/add-block/512-in-flight",
    about: "Durable writes over the socket against an echo of the same frames, 512 in flight.",
    goals: [{ metric: "rate", form: "ours/limit", atLeast: 0.15 }],
    // Long enough for the server to have compiled its write path after the first two.
    sampleMs: 400,
    pairs: 9,
    prepare,
  },
];
