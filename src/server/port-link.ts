/** The reader's end of the way to main: questions out by id, answers back to their callbacks. */

import type { MessagePort } from "node:worker_threads";
import { assert } from "../base/index.ts";
import type {
  MainLink,
  MemberCall,
  MemberCallResult,
  PollResult,
  Proposal,
  ProposalResult,
  ReadIndexResult,
} from "../service/index.ts";
import {
  type FromReader,
  fromPlainError,
  type PlainMemberCallResult,
  type PlainPollResult,
  type PlainProposalResult,
  type PlainReadIndexResult,
} from "./messages.ts";

export class PortLink implements MainLink {
  readonly #port: Pick<MessagePort, "postMessage">;
  readonly #proposals = new Map<number, (result: ProposalResult) => void>();
  readonly #rounds = new Map<number, (result: ReadIndexResult) => void>();
  readonly #polls = new Map<number, (result: PollResult) => void>();
  readonly #memberCalls = new Map<number, (result: MemberCallResult) => void>();
  readonly #infos = new Map<number, (json: string) => void>();
  #nextId = 1;

  constructor(port: Pick<MessagePort, "postMessage">) {
    this.#port = port;
  }

  propose(proposal: Proposal, done: (result: ProposalResult) => void): void {
    const { body, count, termAtLeast, appendedAtMs } = proposal;
    assert(body.byteLength === body.buffer.byteLength, "A proposal must own its whole buffer");
    const id = this.#nextId++;
    this.#proposals.set(id, done);
    const message: FromReader = {
      kind: "propose",
      id,
      count,
      termAtLeast,
      appendedAtMs,
      body: body.buffer,
    };
    this.#port.postMessage(message, [body.buffer]);
  }

  readIndex(done: (result: ReadIndexResult) => void): void {
    const id = this.#nextId++;
    this.#rounds.set(id, done);
    this.#port.postMessage({ kind: "readIndex", id } satisfies FromReader);
  }

  pollCompaction(
    payload: Uint8Array<ArrayBuffer>,
    waitMs: number,
    done: (result: PollResult) => void,
  ): () => void {
    assert(payload.byteLength === payload.buffer.byteLength, "A poll must own its whole buffer");
    const id = this.#nextId++;
    this.#polls.set(id, done);
    const message: FromReader = { kind: "poll", id, waitMs, payload: payload.buffer };
    this.#port.postMessage(message, [payload.buffer]);
    return () => {
      if (this.#polls.has(id))
        this.#port.postMessage({ kind: "pollGone", id } satisfies FromReader);
    };
  }

  polled(id: number, result: PlainPollResult): void {
    take(this.#polls, id)(result.ok ? result : { ok: false, error: fromPlainError(result.error) });
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

  nodeInfo(done: (json: string) => void): void {
    const id = this.#nextId++;
    this.#infos.set(id, done);
    this.#port.postMessage({ kind: "nodeInfo", id } satisfies FromReader);
  }

  proposed(id: number, result: PlainProposalResult): void {
    take(
      this.#proposals,
      id,
    )(result.ok ? result : { ok: false, error: fromPlainError(result.error) });
  }

  readGranted(id: number, result: PlainReadIndexResult): void {
    take(this.#rounds, id)(result.ok ? result : { ok: false, error: fromPlainError(result.error) });
  }

  nodeInfoIs(id: number, json: string): void {
    take(this.#infos, id)(json);
  }
}

function take<T>(waiting: Map<number, T>, id: number): T {
  const callback = waiting.get(id);
  assert(callback !== undefined, `Main answered question ${id}, which was not asked`);
  waiting.delete(id);
  return callback;
}
