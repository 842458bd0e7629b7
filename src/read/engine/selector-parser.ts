/**
 * Text of a selector -> matchers, by the grammar of the specification (index-and-query 7.1).
 *
 * Written by hand over UTF-8 bytes, although a PromQL grammar for lezer exists: that grammar is the editor's, and
 * differs from the dialect we have to speak in both directions. It refuses the metric `offset`, accepts `atan2` and
 * Unicode white space, ends comments at line feeds only, leaves strings unchecked, and repairs what it cannot parse; what it
 * wrongly refuses cannot be checked back in. It is the second opinion in the tests instead.
 *
 * Bytes rather than a JavaScript string, because escapes make bytes: `"\xff"` is a legal value that no UTF-8 string
 * equals.
 */

import { invalidArgument } from "../../base/index.ts";
import { SELECTOR_MAX_BYTES, SELECTOR_MAX_MATCHERS } from "../limits.ts";
import { readQuoted } from "./selector-strings.ts";

export const MATCH_OPERATORS = {
  equal: "=",
  notEqual: "!=",
  regex: "=~",
  notRegex: "!~",
} as const;

export type MatchOperator = (typeof MATCH_OPERATORS)[keyof typeof MATCH_OPERATORS];

/** One matcher as written. Name and value are UTF-8, or whatever bytes their escapes made. */
export interface ParsedMatcher {
  readonly name: Uint8Array;
  readonly operator: MatchOperator;
  readonly value: Uint8Array;
}

/**
 * Parses one selector.
 *
 * Shape: matchers in the order written, the metric name (as a matcher on `__name__`) first. Empty for `{}`.
 * Errors: invalid_argument with the byte position.
 * Cost: one pass.
 */
export function parseSelector(text: string): ParsedMatcher[] {
  if (text.length > SELECTOR_MAX_BYTES) throw tooLong(text.length);
  const bytes = ENCODER.encode(text);
  if (bytes.length > SELECTOR_MAX_BYTES) throw tooLong(bytes.length);
  return new SelectorParser(bytes).parse();
}

const ENCODER = new TextEncoder();
const METRIC_NAME_LABEL = ENCODER.encode("__name__");

/** Words that PromQL's lexer keeps for itself outside of braces. Any case. */
const RESERVED_METRICS: ReadonlySet<string> = new Set([
  "on",
  "bool",
  "ignoring",
  "group_left",
  "group_right",
  "atan2",
  "inf",
  "nan",
]);

class SelectorParser {
  readonly #bytes: Uint8Array;
  readonly #matchers: ParsedMatcher[] = [];
  #position = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  parse(): ParsedMatcher[] {
    this.#skipBlank();
    const hasMetric = this.#parseMetric();
    this.#skipBlank();
    if (this.#peek() === CHAR.leftBrace) this.#parseBraces();
    else if (!hasMetric) throw this.#unexpected("a metric name or {");
    this.#skipBlank();
    if (this.#position < this.#bytes.length) throw this.#unexpected("the end of the selector");
    return this.#matchers;
  }

  #parseMetric(): boolean {
    if (!isMetricStart(this.#peek())) return false;
    const start = this.#position;
    while (isMetricPart(this.#peek())) this.#position++;
    const name = this.#bytes.slice(start, this.#position);
    const word = String.fromCharCode(...name.subarray(0, 16)).toLowerCase();
    if (name.length <= 16 && RESERVED_METRICS.has(word)) {
      throw failure(
        start,
        `"${word}" is a keyword; write {__name__="${word}"} to match a metric of that name`,
      );
    }
    this.#add(METRIC_NAME_LABEL, MATCH_OPERATORS.equal, name);
    return true;
  }

  #parseBraces(): void {
    this.#position++;
    this.#skipBlank();
    while (this.#peek() !== CHAR.rightBrace) {
      this.#parseItem();
      this.#skipBlank();
      if (this.#peek() !== CHAR.comma) break;
      this.#position++;
      this.#skipBlank();
    }
    if (this.#peek() !== CHAR.rightBrace) throw this.#unexpected(", or }");
    this.#position++;
  }

  #parseItem(): void {
    const isQuoted = isQuote(this.#peek());
    const name = isQuoted ? this.#parseString() : this.#parseName();
    this.#skipBlank();
    const next = this.#peek();
    if (isQuoted && (next === CHAR.comma || next === CHAR.rightBrace)) {
      this.#add(METRIC_NAME_LABEL, MATCH_OPERATORS.equal, name);
      return;
    }
    const operator = this.#parseOperator();
    this.#skipBlank();
    if (!isQuote(this.#peek())) throw this.#unexpected("a quoted value");
    this.#add(name, operator, this.#parseString());
  }

  #parseName(): Uint8Array {
    const start = this.#position;
    if (!isMetricStart(this.#peek())) throw this.#unexpected("a label name or }");
    while (isMetricPart(this.#peek()) && this.#peek() !== CHAR.colon) this.#position++;
    if (start === this.#position) throw this.#unexpected("a label name or }");
    return this.#bytes.slice(start, this.#position);
  }

  #parseOperator(): MatchOperator {
    const first = this.#peek();
    const second = this.#bytes[this.#position + 1] ?? END;
    const start = this.#position;
    if (first === CHAR.equal) {
      this.#position += second === CHAR.tilde ? 2 : 1;
      return second === CHAR.tilde ? MATCH_OPERATORS.regex : MATCH_OPERATORS.equal;
    }
    if (first === CHAR.exclamation && (second === CHAR.equal || second === CHAR.tilde)) {
      this.#position = start + 2;
      return second === CHAR.equal ? MATCH_OPERATORS.notEqual : MATCH_OPERATORS.notRegex;
    }
    throw this.#unexpected("one of = != =~ !~");
  }

  #parseString(): Uint8Array {
    const result = readQuoted(this.#bytes, this.#position);
    if (!result.ok) throw failure(result.position, result.problem);
    this.#position = result.end;
    return result.value;
  }

  #add(name: Uint8Array, operator: MatchOperator, value: Uint8Array): void {
    if (this.#matchers.length >= SELECTOR_MAX_MATCHERS) {
      throw invalidArgument(
        "selector_too_large",
        `Cannot parse the selector: it has more than ${SELECTOR_MAX_MATCHERS} matchers`,
      );
    }
    this.#matchers.push({ name, operator, value });
  }

  #skipBlank(): void {
    for (;;) {
      const byte = this.#peek();
      if (byte === CHAR.hash) this.#skipComment();
      else if (isSpace(byte)) this.#position++;
      else return;
    }
  }

  #skipComment(): void {
    while (this.#position < this.#bytes.length && !isLineEnd(this.#peek())) this.#position++;
  }

  #peek(): number {
    return this.#bytes[this.#position] ?? END;
  }

  #unexpected(wanted: string): Error {
    const atEnd = this.#position >= this.#bytes.length;
    const found = atEnd ? "the end" : JSON.stringify(this.#characterHere());
    return failure(this.#position, `expected ${wanted}, found ${found}`);
  }

  #characterHere(): string {
    const tail = this.#bytes.subarray(this.#position, this.#position + 4);
    return [...new TextDecoder().decode(tail)][0] ?? "";
  }
}

function failure(position: number, problem: string): Error {
  return invalidArgument(
    "bad_selector",
    `Cannot parse the selector at byte ${position}: ${problem}`,
  );
}

function tooLong(length: number): Error {
  return invalidArgument(
    "selector_too_large",
    `Cannot parse the selector: it has ${length} bytes, limit is ${SELECTOR_MAX_BYTES}`,
  );
}

/** What #peek gives past the end: no byte has this value. */
const END = -1;

const CHAR = {
  tab: 0x09,
  lineFeed: 0x0a,
  carriageReturn: 0x0d,
  space: 0x20,
  exclamation: 0x21,
  doubleQuote: 0x22,
  hash: 0x23,
  singleQuote: 0x27,
  comma: 0x2c,
  colon: 0x3a,
  equal: 0x3d,
  underscore: 0x5f,
  backtick: 0x60,
  leftBrace: 0x7b,
  rightBrace: 0x7d,
  tilde: 0x7e,
} as const;

function isSpace(byte: number): boolean {
  return byte === CHAR.space || byte === CHAR.tab || isLineEnd(byte);
}

function isLineEnd(byte: number): boolean {
  return byte === CHAR.lineFeed || byte === CHAR.carriageReturn;
}

function isQuote(byte: number): boolean {
  return byte === CHAR.doubleQuote || byte === CHAR.singleQuote || byte === CHAR.backtick;
}

function isMetricStart(byte: number): boolean {
  const lower = byte | 0x20;
  return (lower >= 0x61 && lower <= 0x7a) || byte === CHAR.underscore || byte === CHAR.colon;
}

function isMetricPart(byte: number): boolean {
  return isMetricStart(byte) || (byte >= 0x30 && byte <= 0x39);
}
