/** Campaigns of this member, counted from what the core shows of itself whenever it says that something changed. */

import { ROLE, type RaftStatus } from "../raft/index.ts";

/** Kinds of news: a closed set, used as a metric label. */
export const ELECTION_KINDS = ["pre_vote", "vote", "won"] as const;

export type ElectionKind = (typeof ELECTION_KINDS)[number];

export class ElectionCount {
  readonly totals: Record<ElectionKind, number> = { pre_vote: 0, vote: 0, won: 0 };
  /** Terms in which a vote was asked for, and won. */
  #votedTerm = 0;
  #wonTerm = 0;

  observe({ role, term }: Pick<RaftStatus, "role" | "term">): void {
    // Nothing else is news of a member in this role; a sole voter passes it by within a step.
    if (role === ROLE.preCandidate) this.totals.pre_vote += 1;
    const hasAsked = role === ROLE.candidate || role === ROLE.leader;
    if (hasAsked && term > this.#votedTerm) {
      this.#votedTerm = term;
      this.totals.vote += 1;
    }
    if (role === ROLE.leader && term > this.#wonTerm) {
      this.#wonTerm = term;
      this.totals.won += 1;
    }
  }
}
