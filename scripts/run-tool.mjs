/**
 * Runs one of the project's own compiled tools after making the clone ready: `node scripts/run-tool.mjs vectors ...`.
 */

import { ensureReady } from "./lib/ensure.mjs";
import { fail, handOver, inRoot } from "./lib/project.mjs";

const TOOLS = {
  vectors: ["dist", "test", "support", "vectors", "main.js"],
  bench: ["dist", "bench", "main.js"],
  sim: ["dist", "test", "sim", "main.js"],
  mutants: ["dist", "test", "mutants", "main.js"],
  explore: ["dist", "test", "explore", "main.js"],
  crashpoints: ["dist", "test", "crashpoints", "main.js"],
  interop: ["dist", "test", "interop", "main.js"],
  chaos: ["dist", "test", "chaos", "main.js"],
  demo: ["dist", "test", "demo", "main.js"],
  bitrot: ["dist", "test", "crashpoints", "bitrot.js"],
  docs: ["dist", "src", "cli", "reference", "write.js"],
};

const [name, ...args] = process.argv.slice(2);
try {
  const path = TOOLS[name];
  if (path === undefined) {
    throw new Error(`Unknown tool "${name}". There are: ${Object.keys(TOOLS).join(", ")}`);
  }
  await ensureReady();
  handOver(["--enable-source-maps", inRoot(...path), ...args]);
} catch (error) {
  fail(error);
}
