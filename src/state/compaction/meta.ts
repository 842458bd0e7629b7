/**
 * Numbers of the whole compaction state: one value of `meta`, stored once per transaction that changed it, and the
 * policy in force.
 *
 * ```
 * meta "compaction":        f64 per field, in the order of FIELDS
 * meta "compactionPolicy":  JSON text; absent: compaction has never been turned on
 * ```
 */

import { type IndexDatabase, META_KEYS } from "../../db/index.ts";
import { type CompactionPolicy, parsePolicy } from "./policy.ts";

/** Order on disk. Append only. */
const FIELDS = [
  "revision",
  "clockMs",
  "touch",
  "flush",
  "jobs",
  "parked",
  "orphans",
  "workers",
  "orphanNumber",
] as const;

type Field = (typeof FIELDS)[number];

export class CompactionMeta implements Record<Field, number> {
  /** Log index of the last entry that changed jobs or policy: what plans are prepared from. */
  revision = 0;
  /** Largest append time seen, Unix ms: ages count from it, so a clock that steps back makes nothing younger. */
  clockMs = 0;
  /** Counts updates of keys: the order in which they were last updated. */
  touch = 0;
  /** Counts flushed batches: the order in which they were flushed. */
  flush = 0;
  /** Jobs in any state. */
  jobs = 0;
  /** Blocks that wait to be queued again. */
  parked = 0;
  /** Results known to be in the object store only. */
  orphans = 0;
  /** Workers whose last answer is kept. */
  workers = 0;
  /** Counts orphans: their key. */
  orphanNumber = 0;
  #policy: CompactionPolicy | null = null;
  isDirty = false;
  readonly #record = new Float64Array(FIELDS.length);
  readonly #bytes = new Uint8Array(this.#record.buffer);

  /** null: compaction is off. */
  get policy(): CompactionPolicy | null {
    return this.#policy;
  }

  load(db: IndexDatabase): void {
    const bytes = db.get("meta", META_KEYS.compaction);
    for (const [i, field] of FIELDS.entries()) this[field] = bytes < 0 ? 0 : (db.f64[i] ?? 0);
    this.#policy = readPolicy(db);
    this.isDirty = false;
  }

  /** Inside a write transaction. */
  store(db: IndexDatabase): void {
    if (!this.isDirty) return;
    for (const [i, field] of FIELDS.entries()) this.#record[i] = this[field];
    db.put("meta", META_KEYS.compaction, this.#bytes);
    this.isDirty = false;
  }

  /** Inside a write transaction. `json` has been checked. */
  setPolicy(db: IndexDatabase, json: string, policy: CompactionPolicy): void {
    db.put("meta", META_KEYS.compactionPolicy, Buffer.from(json, "utf8"));
    this.#policy = policy;
  }
}

/** What is in force as the JSON text it came in, or null. On any thread, inside a read transaction. */
export function readPolicyText(db: IndexDatabase): string | null {
  const bytes = db.get("meta", META_KEYS.compactionPolicy);
  return bytes < 0 ? null : Buffer.from(db.u8.subarray(0, bytes)).toString("utf8");
}

/** The policy in force, or null. On any thread, inside a read transaction. */
export function readPolicy(db: IndexDatabase): CompactionPolicy | null {
  const text = readPolicyText(db);
  if (text === null) return null;
  if (text !== lastRead?.text) {
    const result = parsePolicy(text);
    lastRead = { text, policy: result.ok ? result.policy : null };
  }
  return lastRead.policy;
}

/** Every plan reads the policy, and it hardly ever changes. */
let lastRead: { readonly text: string; readonly policy: CompactionPolicy | null } | null = null;
