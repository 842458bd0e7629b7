/**
 * The one validated configuration that the composition root takes apart. Every module gets its own options from here
 * and never sees a flag, a variable or a file.
 */
import { availableParallelism } from "node:os";
import type { LogLevel } from "../base/index.ts";
import { assert } from "../base/index.ts";
import type { ClientAuth, GrpcOptions } from "../grpc/options.ts";
import type { PlacementOptions } from "../leader/placement/options.ts";
import { LOG_DEFAULTS } from "../log/options.ts";
import type { StorageOptions } from "../storage/options.ts";
import { globalLimitValues, type LimitValues } from "./limits.ts";
import { type PlannerKeys, plannerKeys } from "./planner-keys.ts";
import { runtimeFileNames } from "./runtime-file.ts";
import type { UsedSettingName } from "./settings.ts";
import { settingByName } from "./settings.ts";
import type { SettingKind, SettingValue } from "./types.ts";

export interface Config {
  readonly target: string;
  readonly logger: { readonly level: LogLevel; readonly format: "logfmt" | "json" };
  readonly http: { readonly address: string; readonly port: number; readonly bodyMaxBytes: number };
  readonly shutdown: { readonly delayMs: number; readonly timeoutMs: number };
  readonly node: {
    readonly serverId: string;
    readonly dataDirectory: string;
    readonly logDirectory: string;
    readonly minReadyMs: number;
  };
  readonly cluster: {
    /** host:port; an empty host is every interface. */
    readonly bindAddress: string;
    readonly advertiseAddress: string;
    readonly bootstrapPeers: readonly string[];
    /** Nodes that form the cluster; 0: waits to be added. */
    readonly expectPeers: number;
    readonly isAutoJoin: boolean;
    readonly applyTimeoutMs: number;
    /** Entries; 0: no limit. */
    readonly readIndexMaxDistance: number;
    /** 0: never. */
    readonly checkIntervalMs: number;
  };
  readonly snapshots: {
    readonly directory: string;
    /** 0: by the size of the log alone. */
    readonly intervalMs: number;
    readonly thresholdEntries: number;
    readonly retainCount: number;
    readonly trailingEntries: number;
    /** 0: unlimited. */
    readonly rateBytesPerSec: number;
    readonly compression: "zstd" | "none";
  };
  /** Limits per tenant: the global ones, and the files that hold those of single tenants. */
  readonly limits: {
    readonly global: LimitValues;
    /** As the user named them; a later one has the last word. */
    readonly files: readonly string[];
    readonly reloadPeriodMs: number;
  };
  readonly listener: {
    readonly address: string;
    readonly port: number;
    readonly kind: "auto" | "uws" | "ws";
    readonly frameMaxBytes: number;
    readonly inFlightMaxCount: number;
    readonly defaultTimeoutMs: number;
    readonly allowRawCommands: boolean;
  };
  readonly grpc: { readonly address: string; readonly port: number } & Pick<
    GrpcOptions,
    "receiveMaxBytes" | "sendMaxBytes" | "keepaliveTimeMs" | "keepaliveTimeoutMs" | "tls"
  >;
  readonly readers: {
    readonly threadCount: number;
    readonly cacheBytes: number;
    readonly answerMaxBytes: number;
  };
  readonly storage: {
    readonly indexMapBytes: number;
    /** Less room on its disk is little. */
    readonly indexMinFreeBytes: number;
    readonly log: {
      readonly segmentBytes: number;
      /** Largest single write. */
      readonly groupMaxBytes: number;
      readonly reuseMaxBytes: number;
      readonly inPlaceMaxMs: number;
    };
  };
  readonly objects: StorageOptions;
  /** What only a leader does. */
  readonly duties: {
    readonly retention: {
      /** 0: never. */
      readonly intervalMs: number;
      readonly graceMs: number;
      readonly shardsPerPassMax: number;
    };
    readonly dlq: {
      /** 0: never. */
      readonly intervalMs: number;
      readonly badEntries: "quarantine" | "delete";
    };
    readonly tenants: {
      /** 0: never. */
      readonly intervalMs: number;
      /** 0: until somebody opens the name. */
      readonly closedForMs: number;
    };
  };
  readonly placement: {
    readonly options: PlacementOptions;
    /** Which gauges per dataset there are. */
    readonly exported: {
      readonly shardLimit: boolean;
      readonly shardUsage: boolean;
      readonly shardUsageBreakdown: boolean;
    };
  };
  /** What the compaction policy begins with, before there is one in the log. */
  readonly compaction: {
    readonly failuresMax: number;
    readonly leaseMs: number;
    readonly jobsMax: number;
  } & PlannerKeys;
}

/** A reader hands over what it gathered, up to a megabyte, with one largest frame on top. */
const LOG_GROUP_MARGIN_BYTES = 2 * 1024 * 1024;

/** Largest write of the log that holds whatever one turn of a reader thread can bring. */
export function logGroupBytes(frameMaxBytes: number): number {
  const wantedBytes = Math.ceil((frameMaxBytes + LOG_GROUP_MARGIN_BYTES) / 4_096) * 4_096;
  return Math.max(LOG_DEFAULTS.groupMaxBytes, wantedBytes);
}

/** More readers than this gain nothing while one thread writes; 8 is good enough, `-hearth.reader-threads` overrides. */
const READER_THREADS_AUTO_MAX = 8;

/** Builds the typed configuration from checked values; a missing or mistyped one is a bug in the table. */
export function buildConfig(values: ReadonlyMap<string, SettingValue>): Config {
  const read = new ValueReader(values);
  const threadCount = read.number("hearth.reader-threads");
  return {
    target: read.text("target"),
    logger: {
      level: read.text("log.level") as LogLevel,
      format: read.text("log.format") as "logfmt" | "json",
    },
    http: {
      address: read.text("server.http-listen-address"),
      port: read.number("server.http-listen-port"),
      bodyMaxBytes: read.number("hearth.http-body-max-bytes"),
    },
    shutdown: {
      delayMs: read.number("shutdown-delay"),
      timeoutMs: read.number("hearth.shutdown-timeout"),
    },
    node: {
      serverId: read.text("metastore.raft.server-id"),
      dataDirectory: read.text("metastore.data-dir"),
      logDirectory: read.text("metastore.raft.dir"),
      minReadyMs: read.number("metastore.min-ready-duration"),
    },
    cluster: {
      bindAddress: read.text("metastore.raft.bind-address"),
      advertiseAddress: read.text("metastore.raft.advertise-address"),
      bootstrapPeers: read.list("metastore.raft.bootstrap-peers"),
      expectPeers: read.number("metastore.raft.bootstrap-expect-peers"),
      isAutoJoin: read.boolean("metastore.raft.auto-join"),
      applyTimeoutMs: read.number("metastore.raft.apply-timeout"),
      readIndexMaxDistance: read.number("metastore.raft.read-index-max-distance"),
      checkIntervalMs: read.number("hearth.state-check-interval"),
    },
    snapshots: snapshotConfig(read),
    limits: {
      global: globalLimitValues(values),
      files: runtimeFileNames(read.text("runtime-config.file")),
      reloadPeriodMs: read.number("runtime-config.reload-period"),
    },
    listener: {
      address: read.text("hearth.websocket-listen-address"),
      port: read.number("hearth.websocket-listen-port"),
      kind: read.text("hearth.listener") as "auto" | "uws" | "ws",
      frameMaxBytes: read.number("hearth.frame-max-bytes"),
      inFlightMaxCount: read.number("hearth.in-flight-max"),
      defaultTimeoutMs: read.number("hearth.default-timeout"),
      allowRawCommands: read.boolean("hearth.allow-raw-commands"),
    },
    grpc: {
      address: read.text("server.grpc-listen-address"),
      port: read.number("server.grpc-listen-port"),
      receiveMaxBytes: read.number("server.grpc-max-recv-msg-size-bytes"),
      sendMaxBytes: read.number("server.grpc-max-send-msg-size-bytes"),
      keepaliveTimeMs: read.number("server.grpc.keepalive.time"),
      keepaliveTimeoutMs: read.number("server.grpc.keepalive.timeout"),
      tls: tlsOptions(read),
    },
    readers: {
      threadCount: threadCount === 0 ? autoReaderThreads(availableParallelism()) : threadCount,
      cacheBytes: read.number("hearth.cache-bytes"),
      answerMaxBytes: read.number("hearth.answer-max-bytes"),
    },
    storage: {
      indexMapBytes: read.number("hearth.index-map-size"),
      indexMinFreeBytes: read.number("hearth.index-min-free"),
      log: {
        segmentBytes: read.number("hearth.log-segment-size"),
        groupMaxBytes: logGroupBytes(read.number("hearth.frame-max-bytes")),
        reuseMaxBytes: read.number("hearth.log-reuse-max"),
        inPlaceMaxMs: read.number("hearth.log-in-place-max"),
      },
    },
    compaction: { ...compactionConfig(read), ...plannerKeys(values) },
    objects: objectStore(read),
    duties: dutyOptions(read),
    placement: buildPlacement(read),
  };
}

function objectStore(read: ValueReader): StorageOptions {
  return {
    backend: read.text("storage.backend") as StorageOptions["backend"],
    prefix: read.text("storage.prefix"),
    filesystem: { directory: read.text("storage.filesystem.dir") },
    s3: {
      endpoint: read.text("storage.s3.endpoint"),
      region: read.text("storage.s3.region"),
      bucket: read.text("storage.s3.bucket-name"),
      accessKeyId: read.text("storage.s3.access-key-id"),
      secretAccessKey: read.text("storage.s3.secret-access-key"),
      isInsecure: read.boolean("storage.s3.insecure"),
      lookup: read.text("storage.s3.bucket-lookup-type") as StorageOptions["s3"]["lookup"],
      caPath: read.text("hearth.storage-s3-ca-file"),
      skipVerify: read.boolean("storage.s3.http.insecure-skip-verify"),
    },
    timeoutMs: read.number("hearth.storage-timeout"),
  };
}

function dutyOptions(read: ValueReader): Config["duties"] {
  return {
    retention: {
      intervalMs: read.number("metastore.index.cleanup-interval"),
      graceMs: read.number("metastore.index.cleanup-grace-period"),
      shardsPerPassMax: read.number("metastore.index.cleanup-max-partitions"),
    },
    dlq: {
      intervalMs: read.number("metastore.index.dlq-recovery-check-interval"),
      badEntries: read.text("hearth.dlq-bad-entries") as "quarantine" | "delete",
    },
    tenants: {
      intervalMs: read.number("hearth.tenant-deletion-interval"),
      closedForMs: read.number("hearth.tenant-closed-period"),
    },
  };
}

function buildPlacement(read: ValueReader): Config["placement"] {
  const prefix = "adaptive-placement";
  return {
    options: {
      updateIntervalMs: read.number(`${prefix}.placement-rules-update-interval`),
      rulesRetentionMs: read.number(`${prefix}.placement-rules-retention-period`),
      confidenceMs: read.number(`${prefix}.stats-confidence-period`),
      aggregationWindowMs: read.number(`${prefix}.stats-aggregation-window`),
      statisticsRetentionMs: read.number(`${prefix}.stats-retention-period`),
      deviation: read.text("hearth.placement-deviation") as PlacementOptions["deviation"],
    },
    exported: {
      shardLimit: read.boolean(`${prefix}.export-shard-limit-metrics`),
      shardUsage: read.boolean(`${prefix}.export-shard-usage-metrics`),
      shardUsageBreakdown: read.boolean(`${prefix}.export-shard-usage-breakdown-metrics`),
    },
  };
}

/** Null without a certificate: plain text. */
function tlsOptions(read: ValueReader): GrpcOptions["tls"] {
  const certPath = read.text("server.grpc-tls-cert-path");
  if (certPath === "") return null;
  return {
    certPath,
    keyPath: read.text("server.grpc-tls-key-path"),
    caPath: read.text("server.grpc-tls-ca-path"),
    clientAuth: (read.text("server.grpc-tls-client-auth") || "NoClientCert") as ClientAuth,
  };
}

function snapshotConfig(read: ValueReader): Config["snapshots"] {
  return {
    directory: read.text("metastore.raft.snapshots-dir") || read.text("metastore.raft.dir"),
    intervalMs: read.number("metastore.raft.snapshot-interval"),
    thresholdEntries: read.number("metastore.raft.snapshot-threshold"),
    retainCount: read.number("metastore.raft.snapshots-retain"),
    trailingEntries: read.number("metastore.raft.trailing-logs"),
    rateBytesPerSec: snapshotRate(read.number("metastore.snapshot-rate-limit")),
    compression: read.text("metastore.snapshot-compression") === "zstd" ? "zstd" : "none",
  };
}

function compactionConfig(read: ValueReader): Omit<Config["compaction"], keyof PlannerKeys> {
  return {
    failuresMax: read.number("metastore.compaction-max-failures"),
    leaseMs: read.number("metastore.compaction-job-lease-duration"),
    jobsMax: read.number("metastore.compaction-max-job-queue-size"),
  };
}

/** As the reference: below 10 MB/s a snapshot would take too long, so that less is not taken at its word. */
export function snapshotRate(megabytesPerSec: number): number {
  return megabytesPerSec === 0 ? 0 : 1_000_000 * Math.max(10, megabytesPerSec);
}

/** One processor is left to the main thread, which decides every write. */
export function autoReaderThreads(processorCount: number): number {
  return Math.min(READER_THREADS_AUTO_MAX, Math.max(1, processorCount - 1));
}

class ValueReader {
  readonly #values: ReadonlyMap<string, SettingValue>;

  constructor(values: ReadonlyMap<string, SettingValue>) {
    this.#values = values;
  }

  text(name: UsedSettingName): string {
    return this.#read(name, ["text", "choice"]) as string;
  }

  number(name: UsedSettingName): number {
    return this.#read(name, ["integer", "duration", "size"]) as number;
  }

  boolean(name: UsedSettingName): boolean {
    return this.#read(name, ["boolean"]) as boolean;
  }

  list(name: UsedSettingName): readonly string[] {
    return this.#read(name, ["list"]) as readonly string[];
  }

  #read(name: UsedSettingName, kinds: readonly SettingKind[]): SettingValue {
    const setting = settingByName(name);
    assert(
      setting !== undefined && kinds.includes(setting.kind),
      `Setting ${name} is not of kind ${kinds[0]}`,
    );
    const value = this.#values.get(name);
    assert(value !== undefined, `Setting ${name} has no value`);
    return value;
  }
}
