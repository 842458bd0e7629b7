/**
 * The public face of the client in types: what a program passes to it and gets from it.
 *
 * Times are Unix milliseconds (`...AtMs`), durations milliseconds (`...Ms`), sizes bytes.
 */
import type { HearthError, LeaderHint } from "../base/index.ts";
import type {
  BlockMeta,
  JobPlan,
  LabelsChunkReader,
  OpenTenantResult,
  PlanBatch,
  PollReply,
  PollRequest,
  TenantDeletion,
  Tombstone,
} from "../protocol/index.ts";
import type { CallOptions, JsonValue } from "./call-options.ts";
import type { CompactionAdmin } from "./compaction-admin-types.ts";
import type { Transport } from "./transport/transport.ts";

export type { CallOptions, JsonValue };

/** Settings of connect(). Only `endpoints` is required. */
export interface ConnectOptions {
  /** Where members listen: "host:port", "host" (port 4041), "ws://..." or "wss://...". Any one is enough. */
  readonly endpoints: readonly string[];
  /** Shown to operators on the admin page. Default: "hearth-client". */
  readonly name?: string;
  /** What this program is in the cluster. Default: "tool". */
  readonly role?: ClientRole;
  /** How long connect() tries all endpoints before it rejects with the reason of each. Default: 5000. */
  readonly connectTimeoutMs?: number;
  /** Budget of a call that names none; Infinity = no limit. Default: 10000. */
  readonly defaultTimeoutMs?: number;
  /** Calls that may be open at once; further ones reject with resource_exhausted. Default: 1024. */
  readonly maxInFlight?: number;
  /** Bytes that open calls may hold: request frames and the windows of streamed answers. Default: 256 MiB. */
  readonly maxBufferedBytes?: number;
  /** Bytes of a streamed answer that may wait for its consumer, per call. Default: 256 KiB. */
  readonly streamWindowBytes?: number;
  /** How long a call waits for a connection while there is none; 0 = fail at once. Default: 1000. */
  readonly maxWaitForConnectionMs?: number;
  /** Pauses between attempts to connect: random in [0, min(maxDelayMs, minDelayMs * 2^n)], for ever. */
  readonly reconnect?: { readonly minDelayMs?: number; readonly maxDelayMs?: number };
  /**
   * Bytes that a connection may keep of strings and label sets that answers refer to, so that they need not be sent
   * again and again. 0 = every answer carries all it needs. Default: 4 MiB.
   */
  readonly dictionaryMaxBytes?: number;
  /** A silent connection is probed after this time and dropped after a second one. 0 = never. Default: 10000. */
  readonly keepAliveIntervalMs?: number;
  /**
   * Writes take effect once, however often they are sent: each has a number in a session that the cluster keeps. Costs one
   * request more per client, and at most 256 writes are open at a time. Default: false.
   */
  readonly exactlyOnce?: boolean;
  /**
   * Writes go to the leader by a connection of their own, at the address that its operators advertise, while it can be had;
   * otherwise, and with false, they go where reads go, and are passed on. Default: true.
   */
  readonly followLeader?: boolean;
  /** Ends the wait of connect(), which then rejects with `signal.reason`. */
  readonly signal?: AbortSignal;
  /** How frames travel. Default: binary WebSocket messages. */
  readonly transport?: Transport;
}

export type ClientRole =
  | "query-frontend"
  | "segment-writer"
  | "compaction-worker"
  | "tool"
  | (string & {});

/**
 * Which state a read sees. "strong": every write acknowledged before the read began, whichever member answers.
 * "local": what the member that answers has applied. An object: at most that much behind the leader.
 */
export type ReadConsistency = "strong" | "local" | { readonly maxStalenessMs: number };

export interface ReadOptions extends CallOptions {
  /** Default: "strong". */
  readonly consistency?: ReadConsistency;
}

/** A question for block metadata or labels (spec index-and-query, sections 6 and 8). */
export interface QueryParams {
  /** At least one. Blocks without an owner are always searched, for the datasets of these tenants. */
  readonly tenants: readonly string[];
  /** A PromQL vector selector, `{}` for everything. */
  readonly selector: string;
  /** Inclusive, Unix ms of the data. */
  readonly startAtMs: number;
  /** Inclusive, Unix ms of the data. */
  readonly endAtMs: number;
  /** Label names to return. Default: none. */
  readonly labels?: readonly string[];
}

/** Blocks by id. */
export interface BlockListParams {
  /** Owner; empty or absent for blocks that hold several tenants. */
  readonly tenant?: string;
  readonly shard: number;
  /** ULIDs. Unknown ones are left out of the answer; one given twice comes back twice. */
  readonly blocks: readonly string[];
}

/**
 * Some blocks of a streamed answer. *Borrowed*: it and every view made from it are valid until the next step of the
 * loop. What must live longer is copied by `toBlockMeta()` or `collectBlocks()`.
 */
export type { PlanBatch } from "../protocol/index.ts";

/** Some rows of a streamed label answer; borrowed like PlanBatch. */
export type LabelsBatch = LabelsChunkReader;

/** One distinct combination of values of the requested labels, in request order. */
export type LabelRow = readonly { readonly name: string; readonly value: string }[];

/** A block to add: a plain object, or an already encoded `hearth.wire.Block`. */
export type BlockInput = BlockMeta | Uint8Array;

/** Where a write stands in the log. */
export interface WriteResult {
  readonly logIndex: number;
  readonly term: number;
}

export interface TenantStats {
  readonly dataIngested: boolean;
  readonly oldestProfileAtMs: number;
  readonly newestProfileAtMs: number;
}

/** Facts of the member that answered, as JSON; fields are documented in the WebSocket reference. */
export type NodeInfo = Readonly<Record<string, unknown>>;

/** The activities of a leader, as one member knows them. */
export interface LeaderActivitiesView {
  /** RFC 3339. */
  readonly asOf: string;
  readonly askedNode: string;
  readonly activities: readonly LeaderActivityView[];
}

export interface LeaderActivityView {
  readonly name: string;
  /** False: switched off by its setting. */
  readonly isEnabled: boolean;
  /** The member leads and runs it. */
  readonly isActive: boolean;
  readonly isRunning: boolean;
  readonly intervalMs: number;
  /** Unix ms; null: no run on this member yet. */
  readonly lastStartedAtMs: number | null;
  readonly lastDurationMs: number | null;
  readonly lastOutcome: "done" | "nothing" | "failed" | "stopped" | null;
  readonly lastText: string;
  /** Of a failure, a snake_case word. */
  readonly lastReason: string | null;
  readonly nextAtMs: number | null;
  readonly failuresInRow: number;
}

export interface RawCommandOptions extends CallOptions {
  /** The entry is proposed only in this term or a later one. Default: 0 = any. */
  readonly termAtLeast?: number;
  /** Instant recorded with the entries; 0 = the server's. For tests that need given times. */
  readonly appendedAtMs?: number;
}

/** How a program takes compaction jobs. */
export interface CompactionJobsOptions {
  /** Jobs that may run at once. */
  readonly capacity: number;
  /** Identity of this process among workers. Default: made up. */
  readonly worker?: string;
  /**
   * Deletes what a tombstone names from the object store: called beside the jobs, with 15 s for each. What it throws is
   * ignored; without it tombstones are not carried out, and `job.tombstones` shows them.
   */
  readonly onTombstone?: (tombstone: Tombstone, signal: AbortSignal) => Promise<void> | void;
  /**
   * Ask at this interval instead of waiting at the leader for a job, ms. For networks that do not let a request wait; a
   * new job then waits for its worker. Default: wait.
   */
  readonly pollIntervalMs?: number;
  /** Takes no more jobs: the loop ends when those in hand have ended and are reported. For an orderly stop. */
  readonly drain?: AbortSignal;
  /** Ends everything at once: the loop throws `signal.reason`, the signals of running jobs abort. */
  readonly signal?: AbortSignal;
}

/** What a job made. */
export interface CompactionResult {
  /** Blocks of the job that were found and read. Default: all of them. */
  readonly sourceBlocks?: readonly string[];
  /** One block per tenant, of the next level and the shard of the job. */
  readonly newBlocks: readonly BlockInput[];
}

/** A job in the hands of this program: blocks of one tenant, shard and level to be made into one, or one per tenant. */
export interface CompactionJob extends JobPlan {
  /** Fencing token under which this program has the job now: only grows over the assignments of a job. */
  readonly token: number;
  /** Aborts when the lease is lost: somebody else may have the job. */
  readonly signal: AbortSignal;
  /** True: the leader has answered the report of how it ended. False: the job was lost, or given back, before. */
  readonly reported: Promise<boolean>;
  /** Done. null: none of the blocks could be found. Has no effect once the job has ended or is lost. */
  complete(result: CompactionResult | null): void;
  /** Given up; the leader is told why and gives the job to somebody. Has no effect once the job has ended. */
  fail(error: unknown): void;
}

/** The member at the other end, from its hello. */
export interface PeerInfo {
  readonly endpoint: string;
  readonly nodeId: string;
  readonly clusterId: string;
  readonly version: string;
}

/** What happens to the connection. A consumer of status() first gets the state as it is. */
export type ConnectionStatus =
  | { readonly kind: "connecting"; readonly endpoint: string; readonly attempt: number }
  | ({ readonly kind: "connected" } & PeerInfo)
  | {
      readonly kind: "disconnected";
      readonly endpoint: string;
      readonly reason: HearthError;
      readonly retryInMs: number;
    }
  | { readonly kind: "leaderChanged"; readonly leader: LeaderHint }
  | { readonly kind: "serverDraining"; readonly endpoint: string }
  | { readonly kind: "closed"; readonly reason: string };

/**
 * A connection to the cluster that mends itself. Made by connect(); safe to share: calls run side by side and
 * their answers arrive in any order.
 *
 * Errors: every method rejects with a HearthError (`isHearthError`), or with `signal.reason` after an abort.
 */
export interface HearthClient extends AsyncDisposable {
  /**
   * Stores one block. Repeating it is harmless, the first write of an id wins; so the client itself repeats it
   * whenever a repeat can help.
   */
  addBlock(block: BlockInput, options?: CallOptions): Promise<WriteResult>;
  /** Stores several blocks in one log entry: all of them or none. */
  addBlocks(blocks: readonly BlockInput[], options?: CallOptions): Promise<WriteResult>;
  /** Whole blocks by id, in request order. */
  getBlockMetadata(params: BlockListParams, options?: ReadOptions): AsyncIterable<PlanBatch>;
  /** The blocks, with their matching datasets, that may hold data. Leaving the loop cancels the query. */
  queryMetadata(params: QueryParams, options?: ReadOptions): AsyncIterable<PlanBatch>;
  /** Distinct combinations of label values, sorted. */
  queryMetadataLabels(params: QueryParams, options?: ReadOptions): AsyncIterable<LabelsBatch>;
  /** Tenants that own blocks, in bytes order. */
  getTenants(options?: ReadOptions): Promise<string[]>;
  /** What is known of one tenant's data; all zero if it has none. */
  getTenant(tenant: string, options?: ReadOptions): Promise<TenantStats>;
  /**
   * Hides a tenant at once and begins the deletion of all that is left of it; it cannot be taken back. Repeating it is
   * harmless. What becomes of it: `tenantDeletions`.
   */
  deleteTenant(tenant: string, options?: CallOptions): Promise<WriteResult>;
  /** Deletions of one tenant, or of all, newest first: how far they are, and reports of those that are over. */
  tenantDeletions(
    tenant?: string | null,
    options?: CallOptions,
  ): Promise<readonly TenantDeletion[]>;
  /** Lets the name of a deleted tenant be used again before its time. Errors: `tenant_deletion_running` until it is verified. */
  openTenant(tenant: string, options?: CallOptions): Promise<OpenTenantResult>;
  /**
   * Takes compaction jobs, as many at once as `capacity`, for as long as the loop runs; keeps their leases, reports how
   * they end. Leaving the loop takes no more jobs, and waits until those that still run have ended and are reported.
   */
  compactionJobs(options: CompactionJobsOptions): AsyncIterable<CompactionJob>;
  /** One poll of a compaction worker, for those who keep their own books. A repeat is answered alike. */
  pollCompactionJobs(poll: PollRequest, options?: CallOptions): Promise<PollReply>;
  /** Looks at compaction and steers it, on whatever member the client is connected to. */
  readonly compaction: CompactionAdmin;
  /** A log index such that a read at or after it sees every write acknowledged before this call. */
  readIndex(options?: CallOptions): Promise<WriteResult>;
  /** Facts of the member that the client is connected to. */
  nodeInfo(options?: CallOptions): Promise<NodeInfo>;
  /** What that member does beside answering while it leads, and how the newest runs on it ended. */
  leaderActivities(options?: CallOptions): Promise<LeaderActivitiesView>;
  /** One round trip; resolves with its duration in ms. */
  ping(options?: CallOptions): Promise<number>;
  /**
   * For tools and tests, on servers that allow it: proposes log entries as they are (header and payload of each,
   * back to back). Never repeated once it may have been sent.
   */
  rawCommand(entries: Uint8Array, options?: RawCommandOptions): Promise<WriteResult>;
  /** For tools and tests, on servers that allow it: asks the state machine, for example `{ op: "list_tombstones" }`. */
  inspect(question: JsonValue, options?: CallOptions): Promise<JsonValue>;
  /** The state of the connection, then every change of it, until the client is closed. */
  status(): AsyncIterable<ConnectionStatus>;
  /** Refuses new calls, waits for those that run, then closes. */
  drain(): Promise<void>;
  /** Ends everything at once: open calls reject with `cancelled`. Repeating it is harmless. */
  close(): Promise<void>;
}
