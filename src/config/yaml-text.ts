/** YAML as a syntax tree in which every node knows its line and column: what the readers of our files share. */
import {
  type Document,
  isAlias,
  isMap,
  isScalar,
  isSeq,
  LineCounter,
  type Node,
  type Pair,
  parseDocument,
} from "yaml";
import type { Problem, Severity } from "./types.ts";

/** Aliases in the file may not multiply its size (the "billion laughs" attack). */
const ALIAS_MAX_COUNT = 100;

/** One file, parsed. What is wrong with its form is in `problems`, and then `root` is null. */
export class YamlText {
  readonly file: string;
  readonly root: unknown;
  readonly problems: Problem[] = [];
  readonly #lines = new LineCounter();
  readonly #document: Document.Parsed;

  /** `file`: as the user named it; it begins every message. */
  constructor(file: string, text: string) {
    this.file = file;
    // The library compares every key of a map with every other: seconds for a thousand tenants. We look ourselves.
    const document = parseDocument(text, {
      lineCounter: this.#lines,
      prettyErrors: false,
      uniqueKeys: false,
    });
    this.#document = document;
    for (const error of document.errors) this.tell(error.pos[0], sentence(error.message));
    let root: unknown = document.errors.length === 0 ? document.contents : null;
    try {
      // Aliases are resolved by conversion only; asking for it once bounds their number.
      if (root !== null) document.toJS({ maxAliasCount: ALIAS_MAX_COUNT });
    } catch (error) {
      this.tell(0, sentence(error instanceof Error ? error.message : String(error)));
      root = null;
    }
    this.root = root;
  }

  /** What an alias stands for; any other node as it is. */
  resolve(node: unknown): unknown {
    return isAlias(node) ? (node.resolve(this.#document) ?? null) : node;
  }

  /** A node with everything in it as JSON text. */
  json(node: unknown): string {
    return JSON.stringify((node as Node).toJS(this.#document, { maxAliasCount: ALIAS_MAX_COUNT }));
  }

  /** Line and column of an offset, from 1. */
  position(offset: number): { readonly line: number; readonly column: number } {
    const { line, col } = this.#lines.linePos(offset);
    return { line, column: col };
  }

  /** Adds a problem at an offset; an error unless said otherwise. */
  tell(offset: number, message: string, severity: Severity = "error"): void {
    const { line, column } = this.position(offset);
    this.problems.push({ severity, place: `${this.file}:${line}:${column}`, message });
  }
}

export interface YamlEntry {
  /** As it was written: a tenant may be called 007. */
  readonly key: string;
  readonly keyOffset: number;
  /** Never an alias: what it stands for. */
  readonly value: unknown;
}

/** `<<` in a map that `<<` brought, and so on: deeper ones are left out, which also ends a circle. */
const MERGE_DEPTH_MAX = 8;

/** Entries of a map, those that `<<` brings first; a key that is no plain word is told and left out. */
export function mapEntries(text: YamlText, map: unknown, depth = 0): YamlEntry[] {
  if (!isMap(map) || depth > MERGE_DEPTH_MAX) return [];
  const own: YamlEntry[] = [];
  const merged: YamlEntry[] = [];
  for (const { key, value } of map.items as Pair[]) {
    const keyOffset = offsetOf(key);
    const target = text.resolve(value);
    if (!isScalar(key)) {
      text.tell(keyOffset, "A key must be a plain word");
    } else if (key.value === MERGE_KEY) {
      const sources = isSeq(target) ? target.items.map((item) => text.resolve(item)) : [target];
      for (const source of sources.reverse()) merged.push(...mapEntries(text, source, depth + 1));
    } else {
      own.push({ key: key.source ?? String(key.value), keyOffset, value: target });
    }
  }
  const named = new Set<string>();
  for (const { key, keyOffset } of own) {
    if (named.has(key)) text.tell(keyOffset, `Map keys must be unique; "${key}" is repeated`);
    named.add(key);
  }
  return [...merged.filter(({ key }) => !named.has(key)), ...own];
}

const MERGE_KEY = "<<";

export function isYamlMap(node: unknown): boolean {
  return isMap(node);
}

export function isEmpty(node: unknown): boolean {
  return node === null || node === undefined || (isScalar(node) && node.value === null);
}

export function offsetOf(node: unknown): number {
  return (node as Node | null)?.range?.[0] ?? 0;
}

/** Text of a scalar as it was written, so that `1h` and `0x10` mean in YAML what they mean as a flag. */
export function rawOf(node: unknown, isList: boolean): string | string[] | null {
  if (isScalar(node)) {
    const text = node.source ?? String(node.value);
    return isList ? [text] : text;
  }
  if (isList && isSeq(node)) {
    const items = node.items.map((item) => rawOf(item, false));
    return items.every((item) => typeof item === "string") ? items : null;
  }
  return null;
}

function sentence(message: string): string {
  return message.replace(/\.?\s*$/, "");
}
