/**
 * `npm run bench -- [pattern ...] [--list] [--pairs N] [--seed N] [--report FILE]`
 *
 * Without a pattern: every case that is not long, within three minutes. A pattern is part of a case's name. The
 * table goes to stdout; JSON and a page go to bench/results.
 */

import { mkdirSync, readdirSync, writeFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { parseArgs } from "node:util";
import {
  type BenchCase,
  createReport,
  formatCase,
  formatTotals,
  renderPage,
  runCases,
} from "./harness/index.ts";

/** A plain run must stay under three minutes; a case that has started is let finish. */
const PLAIN_RUN_BUDGET_MS = 165_000;

const HERE = dirname(fileURLToPath(import.meta.url));

async function loadCases(): Promise<BenchCase[]> {
  const folder = join(HERE, "cases");
  const files = readdirSync(folder, { recursive: true, encoding: "utf8" })
    .filter((path) => path.endsWith(".bench.js"))
    .sort();
  const cases: BenchCase[] = [];
  for (const file of files) {
    const loaded = (await import(pathToFileURL(join(folder, file)).href)) as { cases: BenchCase[] };
    cases.push(...loaded.cases);
  }
  return cases;
}

function choose(cases: readonly BenchCase[], patterns: readonly string[]): BenchCase[] {
  if (patterns.length === 0) return cases.filter((benchCase) => benchCase.isLong !== true);
  return cases.filter(({ name }) => patterns.some((pattern) => name.includes(pattern)));
}

function printList(cases: readonly BenchCase[]): void {
  for (const benchCase of cases) {
    console.log(
      `${benchCase.name}${benchCase.isLong === true ? "  (long)" : ""}\n  ${benchCase.about}`,
    );
  }
}

async function main(): Promise<void> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      list: { type: "boolean", default: false },
      pairs: { type: "string" },
      seed: { type: "string", default: "1" },
      report: { type: "string" },
    },
  });
  const all = await loadCases();
  const cases = choose(all, positionals);
  if (values.list) return printList(all);
  if (cases.length === 0)
    throw new Error(`No case matches ${positionals.join(" or ")}; see --list`);
  const startedAt = new Date();
  const seed = Number(values.seed);
  const results = await runCases(cases, {
    seed,
    pairs: values.pairs === undefined ? undefined : Number(values.pairs),
    budgetMs: positionals.length === 0 ? PLAIN_RUN_BUDGET_MS : undefined,
    onProgress: (text) => process.stderr.write(`${text}\n`),
    onResult: (result) => console.log(`${formatCase(result)}\n`),
  });
  const report = createReport(startedAt, seed, results);
  const folder = join("bench", "results");
  mkdirSync(folder, { recursive: true });
  const base = join(folder, startedAt.toISOString().replaceAll(":", "").slice(0, 17));
  const page = values.report ?? `${base}.html`;
  writeFileSync(`${base}.json`, `${JSON.stringify(report, null, 1)}\n`);
  writeFileSync(page, renderPage(report));
  console.log(`${formatTotals(results)}\nwritten: ${base}.json, ${relative(".", page)}`);
  if (results.some((result) => result.failure !== null)) process.exitCode = 1;
}

await main();
