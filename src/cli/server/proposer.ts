/**
 * Between what reader threads ask and what the replica offers: sends writes to the leader where another member leads,
 * bounds the wait for a read index, names leaders by the address that clients use, raises the term where a raw command
 * demands one, and times every proposal.
 */
import { formatDuration, HearthError } from "../../base/index.ts";
import type { MetricRegistry } from "../../metrics/index.ts";
import type { NodeId } from "../../raft/index.ts";
import type { Replica, ReplicaStatus } from "../../replica/index.ts";
import type { Proposer } from "../../server/index.ts";
import {
  type AddressBook,
  NOT_PROPOSED,
  type Proposal,
  type ProposalResult,
  type ReadIndexResult,
  type WriteForwarder,
} from "../../service/index.ts";

export interface ProposerOptions {
  /** Longest wait for a read index. */
  readonly readTimeoutMs: number;
}

/** What proposals and reads need of the replica. */
export type ProposerReplica = Pick<
  Replica,
  "leader" | "term" | "propose" | "readIndex" | "campaign" | "status"
>;

export interface ProposerModules {
  readonly replica: ProposerReplica;
  readonly metrics: MetricRegistry;
  readonly forwarder: Pick<WriteForwarder, "forward">;
  readonly book: AddressBook;
  readonly nodeId: NodeId;
}

/** Looks at what writers propose, where this member takes it for the log. */
export interface ProposalSampler {
  /** A copy of the entries, or null when they do not interest. `body` is borrowed. */
  take(body: Uint8Array): Uint8Array | null;
  /** What `take` copied has been applied. */
  keep(copy: Uint8Array): void;
}

export class ReplicaProposer implements Proposer {
  readonly #options: ProposerOptions;
  readonly #modules: ProposerModules;
  readonly #replica: ProposerReplica;
  #sampler: ProposalSampler | null = null;

  constructor(options: ProposerOptions, modules: ProposerModules) {
    this.#options = options;
    this.#modules = modules;
    this.#replica = modules.replica;
  }

  sampleInto(sampler: ProposalSampler): void {
    this.#sampler = sampler;
  }

  /** For clients of this node: here, or by way of the leader. */
  propose(proposal: Proposal, done: (result: ProposalResult) => void): void {
    const { forwarder, nodeId, book, metrics } = this.#modules;
    const finish = (result: ProposalResult): void =>
      done(result.ok ? result : { ok: false, error: book.translate(result.error, "websocket") });
    const { leader } = this.#replica;
    // What a raw command demands of term and time only this member can give it.
    const isPlain = proposal.termAtLeast === 0 && proposal.appendedAtMs === 0;
    if (leader === "" || leader === nodeId || !isPlain) {
      this.proposeHere(proposal, finish);
      return;
    }
    if (performance.now() >= proposal.deadlineAtMs) return this.#refuseLate(done);
    forwarder.forward(leader, proposal, (result) => {
      const outcome = result.ok ? "applied" : result.error.reason;
      metrics.add("hearth_raft_forwarded_total", { result: outcome });
      if (result.ok) finish(result);
      // The leader may be reached by the client itself where this member could not.
      else finish({ ok: false, error: this.#withLeader(result.error) });
    });
  }

  /** Here and nowhere else: what another member has forwarded must not travel on. */
  proposeHere(proposal: Proposal, done: (result: ProposalResult) => void): void {
    const { metrics } = this.#modules;
    const startedAtMs = performance.now();
    if (startedAtMs >= proposal.deadlineAtMs) return this.#refuseLate(done);
    const sample = this.#sampler?.take(proposal.body) ?? null;
    const finish = (result: ProposalResult): void => {
      const seconds = (performance.now() - startedAtMs) / 1_000;
      if (sample !== null && result.ok && result.rejections.size === 0) this.#sampler?.keep(sample);
      if (result.ok)
        metrics.observe("pyroscope_metastore_raft_apply_command_duration_seconds", seconds);
      metrics.add("hearth_raft_proposals_total", {
        result: result.ok ? "applied" : result.error.reason,
      });
      done(result);
    };
    if (proposal.termAtLeast <= this.#replica.term) this.#append(proposal, finish);
    else this.#appendInTerm(proposal, finish);
  }

  /** `done` is called once, within the time limit; the replica refuses much sooner where there is no leader to wait for. */
  readIndex(done: (result: ReadIndexResult) => void): void {
    const { metrics, book } = this.#modules;
    const startedAtMs = performance.now();
    let isOver = false;
    const finish = (result: ReadIndexResult): void => {
      if (isOver) return;
      isOver = true;
      clearTimeout(timer);
      const seconds = (performance.now() - startedAtMs) / 1_000;
      metrics.observe("pyroscope_metastore_raft_read_index_wait_duration_seconds", seconds);
      if (!result.ok && UNANSWERED.has(result.error.reason))
        metrics.add("hearth_raft_read_wait_timeouts_total");
      done(result.ok ? result : { ok: false, error: book.translate(result.error, "websocket") });
    };
    const timer = setTimeout(
      () => finish({ ok: false, error: this.#noGrant() }),
      this.#options.readTimeoutMs,
    );
    this.#replica.readIndex(finish);
  }

  /** Plain JSON: the failure is told in words. */
  status(): object {
    const { failure, peers, nodeId, ...status }: ReplicaStatus = this.#replica.status();
    return { ...status, failure: failure?.message ?? null };
  }

  /** It has waited for so long that nobody waits for it: work for it would only make the next ones wait longer. */
  #refuseLate(done: (result: ProposalResult) => void): void {
    this.#modules.metrics.add("hearth_raft_proposals_total", { result: NOT_PROPOSED.reason });
    done({ ok: false, error: NOT_PROPOSED });
  }

  /** Apart: a function here that knows the proposal would have `finish` hold the entries until they are answered. */
  #appendInTerm(proposal: Proposal, done: (result: ProposalResult) => void): void {
    this.#replica.campaign(proposal.termAtLeast, (result) => {
      if (result.ok) this.#append(proposal, done);
      else done(result);
    });
  }

  #append(proposal: Proposal, done: (result: ProposalResult) => void): void {
    const { body, count, appendedAtMs } = proposal;
    const at = appendedAtMs === 0 ? undefined : appendedAtMs;
    this.#replica.propose({ body, bodyBytes: body.length, count, appendedAtMs: at }, done);
  }

  #withLeader(error: HearthError): HearthError {
    const { leader } = this.#replica.status();
    return error.leader !== null || leader === null ? error : error.with({ leader });
  }

  #noGrant(): HearthError {
    const { leader } = this.#replica.status();
    const who = leader === null ? "there is no leader" : `${leader.id} leads and does not answer`;
    const message = `No read index within ${formatDuration(this.#options.readTimeoutMs)}: ${who}`;
    return new HearthError("unavailable", message, {
      reason: leader === null ? "no_leader" : "leader_silent",
      leader: leader ?? undefined,
      retryAfterMs: 100,
    });
  }
}

/** No leader has answered a question for a read index in time. */
const UNANSWERED: ReadonlySet<string> = new Set(["no_leader", "leader_silent"]);
