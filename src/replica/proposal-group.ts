/**
 * Small proposals of one turn, gathered into one body before the core gets them.
 *
 * ```
 *  slab   | ... earlier groups ... | entries of A | entries of B | ...            |
 *                                  start                         end
 * ```
 *
 * Core, log and apply then handle one batch, whoever and however many the callers are: a batch costs them about as
 * much as three entries, and apply reads blocks of one buffer about twice as fast as blocks of many. A proposal that is
 * alone in its turn is handed on as it came.
 */

import type { ProposedEntries } from "../raft/index.ts";
import type { PendingProposal } from "./proposal-queue.ts";
import type { ProposeDone } from "./types.ts";

/** One proposal of a group. Its place is not known before the core has taken it. */
export type GroupMember = { -readonly [K in keyof PendingProposal]: PendingProposal[K] };

/** Larger ones gain nothing from company, and are not copied. */
const PROPOSAL_MAX_BYTES = 16 * 1024;

/** About 400 entries of 600 B: far above it one batch more or less makes no difference. */
const GROUP_MAX_BYTES = 256 * 1024;

/** Groups share the memory they are in; it is freed when the core has forgotten all of them. */
const SLAB_BYTES = 1024 * 1024;

const NO_BYTES = new Uint8Array(0);

export class ProposalGroup {
  readonly #maxBytes: number;
  #members: GroupMember[] = [];
  #count = 0;
  /** The only proposal so far, as it came; null: none, or they are in the slab. */
  #alone: ProposedEntries | null = null;
  #slab = NO_BYTES;
  #start = 0;
  #end = 0;

  constructor(batchMaxBytes: number) {
    this.#maxBytes = Math.min(GROUP_MAX_BYTES, batchMaxBytes);
  }

  /** Proposals in the group. */
  get length(): number {
    return this.#members.length;
  }

  /** Whether such a proposal may share a batch: it is small, and its log time is that of its turn. */
  takes(entries: ProposedEntries): boolean {
    const { bodyBytes, appendedAtMs } = entries;
    return bodyBytes <= Math.min(PROPOSAL_MAX_BYTES, this.#maxBytes) && appendedAtMs === undefined;
  }

  hasRoomFor(bodyBytes: number): boolean {
    return this.#bytes + bodyBytes <= this.#maxBytes;
  }

  /** Takes a proposal in that there is room for. Its body is copied before the turn ends, or handed on as it is. */
  add(entries: ProposedEntries, done: ProposeDone): void {
    const { count } = entries;
    this.#members.push(memberOf(count, done));
    this.#count += count;
    if (this.#members.length === 1) {
      this.#alone = entries;
      return;
    }
    if (this.#alone !== null) {
      this.#openSlab();
      this.#copy(this.#alone);
      this.#alone = null;
    }
    this.#copy(entries);
  }

  /** What the core is to get: one batch of all entries, in the order in which they came. There must be one. */
  entries(): ProposedEntries {
    if (this.#alone !== null) return this.#alone;
    const body = this.#slab.subarray(this.#start, this.#end);
    return { body, bodyBytes: body.length, count: this.#count };
  }

  /** The proposals of the group, which is empty afterwards. */
  takeMembers(): readonly GroupMember[] {
    const members = this.#members;
    this.#members = [];
    this.#count = 0;
    this.#alone = null;
    this.#start = this.#end;
    return members;
  }

  get #bytes(): number {
    return this.#alone === null ? this.#end - this.#start : this.#alone.bodyBytes;
  }

  /** A whole group fits from here on. */
  #openSlab(): void {
    if (this.#end + this.#maxBytes > this.#slab.length) {
      // Not zeroed: nobody sees more of it than what is copied in.
      const slabBytes = Math.max(SLAB_BYTES, this.#maxBytes);
      this.#slab = new Uint8Array(Buffer.allocUnsafeSlow(slabBytes).buffer);
      this.#end = 0;
    }
    this.#start = this.#end;
  }

  #copy({ body, bodyBytes }: ProposedEntries): void {
    this.#slab.set(body.length === bodyBytes ? body : body.subarray(0, bodyBytes), this.#end);
    this.#end += bodyBytes;
  }
}

export function memberOf(count: number, done: ProposeDone): GroupMember {
  return { firstIndex: 0, term: 0, count, done };
}
