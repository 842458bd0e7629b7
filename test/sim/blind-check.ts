/**
 * The blind checker: is there any order of the operations on one key that explains what clients have seen and keeps
 * real time? It knows no log index. Wing and Gong's search with Lowe's memory of configurations, one key at a time
 * (linearizability is local).
 */

import { OPERATION } from "./commands.ts";
import type { HistoryItem } from "./history.ts";

export const BLIND = {
  linearizable: "linearizable",
  violated: "violated",
  unknown: "unknown",
} as const;
export type BlindVerdict = (typeof BLIND)[keyof typeof BLIND];

/** Configurations visited before the search gives up. */
const CONFIGURATIONS_MAX = 100_000;

/** The operations on one key of registers (`write`) or lists (`append`), in any order. */
export function checkBlindly(items: readonly HistoryItem[]): BlindVerdict {
  const observed = observedValues(items);
  const relevant = items
    .filter(({ isRead, returnedUs, value }) => {
      if (returnedUs === Number.NEGATIVE_INFINITY) return false;
      if (returnedUs !== Number.POSITIVE_INFINITY) return true;
      // An open read tells nothing; an open write that nobody saw may never have happened.
      return !isRead && observed.has(value as number);
    })
    .sort((a, b) => a.invokedUs - b.invokedUs);
  return new Search(relevant).run();
}

function observedValues(items: readonly HistoryItem[]): Set<number> {
  const values = new Set<number>();
  for (const { isRead, value } of items) {
    if (!isRead || value === null) continue;
    if (typeof value === "number") values.add(value);
    else for (const element of value) values.add(element);
  }
  return values;
}

/**
 * Of a register: its value, null for none. Of a list: its length; up to the longest list that was read, the content
 * follows from it, and what comes behind that nobody has read.
 */
type State = number | null;

class Search {
  readonly #items: readonly HistoryItem[];
  readonly #isDone: Uint8Array;
  readonly #seen = new Set<string>();
  /** The longest list that was read. */
  readonly #longest: readonly number[];
  #configurations = 0;
  #hasGivenUp = false;

  constructor(items: readonly HistoryItem[]) {
    this.#items = items;
    this.#isDone = new Uint8Array(items.length);
    let longest: readonly number[] = [];
    for (const { isRead, value } of items) {
      if (isRead && Array.isArray(value) && value.length > longest.length) longest = value;
    }
    this.#longest = longest;
  }

  run(): BlindVerdict {
    const first = this.#items[0];
    const empty = first?.operation === OPERATION.append ? 0 : null;
    if (this.#search(0, empty)) return BLIND.linearizable;
    return this.#hasGivenUp ? BLIND.unknown : BLIND.violated;
  }

  /** Everything before `start` is placed. Iterative: histories are longer than the stack is deep. */
  #search(start: number, empty: State): boolean {
    const stack: Frame[] = [{ start, next: start, state: empty, placed: -1 }];
    for (;;) {
      const frame = stack.at(-1);
      if (frame === undefined) return false;
      if (this.#isFinished(frame)) return true;
      const candidate = this.#nextCandidate(frame);
      if (candidate < 0) {
        stack.pop();
        if (frame.placed >= 0) this.#isDone[frame.placed] = 0;
        continue;
      }
      frame.next = candidate + 1;
      const state = this.#step(frame.state, this.#items[candidate] as HistoryItem);
      if (state === undefined) continue;
      this.#isDone[candidate] = 1;
      const first = this.#firstOpen(frame.start);
      if (this.#remember(first, state)) {
        stack.push({ start: first, next: first, state, placed: candidate });
      } else {
        this.#isDone[candidate] = 0;
      }
      if (this.#hasGivenUp) return false;
    }
  }

  #isFinished({ start }: Frame): boolean {
    for (let i = start; i < this.#items.length; i++) {
      const item = this.#items[i] as HistoryItem;
      if (this.#isDone[i] === 0 && item.returnedUs !== Number.POSITIVE_INFINITY) return false;
    }
    return true;
  }

  /** An operation may come next when it began before every other open one has returned. */
  #nextCandidate(frame: Frame): number {
    let deadlineUs = Number.POSITIVE_INFINITY;
    for (let i = frame.start; i < this.#items.length; i++) {
      const item = this.#items[i] as HistoryItem;
      if (item.invokedUs > deadlineUs) break;
      if (this.#isDone[i] === 0) deadlineUs = Math.min(deadlineUs, item.returnedUs);
    }
    for (let i = frame.next; i < this.#items.length; i++) {
      const item = this.#items[i] as HistoryItem;
      if (item.invokedUs > deadlineUs) return -1;
      if (this.#isDone[i] === 0) return i;
    }
    return -1;
  }

  /** The state after the operation; undefined when it cannot happen in `state`. */
  #step(state: State, { isRead, operation, value }: HistoryItem): State | undefined {
    if (operation !== OPERATION.append) {
      if (!isRead) return value as number;
      return value === state ? state : undefined;
    }
    const length = state as number;
    if (!isRead) {
      const isFree = length >= this.#longest.length || this.#longest[length] === value;
      return isFree ? length + 1 : undefined;
    }
    const seen = value as readonly number[];
    const isSame =
      seen.length === length && seen.every((element, i) => element === this.#longest[i]);
    return isSame ? state : undefined;
  }

  #firstOpen(start: number): number {
    let i = start;
    while (i < this.#items.length && this.#isDone[i] === 1) i += 1;
    return i;
  }

  /** False when this configuration was tried before. */
  #remember(first: number, state: State): boolean {
    let key = `${first}:${state}:`;
    let last = this.#items.length - 1;
    while (last >= first && this.#isDone[last] === 0) last -= 1;
    for (let i = first; i <= last; i++) key += this.#isDone[i];
    if (this.#seen.has(key)) return false;
    this.#seen.add(key);
    this.#configurations += 1;
    if (this.#configurations > CONFIGURATIONS_MAX) this.#hasGivenUp = true;
    return true;
  }
}

interface Frame {
  readonly start: number;
  next: number;
  readonly state: State;
  /** What was placed to come here; -1 at the root. */
  readonly placed: number;
}
