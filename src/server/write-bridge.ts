/**
 * Main's end of what reader threads ask (messages.ts): hands proposals and read-index rounds to the replica, and
 * carries the answers back. Batches stay batches: one proposal per reader and turn, one answer for all of it.
 */

import { unreachable } from "../base/index.ts";
import type { Proposal, ProposalResult, ReadIndexResult } from "../service/index.ts";
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
export type ReaderQuestion = Extract<FromReader, { kind: "propose" | "readIndex" | "nodeInfo" }>;

export interface BridgeModules {
  readonly proposer: Proposer;
  /** What NodeInfo tells about the server itself. */
  readonly describe: () => object;
}

export class WriteBridge {
  readonly #modules: BridgeModules;

  constructor(modules: BridgeModules) {
    this.#modules = modules;
  }

  /** `answer` may be called after the reader died; it then goes nowhere. */
  ask(question: ReaderQuestion, answer: (message: ToReader) => void): void {
    switch (question.kind) {
      case "propose":
        return this.#propose(question, answer);
      case "readIndex":
        return this.#readIndex(question.id, answer);
      case "nodeInfo":
        return answer({ kind: "nodeInfoIs", id: question.id, json: this.#nodeInfo() });
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

  #nodeInfo(): string {
    return JSON.stringify({ ...this.#modules.describe(), ...this.#modules.proposer.status() });
  }
}
