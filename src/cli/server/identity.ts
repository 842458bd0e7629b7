/**
 * Whose data a directory holds: the cluster's id, made at the first start, and the node's. A directory mounted under
 * the wrong node would bring two logs under one name, so a difference stops the start.
 */
import { randomBytes } from "node:crypto";
import { mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { HearthError } from "../../base/index.ts";
import { identityFile } from "./directories.ts";

export interface StoredIdentity {
  /** Eight hexadecimal digits. */
  readonly clusterId: string;
  readonly serverId: string;
}

/** Errors: `failed_precondition` when the directory belongs to another node, or its identity cannot be read. */
export function claimIdentity(raftDirectory: string, serverId: string): StoredIdentity {
  mkdirSync(raftDirectory, { recursive: true });
  const file = identityFile(raftDirectory);
  const stored = readIdentity(file);
  if (stored === null) {
    const created = { clusterId: randomBytes(4).toString("hex"), serverId };
    // Written aside and renamed: a crash leaves no half of it.
    writeFileSync(`${file}.new`, `${JSON.stringify(created)}\n`, { flush: true });
    renameSync(`${file}.new`, file);
    return created;
  }
  if (stored.serverId === serverId) return stored;
  throw new HearthError(
    "failed_precondition",
    `Cannot use ${raftDirectory}: it belongs to the node "${stored.serverId}", this one is "${serverId}"`,
    {
      reason: "wrong_node",
      next: `Set metastore.raft.server-id to ${stored.serverId}, or give this node a directory of its own`,
    },
  );
}

function readIdentity(file: string): StoredIdentity | null {
  let text: string;
  try {
    text = readFileSync(file, "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return null;
    throw error;
  }
  try {
    const { clusterId, serverId } = JSON.parse(text) as Partial<StoredIdentity>;
    if (typeof clusterId === "string" && typeof serverId === "string")
      return { clusterId, serverId };
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
