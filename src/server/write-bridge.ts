/**
 * Main's end of what reader threads ask (messages.ts): hands proposals and read-index rounds to the replica, and
 * carries the answers back. Batches stay batches: one proposal per reader and turn, one answer for all of it.
 */

import { HearthError, unreachable } from "../base/index.ts";
import type {
  MemberCall,
  MemberCallResult,
  PollResult,
  Proposal,
  ProposalResult,
  ReadIndexResult,
} from "../service/index.ts";
import { type FromReader, type ToReader, toPlainError } from "./messages.ts";

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
export type ReaderQuestion = Extract<
  FromReader,
  { kind: "propose" | "readIndex" | "nodeInfo" | "poll" | "pollGone" | "memberCall" }
>;

/** Where polls of compaction workers are answered; the composition root adapts it. */
export interface PollPort {
  /** `payload` has been checked and is the port's from here on. Returns how to say that nobody waits any more. */
  poll(
    payload: Uint8Array<ArrayBuffer>,
    waitMs: number,
    done: (result: PollResult) => void,
  ): () => void;
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
  /** What NodeInfo tells about the server itself. */
  readonly describe: () => object;
}

export class WriteBridge {
  readonly #modules: BridgeModules;
  readonly #polls = new WeakMap<object, Map<number, () => void>>();

  constructor(modules: BridgeModules) {
    this.#modules = modules;
  }

  /** `answer` stands for the reader; it may be called after the reader died, and then goes nowhere. */
  ask(question: ReaderQuestion, answer: (message: ToReader) => void): void {
    switch (question.kind) {
      case "propose":
        return this.#propose(question, answer);
      case "readIndex":
        return this.#readIndex(question.id, answer);
      case "nodeInfo":
        return answer({ kind: "nodeInfoIs", id: question.id, json: this.#nodeInfo() });
      case "memberCall":
        return this.#memberCall(question, answer);
      case "poll":
        return this.#poll(question, answer);
      case "pollGone":
        return this.#pollGone(question.id, answer);
      default:
        unreachable(question);
    }
  }

  #propose(
    question: Extract<ReaderQuestion, { kind: "propose" }>,
    answer: (message: ToReader) => void,
  ): void {
    const { id, count, termAtLeast, appendedAtMs } = question;
    const body = new Uint8Array(question.body);
    this.#modules.proposer.propose({ body, count, termAtLeast, appendedAtMs }, (result) => {
      // Outcomes may be a view into a larger buffer: only its own bytes are sent along.
      const plain = result.ok
        ? { ...result, outcomes: new Uint8Array(result.outcomes) }
        : { ok: false as const, error: toPlainError(result.error) };
      answer({ kind: "proposed", id, result: plain });
    });
  }

  #readIndex(id: number, answer: (message: ToReader) => void): void {
    this.#modules.proposer.readIndex((result) => {
      const plain = result.ok ? result : { ok: false as const, error: toPlainError(result.error) };
      answer({ kind: "readGranted", id, result: plain });
    });
  }

  #poll(
    { id, waitMs, payload }: Extract<ReaderQuestion, { kind: "poll" }>,
    answer: (message: ToReader) => void,
  ): void {
    const { polls } = this.#modules;
    if (polls === undefined) {
      const error = new HearthError("unimplemented", "This server coordinates no compaction", {
        reason: "unimplemented",
      });
      answer({ kind: "polled", id, result: { ok: false, error: toPlainError(error) } });
      return;
    }
    const open = this.#pollsOf(answer);
    let isAnswered = false;
    const giveUp = polls.poll(new Uint8Array(payload), waitMs, (result) => {
      isAnswered = true;
      open.delete(id);
      const plain = result.ok ? result : { ok: false as const, error: toPlainError(result.error) };
      answer({ kind: "polled", id, result: plain });
    });
    if (!isAnswered) open.set(id, giveUp);
  }

  #memberCall(
    { id, call }: Extract<ReaderQuestion, { kind: "memberCall" }>,
    answer: (message: ToReader) => void,
  ): void {
    const done = (result: MemberCallResult): void => {
      const plain = result.ok ? result : { ok: false as const, error: toPlainError(result.error) };
      answer({ kind: "memberCalled", id, result: plain });
    };
    const { members } = this.#modules;
    if (members !== undefined) return members.handle(call, done);
    const message = "This server takes no calls about members";
    done({ ok: false, error: new HearthError("unimplemented", message) });
  }

  #pollGone(id: number, answer: (message: ToReader) => void): void {
    this.#pollsOf(answer).get(id)?.();
  }

  /** Polls of one reader that are open: its ids are its own. */
  #pollsOf(answer: (message: ToReader) => void): Map<number, () => void> {
    let open = this.#polls.get(answer);
    if (open === undefined) {
      open = new Map();
      this.#polls.set(answer, open);
    }
    return open;
  }

  #nodeInfo(): string {
    return JSON.stringify({ ...this.#modules.describe(), ...this.#modules.proposer.status() });
  }
}
