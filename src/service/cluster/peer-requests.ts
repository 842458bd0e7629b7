/** What this node answers to other nodes (`PEER_CALL`), from the first second of the process. */

import { HearthError, type Logger, toHearthError, unreachable } from "../../base/index.ts";
import {
  type AnswerPeer,
  decodeFoundNotice,
  decodeJoinWish,
  decodeJson,
  encodeJson,
  type FoundNotice,
  type NodeIntroduction,
  PEER_CALL,
  type PeerRequest,
  type ProbeAnswer,
} from "../../cluster/index.ts";
import { checkPoll, decodePollRequest } from "../../protocol/index.ts";
import type { PollResult, Proposal, ProposalResult } from "../main-link.ts";
import type { ControlCall, MemberPort } from "./changes.ts";
import type { Control } from "./control.ts";
import { decodeForwarded, encodeOutcome, type ForwardedRequest } from "./forward.ts";
import { notOpen } from "./not-open.ts";
import { answerReadQuestion } from "./read-question.ts";
import { TransitTimes } from "./transit.ts";

export interface PeerRequestModules {
  readonly self: () => NodeIntroduction;
  readonly replica: () => MemberPort | null;
  readonly control: Control;
  /** Persists the cluster that this node belongs to. Errors: thrown. */
  readonly join: (notice: FoundNotice) => void;
  /** Proposes here and nowhere else. */
  readonly propose: (proposal: Proposal, done: (result: ProposalResult) => void) => void;
  /** Plans a poll that has passed the door, here and nowhere else. */
  readonly poll: (payload: Uint8Array<ArrayBuffer>, done: (result: PollResult) => void) => void;
  readonly status: () => object;
  /** Ms of a clock that never goes back. */
  readonly nowMs: () => number;
  readonly logger: Logger;
}

/** Asked by whoever belongs to the same cluster. */
const MEMBERS_ONLY: ReadonlySet<number> = new Set([
  PEER_CALL.propose,
  PEER_CALL.control,
  PEER_CALL.status,
  PEER_CALL.poll,
  PEER_CALL.readIndex,
]);

export class PeerRequests {
  readonly #modules: PeerRequestModules;
  /** By what a process has said of itself over one connection. */
  readonly #transits = new WeakMap<NodeIntroduction, TransitTimes>();

  constructor(modules: PeerRequestModules) {
    this.#modules = modules;
  }

  /** Answers exactly once; whatever fails becomes the answer. */
  handle(request: PeerRequest, answer: AnswerPeer): void {
    void this.#answer(request, answer).catch((error: unknown) => {
      const failure = toHearthError(error);
      if (failure.code === "internal") {
        const { call, from } = request;
        const fields = { call, from: from.serverId, error: failure.message };
        this.#modules.logger.error("peer request failed", fields);
      }
      answer({ ok: false, error: failure });
    });
  }

  async #answer(request: PeerRequest, answer: AnswerPeer): Promise<void> {
    const { call, body } = request;
    if (MEMBERS_ONLY.has(call)) this.#assertOurs(request.from);
    const reply = (value: object): void => answer({ ok: true, body: encodeJson(value) });
    switch (call) {
      case PEER_CALL.probe:
        return reply(this.#describe());
      case PEER_CALL.found:
        return reply(this.#found(decodeFoundNotice(body)));
      case PEER_CALL.status:
        return reply(this.#modules.status());
      case PEER_CALL.join:
        return reply(await this.#modules.control.admit(decodeJoinWish(body)));
      case PEER_CALL.control:
        return reply(await this.#modules.control.perform(decodeControl(body)));
      case PEER_CALL.propose:
        return this.#propose(request, answer);
      case PEER_CALL.poll:
        return this.#poll(body, answer);
      case PEER_CALL.readIndex:
        return this.#readIndex(request, answer);
      default:
        unreachable(call);
    }
  }

  #describe(): ProbeAnswer {
    const { clusterId, nodeId, serverId, addresses, version } = this.#modules.self();
    const replica = this.#modules.replica();
    const leader = replica?.membership?.membership.members.find(({ id }) => id === replica.leader);
    const leaderAddress = leader?.address ?? "";
    const term = replica?.term ?? 0;
    return { clusterId, nodeId, serverId, addresses, version, term, leaderAddress };
  }

  #found(notice: FoundNotice): object {
    const { nodeId, serverId } = this.#modules.self();
    if (notice.nodeId !== nodeId) {
      const message = `The data of ${serverId} has the id ${nodeId}, the member that was added has ${notice.nodeId}: a disk that was emptied is a new node`;
      throw new HearthError("failed_precondition", message, {
        reason: "other_data",
        next: `Remove the old member, then add this node: hearth member remove ${serverId}`,
      });
    }
    this.#modules.join(notice);
    return { clusterId: notice.clusterId };
  }

  /** A refusal is an outcome, too: the asker shall know that nothing was logged. */
  #propose({ body: bytes, from }: PeerRequest, answer: AnswerPeer): void {
    const done = (result: ProposalResult): void =>
      answer({ ok: true, body: encodeOutcome(result) });
    let asked: ForwardedRequest;
    try {
      asked = decodeForwarded(bytes);
    } catch (error) {
      return done({ ok: false, error: toHearthError(error) });
    }
    const { body, count, budgetMs, sentAtMs } = asked;
    const nowMs = this.#modules.nowMs();
    const deadlineAtMs = nowMs + budgetMs - this.#transitsOf(from).waitedMs(sentAtMs, nowMs);
    this.#modules.propose({ body, count, termAtLeast: 0, appendedAtMs: 0, deadlineAtMs }, done);
  }

  #readIndex({ from, body }: PeerRequest, answer: AnswerPeer): void {
    const replica = this.#modules.replica();
    if (replica !== null) return answerReadQuestion(replica, from.nodeId, body, answer);
    throw notOpen();
  }

  #transitsOf(peer: NodeIntroduction): TransitTimes {
    let transits = this.#transits.get(peer);
    if (transits === undefined) {
      transits = new TransitTimes();
      this.#transits.set(peer, transits);
    }
    return transits;
  }

  /** Looked at once more: what is planned here must not depend on who passed it on. */
  #poll(body: Uint8Array<ArrayBuffer>, answer: AnswerPeer): void {
    checkPoll(decodePollRequest(body));
    this.#modules.poll(body, (result) =>
      answer(result.ok ? { ok: true, body: new Uint8Array(result.reply) } : result),
    );
  }

  /** Strangers may ask who this is, and to be taken in. */
  #assertOurs({ clusterId, serverId }: NodeIntroduction): void {
    const own = this.#modules.self().clusterId;
    if (clusterId !== "" && clusterId === own) return;
    throw new HearthError("permission_denied", `${serverId} is not of this cluster`, {
      reason: "not_a_member",
    });
  }
}

const OPERATIONS: ReadonlySet<unknown> = new Set<ControlCall["op"]>([
  "add",
  "promote",
  "demote",
  "remove",
  "transfer",
]);

/** Members of one cluster run one program: the wish is checked by what it does, its shape only roughly. */
function decodeControl(body: Uint8Array): ControlCall {
  const { op, wish } = decodeJson(body);
  const isKnown = OPERATIONS.has(op) && typeof wish === "object" && wish !== null;
  if (isKnown) return { op, wish } as ControlCall;
  throw new HearthError("invalid_argument", "Cannot read what the peer asks for", {
    reason: "bad_peer_request",
  });
}
