/**
 * Tenants that are being deleted, as the writer knows them: who is hidden, and what has become of each deletion.
 * Everything here happens inside the write transaction of `apply`.
 *
 * Invariant: the tenants in `#live` are those whose row is not `open`, and `hiddenAt` is 0 exactly when there is none. It
 * stands in the `applied` record, which every reader looks at anyway: so a query learns for nothing that nobody is hidden.
 */

import type { IndexDatabase } from "../../db/index.ts";
import type { NoteDeletion } from "../../protocol/index.ts";
import type { Tenants } from "../index/tenants.ts";
import { STATE_LIMITS } from "../limits.ts";
import type { Rejection } from "../metrics.ts";
import {
  isHiding,
  newDeletion,
  putDeletion,
  readDeletions,
  removeDeletion,
  type StoredDeletion,
} from "./rows.ts";

export interface DeletionStoreModules {
  readonly db: IndexDatabase;
  readonly tenants: Pick<Tenants, "findName" | "internName">;
}

/** The entry at hand. */
export interface DeletionMoment {
  readonly index: number;
  readonly appendedAtMs: number;
}

export class DeletionStore {
  readonly #db: IndexDatabase;
  readonly #tenants: DeletionStoreModules["tenants"];
  /** By tenant id. */
  readonly #live = new Map<number, StoredDeletion>();
  /** Ids of reports, ascending; null until one is added, since reading them is for nothing else. */
  #reports: number[] | null = null;
  #hiddenAt = 0;

  constructor({ db, tenants }: DeletionStoreModules) {
    this.#db = db;
    this.#tenants = tenants;
  }

  /** Log index of the entry that last changed who is hidden; 0: nobody is. */
  get hiddenAt(): number {
    return this.#hiddenAt;
  }

  get liveCount(): number {
    return this.#live.size;
  }

  /** Whether nothing of this owner may be taken. On the way of every block: one comparison while nobody is hidden. */
  isHidden(tenant: number): boolean {
    return this.#hiddenAt !== 0 && this.#live.has(tenant);
  }

  /** All that are not over, oldest first. */
  list(): StoredDeletion[] {
    return [...this.#live.values()];
  }

  /** Names of all that are hidden. */
  hiddenNames(): Set<string> {
    return new Set([...this.#live.values()].map(({ tenant }) => tenant));
  }

  /** The deletion of that id with its tenant, unless it is over. */
  find(id: number): { readonly tenant: number; readonly deletion: StoredDeletion } | null {
    for (const [tenant, deletion] of this.#live) {
      if (deletion.id === id) return { tenant, deletion };
    }
    return null;
  }

  /** Hides a tenant. A repeat changes nothing. */
  begin(
    request: { readonly tenant: string; readonly closedForMs: number },
    moment: DeletionMoment,
  ): Rejection | boolean {
    const known = [...this.#live.values()].some(({ tenant }) => tenant === request.tenant);
    if (known) return false;
    if (this.#live.size >= STATE_LIMITS.deletionsMax) return "too_many_deletions";
    const deletion = newDeletion({
      ...request,
      id: moment.index,
      requestedAtMs: moment.appendedAtMs,
    });
    putDeletion(this.#db, deletion);
    this.#live.set(this.#tenants.internName(request.tenant), deletion);
    this.#hiddenAt = moment.index;
    return true;
  }

  /** Entries left the index; `isClear`: the tenant has none any more. */
  noteCleared(
    tenant: number,
    removed: Pick<StoredDeletion, "shards" | "blocks" | "bytes" | "segments">,
    isClear: boolean,
    moment: DeletionMoment,
  ): void {
    const before = this.#live.get(tenant);
    if (before === undefined) return;
    const isDone = isClear && before.state === "hidden";
    this.#put(tenant, {
      ...before,
      shards: before.shards + removed.shards,
      blocks: before.blocks + removed.blocks,
      bytes: before.bytes + removed.bytes,
      segments: before.segments + removed.segments,
      ...(isDone ? { state: "unindexed", unindexedAtMs: moment.appendedAtMs } : {}),
    });
  }

  /** A stretch of the bucket is clean. False when the state knows another place: a rival was faster. */
  noteObjects(tenant: number, note: NoteDeletion, moment: DeletionMoment): boolean {
    const before = this.#live.get(tenant);
    if (before === undefined || note.from !== before.place || before.state === "hidden")
      return false;
    // The last look before the name is opened: what is found then is counted, and changes nothing else.
    if (before.state === "verified" && note.isEnd) return false;
    const isOver = before.state === "verified";
    const found = isOver ? 0 : before.found + note.objects;
    const counted: StoredDeletion = {
      ...before,
      objects: before.objects + note.objects,
      objectBytes: before.objectBytes + note.bytes,
      segmentsLeft: note.segmentsLeft,
      place: isOver ? "" : note.to,
      found,
    };
    this.#put(tenant, note.isEnd ? endPass(counted, found, moment) : counted);
    return true;
  }

  /** Blocks of the tenant were made after the request: the bucket is gone through again. */
  noteLate(tenant: number, blocks: number): void {
    const before = this.#live.get(tenant);
    if (before === undefined) return;
    const isBehind = before.state === "emptied" || before.state === "verified";
    this.#put(tenant, {
      ...before,
      lateBlocks: before.lateBlocks + blocks,
      ...(isBehind ? { state: "unindexed", verifiedAtMs: null } : {}),
      place: "",
      found: 0,
    });
  }

  /** The name may be used again. Only what is verified can be opened. */
  open(tenant: number, moment: DeletionMoment): Rejection | true {
    const before = this.#live.get(tenant);
    if (before?.state !== "verified") return "tenant_deletion_running";
    // Read before this one is among them.
    this.#reports ??= this.#readReports();
    this.#put(tenant, { ...before, state: "open", openedAtMs: moment.appendedAtMs });
    this.#live.delete(tenant);
    this.#hiddenAt = this.#live.size === 0 ? 0 : moment.index;
    this.#keepReport(before.id, this.#reports);
    return true;
  }

  /** Takes what stands in the database. `hiddenAt` as it stands in `applied`. */
  load(hiddenAt: number): void {
    this.#live.clear();
    this.#reports = null;
    this.#hiddenAt = hiddenAt;
    if (hiddenAt === 0) return;
    for (const deletion of readDeletions(this.#db)) {
      if (isHiding(deletion.state))
        this.#live.set(this.#tenants.findName(deletion.tenant), deletion);
    }
  }

  #put(tenant: number, deletion: StoredDeletion): void {
    putDeletion(this.#db, deletion);
    this.#live.set(tenant, deletion);
  }

  #readReports(): number[] {
    const reports = readDeletions(this.#db).filter(({ state }) => !isHiding(state));
    return reports.map(({ id }) => id);
  }

  /** By id: the oldest request is forgotten first, whenever its name was opened. */
  #keepReport(id: number, reports: number[]): void {
    const above = reports.findLastIndex((other) => other < id) + 1;
    reports.splice(above, 0, id);
    if (reports.length <= STATE_LIMITS.deletionReportsMax) return;
    for (const old of reports.splice(0, reports.length - STATE_LIMITS.deletionReportsMax))
      removeDeletion(this.#db, old);
  }
}

/** The list was read to its end: a first time, again, or again without finding anything. */
function endPass(
  deletion: StoredDeletion,
  found: number,
  { appendedAtMs }: DeletionMoment,
): StoredDeletion {
  const ended = { ...deletion, passes: deletion.passes + 1, place: "", found: 0 };
  if (deletion.state === "unindexed") {
    return { ...ended, state: "emptied", emptiedAtMs: appendedAtMs };
  }
  const isEmpty = found === 0 && deletion.segmentsLeft === 0;
  return isEmpty ? { ...ended, state: "verified", verifiedAtMs: appendedAtMs } : ended;
}
