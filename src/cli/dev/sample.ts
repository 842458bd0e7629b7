/** Sample data for `hearth dev`: blocks as a cluster would have written them in the last hour. */
import { connect } from "../../client/index.ts";
import { LOAD_DEFAULTS, LoadGenerator } from "../load/index.ts";

const BLOCK_COUNT = 1_000;
const BATCH_COUNT = 100;
const SPAN_MS = 3_600_000;
const TIMEOUT_MS = 30_000;

export interface SampleData {
  readonly blockCount: number;
  readonly tenants: readonly string[];
}

/** Errors: the HearthError of the first write that failed. */
export async function addSampleData(
  endpoints: readonly string[],
  nowMs: number,
  signal: AbortSignal,
): Promise<SampleData> {
  const generator = new LoadGenerator({
    ...LOAD_DEFAULTS,
    blockCount: BLOCK_COUNT,
    startAtMs: nowMs - SPAN_MS,
    endAtMs: nowMs,
  });
  await using client = await connect({ endpoints: [...endpoints], name: "hearth-dev" });
  for (let first = 0; first < BLOCK_COUNT; first += BATCH_COUNT) {
    const blocks = Array.from({ length: BATCH_COUNT }, (_, i) => generator.block(first + i));
    await client.addBlocks(blocks, { signal, timeoutMs: TIMEOUT_MS });
  }
  return { blockCount: BLOCK_COUNT, tenants: generator.tenantNames };
}
