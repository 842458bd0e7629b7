/**
 * What waits for the disk and what is on its way there, in order: one buffer collects while others are written, and what finds no
 * room in it waits in a queue that the owner's bound on uncommitted bytes limits.
 */

import { assert } from "../base/index.ts";
import type { FileSystem } from "../files/index.ts";
import { GroupBuffer } from "./group-buffer.ts";
import type { LogOptions } from "./options.ts";
import type { ActiveSegment } from "./segment.ts";
import type { QueuedWrite } from "./types.ts";

/** A group under way: written, or at hand for the disk behind the one that is. */
export interface SentGroup {
  readonly group: GroupBuffer;
  /** Of the log with it. */
  readonly lastIndex: number;
}

/** The disk writes one, and has the next one at hand. */
const SENT_MAX = 2;
/** A group of less costs the disk more than it gains by being at hand: what comes in meanwhile is to go with it. */
const QUEUE_MIN_BYTES = 64 * 1024;

type WriteQueueOptions = Pick<LogOptions, "groupMaxBytes" | "queueMinBytes">;

export class WriteQueue {
  /** Goes with the next write. */
  collecting: GroupBuffer;
  readonly #idle: GroupBuffer[] = [];
  readonly #sent: SentGroup[] = [];
  readonly #overflow: QueuedWrite[] = [];
  readonly #minBytes: number;

  constructor(
    { groupMaxBytes, queueMinBytes = QUEUE_MIN_BYTES }: WriteQueueOptions,
    files: FileSystem,
  ) {
    const newGroup = (): GroupBuffer =>
      new GroupBuffer(groupMaxBytes, (bytes) => files.allocate?.(bytes) ?? new Uint8Array(bytes));
    this.#minBytes = queueMinBytes;
    this.collecting = newGroup();
    for (let i = 0; i < SENT_MAX; i++) this.#idle.push(newGroup());
  }

  /** The groups under way, oldest first. */
  get sent(): readonly SentGroup[] {
    return this.#sent;
  }

  /** Nothing waits behind the oldest group under way. */
  get isQuiet(): boolean {
    return this.#sent.length <= 1 && this.collecting.isEmpty && this.#overflow.length === 0;
  }

  push(queued: QueuedWrite): void {
    if (this.#overflow.length > 0 || !this.#tryCollect(queued)) this.#overflow.push(queued);
  }

  /** The collected group, which goes to the disk now. */
  take(): GroupBuffer {
    const group = this.collecting;
    this.collecting = this.#idle.pop() as GroupBuffer;
    assert(this.collecting !== undefined, `More than ${SENT_MAX} groups are under way`);
    return group;
  }

  /** The group that was taken last is under way. */
  send(sent: SentGroup): void {
    this.#sent.push(sent);
  }

  /**
   * Whether the collected group had better be at hand for the disk when the one under way is written. Nothing that begins
   * anew, or needs another segment: what the log does for those begins when the disk has nothing to do.
   */
  isWorthQueuing(active: ActiveSegment | null): boolean {
    const { start, frameBytes, bytes } = this.collecting;
    const [first] = this.#sent;
    if (first === undefined || this.#sent.length === SENT_MAX || active === null) return false;
    // Half of what is under way: else a stream of callers would end up in ever smaller groups.
    if (frameBytes < Math.max(this.#minBytes, first.group.frameBytes / 2)) return false;
    if (start !== null || active.position + frameBytes > active.capacityBytes) return false;
    return active.file.queues(first.group.bytes) && active.file.queues(bytes);
  }

  /** The oldest group under way is durable. */
  shift(): void {
    const { group } = this.#sent.shift() as SentGroup;
    group.reset();
    this.#idle.push(group);
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
