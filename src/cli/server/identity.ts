/**
 * Whose data a directory holds: the cluster's id, the node's name, and the id under which this very directory votes.
 * A directory mounted under the wrong node would bring two logs under one name, so a difference stops the start. A
 * wiped directory gets a new id: what its old self promised is gone, so it must not pass for it.
 */
import { randomBytes } from "node:crypto";
import { mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { HearthError } from "../../base/index.ts";
import { identityFile } from "./directories.ts";

export interface StoredIdentity {
  /** Eight hexadecimal digits. */
  readonly clusterId: string;
  readonly serverId: string;
  /** Sixteen hexadecimal digits, made with the directory. */
  readonly nodeId: string;
}

/** Errors: `failed_precondition` when the directory belongs to another node, or its identity cannot be read. */
export function claimIdentity(raftDirectory: string, serverId: string): StoredIdentity {
  mkdirSync(raftDirectory, { recursive: true });
  const file = identityFile(raftDirectory);
  const stored = readIdentity(file);
  if (stored === null) {
    return store(file, { clusterId: randomHex(4), serverId, nodeId: randomHex(8) });
  }
  if (stored.serverId === serverId) {
    // Written before nodes had ids of their own.
    return stored.nodeId === "" ? store(file, { ...stored, nodeId: randomHex(8) }) : stored;
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

function randomHex(bytes: number): string {
  return randomBytes(bytes).toString("hex");
}

/** Written aside and renamed: a crash leaves no half of it. */
function store(file: string, identity: StoredIdentity): StoredIdentity {
  writeFileSync(`${file}.new`, `${JSON.stringify(identity)}\n`, { flush: true });
  renameSync(`${file}.new`, file);
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
    const { clusterId, serverId, nodeId = "" } = stored;
    if ([clusterId, serverId, nodeId].every((value) => typeof value === "string"))
      return { clusterId, serverId, nodeId } as StoredIdentity;
  } catch {
    // Falls through: damage of any kind has one answer.
  }
  throw new HearthError(
    "failed_precondition",
    `Cannot read ${file}: it does not say whose data this is`,
    {
      reason: "bad_identity",
      next: "Restore the file, or remove it if you are sure that the directory belongs to this node",
    },
  );
}
