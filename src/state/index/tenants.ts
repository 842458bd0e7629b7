/**
 * Tenant names and their ids. An id is given out at the first block or tombstone of the name and never taken back;
 * T = 0 is the anonymous owner and has no name, so no tenant can be called it (W10).
 */

import { type IndexDatabase, KeyBuffer } from "../../db/index.ts";
import type { Counters } from "../counters.ts";
import { ByteInterner, hashView } from "./byte-interner.ts";

/** Beyond this the names are forgotten and looked up again, bytes. Room for tens of thousands of tenants. */
const CACHE_MAX_BYTES = 8 * 1024 * 1024;

const encoder = new TextEncoder();
const idKey = new KeyBuffer(4);
const idValue = new Uint32Array(1);
const idValueBytes = new Uint8Array(idValue.buffer);

export class Tenants {
  readonly #db: IndexDatabase;
  readonly #counters: Counters;
  #known = new ByteInterner();

  constructor(db: IndexDatabase, counters: Counters) {
    this.#db = db;
    this.#counters = counters;
  }

  /** Id of the name view[start, end), or -1 when it was never seen. The empty name is 0. */
  find(view: DataView, start: number, end: number): number {
    if (start === end) return 0;
    const hash = hashView(view, start, end);
    const known = this.#known.find(view, start, end, hash);
    if (known >= 0) return known;
    const bytes = this.#db.get(
      "tenantIds",
      new Uint8Array(view.buffer, view.byteOffset + start, end - start),
    );
    if (bytes < 0) return -1;
    const id = this.#db.u32[0] as number;
    this.#known.add(view, start, end, hash, id);
    return id;
  }

  /** As `find`, by text. */
  findName(name: string): number {
    const view = textView(name);
    return this.find(view, 0, view.byteLength);
  }

  /** As `intern`, by text. */
  internName(name: string): number {
    const view = textView(name);
    return this.intern(view, 0, view.byteLength);
  }

  /** Id of the name, given out now if it is new. Inside a write transaction. */
  intern(view: DataView, start: number, end: number): number {
    const found = this.find(view, start, end);
    if (found >= 0) return found;
    const name = new Uint8Array(view.buffer, view.byteOffset + start, end - start);
    const id = this.#counters.take("nextTenant");
    idValue[0] = id;
    this.#db.put("tenantIds", name, idValueBytes);
    this.#db.put("tenants", idKey.u32(0, id).bytes, name);
    this.#known.add(view, start, end, hashView(view, start, end), id);
    return id;
  }

  /** Between transactions. */
  trim(): void {
    if (this.#known.sizeBytes > CACHE_MAX_BYTES) this.forget();
  }

  /** After a transaction that did not happen. */
  forget(): void {
    this.#known = new ByteInterner();
  }
}

function textView(text: string): DataView {
  const bytes = encoder.encode(text);
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
