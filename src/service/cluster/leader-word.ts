/**
 * Who leads, in the form that clients can use: the address that they dial, and the term, by which they tell an old word
 * from a new one. Put together when something changes, so that nobody has to ask for it.
 */

import { LIMITS, type LeaderNotice } from "../../protocol/index.ts";
import type { MembershipAt, NodeId } from "../../raft/index.ts";
import type { AddressBook } from "./address-book.ts";

/** What a member knows at one moment: leader and term belong together. */
export interface LeaderKnown {
  /** Node id; empty: none. */
  readonly leader: NodeId;
  readonly term: number;
  readonly membership: MembershipAt | null;
}

const NOBODY: LeaderKnown = { leader: "", term: 0, membership: null };

export class LeaderWord {
  readonly #book: Pick<AddressBook, "hint">;
  #known = NOBODY;
  #word: LeaderNotice | null = null;
  #listener: ((word: LeaderNotice | null) => void) | null = null;

  constructor(book: Pick<AddressBook, "hint">) {
    this.#book = book;
  }

  /** The listener hears the word as it is, and then every other one. */
  listen(listener: (word: LeaderNotice | null) => void): void {
    this.#listener = listener;
    listener(this.#word);
  }

  /** Leader, term or members changed. To be called in that very turn: a term of later would go with a leader of before. */
  changed({ leader, term, membership }: LeaderKnown): void {
    this.#known = { leader, term, membership };
    this.check();
  }

  /** Somebody said where it is. */
  check(): void {
    const word = this.#compose();
    if (isSame(word, this.#word)) return;
    this.#word = word;
    this.#listener?.(word);
  }

  #compose(): LeaderNotice | null {
    const { leader, term, membership } = this.#known;
    const member = membership?.membership.members.find(({ id }) => id === leader);
    if (member === undefined || term === 0) return null;
    const { serverId, address: peerAddress } = member;
    const { id, address } = this.#book.hint({ id: serverId, address: peerAddress }, "websocket");
    // What a client could not read would cost it its connection.
    const isTellable = address !== "" && isShort(address) && isShort(id);
    return isTellable ? { id, address, term } : null;
  }
}

function isShort(text: string): boolean {
  return Buffer.byteLength(text) <= LIMITS.peerNameMaxBytes;
}

function isSame(one: LeaderNotice | null, other: LeaderNotice | null): boolean {
  return one?.id === other?.id && one?.address === other?.address && one?.term === other?.term;
}
