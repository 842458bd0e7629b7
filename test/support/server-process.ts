/** A real server in a process of its own, on free ports, for tests that need one. */

import { type ChildProcess, spawn } from "node:child_process";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { findFreePorts } from "./ports.ts";
import { inRoot } from "./project.ts";

export interface ServerOptions {
  /** Holds log and index; kept over restarts. */
  readonly directory: string;
  /** Further flags: "-hearth.allow-raw-commands". */
  readonly flags?: readonly string[];
  /** For its Node.js: "--import=...". */
  readonly nodeFlags?: readonly string[];
  /** The longest wait for /ready. Starts take a fraction of it; a loaded machine may need more. */
  readonly readyLimitMs?: number;
  /** Websocket and HTTP, to come back under the same addresses. Left out: free ones. */
  readonly ports?: readonly [websocket: number, http: number];
  /** False: returns at once, for a node that others have to wait for. */
  readonly mustBeReady?: boolean;
}

export interface ServerProcess {
  /** "127.0.0.1:port" of the binary protocol. */
  readonly endpoint: string;
  /** "http://127.0.0.1:port". */
  readonly httpUrl: string;
  /** "127.0.0.1:port" of gRPC; another one after each start. */
  readonly grpcAddress: string;
  readonly pid: number;
  /** Signal or status once the process has ended and everything it wrote is in `output`, else null. */
  readonly ended: string | number | null;
  /** SIGTERM; resolves with the exit status. */
  stop(): Promise<number | null>;
  /** SIGKILL: what is only in memory is gone. */
  kill(): Promise<void>;
  /** The last lines that the server wrote. */
  output(): string;
}

/** Servers that run. A test that dies must not leave them behind. */
const RUNNING = new Set<ChildProcess>();

process.once("exit", () => {
  for (const child of RUNNING) child.kill("SIGKILL");
});

const READY_LIMIT_MS = 120_000;
const POLL_MS = 15;
const OUTPUT_MAX_CHARS = 16_384;

/** Starts a server and waits until it is ready. Errors: carries what the server said. */
export async function startServer(options: ServerOptions): Promise<ServerProcess> {
  const [grpcPort, ...free] = await findFreePorts(options.ports === undefined ? 3 : 1);
  const [port, httpPort] = options.ports ?? free;
  const child = spawn(
    process.execPath,
    [
      ...(options.nodeFlags ?? []),
      inRoot("bin", "hearth.js"),
      "server",
      "-server.http-listen-address=127.0.0.1",
      `-server.http-listen-port=${httpPort}`,
      "-hearth.websocket-listen-address=127.0.0.1",
      `-hearth.websocket-listen-port=${port}`,
      "-server.grpc-listen-address=127.0.0.1",
      `-server.grpc-listen-port=${grpcPort}`,
      `-metastore.data-dir=${join(options.directory, "data")}`,
      `-metastore.raft.dir=${join(options.directory, "raft")}`,
      `-storage.filesystem.dir=${join(options.directory, "bucket")}`,
      // Nobody looks for a lone node of a test.
      "-metastore.raft.bind-address=127.0.0.1:0",
      // And it has nothing to wait for.
      "-metastore.min-ready-duration=0s",
      ...(options.flags ?? []),
    ],
    { stdio: ["ignore", "pipe", "pipe"] },
  );
  let output = "";
  const note = (chunk: Buffer): void => {
    output = (output + chunk.toString()).slice(-OUTPUT_MAX_CHARS);
  };
  child.stdout.on("data", note);
  child.stderr.on("data", note);
  RUNNING.add(child);
  let ended: string | number | null = null;
  const exited = new Promise<number | null>((resolve) => {
    // Not "exit": what was written last is still on its way then.
    child.once("close", (code, signal) => {
      ended = signal ?? code;
      RUNNING.delete(child);
      resolve(code);
    });
  });
  const server: ServerProcess = {
    endpoint: `127.0.0.1:${port}`,
    httpUrl: `http://127.0.0.1:${httpPort}`,
    grpcAddress: `127.0.0.1:${grpcPort}`,
    pid: child.pid as number,
    get ended() {
      return ended;
    },
    stop: () => end(child, "SIGTERM", exited),
    kill: async () => {
      await end(child, "SIGKILL", exited);
    },
    output: () => output,
  };
  if (options.mustBeReady === false) return server;
  await waitUntilReady(server, options.readyLimitMs ?? READY_LIMIT_MS);
  return server;
}

/** Errors: carries what the server said, when it ends or is not ready in time. */
export async function waitUntilReady(
  server: ServerProcess,
  limitMs = READY_LIMIT_MS,
): Promise<void> {
  const endAtMs = performance.now() + limitMs;
  for (;;) {
    if (server.ended !== null)
      throw new Error(`The server ended with ${server.ended}:\n${server.output()}`);
    const answer = await fetch(`${server.httpUrl}/ready`).catch(() => null);
    if (answer?.status === 200) return;
    if (performance.now() > endAtMs) {
      const said = (await answer?.text()) ?? "no answer";
      await server.kill();
      throw new Error(`The server is not ready after ${limitMs} ms: ${said}\n${server.output()}`);
    }
    await sleep(POLL_MS);
  }
}

async function end(
  child: ChildProcess,
  signal: NodeJS.Signals,
  exited: Promise<number | null>,
): Promise<number | null> {
  if (child.exitCode === null && child.signalCode === null) child.kill(signal);
  return exited;
}
