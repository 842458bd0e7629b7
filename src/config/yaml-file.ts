/**
 * The YAML file: walked as a syntax tree, so that every problem has a line and a column.
 *
 * `metastore:` and `hearth:` are ours and strict; sections of other components are accepted whole; anything else at
 * the top is an error with a suggestion.
 */
import { isMap, isScalar, isSeq, LineCounter, type Node, type Pair, parseDocument } from "yaml";
import { suggest } from "../base/index.ts";
import { FOREIGN_SECTIONS, isForeignYamlPath } from "./foreign.ts";
import { settingByYamlPath, yamlPaths } from "./settings.ts";
import type { Assignment, Problem, Setting, SourceResult } from "./types.ts";

/** Larger files are refused before they are parsed: nobody writes one by hand. */
export const FILE_MAX_BYTES = 4 * 1024 * 1024;

/** Aliases in the file may not multiply its size (the "billion laughs" attack). */
const ALIAS_MAX_COUNT = 100;

export interface YamlInput {
  /** As given by the user: it is printed in every message. */
  readonly file: string;
  readonly text: string;
  readonly expandEnvironment: boolean;
  readonly environment: Readonly<Record<string, string | undefined>>;
}

/** Reads one file; never throws, all problems are in the result. */
export function readYaml(input: YamlInput): SourceResult {
  const text = input.expandEnvironment ? expand(input.text, input.environment) : input.text;
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false });
  const walker = new YamlWalker(input.file, lines);
  for (const error of document.errors) walker.failAt(error.pos[0], sentence(error.message));
  if (document.errors.length === 0) {
    try {
      // Aliases are resolved by conversion only; asking for it once bounds their number.
      document.toJS({ maxAliasCount: ALIAS_MAX_COUNT });
      walker.walkRoot(document.contents);
    } catch (error) {
      walker.failAt(0, sentence(error instanceof Error ? error.message : String(error)));
    }
  }
  return walker;
}

/** `${NAME}` and `${NAME:default}`, as `-config.expand-env` of the reference does. */
function expand(text: string, environment: YamlInput["environment"]): string {
  return text.replaceAll(
    /\$\{([A-Za-z_][A-Za-z0-9_]*)(?::([^}]*))?\}/g,
    (_, name: string, other) => {
      const value = environment[name];
      return value === undefined || value === "" ? String(other ?? "") : value;
    },
  );
}

function sentence(message: string): string {
  return message.replace(/\.?\s*$/, "");
}

class YamlWalker implements SourceResult {
  readonly assignments: Assignment[] = [];
  readonly problems: Problem[] = [];
  readonly foreign: string[] = [];
  readonly #file: string;
  readonly #lines: LineCounter;

  constructor(file: string, lines: LineCounter) {
    this.#file = file;
    this.#lines = lines;
  }

  walkRoot(root: unknown): void {
    if (root === null || (isScalar(root) && root.value === null)) return;
    if (isMap(root)) this.#walkMap(root.items as Pair[], "");
    else this.failAt(0, "The file must be a map of sections, such as metastore: and hearth:");
  }

  #walkMap(pairs: readonly Pair[], prefix: string): void {
    for (const pair of pairs) {
      const key = isScalar(pair.key) ? String(pair.key.value) : "";
      if (key === "") {
        this.failAt(offsetOf(pair.key), "A key must be a plain word");
        continue;
      }
      this.#walkPair(pair, prefix === "" ? key : `${prefix}.${key}`);
    }
  }

  #walkPair(pair: Pair, path: string): void {
    const setting = settingByYamlPath(path);
    if (setting !== undefined) {
      this.#assign(setting, path, pair);
      return;
    }
    const hasSettings = isPrefix(path);
    if (hasSettings && isMap(pair.value)) {
      this.#walkMap(pair.value.items as Pair[], path);
      return;
    }
    if (hasSettings && isEmpty(pair.value)) return;
    if (isForeignYamlPath(path)) {
      this.foreign.push(path);
      return;
    }
    if (hasSettings) this.failAt(offsetOf(pair.value), `${path}: expected a map of settings`);
    else this.failAt(offsetOf(pair.key), `${path}: unknown key. ${hintFor(path)}`);
  }

  #assign(setting: Setting, path: string, pair: Pair): void {
    const offset = isEmpty(pair.value) ? offsetOf(pair.key) : offsetOf(pair.value);
    const { line, col } = this.#lines.linePos(offset);
    const origin = { kind: "file", file: this.#file, line, column: col } as const;
    if (isEmpty(pair.value)) {
      this.assignments.push({ setting, writtenAs: path, raw: null, origin });
      return;
    }
    if (setting.isSecret === true) {
      this.failAt(
        offset,
        `${path}: a secret does not belong into this file. Name its file instead`,
      );
      return;
    }
    const raw = setting.kind === "tree" ? "" : rawOf(pair.value, setting.kind === "list");
    if (raw === null) {
      const wanted = setting.kind === "list" ? "a list" : "a single value";
      this.failAt(offset, `${path}: expected ${wanted}`);
      return;
    }
    this.assignments.push({ setting, writtenAs: path, raw, origin });
  }

  failAt(offset: number, message: string): void {
    const { line, col } = this.#lines.linePos(offset);
    this.problems.push({ severity: "error", place: `${this.#file}:${line}:${col}`, message });
  }
}

/** Text of a scalar as it was written, so that `1h` and `0x10` mean in YAML what they mean as a flag. */
function rawOf(node: unknown, isList: boolean): string | string[] | null {
  if (isScalar(node)) {
    const text = node.source ?? String(node.value);
    return isList ? [text] : text;
  }
  if (!isList || !isSeq(node)) return null;
  const items = node.items.map((item) => rawOf(item, false));
  return items.every((item) => typeof item === "string") ? (items as string[]) : null;
}

function isEmpty(node: unknown): boolean {
  return node === null || node === undefined || (isScalar(node) && node.value === null);
}

function offsetOf(node: unknown): number {
  return (node as Node | null)?.range?.[0] ?? 0;
}

/** True when settings live below this path. */
function isPrefix(path: string): boolean {
  for (const known of yamlPaths()) if (known.startsWith(`${path}.`)) return true;
  return false;
}

/** Suggests the last part only when the parents are the same: that is how it will be typed. */
function hintFor(path: string): string {
  const candidates = [...yamlPaths()];
  if (!path.includes(".")) {
    const sections = new Set(candidates.map((known) => known.split(".", 1)[0] as string));
    const near = suggest(path, [...sections, ...FOREIGN_SECTIONS]);
    return near === null ? "See hearth help config" : `Did you mean ${near}?`;
  }
  const near = suggest(path, candidates);
  if (near === null) return "See hearth help config";
  const parent = path.slice(0, path.lastIndexOf(".") + 1);
  return `Did you mean ${near.startsWith(parent) ? near.slice(parent.length) : near}?`;
}
