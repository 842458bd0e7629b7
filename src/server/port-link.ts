/** The reader's end of the way to main: questions out by id, answers back to their callbacks. */

import type { MessagePort } from "node:worker_threads";
import {
  assert,
  packBytes,
  type PackedBytes,
  THREAD_CLOCK_MS,
  unpackBytes,
} from "../base/index.ts";
import {
  ENTRY_OUTCOMES,
  type MainLink,
  type NodeQuestion,
  type MemberCall,
  type MemberCallResult,
  type PollResult,
  type Proposal,
  type ProposalResult,
  type ReadIndexResult,
} from "../service/index.ts";
import {
  type Done,
  type FromReader,
  fromPlainError,
  type PlainError,
  type PlainMemberCallResult,
  type PlainProposalResult,
} from "./messages.ts";

interface OpenProposal {
  readonly count: number;
  readonly done: (result: ProposalResult) => void;
}

export class PortLink implements MainLink {
  readonly #port: Pick<MessagePort, "postMessage">;
  readonly #proposals = new Map<number, OpenProposal>();
  readonly #rounds = new Map<number, (result: ReadIndexResult) => void>();
  readonly #polls = new Map<number, (result: PollResult) => void>();
  readonly #memberCalls = new Map<number, (result: MemberCallResult) => void>();
  readonly #infos = new Map<number, (json: string) => void>();
  /** Polls that leave at the end of the turn. */
  #turn: { readonly id: number; readonly waitMs: number; readonly payload: Uint8Array }[] = [];
  #nextId = 1;

  constructor(port: Pick<MessagePort, "postMessage">) {
    this.#port = port;
  }

  propose(proposal: Proposal, done: (result: ProposalResult) => void): void {
    const { body, count, termAtLeast, appendedAtMs, deadlineAtMs } = proposal;
    assert(body.byteLength === body.buffer.byteLength, "A proposal must own its whole buffer");
    const id = this.#nextId++;
    this.#proposals.set(id, { count, done });
    const message: FromReader = {
      kind: "propose",
      id,
      count,
      termAtLeast,
      appendedAtMs,
      deadlineAtMs: deadlineAtMs + THREAD_CLOCK_MS,
      body: body.buffer,
    };
    this.#port.postMessage(message, [body.buffer]);
  }

  readIndex(done: (result: ReadIndexResult) => void): void {
    const id = this.#nextId++;
    this.#rounds.set(id, done);
    this.#port.postMessage(id satisfies FromReader);
  }

  pollCompaction(
    payload: Uint8Array,
    waitMs: number,
    done: (result: PollResult) => void,
  ): () => void {
    const id = this.#nextId++;
    this.#polls.set(id, done);
    if (this.#turn.length === 0) setImmediate(() => this.#sendPolls());
    this.#turn.push({ id, waitMs, payload });
    return () => {
      if (!this.#polls.has(id)) return;
      // Main must know what is gone.
      this.#sendPolls();
      this.#port.postMessage({ kind: "pollGone", id } satisfies FromReader);
    };
  }

  /** Polls of one turn go as one message: each costs main some ten microseconds. */
  #sendPolls(): void {
    const polls = this.#turn;
    if (polls.length === 0) return;
    this.#turn = [];
    const message: FromReader = {
      kind: "polls",
      ids: polls.map(({ id }) => id),
      waitsMs: polls.map(({ waitMs }) => waitMs),
      payloads: packBytes(polls.map(({ payload }) => payload)),
    };
    this.#port.postMessage(message, [message.payloads.bytes.buffer]);
  }

  polled(ids: readonly number[], replies: PackedBytes): void {
    const answers = unpackBytes(replies).map((reply, i) => ({ reply, id: ids[i] as number }));
    for (const { reply, id } of answers) take(this.#polls, id)({ ok: true, reply });
  }

  pollFailed(id: number, error: PlainError): void {
    take(this.#polls, id)({ ok: false, error: fromPlainError(error) });
  }

  memberCall(call: MemberCall, done: (result: MemberCallResult) => void): void {
    const id = this.#nextId++;
    this.#memberCalls.set(id, done);
    this.#port.postMessage({ kind: "memberCall", id, call } satisfies FromReader);
  }

  memberCalled(id: number, result: PlainMemberCallResult): void {
    take(
      this.#memberCalls,
      id,
    )(result.ok ? result : { ok: false, error: fromPlainError(result.error) });
  }

  nodeInfo(about: NodeQuestion, done: (json: string) => void): void {
    const id = this.#nextId++;
    this.#infos.set(id, done);
    this.#port.postMessage({ kind: "nodeInfo", id, about } satisfies FromReader);
  }

  /** Rounds and proposals share their ids, so that the id alone tells which of them it was. */
  done([id, index, term]: Done): void {
    const round = this.#rounds.get(id);
    if (round !== undefined) {
      this.#rounds.delete(id);
      round({ ok: true, index, term });
      return;
    }
    const { count, done } = take(this.#proposals, id);
    const outcomes = new Uint8Array(count).fill(ENTRY_OUTCOMES.applied);
    done({ ok: true, firstIndex: index, term, outcomes, rejections: NO_REJECTIONS });
  }

  proposed(id: number, result: PlainProposalResult): void {
    const { done } = take(this.#proposals, id);
    done(result.ok ? result : { ok: false, error: fromPlainError(result.error) });
  }

  readRefused(id: number, error: PlainError): void {
    take(this.#rounds, id)({ ok: false, error: fromPlainError(error) });
  }

  nodeInfoIs(id: number, json: string): void {
    take(this.#infos, id)(json);
  }
}

const NO_REJECTIONS: ReadonlyMap<number, string> = new Map();

function take<T>(waiting: Map<number, T>, id: number): T {
  const callback = waiting.get(id);
  assert(callback !== undefined, `Main answered question ${id}, which was not asked`);
  waiting.delete(id);
  return callback;
}
