/** What compaction costs AddBlock: the same load on a node that queues every block, and on one that does not. */

import { join } from "node:path";
import {
  COMMAND,
  encodePolicyCommand,
  appendEntry,
  ByteSink,
} from "../../../src/protocol/index.ts";
import { COMPACTION_DEFAULTS } from "../../../src/state/index.ts";
import { type BenchCase, type PreparedCase, repeatCalls } from "../../harness/index.ts";
import { type NodeInProcess, startNode, warmUp } from "../../support/node-in-process.ts";

const IN_FLIGHT = 64;

async function prepare(directory: string): Promise<PreparedCase> {
  const queueing = await startNode(join(directory, "on"));
  const plain = await startNode(join(directory, "off"));
  await turnOn(queueing);
  await warmUp(queueing.addBlock);
  await warmUp(plain.addBlock);
  const options = { inFlight: IN_FLIGHT, hasLatencies: true };
  return {
    ours: repeatCalls(
      `AddBlock, ${IN_FLIGHT} in flight, compaction on`,
      queueing.addBlock,
      options,
    ),
    limit: repeatCalls(`AddBlock, ${IN_FLIGHT} in flight, compaction off`, plain.addBlock, options),
    close: async () => {
      await queueing.close();
      await plain.close();
    },
  };
}

function turnOn({ replica }: NodeInProcess): Promise<void> {
  const sink = new ByteSink();
  const payload = encodePolicyCommand(JSON.stringify(COMPACTION_DEFAULTS));
  appendEntry(sink, COMMAND.setCompactionPolicy, payload);
  const body = sink.copy();
  return new Promise((resolve, reject) => {
    replica.propose({ body, bodyBytes: body.length, count: 1 }, (result) => {
      if (result.ok && result.outcomes[0] === 0) resolve();
      else reject(new Error("The policy was not taken"));
    });
  });
}

export const cases: readonly BenchCase[] = [
  {
    name: "compaction/add-block/64-in-flight",
    about: "AddBlock on a node that queues every block for compaction, against one that does not.",
    goals: [{ metric: "rate", form: "ours/limit", atLeast: 0.8 }],
    sampleMs: 300,
    isLong: true,
    prepare: ({ directory }) => prepare(directory),
  },
];
