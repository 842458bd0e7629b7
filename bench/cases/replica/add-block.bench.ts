/** A durable AddBlock on one node, in process, against raw durable writes of the same bytes one at a time. */

import { closeSync, constants, openSync, writeSync } from "node:fs";
import { join } from "node:path";
import { type BenchCase, type PreparedCase, repeat, repeatAsync } from "../../harness/index.ts";
import { ENTRY_BYTES, startNode } from "../../support/node-in-process.ts";

const FILE_BYTES = 64 * 1024 * 1024;

/** One O_DSYNC write of the bytes of an entry, over a file that exists already. */
function rawWriter(directory: string): { write: () => number; close: () => void } {
  const path = join(directory, "raw");
  const fill = openSync(path, "w");
  for (let offset = 0; offset < FILE_BYTES; offset += 1024 * 1024) {
    writeSync(fill, new Uint8Array(1024 * 1024), 0, 1024 * 1024, offset);
  }
  closeSync(fill);
  const file = openSync(path, constants.O_WRONLY | constants.O_DSYNC);
  const bytes = new Uint8Array(ENTRY_BYTES).fill(1);
  let offset = 0;
  return {
    write: () => {
      offset = (offset + ENTRY_BYTES) % (FILE_BYTES - ENTRY_BYTES);
      return writeSync(file, bytes, 0, ENTRY_BYTES, offset);
    },
    close: () => closeSync(file),
  };
}

async function prepare(
  directory: string,
  inFlight: number,
  isLogOnly = false,
): Promise<PreparedCase> {
  const raw = rawWriter(directory);
  const node = await startNode(join(directory, "node"), (state) => (isLogOnly ? noState() : state));
  await warmUp(node.addBlock);
  return {
    ours: repeatAsync(`AddBlock, ${inFlight} in flight`, node.addBlock, {
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

/** A node is warm for all of its life but the first second: some thousand writes compile its write path. */
async function warmUp(addBlock: () => Promise<void>): Promise<void> {
  let left = 20_000;
  const lane = async (): Promise<void> => {
    while (left-- > 0) await addBlock();
  };
  await Promise.all(Array.from({ length: 256 }, lane));
}

/** Applies nothing: what is left is the log. */
function noState() {
  let appliedIndex = 0;
  return {
    get appliedIndex() {
      return appliedIndex;
    },
    appliedTerm: 0,
    apply: (batches: readonly { firstIndex: number; count: number }[]) => {
      let count = 0;
      for (const batch of batches) {
        count += batch.count;
        appliedIndex = batch.firstIndex + batch.count - 1;
      }
      return { outcomes: new Uint8Array(count), rejections: new Map<number, string>() };
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
  {
    name: "replica/append/64-in-flight",
    about: "The same without applying: the log alone.",
    goals: [{ metric: "rate", form: "ours/limit" }],
    sampleMs: 300,
    prepare: ({ directory }) => prepare(directory, 64, true),
  },
];
