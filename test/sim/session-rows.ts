/** Rows of the session table in the simulated database: sorted, with what a transaction changed kept for taking back. */

import type { SessionStore } from "../../src/session/index.ts";

/** Keys as text of one character per byte: compares as the bytes do. */
type Rows = Map<string, Uint8Array>;

export class SessionRows implements SessionStore {
  readonly #rows: Rows = new Map();
  readonly #keys: string[] = [];
  #undo: { readonly key: string; readonly before: Uint8Array | null }[] = [];

  get(key: Uint8Array): Uint8Array | null {
    return this.#rows.get(textOf(key)) ?? null;
  }

  put(key: Uint8Array, value: Uint8Array): void {
    const text = textOf(key);
    this.#undo.push({ key: text, before: this.#rows.get(text) ?? null });
    this.#set(text, value.slice());
  }

  delete(key: Uint8Array): void {
    const text = textOf(key);
    this.#undo.push({ key: text, before: this.#rows.get(text) ?? null });
    this.#set(text, null);
  }

  scan(start: Uint8Array, end: Uint8Array, visit: (key: Uint8Array) => boolean): void {
    const endText = textOf(end);
    for (let i = this.#positionOf(textOf(start)); i < this.#keys.length; i++) {
      const key = this.#keys[i] as string;
      if (key >= endText || !visit(bytesOf(key))) return;
    }
  }

  commit(): void {
    this.#undo = [];
  }

  rollBack(): void {
    for (const { key, before } of this.#undo.reverse()) this.#set(key, before);
    this.#undo = [];
  }

  /** Committed rows, in order of their keys. */
  encode(): [string, number[]][] {
    const copy = new SessionRows();
    for (const [key, value] of this.#rows) copy.#set(key, value);
    copy.#undo = [...this.#undo];
    copy.rollBack();
    return copy.#keys.map((key) => [key, [...(copy.#rows.get(key) as Uint8Array)]]);
  }

  static decode(rows: readonly [string, number[]][]): SessionRows {
    const decoded = new SessionRows();
    for (const [key, value] of rows) decoded.#set(key, Uint8Array.from(value));
    return decoded;
  }

  #set(key: string, value: Uint8Array | null): void {
    const isThere = this.#rows.has(key);
    if (value === null) {
      this.#rows.delete(key);
      if (isThere) this.#keys.splice(this.#positionOf(key), 1);
      return;
    }
    this.#rows.set(key, value);
    if (!isThere) this.#keys.splice(this.#positionOf(key), 0, key);
  }

  /** Of the first key at or above `key`. */
  #positionOf(key: string): number {
    let low = 0;
    let high = this.#keys.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.#keys[middle] as string) < key) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}

function textOf(key: Uint8Array): string {
  return String.fromCharCode(...key);
}

function bytesOf(text: string): Uint8Array {
  return Uint8Array.from(text, (character) => character.charCodeAt(0));
}
