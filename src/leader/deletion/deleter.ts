/**
 * Takes what is left of deleted tenants out of index and bucket, bit by bit; what has been done is in the replicated state,
 * so that whoever leads goes on where the one before stopped. States and safety: DESIGN.md, "Deleted tenants".
 *
 *   scan segments ──> segments of nobody else: object, then entry
 *   per tenant:  hidden ──> shards, a bounded number per entry
 *                unindexed, emptied ──> a stretch of the bucket: list, confirm, delete, note
 *                verified, time over ──> list once more, open
 */
import {
  type Clock,
  formatBytes,
  formatCount,
  HearthError,
  inLanes,
  isHearthError,
  type Logger,
  nextTurn,
  type Scheduler,
  toHearthError,
} from "../../base/index.ts";
import type { IndexDatabase } from "../../db/index.ts";
import {
  appendEntry,
  ByteSink,
  type ClearTenant,
  COMMAND,
  encodeTenantCommand,
  type NoteDeletion,
  type OpenTenant,
} from "../../protocol/index.ts";
import type { ProposeResult, ReadIndexResult, Replica } from "../../replica/index.ts";
import type { StateMachine, StoredDeletion } from "../../state/index.ts";
import type { ObjectInfo, ObjectStore } from "../../storage/index.ts";
import { ACTIVITY_OUTCOME, type ActivityResult, type ActivityRun } from "../activities/index.ts";
import { Backoff } from "./backoff.ts";
import { isPathPart, segmentPrefix } from "./object-keys.ts";
import { type FoundSegment, type FoundSegments, scanSegments } from "./segment-scan.ts";
import { tenantObjects } from "./tenant-objects.ts";

export interface TenantDeleterModules {
  readonly replica: Pick<Replica, "propose" | "readIndex">;
  readonly state: Pick<
    StateMachine,
    "appliedIndex" | "findDeletion" | "hiddenAt" | "liveDeletions"
  >;
  readonly db: IndexDatabase;
  readonly store: ObjectStore;
  readonly clock: Clock;
  readonly scheduler: Scheduler;
  readonly logger: Logger;
}

export interface TenantDeleterStatus {
  /** Deleted by this process from the bucket. */
  readonly objects: number;
  readonly bytes: number;
}

/** Shards of one entry: applying one takes 20 to 100 us. */
const SHARDS_PER_ENTRY = 64;
const CLEARS_PER_RUN_MAX = 64;
/** Stretches of one run and tenant: after them the others have their turn. */
const STRETCHES_PER_RUN_MAX = 64;
/** Segments of one run and of one entry. */
const SEGMENTS_PER_RUN_MAX = 512;
/** Deletions under way at the same time. */
const LANES = 16;
/** Where nothing can be done but wait for compaction, or for the time of a closed name. */
const WAITING_SCAN_MS = 15_000;
const CLOSED_SCAN_MS = 60_000;
/** There is more to do: as soon as others had their turn. */
const AGAIN_MS = 10;

/** What one run came to. */
interface Tally {
  objects: number;
  bytes: number;
  isBusy: boolean;
  /** Waits for compaction alone. */
  waiting: number;
}

export class TenantDeleter {
  readonly #modules: TenantDeleterModules;
  readonly #backoff = new Backoff();
  readonly #status = { objects: 0, bytes: 0 };
  #scannedAtMs = Number.NEGATIVE_INFINITY;

  constructor(modules: TenantDeleterModules) {
    this.#modules = modules;
  }

  status(): TenantDeleterStatus {
    return { ...this.#status };
  }

  /** One look at all deletions. What fails is tried again, later each time; errors: leadership alone. */
  async run(run: ActivityRun): Promise<ActivityResult> {
    if (this.#modules.state.hiddenAt === 0) {
      return { outcome: ACTIVITY_OUTCOME.nothing, text: "No tenant is being deleted" };
    }
    const tally: Tally = { objects: 0, bytes: 0, isBusy: false, waiting: 0 };
    if (this.#isResting()) return this.#report(tally);
    try {
      await this.#confirm(run);
      await this.#work(run, tally);
      this.#backoff.succeeded();
      return this.#report(tally);
    } catch (error) {
      const isLost = run.signal.aborted || (isHearthError(error) && error.reason === "not_leader");
      if (isLost) throw error;
      const { message, reason } = toHearthError(error);
      const againAfterMs = this.#backoff.failed();
      const text = `${progressText(tally)}: ${message}`;
      return { outcome: ACTIVITY_OUTCOME.failed, reason, text, againAfterMs };
    } finally {
      this.#status.objects += tally.objects;
      this.#status.bytes += tally.bytes;
    }
  }

  async #work(run: ActivityRun, tally: Tally): Promise<void> {
    const live = this.#modules.state.liveDeletions();
    const segments = await this.#scan(run, live);
    if (segments !== null) await this.#removeSegments(run, live, segments.alone, tally);
    for (const { id } of live) {
      run.signal.throwIfAborted();
      await this.#clear(run, id, tally);
      const deletion = this.#modules.state.findDeletion(id);
      const mixed = segments?.mixed.get(deletion?.tenant ?? "") ?? 0;
      if (deletion !== null) await this.#advance(run, deletion, mixed, tally);
    }
  }

  async #advance(
    run: ActivityRun,
    deletion: StoredDeletion,
    segmentsLeft: number,
    tally: Tally,
  ): Promise<void> {
    if (deletion.state === "verified") return this.#maybeOpen(run, deletion, tally);
    // A last pass over the bucket would say nothing while segments can still bring objects into it.
    const isWaiting = deletion.state === "emptied" && segmentsLeft > 0 && deletion.place === "";
    if (isWaiting) {
      tally.waiting++;
      if (deletion.segmentsLeft === segmentsLeft) return;
      const note = { objects: 0, bytes: 0, from: "", to: "", isEnd: false, segmentsLeft };
      return this.#note(run, deletion, note);
    }
    await this.#deleteObjects(run, deletion, segmentsLeft, tally);
  }

  // -- index ------------------------------------------------------------------------------------------------------

  async #clear(run: ActivityRun, id: number, tally: Tally): Promise<void> {
    for (let i = 0; this.#modules.state.findDeletion(id)?.state === "hidden"; i++) {
      if (i >= CLEARS_PER_RUN_MAX) {
        tally.isBusy = true;
        return;
      }
      run.signal.throwIfAborted();
      const clear: ClearTenant = { term: run.term, id, shardsMax: SHARDS_PER_ENTRY, segments: [] };
      await this.#propose(COMMAND.clearTenant, clear);
    }
  }

  /** The object first: an entry says where it is, so that a leader after a crash finds it again. */
  async #removeSegments(
    run: ActivityRun,
    live: readonly StoredDeletion[],
    alone: readonly FoundSegment[],
    tally: Tally,
  ): Promise<void> {
    if (alone.length === 0) return;
    tally.isBusy = true;
    for (const deletion of live) {
      const own = alone.filter(({ tenant }) => tenant === deletion.tenant);
      if (own.length === 0) continue;
      const { store } = this.#modules;
      const objects: ObjectInfo[] = [];
      await inLanes(own, LANES, async ({ shard, id }) => {
        const prefix = segmentPrefix(shard, id);
        for await (const page of store.list({ prefix, signal: run.signal })) objects.push(...page);
      });
      await this.#delete(run, deletion, objects, tally);
      const segments = [...byShard(own)].map(([shard, ids]) => ({ shard, ids }));
      const { id } = deletion;
      await this.#propose(COMMAND.clearTenant, { term: run.term, id, shardsMax: 0, segments });
    }
  }

  // -- bucket -----------------------------------------------------------------------------------------------------

  async #deleteObjects(
    run: ActivityRun,
    deletion: StoredDeletion,
    segmentsLeft: number,
    tally: Tally,
  ): Promise<void> {
    const { store } = this.#modules;
    const { tenant, place } = deletion;
    let from = place;
    let stretches = 0;
    for await (const stretch of tenantObjects(store, tenant, { place, signal: run.signal })) {
      const { objects, to, isEnd } = stretch;
      await this.#delete(run, deletion, objects, tally);
      const done = { objects: objects.length, bytes: bytesOf(objects) };
      await this.#note(run, deletion, { ...done, from, to, isEnd, segmentsLeft });
      from = to;
      tally.isBusy = true;
      if (++stretches >= STRETCHES_PER_RUN_MAX) return;
    }
  }

  /**
   * Deletes what was listed, once a majority has confirmed, after the list was read, that this member leads and that the
   * tenant is still closed. So what was listed belongs to the tenant that was deleted, and not to one that uses the name
   * again, however long this process slept in between.
   */
  async #delete(
    run: ActivityRun,
    { id }: StoredDeletion,
    objects: readonly ObjectInfo[],
    tally: Tally,
  ): Promise<void> {
    if (objects.length === 0) return;
    await this.#confirm(run);
    if (this.#modules.state.findDeletion(id) === null) throw superseded();
    const { store } = this.#modules;
    await inLanes(objects, LANES, async ({ key, sizeBytes }) => {
      if (!run.isLeading()) throw superseded();
      await store.delete(key, { signal: run.signal });
      tally.objects++;
      tally.bytes += sizeBytes;
    });
  }

  /** The time of a closed name is over: whatever a late worker has brought goes first. */
  async #maybeOpen(run: ActivityRun, deletion: StoredDeletion, tally: Tally): Promise<void> {
    if (!this.#isOver(deletion)) return;
    const { tenant, id } = deletion;
    const { store, logger } = this.#modules;
    for await (const { objects } of tenantObjects(store, tenant, {
      place: "",
      signal: run.signal,
    })) {
      if (objects.length === 0) continue;
      await this.#delete(run, deletion, objects, tally);
      const done = { objects: objects.length, bytes: bytesOf(objects) };
      const note = { ...done, from: "", to: "", isEnd: false, segmentsLeft: 0 };
      await this.#note(run, deletion, note);
    }
    await this.#propose(COMMAND.openTenant, { term: run.term, id });
    if (this.#modules.state.findDeletion(id) === null)
      logger.info("the name of a deleted tenant may be used again", { tenant });
  }

  #isOver({ closedForMs, verifiedAtMs }: StoredDeletion): boolean {
    return closedForMs > 0 && this.#modules.clock.nowMs() - (verifiedAtMs ?? 0) >= closedForMs;
  }

  #note(
    { term }: ActivityRun,
    { id, tenant, state }: StoredDeletion,
    note: Omit<NoteDeletion, "term" | "id">,
  ): Promise<void> {
    return this.#propose(COMMAND.noteDeletion, { ...note, term, id }).then(() => {
      const after = this.#modules.state.findDeletion(id);
      if (after === null || after.state === state || after.state !== "verified") return;
      const { blocks, bytes, objects, objectBytes } = after;
      const fields = { tenant, blocks, bytes, objects, objectBytes };
      this.#modules.logger.info("a tenant is deleted", fields);
      if (isSuspicious(after))
        this.#modules.logger.warn(NO_OBJECTS, { tenant, store: this.#modules.store.name });
    });
  }

  // -- state ------------------------------------------------------------------------------------------------------

  /** Names are closed and their time is not over: nothing to do that a majority would have to confirm. */
  #isResting(): boolean {
    const live = this.#modules.state.liveDeletions();
    const isOnlyClosed = live.every((one) => one.state === "verified" && !this.#isOver(one));
    return isOnlyClosed && this.#isScanned();
  }

  #isScanned(): boolean {
    return this.#modules.scheduler.monotonicMs() - this.#scannedAtMs < CLOSED_SCAN_MS;
  }

  async #scan(run: ActivityRun, live: readonly StoredDeletion[]): Promise<FoundSegments | null> {
    const { db, scheduler } = this.#modules;
    const nowMs = scheduler.monotonicMs();
    const isClosed = live.every(({ state }) => state === "verified");
    if (isClosed && this.#isScanned()) return null;
    const found = await scanSegments(live, SEGMENTS_PER_RUN_MAX, {
      db,
      monotonicMs: () => scheduler.monotonicMs(),
      nextTurn: () => nextTurn(scheduler),
      signal: run.signal,
    });
    this.#scannedAtMs = nowMs;
    return found;
  }

  /** A majority follows this member, in the term of the run, and what was committed before is applied here. */
  async #confirm({ term, signal }: ActivityRun): Promise<void> {
    const { replica, state, scheduler } = this.#modules;
    const result = await new Promise<ReadIndexResult>((resolve) => replica.readIndex(resolve));
    if (!result.ok) throw result.error;
    if (result.term !== term) throw superseded();
    while (state.appliedIndex < result.index) {
      signal.throwIfAborted();
      await nextTurn(scheduler);
    }
  }

  /** A step that came too late is of no effect, and is no error: the next look goes by the state. */
  async #propose(command: number, payload: ClearTenant | NoteDeletion | OpenTenant): Promise<void> {
    const sink = new ByteSink();
    appendEntry(sink, command, encodeTenantCommand(payload));
    const body = new Uint8Array(sink.view());
    const { replica } = this.#modules;
    const result = await new Promise<ProposeResult>((resolve) =>
      replica.propose({ body, bodyBytes: body.length, count: 1 }, resolve),
    );
    if (!result.ok) throw result.error;
    const reason = result.rejections.get(0);
    if (reason !== undefined)
      throw new HearthError("internal", `The state refused a step: ${reason}`, { reason });
  }

  #report(tally: Tally): ActivityResult {
    const text = progressText(tally);
    const live = this.#modules.state.liveDeletions();
    const isClosed = live.every(({ state }) => state === "verified");
    if (live.length === 0) return { outcome: ACTIVITY_OUTCOME.done, text };
    if (isClosed && !tally.isBusy) {
      const names = formatCount(live.length);
      const closed = `${names} deleted ${live.length === 1 ? "tenant is" : "tenants are"} closed`;
      return { outcome: ACTIVITY_OUTCOME.nothing, text: closed };
    }
    const isOnlyWaiting = !tally.isBusy && tally.waiting > 0;
    return {
      outcome: isOnlyWaiting ? ACTIVITY_OUTCOME.nothing : ACTIVITY_OUTCOME.done,
      text,
      againAfterMs: isOnlyWaiting ? WAITING_SCAN_MS : AGAIN_MS,
    };
  }
}

/** The index knew of blocks and the bucket had none of them: is it the one that workers write to? */
export const NO_OBJECTS =
  "the bucket of this node held no object of a deleted tenant; is it the one that the others use?";

export function isSuspicious({
  blocks,
  objects,
  tenant,
  state,
}: Pick<StoredDeletion, "blocks" | "objects" | "tenant" | "state">): boolean {
  const isOver = state === "verified" || state === "open";
  return isOver && blocks > 0 && objects === 0 && isPathPart(tenant);
}

function progressText({ objects, bytes, waiting }: Tally): string {
  const parts = [`deleted ${formatCount(objects)} objects, ${formatBytes(bytes)}`];
  if (waiting > 0)
    parts.push(`${formatCount(waiting)} wait for compaction to split segments of several tenants`);
  return `Tenants: ${parts.join(", ")}`;
}

function byShard(segments: readonly FoundSegment[]): Map<number, string[]> {
  const found = new Map<number, string[]>();
  for (const { shard, id } of segments) found.set(shard, [...(found.get(shard) ?? []), id]);
  return found;
}

function bytesOf(objects: readonly ObjectInfo[]): number {
  return objects.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
}

function superseded(): HearthError {
  return new HearthError("unavailable", "Another member leads, or the tenant is open again", {
    reason: "not_leader",
  });
}
