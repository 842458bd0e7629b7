/** The replica as the server sees it: entries in, outcomes out, and the claim behind strong reads. */

import type { PublishedState, Replica } from "../replica/index.ts";
import type { SharedState } from "../read/index.ts";
import type { GrantResult, ProposedEntries, Proposer, ProposeResult } from "./write-bridge.ts";

/** Hands what reader threads ask to the replica. */
export class ReplicaProposer implements Proposer {
  readonly #replica: Replica;

  constructor(replica: Replica) {
    this.#replica = replica;
  }

  propose(proposal: ProposedEntries, done: (result: ProposeResult) => void): void {
    if (proposal.termAtLeast === 0) {
      this.#propose(proposal, done);
      return;
    }
    this.#replica.campaign(proposal.termAtLeast, (result) => {
      if (result.ok) this.#propose(proposal, done);
      else done(result);
    });
  }

  readIndex(done: (result: GrantResult) => void): void {
    this.#replica.readIndex(done);
  }

  status(): object {
    return this.#replica.status();
  }

  #propose({ body, count, appendedAtMs }: ProposedEntries, done: (result: ProposeResult) => void): void {
    const recordedAtMs = appendedAtMs === 0 ? undefined : appendedAtMs;
    this.#replica.propose({ body, bodyBytes: body.length, count, appendedAtMs: recordedAtMs }, done);
  }
}

/**
 * What the replica calls after every change. With one voter, leading means that an entry of the own term is committed
 * and that nobody else can commit: the commit index alone grants a strong read.
 */
export function publishTo(sharedState: SharedState): (state: PublishedState) => void {
  return (state) => sharedState.publish({ ...state, canGrantReads: state.isLeader });
}
