/** What a start finds: does the state belong to the log, and what does the core begin with. */

import { type HearthError, toHearthError } from "../base/index.ts";
import type { DurableLog } from "../log/index.ts";
import {
  decodeMembershipBatch,
  type Member,
  type Membership,
  type MembershipAt,
  type RaftStart,
  type SnapshotMeta,
  type TermSpan,
} from "../raft/index.ts";
import type { AppliedPosition } from "./applier.ts";
import { isDamagedImage, mismatch } from "./errors.ts";
import type { SnapshotStore } from "./ports.ts";
import { type InstallProgress, installSnapshot } from "./install.ts";
import type { ReplicaStats, StateMachine } from "./types.ts";

export interface StartModules {
  readonly log: DurableLog;
  readonly stateMachine: StateMachine;
  readonly snapshots: SnapshotStore | null;
  /** Of a snapshot that the start puts in the place of the state. */
  readonly progress: InstallProgress;
  readonly stats: Pick<ReplicaStats, "snapshotFailures">;
}

export interface Found {
  readonly start: RaftStart;
  readonly position: AppliedPosition;
}

/**
 * Checks that log and state belong together; a state that ends before the log begins is brought up from a snapshot.
 *
 * Errors: HearthError failed_precondition; what to do about it is in its `next`.
 */
export async function findStart(
  modules: StartModules,
  bootstrap: readonly Member[],
): Promise<Found> {
  const { log, stateMachine, snapshots } = modules;
  await bringUpFromSnapshot(modules);
  const { appliedIndex } = stateMachine;
  if (appliedIndex > log.lastIndex) {
    const text = `The index has applied log index ${appliedIndex}, but the log ends at ${log.lastIndex}`;
    throw mismatch("state_ahead_of_log", text);
  }
  if (appliedIndex + 1 < log.firstIndex) {
    const text = `The index ends at log index ${appliedIndex}, but the log begins at ${log.firstIndex}`;
    throw mismatch("state_behind_log", text);
  }
  assertSameTerm(modules, appliedIndex);
  const snapshot = usableSnapshot(snapshots, appliedIndex);
  const memberships = membershipsOf(log, snapshot, bootstrap);
  const start: RaftStart = {
    hardState: log.hardState,
    firstIndex: log.firstIndex,
    baseTerm: log.baseTerm,
    lastIndex: log.lastIndex,
    terms: log.terms,
    memberships,
    snapshot,
    appliedIndex,
    commitIndex: Math.min(log.lastIndex, Math.max(log.commitIndex, appliedIndex)),
    lastAppendedAtMs: Math.max(log.lastAppendedAtMs, snapshot?.appendedAtMs ?? 0),
  };
  const position: AppliedPosition = {
    index: appliedIndex,
    term: stateMachine.appliedTerm,
    // Log time of what comes next is at or above; a snapshot before the next entry may carry the newest one known.
    appendedAtMs: start.lastAppendedAtMs,
    membership: memberships.findLast(({ index }) => index <= appliedIndex) ?? NO_MEMBERSHIP,
  };
  return { start, position };
}

/** The term of an entry of the log, or of the one before its first; -1 when it is not there. */
function termOf(
  log: Pick<DurableLog, "firstIndex" | "lastIndex" | "baseTerm" | "terms">,
  index: number,
): number {
  if (index === log.firstIndex - 1) return log.baseTerm;
  if (index < log.firstIndex || index > log.lastIndex) return -1;
  return log.terms.findLast((span: TermSpan) => span.firstIndex <= index)?.term ?? -1;
}

/**
 * From the newest snapshot that the log goes on behind, or from an older one when the content of that is damaged: with the
 * log behind it, each leads to the same state. One that failed is set aside when another has done, so that nobody is
 * offered it; without another it stays, since a later version of the program may read it.
 */
async function bringUpFromSnapshot(modules: StartModules): Promise<void> {
  const { log, stateMachine, snapshots: store, progress, stats } = modules;
  if (store === null || stateMachine.appliedIndex + 1 >= log.firstIndex) return;
  const failures: { readonly meta: SnapshotMeta; readonly error: HearthError }[] = [];
  for (const meta of store.complete.toReversed()) {
    if (!isCovered(log, meta)) continue;
    try {
      await installSnapshot({ stateMachine, store, progress }, meta);
      for (const { meta: bad, error } of failures) await store.setAside(bad, error.message);
      return;
    } catch (error) {
      stats.snapshotFailures.install += 1;
      if (!isDamagedImage(error)) throw error;
      failures.push({ meta, error: toHearthError(error) });
    }
  }
  if (failures[0] !== undefined) throw failures[0].error;
}

/** The log goes on behind it, and is of the same history. */
function isCovered(log: DurableLog, { index, term }: SnapshotMeta): boolean {
  return index + 1 >= log.firstIndex && index <= log.lastIndex && termOf(log, index) === term;
}

function assertSameTerm({ log, stateMachine }: StartModules, appliedIndex: number): void {
  if (appliedIndex === 0) return;
  const found = termOf(log, appliedIndex);
  if (found === stateMachine.appliedTerm) return;
  const text = `The index has applied log index ${appliedIndex} of term ${stateMachine.appliedTerm}, but the log has term ${found} there`;
  throw mismatch("state_of_other_log", text);
}

/**
 * The newest one that the state has. One ahead of it was received and never installed: the leader offers it, or a newer one,
 * again; until then the log stands on what is below.
 */
function usableSnapshot(store: SnapshotStore | null, appliedIndex: number): SnapshotMeta | null {
  return store?.complete.findLast(({ index }) => index <= appliedIndex) ?? null;
}

const NO_MEMBERSHIP: MembershipAt = {
  index: 0,
  membership: { members: [], voters: [], votersOutgoing: [], learners: [], learnersNext: [] },
};

function membershipsOf(
  log: DurableLog,
  snapshot: SnapshotMeta | null,
  bootstrap: readonly Member[],
): readonly MembershipAt[] {
  const logged = log.memberships.map(({ index, body }) => ({
    index,
    membership: decodeMembershipBatch({ body, bodyBytes: body.length }),
  }));
  if (snapshot !== null) {
    const { membership } = snapshot;
    return [membership, ...logged.filter(({ index }) => index > membership.index)];
  }
  const [self] = bootstrap;
  const isOldLog = logged.length === 0 && log.lastIndex > 0 && bootstrap.length === 1;
  // A log of one member from before members were logged.
  if (isOldLog && self !== undefined) return [{ index: 0, membership: soleMembership(self) }];
  if (logged.length === 0 && log.lastIndex > 0) {
    const text = `The log ends at index ${log.lastIndex}, but neither it nor a snapshot says who the members are`;
    throw mismatch("log_without_members", text);
  }
  return logged;
}

function soleMembership(self: Member): Membership {
  return { ...NO_MEMBERSHIP.membership, members: [self], voters: [self.id] };
}
