/**
 * Shows the snapshots of a stopped node to a person: what is complete, what is not, and on demand whether the data is what
 * was written. Reads only; a start judges by the same code.
 */

import { join } from "node:path";
import { NODE_FILES, type FileTree } from "../files/index.ts";
import type { SnapshotMeta } from "../raft/index.ts";
import { type Loaded, SnapshotDirectory, SUFFIX } from "./directory.ts";
import { isName } from "./meta.ts";

/** One name in the directory of snapshots. */
export type SnapshotRecord =
  | {
      readonly kind: "snapshot";
      readonly name: string;
      readonly meta: SnapshotMeta;
      /** All data was read and fits its hashes; false: only head and hashes were looked at. */
      readonly isDataVerified: boolean;
    }
  /** What a start would put aside. */
  | { readonly kind: "problem"; readonly name: string; readonly what: string }
  /** Begun and not ended, set aside, or half removed. */
  | {
      readonly kind: "unfinished" | "damaged" | "removed" | "unknown";
      readonly name: string;
    };

export interface SnapshotInspection {
  /** As metastore.raft.snapshots-dir. */
  readonly directory: string;
  /** Read all data and compare it with the hashes. */
  readonly verifiesData: boolean;
  readonly files?: FileTree;
}

/** Every name, the newest snapshot first. Errors: HearthError when the directory cannot be read. */
export async function inspectSnapshots(inspection: SnapshotInspection): Promise<SnapshotRecord[]> {
  const { directory, verifiesData, files = NODE_FILES } = inspection;
  const snapshots = new SnapshotDirectory(join(directory, "snapshots"), files);
  const names = (await snapshots.list()).sort().reverse();
  const records: SnapshotRecord[] = [];
  for (const name of names) records.push(await inspectName(snapshots, name, verifiesData));
  return records;
}

async function inspectName(
  snapshots: SnapshotDirectory,
  name: string,
  verifiesData: boolean,
): Promise<SnapshotRecord> {
  if (isName(name)) {
    const loaded: Loaded = verifiesData
      ? await snapshots.readBack(name, name)
      : await snapshots.load(name);
    if (!loaded.ok) return { kind: "problem", name, what: loaded.what };
    return { kind: "snapshot", name, meta: loaded.snapshot.meta, isDataVerified: verifiesData };
  }
  if (name.endsWith(SUFFIX.damaged)) return { kind: "damaged", name };
  if (name.endsWith(SUFFIX.removed)) return { kind: "removed", name };
  if (name.endsWith(SUFFIX.receiving)) return { kind: "unfinished", name };
  return { kind: "unknown", name };
}
