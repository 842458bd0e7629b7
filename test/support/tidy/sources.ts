/** The repository's files as the tidy test sees them: text, text without comments and strings, imports. */

import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { dirname, join, normalize } from "node:path";
import { inRoot, ROOT } from "../project.ts";

export interface Import {
  /** As written: "./apply.ts", "lmdb". */
  readonly specifier: string;
  /** Repository-relative path of a relative import, else null. */
  readonly target: string | null;
  /** Names taken from it; null means all of it (namespace, side effect, dynamic). */
  readonly names: readonly string[] | null;
  readonly isTypeOnly: boolean;
  /** Loaded when it is needed (`import()`, a thread): no part of a circle of loading. */
  readonly isLazy: boolean;
  /** `export ... from`: whoever asks for one of the names is served by the target. */
  readonly isReexport: boolean;
}

export interface SourceFile {
  /** Repository-relative, forward slashes. */
  readonly path: string;
  readonly text: string;
  /** The text with comments and the content of strings blanked out; positions and lines are kept. */
  readonly code: string;
  readonly lines: number;
  readonly imports: readonly Import[];
}

/** Tracked and new files, without what git ignores. Sorted. */
export function listFiles(): string[] {
  const text = execFileSync("git", ["ls-files", "--cached", "--others", "--exclude-standard"], {
    cwd: ROOT,
    encoding: "utf8",
    maxBuffer: 64 * 1024 * 1024,
  });
  return [...new Set(text.split("\n").filter((path) => path !== ""))].sort();
}

/** Reads and parses the TypeScript files among the paths; a path deleted since the listing is skipped. */
export function readSources(paths: readonly string[]): SourceFile[] {
  return paths
    .filter((path) => path.endsWith(".ts"))
    .flatMap((path) => {
      const text = readText(path);
      return text === null ? [] : [parseSource(path, text)];
    });
}

/** Content of a text file, or null when it is gone. */
export function readText(path: string): string | null {
  try {
    return readFileSync(inRoot(path), "utf8");
  } catch {
    return null;
  }
}

export function parseSource(path: string, text: string): SourceFile {
  const code = blankOut(text);
  return { path, text, code, lines: countLines(text), imports: findImports(path, text, code) };
}

function countLines(text: string): number {
  return text.endsWith("\n") ? text.split("\n").length - 1 : text.split("\n").length;
}

/** Alternatives in one expression, so that a quote inside a comment and the like cannot confuse it. */
const TRIVIA =
  /\/\/[^\n]*|\/\*[\s\S]*?\*\/|"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*'|`(?:[^`\\]|\\[\s\S])*`|(?<=[=(,:[!&|?{;]\s*)\/(?:[^/\\\n[]|\\.|\[(?:[^\]\\\n]|\\.)*\])+\/[a-z]*/g;

function blankOut(text: string): string {
  return text.replace(TRIVIA, (match) => {
    // Code inside ${} stays visible: it is code.
    if (match.startsWith("`")) return blankTemplate(match);
    return match.replace(/[^\n]/g, " ");
  });
}

function blankTemplate(template: string): string {
  let depth = 0;
  let result = "";
  for (let i = 0; i < template.length; i++) {
    const char = template[i] as string;
    if (depth === 0 && char === "$" && template[i + 1] === "{") depth = 1;
    else if (depth > 0 && char === "{" && template[i - 1] !== "$") depth++;
    else if (depth > 0 && char === "}") depth--;
    result += depth > 0 || char === "\n" ? char : " ";
  }
  return result;
}

const STATIC_IMPORT =
  /(?<=^|\n)\s*(import|export)\s+(type\s+)?([^;"']*?)\s*from\s*["']([^"']+)["']|(?<=^|\n)\s*import\s+["']([^"']+)["']/g;
const OTHER_IMPORT =
  /\bimport\(\s*["']([^"']+)["']|\b(?:require|createRequire\([^)]*\))\(\s*["']([^"']+)["']|new URL\(\s*["'](\.[^"']+)["']\s*,\s*import\.meta\.url/g;

function findImports(path: string, text: string, code: string): Import[] {
  const found: Import[] = [];
  for (const match of text.matchAll(STATIC_IMPORT)) {
    if (!isCode(code, match)) continue;
    const specifier = (match[4] ?? match[5]) as string;
    const names = match[3] === undefined ? null : parseNames(match[3]);
    found.push({
      specifier,
      target: resolveTarget(path, specifier),
      names: names === null ? null : names.map(({ name }) => name),
      isTypeOnly: match[2] !== undefined || (names?.every(({ isType }) => isType) ?? false),
      isReexport: match[1] === "export",
      isLazy: false,
    });
  }
  for (const match of text.matchAll(OTHER_IMPORT)) {
    if (!isCode(code, match)) continue;
    const specifier = (match[1] ?? match[2] ?? match[3]) as string;
    const isTypeOnly = text.slice(Math.max(0, match.index - 20), match.index).includes("typeof ");
    const target = resolveTarget(path, specifier);
    found.push({ specifier, target, names: null, isTypeOnly, isReexport: false, isLazy: true });
  }
  return found;
}

/** False for text that looks like an import inside a comment or string. */
function isCode(code: string, match: RegExpExecArray): boolean {
  const start = match.index + (match[0].length - match[0].trimStart().length);
  return code[start] !== " ";
}

/** `{ a, type B as C }` -> the names on the other side; null for `*` and default imports. */
function parseNames(clause: string): { name: string; isType: boolean }[] | null {
  const braces = /^\{([\s\S]*)\}$/.exec(clause.trim());
  if (braces === null) return null;
  return (braces[1] as string)
    .split(",")
    .map((item) => item.trim())
    .filter((item) => item !== "")
    .map((item) => ({
      name: (item.replace(/^type\s+/, "").split(/\s+as\s+/)[0] as string).trim(),
      isType: /^type\s/.test(item),
    }));
}

function resolveTarget(path: string, specifier: string): string | null {
  if (!specifier.startsWith(".")) return null;
  return normalize(join(dirname(path), specifier)).replace(/\.js$/, ".ts");
}
