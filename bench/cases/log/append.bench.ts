/** Driver, core and log without a state: what a durable, committed entry costs before it means anything. */

import { join } from "node:path";
import { open } from "lmdb";
import {
  type BenchCase,
  type PreparedCase,
  repeat,
  repeatCalls,
  type Subject,
} from "../../harness/index.ts";
import { ENTRY_BYTES, goRound, noState, startNode, warmUp } from "../../support/node-in-process.ts";
import { rawWriter } from "../../support/raw-writer.ts";

interface Limit {
  readonly subject: Subject;
  readonly close: () => void | Promise<void>;
}

function rawLimit(directory: string): Limit {
  const raw = rawWriter(directory);
  const subject = repeat("O_DSYNC write, one at a time", raw.write, { hasLatencies: true });
  return { subject, close: raw.close };
}

/** Puts of the same size whose promise stands for a synced commit; puts that wait share one. */
function lmdbLimit(directory: string, inFlight: number): Limit {
  const db = open<Uint8Array, number>({
    path: join(directory, "lmdb"),
    overlappingSync: false,
    encoding: "binary",
  });
  const value = new Uint8Array(ENTRY_BYTES).fill(1);
  let key = 0;
  const subject = repeatCalls(
    `durable LMDB put, ${inFlight} in flight`,
    (done, failed) => void db.put(key++, value).then(done, failed),
    { inFlight, hasLatencies: true },
  );
  return { subject, close: () => db.close() };
}

async function prepare(directory: string, inFlight: number, limit: Limit): Promise<PreparedCase> {
  const node = await startNode(join(directory, "node"), noState);
  await goRound(node.addEntry, node);
  // Lone writes take ways of their own; the others are warm by now.
  if (inFlight === 1) await warmUp(node.addEntry);
  return {
    ours: repeatCalls(`entry, ${inFlight} in flight`, node.addEntry, {
      inFlight,
      hasLatencies: true,
    }),
    limit: limit.subject,
    close: async () => {
      await node.close();
      await limit.close();
    },
  };
}

/** Others use the disk, too, and single pairs scatter: 38 to 84 and 65 to 124 in two runs of seven. */
const MANY_PAIRS = { sampleMs: 150, pairs: 13 } as const;

export const cases: readonly BenchCase[] = [
  {
    name: "log/append/1-in-flight",
    about: "600 B entries through driver, core and log, one at a time, against raw durable writes.",
    goals: [{ metric: "p50Us", form: "ours/limit", atMost: 2.5 }],
    sampleMs: 200,
    prepare: ({ directory }) => prepare(directory, 1, rawLimit(directory)),
  },
  {
    name: "log/append/64-in-flight",
    about: "The same with 64 proposers, against raw durable writes one at a time.",
    goals: [{ metric: "rate", form: "ours/limit", atLeast: 20 }],
    sampleMs: 200,
    prepare: ({ directory }) => prepare(directory, 64, rawLimit(directory)),
  },
  {
    name: "log/append/512-in-flight",
    about: "The same with 512 proposers, against raw durable writes one at a time.",
    goals: [{ metric: "rate", form: "ours/limit", atLeast: 70 }],
    ...MANY_PAIRS,
    prepare: ({ directory }) => prepare(directory, 512, rawLimit(directory)),
  },
  {
    name: "log/append/64-in-flight-lmdb",
    about: "64 proposers, against 64 durable puts of the same bytes into LMDB.",
    goals: [{ metric: "rate", form: "ours/limit", atLeast: 1.8 }],
    ...MANY_PAIRS,
    prepare: ({ directory }) => prepare(directory, 64, lmdbLimit(directory, 64)),
  },
];
