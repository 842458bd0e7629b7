/** A real server in a process of its own with blocks in it, and raw sockets that speak its protocol to it. */

import { join } from "node:path";
import { connect, type HearthClient } from "../../src/client/index.ts";
import { IndexDatabase } from "../../src/db/index.ts";
import {
  appendFrameHeader,
  BUNDLE_MAX_BYTES,
  ByteSink,
  createFrameHeader,
  encodeHello,
  FLAG,
  FRAME_HEADER_BYTES,
  OP,
} from "../../src/protocol/index.ts";
import { type ServerProcess, startServer } from "../../test/support/server-process.ts";
import { buildFrame, RawWebSocket } from "./raw-websocket.ts";

export interface ServedNode {
  readonly server: ServerProcess;
  readonly port: number;
  readonly client: HearthClient;
  /** The server's index, opened for reading in this process. Close it before the node. */
  openIndex(): IndexDatabase;
  close(): Promise<void>;
}

export async function startServedNode(
  directory: string,
  readerThreads: number,
  nodeFlags: readonly string[] = [],
): Promise<ServedNode> {
  const server = await startServer({
    directory,
    nodeFlags,
    flags: [
      `-hearth.reader-threads=${readerThreads}`,
      "-metastore.min-ready-duration=0s",
      "-log.level=error",
      "-hearth.in-flight-max=65536",
    ],
  });
  const client = await connect({ endpoints: [server.endpoint], name: "bench" });
  return {
    server,
    port: Number(server.endpoint.split(":")[1]),
    client,
    openIndex: () =>
      IndexDatabase.open({
        directory: join(directory, "data"),
        mapSizeBytes: 64 * 1024 ** 3,
        role: "reader",
      }),
    close: async () => {
      await client.close();
      await server.stop();
    },
  };
}

/** A request as a WebSocket frame. Raw load sends one request per id at a time, so ids may repeat over time. */
export function requestFrame(opcode: number, requestId: number, payload: Uint8Array): Uint8Array {
  return buildFrame(requestPayload(opcode, requestId, payload));
}

/** Without the frame of WebSocket. */
export function requestPayload(opcode: number, requestId: number, payload: Uint8Array): Uint8Array {
  const sink = new ByteSink(FRAME_HEADER_BYTES + payload.length + 8);
  appendFrameHeader(sink, { ...createFrameHeader(), opcode, requestId });
  sink.append(payload);
  return sink.view();
}

/** Connects and says Hello; without a dictionary every answer carries all that it needs. */
export async function openSession(
  port: number,
  { dictionaryMaxBytes = 8 * 1024 * 1024, usesBundles = true } = {},
): Promise<RawWebSocket> {
  const socket = await RawWebSocket.connect(port);
  const sink = new ByteSink();
  encodeHello(sink, {
    protocolMin: 1,
    protocolMax: 1,
    name: "bench",
    role: "tool",
    dictionaryMaxBytes,
    wantsLeader: false,
    bundleMaxBytes: usesBundles ? BUNDLE_MAX_BYTES : 0,
  });
  await exchange(socket, requestFrame(OP.hello, 1, sink.view()));
  socket.usesBundles = usesBundles;
  return socket;
}

/** Sends one request and resolves with the bytes of its whole answer; rejects when it is an error. */
export function exchange(socket: RawWebSocket, frame: Uint8Array): Promise<number> {
  return new Promise((resolve, reject) => {
    let bytes = 0;
    socket.onMessage = (buffer, start, end) => {
      bytes += end - start;
      const flags = buffer[start + 3] as number;
      if ((flags & FLAG.error) !== 0)
        reject(new Error(`Refused: ${Buffer.from(buffer.subarray(start, end))}`));
      else if ((flags & FLAG.last) !== 0) resolve(bytes);
    };
    socket.write(frame);
  });
}

/** For closed-loop load: a message that ends a request. Errors end the run: they must not be counted as work. */
export function isLastFrame(buffer: Uint8Array, start: number): boolean {
  const flags = buffer[start + 3] as number;
  if ((flags & FLAG.error) !== 0) {
    const text = Buffer.from(buffer.subarray(start, start + 400)).toString("latin1");
    throw new Error(`The server refused a request of the load: ${text.replace(/[^ -~]+/g, " ")}`);
  }
  return (flags & FLAG.last) !== 0;
}
