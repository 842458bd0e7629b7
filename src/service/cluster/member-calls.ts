/**
 * raft_node.RaftNodeService on the main thread (spec raft-and-cluster, 9; grpc-contract, 3): in words of server ids, with
 * what the contract demands beyond ClusterControl. A change is made by the leader, wherever it is asked for.
 */

import { HearthError, isHearthError, toHearthError } from "../../base/index.ts";
import type { NodeInfoProto } from "../../protocol/index.ts";
import type { ReplicaStatus } from "../../replica/index.ts";
import type { MemberCall, MemberCallResult } from "../main-link.ts";
import type { ClusterControl, ClusterView, MemberView } from "./types.ts";

export interface MemberCallOptions {
  /** Version of the program. */
  readonly version: string;
  /** How long a new member may take to catch up, and a transfer of the leadership to happen. */
  readonly promoteTimeoutMs: number;
  readonly transferTimeoutMs: number;
}

export const MEMBER_CALL_DEFAULTS = { promoteTimeoutMs: 10_000, transferTimeoutMs: 3_000 } as const;

export interface MemberCallModules {
  readonly control: Pick<
    ClusterControl,
    "view" | "addMember" | "promoteMember" | "removeMember" | "transferLeadership"
  >;
  /** Null until the log is open. */
  readonly status: () => ReplicaStatus | null;
  /** Where this node says that others reach it, member or not. */
  readonly advertisedAddress: () => string;
}

type Change = Exclude<MemberCall, { readonly kind: "info" }>;

export class MemberCalls {
  readonly #options: MemberCallOptions;
  readonly #modules: MemberCallModules;

  constructor(options: MemberCallOptions, modules: MemberCallModules) {
    this.#options = options;
    this.#modules = modules;
  }

  /** `done` is called once; errors have the codes of the contract. */
  handle(call: MemberCall, done: (result: MemberCallResult) => void): void {
    if (call.kind === "info") {
      done({ ok: true, node: this.#info() });
      return;
    }
    this.#change(call).then(
      () => done({ ok: true, node: null }),
      (error: unknown) => done({ ok: false, error: contractError(error) }),
    );
  }

  async #change(call: Change): Promise<void> {
    const { control } = this.#modules;
    const { promoteTimeoutMs, transferTimeoutMs } = this.#options;
    const { serverId, currentTerm } = call;
    const view = control.view();
    // Without a term in the wish it is older than any. Who knows no leader cannot judge: another node may do it.
    if (view.leader !== null && currentTerm < view.term) throw staleTerm(currentTerm, view.term);
    // 0 would be no guard at all.
    const guard = { serverId, currentTerm: Math.max(1, currentTerm) };
    switch (call.kind) {
      case "add":
        await control.addMember({ ...guard, address: serverId });
        await control.promoteMember({ serverId, timeoutMs: promoteTimeoutMs });
        return;
      case "remove":
        if (isLeader(view, serverId)) throw refused(`${serverId} leads: move the leadership first`);
        await control.removeMember(guard).catch(unlessUnknown);
        return;
      case "promote":
        if (isLeader(view, serverId)) throw leadsAlready(serverId);
        await control.transferLeadership({ ...guard, timeoutMs: transferTimeoutMs });
        return;
      case "demote":
        if (view.leader !== null && !isLeader(view, serverId))
          throw refused(`${serverId} does not lead, ${view.leader.id} does`);
        await control.transferLeadership({
          ...guard,
          serverId: null,
          timeoutMs: transferTimeoutMs,
        });
    }
  }

  #info(): NodeInfoProto {
    const view = this.#modules.control.view();
    const status = this.#modules.status();
    return {
      serverId: view.askedNode,
      advertisedAddress: this.#modules.advertisedAddress(),
      state: stateOf(status),
      leaderId: view.leader?.id ?? "",
      commitIndex: status?.commitIndex ?? 0,
      appliedIndex: status?.appliedIndex ?? 0,
      lastIndex: status?.lastIndex ?? 0,
      stats: statsOf(view, status),
      peers: view.members.map(({ serverId, addresses, suffrage }) => ({
        serverId,
        serverAddress: addresses.peer,
        suffrage: SUFFRAGES[suffrage],
      })),
      configurationIndex: view.configurationIndex,
      currentTerm: view.term,
      buildVersion: this.#options.version,
      buildRevision: "",
    };
  }
}

const SUFFRAGES = { voter: "Voter", learner: "Nonvoter", leaving: "Voter" } as const;

function stateOf(status: ReplicaStatus | null): string {
  if (status === null) return "Follower";
  if (status.phase === "stopping" || status.phase === "stopped" || status.phase === "failed")
    return "Shutdown";
  if (status.role === "leader") return "Leader";
  return status.role === "candidate" || status.role === "preCandidate" ? "Candidate" : "Follower";
}

/** For people: the names of the reference, as far as they mean something here, sorted. */
function statsOf(view: ClusterView, status: ReplicaStatus | null): [string, string][] {
  const stats: Record<string, string> = {
    applied_index: String(status?.appliedIndex ?? 0),
    commit_index: String(status?.commitIndex ?? 0),
    fsm_pending: String(Math.max(0, (status?.commitIndex ?? 0) - (status?.appliedIndex ?? 0))),
    last_contact: lastContact(view),
    last_log_index: String(status?.lastIndex ?? 0),
    last_snapshot_index: String(status?.snapshotIndex ?? 0),
    latest_configuration: view.members.map(describeMember).join(" "),
    latest_configuration_index: String(view.configurationIndex),
    num_peers: String(Math.max(0, view.voters - 1)),
    state: stateOf(status),
    term: String(view.term),
  };
  return Object.entries(stats);
}

function describeMember({ serverId, addresses, suffrage }: MemberView): string {
  return `{${serverId} ${addresses.peer} ${SUFFRAGES[suffrage]}}`;
}

function lastContact(view: ClusterView): string {
  const leader = view.members.find(({ isLeader: leads }) => leads);
  if (leader === undefined) return "never";
  if (leader.isSelf) return "0";
  return leader.lastContactMs === null ? "never" : `${leader.lastContactMs}ms`;
}

function isLeader(view: ClusterView, serverId: string): boolean {
  return view.leader?.id === serverId;
}

/** Removing who is no member is no error. */
function unlessUnknown(error: unknown): void {
  if (!isHearthError(error) || error.code !== "not_found") throw error;
}

/** What is neither about leadership nor about the term is `unknown` in the contract: tools try again or give up. */
function contractError(error: unknown): HearthError {
  const failure = toHearthError(error);
  if (failure.code === "unavailable" && failure.reason !== TRANSFER_FAILED) return failure;
  if (failure.code === "invalid_argument" && FINAL_REASONS.has(failure.reason)) return failure;
  return new HearthError("unknown", failure.message, { reason: failure.reason, cause: failure });
}

/** What no repetition can change. */
const FINAL_REASONS: ReadonlySet<string> = new Set(["stale_term", "is_leader_already"]);
/** Leadership is where it was: nobody is to be asked instead. */
const TRANSFER_FAILED = "transfer_failed";

function staleTerm(asked: number, term: number): HearthError {
  return new HearthError("invalid_argument", `The request is of term ${asked}, this is ${term}`, {
    reason: "stale_term",
  });
}

function leadsAlready(serverId: string): HearthError {
  return new HearthError("invalid_argument", `${serverId} leads already`, {
    reason: "is_leader_already",
  });
}

function refused(message: string): HearthError {
  return new HearthError("failed_precondition", message, { reason: "refused_change" });
}
