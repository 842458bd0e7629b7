/** Child processes under test, and what they cost: a benchmark compares CPU per request, which noise moves least. */

import { type ChildProcess, spawn } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

const ECHO_SERVER = fileURLToPath(new URL("./echo-server.js", import.meta.url));
const GRPC_ECHO_SERVER = fileURLToPath(new URL("./grpc-echo-server.js", import.meta.url));

export interface ServerUnderTest {
  readonly port: number;
  readonly pid: number;
  stop(): Promise<void>;
}

/** CPU time of all threads of a process so far, in us. Linux only. */
export function processCpuUs(pid: number): number {
  let totalNs = 0;
  for (const thread of readdirSync(`/proc/${pid}/task`)) {
    try {
      totalNs += Number(
        readFileSync(`/proc/${pid}/task/${thread}/schedstat`, "utf8").split(" ")[0],
      );
    } catch {
      // The thread ended between the listing and the read.
    }
  }
  return totalNs / 1000;
}

/** Resident memory that is not a mapped file, in bytes: what a process needs beyond the database map. */
export function anonymousMemoryBytes(pid: number): number {
  const match = /RssAnon:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, "utf8"));
  return Number(match?.[1] ?? 0) * 1024;
}

/** Starts the raw echo server that answers each message with `answerBytes` bytes. */
export async function startEcho(answerBytes: number, threads = 1): Promise<ServerUnderTest> {
  const child = spawn(process.execPath, [ECHO_SERVER, String(answerBytes), String(threads)], {
    stdio: ["pipe", "pipe", "inherit"],
  });
  const port = Number(await firstLine(child));
  return { port, pid: child.pid as number, stop: () => endStdin(child) };
}

/** Starts a bare gRPC server of a kind that answers each call with `answerBytes` bytes. */
export async function startGrpcEcho(kind: string, answerBytes: number): Promise<ServerUnderTest> {
  const child = spawn(process.execPath, [GRPC_ECHO_SERVER, kind, String(answerBytes)], {
    stdio: ["pipe", "pipe", "inherit"],
  });
  const port = Number(await firstLine(child));
  return { port, pid: child.pid as number, stop: () => endStdin(child) };
}

/** Resolves with the first line the child prints; rejects when it exits before. */
export function firstLine(child: ChildProcess): Promise<string> {
  return new Promise((resolve, reject) => {
    let text = "";
    child.stdout?.on("data", (chunk: Buffer) => {
      text += chunk.toString();
      const end = text.indexOf("\n");
      if (end >= 0) resolve(text.slice(0, end));
    });
    child.once("exit", (code) =>
      reject(new Error(`Process exited with ${code} before it was ready`)),
    );
  });
}

function endStdin(child: ChildProcess): Promise<void> {
  return new Promise((resolve) => {
    child.once("exit", () => resolve());
    child.stdin?.end();
  });
}
