/**
 * The reader threads: starts them on one port, restarts one that dies, stops them in order.
 *
 * Readers are long-lived servers, not workers for tasks: they own their sockets, so that the bytes of a query never
 * cross a thread. The kernel spreads connections over the threads that listen.
 *
 * The port is probed before the first reader opens it: readers share it by SO_REUSEPORT, with which a second server on
 * the same port would not fail but silently take half of the connections. The probe also chooses a free port when none
 * is named: uWebSockets.js shares only ports that were named.
 */

import { createServer } from "node:net";
import { assert, HearthError, type Logger, toHearthError } from "../base/index.ts";
import type { LineTarget } from "../cluster/index.ts";
import type { LeaderNotice } from "../protocol/index.ts";
import type { SharedState } from "../read/index.ts";
import { canSharePort } from "../service/index.ts";
import type { TransportKind } from "./listener.ts";
import type { LocalChannel, LocalChannelListener } from "./local-connection.ts";
import type { ReaderSettings } from "./messages.ts";
import type { ReaderMetrics } from "./metrics.ts";
import type { ServerIdentity, ServerOptions } from "./options.ts";
import { ReaderHandle, type ReaderStart } from "./reader-handle.ts";
import { type MemberPort, type PollPort, type Proposer, WriteBridge } from "./write-bridge.ts";

export interface ReaderPoolModules {
  readonly proposer: Proposer;
  /** Left out: this server coordinates no compaction. */
  readonly polls?: PollPort | undefined;
  readonly sharedState: SharedState;
  readonly identity: ServerIdentity;
  /** The index database, opened by the writer already. */
  readonly database: { readonly directory: string; readonly mapSizeBytes: number };
  /** Options of each thread's query engine; empty for its defaults. */
  readonly engine: Readonly<Record<string, number>>;
  readonly logger: Logger;
  /** What the member does as the leader, for whoever asks; left out: nothing. */
  readonly activities?: (() => object) | undefined;
  /** Calls about members; left out: this server takes none. */
  readonly members?: MemberPort | undefined;
  /** The further protocol of the readers: their entry, which serves it, and its settings. Left out: none. */
  readonly edge?: { readonly entry: URL; readonly settings: object } | undefined;
  /** Readers died too often: the process should stop and be started anew. */
  readonly onGaveUp: (error: HearthError) => void;
}

/** Where the pool can be reached. */
export interface ListeningAddress {
  readonly host: string;
  readonly port: number;
  readonly transport: TransportKind;
}

const RESTART_WINDOW_MS = 60_000;
/** A scrape waits this long for a busy reader; longer than any allowed scan. Good enough. */
const METRICS_TIMEOUT_MS = 2_000;

export class ReaderPool {
  readonly #options: ServerOptions;
  readonly #modules: ReaderPoolModules;
  readonly #bridge: WriteBridge;
  /** By position; a dead reader is replaced in its place. */
  readonly #readers: ReaderHandle[] = [];
  #port = 0;
  #address: ListeningAddress | null = null;
  #restartsAtMs: number[] = [];
  #isStopping = false;
  #nextLocal = 0;
  #edgeMessage: object | null = null;
  #leader: LeaderNotice | null = null;
  #leaderPlace: LineTarget | null = null;

  constructor(options: ServerOptions, modules: ReaderPoolModules) {
    assert(options.readersCount >= 1, "A server needs at least one reader thread");
    this.#options = options;
    this.#modules = modules;
    this.#bridge = new WriteBridge({
      proposer: modules.proposer,
      polls: modules.polls,
      members: modules.members,
      activities: modules.activities,
      describe: () => this.#describe(),
    });
  }

  /** Where clients connect; null before `start`. */
  get address(): ListeningAddress | null {
    return this.#address;
  }

  /** Readers that serve now. */
  get servingCount(): number {
    return this.#readers.filter((reader) => reader.isServing).length;
  }

  /**
   * Starts all readers. Errors: `unavailable` when the port cannot be had, whatever a reader failed with otherwise;
   * nothing is left running then.
   */
  async start(): Promise<ListeningAddress> {
    const { host, readersCount } = this.#options;
    try {
      this.#port = await probePort(host, this.#options.port);
      const { transport } = await this.#startReader(0);
      this.#address = { host, port: this.#port, transport };
      const others = Array.from({ length: readersCount - 1 }, (_, i) => this.#startReader(i + 1));
      await Promise.all(others);
    } catch (error) {
      await this.stop();
      throw toHearthError(error);
    }
    this.#modules.logger.info("listening", { ...this.#address, readers: readersCount });
    return this.#address;
  }

  /**
   * Stops every reader: open requests are finished or refused, sockets closed, threads ended.
   * Errors: `internal` when one does not end in time; only ending the process helps then.
   */
  async stop(): Promise<void> {
    this.#isStopping = true;
    const { stopTimeoutMs } = this.#options;
    for (const reader of this.#readers) reader.stop(stopTimeoutMs / 2);
    const ended = Promise.all(this.#readers.map((reader) => reader.ended));
    if (await isDoneWithin(ended, stopTimeoutMs)) return;
    const message = `A reader thread did not stop within ${stopTimeoutMs} ms`;
    throw new HearthError("internal", message, { reason: "reader_stuck" });
  }

  /**
   * Every reader goes over to another content of the index, which SharedState names already, for those that start later.
   * Resolves when none has an older one open.
   */
  async useGeneration(generation: number): Promise<void> {
    await Promise.all(this.#readers.map((reader) => reader.useGeneration(generation)));
  }

  /** Who leads now, for clients; null: not known. Also for readers that start later. */
  tellLeader(leader: LeaderNotice | null): void {
    this.#leader = leader;
    for (const reader of this.#readers) reader.tellLeader(leader);
  }

  /** Where the leader's peer port is; null: nowhere, or here. Also for readers that start later. */
  tellLeaderPlace(place: LineTarget | null): void {
    this.#leaderPlace = place;
    for (const reader of this.#readers) reader.tellLeaderPlace(place);
  }

  /** Tells the edges of all readers, and of those that start later. Plain data; the last one is what counts. */
  tellEdges(message: object): void {
    this.#edgeMessage = message;
    for (const reader of this.#readers) reader.tellEdge(message);
  }

  /** A connection without a socket to one of the readers, in turn. Errors: `unavailable` when none serves. */
  openLocal(listener: LocalChannelListener): LocalChannel {
    const serving = this.#readers.filter((reader) => reader.isServing);
    const reader = serving[this.#nextLocal++ % Math.max(1, serving.length)];
    if (reader !== undefined) return reader.openLocal(listener);
    throw new HearthError("unavailable", "No reader thread is serving", { reason: "no_reader" });
  }

  /** What each reader counted. A reader that does not answer is left out. */
  async metrics(): Promise<ReaderMetrics[]> {
    const answers = await Promise.all(
      this.#readers.map((reader) => reader.metrics(METRICS_TIMEOUT_MS)),
    );
    return answers.filter((metrics) => metrics !== null);
  }

  async #startReader(position: number): Promise<ReaderStart> {
    const handle = new ReaderHandle(this.#settingsOf(position), {
      entry: this.#modules.edge?.entry,
      logger: this.#modules.logger,
      ask: (question, answer) => this.#bridge.ask(question, answer),
      onExit: (reader) => this.#readerEnded(reader),
    });
    this.#readers[position] = handle;
    const { startTimeoutMs } = this.#options;
    if (await isDoneWithin(handle.started, startTimeoutMs)) return handle.started;
    const message = `Reader ${position} did not start within ${startTimeoutMs} ms`;
    throw new HearthError("internal", message, { reason: "reader_start" });
  }

  #settingsOf(position: number): ReaderSettings {
    const { sharedState, identity, database, engine, edge } = this.#modules;
    // Without a way to share the port, the ws package listens in the first thread alone.
    const isAlone = this.#address?.transport === "ws" && !canSharePort();
    return {
      server: { ...this.#options, port: this.#port },
      identity,
      reader: position,
      mayListen: position === 0 || !isAlone,
      database,
      engine,
      sharedState: sharedState.buffer,
      edge: edge?.settings ?? null,
      edgeMessage: this.#edgeMessage,
      leader: this.#leader,
      leaderPlace: this.#leaderPlace,
    };
  }

  #readerEnded(reader: ReaderHandle): void {
    // Before the pool is up, `start` reports it.
    if (this.#isStopping || reader.isStopping || !reader.isServing) return;
    const nowMs = performance.now();
    this.#restartsAtMs = this.#restartsAtMs.filter((atMs) => nowMs - atMs < RESTART_WINDOW_MS);
    if (this.#restartsAtMs.length >= this.#options.restartsPerMinuteMax) {
      const message = `Reader ${reader.reader} died, after ${this.#restartsAtMs.length} restarts within a minute`;
      this.#modules.onGaveUp(new HearthError("internal", message, { reason: "reader_restarts" }));
      return;
    }
    this.#restartsAtMs.push(nowMs);
    this.#modules.logger.warn("restarting a reader thread", { reader: reader.reader });
    this.#startReader(reader.reader).catch((error: unknown) => {
      if (!this.#isStopping) this.#modules.onGaveUp(toHearthError(error));
    });
  }

  #describe(): object {
    const { nodeId, clusterId, version } = this.#modules.identity;
    return {
      nodeId,
      clusterId,
      version,
      transport: this.#address?.transport ?? null,
      readers: this.#readers.length,
      readersServing: this.servingCount,
      nodeVersion: process.versions.node,
    };
  }
}

/** The port, or a free one for 0. Fails when anyone listens there, with or without SO_REUSEPORT. */
export function probePort(host: string, port: number): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once("error", (cause) => {
      const message = `Cannot listen on ${host}:${port}: ${cause.message}`;
      reject(new HearthError("unavailable", message, { reason: "listen_failed", cause }));
    });
    server.listen({ host, port, exclusive: true }, () => {
      const address = server.address();
      const found = typeof address === "object" && address !== null ? address.port : port;
      server.close(() => resolve(found));
    });
  });
}

/** Whether the promise settled in time. */
async function isDoneWithin(promise: Promise<unknown>, timeoutMs: number): Promise<boolean> {
  let timer: NodeJS.Timeout | undefined;
  const timeout = new Promise<boolean>((resolve) => {
    timer = setTimeout(() => resolve(false), timeoutMs);
  });
  const settled = promise.then(
    () => true,
    () => true,
  );
  const isDone = await Promise.race([settled, timeout]);
  clearTimeout(timer);
  return isDone;
}
