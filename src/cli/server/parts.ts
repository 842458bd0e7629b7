/** What the steps of a node's start have built, for those behind them and for the stop. */
import type { HearthClient } from "../../client/index.ts";
import type { IndexDatabase } from "../../db/index.ts";
import type { DirectoryLock, DurableLog } from "../../log/index.ts";
import type { Replica } from "../../replica/index.ts";
import type { ReaderPool } from "../../server/index.ts";
import type { BlockListing, ClusterControl, SnapshotControl } from "../../service/index.ts";
import type { StateMachine } from "../../state/index.ts";
import type { AdminServer } from "./admin-server.ts";
import type { NodeCompaction } from "./compaction.ts";
import type { ConsistencyWatch } from "./consistency.ts";
import type { NodeDuties } from "./duties.ts";
import type { NodeGrpc } from "./grpc.ts";
import type { LogTime } from "./log-time.ts";
import type { Identity } from "./identity.ts";
import type { Peers } from "./peers.ts";
import type { ReaderMetricsPoller } from "./reader-metrics.ts";
import type { NodeSnapshots } from "./snapshots.ts";
import type { NodeStateChecks } from "./state-checks.ts";

/** What a step of the start has built and a step of the stop takes down. */
export interface Parts {
  admin?: AdminServer;
  locks: DirectoryLock[];
  identity?: Identity;
  peers?: Peers;
  consistency?: ConsistencyWatch;
  db?: IndexDatabase;
  listing?: BlockListing;
  stateMachine?: StateMachine;
  logTime?: LogTime;
  log?: DurableLog;
  replica?: Replica;
  compaction?: NodeCompaction;
  duties?: NodeDuties;
  /** End what follows the replica. */
  follows?: readonly (() => void)[];
  grpc?: NodeGrpc;
  pool?: ReaderPool;
  poller?: ReaderMetricsPoller;
  client?: HearthClient;
  cluster?: ClusterControl;
  snapshots?: NodeSnapshots;
  snapshotControl?: SnapshotControl;
  checks?: NodeStateChecks;
}

type Built<K extends keyof Parts> = { readonly [N in K]-?: NonNullable<Parts[N]> };

/** The named parts; that one is missing means that the steps run in a wrong order. */
export function built<K extends keyof Parts>(parts: Parts, ...names: readonly K[]): Built<K> {
  for (const name of names) {
    if (parts[name] === undefined) throw new Error(`A step needs ${name} before it is built`);
  }
  return parts as unknown as Built<K>;
}
