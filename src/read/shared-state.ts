/**
 * What the main thread has reached, readable by every thread without a message (a load costs 12 ns, a message 4 us).
 *
 * Written by the main thread alone, after each applied group of entries; read by reader threads to grant reads and to
 * learn when to look again. It is a hint about the database, never a proof: a reader checks the `applied` record
 * inside its own read transaction before it answers.
 *
 * Layout: 32-bit words of one SharedArrayBuffer.
 *
 * | word  | field        | writer | readers | ordered by                                                             |
 * |-------|--------------|--------|---------|------------------------------------------------------------------------|
 * | 0     | wakeCount    | main   | all     | Atomics.add after the words below were stored; Atomics.notify after it |
 * | 1     | flags        | main   | all     | Atomics.store: cleared before, set after what it vouches for           |
 * | 2-4   | term         | main   | all     | counter, see below                                                     |
 * | 5-7   | commitIndex  | main   | all     | counter; stored before appliedIndex, so applied <= commit for readers  |
 * | 8-10  | appliedIndex | main   | all     | counter; stored after the LMDB transaction that holds it was committed |
 * | 11    | demand       | all    | main    | 1 from a strong read until main takes it; Atomics.notify at the change |
 * | 12    | generation   | main   | all     | Atomics.store before the publish of the first index that it holds      |
 *
 * Main may acknowledge what its open transaction holds and commit it later: the demand asks for it now. It is raised
 * before the reader looks at the database, and taken before main commits.
 *
 * The generation says which content of the index is in force (src/db): another one after a snapshot took its place.
 *
 * A counter is a non-decreasing integer below 2^53 in three words: high, low, high copy. There is no 53-bit atomic
 * without BigInt (which allocates), so one writer and many readers agree by order, without waiting:
 *
 * 1. The writer stores high copy, then low, then high. A reader loads high, then low, then high copy.
 * 2. Atomics are sequentially consistent. A reader that saw `high = h` came after the writer finished some value with
 *    high part h; if it then sees `high copy = h`, no store for h + 1 had begun when it loaded `low`.
 * 3. So equal halves mean that `low` belongs to h: the pair is a value that was current during the read.
 * 4. Unequal halves mean that the low word is wrapping right now; the reader tries again until the writer has done its
 *    third store. That can happen once in 2^32 values.
 */

import { assert } from "../base/index.ts";

const WAKE_COUNT = 0;
const FLAGS = 1;
const TERM = 2;
const COMMIT_INDEX = 5;
const APPLIED_INDEX = 8;
const DEMAND = 11;
const GENERATION = 12;
const WORDS = 13;

const FLAG_LEADER = 1;
const FLAG_READS_GRANTED = 2;

const LOW_RANGE = 0x1_0000_0000;

/** What the main thread says about itself; see the table above. */
export interface Progress {
  readonly term: number;
  readonly commitIndex: number;
  readonly appliedIndex: number;
  readonly isLeader: boolean;
  /**
   * True while the commit index alone proves a strong read: this member is the only voter, leads, and has committed
   * an entry of its term. With more voters a read needs a round through the main thread.
   */
  readonly canGrantReads: boolean;
}

/** The view of one thread on the shared words. */
export class SharedState {
  readonly buffer: SharedArrayBuffer;
  readonly #words: Int32Array;

  private constructor(buffer: SharedArrayBuffer) {
    this.buffer = buffer;
    this.#words = new Int32Array(buffer);
  }

  /** Main thread: all zero, not leading, granting nothing. */
  static create(): SharedState {
    return new SharedState(new SharedArrayBuffer(WORDS * Int32Array.BYTES_PER_ELEMENT));
  }

  /** Another thread: over the buffer that it was handed. */
  static attach(buffer: SharedArrayBuffer): SharedState {
    assert(
      buffer.byteLength === WORDS * Int32Array.BYTES_PER_ELEMENT,
      "Shared state of another build",
    );
    return new SharedState(buffer);
  }

  /**
   * Main thread only: publishes, then wakes whoever waits for an applied index.
   * Call it after the transaction that contains `appliedIndex` was committed. Indexes and term never go back.
   */
  publish(progress: Progress): void {
    assert(progress.commitIndex >= 0, `Cannot publish ${progress.commitIndex}: not an index`);
    // What is applied was committed, also while a start has not found it in its log again.
    const commitIndex = Math.max(progress.commitIndex, progress.appliedIndex);
    const flags =
      (progress.isLeader ? FLAG_LEADER : 0) | (progress.canGrantReads ? FLAG_READS_GRANTED : 0);
    // A claim is withdrawn before and made after the values it speaks about.
    Atomics.and(this.#words, FLAGS, flags);
    this.#storeCounter(TERM, progress.term);
    this.#storeCounter(COMMIT_INDEX, commitIndex);
    this.#storeCounter(APPLIED_INDEX, progress.appliedIndex);
    Atomics.store(this.#words, FLAGS, flags);
    Atomics.add(this.#words, WAKE_COUNT, 1);
    Atomics.notify(this.#words, WAKE_COUNT);
  }

  /** Main thread only: readers go over to it when their next read begins. */
  setGeneration(generation: number): void {
    assert(
      generation >= 0 && generation <= 0x7fff_ffff,
      `Generation ${generation} is out of range`,
    );
    Atomics.store(this.#words, GENERATION, generation);
  }

  get generation(): number {
    return Atomics.load(this.#words, GENERATION);
  }

  get term(): number {
    return this.#loadCounter(TERM);
  }

  get commitIndex(): number {
    return this.#loadCounter(COMMIT_INDEX);
  }

  get appliedIndex(): number {
    return this.#loadCounter(APPLIED_INDEX);
  }

  get isLeader(): boolean {
    return (Atomics.load(this.#words, FLAGS) & FLAG_LEADER) !== 0;
  }

  /**
   * The index a strong read must have applied, or -1 when the main thread has to be asked.
   * Every write acknowledged before this call has an index at or below the result.
   */
  tryGrantRead(): number {
    if (Atomics.load(this.#words, DEMAND) === 0) this.#raiseDemand();
    if ((Atomics.load(this.#words, FLAGS) & FLAG_READS_GRANTED) === 0) return -1;
    return this.#loadCounter(COMMIT_INDEX);
  }

  /** Main thread only: resolves when a strong read has come since the demand was last taken. */
  waitForDemand(): Promise<void> {
    const result = waitAsync(this.#words, DEMAND, 0);
    return result.async ? result.value.then(nothing) : Promise.resolve();
  }

  /** Main thread only: the next strong read raises it again. */
  takeDemand(): void {
    Atomics.store(this.#words, DEMAND, 0);
  }

  #raiseDemand(): void {
    if (Atomics.exchange(this.#words, DEMAND, 1) === 0) Atomics.notify(this.#words, DEMAND);
  }

  /** Take it before looking whether to wait; pass it to `waitForPublish`, so that no publish is missed. */
  get wakeCount(): number {
    return Atomics.load(this.#words, WAKE_COUNT);
  }

  /** Resolves at the first publish after `seenWakeCount` was read. Blocks nothing; keeps no event loop alive. */
  waitForPublish(seenWakeCount: number): Promise<void> {
    const result = waitAsync(this.#words, WAKE_COUNT, seenWakeCount);
    return result.async ? result.value.then(nothing) : Promise.resolve();
  }

  #storeCounter(word: number, value: number): void {
    assert(Number.isSafeInteger(value) && value >= 0, `Cannot publish ${value}: not an index`);
    const high = Math.floor(value / LOW_RANGE);
    Atomics.store(this.#words, word + 2, high);
    Atomics.store(this.#words, word + 1, value | 0);
    Atomics.store(this.#words, word, high);
  }

  #loadCounter(word: number): number {
    for (;;) {
      const high = Atomics.load(this.#words, word);
      const low = Atomics.load(this.#words, word + 1) >>> 0;
      if (Atomics.load(this.#words, word + 2) === high) return high * LOW_RANGE + low;
    }
  }
}

type WaitResult =
  | { readonly async: false; readonly value: "not-equal" | "timed-out" }
  | { readonly async: true; readonly value: Promise<"ok" | "timed-out"> };

/** In every Node.js since 16, but only in the type library of ES2024. */
const { waitAsync } = Atomics as unknown as {
  waitAsync(words: Int32Array, index: number, value: number): WaitResult;
};

function nothing(): void {}
