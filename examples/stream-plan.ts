/**
 * A large plan, read as it comes: batches are columnar and borrowed, nothing is decoded that is not asked for, and the
 * server sends on only as fast as the loop goes. Leaving the loop, or the signal, cancels the query at the server.
 *
 *   node dist/examples/stream-plan.js [endpoint] [tenant] [selector]
 */
// In your program: import { connect } from "hearth/client";
import { connect } from "../src/client/index.ts";

const [endpoint = "127.0.0.1:4041", tenant = "anonymous", selector = "{}"] = process.argv.slice(2);
const DATASETS_MAX = 100_000;

/** Ctrl-C ends the query, not only the process. */
const controller = new AbortController();
process.once("SIGINT", () => controller.abort(new Error("interrupted")));

const hearth = await connect({ endpoints: [endpoint], name: "example" });
try {
  const bytesByService = new Map<string, bigint>();
  let blocks = 0;
  let datasets = 0;

  const everything = { tenants: [tenant], selector, startAtMs: 0, endAtMs: Date.now() };
  const options = { signal: controller.signal, timeoutMs: 30_000, consistency: "local" } as const;
  for await (const batch of hearth.queryMetadata(everything, options)) {
    blocks += batch.blockCount;
    for (const block of batch) {
      for (const dataset of block.datasets()) {
        // Strings are decoded here and now; `dataset` itself must not be kept for the next step.
        const service = dataset.name;
        bytesByService.set(service, (bytesByService.get(service) ?? 0n) + dataset.sizeBytes);
        datasets += 1;
      }
    }
    if (datasets >= DATASETS_MAX) break;
  }

  console.log(`${blocks} blocks, ${datasets} datasets`);
  const largest = [...bytesByService].sort(([, a], [, b]) => (a < b ? 1 : -1)).slice(0, 10);
  for (const [service, bytes] of largest) console.log(`${bytes}\t${service}`);
} finally {
  await hearth.close();
}
