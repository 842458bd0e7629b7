/**
 * The YAML file: walked as a syntax tree, so that every problem has a line and a column.
 *
 * `metastore:` and `hearth:` are ours and strict; sections of other components are accepted whole; anything else at
 * the top is an error with a suggestion.
 */
import { suggest } from "../base/index.ts";
import { FOREIGN_SECTIONS, isForeignYamlPath, missedEffect } from "./foreign.ts";
import { LIMITS_KEY } from "./settings-limits.ts";
import { settingByYamlPath, yamlPaths } from "./settings.ts";
import type { Assignment, Problem, Setting, SourceResult } from "./types.ts";
import {
  isEmpty,
  isYamlMap,
  mapEntries,
  offsetOf,
  rawOf,
  type YamlEntry,
  YamlText,
} from "./yaml-text.ts";

/** Larger files are refused before they are parsed: nobody writes one by hand. */
export const FILE_MAX_BYTES = 4 * 1024 * 1024;

/** A key of another component this near to one of ours is more likely a slip. */
const SLIP_DISTANCE_MAX = 2;

export interface YamlInput {
  /** As given by the user: it is printed in every message. */
  readonly file: string;
  readonly text: string;
  readonly expandEnvironment: boolean;
  readonly environment: Readonly<Record<string, string | undefined>>;
}

/** Reads one file; never throws, all problems are in the result. */
export function readYaml(input: YamlInput): SourceResult {
  const { text, emptyByLine } = expand(input);
  const walker = new YamlWalker(new YamlText(input.file, text), {
    isExpanded: input.expandEnvironment,
    emptyByLine,
  });
  walker.walkRoot();
  return walker;
}

const VARIABLE = /\$\{([A-Za-z_][A-Za-z0-9_]*)(?::([^}]*))?\}/g;

interface Expanded {
  readonly text: string;
  /** By line, from 1: the last variable there that is not set and has no default. */
  readonly emptyByLine: ReadonlyMap<number, string>;
}

/** `${NAME}` and `${NAME:default}`, as `-config.expand-env` of the reference does. */
function expand({ text, expandEnvironment, environment }: YamlInput): Expanded {
  const emptyByLine = new Map<number, string>();
  if (!expandEnvironment) return { text, emptyByLine };
  let line = 1;
  let countedChars = 0;
  const expanded = text.replaceAll(VARIABLE, (_, name: string, other, offset: number) => {
    line += text.slice(countedChars, offset).split("\n").length - 1;
    countedChars = offset;
    const value = environment[name] ?? "";
    if (value !== "") return value;
    if (other === undefined) emptyByLine.set(line, name);
    return String(other ?? "");
  });
  return { text: expanded, emptyByLine };
}

interface Variables {
  readonly isExpanded: boolean;
  readonly emptyByLine: Expanded["emptyByLine"];
}

class YamlWalker implements SourceResult {
  readonly assignments: Assignment[] = [];
  readonly problems: Problem[];
  readonly foreign: string[] = [];
  readonly #text: YamlText;
  readonly #variables: Variables;

  constructor(text: YamlText, variables: Variables) {
    this.#text = text;
    this.#variables = variables;
    this.problems = text.problems;
  }

  walkRoot(): void {
    const { root } = this.#text;
    if (isEmpty(root)) return;
    if (isYamlMap(root)) this.#walkMap(root, "");
    else this.#text.tell(0, "The file must be a map of sections, such as metastore: and hearth:");
  }

  #walkMap(map: unknown, prefix: string): void {
    for (const entry of mapEntries(this.#text, map)) {
      if (entry.key === "") this.#text.tell(entry.keyOffset, "A key must be a plain word");
      else this.#walkEntry(entry, prefix === "" ? entry.key : `${prefix}.${entry.key}`);
    }
  }

  #walkEntry({ keyOffset, value }: YamlEntry, path: string): void {
    const setting = settingByYamlPath(path);
    if (setting !== undefined) {
      this.#assign(setting, path, { keyOffset, value });
      return;
    }
    const hasSettings = isPrefix(path);
    if (hasSettings && isYamlMap(value)) {
      this.#walkMap(value, path);
      return;
    }
    if (hasSettings && isEmpty(value)) return;
    if (isForeignYamlPath(path)) {
      this.#noteForeign(path, keyOffset);
      return;
    }
    if (hasSettings) this.#text.tell(offsetOf(value), `${path}: expected a map of settings`);
    else this.#text.tell(keyOffset, `${path}: unknown key. ${hintFor(path)}`);
  }

  /**
   * As with flags: a key of another component that is nearly one of ours is more likely a slip. Among the limits it is an
   * error: a misspelt retention period would delete data by another one.
   */
  #noteForeign(path: string, keyOffset: number): void {
    this.foreign.push(path);
    const slip = path.includes(".") ? suggest(path, yamlPaths(), SLIP_DISTANCE_MAX) : null;
    if (slip !== null && path.startsWith(LIMITS_KEY)) {
      this.#text.tell(keyOffset, `${path}: unknown limit. Did you mean ${slip}?`);
      return;
    }
    const words =
      slip === null
        ? missedEffect(path)
        : `${path}: ignored as a key of another component. Did you mean ${slip}?`;
    if (words !== null) this.#text.tell(keyOffset, words, "warning");
  }

  #assign(
    setting: Setting,
    path: string,
    { keyOffset, value }: Pick<YamlEntry, "keyOffset" | "value">,
  ): void {
    const offset = isEmpty(value) ? keyOffset : offsetOf(value);
    const { line, column } = this.#text.position(offset);
    const origin = { kind: "file", file: this.#text.file, line, column } as const;
    if (isEmpty(value)) {
      const doubt = this.#doubtOf(path, "", line);
      this.assignments.push({ setting, writtenAs: path, raw: null, origin, doubt });
      return;
    }
    if (setting.isSecret === true) {
      const words = `${path}: a secret does not belong into this file. Name its file instead`;
      this.#text.tell(offset, words);
      return;
    }
    const raw =
      setting.kind === "tree" ? this.#text.json(value) : rawOf(value, setting.kind === "list");
    if (raw === null) {
      const wanted = setting.kind === "list" ? "a list" : "a single value";
      this.#text.tell(offset, `${path}: expected ${wanted}`);
      return;
    }
    const doubt = this.#doubtOf(path, raw, line);
    this.assignments.push({ setting, writtenAs: path, raw, origin, doubt });
  }

  /** A directory called `${DATA}` would be made without a word, and so would the default one in the place of nothing. */
  #doubtOf(path: string, raw: string | readonly string[], line: number): string | undefined {
    const { isExpanded, emptyByLine } = this.#variables;
    const empty = emptyByLine.get(line);
    if (empty !== undefined)
      return `${path}: \${${empty}} is not set and has no default: it stands for nothing`;
    if (![raw].flat().some((text) => text.includes("${"))) return undefined;
    const why = isExpanded
      ? "Variables are ${NAME} and ${NAME:default}"
      : "-config.expand-env=true puts the variable in";
    return `${path}: "\${" is taken as written. ${why}`;
  }
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
