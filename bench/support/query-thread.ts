/** A reader thread for benchmarks: its own database handle and engine, runs one query for as long as it is told. */

import { parentPort, workerData } from "node:worker_threads";
import { IndexDatabase } from "../../src/db/index.ts";
import type { QueryParams } from "../../src/read/index.ts";
import { Queries } from "./queries.ts";

export interface QueryThreadOptions {
  readonly directory: string;
  readonly query: QueryParams;
}

const { directory, query } = workerData as QueryThreadOptions;
const db = IndexDatabase.open({ directory, mapSizeBytes: 64 * 1024 ** 3, role: "reader" });
const queries = new Queries(db);

parentPort?.on("message", (runMs: number) => {
  const startedAtMs = performance.now();
  let count = 0;
  let wallMs = 0;
  do {
    for (let i = 0; i < 20; i++) queries.plan(query);
    count += 20;
    wallMs = performance.now() - startedAtMs;
  } while (wallMs < runMs);
  parentPort?.postMessage({ count, wallMs });
});
parentPort?.postMessage("ready");
