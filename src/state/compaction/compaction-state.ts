/**
 * The compaction part of the state machine: what blocks that come and go mean for queue and jobs, and what the
 * compaction commands do. Everything here happens inside the write transaction of `apply`.
 *
 * Invariant ("One place", DESIGN.md): a block of a queued level that is in the index stands in exactly one of queue,
 * jobs and parked blocks; what leaves the index leaves them as well.
 */

import { tryDecodeUlid, ULID_BYTES, ulidTimeMs } from "../../base/index.ts";
import type { IndexDatabase } from "../../db/index.ts";
import { COMPACTION_JOB_BUCKETS, Tally } from "../../metrics/index.ts";
import {
  type BlockReader,
  type BlockRef,
  type ControlJobs,
  HEAD,
  JOB_STATUS,
  type JobPlan,
  type JobState,
  LIMITS,
  type NewJob,
  type PlanUpdate,
  type PollRecord,
  type Tombstone,
} from "../../protocol/index.ts";
import type { BlockIndex } from "../index/block-index.ts";
import { type BacklogRow, backlogRows } from "./backlog.ts";
import { BlockQueue, type LevelTotals } from "./block-queue.ts";
import { oldestBatchAtMs } from "./inspect.ts";
import { type BlockTest, isOneOf } from "./block-test.ts";
import { JobStore, type JobTotals } from "./job-store.ts";
import { CompactionMeta, readPolicyText } from "./meta.ts";
import { addOrphan, park, removeOrphans, unpark, unparkWhere } from "./parked.ts";
import { type CompactionPolicy, parsePolicy } from "./policy.ts";
import { changePolicy } from "./policy-change.ts";
import { placedIds } from "./placed.ts";
import { withNote } from "./reasons.ts";
import { putWorker } from "./workers.ts";

export interface CompactionModules {
  readonly db: IndexDatabase;
  readonly index: BlockIndex;
}

/** The entry at hand, as far as its effects depend on it. */
export interface EntryPosition {
  readonly index: number;
  readonly appendedAtMs: number;
}

/** Records a tombstone again that a job was to carry out. */
export type RecordTombstone = (tombstone: Tombstone) => void;

export class CompactionState {
  readonly #db: IndexDatabase;
  readonly #index: BlockIndex;
  readonly #meta = new CompactionMeta();
  readonly #queue: BlockQueue;
  readonly #jobs: JobStore;
  readonly #jobDurations = new Map<number, Tally>();
  #isLoaded = false;
  #index64 = 0;
  #appendedAtMs = 0;
  readonly #id: { bytes: Uint8Array; offset: number } = { bytes: new Uint8Array(0), offset: 0 };
  /** Source blocks of new jobs that were not queued, since the start, by level. */
  readonly deleteMissed: number[] = [];
  /** Plans that were refused, since the start. */
  plansRefused = 0;
  /** Blocks queued again after their job ended without a result, since the start. */
  requeued = 0;

  constructor({ db, index }: CompactionModules) {
    this.#db = db;
    this.#index = index;
    const meta = this.#meta;
    this.#queue = new BlockQueue({ db, meta });
    const internTenant = (name: string): number => index.tenants.internName(name);
    this.#jobs = new JobStore({ db, meta, internTenant });
  }

  /** null: compaction is off. */
  get policy(): CompactionPolicy | null {
    if (!this.#isLoaded) this.#load();
    return this.#meta.policy;
  }

  /** What plans are prepared from: changes with every change of jobs or policy. */
  get revision(): number {
    if (!this.#isLoaded) this.#load();
    return this.#meta.revision;
  }

  /** Changes whenever a plan may find more to do than before, times aside: batches flushed and entries about jobs. */
  get workCount(): number {
    return this.revision + this.#meta.flush;
  }

  /** When the oldest batch of a level that waits for a job got its first block, Unix ms; null: nothing waits. */
  oldestAtMs(level: number): number | null {
    return oldestBatchAtMs(this.#db, level);
  }

  /** The `namedMax` largest queues, and the others together. Cost: backlog.ts. */
  backlog(namedMax: number): BacklogRow[] {
    return backlogRows(this.#db, this.#queue.keys(), namedMax);
  }

  /** How long jobs took from their creation to their result, s, by level, since somebody last took them. */
  get jobDurations(): ReadonlyMap<number, Tally> {
    return this.#jobDurations;
  }

  queueTotals(): LevelTotals[] {
    return this.#queue.totals();
  }

  jobTotals(): JobTotals[] {
    return this.#jobs.totals();
  }

  /** Blocks queued since the start, by level. */
  get pushed(): readonly number[] {
    return this.#queue.pushed;
  }

  /**
   * Before the effects of an entry. What they change must be there by then: loaded later, the stored numbers would take the
   * place of those that the first entries behind a start have led to, here and on no other member.
   */
  begin(entry: EntryPosition): void {
    if (!this.#isLoaded) this.#load();
    this.#index64 = entry.index;
    this.#appendedAtMs = entry.appendedAtMs;
  }

  /** A block is new in the index. `owner` as the index gave it before, -1 when the name was new. */
  offer(block: BlockReader, owner: number): void {
    const { policy } = this;
    const level = block.compactionLevel;
    if (policy === null || level >= policy.levels.length) return;
    const tenant = owner >= 0 ? owner : this.#index.findOwner(block);
    this.#id.bytes = block.u8;
    this.#id.offset = block.headOffset + HEAD.id;
    this.#push({ tenant, shard: block.shard, level }, policy);
  }

  /** Blocks were removed from the index, which stand anywhere. */
  forgetBlocks(
    owner: number,
    shard: number,
    ids: readonly string[],
    record: RecordTombstone,
  ): void {
    if (this.policy === null || owner < 0) return;
    const decoded = decodeIds(ids);
    if (decoded.length > 0) this.#forget(owner, shard, isOneOf(decoded), record);
  }

  /** A shard was removed from a partition, with everything in it. */
  forgetShard(
    owner: number,
    shard: number,
    window: { readonly startMs: number; readonly endMs: number },
    record: RecordTombstone,
  ): void {
    if (this.policy === null) return;
    const isInside: BlockTest = (bytes, offset) => {
      const timeMs = ulidTimeMs(bytes, offset);
      return timeMs >= window.startMs && timeMs < window.endMs;
    };
    this.#forget(owner, shard, isInside, record);
  }

  /** False when the text is no policy. */
  setPolicy(json: string): boolean {
    const result = parsePolicy(json);
    if (!result.ok) return false;
    this.#meta.setPolicy(this.#db, json, result.policy);
    this.#queue.applyPolicy(result.policy);
    this.#jobs.applyPolicy();
    this.#noteChange();
    return true;
  }

  /** Changes the policy in force, or the one that the change brings along. */
  changePolicy(json: string): "applied" | "unchanged" | "bad_policy" {
    const result = changePolicy(readPolicyText(this.#db), json);
    if (!result.ok || Buffer.byteLength(result.json) > LIMITS.policyMaxBytes) return "bad_policy";
    if (!result.isChanged) return "unchanged";
    return this.setPolicy(result.json) ? "applied" : "bad_policy";
  }

  /** An operator's hand on jobs; false when nothing changed. */
  control({ action, names, reason }: ControlJobs, record: RecordTombstone): boolean {
    let changes = 0;
    for (const name of names) {
      const state = this.#jobs.state(name);
      if (state === null) continue;
      changes++;
      if (action === "cancel") {
        this.#endJob(name, record, "dropped");
        continue;
      }
      const isRetry = action === "retry";
      this.#jobs.update({
        ...state,
        status: isRetry ? JOB_STATUS.unassigned : JOB_STATUS.quarantined,
        failures: isRetry ? 0 : state.failures,
        leaseExpiresAtMs: 0,
        owner: "",
        // A job that begins anew has not failed.
        reason: withNote(isRetry ? "" : state.reason, reason),
      });
    }
    if (changes > 0) this.#noteChange();
    return changes > 0;
  }

  // -- effects of plans, in the order of spec 6 -------------------------------------------------------------------

  /** Takes the source blocks of a new job out of the queue. */
  takeSources({ plan }: NewJob): void {
    const tenant = this.#index.tenants.findName(plan.tenant);
    const ids = decodeIds(plan.sourceBlocks);
    const place = { tenant, shard: plan.shard, level: plan.level };
    const taken = tenant < 0 || plan.level >= LEVELS_MAX ? 0 : this.#takeIds(place, ids);
    if (plan.level >= LEVELS_MAX) return;
    const missed = plan.sourceBlocks.length - taken;
    this.deleteMissed[plan.level] = (this.deleteMissed[plan.level] ?? 0) + missed;
  }

  addJob({ state, plan }: NewJob): void {
    this.#jobs.add(state, plan);
  }

  /** Unknown names are ignored: a job without a plan would help nobody. */
  updateJob(state: JobState): void {
    this.#jobs.update(state);
  }

  /** The leases of these jobs go on. */
  refreshJobs(names: readonly string[], leaseExpiresAtMs: number): void {
    for (const name of names) this.#jobs.renew(name, leaseExpiresAtMs);
  }

  /** Plan of a job that is done, or null when there is none of that name. */
  completeJob(state: JobState): JobPlan | null {
    const plan = this.#jobs.remove(state.name, "completed");
    if (plan !== null) this.#noteDuration(state);
    return plan;
  }

  /** The job of that name ends without a result: its blocks wait, its tombstones are recorded again. */
  evictJob(name: string, record: RecordTombstone): void {
    this.#endJob(name, record, "evicted");
  }

  #endJob(name: string, record: RecordTombstone, end: "evicted" | "dropped"): void {
    const plan = this.#jobs.remove(name, end);
    if (plan === null) return;
    for (const tombstone of plan.tombstones) record(tombstone);
    this.parkSources(plan, new Set());
  }

  /** Blocks of a job that are still in the index, but for those in `handled`, wait to be queued again. */
  parkSources(plan: JobPlan, handled: ReadonlySet<string>): void {
    const tenant = this.#index.tenants.findName(plan.tenant);
    const { policy } = this;
    if (tenant < 0 || policy === null) return;
    const dueAtMs = this.#nowMs() + policy.requeueDelayMs;
    const id = new Uint8Array(ULID_BYTES);
    for (const text of plan.sourceBlocks) {
      if (handled.has(text) || !tryDecodeUlid(text, id, 0)) continue;
      if (this.#index.levelOf(tenant, plan.shard, id) < 0) continue;
      park(this.#db, this.#meta, { dueAtMs, tenant, shard: plan.shard, id: text });
    }
  }

  /** Queues blocks again: those that wait for it, and those without a due time that stand nowhere. */
  requeue(blocks: readonly BlockRef[]): void {
    const { policy } = this;
    if (policy === null || blocks.length === 0) return;
    this.#queue.flush();
    const placed = new Map<string, Set<string>>();
    for (const { tenant: name, shard, id, dueAtMs } of blocks) {
      const tenant = this.#index.tenants.findName(name);
      const bytes = new Uint8Array(ULID_BYTES);
      if (tenant < 0 || !tryDecodeUlid(id, bytes, 0)) continue;
      if (dueAtMs > 0) {
        if (!unpark(this.#db, this.#meta, { dueAtMs, tenant, shard, id })) continue;
      } else {
        const key = `${tenant}/${shard}`;
        const ids = placed.get(key) ?? placedIds(this.#db, { tenant, shard }, policy.levels.length);
        placed.set(key, ids);
        if (ids.has(id)) continue;
        ids.add(id);
      }
      const level = this.#index.levelOf(tenant, shard, bytes);
      if (level < 0 || level >= policy.levels.length) continue;
      this.#pushId({ tenant, shard, level }, bytes, policy);
      this.requeued++;
    }
  }

  noteOrphan({ tenant: name, shard, id }: BlockRef): void {
    const tenant = this.#index.tenants.internName(name);
    const bytes = new Uint8Array(ULID_BYTES);
    if (!tryDecodeUlid(id, bytes, 0) || this.#index.levelOf(tenant, shard, bytes) >= 0) return;
    addOrphan(this.#db, this.#meta, { foundAtMs: this.#nowMs(), tenant, shard, id });
  }

  /** A tenant is deleted: whatever was made of it is found by listing. */
  forgetOrphans(owner: number): void {
    if (this.policy !== null) removeOrphans(this.#db, this.#meta, owner);
  }

  notePoll(poll: PollRecord, plan: PlanUpdate): void {
    if (poll.worker === "") return;
    const { updatedJobs, assignedJobs, refreshed } = plan;
    const namesAt = (jobs: readonly JobState[], positions: readonly number[]): string[] =>
      positions.flatMap((i) => jobs[i]?.name ?? []);
    const renewed = poll.refreshed.flatMap((i) => refreshed[i] ?? []);
    putWorker(this.#db, this.#meta, poll.worker, {
      requestId: poll.requestId,
      seenAtMs: this.#nowMs(),
      updated: [...namesAt(updatedJobs, poll.updated), ...renewed],
      assigned: namesAt(assignedJobs, poll.assigned),
    });
  }

  /** A plan was applied. */
  endPlan(): void {
    this.#noteChange();
  }

  // -- transactions -----------------------------------------------------------------------------------------------

  /** Stores what the transaction changed in memory. */
  flush(): void {
    this.#queue.flush();
    this.#meta.store(this.#db);
  }

  /** After a transaction that did not happen. */
  forget(): void {
    this.#queue.forget();
    this.#jobs.forget();
    this.#isLoaded = false;
  }

  #load(): void {
    this.#meta.load(this.#db);
    this.#isLoaded = true;
  }

  #noteDuration({ level, addedAtMs }: JobState): void {
    if (level >= LEVELS_MAX) return;
    const tally = this.#jobDurations.get(level) ?? new Tally(COMPACTION_JOB_BUCKETS);
    this.#jobDurations.set(level, tally);
    tally.add(Math.max(0, this.#appendedAtMs - addedAtMs) / 1_000);
  }

  #noteChange(): void {
    this.#meta.revision = this.#index64;
    this.#meta.isDirty = true;
  }

  /** Time of the entry at hand, never before that of an earlier one. */
  #nowMs(): number {
    if (this.#appendedAtMs > this.#meta.clockMs) {
      this.#meta.clockMs = this.#appendedAtMs;
      this.#meta.isDirty = true;
    }
    return this.#meta.clockMs;
  }

  #push(
    place: { readonly tenant: number; readonly shard: number; readonly level: number },
    policy: CompactionPolicy,
  ): void {
    this.#queue.push(
      place,
      this.#id,
      { logIndex: this.#index64, appendedAtMs: this.#appendedAtMs, nowMs: this.#nowMs() },
      policy,
    );
  }

  #pushId(
    place: { readonly tenant: number; readonly shard: number; readonly level: number },
    bytes: Uint8Array,
    policy: CompactionPolicy,
  ): void {
    this.#id.bytes = bytes;
    this.#id.offset = 0;
    this.#push(place, policy);
  }

  #takeIds(
    place: { readonly tenant: number; readonly shard: number; readonly level: number },
    ids: readonly Uint8Array[],
  ): number {
    return this.#queue.remove(place, isOneOf(ids), ids.length);
  }

  /** Takes blocks that left the index out of everything that names them. */
  #forget(tenant: number, shard: number, test: BlockTest, record: RecordTombstone): void {
    for (const { level } of this.#queue.totals())
      this.#queue.remove({ tenant, shard, level }, test);
    unparkWhere(this.#db, this.#meta, { tenant, shard }, test);
    const id = new Uint8Array(ULID_BYTES);
    for (const name of this.#jobs.namesOf(tenant, shard)) {
      const plan = this.#jobs.plan(name);
      if (plan === null) continue;
      const isHit = plan.sourceBlocks.some((text) => tryDecodeUlid(text, id, 0) && test(id, 0));
      if (!isHit) continue;
      this.#dropJob(name, record);
      this.#noteChange();
    }
  }

  /** A job lost blocks: it cannot be completed any more. What is left of them is queued again at once. */
  #dropJob(name: string, record: RecordTombstone): void {
    const plan = this.#jobs.remove(name, "dropped");
    const { policy } = this;
    if (plan === null || policy === null) return;
    for (const tombstone of plan.tombstones) record(tombstone);
    const tenant = this.#index.tenants.findName(plan.tenant);
    for (const bytes of decodeIds(plan.sourceBlocks)) {
      const level = this.#index.levelOf(tenant, plan.shard, bytes);
      if (level < 0 || level >= policy.levels.length) continue;
      this.#pushId({ tenant, shard: plan.shard, level }, bytes, policy);
    }
  }
}

/** Levels that a queue can exist for. */
const LEVELS_MAX = 64;

/** Those of the ids that are ULIDs; others are in no index. */
function decodeIds(ids: readonly string[]): Uint8Array[] {
  const decoded: Uint8Array[] = [];
  for (const text of ids) {
    const bytes = new Uint8Array(ULID_BYTES);
    if (tryDecodeUlid(text, bytes, 0)) decoded.push(bytes);
  }
  return decoded;
}
