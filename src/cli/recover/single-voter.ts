/**
 * Recovery of a lost quorum on the directories of one stopped node. The argument, and what may be lost, is in
 * src/replica/DESIGN.md, "A lost quorum"; the order of the steps below is part of it.
 *
 *   1. lock the directory       2. try everything on files that only look written: the plan
 *   3. identity: new cluster id, old one former, recovery unfinished      4. log: term, empty entries, configuration
 *   5. identity: recovery finished
 */
import { randomBytes } from "node:crypto";
import { HearthError, SILENT_LOGGER } from "../../base/index.ts";
import { DryFiles, type FileSystem } from "../../files/index.ts";
import { acquireDirectoryLock, DurableLog, LOG_DEFAULTS, NODE_FILES } from "../../log/index.ts";
import { decodeMembershipBatch, type Member, type Membership } from "../../raft/index.ts";
import { becomeOnlyVoter, INDEX_RAISE, type NewHistory } from "../../replica/index.ts";
import { inspectSnapshots } from "../../snapshot/index.ts";
import { logFilesDirectory } from "../server/directories.ts";
import {
  readStoredIdentity,
  type StoredIdentity,
  writeStoredIdentity,
} from "../server/identity.ts";

export interface RecoveryInput {
  /** metastore.raft.dir */
  readonly raftDirectory: string;
  /** metastore.raft.snapshots-dir */
  readonly snapshotsDirectory: string;
  readonly segmentBytes: number;
  readonly groupMaxBytes: number;
  /** What other members dial, where the old configuration does not say it. */
  readonly peerAddress: string;
  /** Unix ms. */
  readonly nowMs: number;
}

/** What is there, and what comes of it. */
export interface RecoveryPlan {
  readonly serverId: string;
  readonly nodeId: string;
  readonly clusterId: string;
  /** An earlier attempt was cut short; this one ends it. */
  readonly isResumed: boolean;
  /** False: it is the only voter already. */
  readonly changed: boolean;
  /** End of the log: what to compare between the nodes that are left. */
  readonly lastIndex: number;
  readonly lastTerm: number;
  /** Newest entry that this log knows to be committed. */
  readonly commitIndex: number;
  /** Log time of its newest entry, Unix ms; 0: none. */
  readonly lastAppendedAtMs: number;
  /** Damage was cut out of this log before, and nothing has made up for it. */
  readonly abstains: boolean;
  readonly membership: Membership;
  readonly self: Member;
  readonly after: NewHistory | null;
}

export interface Recovery {
  readonly plan: RecoveryPlan;
  /** Errors: `unavailable` when the disk fails; running the tool again goes on from there. */
  execute(): Promise<{ readonly clusterId: string }>;
  /** Lets go of the directory. */
  close(): Promise<void>;
}

/** Errors: HearthError when a node runs on the directory, or it holds nothing that could be recovered. */
export async function openRecovery(input: RecoveryInput): Promise<Recovery> {
  const lock = await acquireDirectoryLock(input.raftDirectory);
  try {
    const identity = readStoredIdentity(input.raftDirectory);
    if (identity === null || identity.clusterId === "") throw nothingThere(input.raftDirectory);
    const plan = await makePlan(input, identity);
    return {
      plan,
      execute: () => execute(input, identity, plan),
      close: () => lock.release(),
    };
  } catch (error) {
    await lock.release();
    throw error;
  }
}

async function makePlan(input: RecoveryInput, identity: StoredIdentity): Promise<RecoveryPlan> {
  const log = await openLog(input, identity, new DryFiles(NODE_FILES));
  try {
    if (log.lastIndex === 0) throw nothingThere(input.raftDirectory);
    const membership = await newestMembership(log, input.snapshotsDirectory);
    const self = selfIn(membership, identity, input.peerAddress);
    const isAlone = membership.voters.length === 1 && membership.votersOutgoing.length === 0;
    const isOnlyVoter = isAlone && membership.voters[0] === identity.nodeId;
    const isResumed = identity.recovery !== null;
    const { lastIndex, lastTerm, commitIndex, lastAppendedAtMs } = log;
    const { abstains } = log.hardState;
    const { nowMs } = input;
    return {
      serverId: identity.serverId,
      nodeId: identity.nodeId,
      clusterId: identity.recovery?.fromClusterId ?? identity.clusterId,
      isResumed,
      changed: isResumed || !isOnlyVoter,
      lastIndex,
      lastTerm,
      commitIndex,
      lastAppendedAtMs,
      abstains,
      membership,
      self,
      after: isOnlyVoter
        ? null
        : await becomeOnlyVoter(log, { self, nowMs, indexRaise: INDEX_RAISE }),
    };
  } finally {
    await log.close();
  }
}

async function execute(
  input: RecoveryInput,
  identity: StoredIdentity,
  plan: RecoveryPlan,
): Promise<{ readonly clusterId: string }> {
  const recovering = identity.recovery === null ? begun(identity, input.nowMs) : identity;
  writeStoredIdentity(input.raftDirectory, recovering);
  if (plan.after !== null) {
    const log = await openLog(input, recovering, NODE_FILES);
    try {
      const { self } = plan;
      await becomeOnlyVoter(log, { self, nowMs: input.nowMs, indexRaise: INDEX_RAISE });
    } finally {
      await log.close();
    }
  }
  writeStoredIdentity(input.raftDirectory, { ...recovering, recovery: null });
  return { clusterId: recovering.clusterId };
}

function begun(identity: StoredIdentity, nowMs: number): StoredIdentity {
  const { clusterId, formerClusterIds } = identity;
  return {
    ...identity,
    clusterId: randomBytes(4).toString("hex"),
    founders: null,
    formerClusterIds: [...formerClusterIds, clusterId],
    recovery: { fromClusterId: clusterId, startedAtMs: nowMs },
  };
}

function openLog(
  input: RecoveryInput,
  { clusterId, nodeId, formerClusterIds }: StoredIdentity,
  files: FileSystem,
): Promise<DurableLog> {
  const { raftDirectory, segmentBytes, groupMaxBytes } = input;
  const directory = logFilesDirectory(raftDirectory);
  const owner = { clusterId, nodeId };
  return DurableLog.open(
    { ...LOG_DEFAULTS, directory, segmentBytes, groupMaxBytes, owner, formerClusterIds },
    { files, logger: SILENT_LOGGER },
  );
}

async function newestMembership(log: DurableLog, snapshotsDirectory: string): Promise<Membership> {
  const newest = log.memberships.at(-1);
  if (newest !== undefined) {
    const { body } = newest;
    return decodeMembershipBatch({ body, bodyBytes: body.length });
  }
  const found = await inspectSnapshots({
    directory: snapshotsDirectory,
    verifiesData: false,
  }).catch(() => []);
  const snapshot = found.find(({ kind }) => kind === "snapshot");
  if (snapshot?.kind === "snapshot") return snapshot.meta.membership.membership;
  throw new HearthError(
    "failed_precondition",
    "Neither the log nor a snapshot says who the members are",
    {
      reason: "log_without_members",
      next: "Name the directory of snapshots with --snapshots-dir",
    },
  );
}

function selfIn(membership: Membership, identity: StoredIdentity, peerAddress: string): Member {
  const known = membership.members.find(({ id }) => id === identity.nodeId);
  return known ?? { id: identity.nodeId, serverId: identity.serverId, address: peerAddress };
}

function nothingThere(raftDirectory: string): HearthError {
  return new HearthError(
    "failed_precondition",
    `${raftDirectory} holds nothing of a cluster that could be recovered`,
    {
      reason: "nothing_to_recover",
      next: "Name metastore.raft.dir of a stopped member with --dir; without any data, start anew",
    },
  );
}
