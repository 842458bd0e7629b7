/** The query engine in process: against a plain scan of the same rows, and against itself on a smaller index. */

import { join } from "node:path";
import { encodeUlid } from "../../../src/base/index.ts";
import { type IndexDatabase, KeyBuffer } from "../../../src/db/index.ts";
import { ENTRY_ROW, EntryReader, HEAD } from "../../../src/protocol/index.ts";
import type { QueryParams } from "../../../src/read/index.ts";
import {
  type BenchCase,
  type BenchContext,
  type PreparedCase,
  repeat,
} from "../../harness/index.ts";
import { makeBlock, serviceNames } from "../../support/block-fixture.ts";
import { IndexBuilder } from "../../support/index-builder.ts";
import { Queries } from "../../support/queries.ts";

const AT_MS = Date.UTC(2026, 10, 22, 12);

/**
 * What the engine is compared with: every row of `blocks`, looked at in place, matching ones copied out. It is told
 * the key to look for, and resolves no dictionary.
 */
class PlainScan {
  readonly #db: IndexDatabase;
  readonly #entry: EntryReader;
  readonly #start = new KeyBuffer(4);
  readonly #end = new KeyBuffer(4);
  readonly #out = new Uint8Array(1024 * 1024);

  constructor(db: IndexDatabase) {
    this.#db = db;
    this.#entry = new EntryReader(db);
  }

  /** Ids of the blocks with a dataset of that key in time, and how many bytes they take. */
  run(key: number, startMs: number, endMs: number, ids?: string[]): number {
    const entry = this.#entry;
    let bytes = 0;
    this.#db.beginRead();
    try {
      this.#db.scan(
        "blocks",
        this.#start.u32(0, 0).bytes,
        this.#end.u32(0, 0xffffffff).bytes,
        (_key, length) => {
          entry.reset(0, length);
          if (!hasMatch(entry, key, startMs, endMs)) return true;
          this.#out.set(this.#db.u8.subarray(0, length), bytes);
          bytes += length;
          ids?.push(encodeUlid(entry.u8, entry.headOffset + HEAD.id));
          return true;
        },
      );
    } finally {
      this.#db.endRead();
    }
    return bytes;
  }
}

function hasMatch(entry: EntryReader, key: number, startMs: number, endMs: number): boolean {
  const { i32, f64, rowsCount } = entry;
  for (let i = 0, at = entry.rowsOffset; i < rowsCount; i++, at += ENTRY_ROW.bytes) {
    if (i32[(at + ENTRY_ROW.key) >>> 2] !== key) continue;
    if (startMs > (f64[(at + ENTRY_ROW.maxTimeMs) >>> 3] as number)) continue;
    if (endMs >= (f64[(at + ENTRY_ROW.minTimeMs) >>> 3] as number)) return true;
  }
  return false;
}

/** 200 blocks of ten datasets in one shard; the wanted service is in four of them. */
async function prepareScan(context: BenchContext): Promise<PreparedCase> {
  const builder = new IndexBuilder(join(context.directory, "index"));
  const services = serviceNames(50);
  for (let i = 0; i < 200; i++) {
    const names = Array.from({ length: 10 }, (_, k) => services[(i + k) % 50] as string);
    if (i % 50 === 0) names[3] = "wanted";
    builder.add(
      makeBlock({
        createdAtMs: AT_MS + i * 1000,
        serial: i,
        owner: "acme",
        datasetTenant: "acme",
        shard: 1,
        services: names,
        minTimeMs: AT_MS + i * 1000 - 60_000,
        maxTimeMs: AT_MS + i * 1000,
      }),
    );
  }
  builder.finish();
  const queries = new Queries(builder.db);
  const plain = new PlainScan(builder.db);
  const params: QueryParams = {
    tenants: ["acme"],
    startMs: AT_MS - 60_000,
    endMs: AT_MS + 300_000,
    selector: '{service_name="wanted"}',
    labels: [],
  };
  const key = findKey(plain, queries.ids(params), params);
  return {
    ours: repeat("query engine", () => queries.plan(params)),
    limit: repeat("plain row scan, in-place decoder", () =>
      plain.run(key, params.startMs, params.endMs),
    ),
    close: () => builder.close(),
  };
}

/** The dataset key whose plain scan gives the engine's answer: the check that both do the same work. */
function findKey(plain: PlainScan, wanted: readonly string[], params: QueryParams): number {
  if (wanted.length !== 4) throw new Error(`Expected 4 matches, got ${wanted.length}`);
  for (let key = 0; key < 256; key++) {
    const ids: string[] = [];
    plain.run(key, params.startMs, params.endMs, ids);
    if (ids.join() === wanted.join()) return key;
  }
  throw new Error("The plain scan does not find the engine's answer");
}

export const cases: readonly BenchCase[] = [
  {
    name: "read/query/200-blocks-4-matches",
    about: "The engine against a scan of all rows of the same data with an in-place decoder.",
    goals: [{ metric: "cpuUs", form: "limit/ours", atLeast: 2.5 }],
    prepare: prepareScan,
  },
];
