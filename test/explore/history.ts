/**
 * What has happened, as far as the invariants ask: who led, and what was committed. Checked and continued after every
 * step, for the one member that moved.
 */

import { type Batch, type Membership, type NodeId, ROLE } from "../../src/raft/index.ts";
import type { Disk } from "./disk.ts";
import type { MemberState } from "./member-state.ts";
import { nameOf } from "./nodes.ts";

export interface CommittedEntry {
  readonly batch: Batch;
  /** Term of the leader that committed it. */
  readonly inTerm: number;
}

export interface History {
  /** From index 1 on. */
  readonly committed: readonly CommittedEntry[];
  /** By term. */
  readonly leaders: ReadonlyMap<number, NodeId>;
}

export const NO_HISTORY: History = { committed: [], leaders: new Map() };

/** What the checks ask of a member, worked out once per member state. */
export interface Summary {
  readonly id: NodeId;
  readonly isLeader: boolean;
  readonly term: number;
  readonly commitIndex: number;
  /** The log in memory, from index 1 on. */
  readonly log: readonly Batch[];
  readonly disk: Disk;
  readonly membership: Membership;
}

export function summarize(member: MemberState): Summary {
  const { core, disk, works } = member;
  let log: readonly Batch[] = disk.batches;
  for (const work of works) {
    const cut = work.truncateFrom;
    if (cut !== null) log = log.filter(({ firstIndex }) => firstIndex < cut.fromIndex);
    if (work.batches.length > 0) log = [...log, ...work.batches];
  }
  return {
    id: core.options.nodeId,
    isLeader: core.role === ROLE.leader,
    term: core.term,
    commitIndex: core.commitIndex,
    log,
    disk,
    membership: (core.log.memberships.at(-1) as { membership: Membership }).membership,
  };
}

export type Advance =
  | { readonly problem: string }
  | { readonly problem: null; readonly history: History };

/** `moved` is the member that made a step, with its new state in `all`; `before` is what it was. */
export function advance(
  history: History,
  all: readonly Summary[],
  moved: number,
  before: Summary,
): Advance {
  const member = all[moved] as Summary;
  const problem = logMatching(all, member);
  if (problem !== null) return { problem };
  let next = history;
  if (member.isLeader) {
    const leader = history.leaders.get(member.term);
    if (leader === undefined) {
      const leaders = new Map(history.leaders).set(member.term, member.id);
      next = { ...next, leaders };
    } else if (leader !== member.id) {
      const names = `${nameOf(leader)} and ${nameOf(member.id)}`;
      return { problem: `election safety: ${names} both led term ${member.term}` };
    }
  }
  // A leader that commits its own removal follows from then on.
  const mayCommit = member.isLeader || (before.isLeader && before.term === member.term);
  const committed = commit(next, all, member, mayCommit);
  if (committed.problem !== null) return committed;
  next = committed.history;
  if (next === history && !member.isLeader) return { problem: null, history };
  const incomplete = leaderCompleteness(next, all);
  return incomplete === null ? { problem: null, history: next } : { problem: incomplete };
}

/** Entries of one index and term are the same, and so is everything before them. */
function logMatching(all: readonly Summary[], member: Summary): string | null {
  for (const other of all) {
    if (other === member) continue;
    let at = Math.min(member.log.length, other.log.length) - 1;
    while (at >= 0 && member.log[at]?.term !== other.log[at]?.term) at -= 1;
    for (; at >= 0; at--) {
      if (isSame(member.log[at], other.log[at])) continue;
      const names = `${nameOf(member.id)} and ${nameOf(other.id)}`;
      return `log matching: ${names} agree on a later entry but not on entry ${at + 1}`;
    }
  }
  return null;
}

function isSame(a: Batch | undefined, b: Batch | undefined): boolean {
  if (a === undefined || b === undefined) return false;
  if (a === b) return true;
  return a.term === b.term && a.kind === b.kind && Buffer.compare(a.body, b.body) === 0;
}

function commit(
  history: History,
  all: readonly Summary[],
  member: Summary,
  mayCommit: boolean,
): Advance {
  const committed = [...history.committed];
  for (let index = 1; index <= member.commitIndex; index++) {
    const batch = member.log[index - 1];
    const known = committed[index - 1];
    if (batch === undefined) {
      return { problem: `commit within log: ${nameOf(member.id)} has no entry ${index}` };
    }
    if (known !== undefined) {
      if (isSame(known.batch, batch)) continue;
      const terms = `of term ${known.batch.term} and of term ${batch.term}`;
      return { problem: `state machine safety: two committed entries ${index}, ${terms}` };
    }
    const name = nameOf(member.id);
    if (!mayCommit) {
      return { problem: `committed by a leader: ${name} commits ${index} before any leader` };
    }
    const problem = durableQuorumProblem(all, member, index);
    if (problem !== null) return { problem };
    committed.push({ batch, inTerm: member.term });
  }
  if (committed.length === history.committed.length) return { problem: null, history };
  return { problem: null, history: { ...history, committed } };
}

/** What is committed is on the disks of a quorum. */
function durableQuorumProblem(
  all: readonly Summary[],
  member: Summary,
  index: number,
): string | null {
  const name = nameOf(member.id);
  const { voters, votersOutgoing } = member.membership;
  const entry = member.log[index - 1];
  const has = (id: NodeId): boolean => {
    const disk = all.find((other) => other.id === id)?.disk;
    return isSame(disk?.batches[index - 1], entry);
  };
  for (const list of [voters, votersOutgoing]) {
    const count = list.filter(has).length;
    if (list.length === 0 || count * 2 > list.length) continue;
    return `committed on a durable quorum: ${name} commits ${index}, which ${count} of ${list.length} disks have`;
  }
  return null;
}

/** A leader has everything that was committed in earlier terms. */
function leaderCompleteness(history: History, all: readonly Summary[]): string | null {
  for (const leader of all) {
    if (!leader.isLeader) continue;
    for (const [position, { batch, inTerm }] of history.committed.entries()) {
      if (inTerm >= leader.term || isSame(leader.log[position], batch)) continue;
      return (
        `leader completeness: ${nameOf(leader.id)} leads term ${leader.term} without entry ` +
        `${position + 1} of term ${batch.term}, committed in term ${inTerm}`
      );
    }
  }
  return null;
}
