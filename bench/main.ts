/** `npm run bench`: the table goes to stdout; JSON and a page go to bench/results. */

import { mkdirSync, readdirSync, writeFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { parseCommandLine, readCommandLine, wholeNumber } from "../test/support/command-line.ts";
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
const PATTERNS_MAX = 100;
const PAIRS_MAX = 10_000;

const USAGE = `npm run bench -- [pattern ...] [options]: what we take beside what the machine gives, in interleaved pairs
  pattern        part of a case's name; without one, every case that is not long, within three minutes
  --list         names the cases and what they measure
  --pairs N      of each case; as many as it asks for
  --seed N       of the order within the pairs, 1
  --report FILE  the page; beside the JSON, in bench/results`;

interface Settings {
  readonly patterns: readonly string[];
  readonly list: boolean;
  readonly pairs: number | undefined;
  readonly seed: number;
  readonly page: string | undefined;
}

function readSettings(argv: readonly string[]): Settings | null {
  const options = {
    list: { type: "boolean", default: false },
    pairs: { type: "string" },
    seed: { type: "string", default: "1" },
    report: { type: "string" },
  } as const;
  const parsed = parseCommandLine(options, argv, PATTERNS_MAX);
  if (parsed === null) return null;
  const { list, pairs, seed, report } = parsed.values;
  return {
    patterns: parsed.positionals,
    list,
    pairs: pairs === undefined ? undefined : wholeNumber("pairs", pairs, 1, PAIRS_MAX),
    seed: wholeNumber("seed", seed, 0, Number.MAX_SAFE_INTEGER),
    page: report,
  };
}

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
  const { patterns, list, pairs, seed, page: wantedPage } = readCommandLine(USAGE, readSettings);
  const all = await loadCases();
  const cases = choose(all, patterns);
  if (list) return printList(all);
  if (cases.length === 0) {
    process.stderr.write(`bench: no case matches ${patterns.join(" or ")}; see --list\n`);
    process.exitCode = 2;
    return;
  }
  const startedAt = new Date();
  const results = await runCases(cases, {
    seed,
    pairs,
    budgetMs: patterns.length === 0 ? PLAIN_RUN_BUDGET_MS : undefined,
    onProgress: (text) => process.stderr.write(`${text}\n`),
    onResult: (result) => console.log(`${formatCase(result)}\n`),
  });
  const report = createReport(startedAt, seed, results);
  const folder = join("bench", "results");
  mkdirSync(folder, { recursive: true });
  const base = join(folder, startedAt.toISOString().replaceAll(":", "").slice(0, 17));
  const page = wantedPage ?? `${base}.html`;
  writeFileSync(`${base}.json`, `${JSON.stringify(report, null, 1)}\n`);
  writeFileSync(page, renderPage(report));
  console.log(`${formatTotals(results)}\nwritten: ${base}.json, ${relative(".", page)}`);
  if (results.some((result) => result.failure !== null)) process.exitCode = 1;
}

await main();
