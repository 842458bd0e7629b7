/**
 * Main's view of one reader thread.
 *
 *   starting ──ready──> serving ──stop()──> stopping ──exit──> ended
 *      │                   │
 *      └──failed, exit─────┴──crashed, exit──────────────────> ended
 *
 * There is no terminate(): killing a thread that has sockets open kills the process. A reader that does not stop in
 * time is reported, and only ending the process helps.
 */

import { setFlagsFromString } from "node:v8";
import { Worker } from "node:worker_threads";
import { HearthError, type Logger } from "../base/index.ts";
import type { LineTarget } from "../cluster/index.ts";
import type { LeaderNotice } from "../protocol/index.ts";
import type { TransportKind } from "./listener.ts";
import {
  createLocalChannel,
  type LocalChannel,
  type LocalChannelListener,
} from "./local-connection.ts";
import { type FromReader, fromPlainError, type ReaderSettings, type ToReader } from "./messages.ts";
import type { ReaderMetrics } from "./metrics.ts";
import type { ReaderQuestion } from "./write-bridge.ts";

export interface ReaderStart {
  readonly transport: TransportKind;
  /** Null when this thread does not listen. */
  readonly port: number | null;
}

export interface ReaderHandleModules {
  /** Of the thread; left out: the one that serves no further protocol. */
  readonly entry?: URL | undefined;
  readonly logger: Logger;
  readonly ask: (question: ReaderQuestion, answer: (message: ToReader) => void) => void;
  /** The thread is gone, asked for or not. */
  readonly onExit: (handle: ReaderHandle) => void;
}

type State = "starting" | "serving" | "stopping" | "ended";

/** Compiled and uncompiled trees differ in the suffix only. */
const ENTRY = new URL(
  `./reader-thread${import.meta.url.endsWith(".ts") ? ".ts" : ".js"}`,
  import.meta.url,
);

/**
 * Room that new objects of a thread have from its beginning, MiB: the size that V8 lets it grow to anyway. It would begin
 * with 1 and grow late, so that requests under way were copied several times before they end. Measured: a tenth of the CPU
 * time of a reader that takes writes over gRPC; memory at rest is the same. Read by each thread that is made from here on.
 */
const YOUNG_OBJECTS_MIB = 16;

export class ReaderHandle {
  readonly reader: number;
  readonly started: Promise<ReaderStart>;
  readonly ended: Promise<number>;
  readonly #worker: Worker;
  /** The same for every question: it stands for this thread. */
  readonly #answer = (message: ToReader): void => this.#post(message);
  readonly #modules: ReaderHandleModules;
  readonly #metricsWaiters = new Map<number, (metrics: ReaderMetrics | null) => void>();
  readonly #generationWaiters = new Map<number, () => void>();
  #state: State = "starting";
  #nextId = 1;
  /** What the thread died of, if it said so. */
  #failure = "no error was reported";
  #resolveStarted!: (start: ReaderStart) => void;
  #rejectStarted!: (error: HearthError) => void;

  constructor(settings: ReaderSettings, modules: ReaderHandleModules) {
    this.reader = settings.reader;
    this.#modules = modules;
    this.started = new Promise((resolve, reject) => {
      this.#resolveStarted = resolve;
      this.#rejectStarted = reject;
    });
    // Whoever starts the reader looks at it; a reader that dies later must not raise it once more.
    this.started.catch(() => {});
    setFlagsFromString(`--min-semi-space-size=${YOUNG_OBJECTS_MIB}`);
    this.#worker = new Worker(modules.entry ?? ENTRY, {
      workerData: settings,
      name: `hearth-reader-${settings.reader}`,
    });
    this.ended = new Promise((resolve) => {
      this.#worker.once("exit", (exitCode) => {
        this.#exited(exitCode);
        resolve(exitCode);
      });
    });
    this.#worker.on("message", (message: FromReader) => this.#receive(message));
    this.#worker.on("error", (error: Error) => {
      this.#failure = error.message;
      modules.logger.error("reader thread failed", { reader: this.reader, error: error.message });
    });
  }

  get isServing(): boolean {
    return this.#state === "serving";
  }

  /** Whether the end of the thread was asked for. */
  get isStopping(): boolean {
    return this.#state === "stopping";
  }

  /** Asks the thread to end; `ended` tells when it has. */
  stop(graceMs: number): void {
    if (this.#state === "ended" || this.#state === "stopping") return;
    this.#state = "stopping";
    this.#post({ kind: "stop", graceMs });
  }

  tellLeader(leader: LeaderNotice | null): void {
    this.#post({ kind: "leaderIs", leader });
  }

  tellLeaderPlace(place: LineTarget | null): void {
    this.#post({ kind: "leaderAt", place });
  }

  tellEdge(message: object): void {
    this.#post({ kind: "tellEdge", message });
  }

  /** A connection without a socket. */
  openLocal(listener: LocalChannelListener): LocalChannel {
    const { channel, readerPort } = createLocalChannel(listener);
    const message: ToReader = { kind: "openLocal", port: readerPort };
    this.#worker.postMessage(message, [readerPort]);
    return channel;
  }

  /** Resolves when the thread has no older content of the index open, or has ended. */
  useGeneration(generation: number): Promise<void> {
    if (this.#state === "ended") return Promise.resolve();
    return new Promise((resolve) => {
      this.#generationWaiters.set(generation, resolve);
      this.#post({ kind: "useGeneration", generation });
    });
  }

  /** What the thread counted, or null when it does not answer in time. */
  metrics(timeoutMs: number): Promise<ReaderMetrics | null> {
    if (this.#state === "ended") return Promise.resolve(null);
    const id = this.#nextId++;
    return new Promise((resolve) => {
      const timer = setTimeout(() => this.#metricsAnswered(id, null), timeoutMs);
      this.#metricsWaiters.set(id, (metrics) => {
        clearTimeout(timer);
        resolve(metrics);
      });
      this.#post({ kind: "askMetrics", id });
    });
  }

  #receive(message: FromReader): void {
    if (typeof message === "number") return this.#modules.ask(message, this.#answer);
    switch (message.kind) {
      case "ready":
        if (this.#state === "starting") this.#state = "serving";
        return this.#resolveStarted({ transport: message.transport, port: message.port });
      case "failed":
        return this.#rejectStarted(fromPlainError(message.error));
      case "generationInUse":
        this.#generationWaiters.get(message.generation)?.();
        this.#generationWaiters.delete(message.generation);
        return;
      case "metrics":
        return this.#metricsAnswered(message.id, message.metrics);
      case "log":
        return this.#modules.logger[message.level](message.message, message.fields);
      case "crashed":
        return this.#crashed(message.message, message.stack);
      default:
        return this.#modules.ask(message, this.#answer);
    }
  }

  #crashed(error: string, stack: string): void {
    this.#failure = error;
    this.#modules.logger.error("reader thread crashed", { reader: this.reader, error, stack });
  }

  #metricsAnswered(id: number, metrics: ReaderMetrics | null): void {
    const waiter = this.#metricsWaiters.get(id);
    this.#metricsWaiters.delete(id);
    waiter?.(metrics);
  }

  #exited(exitCode: number): void {
    const message = `Reader ${this.reader} ended with ${exitCode} before it was ready: ${this.#failure}`;
    this.#rejectStarted(new HearthError("internal", message, { reason: "reader_ended" }));
    for (const id of [...this.#metricsWaiters.keys()]) this.#metricsAnswered(id, null);
    for (const resolve of this.#generationWaiters.values()) resolve();
    this.#generationWaiters.clear();
    // Told before the state changes: whether the end was asked for matters to whoever hears it.
    this.#modules.onExit(this);
    this.#state = "ended";
  }

  #post(message: ToReader): void {
    if (this.#state !== "ended") this.#worker.postMessage(message);
  }
}
