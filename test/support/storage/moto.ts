/** A real S3 server for tests: moto from PyPI, where it is there or can be installed. */
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";

export type Moto =
  | { readonly path: string; readonly reason: null }
  | { readonly path: null; readonly reason: string };

export interface MotoServer {
  /** "127.0.0.1:port". */
  readonly endpoint: string;
  stop(): void;
}

/** Kept between runs of one machine. */
const ENVIRONMENT = join(tmpdir(), "hearth-moto");
const INSTALL_LIMIT_MS = 150_000;
const START_LIMIT_MS = 60_000;

/** `STORAGE_MOTO` names its program; `STORAGE_MOTO_INSTALL=1` (CI) installs it. */
export async function findMoto(): Promise<Moto> {
  const installed = join(ENVIRONMENT, "bin", "moto_server");
  const given = process.env.STORAGE_MOTO ?? "";
  if (given !== "") return { path: given, reason: null };
  if (existsSync(installed)) return { path: installed, reason: null };
  if (process.env.STORAGE_MOTO_INSTALL !== "1") {
    const reason = "moto is not here; STORAGE_MOTO_INSTALL=1 installs it from PyPI";
    return { path: null, reason };
  }
  const made = run("python3", ["-m", "venv", ENVIRONMENT]);
  const problem =
    made ??
    run(join(ENVIRONMENT, "bin", "python"), ["-m", "pip", "install", "--quiet", "moto[server]"]);
  if (problem === null && existsSync(installed)) return { path: installed, reason: null };
  return { path: null, reason: `moto could not be installed: ${problem ?? "no moto_server"}` };
}

function run(command: string, args: readonly string[]): string | null {
  const { status, stderr, error } = spawnSync(command, [...args], {
    encoding: "utf8",
    timeout: INSTALL_LIMIT_MS,
  });
  if (status === 0) return null;
  return error?.message ?? stderr.trim().split("\n").at(-1) ?? `status ${status}`;
}

const RUNNING = new Set<ChildProcess>();

process.once("exit", () => {
  for (const child of RUNNING) child.kill("SIGKILL");
});

/** Starts it on a free port. Errors: it does not answer in time. */
export async function startMoto(path: string): Promise<MotoServer> {
  const port = await freePort();
  const child = spawn(path, ["-H", "127.0.0.1", "-p", String(port)], { stdio: "ignore" });
  RUNNING.add(child);
  const endpoint = `127.0.0.1:${port}`;
  const untilMs = performance.now() + START_LIMIT_MS;
  while (performance.now() < untilMs) {
    const answer = await fetch(`http://${endpoint}/`).catch(() => null);
    if (answer !== null) {
      return {
        endpoint,
        stop: () => {
          RUNNING.delete(child);
          child.kill("SIGKILL");
        },
      };
    }
    await sleep(50);
  }
  child.kill("SIGKILL");
  throw new Error("moto gave no answer");
}

function freePort(): Promise<number> {
  return new Promise((resolve) => {
    const server = createServer();
    server.listen(0, "127.0.0.1", () => {
      const address = server.address();
      server.close(() =>
        resolve(typeof address === "object" && address !== null ? address.port : 0),
      );
    });
  });
}
