/** The dictionaries in memory: least recently used ones are forgotten between transactions. */

import { assert } from "../../base/index.ts";
import type { IndexDatabase } from "../../db/index.ts";
import { Dictionary } from "./dictionary.ts";

export class Dictionaries {
  readonly #db: IndexDatabase;
  readonly #maxBytes: number;
  /** In order of last use by different owners, oldest first. */
  readonly #open = new Map<number, Dictionary>();
  /** Used since the last flush. */
  readonly #touched = new Set<Dictionary>();
  #last: Dictionary | null = null;
  /** Sum of the sizes as of the last flush of each. */
  #bytes = 0;

  constructor(db: IndexDatabase, maxBytes: number) {
    this.#db = db;
    this.#maxBytes = maxBytes;
  }

  /** The dictionary of that id; created empty when the database has none. */
  get(id: number, tenant: number, epoch: number): Dictionary {
    if (this.#last !== null && this.#last.id === id) return this.#last;
    const dictionary =
      this.#open.get(id) ??
      Dictionary.open(this.#db, id) ??
      Dictionary.create(this.#db, id, tenant, epoch);
    assert(dictionary.id === id, `Dictionary ${id} is known as ${dictionary.id}`);
    this.#open.delete(id);
    this.#open.set(id, dictionary);
    this.#touched.add(dictionary);
    this.#last = dictionary;
    return dictionary;
  }

  /** Stores what changed. */
  flush(): void {
    for (const dictionary of this.#touched) {
      dictionary.flush();
      this.#bytes += dictionary.accountGrowth();
    }
    this.#touched.clear();
    this.#last = null;
  }

  /** Between transactions. A single dictionary above the bound goes as well, and comes back chunk by chunk. */
  trim(): void {
    for (const dictionary of this.#open.values()) {
      if (this.#bytes <= this.#maxBytes) break;
      this.#close(dictionary);
    }
  }

  /** The dictionary was dropped from the index. */
  drop(id: number): void {
    const dictionary = this.#open.get(id);
    if (dictionary === undefined) return;
    this.#close(dictionary);
    this.#touched.delete(dictionary);
    if (this.#last === dictionary) this.#last = null;
  }

  /** After a transaction that did not happen. */
  forget(): void {
    this.#open.clear();
    this.#touched.clear();
    this.#last = null;
    this.#bytes = 0;
  }

  #close(dictionary: Dictionary): void {
    this.#open.delete(dictionary.id);
    this.#bytes -= dictionary.accountedBytes;
  }
}
