/**
 * One reader thread put together: its own database handle, query engine, services, sessions and socket. It answers
 * reads alone and hands writes to main (messages.ts). Knows nothing of how its thread is started: reader-thread.ts.
 */

import type { MessagePort } from "node:worker_threads";
import {
  type Logger,
  SYSTEM_CLOCK,
  SYSTEM_SCHEDULER,
  toHearthError,
  unreachable,
} from "../base/index.ts";
import { PEER_DEFAULTS, PeerLine } from "../cluster/index.ts";
import { IndexDatabase } from "../db/index.ts";
import { ByteSink } from "../protocol/index.ts";
import { MESSAGE_CODEC } from "../raft/index.ts";
import { QueryEngine, SharedState } from "../read/index.ts";
import {
  type Edge,
  type EdgeServices,
  CompactionControl,
  TenantControl,
  Inspector,
  LeaderReads,
  ReadService,
  RequestService,
  WriteService,
} from "../service/index.ts";
import { DeadlineSweeper } from "./deadlines.ts";
import { CLOSE_FLUSH_MS, WRITE_BATCH_MAX_BYTES } from "./limits.ts";
import type { Connection, ConnectionEvents, Listener, TransportKind } from "./listener.ts";
import { LeaderNews } from "./leader-news.ts";
import { LocalEnd } from "./local-connection.ts";
import type { Done, FromReader, ReaderSettings, ToReader } from "./messages.ts";
import { type ReaderMetrics, ThreadCounters } from "./metrics.ts";
import { openListener } from "./open-listener.ts";
import { Gatherer } from "./outbox.ts";
import { PortLink } from "./port-link.ts";
import { Session, type SessionModules } from "./session.ts";
import { createTombstonePort } from "./tombstone-port.ts";
import { TurnClock } from "./turn-clock.ts";

export interface ReaderModules {
  readonly port: Pick<MessagePort, "postMessage">;
  readonly logger: Logger;
  /** Makes the further protocol of this thread; left out: it serves none. */
  readonly createEdge?: ((services: EdgeServices) => Edge) | undefined;
}

const LOCAL_IDS_START = 0x8000_0000;
/** A read index takes a round trip or two; where there is no leader nobody gains by waiting longer. */
const READS_GRACE_MS = 1_000;

export class Reader {
  readonly #settings: ReaderSettings;
  readonly #port: Pick<MessagePort, "postMessage">;
  readonly #logger: Logger;
  readonly #counters = new ThreadCounters();
  readonly #clock = new TurnClock();
  readonly #deadlines = new DeadlineSweeper(this.#clock.nowMs);
  readonly #locals = new Set<LocalEnd>();
  readonly #link: PortLink;
  readonly #database: IndexDatabase;
  readonly #engine: QueryEngine;
  readonly #line: PeerLine;
  readonly #leaderReads: LeaderReads;
  readonly #reads: ReadService;
  readonly #writes: WriteService;
  readonly #leaderNews: LeaderNews;
  readonly #session: SessionModules;
  readonly #listener: Listener;
  readonly #edge: Edge | null;
  #nextLocalId = LOCAL_IDS_START;
  #isStopping = false;

  constructor(settings: ReaderSettings, modules: ReaderModules) {
    const { server } = settings;
    this.#settings = settings;
    this.#port = modules.port;
    this.#logger = modules.logger;
    this.#link = new PortLink(modules.port);
    const progress = SharedState.attach(settings.sharedState);
    this.#database = IndexDatabase.open({
      ...settings.database,
      role: "reader",
      generationInForce: () => progress.generation,
    });
    this.#engine = new QueryEngine(settings.engine, { db: this.#database });
    this.#line = createLine(modules.logger);
    this.#leaderReads = new LeaderReads({
      progress,
      main: this.#link,
      line: this.#line,
      scheduler: SYSTEM_SCHEDULER,
    });
    this.#leaderReads.setLeader(settings.leaderPlace);
    this.#reads = new ReadService(server, {
      transactions: this.#database,
      appliedIndex: () => this.#engine.appliedIndex(),
      progress,
      rounds: this.#leaderReads,
      logger: modules.logger,
    });
    const writeOptions = { ...server, writeBatchMaxBytes: WRITE_BATCH_MAX_BYTES };
    this.#writes = new WriteService(writeOptions, { main: this.#link });
    this.#leaderNews = new LeaderNews(settings.leader);
    this.#session = this.#createSessionModules();
    this.#listener = this.#createListener();
    this.#edge = modules.createEdge?.(this.#edgeServices()) ?? null;
    if (settings.edgeMessage !== null) this.#edge?.receive(settings.edgeMessage);
  }

  /** Opens the ports, if this thread has any. Resolves with that of the binary protocol. */
  async start(): Promise<{ transport: TransportKind; port: number | null }> {
    await this.#edge?.listen();
    const { mayListen, server } = this.#settings;
    const transport = this.#listener.kind;
    if (!mayListen) return { transport, port: null };
    return { transport, port: await this.#listener.listen(server.host, server.port) };
  }

  /** An answer of main, one of very many. */
  done(message: Done): void {
    this.#link.done(message);
  }

  /** Any other message of main. Resolves once it was dealt with; "stop" resolves when the thread may end. */
  async receive(message: Exclude<ToReader, Done>): Promise<void> {
    switch (message.kind) {
      case "proposed":
        return this.#link.proposed(message.id, message.result);
      case "readRefused":
        return this.#link.readRefused(message.id, message.error);
      case "nodeInfoIs":
        return this.#link.nodeInfoIs(message.id, message.json);
      case "polled":
        return this.#link.polled(message.ids, message.replies);
      case "pollFailed":
        return this.#link.pollFailed(message.id, message.error);
      case "memberCalled":
        return this.#link.memberCalled(message.id, message.result);
      case "leaderIs":
        return this.#leaderNews.tell(message.leader);
      case "leaderAt":
        return this.#leaderReads.setLeader(message.place);
      case "tellEdge":
        return this.#edge?.receive(message.message);
      case "openLocal":
        return this.#openLocal(message.port);
      case "useGeneration":
        return this.#useGeneration(message.generation);
      case "askMetrics":
        return this.#post({ kind: "metrics", id: message.id, metrics: this.metrics() });
      case "stop":
        return this.#stop(message.graceMs);
      default:
        unreachable(message);
    }
  }

  /** Reads go over by themselves; a thread without any would keep the old index open, and its room on the disk taken. */
  async #useGeneration(generation: number): Promise<void> {
    this.#reads.renew();
    await this.#database.useGeneration(generation);
    this.#post({ kind: "generationInUse", generation });
  }

  metrics(): ReaderMetrics {
    const counters = this.#counters;
    return {
      ...counters.snapshot(),
      connectionsOpened: counters.connectionsOpened,
      connections: counters.connections,
      receivedBytes: counters.receivedBytes,
      sentBytes: counters.sentBytes,
      framesReceived: counters.framesReceived,
      framesSent: counters.framesSent,
      writeBatches: this.#writes.batchesSent,
      writeEntries: this.#writes.entriesSent,
      pendingWriteBytes: this.#writes.pendingBytes,
      waitingReads: this.#reads.waitingCount,
      readRounds: this.#leaderReads.metrics(),
      queuedAnswerBytes: counters.queuedAnswerBytes,
      engine: { ...this.#engine.counters, cacheBytes: this.#engine.cacheBytes },
      edge: this.#edge?.metrics() ?? null,
    };
  }

  /** Leaves nothing that could keep, or kill, the thread: sockets first. May be repeated; never throws. */
  closeSockets(): void {
    try {
      this.#listener.close();
    } catch (error) {
      this.#logger.error("cannot close the listener", { error: toHearthError(error).message });
    }
    this.#edge?.close();
    this.#line.close();
    for (const local of this.#locals) local.close(1001, "server is stopping");
    this.#deadlines.close();
  }

  /** Takes no new work, lets what runs finish within the grace time, then closes everything. */
  async #stop(graceMs: number): Promise<void> {
    if (this.#isStopping) return;
    this.#isStopping = true;
    this.#listener.stopListening();
    this.#edge?.stopListening();
    this.#writes.flush();
    const deadlineAtMs = performance.now() + graceMs;
    // Only here, at the end of a thread, something is polled: it has nothing else to do.
    while (this.#writes.isBusy && performance.now() < deadlineAtMs) await delay(2);
    const readsEndAtMs = Math.min(deadlineAtMs, performance.now() + READS_GRACE_MS);
    while (this.#reads.waitingCount > 0 && performance.now() < readsEndAtMs) await delay(2);
    if (this.#listener.connectionCount > 0 || (this.#edge?.connectionCount ?? 0) > 0) {
      this.#listener.closeConnections();
      this.#edge?.closeConnections();
      await delay(CLOSE_FLUSH_MS);
    }
    this.closeSockets();
    this.#reads.close();
    await this.#database.close();
  }

  #createSessionModules(): SessionModules {
    const { server, identity } = this.#settings;
    const handler = new RequestService(server, {
      engine: this.#engine,
      reads: this.#reads,
      writes: this.#writes,
      main: this.#link,
      inspector: new Inspector(createTombstonePort(this.#database)),
      compaction: new CompactionControl(server, {
        db: this.#database,
        reads: this.#reads,
        main: this.#link,
        appliedIndex: () => this.#engine.appliedIndex(),
        clock: SYSTEM_CLOCK,
      }),
      tenants: new TenantControl({ db: this.#database, reads: this.#reads, main: this.#link }),
    });
    return {
      handler,
      identity,
      leaderNews: this.#leaderNews,
      counters: this.#counters,
      deadlines: this.#deadlines,
      frames: new ByteSink(64 * 1024),
      payloads: new ByteSink(),
      gatherer: new Gatherer(),
      records: new ByteSink(),
      nowMs: this.#clock.nowMs,
      beganMs: this.#clock.beganMs,
      chunkMaxBytes: this.#engine.chunkMaxBytes,
      isStopping: () => this.#isStopping,
    };
  }

  #edgeServices(): EdgeServices {
    return {
      engine: this.#engine,
      reads: this.#reads,
      writes: this.#writes,
      main: this.#link,
      logger: this.#logger,
    };
  }

  #createListener(): Listener {
    const { server } = this.#settings;
    const options = {
      frameMaxBytes: server.session.frameMaxBytes,
      outboundMaxBytes: server.outboundMaxBytes,
      connectionsMax: server.connectionsPerThreadMax,
      pingIntervalMs: server.pingIntervalMs,
    };
    const events = {
      open: (connection: Connection) => this.#openSession(connection),
      rejected: (reason: string) => this.#counters.countRejected(reason),
    };
    return openListener(server.transport, options, { events, logger: this.#logger });
  }

  #openSession(connection: Connection): ConnectionEvents {
    return new Session(this.#settings.server.session, { ...this.#session, connection });
  }

  #openLocal(port: MessagePort): void {
    const local = new LocalEnd(this.#nextLocalId++, port);
    this.#locals.add(local);
    local.attach(this.#openSession(local), () => this.#locals.delete(local));
    if (this.#isStopping) local.close(1001, "server is stopping");
  }

  #post(message: FromReader): void {
    this.#port.postMessage(message);
  }
}

/** To the leader's peer port, for read indexes. */
function createLine(logger: Logger): PeerLine {
  return new PeerLine(PEER_DEFAULTS, {
    codec: MESSAGE_CODEC,
    scheduler: SYSTEM_SCHEDULER,
    random: () => 0,
    logger: logger.child("line"),
  });
}

function delay(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
