/** Where things lie below the configured directories (spec raft-and-cluster, 2). */
import { join } from "node:path";

/** The log's own files: nothing else may live there. */
export function logFilesDirectory(raftDirectory: string): string {
  return join(raftDirectory, "wal");
}

/** Who the directory belongs to. */
export function identityFile(raftDirectory: string): string {
  return join(raftDirectory, "identity.json");
}
