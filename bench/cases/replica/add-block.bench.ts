/** A durable AddBlock on one node, in process, against raw durable writes of the same bytes one at a time. */

import { join } from "node:path";
import { type BenchCase, type PreparedCase, repeat, repeatCalls } from "../../harness/index.ts";
import { goRound, startNode, warmUp } from "../../support/node-in-process.ts";
import { rawWriter } from "../../support/raw-writer.ts";

async function prepare(directory: string, inFlight: number): Promise<PreparedCase> {
  const raw = rawWriter(directory);
  const node = await startNode(join(directory, "node"));
  await warmUp(node.addBlock);
  // One at a time does not fill files: new ones are none of its business.
  if (inFlight > 1) await goRound(node.addBlock, node);
  return {
    ours: repeatCalls(`AddBlock, ${inFlight} in flight`, node.addBlock, {
      inFlight,
      hasLatencies: true,
    }),
    limit: repeat("O_DSYNC write, one at a time", raw.write, { hasLatencies: true }),
    close: async () => {
      await node.close();
      raw.close();
    },
  };
}

export const cases: readonly BenchCase[] = [
  {
    name: "replica/add-block/1-in-flight",
    about: "Logged and applied, one at a time, against a raw durable write of the same bytes.",
    goals: [{ metric: "p50Us", form: "ours/limit", atMost: 2.5 }],
    sampleMs: 300,
    prepare: ({ directory }) => prepare(directory, 1),
  },
  {
    name: "replica/add-block/64-in-flight",
    about: "Logged and applied, 64 at a time, against raw durable writes one at a time.",
    goals: [{ metric: "rate", form: "ours/limit", atLeast: 20 }],
    sampleMs: 300,
    prepare: ({ directory }) => prepare(directory, 64),
  },
];
