/**
 * What a reader thread asks the leader beside main (`PEER_CALL.readIndex`), and what the leader answers. Little-endian:
 *
 * ```
 * question   0 u32 version  4 u32 0   8 f64 term of the asker when its reads had come
 * grant      0 u32 version  4 u32 0   8 f64 index   16 f64 term
 * ```
 */

import { HearthError } from "../../base/index.ts";
import type { AnswerPeer } from "../../cluster/index.ts";
import type { NodeId } from "../../raft/index.ts";
import type { Replica } from "../../replica/index.ts";

const VERSION = 1;
const QUESTION_BYTES = 16;
const GRANT_BYTES = 24;

export interface ReadGrant {
  readonly index: number;
  readonly term: number;
}

export function encodeReadQuestion(term: number): Uint8Array<ArrayBuffer> {
  const view = header(QUESTION_BYTES);
  view.setFloat64(8, term, true);
  return new Uint8Array(view.buffer);
}

/** The term; null: not readable. */
export function tryDecodeReadQuestion(bytes: Uint8Array): number | null {
  const view = tryOpen(bytes, QUESTION_BYTES);
  return view === null ? null : tryNumberAt(view, 8);
}

export function encodeReadGrant({ index, term }: ReadGrant): Uint8Array<ArrayBuffer> {
  const view = header(GRANT_BYTES);
  view.setFloat64(8, index, true);
  view.setFloat64(16, term, true);
  return new Uint8Array(view.buffer);
}

/** Null: not readable. */
export function tryDecodeReadGrant(bytes: Uint8Array): ReadGrant | null {
  const view = tryOpen(bytes, GRANT_BYTES);
  const index = view === null ? null : tryNumberAt(view, 8);
  const term = view === null ? null : tryNumberAt(view, 16);
  return index === null || term === null ? null : { index, term };
}

function header(bytes: number): DataView<ArrayBuffer> {
  const view = new DataView(new ArrayBuffer(bytes));
  view.setUint32(0, VERSION, true);
  return view;
}

function tryOpen(bytes: Uint8Array, length: number): DataView | null {
  if (bytes.length !== length) return null;
  const view = new DataView(bytes.buffer, bytes.byteOffset, length);
  return view.getUint32(0, true) === VERSION ? view : null;
}

function tryNumberAt(view: DataView, at: number): number | null {
  const value = view.getFloat64(at, true);
  return Number.isSafeInteger(value) && value >= 0 ? value : null;
}

/**
 * The leader's answer to member `from`: at once where the two are a majority, else with the next round. An error says that main has
 * to ask: `unavailable` where this member does not lead, or not in that term yet, and any refusal of a read; `invalid_argument` for
 * bytes that are no question.
 */
export function answerReadQuestion(
  replica: Pick<Replica, "grantRead" | "confirmIndexFor" | "isServing" | "term">,
  from: NodeId,
  body: Uint8Array,
  answer: AnswerPeer,
): void {
  const term = tryDecodeReadQuestion(body);
  if (term === null) return answer({ ok: false, error: UNREADABLE });
  const index = replica.grantRead(from, term);
  if (index !== null) return answer({ ok: true, body: encodeReadGrant({ index, term }) });
  // Asker of a later term: a round could only show that this member does not lead any more.
  if (!replica.isServing || term > replica.term) return answer({ ok: false, error: NOT_LEADER });
  replica.confirmIndexFor(from, (result) => {
    answer(result.ok ? { ok: true, body: encodeReadGrant(result) } : result);
  });
}

const UNREADABLE = new HearthError("invalid_argument", "Cannot read what the peer asks for", {
  reason: "bad_peer_request",
});
/** Made once: it is said by the thousand while a leader changes. */
const NOT_LEADER = new HearthError("unavailable", "This node does not lead in that term", {
  reason: "not_leader",
});
