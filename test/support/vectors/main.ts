/**
 * `npm run vectors -- <directory> [--via engine|ws] [--json]`
 *
 * Runs every case of every vector file in the directory, prints one line per case and the totals, and exits with 1
 * when a case fails. `--via ws` starts a real server per case and talks to it as a client would.
 */

import { parseArgs } from "node:util";
import { createEngineTargets } from "./engine-target.ts";
import { type CaseOutcome, loadVectors, runCase } from "./run.ts";
import { createServerTargets } from "./server-target.ts";
import type { VectorTargets } from "./types.ts";

function createTargets(via: string): VectorTargets {
  if (via === "engine") return createEngineTargets();
  if (via === "ws") return createServerTargets();
  throw new Error(`Unknown target --via ${via}. There are: engine, ws`);
}

async function main(): Promise<void> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      via: { type: "string", default: "engine" },
      json: { type: "boolean", default: false },
    },
  });
  const directory = positionals[0];
  if (directory === undefined || positionals.length > 1) {
    throw new Error("Usage: npm run vectors -- <directory> [--via engine|ws] [--json]");
  }
  const targets = createTargets(values.via);
  const outcomes: CaseOutcome[] = [];
  try {
    for (const { name, content } of loadVectors(directory)) {
      for (const vectorCase of content.cases) {
        const failure = await runCase(content, vectorCase, targets);
        outcomes.push({ file: name, case: vectorCase.name, failure });
        if (values.json) continue;
        console.log(`${failure === null ? "ok   " : "FAIL "} ${name}: ${vectorCase.name}`);
        if (failure !== null) console.log(failure.replace(/^/gm, "      "));
      }
    }
  } finally {
    await targets.close();
  }
  report(outcomes, values.via, values.json);
}

function report(outcomes: readonly CaseOutcome[], via: string, isJson: boolean): void {
  const failed = outcomes.filter(({ failure }) => failure !== null).length;
  const passed = outcomes.length - failed;
  const summary = { schema: "hearth/vectors/v1", via, passed, failed, cases: outcomes };
  console.log(isJson ? JSON.stringify(summary) : `${passed} passed, ${failed} failed`);
  if (failed > 0) process.exitCode = 1;
}

try {
  await main();
} catch (error) {
  process.stderr.write(`vectors: ${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 2;
}
