/**
 * Every node is stopped in an orderly way and started again, one after the other, while a program works with the client
 * library: none of its requests may fail, since what a retry with the hint can cure the library cures by itself.
 */

import { connect, type HearthClient, isHearthError } from "../../../src/client/index.ts";
import { decodeBlock } from "../../../src/protocol/index.ts";
import { payloadOf } from "../../../src/client/frames.ts";
import type { TestCluster } from "../../support/cluster/index.ts";
import { addBlockFrame, blockId, ELEMENTS_MAX, placeOf } from "../load/keyspace.ts";
import { restart, settle, work } from "./rounds.ts";
import type { Fault, FaultContext } from "./types.ts";

const STOP_LIMIT_MS = 15_000;
const PROGRAMS_COUNT = 4;
/** Keys of their own, far from those of the other clients. */
const KEYS_START = 1_000_000;

export const ROLLING_RESTART: Fault = {
  name: "rolling-restart",
  about: "stops and starts every node in turn; no request of the client library may fail",
  coverage: ["orderlyStops", "restarts", "libraryWrites", "libraryReads"],
  nodesMin: 3,
  async round(context, round) {
    const programs = Array.from({ length: PROGRAMS_COUNT }, (_, i) =>
      runProgram(context, KEYS_START + round * PROGRAMS_COUNT + i),
    );
    for (const node of context.cluster.nodes) {
      await settle(context);
      const { code, signal } = await withLimit(node.stop(), node.serverId);
      if (code !== 0) {
        const text = `${node.serverId} ends with ${signal ?? code} after SIGTERM`;
        context.noteViolation({ check: "orderly-stop", text });
      }
      context.count("orderlyStops");
      await work(context, 100, 500);
      await restart(context, node);
      await work(context, 200, 700);
    }
    for (const program of programs) await (await program).end();
    context.say(`round ${round}: every node was restarted`);
  },
};

async function withLimit<T>(work: Promise<T>, serverId: string): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    const text = `${serverId} has not stopped after ${STOP_LIMIT_MS} ms`;
    timer = setTimeout(() => reject(new Error(text)), STOP_LIMIT_MS);
  });
  return Promise.race([work, late]).finally(() => clearTimeout(timer));
}

interface Program {
  end(): Promise<void>;
}

/** Writes a block, reads it back, and so on, until it is told to end. */
async function runProgram(context: FaultContext, key: number): Promise<Program> {
  const client = await connect({ endpoints: endpointsOf(context.cluster), name: "chaos-library" });
  let isEnding = false;
  const run = async (): Promise<void> => {
    for (let element = 0; !isEnding; element = (element + 1) % ELEMENTS_MAX) {
      await step(context, client, { key, element });
      await work(context, 5, 20);
    }
  };
  const running = run();
  return {
    async end() {
      isEnding = true;
      await running;
      await client.close();
    },
  };
}

function endpointsOf(cluster: TestCluster): string[] {
  return cluster.nodes.map(({ endpoint }) => endpoint);
}

async function step(
  { load, count, noteViolation }: FaultContext,
  client: HearthClient,
  { key, element }: { readonly key: number; readonly element: number },
): Promise<void> {
  const { tenant, shard } = placeOf(key);
  const id = blockId(key, element);
  try {
    await client.addBlock(decodeBlock(payloadOf(addBlockFrame(key, element))));
    load.otherBlocks.add(id);
    count("libraryWrites");
    let seen = 0;
    for await (const batch of client.getBlockMetadata({ tenant, shard, blocks: [id] })) {
      seen += batch.blockCount;
    }
    count("libraryReads");
    if (seen === 1) return;
    noteViolation({ check: "library", text: `block ${id} was added and read back ${seen} times` });
  } catch (error) {
    const reason = isHearthError(error) ? `${error.code}, ${error.reason}` : "not a HearthError";
    const text = `a request of the client library failed: ${(error as Error).message} (${reason})`;
    noteViolation({ check: "library", text });
  }
}
