/** A sweep of dead letters: from the files of a directory into the log and the index of a node in this process. */

import { setMaxListeners } from "node:events";
import { existsSync, mkdirSync, readdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { SILENT_LOGGER, SYSTEM_CLOCK, SYSTEM_SCHEDULER } from "../../../src/base/index.ts";
import { LOAD_DEFAULTS, LoadGenerator } from "../../../src/cli/load/index.ts";
import { DLQ_DEFAULTS, DlqRecovery } from "../../../src/leader/index.ts";
import { encodeBlockMetaProto } from "../../../src/protocol/index.ts";
import { openObjectStore, STORAGE_DEFAULTS } from "../../../src/storage/index.ts";
import type { BenchCase, PreparedCase, Sample } from "../../harness/index.ts";
import { startNode } from "../../support/node-in-process.ts";

const ENTRIES = 3_000;
const START_MS = Date.UTC(2026, 0, 1);

/** As segment writers leave them: level 0, all of one hour. */
function fill(bucket: string, seed: number): void {
  const load = new LoadGenerator({
    ...LOAD_DEFAULTS,
    seed,
    compactedShare: 0,
    blockCount: ENTRIES,
    startAtMs: START_MS,
    endAtMs: START_MS + 3_600_000,
  });
  for (const block of load.blocks()) {
    const path = join(bucket, `dlq/${block.shard}/anonymous/${block.id}/meta.pb`);
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, encodeBlockMetaProto(block));
  }
}

async function prepare(directory: string, firstSeed: number): Promise<PreparedCase> {
  const bucket = join(directory, "bucket");
  const store = await openObjectStore({
    ...STORAGE_DEFAULTS,
    filesystem: { directory: bucket },
    s3: {
      ...STORAGE_DEFAULTS.s3,
      endpoint: "",
      bucket: "",
      accessKeyId: "",
      secretAccessKey: "",
      isInsecure: false,
      caPath: "",
      skipVerify: false,
    },
  });
  const node = await startNode(join(directory, "node"));
  const recovery = new DlqRecovery(
    { ...DLQ_DEFAULTS, intervalMs: 15_000, settleMs: 0 },
    {
      store,
      replica: node.replica,
      clock: SYSTEM_CLOCK,
      scheduler: SYSTEM_SCHEDULER,
      logger: SILENT_LOGGER,
    },
  );
  let seed = firstSeed;
  const sweep = async (): Promise<Sample> => {
    fill(bucket, seed++);
    const before = recovery.status().attempts.success;
    const cpu = process.cpuUsage();
    const busy = performance.eventLoopUtilization();
    const startedAtMs = performance.now();
    const { signal } = new AbortController();
    setMaxListeners(0, signal);
    const run = { term: 1, signal, isLeading: () => true };
    const { text } = await recovery.run(run);
    const wallMs = performance.now() - startedAtMs;
    const { active } = performance.eventLoopUtilization(busy);
    const { user, system } = process.cpuUsage(cpu);
    if (recovery.status().attempts.success - before !== ENTRIES) throw new Error(text);
    const shards = existsSync(join(bucket, "dlq")) ? readdirSync(join(bucket, "dlq")) : [];
    if (shards.length > 0) throw new Error(`Directories were left: ${shards.join(", ")}`);
    const figures = { mainUsPerEntry: (1_000 * active) / ENTRIES };
    return { operations: ENTRIES, wallMs, cpuMs: (user + system) / 1_000, figures };
  };
  return {
    ours: { name: `${ENTRIES} dead letters of a directory`, sample: sweep },
    close: async () => {
      await node.close();
      await store.close();
    },
  };
}

export const cases: readonly BenchCase[] = [
  {
    name: "leader/dlq/file-system",
    isLong: true,
    about:
      "Dead letters of a directory are read, put into log and index of one member, and deleted.",
    goals: [
      { metric: "rate", form: "ours", atLeast: 1_000 },
      { metric: "figure:mainUsPerEntry", form: "ours" },
    ],
    prepare: ({ directory, seed }) => prepare(directory, seed),
  },
];
