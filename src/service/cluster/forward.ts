/**
 * Writes that reach a follower, on their way to the leader and back (`PEER_CALL.propose`). Little-endian:
 *
 * ```
 * asked      0 u32 version  4 u32 entries  8 u32 ms left, 0: not said  12 u32 ms of the asking clock
 *            16 entries back to back (protocol, entry-body.ts)
 * outcomes   0 u32 version  4 u32 entries  8 f64 first index  16 f64 term | 24 one code per entry | rejections, JSON
 * refusal    0 u32 version  4 u32 0xffff_ffff | 8 the error, JSON
 * ```
 *
 * A refusal is an answer like any other, so that its `sent` survives: "no" is the leader's word that nothing was logged.
 * A write is forwarded once: who gets it and does not lead refuses it. The leader takes off what a request has waited on its way
 * (transit.ts) and refuses those for whose answer nobody waits any more.
 */

import { setMaxListeners } from "node:events";
import {
  ERROR_CODES,
  type ErrorCode,
  freeMemory,
  HearthError,
  type LeaderHint,
  type Scheduler,
  type SentState,
} from "../../base/index.ts";
import {
  type PeerAnswer,
  PEER_CALL,
  PEER_DEFAULTS,
  type PeerNetwork,
} from "../../cluster/index.ts";
import { entriesByteLength } from "../../protocol/index.ts";
import type { NodeId } from "../../raft/index.ts";
import { NOT_PROPOSED, type ProposalResult } from "../main-link.ts";

export interface ForwardOptions {
  readonly timeoutMs: number;
  /** How long a member that leads no more may still answer for what it was sent. */
  readonly formerLeaderMs: number;
  /** Forwarded writes without an answer; above it they are refused. */
  readonly pendingMaxBytes: number;
  readonly pendingMaxCount: number;
}

export const FORWARD_DEFAULTS = {
  // As much as the connection to the leader takes of requests.
  pendingMaxBytes: PEER_DEFAULTS.requestQueueMaxBytes,
  // Batches: one per reader thread and turn.
  pendingMaxCount: 1_000,
  // After an orderly hand-over the old leader answers within a round trip or two; one that hangs must not hold callers
  // until the connection is given up.
  formerLeaderMs: 250,
} as const;

export interface ForwardedEntries {
  /** Starts at a multiple of 8 in its ArrayBuffer. */
  readonly body: Uint8Array;
  readonly count: number;
  /** When nobody waits for an answer any more; monotonic ms of this thread, Infinity: always somebody. */
  readonly deadlineAtMs: number;
}

/** What the leader reads. */
export interface ForwardedRequest {
  readonly body: Uint8Array<ArrayBuffer>;
  readonly count: number;
  /** What was left when it was sent; Infinity: not said. */
  readonly budgetMs: number;
  /** Of the sender's clock, u32. */
  readonly sentAtMs: number;
}

const VERSION = 1;
const ASKED_HEADER_BYTES = 16;
const OUTCOMES_HEADER_BYTES = 24;
const REFUSAL_HEADER_BYTES = 8;
const IS_REFUSAL = 0xffff_ffff;
/** More than this is not said. Far above what a request may ask for, and far below where the clock of the header wraps. */
const BUDGET_MAX_MS = 0x7fff_ffff;

export interface ForwardModules {
  readonly network: Pick<PeerNetwork, "request">;
  readonly scheduler: Scheduler;
}

/** The follower's side. */
export class WriteForwarder {
  readonly #options: ForwardOptions;
  readonly #modules: ForwardModules;
  #pendingBytes = 0;
  #pendingCount = 0;
  #leader: NodeId = "";
  /** Ends what was sent to the present leader, some time after it is no more. */
  #giveUp = forManyRequests();

  constructor(options: ForwardOptions, modules: ForwardModules) {
    this.#options = options;
    this.#modules = modules;
  }

  /** Writes on their way. */
  get pendingCount(): number {
    return this.#pendingCount;
  }

  /** Another member leads: callers of the former leader do not wait for it much longer. "" changes nothing yet. */
  leaderChanged(leader: NodeId): void {
    if (leader === "" || leader === this.#leader) return;
    const { formerLeaderMs } = this.#options;
    const former = this.#giveUp;
    this.#leader = leader;
    this.#giveUp = forManyRequests();
    if (this.#pendingCount > 0)
      this.#modules.scheduler.after(formerLeaderMs, () => former.abort(formerLeader()));
  }

  /** `done` is called once, within the time limit. The entries are gone after the call. */
  forward(leader: NodeId, entries: ForwardedEntries, done: (result: ProposalResult) => void): void {
    const { timeoutMs, pendingMaxBytes, pendingMaxCount } = this.#options;
    const bytes = entries.body.length;
    const isFull =
      this.#pendingCount >= pendingMaxCount ||
      (this.#pendingCount > 0 && this.#pendingBytes + bytes > pendingMaxBytes);
    if (isFull) {
      done({ ok: false, error: tooMany() });
      return;
    }
    this.leaderChanged(leader);
    this.#pendingBytes += bytes;
    this.#pendingCount += 1;
    const { network, scheduler } = this.#modules;
    // Taken out here: the entries themselves must not be held until the answer, beside their copy on its way.
    const { count, deadlineAtMs } = entries;
    const nowMs = scheduler.monotonicMs();
    const leftMs = Math.max(1, deadlineAtMs - nowMs);
    const options = { timeoutMs: Math.min(timeoutMs, leftMs), signal: this.#giveUp.signal };
    const request = encodeForwarded(entries, nowMs);
    freeMemory(entries.body.buffer);
    void network.request({ nodeId: leader }, PEER_CALL.propose, request, options).then((answer) => {
      this.#pendingBytes -= bytes;
      this.#pendingCount -= 1;
      done(resultOf(answer, { count, isLate: leftMs <= timeoutMs }));
    });
  }
}

/** Bounded by `pendingMaxCount`: more listeners than a few are no leak. */
function forManyRequests(): AbortController {
  const controller = new AbortController();
  setMaxListeners(0, controller.signal);
  return controller;
}

function formerLeader(): HearthError {
  return new HearthError("unavailable", "another member leads now", { reason: "leader_changed" });
}

function tooMany(): HearthError {
  const message = "As many writes as may be are on their way to the leader";
  return new HearthError("resource_exhausted", message, {
    reason: "forward_backlog",
    sent: "no",
    retryAfterMs: 50,
  });
}

/** `isLate`: a request whose time is up has no caller any more. */
function resultOf(
  answer: PeerAnswer,
  { count, isLate }: { readonly count: number; readonly isLate: boolean },
): ProposalResult {
  if (!answer.ok) {
    const { code, sent } = answer.error;
    if (sent === "no" && code === "resource_exhausted") return { ok: false, error: tooMany() };
    const hasNotLeft = isLate && code === "deadline_exceeded" && sent === "no";
    return { ok: false, error: hasNotLeft ? NOT_PROPOSED : lost(answer.error) };
  }
  try {
    return decodeOutcome(answer.body, count);
  } catch (cause) {
    return { ok: false, error: lost(cause as HearthError) };
  }
}

/** No answer of the leader: whether it has the write depends on whether the request left this node. */
function lost(cause: HearthError): HearthError {
  const isCertain = cause.sent === "no";
  const message = isCertain
    ? `The leader cannot be reached: ${cause.message}`
    : `The outcome of the write is unknown: ${cause.message}`;
  return new HearthError("unavailable", message, {
    reason: isCertain ? "leader_unreachable" : "outcome_unknown",
    sent: isCertain ? "no" : "maybe",
    retryAfterMs: 100,
    cause,
  });
}

export function encodeForwarded(
  { body, count, deadlineAtMs }: ForwardedEntries,
  nowMs: number,
): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(ASKED_HEADER_BYTES + body.length);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, VERSION, true);
  view.setUint32(4, count, true);
  const leftMs = Math.max(1, Math.ceil(deadlineAtMs - nowMs));
  view.setUint32(8, leftMs > BUDGET_MAX_MS ? 0 : leftMs, true);
  view.setUint32(12, nowMs, true);
  bytes.set(body, ASKED_HEADER_BYTES);
  return bytes;
}

/** Errors: HearthError invalid_argument "bad_forward": what would stop the process if it came from a reader thread. */
export function decodeForwarded(bytes: Uint8Array<ArrayBuffer>): ForwardedRequest {
  if (bytes.length < ASKED_HEADER_BYTES) throw bad("it is cut off");
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  if (view.getUint32(0, true) !== VERSION) throw bad(`version ${view.getUint32(0, true)}`);
  const count = view.getUint32(4, true);
  const body = bytes.subarray(ASKED_HEADER_BYTES);
  if (count === 0 || count > body.length || entriesByteLength(body, count) !== body.length)
    throw bad(`${body.length} bytes are not ${count} entries`);
  const budgetMs = view.getUint32(8, true) || Number.POSITIVE_INFINITY;
  return { body, count, budgetMs, sentAtMs: view.getUint32(12, true) };
}

export function encodeOutcome(result: ProposalResult): Uint8Array<ArrayBuffer> {
  if (!result.ok) return encodeRefusal(result.error);
  const { outcomes, rejections, firstIndex, term } = result;
  const text = rejections.size === 0 ? EMPTY : encoder.encode(JSON.stringify([...rejections]));
  const bytes = new Uint8Array(OUTCOMES_HEADER_BYTES + outcomes.length + text.length);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, VERSION, true);
  view.setUint32(4, outcomes.length, true);
  view.setFloat64(8, firstIndex, true);
  view.setFloat64(16, term, true);
  bytes.set(outcomes, OUTCOMES_HEADER_BYTES);
  bytes.set(text, OUTCOMES_HEADER_BYTES + outcomes.length);
  return bytes;
}

function encodeRefusal(error: HearthError): Uint8Array<ArrayBuffer> {
  const { code, message, reason, next, leader, retryAfterMs, sent } = error;
  const fields = { code, message, reason, next, leader, retryAfterMs, sent };
  const text = encoder.encode(JSON.stringify(fields));
  const bytes = new Uint8Array(REFUSAL_HEADER_BYTES + text.length);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, VERSION, true);
  view.setUint32(4, IS_REFUSAL, true);
  bytes.set(text, REFUSAL_HEADER_BYTES);
  return bytes;
}

/** Errors: HearthError internal "bad_forward" with `sent: "maybe"`: the leader has answered, and nobody knows what. */
export function decodeOutcome(bytes: Uint8Array, count: number): ProposalResult {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  try {
    if (view.getUint32(0, true) !== VERSION) throw new RangeError("version");
    const found = view.getUint32(4, true);
    if (found === IS_REFUSAL) return { ok: false, error: decodeRefusal(bytes) };
    const end = OUTCOMES_HEADER_BYTES + found;
    if (found !== count || bytes.length < end) throw new RangeError("count");
    const text = decoder.decode(bytes.subarray(end));
    const rejections = text === "" ? [] : (JSON.parse(text) as [number, string][]);
    return {
      ok: true,
      firstIndex: view.getFloat64(8, true),
      term: view.getFloat64(16, true),
      outcomes: bytes.slice(OUTCOMES_HEADER_BYTES, end),
      rejections: new Map(rejections),
    };
  } catch (cause) {
    throw unreadable(cause);
  }
}

function unreadable(cause: unknown): HearthError {
  return new HearthError("internal", "The leader's answer to a write cannot be read", {
    reason: "bad_forward",
    sent: "maybe",
    cause,
  });
}

function decodeRefusal(bytes: Uint8Array): HearthError {
  const fields = JSON.parse(decoder.decode(bytes.subarray(REFUSAL_HEADER_BYTES))) as {
    readonly code: string;
    readonly message: string;
    readonly reason: string;
    readonly next: string | null;
    readonly leader: LeaderHint | null;
    readonly retryAfterMs: number | null;
    readonly sent: SentState;
  };
  const code: ErrorCode = fields.code in ERROR_CODES ? (fields.code as ErrorCode) : "unknown";
  return new HearthError(code, fields.message, {
    reason: fields.reason,
    next: fields.next ?? undefined,
    leader: fields.leader ?? undefined,
    retryAfterMs: fields.retryAfterMs ?? undefined,
    sent: fields.sent,
  });
}

const EMPTY = new Uint8Array(0);
const encoder = new TextEncoder();
const decoder = new TextDecoder();

function bad(what: string): HearthError {
  return new HearthError("invalid_argument", `Cannot read the forwarded write: ${what}`, {
    reason: "bad_forward",
    sent: "no",
  });
}
