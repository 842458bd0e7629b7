/**
 * Durability by construction (DESIGN.md 1-4). Whatever must be on stable storage is collected in the open piece; a
 * reply that promises something is handed to `holdReply`, and leaves when everything before it is durable. There is no
 * other way out for it.
 *
 * ```
 *  open piece --drain--> pending, oldest first --durable(sequence)--> messages leave, durableIndex rises
 * ```
 */

import { assert } from "../base/index.ts";
import { appendBatch, truncateLog } from "./raft-log.ts";
import { type CoreState, send } from "./state.ts";
import type { Batch, HardState, Message, SnapshotMeta } from "./types.ts";
import { MESSAGE, ROLE } from "./types.ts";
import type { Piece } from "./work-state.ts";

function openPiece(state: CoreState): Piece {
  const { work } = state;
  if (work.open !== null && work.open.term === state.term) return work.open;
  closePiece(state);
  const piece: Piece = {
    sequence: work.nextSequence,
    term: state.term,
    hardState: null,
    truncateFrom: null,
    install: null,
    batches: [],
    messages: [],
    durableThrough: state.log.lastIndex,
    waitedTicks: 0,
  };
  work.nextSequence += 1;
  work.open = piece;
  return piece;
}

/** Ends the open piece, if there is one: what follows is a later record of the log. */
export function closePiece(state: CoreState): void {
  const { work, outbox } = state;
  const piece = work.open;
  if (piece === null) return;
  work.open = null;
  work.pending.push(piece);
  const { sequence, term, hardState, truncateFrom, batches, install, messages } = piece;
  outbox.append.push({
    sequence,
    term,
    hardState,
    truncateFrom,
    batches,
    install,
    afterDurable: messages,
  });
}

/** Term, vote and abstention as they are now become durable, before anything that follows. */
export function persistHardState(state: CoreState): void {
  const { open } = state.work;
  // Within a piece the hard state comes first: a vote that was promised behind entries must not overtake them.
  if (open !== null && (open.batches.length > 0 || open.truncateFrom !== null)) closePiece(state);
  if (open?.install) closePiece(state);
  const piece = openPiece(state);
  const hardState: HardState = { term: state.term, vote: state.vote, abstains: state.abstains };
  piece.hardState = hardState;
  state.work.hardStateSequence = piece.sequence;
}

/** Appends in memory and to the durable work. Answers whether the configuration changed. */
export function appendDurably(state: CoreState, batch: Batch): boolean {
  if (state.work.open?.install) closePiece(state);
  const piece = openPiece(state);
  piece.batches.push(batch);
  const hasMembership = appendBatch(state.log, batch);
  piece.durableThrough = state.log.lastIndex;
  return hasMembership;
}

/** Gives up entries from `fromIndex` on. Reports that are still to come no longer count for them (DESIGN.md 4). */
export function truncateDurably(state: CoreState, fromIndex: number, previousTerm: number): void {
  const { work } = state;
  const { open } = work;
  if (open !== null && (open.batches.length > 0 || open.truncateFrom !== null)) closePiece(state);
  if (work.open?.install) closePiece(state);
  const piece = openPiece(state);
  piece.truncateFrom = { fromIndex, previousTerm };
  truncateLog(state.log, fromIndex);
  lowerDurable(state, state.log.lastIndex);
}

/** A snapshot takes the place of the state. A piece of its own: the order within would be a guess. */
export function installDurably(state: CoreState, meta: SnapshotMeta, keepsLog: boolean): void {
  closePiece(state);
  const piece = openPiece(state);
  piece.install = { meta, keepsLog };
  piece.durableThrough = state.log.lastIndex;
}

/** What is durable, or on its way, is no longer part of the log above `index`. */
export function lowerDurable(state: CoreState, index: number): void {
  const { log, work } = state;
  log.durableIndex = Math.min(log.durableIndex, index);
  for (const piece of work.pending) piece.durableThrough = Math.min(piece.durableThrough, index);
  if (work.open !== null) work.open.durableThrough = Math.min(work.open.durableThrough, index);
}

/**
 * Sends when everything that this member has decided so far is durable: votes, acknowledgements, rejections, answers
 * to pre-votes.
 */
export function holdReply(state: CoreState, message: Message): void {
  const { open, pending } = state.work;
  const piece = open ?? pending.at(-1);
  if (piece === undefined) return send(state, message);
  hold(piece.messages, message);
}

/** A disk that hangs must not gather answers without end: of one kind to one member, the newest one says it all. */
function hold(messages: Message[], message: Message): void {
  for (let i = messages.length - 1; i >= 0; i--) {
    const held = messages[i] as Message;
    if (!isSameAnswer(held, message)) continue;
    if (!isAhead(held, message)) messages[i] = message;
    return;
  }
  messages.push(message);
}

function isSameAnswer(held: Message, message: Message): boolean {
  if (held.kind !== message.kind || held.to !== message.to || held.term !== message.term)
    return false;
  if (held.kind !== MESSAGE.appendReply || message.kind !== MESSAGE.appendReply) return true;
  return held.isRejected === message.isRejected;
}

/** A burst of appends in one turn needs one acknowledgement: the highest. */
function isAhead(held: Message, message: Message): boolean {
  if (held.kind !== MESSAGE.appendReply || message.kind !== MESSAGE.appendReply) return false;
  return !held.isRejected && held.index > message.index;
}

/** Sends when the term (and vote) is durable: an answer that promises no entries. */
export function holdForTerm(state: CoreState, message: Message): void {
  const { open, pending, durableSequence, hardStateSequence } = state.work;
  if (hardStateSequence <= durableSequence) return send(state, message);
  const piece = open?.sequence === hardStateSequence ? open : null;
  const held = piece ?? pending.find(({ sequence }) => sequence === hardStateSequence);
  assert(held !== undefined, `Hard state ${hardStateSequence} is neither durable nor pending`);
  hold(held.messages, message);
}

/** Everything up to `sequence` is durable. Answers whether that is news. */
export function reportDurable(state: CoreState, sequence: number, term: number): boolean {
  const { work, log } = state;
  if (sequence <= work.durableSequence) return false;
  const last = work.pending.find((piece) => piece.sequence === sequence);
  assert(last !== undefined, `Durable work ${sequence} was not handed out`);
  assert(last.term === term, `Durable work ${sequence} is of term ${last.term}, not ${term}`);
  for (;;) {
    const piece = work.pending.shift() as Piece;
    work.durableSequence = piece.sequence;
    if (piece.hardState !== null) work.durableTerm = piece.hardState.term;
    if (piece.durableThrough > log.durableIndex) log.durableIndex = piece.durableThrough;
    for (const message of piece.messages) {
      if (isStillMeant(state, message)) send(state, message);
    }
    if (piece === last) break;
  }
  // A long queue is no hanging disk: what is behind it waits for its turn.
  work.stalledTicks = 0;
  assert(log.durableIndex <= log.lastIndex, `Durable ${log.durableIndex} > ${log.lastIndex}`);
  return true;
}

/** Whoever asked in an earlier term has no use for it; a campaign that is over asks for nothing. */
function isStillMeant(state: CoreState, { kind, term }: Message): boolean {
  return term >= state.term && (kind !== MESSAGE.vote || state.role === ROLE.candidate);
}

/** One tick passes for everything that is not durable yet. */
export function ageWork({ work }: CoreState): void {
  if (work.pending.length > 0) work.stalledTicks += 1;
  for (const piece of work.pending) piece.waitedTicks += 1;
}

/** Election timeouts that a piece may wait behind others: no healthy disk takes so long for all that may be uncommitted. */
const QUEUED_TIMEOUTS_MAX = 10;

/** The disk has not answered for longer than an election timeout, or is behind by many of them (DESIGN.md 5). */
export function isStalled({ work, options }: CoreState): boolean {
  const { electionTicks } = options;
  const oldestTicks = work.pending[0]?.waitedTicks ?? 0;
  return work.stalledTicks > electionTicks || oldestTicks > QUEUED_TIMEOUTS_MAX * electionTicks;
}
