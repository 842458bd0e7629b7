/**
 * Tenants that are being deleted, for readers: no answer may show anything of them (src/state/deletions/DESIGN.md).
 *
 * That somebody is hidden, and since which change of the list, stands in the `applied` record, which every read looks at
 * anyway. So while nobody is, this costs a comparison of numbers per query; the list itself is read once per change.
 */

import {
  type IndexDatabase,
  KEYS_PER_CHUNK_SHIFT,
  STRINGS_PER_CHUNK_SHIFT,
} from "../../db/index.ts";
import { ENTRY_ROW, type EntryReader } from "../../protocol/index.ts";
import { dataLoss } from "./data-loss.ts";
import type { Dictionary } from "./dictionary.ts";

/** Ids of strings known to name a hidden tenant, or not to; over it they are looked at again. */
const KNOWN_IDS_MAX = 65_536;
const KEY_MASK = (1 << KEYS_PER_CHUNK_SHIFT) - 1;
const STRING_MASK = (1 << STRINGS_PER_CHUNK_SHIFT) - 1;
const FIRST = new Uint8Array(8);
const LAST = new Uint8Array(9).fill(0xff);

export class HiddenTenants {
  readonly #db: IndexDatabase;
  #hiddenAt = 0;
  readonly #names = new Set<string>();
  /** By dictionary and string: ids are never used twice. */
  readonly #known = new Map<number, Map<number, boolean>>();
  #knownCount = 0;

  constructor(db: IndexDatabase) {
    this.#db = db;
  }

  /** When a read begins. `hiddenAt`: what its transaction says; 0: nobody is hidden. */
  beginQuery(hiddenAt: number): void {
    if (hiddenAt === this.#hiddenAt) return;
    this.#names.clear();
    this.#forgetIds();
    // Before the list is read: one that cannot be read must be tried again, not be taken for an empty one.
    this.#hiddenAt = -1;
    if (hiddenAt > 0) this.#read();
    this.#hiddenAt = hiddenAt;
  }

  get isEmpty(): boolean {
    return this.#names.size === 0;
  }

  has(name: string): boolean {
    return this.#names.has(name);
  }

  /** Those of the names that may be asked for. */
  visible(names: readonly string[]): readonly string[] {
    return this.#names.size === 0 ? names : names.filter((name) => !this.#names.has(name));
  }

  /** Positions of an entry's datasets that may be shown. The entry must not stand in the scratch buffer. */
  visibleRows(entry: EntryReader, dictionary: Dictionary): Uint32Array {
    const rows = new Uint32Array(entry.rowsCount);
    let count = 0;
    for (let row = 0; row < entry.rowsCount; row++) {
      if (!this.#isHidden(dictionary, entry.rowU32(row, ENTRY_ROW.key))) rows[count++] = row;
    }
    return rows.subarray(0, count);
  }

  #isHidden(dictionary: Dictionary, key: number): boolean {
    const { ints, bounds } = dictionary.keyChunk(key);
    const tenant = ints[bounds[key & KEY_MASK] as number] as number;
    if (tenant === 0) return false;
    const known = this.#known.get(dictionary.id)?.get(tenant);
    return known ?? this.#learn(dictionary, tenant);
  }

  #learn(dictionary: Dictionary, tenant: number): boolean {
    const { bytes, bounds } = dictionary.stringChunk(tenant);
    const i = tenant & STRING_MASK;
    const name = Buffer.from(bytes.subarray(bounds[i] as number, bounds[i + 1] as number));
    const isHidden = this.#names.has(name.toString("utf8"));
    if (++this.#knownCount > KNOWN_IDS_MAX) this.#forgetIds();
    const ids = this.#known.get(dictionary.id) ?? new Map<number, boolean>();
    this.#known.set(dictionary.id, ids.set(tenant, isHidden));
    return isHidden;
  }

  #forgetIds(): void {
    this.#known.clear();
    this.#knownCount = 0;
  }

  #read(): void {
    this.#db.scan("tenantDeletions", FIRST, LAST, (_, length) => {
      const { tenant, state } = parse(Buffer.from(this.#db.value(length)).toString("utf8"));
      if (state !== "open") this.#names.add(tenant);
      return true;
    });
  }
}

function parse(text: string): { readonly tenant: string; readonly state: string } {
  try {
    const { tenant, state } = JSON.parse(text) as { tenant: unknown; state: unknown };
    if (typeof tenant === "string" && typeof state === "string") return { tenant, state };
  } catch {
    // Said below, in the words for all damage.
  }
  throw dataLoss("the record of a deleted tenant is damaged");
}
