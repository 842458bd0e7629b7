/**
 * Step 1 of the loop (DESIGN.md): proposals on their way into the core. Small ones wait for the end of the turn and go
 * in together; all of them reach the core in the order in which they came.
 */

import type { ProposedEntries, ProposeOutcome, Raft } from "../raft/index.ts";
import { type GroupMember, memberOf, ProposalGroup } from "./proposal-group.ts";
import type { ProposalQueue } from "./proposal-queue.ts";
import type { ProposeDone, ReplicaStats } from "./types.ts";

/** Least bytes of proposals that start a write before their turn ends: smaller writes cost more than the overlap gains. */
const EARLY_WRITE_BYTES = 128 * 1024;

export type ProposeRefused = ProposeOutcome & { readonly ok: false };

export interface IntakeModules {
  readonly core: Raft;
  /** Gets what the core has taken. */
  readonly queue: ProposalQueue;
  readonly stats: ReplicaStats;
  /** Wall clock of the turn, Unix ms. */
  readonly nowMs: () => number;
  /** The core has not taken it: nothing of it is logged. */
  readonly onRefused: (outcome: ProposeRefused, done: ProposeDone) => void;
}

export class Intake {
  readonly #modules: IntakeModules;
  readonly #group: ProposalGroup;
  /** Bytes of proposals since the last `drained`, and what there was the last time there was something. */
  #bytes = 0;
  #drainedBytes = 0;

  /** `batchMaxBytes`: the most that proposals which go in together may amount to. */
  constructor(batchMaxBytes: number, modules: IntakeModules) {
    this.#modules = modules;
    this.#group = new ProposalGroup(batchMaxBytes);
  }

  /** Proposals that the core has not seen. */
  get length(): number {
    return this.#group.length;
  }

  /**
   * Callers that were answered together come back together. With half of them on their way to the disk while the rest
   * is still taken in, two groups alternate: one is written while the other is applied.
   */
  get isEnoughToWrite(): boolean {
    return this.#bytes >= Math.max(EARLY_WRITE_BYTES, this.#drainedBytes / 2);
  }

  add(entries: ProposedEntries, done: ProposeDone): void {
    const group = this.#group;
    // A member that does not lead refuses at once.
    const isGathered = this.#modules.core.isLeader && group.takes(entries);
    if (!isGathered || !group.hasRoomFor(entries.bodyBytes)) this.handOver();
    if (isGathered) group.add(entries, done);
    else this.#propose(entries, [memberOf(entries.count, done)]);
    this.#bytes += entries.bodyBytes;
  }

  /** Gives the core what was gathered. */
  handOver(): void {
    const group = this.#group;
    if (group.length > 0) this.#propose(group.entries(), group.takeMembers());
  }

  /** The core is drained: what comes from here on is another group. */
  drained(): void {
    if (this.#bytes > 0) this.#drainedBytes = this.#bytes;
    this.#bytes = 0;
  }

  /** Takes out what the core has not seen and will not see. */
  takeAll(): readonly GroupMember[] {
    return this.#group.takeMembers();
  }

  #propose(entries: ProposedEntries, members: readonly GroupMember[]): void {
    const { core, queue, stats, nowMs, onRefused } = this.#modules;
    const outcome = core.propose(entries, nowMs());
    if (!outcome.ok) {
      for (const { done } of members) onRefused(outcome, done);
      return;
    }
    const { term } = outcome;
    let { firstIndex } = outcome;
    for (const member of members) {
      member.firstIndex = firstIndex;
      member.term = term;
      queue.push(member);
      firstIndex += member.count;
    }
    stats.proposals += members.length;
    stats.entries += entries.count;
    stats.batchEntries.add(entries.count);
  }
}
