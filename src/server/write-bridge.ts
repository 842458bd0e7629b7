/**
 * Main's end of what reader threads ask (messages.ts): hands proposals and read-index rounds to the replica, and
 * carries the answers back. Batches stay batches: one proposal per reader and turn, one answer for all of it.
 */

import {
  HearthError,
  packBytes,
  THREAD_CLOCK_MS,
  unpackBytes,
  unreachable,
} from "../base/index.ts";
import {
  ENTRY_OUTCOMES,
  type NodeQuestion,
  type MemberCall,
  type MemberCallResult,
  type PollResult,
  type Proposal,
  type ProposalResult,
  type ReadIndexResult,
} from "../service/index.ts";
import {
  type FromReader,
  type ReadIndexQuestion,
  type ToReader,
  toPlainError,
} from "./messages.ts";

/** What the server needs of the replica; the composition root adapts it. Callbacks run exactly once. */
export interface Proposer {
  /**
   * Appends entries, and calls back when they are durable, committed and applied.
   * The body is the replica's from here on; its entries have been checked completely.
   */
  propose(proposal: Proposal, done: (result: ProposalResult) => void): void;
  /** An index at or above every write acknowledged before this call, with proof of leadership. */
  readIndex(done: (result: ReadIndexResult) => void): void;
  /** Facts for operators; what JSON can carry. */
  status(): object;
}

/** The questions among what a reader says. */
export type ReaderQuestion =
  | ReadIndexQuestion
  | Extract<FromReader, { kind: "propose" | "nodeInfo" | "polls" | "pollGone" | "memberCall" }>;

/** Where polls of compaction workers are answered; the composition root adapts it. */
export interface PollPort {
  /**
   * `payload` has been checked and is the port's from here on; a reply is borrowed until the turn ends. Returns how to
   * say that nobody waits any more.
   */
  poll(payload: Uint8Array, waitMs: number, done: (result: PollResult) => void): () => void;
}

/** Where calls about members are answered; the composition root adapts it. */
export interface MemberPort {
  /** Calls back once. */
  handle(call: MemberCall, done: (result: MemberCallResult) => void): void;
}

export interface BridgeModules {
  readonly proposer: Proposer;
  /** Left out: this server coordinates no compaction. */
  readonly polls?: PollPort | undefined;
  /** Left out: this server takes no calls about members. */
  readonly members?: MemberPort | undefined;
  /** What the member does as the leader; left out: nothing. */
  readonly activities?: (() => object) | undefined;
  /** What NodeInfo tells about the server itself. */
  readonly describe: () => object;
}

/** Stands for one reader. */
type Answer = (message: ToReader) => void;

/** Polls of one reader: its ids are its own. */
interface ReaderPolls {
  /** How to say that nobody waits any more. */
  readonly open: Map<number, () => void>;
  /** Answered in this turn. */
  ids: number[];
  replies: Uint8Array[];
}

export class WriteBridge {
  readonly #modules: BridgeModules;
  readonly #readers = new WeakMap<object, ReaderPolls>();

  constructor(modules: BridgeModules) {
    this.#modules = modules;
  }

  /** `answer` stands for the reader; it may be called after the reader died, and then goes nowhere. */
  ask(question: ReaderQuestion, answer: Answer): void {
    if (typeof question === "number") return this.#readIndex(question, answer);
    switch (question.kind) {
      case "propose":
        return this.#propose(question, answer);
      case "nodeInfo":
        return answer({ kind: "nodeInfoIs", id: question.id, json: this.#tell(question.about) });
      case "memberCall":
        return this.#memberCall(question, answer);
      case "polls":
        return this.#polls(question, answer);
      case "pollGone":
        return this.#pollGone(question.id, answer);
      default:
        unreachable(question);
    }
  }

  #propose(question: Extract<ReaderQuestion, { kind: "propose" }>, answer: Answer): void {
    const { id, count, termAtLeast, appendedAtMs } = question;
    const deadlineAtMs = question.deadlineAtMs - THREAD_CLOCK_MS;
    const body = new Uint8Array(question.body);
    const proposal = { body, count, termAtLeast, appendedAtMs, deadlineAtMs };
    this.#modules.proposer.propose(proposal, (result) => {
      if (result.ok && isAllApplied(result)) {
        answer([id, result.firstIndex, result.term]);
        return;
      }
      // Outcomes may be a view into a larger buffer: only its own bytes are sent along.
      const plain = result.ok
        ? { ...result, outcomes: new Uint8Array(result.outcomes) }
        : { ok: false as const, error: toPlainError(result.error) };
      answer({ kind: "proposed", id, result: plain });
    });
  }

  #readIndex(id: number, answer: Answer): void {
    this.#modules.proposer.readIndex((result) => {
      if (result.ok) answer([id, result.index, result.term]);
      else answer({ kind: "readRefused", id, error: toPlainError(result.error) });
    });
  }

  #polls(
    { ids, waitsMs, payloads }: Extract<ReaderQuestion, { kind: "polls" }>,
    answer: Answer,
  ): void {
    for (const [i, payload] of unpackBytes(payloads).entries()) {
      this.#poll({ id: ids[i] as number, waitMs: waitsMs[i] as number, payload }, answer);
    }
  }

  #poll(
    { id, waitMs, payload }: { id: number; waitMs: number; payload: Uint8Array },
    answer: Answer,
  ): void {
    const { polls } = this.#modules;
    if (polls === undefined) {
      const error = new HearthError("unimplemented", "This server coordinates no compaction", {
        reason: "unimplemented",
      });
      answer({ kind: "pollFailed", id, error: toPlainError(error) });
      return;
    }
    const reader = this.#pollsOf(answer);
    let isAnswered = false;
    const giveUp = polls.poll(payload, waitMs, (result) => {
      isAnswered = true;
      reader.open.delete(id);
      if (result.ok) this.#keepReply(reader, id, result.reply, answer);
      else answer({ kind: "pollFailed", id, error: toPlainError(result.error) });
    });
    if (!isAnswered) reader.open.set(id, giveUp);
  }

  #memberCall({ id, call }: Extract<ReaderQuestion, { kind: "memberCall" }>, answer: Answer): void {
    const done = (result: MemberCallResult): void => {
      const plain = result.ok ? result : { ok: false as const, error: toPlainError(result.error) };
      answer({ kind: "memberCalled", id, result: plain });
    };
    const { members } = this.#modules;
    if (members !== undefined) return members.handle(call, done);
    const message = "This server takes no calls about members";
    done({ ok: false, error: new HearthError("unimplemented", message) });
  }

  /** What is answered in one go leaves as one message: a round answers dozens of polls. */
  #keepReply(reader: ReaderPolls, id: number, reply: Uint8Array, answer: Answer): void {
    reader.ids.push(id);
    reader.replies.push(reply);
    if (reader.ids.length > 1) return;
    queueMicrotask(() => {
      const { ids, replies } = reader;
      reader.ids = [];
      reader.replies = [];
      answer({ kind: "polled", ids, replies: packBytes(replies) });
    });
  }

  #pollGone(id: number, answer: Answer): void {
    this.#pollsOf(answer).open.get(id)?.();
  }

  #pollsOf(answer: Answer): ReaderPolls {
    let polls = this.#readers.get(answer);
    if (polls === undefined) {
      polls = { open: new Map(), ids: [], replies: [] };
      this.#readers.set(answer, polls);
    }
    return polls;
  }

  #tell(about: NodeQuestion): string {
    if (about === "activities") return JSON.stringify(this.#modules.activities?.() ?? {});
    return JSON.stringify({ ...this.#modules.describe(), ...this.#modules.proposer.status() });
  }
}

function isAllApplied({ outcomes, rejections }: ProposalResult & { readonly ok: true }): boolean {
  return rejections.size === 0 && outcomes.every((outcome) => outcome === ENTRY_OUTCOMES.applied);
}
