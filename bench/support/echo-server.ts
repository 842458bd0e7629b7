/**
 * The limit that socket figures are compared with: a bare uWebSockets.js server in a worker thread that answers
 * every message with `answerBytes` bytes. Runs as a process of its own; prints its port and goes when stdin ends.
 */

import { createRequire } from "node:module";
import { isMainThread, parentPort, Worker, workerData } from "node:worker_threads";

interface EchoOptions {
  readonly answerBytes: number;
  readonly threads: number;
}

function main(): void {
  const options: EchoOptions = {
    answerBytes: Number(process.argv[2] ?? 100),
    threads: Number(process.argv[3] ?? 1),
  };
  const workers: Worker[] = [];
  const startNext = (port: number): void => {
    const worker = new Worker(new URL(import.meta.url), { workerData: { ...options, port } });
    workers.push(worker);
    worker.once("message", (listening: number) => {
      if (workers.length < options.threads) startNext(listening);
      else process.stdout.write(`${listening}\n`);
    });
  };
  startNext(0);
  process.stdin.resume();
  process.stdin.once("end", () => {
    for (const worker of workers) worker.postMessage("close");
  });
}

function serve(): void {
  const options = workerData as EchoOptions & { port: number };
  const uws = createRequire(import.meta.url)("uWebSockets.js") as typeof import("uWebSockets.js");
  const answer = new Uint8Array(options.answerBytes);
  const app = uws.App();
  app.ws("/*", {
    maxPayloadLength: 16 * 1024 * 1024,
    maxBackpressure: 256 * 1024 * 1024,
    idleTimeout: 0,
    message: (socket) => {
      socket.send(answer, true, false);
    },
  });
  app.listen("127.0.0.1", options.port, (token) => {
    if (!token) throw new Error("Cannot listen");
    parentPort?.postMessage(uws.us_socket_local_port(token));
  });
  parentPort?.once("message", () => {
    app.close();
    parentPort?.close();
  });
}

if (isMainThread) main();
else serve();
