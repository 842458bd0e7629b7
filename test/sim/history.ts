/**
 * The client oracle by log index: near-linear, and checked as things happen.
 *
 * The truth is what was applied, first come: `effects` says which value which index gave to which key. From there:
 * - an acknowledged write is at the index it was told, and above everything finished before it began;
 * - a read is served from a state at or above everything finished before it began, and sees the newest effect in it;
 * - a value takes effect once, and never when its write was refused for certain.
 *
 * Operations without an answer stay open: their values may appear at any later time, or never.
 */

import { OPERATION, type SimCommand } from "./commands.ts";
import { check, violated } from "./failure.ts";

/** One operation as a client has seen it; the blind checker gets these and nothing else. */
export interface HistoryItem {
  readonly isRead: boolean;
  readonly operation: number;
  readonly key: number;
  /** Written value; of a read: what it saw, null for nothing. */
  value: number | readonly number[] | null;
  readonly invokedUs: number;
  /** Infinity: no answer. */
  returnedUs: number;
}

export interface Invoked {
  readonly item: HistoryItem;
  /** Everything finished before this one began has an index up to here. */
  readonly floorIndex: number;
  readonly command: SimCommand | null;
}

interface Effect {
  readonly index: number;
  readonly value: number;
}

export class History {
  readonly items: HistoryItem[] = [];
  /** Acknowledged writes, for the end. */
  readonly acknowledged: { command: SimCommand; index: number }[] = [];
  #finishedIndex = 0;
  /** By operation * 256 + key, ascending by index. */
  readonly #effects = new Map<number, Effect[]>();
  readonly #indexOfValue = new Map<number, number>();
  readonly #refused = new Set<number>();
  #appliedIndex = 0;

  // -- the truth -----------------------------------------------------------------------------------------------

  /** Some member is the first to apply `index`; later ones are compared by state checksum. */
  tookEffect(index: number, command: SimCommand): void {
    if (index <= this.#appliedIndex) return;
    this.#appliedIndex = index;
    const known = this.#indexOfValue.get(command.value);
    if (known !== undefined) {
      violated("exactly-once", `value ${command.value} takes effect at ${known} and ${index}`);
    }
    if (this.#refused.has(command.value)) {
      violated(
        "refused-not-applied",
        `value ${command.value} was refused and takes effect at ${index}`,
      );
    }
    this.#indexOfValue.set(command.value, index);
    const slot = command.operation * 256 + command.key;
    const effects = this.#effects.get(slot);
    if (effects === undefined) this.#effects.set(slot, [{ index, value: command.value }]);
    else effects.push({ index, value: command.value });
  }

  /** A session answers as it did the first time. */
  repeated({ value }: SimCommand, answeredIndex: number): void {
    const index = this.#indexOfValue.get(value);
    check(index === answeredIndex, "same-answer", () => {
      return `value ${value} stands at ${index}, its repeat answers ${answeredIndex}`;
    });
  }

  /** Everything finished until now has an index up to here. */
  get finishedIndex(): number {
    return this.#finishedIndex;
  }

  /** A leader grants reads that had come when everything up to `floorIndex` was finished, whether or not they see less. */
  granted(index: number, floorIndex: number): void {
    check(index >= floorIndex, "read-grant", () => {
      return `${index} is granted, but ${floorIndex} was finished before it was asked for`;
    });
  }

  // -- operations ----------------------------------------------------------------------------------------------

  beginWrite(command: SimCommand, nowUs: number): Invoked {
    const { operation, key, value } = command;
    const item = {
      isRead: false,
      operation,
      key,
      value,
      invokedUs: nowUs,
      returnedUs: Number.POSITIVE_INFINITY,
    };
    this.items.push(item);
    return { item, floorIndex: this.#finishedIndex, command };
  }

  beginRead(operation: number, key: number, nowUs: number): Invoked {
    const item = {
      isRead: true,
      operation,
      key,
      value: null,
      invokedUs: nowUs,
      returnedUs: Number.POSITIVE_INFINITY,
    };
    this.items.push(item);
    return { item, floorIndex: this.#finishedIndex, command: null };
  }

  /** `index` is where the entry of this answer stands; with a session the effect may stand below it. */
  endWrite(invoked: Invoked, index: number, nowUs: number): void {
    const { command, floorIndex, item } = invoked;
    if (command === null) return;
    item.returnedUs = nowUs;
    const effectIndex = this.#indexOfValue.get(command.value);
    if (effectIndex === undefined) {
      violated(
        "acknowledged-applied",
        `value ${command.value} is acknowledged at ${index} and nowhere`,
      );
    }
    const isPlace = command.session === 0 ? effectIndex === index : effectIndex <= index;
    check(isPlace, "acknowledged-place", () => {
      return `value ${command.value} is acknowledged at ${index} and stands at ${effectIndex}`;
    });
    check(effectIndex > floorIndex, "real-time-write", () => {
      return `value ${command.value} at ${effectIndex}, but ${floorIndex} was finished before it began`;
    });
    this.acknowledged.push({ command, index: effectIndex });
    this.#finishedIndex = Math.max(this.#finishedIndex, index);
  }

  /** Certainly not done. */
  refuseWrite({ command, item }: Invoked): void {
    if (command === null) return;
    if (this.#indexOfValue.has(command.value)) {
      violated("refused-not-applied", `value ${command.value} has taken effect and is refused`);
    }
    this.#refused.add(command.value);
    item.returnedUs = Number.NEGATIVE_INFINITY;
  }

  /** `index`: what the state had applied that answered. */
  endRead(
    invoked: Invoked,
    index: number,
    seen: number | readonly number[] | null,
    nowUs: number,
  ): void {
    const { item, floorIndex } = invoked;
    item.returnedUs = nowUs;
    item.value = seen;
    check(index >= floorIndex, "stale-read", () => {
      return `key ${item.key} read at ${index}, but ${floorIndex} was finished before the read began`;
    });
    const expected = this.expectedAt(item.operation, item.key, index);
    check(equalSeen(seen, expected), "read-value", () => {
      return `key ${item.key} at ${index}: ${JSON.stringify(seen)}, truth ${JSON.stringify(expected)}`;
    });
    this.#finishedIndex = Math.max(this.#finishedIndex, index);
  }

  failRead({ item }: Invoked): void {
    item.returnedUs = Number.NEGATIVE_INFINITY;
  }

  /** What a read of the state at `index` has to see. */
  expectedAt(operation: number, key: number, index: number): number | readonly number[] | null {
    const effects = this.#effects.get(operation * 256 + key) ?? [];
    let end = effects.length;
    while (end > 0 && (effects[end - 1] as Effect).index > index) end -= 1;
    if (operation === OPERATION.write) return effects[end - 1]?.value ?? null;
    if (operation === OPERATION.increment) return end;
    return effects.slice(0, end).map(({ value }) => value);
  }
}

function equalSeen(
  a: number | readonly number[] | null,
  b: number | readonly number[] | null,
): boolean {
  if (typeof a !== "object" || typeof b !== "object" || a === null || b === null) return a === b;
  return a.length === b.length && a.every((value, i) => value === b[i]);
}
