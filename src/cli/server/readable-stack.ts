/**
 * Stacks in terms of the sources. The program runs as a few bundled files (dist/app); their maps say which source each line
 * comes from. They are read when there is a stack to write, which is after a bug. `--enable-source-maps` would read them at
 * every start, in every thread.
 */
import { readFileSync } from "node:fs";
import { SourceMap } from "node:module";
import { fileURLToPath } from "node:url";

/** Of a frame: "file:///.../dist/app/chunk-X.js:12:34", line and column from 1. */
const PLACE = /(file:\/\/[^\s()]*\/dist\/app\/[\w.-]+\.js):(\d+):(\d+)/g;

const FRAME = "\n    at ";

/** At most one map per file of the program, each read once; null where there is none. */
const MAPS = new Map<string, SourceMap | null>();

/** The text with "src/raft/core.ts:12:34" in the place of each place in dist/app; any other text as it is. */
export function readableStack(text: string): string {
  if (!text.includes(FRAME)) return text;
  return text.replace(PLACE, (place, url: string, line: string, column: string) => {
    const entry = mapOf(url)?.findEntry(Number(line) - 1, Number(column) - 1);
    // Lines of the bundler's own come from nowhere.
    if (entry === undefined || !("originalSource" in entry)) return place;
    const source = entry.originalSource.replace(/^(\.\.\/)+/, "");
    return `${source}:${entry.originalLine + 1}:${entry.originalColumn + 1}`;
  });
}

function mapOf(url: string): SourceMap | null {
  const known = MAPS.get(url);
  if (known !== undefined) return known;
  const map = readMap(url);
  MAPS.set(url, map);
  return map;
}

function readMap(url: string): SourceMap | null {
  try {
    return new SourceMap(JSON.parse(readFileSync(`${fileURLToPath(url)}.map`, "utf8")));
  } catch {
    // Not shipped, or of another build: the place in the bundle is better than nothing.
    return null;
  }
}
