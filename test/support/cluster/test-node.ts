/**
 * One real server process of a cluster on this machine: started, killed, stopped, paused, wiped, asked how it is.
 * Its ports and directories stay the same over restarts.
 */

import { type ChildProcess, spawn } from "node:child_process";
import { mkdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { inRoot } from "../project.ts";

/** Where a node listens, all on 127.0.0.1. */
export interface NodePorts {
  readonly peer: number;
  readonly http: number;
  readonly websocket: number;
  readonly grpc: number;
}

export interface TestNodeOptions {
  /** Name among the members: "node-1". */
  readonly serverId: string;
  /** Log and index are below it. */
  readonly directory: string;
  readonly ports: NodePorts;
  /** What other members dial: "127.0.0.1:port". */
  readonly peerAddress: string;
  readonly flags: readonly string[];
  /** What is run instead of the program, an absolute path: a test's own composition of a node. */
  readonly entry?: string | undefined;
}

/** The part of GET /api/v1/status that tests look at. */
export interface NodeStatus {
  readonly state: string;
  readonly problem: string | null;
  readonly raft: {
    readonly role: string;
    readonly leaderId: string | null;
    readonly term: number;
    readonly lastIndex: number;
    readonly commitIndex: number;
    readonly appliedIndex: number;
    readonly voters: number;
  } | null;
  readonly index: { readonly blocks: number; readonly databaseBytes: number } | null;
}

export interface NodeExit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

/** Processes that run. A test that dies must not leave them behind. */
const RUNNING = new Set<ChildProcess>();

process.once("exit", () => {
  for (const child of RUNNING) child.kill("SIGKILL");
});

const OUTPUT_MAX_CHARS = 64 * 1024;
const POLL_MS = 20;
/** As deploy/Dockerfile has it: what a node takes of memory is looked at as it is deployed. */
const ENVIRONMENT = { MALLOC_MMAP_THRESHOLD_: "131072", MALLOC_TRIM_THRESHOLD_: "131072" };

/** A node that does not answer in that time is asked again, or passed over. */
const STATUS_LIMIT_MS = 5_000;

export class TestNode {
  readonly serverId: string;
  readonly ports: NodePorts;
  readonly peerAddress: string;
  readonly directory: string;
  flags: readonly string[];
  readonly #entry: string;
  #child: ChildProcess | null = null;
  #exited: Promise<NodeExit> = Promise.resolve({ code: null, signal: null });
  #isPaused = false;
  #output = "";
  /** Process starts so far. */
  starts = 0;

  constructor(options: TestNodeOptions) {
    this.serverId = options.serverId;
    this.ports = options.ports;
    this.peerAddress = options.peerAddress;
    this.directory = options.directory;
    this.flags = options.flags;
    this.#entry = options.entry ?? inRoot("bin", "hearth.js");
    mkdirSync(this.directory, { recursive: true });
  }

  /** Of the binary protocol. */
  get endpoint(): string {
    return `127.0.0.1:${this.ports.websocket}`;
  }

  get grpcAddress(): string {
    return `127.0.0.1:${this.ports.grpc}`;
  }

  get httpUrl(): string {
    return `http://127.0.0.1:${this.ports.http}`;
  }

  get logDirectory(): string {
    return join(this.directory, "raft");
  }

  /** The files of the log alone. */
  get walDirectory(): string {
    return join(this.logDirectory, "wal");
  }

  get dataDirectory(): string {
    return join(this.directory, "data");
  }

  get pid(): number | null {
    return this.isRunning ? (this.#child?.pid ?? null) : null;
  }

  get isRunning(): boolean {
    const child = this.#child;
    return child !== null && child.exitCode === null && child.signalCode === null;
  }

  get isPaused(): boolean {
    return this.#isPaused;
  }

  /** The last lines of all its processes. */
  get output(): string {
    return this.#output;
  }

  /** Settles when the running process has ended. */
  get exited(): Promise<NodeExit> {
    return this.#exited;
  }

  /** Starts the process; does not wait for anything. */
  start(): void {
    if (this.isRunning) throw new Error(`${this.serverId} runs already`);
    const { http, websocket, grpc } = this.ports;
    const child = spawn(
      process.execPath,
      [
        this.#entry,
        "server",
        "-server.http-listen-address=127.0.0.1",
        `-server.http-listen-port=${http}`,
        "-hearth.websocket-listen-address=127.0.0.1",
        `-hearth.websocket-listen-port=${websocket}`,
        "-server.grpc-listen-address=127.0.0.1",
        `-server.grpc-listen-port=${grpc}`,
        `-metastore.data-dir=${this.dataDirectory}`,
        `-metastore.raft.dir=${this.logDirectory}`,
        `-metastore.raft.server-id=${this.serverId}`,
        // One for the cluster, beside its nodes.
        `-storage.filesystem.dir=${join(this.directory, "..", "bucket")}`,
        "-metastore.min-ready-duration=0s",
        ...this.flags,
      ],
      { stdio: ["ignore", "pipe", "pipe"], env: { ...process.env, ...ENVIRONMENT } },
    );
    this.#child = child;
    this.#isPaused = false;
    this.starts += 1;
    child.stdout.on("data", (chunk: Buffer) => this.#note(chunk.toString()));
    child.stderr.on("data", (chunk: Buffer) => this.#note(chunk.toString()));
    RUNNING.add(child);
    this.#exited = new Promise((resolve) => {
      child.once("close", (code, signal) => {
        RUNNING.delete(child);
        this.#note(`[${this.serverId} ended: ${signal ?? code}]\n`);
        resolve({ code, signal });
      });
    });
  }

  /** SIGKILL: what is only in memory is gone. */
  async kill(): Promise<void> {
    this.#signal("SIGKILL");
    await this.#exited;
  }

  /** SIGTERM; resolves with how it ended. A paused process is let go on first. */
  async stop(): Promise<NodeExit> {
    this.resume();
    this.#signal("SIGTERM");
    return this.#exited;
  }

  /** SIGSTOP: the process stands still, its sockets stay open. */
  pause(): void {
    this.#signal("SIGSTOP");
    this.#isPaused = true;
  }

  resume(): void {
    if (!this.#isPaused) return;
    this.#isPaused = false;
    this.#signal("SIGCONT");
  }

  /** Any other signal that a test's own entry listens to. */
  signal(signal: NodeJS.Signals): void {
    this.#signal(signal);
  }

  /** Deletes the index, which is a cache, or everything, which makes it another node. While it does not run. */
  wipe(what: "index" | "everything"): void {
    if (this.isRunning) throw new Error(`${this.serverId} runs and cannot be wiped`);
    const path = what === "index" ? this.dataDirectory : this.directory;
    rmSync(path, { recursive: true, force: true });
    mkdirSync(this.directory, { recursive: true });
  }

  /** Its own word; null when it gives none in time. */
  async status(limitMs = STATUS_LIMIT_MS): Promise<NodeStatus | null> {
    if (!this.isRunning || this.#isPaused) return null;
    return (await this.getJson("/api/v1/status", limitMs).catch(() => null)) as NodeStatus | null;
  }

  /** Rejects when there is no answer in time, or another status than 200. */
  getJson(path: string, limitMs = STATUS_LIMIT_MS): Promise<unknown> {
    return this.#json(path, { signal: AbortSignal.timeout(limitMs) });
  }

  /** As `getJson`, for what changes something. */
  postJson(path: string, body: object, limitMs: number): Promise<unknown> {
    return this.#json(path, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify(body),
      signal: AbortSignal.timeout(limitMs),
    });
  }

  deleteJson(path: string, limitMs: number): Promise<unknown> {
    return this.#json(path, {
      method: "DELETE",
      headers: { "content-type": "application/json" },
      signal: AbortSignal.timeout(limitMs),
    });
  }

  async #json(path: string, request: RequestInit): Promise<unknown> {
    const answer = await fetch(`${this.httpUrl}${path}`, request);
    const text = await answer.text();
    if (!answer.ok) throw new Error(`${this.serverId}${path} answers ${answer.status}: ${text}`);
    return JSON.parse(text);
  }

  /** Null: ready. Else why not, in its own words, or that it does not answer. */
  async whyNotReady(limitMs = STATUS_LIMIT_MS): Promise<string | null> {
    if (!this.isRunning) return "the process has ended";
    const signal = AbortSignal.timeout(limitMs);
    const answer = await fetch(`${this.httpUrl}/ready`, { signal }).catch(() => null);
    if (answer === null) return "no answer";
    return answer.status === 200 ? null : (await answer.text()).trim();
  }

  /** Errors: rejects when the process ends or `limitMs` is over, with what it said. */
  async waitUntilReady(limitMs: number): Promise<void> {
    const endAtMs = performance.now() + limitMs;
    for (;;) {
      const problem = await this.whyNotReady();
      if (problem === null) return;
      if (!this.isRunning || performance.now() > endAtMs) {
        throw new Error(`${this.serverId} is not ready: ${problem}\n${this.#output.slice(-4_000)}`);
      }
      await sleep(POLL_MS);
    }
  }

  #signal(signal: NodeJS.Signals): void {
    if (this.isRunning) this.#child?.kill(signal);
  }

  #note(text: string): void {
    this.#output = (this.#output + text).slice(-OUTPUT_MAX_CHARS);
  }
}
