/**
 * Whose data a directory holds: the cluster's id, the node's name, and the id under which this very directory votes.
 * A directory mounted under the wrong node would bring two logs under one name, so a difference stops the start. A
 * wiped directory gets a new id: what its old self promised is gone, so it must not pass for it.
 *
 * The file is written before anything else is, and before anybody is told: whatever the log says later, the directory
 * knows whose it is.
 */
import { randomBytes } from "node:crypto";
import { mkdirSync, readdirSync, readFileSync } from "node:fs";
import { dirname } from "node:path";
import { HearthError } from "../../base/index.ts";
import { type ClusterBond, memberOf } from "../../cluster/index.ts";
import { replaceFile } from "../../files/index.ts";
import type { Member } from "../../raft/index.ts";
import { identityFile, logFilesDirectory } from "./directories.ts";

export interface StoredIdentity {
  /** Eight hexadecimal digits; empty until the node belongs to a cluster. */
  readonly clusterId: string;
  readonly serverId: string;
  /** Sixteen hexadecimal digits, made with the directory. */
  readonly nodeId: string;
  /** First members of the cluster when this node is one of them; null: from before they were noted, it was alone. */
  readonly founders: readonly Member[] | null;
  /** A log was made beside it, with votes and entries that others may count on. */
  readonly hasLog: boolean;
  /** Ids that the cluster of this data had before a recovery of lost quorum made a new one of it, oldest first. */
  readonly formerClusterIds: readonly string[];
  /** A recovery that has begun and not ended; the node must not start before it has. Null: none. */
  readonly recovery: { readonly fromClusterId: string; readonly startedAtMs: number } | null;
}

/** The identity of this process's directory, and the moment at which it becomes part of a cluster. */
export class Identity implements ClusterBond {
  readonly joined: Promise<void>;
  readonly #file: string;
  #stored: StoredIdentity;
  #resolveJoined: () => void = () => {};

  constructor(file: string, stored: StoredIdentity) {
    this.#file = file;
    this.#stored = stored;
    this.joined = new Promise((resolve) => {
      this.#resolveJoined = resolve;
    });
    if (stored.clusterId !== "") this.#resolveJoined();
  }

  get clusterId(): string {
    return this.#stored.clusterId;
  }

  get serverId(): string {
    return this.#stored.serverId;
  }

  get nodeId(): string {
    return this.#stored.nodeId;
  }

  get founders(): readonly Member[] | null {
    return this.#stored.founders;
  }

  /**
   * Before the log is opened. Errors: `failed_precondition` when there was one and its files are gone: under the old id
   * the node could vote a second time, and deny what it acknowledged.
   */
  assertLogIsThere(): void {
    const raftDirectory = dirname(this.#file);
    if (!this.#stored.hasLog || hasLog(raftDirectory)) return;
    const message = `Cannot use ${raftDirectory}: this node has had a log, and its files are gone`;
    throw new HearthError("failed_precondition", message, {
      reason: "lost_log",
      next: "Restore the whole directory; or empty it: alone it begins anew, as a member it is removed and added again",
    });
  }

  /** The log has been opened, and has files. */
  noteLog(): void {
    if (this.#stored.hasLog || !hasLog(dirname(this.#file))) return;
    this.#stored = store(this.#file, { ...this.#stored, hasLog: true });
  }

  get formerClusterIds(): readonly string[] {
    return this.#stored.formerClusterIds;
  }

  /** Errors: `failed_precondition` when it belongs to another cluster already. Repeating it is harmless. */
  join(notice: { readonly clusterId: string; readonly founders: readonly Member[] }): void {
    const { clusterId, founders } = notice;
    if (this.clusterId === clusterId) return;
    if (this.clusterId !== "") throw belongsToOther(this.#stored, clusterId);
    this.#stored = store(this.#file, { ...this.#stored, clusterId, founders });
    this.#resolveJoined();
  }
}

function belongsToOther({ serverId, clusterId }: StoredIdentity, other: string): HearthError {
  const message = `Cannot join cluster ${other}: the data of ${serverId} belongs to cluster ${clusterId}`;
  return new HearthError("failed_precondition", message, {
    reason: "other_cluster",
    next: "Empty its directories if that data is not needed, and add it again",
  });
}

/**
 * Errors: `failed_precondition` when the directory belongs to another node, when its identity cannot be read, or when
 * it is gone while the log is there.
 */
export function claimIdentity(raftDirectory: string, serverId: string): Identity {
  mkdirSync(raftDirectory, { recursive: true });
  const file = identityFile(raftDirectory);
  const stored = readIdentity(file);
  if (stored === null) {
    if (hasLog(raftDirectory)) throw lostIdentity(file, raftDirectory);
    const none = { clusterId: "", founders: null, formerClusterIds: [], recovery: null };
    const fresh = { ...none, serverId, nodeId: randomHex(8), hasLog: false };
    return new Identity(file, store(file, fresh));
  }
  if (stored.recovery !== null) throw unfinishedRecovery(raftDirectory, stored);
  if (stored.serverId === serverId) {
    // Written before nodes had ids of their own.
    const isOld = stored.nodeId === "";
    return new Identity(file, isOld ? store(file, { ...stored, nodeId: randomHex(8) }) : stored);
  }
  throw new HearthError(
    "failed_precondition",
    `Cannot use ${raftDirectory}: it belongs to the node "${stored.serverId}", this one is "${serverId}"`,
    {
      reason: "wrong_node",
      next: `Set metastore.raft.server-id to ${stored.serverId}, or give this node a directory of its own`,
    },
  );
}

/** What the file of a directory says, or null. Errors: `failed_precondition` when it cannot be read. */
export function readStoredIdentity(raftDirectory: string): StoredIdentity | null {
  return readIdentity(identityFile(raftDirectory));
}

/** Replaces what the file says, durably. For offline tools that hold the directory. */
export function writeStoredIdentity(raftDirectory: string, identity: StoredIdentity): void {
  store(identityFile(raftDirectory), identity);
}

function unfinishedRecovery(raftDirectory: string, { serverId }: StoredIdentity): HearthError {
  const message = `Cannot use ${raftDirectory}: a recovery of it has begun and not ended`;
  return new HearthError("failed_precondition", message, {
    reason: "unfinished_recovery",
    next: `hearth recover single-voter --dir ${raftDirectory} --confirm=${serverId}   ends it`,
  });
}

/** A name for a new cluster. */
export function newClusterId(): string {
  return randomHex(4);
}

function randomHex(bytes: number): string {
  return randomBytes(bytes).toString("hex");
}

function hasLog(raftDirectory: string): boolean {
  try {
    return readdirSync(logFilesDirectory(raftDirectory)).length > 0;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return false;
    throw error;
  }
}

/** Durable when this returns. */
function store(file: string, identity: StoredIdentity): StoredIdentity {
  replaceFile(file, `${JSON.stringify(identity)}\n`);
  return identity;
}

/** `nodeId` is empty where the file does not name one. */
function readIdentity(file: string): StoredIdentity | null {
  let text: string;
  try {
    text = readFileSync(file, "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return null;
    throw error;
  }
  try {
    const stored = JSON.parse(text) as Partial<StoredIdentity>;
    const { clusterId, serverId, nodeId = "", founders = null, hasLog = false } = stored;
    const { formerClusterIds = [], recovery = null } = stored;
    const texts = [clusterId, serverId, nodeId, ...formerClusterIds];
    if (texts.every((value) => typeof value === "string") && typeof hasLog === "boolean") {
      const members = founders === null ? null : founders.map(memberOf);
      const own = { clusterId, serverId, nodeId, founders: members, hasLog };
      return { ...own, formerClusterIds, recovery } as StoredIdentity;
    }
  } catch {
    // Falls through: damage of any kind has one answer.
  }
  throw new HearthError(
    "failed_precondition",
    `Cannot read ${file}: it does not say whose data this is`,
    {
      reason: "bad_identity",
      next: "Restore the file, or remove it and the log beside it if the data is not needed",
    },
  );
}

function lostIdentity(file: string, raftDirectory: string): HearthError {
  const message = `Cannot use ${raftDirectory}: there is a log, but ${file}, which says whose it is, is gone`;
  return new HearthError("failed_precondition", message, {
    reason: "lost_identity",
    next: "Restore the file; or empty the directory: alone it begins anew, as a member it is added again",
  });
}
