/**
 * What waits for the disk, in order: one buffer collects while the other one is written, and what finds no room in it
 * waits in a queue that the owner's bound on uncommitted bytes limits.
 */

import { GroupBuffer } from "./group-buffer.ts";
import type { QueuedWrite } from "./types.ts";

export class WriteQueue {
  /** Goes with the next write. */
  collecting: GroupBuffer;
  #idle: GroupBuffer;
  readonly #overflow: QueuedWrite[] = [];

  constructor(groupMaxBytes: number) {
    this.collecting = new GroupBuffer(groupMaxBytes);
    this.#idle = new GroupBuffer(groupMaxBytes);
  }

  push(queued: QueuedWrite): void {
    if (this.#overflow.length > 0 || !this.#tryCollect(queued)) this.#overflow.push(queued);
  }

  /** The collected group, now the caller's until `giveBack`. */
  take(): GroupBuffer {
    const group = this.collecting;
    this.collecting = this.#idle;
    return group;
  }

  giveBack(group: GroupBuffer): void {
    group.reset();
    this.#idle = group;
  }

  /** Moves what waits into the collecting buffer, as far as there is room. */
  refill(): void {
    let taken = 0;
    for (const queued of this.#overflow) {
      if (!this.#tryCollect(queued)) break;
      taken += 1;
    }
    if (taken > 0) this.#overflow.splice(0, taken);
  }

  /** A cut and a reset have to come first in their group: they decide in which segment it goes. */
  #tryCollect(queued: QueuedWrite): boolean {
    const group = this.collecting;
    if (queued.start !== null && !group.isEmpty) return false;
    const isCollected =
      queued.kind === "entries"
        ? group.tryAppend(queued.batch)
        : group.tryAppendHardState(queued.hardState);
    if (!isCollected) return false;
    if (queued.start !== null) group.start = queued.start;
    group.lastSequence = queued.sequence;
    group.commitIndex = queued.commitIndex;
    return true;
  }
}
