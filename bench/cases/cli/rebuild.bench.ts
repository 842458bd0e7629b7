/** Block objects of a directory to entries that the index would take, as `hearth index rebuild` makes them. */

import { mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { LOAD_DEFAULTS, LoadGenerator } from "../../../src/cli/load/index.ts";
import { rebuildIndex } from "../../../src/cli/reconcile/rebuild.ts";
import { FileObjectStore, GuardedStore, STORAGE_DEFAULTS } from "../../../src/storage/index.ts";
import { blockObject } from "../../../test/support/storage/block-objects.ts";
import type { BenchCase, PreparedCase, Sample } from "../../harness/index.ts";

const BLOCKS = 2_000;

async function prepare(directory: string): Promise<PreparedCase> {
  const load = new LoadGenerator({
    ...LOAD_DEFAULTS,
    blockCount: BLOCKS,
    startAtMs: Date.UTC(2026, 0, 1),
    endAtMs: Date.UTC(2026, 0, 2),
  });
  const bucket = join(directory, "bucket");
  for (let i = 0; i < BLOCKS; i++) {
    const { key, bytes } = blockObject(load.block(i), 4_096);
    mkdirSync(dirname(join(bucket, key)), { recursive: true });
    writeFileSync(join(bucket, key), bytes);
  }
  const { prefix, timeoutMs } = STORAGE_DEFAULTS;
  const monotonicMs = (): number => performance.now();
  const options = { prefix, timeoutMs, tellsOperations: false, monotonicMs };
  const store = new GuardedStore(
    options,
    new FileObjectStore({ directory: bucket, isBlocking: true }),
  );
  const rebuild = async (): Promise<Sample> => {
    const cpu = process.cpuUsage();
    const startedAt = performance.now();
    const totals = await rebuildIndex(
      { isDryRun: true, signal: new AbortController().signal },
      { store, client: null, onProgress: () => {}, onProblem: () => {} },
    );
    const wallMs = performance.now() - startedAt;
    const { user, system } = process.cpuUsage(cpu);
    if (totals.blocks !== BLOCKS) throw new Error(`The rebuild found ${totals.blocks} blocks`);
    return { operations: BLOCKS, wallMs, cpuMs: (user + system) / 1_000 };
  };
  return {
    ours: { name: `${BLOCKS} objects listed, read and encoded`, sample: rebuild },
    close: () => store.close(),
  };
}

export const cases: readonly BenchCase[] = [
  {
    name: "cli/rebuild/file-system",
    about: "Objects of a directory become entries of an index, all but the way to the node.",
    goals: [{ metric: "rate", form: "ours", atLeast: 5_000 }],
    prepare: ({ directory }) => prepare(directory),
  },
];
