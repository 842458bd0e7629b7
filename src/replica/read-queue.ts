/** Reads that wait for a read index, in the order of their ids. */

import { assert, type HearthError } from "../base/index.ts";
import type { ReadGrant } from "../raft/index.ts";
import type { ReadIndexDone } from "./types.ts";

interface WaitingRead {
  readonly done: ReadIndexDone;
  /** Whoever asked is about to look at the state. */
  readonly looksAtState: boolean;
}

export class ReadQueue {
  #waiting: WaitingRead[] = [];
  /** Id of the first one that waits. */
  #firstId = 1;

  get length(): number {
    return this.#waiting.length;
  }

  /** Returns the local id under which the core knows the read. */
  push(read: WaitingRead): number {
    this.#waiting.push(read);
    return this.#firstId + this.#waiting.length - 1;
  }

  /**
   * Returns how many were waiting for it. `beforeLooks` runs first, if one of them is about to look at the state.
   */
  grant(grant: ReadGrant, beforeLooks: () => void): number {
    const count = grant.throughId - this.#firstId + 1;
    assert(count <= this.#waiting.length, `Read ${grant.throughId} was granted, but never asked`);
    if (count <= 0) return 0;
    const granted = this.#waiting.splice(0, count);
    this.#firstId += count;
    if (granted.some(({ looksAtState }) => looksAtState)) beforeLooks();
    for (const { done } of granted) done({ ok: true, index: grant.index, term: grant.term });
    return count;
  }

  failAll(error: HearthError): void {
    const failed = this.#waiting;
    this.#firstId += failed.length;
    this.#waiting = [];
    for (const { done } of failed) done({ ok: false, error });
  }
}
