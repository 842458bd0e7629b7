/**
 * Bare gRPC servers that the figures of ours are compared with: each answers every unary call with `answerBytes` bytes.
 * `edge` is our own endpoint with a method that does nothing, `http2` is node:http2 without any of it, `grpc-js` is the
 * library. Runs in a thread of a process of its own, as our servers do; prints its port and goes when stdin ends.
 */

import { createServer } from "node:http2";
import { isMainThread, parentPort, Worker, workerData } from "node:worker_threads";
import { Server, ServerCredentials } from "@grpc/grpc-js";
import { SILENT_LOGGER } from "../../src/base/index.ts";
import { GRPC_DEFAULTS, GrpcEdge } from "../../src/grpc/index.ts";
import { findFreePorts } from "../../test/support/ports.ts";

export const ECHO_PATH = "/bench.Echo/Echo";

export type EchoKind = "edge" | "http2" | "grpc-js";

interface EchoOptions {
  readonly kind: EchoKind;
  readonly answerBytes: number;
}

function main(): void {
  const options = { kind: process.argv[2] as EchoKind, answerBytes: Number(process.argv[3]) };
  const worker = new Worker(new URL(import.meta.url), { workerData: options });
  worker.once("message", (port: number) => process.stdout.write(`${port}\n`));
  process.stdin.resume();
  process.stdin.once("end", () => process.exit(0));
}

async function serve(): Promise<void> {
  const { kind, answerBytes } = workerData as EchoOptions;
  const [port = 0] = await findFreePorts(1);
  if (kind === "edge") await serveEdge(port, answerBytes);
  else if (kind === "http2") await serveHttp2(port, answerBytes);
  else await serveGrpcJs(port, answerBytes);
  parentPort?.postMessage(port);
}

async function serveEdge(port: number, answerBytes: number): Promise<void> {
  const answer = Buffer.alloc(answerBytes);
  const edge = new GrpcEdge(
    { ...GRPC_DEFAULTS, port },
    {
      methods: [
        {
          path: ECHO_PATH,
          kind: "query",
          handle: (_message, call) => call.reply((sink) => sink.append(answer)),
        },
      ],
      mayListen: true,
      logger: SILENT_LOGGER,
    },
  );
  await edge.listen();
}

function serveHttp2(port: number, answerBytes: number): Promise<void> {
  const framed = Buffer.alloc(5 + answerBytes);
  framed.writeUInt32BE(answerBytes, 1);
  const headers = { ":status": 200, "content-type": "application/grpc" };
  const server = createServer({ settings: { initialWindowSize: 1024 * 1024 } });
  server.on("stream", (stream) => {
    stream.on("data", () => {});
    stream.on("end", () => {
      stream.respond(headers, { waitForTrailers: true });
      stream.on("wantTrailers", () => stream.sendTrailers({ "grpc-status": "0" }));
      stream.end(framed);
    });
  });
  return new Promise((resolve) => server.listen(port, "127.0.0.1", resolve));
}

function serveGrpcJs(port: number, answerBytes: number): Promise<void> {
  const answer = Buffer.alloc(answerBytes);
  const same = (bytes: Buffer): Buffer => bytes;
  const server = new Server();
  const [, service, method] = ECHO_PATH.split("/") as [string, string, string];
  server.addService(
    {
      [method]: {
        path: `/${service}/${method}`,
        requestStream: false,
        responseStream: false,
        requestSerialize: same,
        requestDeserialize: same,
        responseSerialize: same,
        responseDeserialize: same,
      },
    },
    {
      [method]: (_call: unknown, done: (error: null, value: Buffer) => void) => done(null, answer),
    },
  );
  return new Promise((resolve, reject) => {
    server.bindAsync(`127.0.0.1:${port}`, ServerCredentials.createInsecure(), (error) =>
      error === null ? resolve() : reject(error),
    );
  });
}

if (isMainThread) main();
else await serve();
