/** Rows in a map: the store of the tests. What it hands out is overwritten by its next call, as with LMDB. */

import type { SessionStore } from "../../../src/session/index.ts";

export class MemoryStore implements SessionStore {
  readonly #rows: Map<string, Uint8Array>;
  readonly #scratch = Buffer.alloc(512);

  constructor(rows: ReadonlyMap<string, Uint8Array> = new Map()) {
    this.#rows = new Map(rows);
  }

  get(key: Uint8Array): Uint8Array | null {
    const value = this.#rows.get(hex(key));
    return value === undefined ? null : this.#lend(value);
  }

  put(key: Uint8Array, value: Uint8Array): void {
    this.#rows.set(hex(key), value.slice());
  }

  delete(key: Uint8Array): void {
    this.#rows.delete(hex(key));
  }

  scan(start: Uint8Array, end: Uint8Array, visit: (key: Uint8Array) => boolean): void {
    const [first, last] = [hex(start), hex(end)];
    const found = [...this.#rows.keys()].filter((key) => key >= first && key < last).sort();
    for (const key of found) if (!visit(this.#lend(Buffer.from(key, "hex")))) break;
    this.#scratch.fill(0xee);
  }

  #lend(bytes: Uint8Array): Uint8Array {
    this.#scratch.fill(0xee);
    this.#scratch.set(bytes);
    return this.#scratch.subarray(0, bytes.length);
  }

  /** All rows in order: a snapshot of them. */
  rows(): Map<string, Uint8Array> {
    return new Map([...this.#rows].sort(([a], [b]) => (a < b ? -1 : 1)));
  }
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("hex");
}
