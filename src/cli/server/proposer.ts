/**
 * Between what reader threads ask and what the replica offers: raises the term where a raw command demands one, and
 * times every proposal.
 */
import type { MetricRegistry } from "../../metrics/index.ts";
import type { Replica, ReplicaStatus } from "../../replica/index.ts";
import type { GrantResult, ProposedEntries, Proposer, ProposeResult } from "../../server/index.ts";

export class ReplicaProposer implements Proposer {
  readonly #replica: Replica;
  readonly #metrics: MetricRegistry;

  constructor(replica: Replica, metrics: MetricRegistry) {
    this.#replica = replica;
    this.#metrics = metrics;
  }

  propose(proposal: ProposedEntries, done: (result: ProposeResult) => void): void {
    const startedAtMs = performance.now();
    const finish = (result: ProposeResult): void => {
      const seconds = (performance.now() - startedAtMs) / 1_000;
      if (result.ok)
        this.#metrics.observe("pyroscope_metastore_raft_apply_command_duration_seconds", seconds);
      this.#metrics.add("hearth_raft_proposals_total", {
        result: result.ok ? "applied" : result.error.reason,
      });
      done(result);
    };
    if (proposal.termAtLeast <= this.#replica.term) {
      this.#append(proposal, finish);
      return;
    }
    this.#replica.campaign(proposal.termAtLeast, (result) => {
      if (result.ok) this.#append(proposal, finish);
      else finish(result);
    });
  }

  #append(proposal: ProposedEntries, done: (result: ProposeResult) => void): void {
    const { body, count, appendedAtMs } = proposal;
    const at = appendedAtMs === 0 ? undefined : appendedAtMs;
    this.#replica.propose({ body, bodyBytes: body.length, count, appendedAtMs: at }, done);
  }

  readIndex(done: (result: GrantResult) => void): void {
    this.#replica.readIndex(done);
  }

  /** Plain JSON: the failure is told in words. */
  status(): object {
    const { failure, peers, nodeId, ...status }: ReplicaStatus = this.#replica.status();
    return { ...status, failure: failure?.message ?? null };
  }
}
