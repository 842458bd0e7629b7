/** The child processes of `hearth dev`: started, watched, stopped together; none is left behind. */
import { type ChildProcess, spawn } from "node:child_process";
import { closeSync, openSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { HearthError } from "../../base/index.ts";
import { NodeApi } from "../node-api.ts";
import { type DevNode, httpUrl, serverFlags } from "./plan.ts";

/** A stop takes well under a second; a hanging one must not keep a person waiting. */
const STOP_LIMIT_MS = 15_000;
const LOOK_INTERVAL_MS = 50;
const PROBE_LIMIT_MS = 1_000;
/** Of a log, for an error message. */
const TAIL_LINES = 8;

export interface DevProcess {
  readonly node: DevNode;
  readonly pid: number;
}

export type OnEnded = (process: DevProcess, how: string) => void;

export class DevProcesses {
  readonly #script: string;
  readonly #nodes: readonly DevNode[];
  readonly #children = new Map<DevNode, ChildProcess>();
  readonly #onEnded: OnEnded;
  #isStopping = false;

  /** `script` is what Node.js runs: this very program. */
  constructor(script: string, nodes: readonly DevNode[], onEnded: OnEnded) {
    this.#script = script;
    this.#nodes = nodes;
    this.#onEnded = onEnded;
    // Whatever ends this process, the children go with it.
    process.once("exit", () => {
      for (const child of this.#children.values()) child.kill("SIGKILL");
    });
  }

  get running(): readonly DevProcess[] {
    return [...this.#children].map(([node, { pid = 0 }]) => ({ node, pid }));
  }

  start(): void {
    for (const node of this.#nodes) this.#spawn(node);
  }

  #spawn(node: DevNode): void {
    // Appended: a second start goes on in the same file.
    const log = openSync(logFile(node), "a");
    const argv = [this.#script, "server", ...serverFlags(node, this.#nodes)];
    const child = spawn(process.execPath, argv, { stdio: ["ignore", log, log] });
    closeSync(log);
    this.#children.set(node, child);
    const onEnd = (how: string): void => {
      if (!this.#children.delete(node) || this.#isStopping) return;
      this.#onEnded({ node, pid: child.pid ?? 0 }, how);
    };
    child.once("error", (error) => onEnd(error.message));
    child.once("exit", (code, signal) =>
      onEnd(signal === null ? `with exit code ${code}` : `by ${signal}`),
    );
  }

  /** Resolves when all are ready. Errors: HearthError with the reason of one that is not, or has ended. */
  async ready(timeoutMs: number, signal: AbortSignal): Promise<void> {
    const endAtMs = performance.now() + timeoutMs;
    for (const node of this.#nodes) await this.#nodeReady(node, endAtMs, signal);
  }

  async #nodeReady(node: DevNode, endAtMs: number, signal: AbortSignal): Promise<void> {
    const endpoints = [httpUrl(node)];
    const api = new NodeApi({ endpoints, timeoutMs: PROBE_LIMIT_MS, signal });
    for (let last = "no answer"; ; ) {
      signal.throwIfAborted();
      if (!this.#children.has(node)) throw notReady(node, "its process has ended");
      const answer = await api.ask({ method: "GET", path: "/ready" }).catch(() => null);
      if (answer?.status === 200) return;
      last = answer?.body.trim() ?? last;
      if (performance.now() > endAtMs) throw notReady(node, last);
      await sleep(LOOK_INTERVAL_MS, undefined, { signal }).catch(() => {});
    }
  }

  /** Stops all in order, at once; what does not end in time is killed. Repeating it is harmless. */
  async stop(): Promise<void> {
    this.#isStopping = true;
    const children = [...this.#children.values()];
    const ended = children.map((child) => new Promise((resolve) => child.once("exit", resolve)));
    for (const child of children) child.kill("SIGTERM");
    const timer = setTimeout(() => {
      for (const child of children) child.kill("SIGKILL");
    }, STOP_LIMIT_MS);
    await Promise.all(ended);
    clearTimeout(timer);
  }
}

export function logFile(node: DevNode): string {
  return join(node.directory, "log");
}

function notReady(node: DevNode, why: string): HearthError {
  const tail = readFileSync(logFile(node), "utf8").trim().split("\n").slice(-TAIL_LINES);
  return new HearthError("unavailable", `${node.name} is not ready: ${why}\n${tail.join("\n")}`, {
    reason: "not_ready",
    next: `Its log is ${logFile(node)}`,
  });
}
