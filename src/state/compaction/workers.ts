/**
 * What compaction workers were told last, so that a repeated poll gets the same answer, also from the next leader.
 *
 * ```
 * compactionWorkers   name, UTF-8  ->  JSON of WorkerRow, `requestId` first
 * ```
 */

import type { IndexDatabase } from "../../db/index.ts";
import type { CompactionMeta } from "./meta.ts";

export interface WorkerRow {
  /** Of its last poll that changed something. */
  readonly requestId: number;
  readonly seenAtMs: number;
  /** Names of the jobs whose leases that poll refreshed, in order. */
  readonly updated: readonly string[];
  /** Names of the jobs it was given, in order. */
  readonly assigned: readonly string[];
}

export interface ListedWorker extends WorkerRow {
  readonly name: string;
}

/** Beyond this the longest unheard are forgotten, a quarter at a time. */
export const WORKERS_MAX = 4_096;

const FIRST = new Uint8Array(1);
const LAST = new Uint8Array(2).fill(0xff);

/** Inside the write transaction. */
export function putWorker(
  db: IndexDatabase,
  meta: CompactionMeta,
  name: string,
  row: WorkerRow,
): void {
  const key = Buffer.from(name, "utf8");
  const isNew = !db.has("compactionWorkers", key);
  db.put("compactionWorkers", key, Buffer.from(JSON.stringify(row), "utf8"));
  if (!isNew) return;
  meta.workers++;
  meta.isDirty = true;
  if (meta.workers > WORKERS_MAX) forgetOldest(db, meta);
}

/** What that worker was told when it asked that, or null. Inside a transaction. */
export function readAnswer(db: IndexDatabase, name: string, requestId: number): WorkerRow | null {
  const length = db.get("compactionWorkers", Buffer.from(name, "utf8"));
  // Most polls are new: the text is made into values for those only that are not.
  const start = `{"requestId":${requestId},`;
  if (length < start.length) return null;
  for (let i = 0; i < start.length; i++) if (db.u8[i] !== start.charCodeAt(i)) return null;
  return decodeWorker(db, length);
}

/** By name. Inside a transaction. */
export function listWorkers(db: IndexDatabase): ListedWorker[] {
  const workers: ListedWorker[] = [];
  db.scan("compactionWorkers", FIRST, LAST, (key, length) => {
    workers.push({ name: Buffer.from(key).toString("utf8"), ...decodeWorker(db, length) });
    return true;
  });
  return workers;
}

function decodeWorker(db: IndexDatabase, length: number): WorkerRow {
  return JSON.parse(Buffer.from(db.u8.subarray(0, length)).toString("utf8")) as WorkerRow;
}

function forgetOldest(db: IndexDatabase, meta: CompactionMeta): void {
  const workers = listWorkers(db).sort(
    (a, b) => a.seenAtMs - b.seenAtMs || (a.name < b.name ? -1 : 1),
  );
  for (const { name } of workers.slice(0, WORKERS_MAX / 4)) {
    db.remove("compactionWorkers", Buffer.from(name, "utf8"));
    meta.workers--;
  }
}
