/**
 * What main and a reader thread say to each other. Both ends switch over `kind` exhaustively. Plain data only; what is
 * marked *transferred* is gone at the sender. What is said by the ten thousand has no kind and no names (ReadIndexQuestion,
 * Done): measured, a question and its answer between two threads that sleep take 44 us then, and 66 with names.
 *
 *   main                                          reader
 *    │ Worker(ReaderSettings) ───────────────────> │  opens database, engine, listener
 *    │ <──────────────── ready | failed ────────── │
 *    │ <─── propose, ReadIndexQuestion, nodeInfo ─ │  at most one of the first two each per turn
 *    │ ── Done | proposed, readRefused, nodeInfoIs>│
 *    │ <─────────────── polls, pollGone ────────── │  at most one polls per turn
 *    │ ── polled, pollFailed ────────────────────> │
 *    │ <──────────────── memberCall ────────────── │
 *    │ ── memberCalled ──────────────────────────> │
 *    │ ── leaderIs ──────────────────────────────> │  told to whoever greets, and to peers that asked for it
 *    │ ── leaderAt ──────────────────────────────> │  where the thread asks for read indexes itself
 *    │ ── tellEdge ──────────────────────────────> │  something for the further protocol of the thread
 *    │ ── openLocal (a MessagePort of its own) ──> │
 *    │ ── useGeneration ─────────────────────────> │  goes over to another content of the index
 *    │ <───────────────────── generationInUse ──── │
 *    │ ── askMetrics ────────────────────────────> │
 *    │ <──────────────────────────── metrics ───── │
 *    │ ── stop ──────────────────────────────────> │  answers what is in flight, closes its sockets, ends
 *    │ <──────────────────── (thread exits, 0) ─── │
 */

import type { MessagePort } from "node:worker_threads";
import {
  type ErrorCode,
  HearthError,
  type LeaderHint,
  type LogFields,
  type LogLevel,
  type PackedBytes,
} from "../base/index.ts";
import type { LineTarget } from "../cluster/index.ts";
import type { LeaderNotice } from "../protocol/index.ts";
import type {
  NodeQuestion,
  MemberCall,
  MemberCallResult,
  ProposalResult,
} from "../service/index.ts";
import type { ReaderMetrics } from "./metrics.ts";
import type { ServerIdentity, ServerOptions } from "./options.ts";
import type { TransportKind } from "./listener.ts";

/** workerData of a reader thread. */
export interface ReaderSettings {
  readonly server: ServerOptions;
  readonly identity: ServerIdentity;
  /** Position of the thread in the pool. */
  readonly reader: number;
  /** Whether this thread opens the port; without it, it serves local connections only. */
  readonly mayListen: boolean;
  readonly database: { readonly directory: string; readonly mapSizeBytes: number };
  /** Options of the query engine; empty for its defaults. */
  readonly engine: Readonly<Record<string, number>>;
  /** Of SharedState. */
  readonly sharedState: SharedArrayBuffer;
  /** Settings of the further protocol, for the thread's entry; null: there is none. */
  readonly edge: object | null;
  /** What main told the edges last; null: nothing yet. */
  readonly edgeMessage: object | null;
  /** Who leads; null: not known. */
  readonly leader: LeaderNotice | null;
  /** Where this thread can ask the leader itself; null: nowhere, or this member leads. */
  readonly leaderPlace: LineTarget | null;
}

/**
 * The answer to the question of that id, as nearly all of them are: reads are granted up to `index`; of a proposal that
 * begins at `index`, every entry was applied.
 */
export type Done = readonly [id: number, index: number, term: number];

/** The id of the question: which index must a strong read see? */
export type ReadIndexQuestion = number;

export type ToReader =
  | Done
  /** Where not every entry was applied. */
  | { readonly kind: "proposed"; readonly id: number; readonly result: PlainProposalResult }
  | { readonly kind: "readRefused"; readonly id: number; readonly error: PlainError }
  | { readonly kind: "nodeInfoIs"; readonly id: number; readonly json: string }
  /** Answers to polls, of one turn. */
  | { readonly kind: "polled"; readonly ids: readonly number[]; readonly replies: PackedBytes }
  | { readonly kind: "pollFailed"; readonly id: number; readonly error: PlainError }
  | { readonly kind: "memberCalled"; readonly id: number; readonly result: PlainMemberCallResult }
  /** Null: not known. */
  | { readonly kind: "leaderIs"; readonly leader: LeaderNotice | null }
  /** Null: nowhere, or this member leads. */
  | { readonly kind: "leaderAt"; readonly place: LineTarget | null }
  | { readonly kind: "tellEdge"; readonly message: object }
  /** The port is transferred; it carries frames as ArrayBuffers, which are transferred too. */
  | { readonly kind: "openLocal"; readonly port: MessagePort }
  | { readonly kind: "useGeneration"; readonly generation: number }
  | { readonly kind: "askMetrics"; readonly id: number }
  | { readonly kind: "stop"; readonly graceMs: number };

export type FromReader =
  | ReadIndexQuestion
  | { readonly kind: "ready"; readonly transport: TransportKind; readonly port: number | null }
  | { readonly kind: "failed"; readonly error: PlainError }
  | {
      readonly kind: "propose";
      readonly id: number;
      readonly count: number;
      readonly termAtLeast: number;
      readonly appendedAtMs: number;
      /** As all threads of the process count. */
      readonly deadlineAtMs: number;
      /** Transferred. */
      readonly body: ArrayBuffer;
    }
  | { readonly kind: "nodeInfo"; readonly id: number; readonly about: NodeQuestion }
  | { readonly kind: "memberCall"; readonly id: number; readonly call: MemberCall }
  /** No older one is open in this thread any more. */
  | { readonly kind: "generationInUse"; readonly generation: number }
  /** Polls of one turn. */
  | {
      readonly kind: "polls";
      readonly ids: readonly number[];
      readonly waitsMs: readonly number[];
      /** Transferred. */
      readonly payloads: PackedBytes;
    }
  /** Nobody waits for the answer to that poll any more. */
  | { readonly kind: "pollGone"; readonly id: number }
  | { readonly kind: "metrics"; readonly id: number; readonly metrics: ReaderMetrics }
  | {
      readonly kind: "log";
      readonly level: LogLevel;
      readonly message: string;
      readonly fields: LogFields;
    }
  /** A bug: the reader closed its sockets and ends. */
  | { readonly kind: "crashed"; readonly message: string; readonly stack: string };

export type PlainProposalResult = PlainResult<ProposalResult>;
export type PlainMemberCallResult = PlainResult<MemberCallResult>;

/** A result with its error as plain data. */
type PlainResult<Result extends { readonly ok: boolean }> =
  | Extract<Result, { readonly ok: true }>
  | { readonly ok: false; readonly error: PlainError };

/** A HearthError as plain data: classes do not survive the way to another thread. */
export interface PlainError {
  readonly code: ErrorCode;
  readonly message: string;
  readonly reason: string;
  readonly next: string | null;
  readonly leader: LeaderHint | null;
  readonly retryAfterMs: number | null;
}

export function toPlainError(error: HearthError): PlainError {
  const { code, message, reason, next, leader, retryAfterMs } = error;
  return { code, message, reason, next, leader, retryAfterMs };
}

export function fromPlainError(plain: PlainError): HearthError {
  return new HearthError(plain.code, plain.message, {
    reason: plain.reason,
    next: plain.next ?? undefined,
    leader: plain.leader ?? undefined,
    retryAfterMs: plain.retryAfterMs ?? undefined,
  });
}
