/**
 * The methods of a client: each joins a request with the way its answer is read. Everything else is done below:
 *
 *   client ──► requester (budget, repeats) ──► router (which member) ──► link (keeps it connected)
 *                                                                          └─► connection (ids, answers) ──► transport
 */
import {
  decodeJsonMessage,
  decodePollReply,
  decodeTenantReply,
  decodeTenantsReply,
  decodeWriteReply,
  type DeletionList,
  EntryChunkReader,
  type HeldDictionaries,
  LabelsChunkReader,
  OP,
  type OpenTenantResult,
  PlanChunkReader,
  type PollReply,
  type PollRequest,
  type TenantDeletion,
} from "../protocol/index.ts";
import { Admission } from "./admission.ts";
import { createCompactionAdmin } from "./compaction-admin.ts";
import type { CompactionAdmin } from "./compaction-admin-types.ts";
import { CompactionWorker } from "./compaction-worker.ts";
import { publishConnection } from "./diagnostics.ts";
import { cancelledByClose } from "./errors.ts";
import { firstConnection } from "./first-connection.ts";
import { type ClientOptions, resolveOptions } from "./options.ts";
import { type ChunkRead, Requester, type RequestSpec } from "./requester.ts";
import * as requests from "./requests.ts";
import { Router } from "./router.ts";
import { StatusFeed } from "./status-feed.ts";
import { SessionWriter } from "./write-session.ts";
import type {
  BlockInput,
  BlockListParams,
  CallOptions,
  CompactionJob,
  CompactionJobsOptions,
  ConnectionStatus,
  ConnectOptions,
  HearthClient,
  JsonValue,
  LabelsBatch,
  LeaderActivitiesView,
  NodeInfo,
  PlanBatch,
  QueryParams,
  RawCommandOptions,
  ReadOptions,
  TenantStats,
  WriteResult,
} from "./types.ts";

/**
 * Connects to a cluster.
 *
 * Errors: `unavailable` with the reason of every endpoint when none answers within `connectTimeoutMs`, at once when
 *   none ever can; `invalid_argument` for bad settings; `signal.reason` after an abort.
 */
export async function connect(options: ConnectOptions): Promise<HearthClient> {
  const client = new Client(resolveOptions(options));
  await client.open(options.signal);
  return client;
}

/** Engines without Symbol.asyncDispose, and the helpers that compilers write for them, use this symbol. */
const ASYNC_DISPOSE: typeof Symbol.asyncDispose =
  Symbol.asyncDispose ?? Symbol.for("Symbol.asyncDispose");

class Client implements HearthClient {
  readonly #options: ClientOptions;
  readonly #status = new StatusFeed();
  readonly #router: Router;
  readonly #admission: Admission;
  readonly #requester: Requester;
  /** Null: writes travel without a session. */
  readonly #sessions: SessionWriter | null;
  readonly #compaction: CompactionAdmin;
  #closing: Promise<void> | null = null;

  constructor(options: ClientOptions) {
    this.#options = options;
    this.#admission = new Admission(options);
    this.#router = new Router(options, { status: this.#status });
    const modules = { router: this.#router, admission: this.#admission };
    this.#requester = new Requester(options, modules);
    this.#compaction = createCompactionAdmin((build, call) => this.#single(build, readJson, call));
    const { defaultTimeoutMs } = options;
    this.#sessions = options.exactlyOnce
      ? new SessionWriter({ open: () => this.#openSession(), defaultTimeoutMs })
      : null;
  }

  /** Waits for the first connection; closes the client if there is none. */
  async open(signal: AbortSignal | undefined): Promise<void> {
    const timeoutMs = this.#options.connectTimeoutMs;
    try {
      await firstConnection(this.#router.primary, { timeoutMs, signal });
    } catch (error) {
      await this.close();
      throw error;
    }
  }

  addBlock(block: BlockInput, options: CallOptions = {}): Promise<WriteResult> {
    return this.#write(requests.addBlockWrite(block), options);
  }

  addBlocks(blocks: readonly BlockInput[], options: CallOptions = {}): Promise<WriteResult> {
    return this.#write(requests.addBlocksWrite(blocks), options);
  }

  getBlockMetadata(params: BlockListParams, options: ReadOptions = {}): AsyncIterable<PlanBatch> {
    const build = (): RequestSpec => requests.blockListRequest(params, options.consistency);
    return this.#stream(build, readPlan, options);
  }

  queryMetadata(params: QueryParams, options: ReadOptions = {}): AsyncIterable<PlanBatch> {
    const build = (): RequestSpec => requests.planRequest(params, options.consistency);
    return this.#stream(build, readPlan, options);
  }

  queryMetadataLabels(params: QueryParams, options: ReadOptions = {}): AsyncIterable<LabelsBatch> {
    const build = (): RequestSpec => requests.labelsRequest(params, options.consistency);
    return this.#stream(build, readLabels, options);
  }

  getTenants(options: ReadOptions = {}): Promise<string[]> {
    const build = (): RequestSpec => requests.tenantsRequest(options.consistency);
    return this.#single(build, (payload) => [...decodeTenantsReply(payload).tenants], options);
  }

  getTenant(tenant: string, options: ReadOptions = {}): Promise<TenantStats> {
    const build = (): RequestSpec => requests.tenantRequest(tenant, options.consistency);
    return this.#single(build, readTenantStats, options);
  }

  deleteTenant(tenant: string, options: CallOptions = {}): Promise<WriteResult> {
    return this.#single(() => requests.deleteTenantRequest(tenant), decodeWriteReply, options);
  }

  async tenantDeletions(
    tenant: string | null = null,
    options: CallOptions = {},
  ): Promise<readonly TenantDeletion[]> {
    const build = (): RequestSpec =>
      requests.jsonRequest("tenantDeletions", OP.list_tenant_deletions, "read", { tenant });
    const answer = (await this.#single(build, readJson, options)) as unknown as DeletionList;
    return answer.deletions;
  }

  async openTenant(tenant: string, options: CallOptions = {}): Promise<OpenTenantResult> {
    const build = (): RequestSpec =>
      requests.jsonRequest("openTenant", OP.open_tenant, "once", { tenant });
    return (await this.#single(build, readJson, options)) as unknown as OpenTenantResult;
  }

  compactionJobs(options: CompactionJobsOptions): AsyncIterable<CompactionJob> {
    const name = options.worker ?? `${this.#options.name}-${randomName()}`;
    const modules = {
      poll: (poll: PollRequest, call: CallOptions) => this.pollCompactionJobs(poll, call),
      encodeBlock: requests.blockBytes,
      name,
    };
    return { [Symbol.asyncIterator]: () => new CompactionWorker(options, modules).jobs() };
  }

  pollCompactionJobs(poll: PollRequest, options: CallOptions = {}): Promise<PollReply> {
    return this.#single(() => requests.pollRequest(poll), decodePollReply, options);
  }

  get compaction(): CompactionAdmin {
    return this.#compaction;
  }

  readIndex(options: CallOptions = {}): Promise<WriteResult> {
    return this.#single(requests.readIndexRequest, decodeWriteReply, options);
  }

  nodeInfo(options: CallOptions = {}): Promise<NodeInfo> {
    const read = (payload: Uint8Array): NodeInfo => readJson(payload) as NodeInfo;
    return this.#single(requests.nodeInfoRequest, read, options);
  }

  leaderActivities(options: CallOptions = {}): Promise<LeaderActivitiesView> {
    const read = (payload: Uint8Array): LeaderActivitiesView =>
      readJson(payload) as unknown as LeaderActivitiesView;
    return this.#single(requests.leaderActivitiesRequest, read, options);
  }

  async ping(options: CallOptions = {}): Promise<number> {
    const startMs = performance.now();
    await this.#single(requests.pingRequest, () => null, options);
    return performance.now() - startMs;
  }

  rawCommand(entries: Uint8Array, options: RawCommandOptions = {}): Promise<WriteResult> {
    const build = (): RequestSpec => requests.rawCommandRequest(entries, options);
    return this.#single(build, decodeWriteReply, options);
  }

  inspect(question: JsonValue, options: CallOptions = {}): Promise<JsonValue> {
    return this.#single(() => requests.inspectRequest(question), readJson, options);
  }

  status(): AsyncIterable<ConnectionStatus> {
    return this.#status.subscribe();
  }

  async drain(): Promise<void> {
    if (this.#closing !== null) return this.#closing;
    this.#requester.refuse("draining");
    await this.#admission.idle();
    await this.close();
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  [ASYNC_DISPOSE](): Promise<void> {
    return this.close();
  }

  async #close(): Promise<void> {
    this.#requester.refuse("closed");
    this.#admission.cancelAll();
    await this.#router.close(cancelledByClose());
    const status: ConnectionStatus = { kind: "closed", reason: "close() was called" };
    this.#status.publish(status);
    publishConnection(status);
  }

  #write(write: requests.PlainWrite, options: CallOptions): Promise<WriteResult> {
    if (this.#sessions === null)
      return this.#single(() => requests.writeRequest(write), decodeWriteReply, options);
    return this.#sessions.write((numbers, limits) => {
      const build = (): RequestSpec => requests.sessionWriteRequest(write, numbers);
      return this.#single(build, decodeWriteReply, limits);
    }, options);
  }

  async #openSession(): Promise<number> {
    const { logIndex } = await this.#single(requests.openSessionRequest, decodeWriteReply, {});
    return logIndex;
  }

  /** A request that cannot be encoded, or started, rejects like any other failure. */
  #single<T>(
    build: () => RequestSpec,
    read: (payload: Uint8Array) => T,
    options: CallOptions,
  ): Promise<T> {
    try {
      return this.#requester.single(build(), read, options);
    } catch (error) {
      return Promise.reject(error);
    }
  }

  /** Nothing is sent before the first step of the loop, and each loop asks anew. */
  #stream<T>(build: () => RequestSpec, read: ChunkRead<T>, options: CallOptions): AsyncIterable<T> {
    const requester = this.#requester;
    return {
      async *[Symbol.asyncIterator](): AsyncGenerator<T, void, void> {
        yield* requester.stream(build(), read, options);
      },
    };
  }
}

/** Tells the processes of one program apart. */
function randomName(): string {
  return Math.random().toString(36).slice(2, 10);
}

function readPlan(payload: Uint8Array, held: HeldDictionaries | null): PlanBatch | null {
  const batch = held === null ? new PlanChunkReader(payload) : new EntryChunkReader(payload, held);
  return batch.blockCount === 0 ? null : batch;
}

function readLabels(payload: Uint8Array): LabelsBatch | null {
  const batch = new LabelsChunkReader(payload);
  return batch.rowCount === 0 ? null : batch;
}

function readTenantStats(payload: Uint8Array): TenantStats {
  const reply = decodeTenantReply(payload);
  return {
    dataIngested: reply.dataIngested,
    oldestProfileAtMs: reply.oldestProfileTimeMs,
    newestProfileAtMs: reply.newestProfileTimeMs,
  };
}

function readJson(payload: Uint8Array): JsonValue {
  return JSON.parse(decodeJsonMessage(payload)) as JsonValue;
}
