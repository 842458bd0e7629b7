/** Selectors as data with their plain meaning (spec 7): what the model evaluates and the engine gets as text. */

import type { LabelSet } from "./plain.ts";

/** A test of one value. Regular expressions come with their meaning written by hand: no second engine to trust. */
export interface ValueTest {
  readonly isRegex: boolean;
  readonly text: string;
  accepts(value: string): boolean;
}

export interface PlainMatcher {
  readonly name: string;
  readonly isNegative: boolean;
  readonly test: ValueTest;
}

export type PlainSelector = readonly PlainMatcher[];

export function equalTo(text: string): ValueTest {
  return { isRegex: false, text, accepts: (value) => value === text };
}

/** Expressions in RE2 syntax, several of which mean something else or nothing to JavaScript. */
export const REGEX_TESTS: readonly ValueTest[] = [
  regex("", (value) => value === ""),
  regex(".*", () => true),
  regex(".+", (value) => value !== ""),
  regex("web|api", (value) => value === "web" || value === "api"),
  regex("web.*", (value) => value.startsWith("web")),
  regex("(?i)WEB", (value) => value.toLowerCase() === "web"),
  regex("[[:lower:]]+", (value) => /^[a-z]+$/.test(value)),
  regex("\\Qa.b\\E", (value) => value === "a.b"),
  regex("^(?P<x>api)$", (value) => value === "api"),
  regex("b|", (value) => value === "b" || value === ""),
];

function regex(text: string, accepts: (value: string) => boolean): ValueTest {
  return { isRegex: true, text, accepts };
}

/** PromQL text. The same selector has many spellings; `spelling` chooses one. */
export function selectorText(selector: PlainSelector, spelling: number): string {
  const items = selector.map(({ name, isNegative, test }, i) => {
    const isBare = /^[A-Za-z_][A-Za-z0-9_]*$/.test(name) && (spelling + i) % 3 !== 0;
    const operator = `${isNegative ? "!" : "="}${test.isRegex ? "~" : isNegative ? "=" : ""}`;
    return `${isBare ? name : quote(name, spelling)}${operator}${quote(test.text, spelling + i)}`;
  });
  const space = spelling % 5 === 0 ? " \n" : "";
  return `{${space}${items.join(`${space},${space}`)}${items.length > 0 && spelling % 7 === 0 ? "," : ""}${space}}`;
}

function quote(text: string, style: number): string {
  if (style % 4 === 0 && !text.includes("`")) return `\`${text}\``;
  const escaped = text.replaceAll("\\", "\\\\");
  if (style % 4 === 1) return `'${escaped.replaceAll("'", "\\'")}'`;
  return `"${escaped.replaceAll('"', '\\"')}"`;
}

/** Spec 7.2: every matcher looks at the first pair of its name; an absent label satisfies negative matchers only. */
export function satisfies(set: LabelSet, selector: PlainSelector): boolean {
  for (const { name, isNegative, test } of selector) {
    if (name === "") continue;
    const value = firstValue(set, name);
    if (value === null ? !isNegative : test.accepts(value) === isNegative) return false;
  }
  return true;
}

/** Value of the first pair with the name, or null. */
export function firstValue(set: LabelSet, name: string): string | null {
  for (const pair of set) if (pair[0] === name) return pair[1];
  return null;
}
