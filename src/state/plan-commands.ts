/**
 * What the compaction commands do (compaction spec, section 6). A plan is applied as it is: the leader has decided.
 * What may be refused is the plan as a whole, when it was made from another state than the one it meets.
 */

import type {
  BlockRef,
  CompactedBlocks,
  FinishedJob,
  JobPlan,
  PlanUpdate,
  Tombstone,
} from "../protocol/index.ts";
import type { BlockCommands } from "./block-commands.ts";
import type { DeletionStore } from "./deletions/store.ts";
import type { BlockIndex } from "./index/block-index.ts";
import type { CommandResult, LogEntry } from "./log-entry.ts";
import type { CompactionState, RecordTombstone } from "./compaction/compaction-state.ts";
import { tombstoneName } from "./tombstones/rows.ts";
import { checkTombstone, type TombstoneStore } from "./tombstones/store.ts";

export interface PlanCommandModules {
  readonly blocks: BlockCommands;
  readonly compaction: CompactionState;
  readonly tombstones: TombstoneStore;
  readonly deletions: DeletionStore;
  readonly index: Pick<BlockIndex, "tenants">;
}

export class PlanCommands {
  readonly #blocks: BlockCommands;
  readonly #compaction: CompactionState;
  readonly #tombstones: TombstoneStore;
  readonly #deletions: DeletionStore;
  readonly #tenants: BlockIndex["tenants"];

  constructor(modules: PlanCommandModules) {
    this.#blocks = modules.blocks;
    this.#compaction = modules.compaction;
    this.#tombstones = modules.tombstones;
    this.#deletions = modules.deletions;
    this.#tenants = modules.index.tenants;
  }

  apply(update: PlanUpdate, entry: LogEntry, record: RecordTombstone): CommandResult {
    const compaction = this.#compaction;
    // A member that knows version 1 only would not see these.
    const plan = entry.version === 1 ? { ...update, refreshed: [] } : update;
    if (compaction.policy === null) return "compaction_off";
    if (plan.term !== entry.term || plan.revision !== compaction.revision) {
      compaction.plansRefused++;
      return "plan_outdated";
    }
    for (const job of plan.newJobs) compaction.takeSources(job);
    for (const { name } of plan.evictedJobs) compaction.evictJob(name, record);
    for (const job of plan.newJobs) compaction.addJob(job);
    for (const state of plan.updatedJobs) compaction.updateJob(state);
    compaction.refreshJobs(plan.refreshed, plan.refreshedUntilMs);
    for (const state of plan.assignedJobs) compaction.updateJob(state);
    const finished = plan.completedJobs.flatMap((job) => this.#finish(job));
    for (const job of plan.newJobs) {
      for (const tombstone of job.plan.tombstones) {
        this.#tombstones.delete(tombstoneName(tombstone));
      }
    }
    for (const { job, plan: jobPlan } of finished) this.#takeResult(job, jobPlan, record);
    compaction.requeue(plan.requeued);
    for (const orphan of plan.orphans) this.#noteOrphan(orphan);
    for (const poll of plan.polls) compaction.notePoll(poll, plan);
    compaction.endPlan();
    return "applied";
  }

  /** What a worker made of a tenant that is deleted is not for the list, but for the deletion. */
  #noteOrphan(orphan: BlockRef): void {
    const owner = this.#tenants.findName(orphan.tenant);
    if (this.#deletions.isHidden(owner)) this.#deletions.noteLate(owner, 1);
    else this.#compaction.noteOrphan(orphan);
  }

  /** Removes a completed job, unless its result cannot be stored: then it stays as if nothing had been reported. */
  #finish(job: FinishedJob): { job: FinishedJob; plan: JobPlan }[] {
    const { compacted } = job;
    if (compacted !== null && this.#blocks.checkCompacted(compacted, 0) !== null) return [];
    if (compacted !== null && checkTombstone(tombstoneOf(job, compacted)) !== null) return [];
    const plan = this.#compaction.completeJob(job.state);
    return plan === null ? [] : [{ job, plan }];
  }

  /** Spec 13. Blocks of the job that the worker did not use wait to be queued again. */
  #takeResult(job: FinishedJob, plan: JobPlan, record: RecordTombstone): void {
    const { compacted } = job;
    const source = compacted?.source ?? null;
    if (compacted === null || source === null || compacted.newBlocks.length === 0) {
      this.#compaction.parkSources(plan, new Set());
      return;
    }
    record(tombstoneOf(job, compacted));
    const planned = new Set(plan.sourceBlocks);
    // A result that is a source as well is queued by the insertion and removed after it.
    for (const id of this.#blocks.idsOf(compacted)) planned.delete(id);
    const others = source.blocks.filter((id) => !planned.has(id));
    this.#blocks.replaceSources(compacted);
    if (others.length > 0) this.#blocks.forgetSources({ ...source, blocks: others }, record);
    this.#compaction.parkSources(plan, new Set(source.blocks));
  }
}

function tombstoneOf({ state }: FinishedJob, { source }: CompactedBlocks): Tombstone {
  const { name, level } = state;
  const sources = source ?? { tenant: "", shard: 0, blocks: [] };
  return { blocks: { name, compactionLevel: level, ...sources }, shard: null };
}
