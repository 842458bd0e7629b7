/**
 * Carries the core's durable work into the log, in order, and tells which of it has become durable.
 *
 * Pieces of work and write sequence numbers of the log are two countings: a piece may need several writes, or none at
 * all when it merely waits for what was written before it. A snapshot to install holds back every report behind it
 * until the state has it, too.
 */

import { assert } from "../base/index.ts";
import { type DurableLog, IN_PLACE_BYTES } from "../log/index.ts";
import type { AppendWork } from "../raft/index.ts";
import type { ReplicaStats } from "./types.ts";

export interface Report {
  readonly sequence: number;
  readonly term: number;
}

interface Mark extends Report {
  /** Write sequence number of the log at which the piece is durable. */
  readonly logSequence: number;
  isInstalling: boolean;
}

export class LogWriter {
  readonly #log: DurableLog;
  readonly #stats: Pick<ReplicaStats, "reads">;
  readonly #hasWork: () => boolean;
  readonly #marks: Mark[] = [];
  /** Newest write sequence number that was handed out, that a flush has seen, and that is durable. */
  #written = 0;
  #flushed = 0;
  #durable = 0;
  /** Reads when the last write was handed over. */
  #readsBefore = 0;

  /** `hasWork`: whether something was put off until the disk has a write. */
  constructor(log: DurableLog, stats: Pick<ReplicaStats, "reads">, hasWork: () => boolean) {
    this.#log = log;
    this.#stats = stats;
    this.#hasWork = hasWork;
  }

  /** Steps 1 and 2: into the log's buffer. */
  write(work: AppendWork): void {
    const { sequence, term, hardState, truncateFrom, install, batches } = work;
    assert(
      sequence > (this.#marks.at(-1)?.sequence ?? 0),
      `Work ${sequence} comes after later work`,
    );
    if (hardState !== null) this.#written = this.#log.setHardState(hardState);
    if (install !== null && !install.keepsLog) {
      this.#written = this.#log.resetTo(install.meta);
    }
    if (truncateFrom !== null) this.#log.truncateSuffix(truncateFrom);
    for (const batch of batches) this.#written = this.#log.append(batch);
    this.#marks.push({
      sequence,
      term,
      logSequence: this.#written,
      isInstalling: install !== null,
    });
  }

  /**
   * Step 2, when the core wants nothing more: gives the disk what was collected. Answers what was durable at once, being
   * written in place. Not where somebody has asked this member for a read index since the last write: others will while this
   * one lasts, and they are not to wait for the disk. And lone writes alone where there is something to do meanwhile.
   */
  flush(commitIndex: number): Report | null {
    const log = this.#log;
    const { reads } = this.#stats;
    log.commitIndex = Math.max(log.commitIndex, commitIndex);
    const waitBytes = this.#hasWork() ? IN_PLACE_BYTES.small : IN_PLACE_BYTES.group;
    log.flush(reads === this.#readsBefore ? waitBytes : 0);
    if (this.#flushed < this.#written) this.#readsBefore = reads;
    this.#flushed = this.#written;
    return this.takeReport();
  }

  onDurable(logSequence: number): void {
    this.#durable = logSequence;
  }

  /** Whether the log has everything of this piece, reported or not. */
  isDurable(sequence: number): boolean {
    const mark = this.#marks.find((candidate) => candidate.sequence === sequence);
    return mark === undefined || mark.logSequence <= this.#durable;
  }

  /** The state has the snapshot of this piece. */
  onInstalled(sequence: number): void {
    const mark = this.#marks.find((candidate) => candidate.sequence === sequence);
    assert(mark?.isInstalling === true, `Work ${sequence} installs nothing`);
    mark.isInstalling = false;
  }

  /** The newest piece that is durable and was not reported, with all before it; null: none. */
  takeReport(): Report | null {
    let count = 0;
    for (const mark of this.#marks) {
      if (mark.logSequence > this.#durable || mark.isInstalling) break;
      count += 1;
    }
    if (count === 0) return null;
    return this.#marks.splice(0, count).at(-1) as Mark;
  }
}
