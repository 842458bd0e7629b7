/**
 * The value side of `=~` and `!~`: RE2 syntax, whole value, case-sensitive, dot matches a line break, linear time.
 *
 * Most expressions in practice are lists of names or a prefix. Those become sets and comparisons of bytes: they need
 * no decoding and no automaton, and a list can be looked up in the label index like an equality.
 */

import { RE2JS } from "re2js";
import { invalidArgument } from "../../base/index.ts";
import { REGEX_MAX_BYTES } from "../limits.ts";

/** Decides about one value, given as UTF-8 bytes[start, end). */
export interface ValueTest {
  matches(bytes: Buffer, start: number, end: number): boolean;
  /** The only values that can match, when they are few and known; else null. */
  readonly literals: readonly Uint8Array[] | null;
  /** RE2 instructions; 0 when none are needed. */
  readonly programSize: number;
}

/** A test for exactly one value: what `=` and `!=` need. */
export function literalTest(value: Uint8Array): ValueTest {
  return new LiteralTest([value]);
}

/**
 * Compiles a regular expression.
 *
 * Errors: invalid_argument when it is no RE2 expression, not UTF-8, or over the size limit.
 */
export function regexTest(pattern: Uint8Array): ValueTest {
  const text = decodeUtf8(pattern);
  if (text === null) throw badRegex("(not UTF-8)", "it is not valid UTF-8");
  const shape = shapeOf(text);
  if (shape !== null) return testOfShape(shape);
  if (pattern.length > REGEX_MAX_BYTES) {
    throw invalidArgument(
      "selector_too_large",
      `Cannot compile a regular expression of ${pattern.length} bytes, limit is ${REGEX_MAX_BYTES}`,
    );
  }
  return new Re2Test(compileRe2(text));
}

function compileRe2(text: string): RE2JS {
  try {
    return RE2JS.compile(text, RE2JS.DOTALL);
  } catch (error) {
    throw badRegex(text, error instanceof Error ? error.message : String(error));
  }
}

function badRegex(text: string, problem: string): Error {
  const shown = text.length > 120 ? `${text.slice(0, 120)}...` : text;
  return invalidArgument(
    "bad_regex",
    `Cannot compile the regular expression ${JSON.stringify(shown)}: ${problem}`,
  );
}

function decodeUtf8(bytes: Uint8Array): string | null {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    // The decoder's only failure is input that is not UTF-8.
    return null;
  }
}

class LiteralTest implements ValueTest {
  readonly literals: readonly Uint8Array[];
  readonly programSize = 0;
  /** Bytes as Latin-1 text: a string per byte sequence, valid UTF-8 or not. */
  readonly #values: ReadonlySet<string>;
  readonly #only: Uint8Array | null;

  constructor(values: readonly Uint8Array[]) {
    const distinct = new Map(values.map((value) => [Buffer.from(value).toString("latin1"), value]));
    this.literals = [...distinct.values()];
    this.#values = new Set(distinct.keys());
    this.#only = this.literals.length === 1 ? (this.literals[0] as Uint8Array) : null;
  }

  matches(bytes: Buffer, start: number, end: number): boolean {
    if (this.#only !== null) {
      return end - start === this.#only.length && hasBytesAt(bytes, start, this.#only);
    }
    return this.#values.has(bytes.toString("latin1", start, end));
  }
}

/** `.*`, `.+`, `x.*`, `x.+`, `.*x`, `.*x.*` and their like: a literal with room before and after it. */
class AffixTest implements ValueTest {
  readonly literals = null;
  readonly programSize = 0;
  readonly #shape: AffixShape;

  constructor(shape: AffixShape) {
    this.#shape = shape;
  }

  matches(bytes: Buffer, start: number, end: number): boolean {
    const { literal, before, after } = this.#shape;
    if (end - start < literal.length + Math.max(before, 0) + Math.max(after, 0)) return false;
    if (literal.length === 0) return true;
    if (before < 0) return hasBytesAt(bytes, start, literal);
    if (after < 0) return hasBytesAt(bytes, end - literal.length, literal);
    const found = bytes.subarray(start + before, end - after).indexOf(literal);
    return found >= 0;
  }
}

class Re2Test implements ValueTest {
  readonly literals = null;
  readonly programSize: number;
  readonly #program: RE2JS;

  constructor(program: RE2JS) {
    this.#program = program;
    this.programSize = program.programSize();
  }

  matches(bytes: Buffer, start: number, end: number): boolean {
    // Strings, not bytes: measured 1.5x faster in this engine, and every value is decoded at most once per query.
    return this.#program.testExact(bytes.toString("utf8", start, end));
  }
}

function hasBytesAt(bytes: Uint8Array, start: number, wanted: Uint8Array): boolean {
  for (let i = 0; i < wanted.length; i++) if (bytes[start + i] !== wanted[i]) return false;
  return true;
}

interface AffixShape {
  readonly kind: "affix";
  readonly literal: Uint8Array;
  /** Least number of bytes before the literal; -1: it stands at the start of the value. */
  readonly before: number;
  /** The same after it. */
  readonly after: number;
}

interface ListShape {
  readonly kind: "list";
  readonly literals: readonly Uint8Array[];
}

/** The simple shape of a pattern, or null when it needs RE2. Never guesses: what it does not know goes to RE2. */
function shapeOf(pattern: string): AffixShape | ListShape | null {
  const core = stripAnchors(pattern);
  const list = literalList(core);
  if (list !== null) return { kind: "list", literals: list };
  const before = wildcardAt(core, 0);
  const head = before < 0 ? core : core.slice(2);
  const after = head.length >= 2 ? wildcardAt(head, head.length - 2) : -1;
  const literals = literalList(after < 0 ? head : head.slice(0, -2));
  if (literals === null || literals.length !== 1) return null;
  return { kind: "affix", literal: literals[0] as Uint8Array, before, after };
}

function testOfShape(shape: AffixShape | ListShape): ValueTest {
  return shape.kind === "list" ? new LiteralTest(shape.literals) : new AffixTest(shape);
}

/**
 * The whole value has to match, so `^` in front, `$` at the end and one group around a list change nothing.
 * The group is only taken off when no parenthesis is left inside, which literalList checks.
 */
function stripAnchors(pattern: string): string {
  const start = pattern.startsWith("^") ? 1 : 0;
  const end =
    pattern.endsWith("$") && !pattern.endsWith("\\$") ? pattern.length - 1 : pattern.length;
  const core = pattern.slice(start, Math.max(start, end));
  const open = core.startsWith("(?:") ? 3 : core.startsWith("(") ? 1 : 0;
  const hasGroup = open > 0 && core.endsWith(")");
  if (!hasGroup) return core;
  const inner = core.slice(open, -1);
  return literalList(inner) === null ? core : inner;
}

/** 0 for `.*`, 1 for `.+` at the position, else -1. */
function wildcardAt(pattern: string, position: number): number {
  if (pattern[position] !== ".") return -1;
  // A dot after a backslash is a literal one.
  if (position > 0 && pattern[position - 1] === "\\") return -1;
  if (pattern[position + 1] === "*") return 0;
  return pattern[position + 1] === "+" ? 1 : -1;
}

const META = new Set("\\.+*?()[]{}^$");

/** `a|b\.c` -> the literals; null when anything but literals, `|` and escaped ASCII punctuation is in it. */
function literalList(pattern: string): Uint8Array[] | null {
  const literals: Uint8Array[] = [];
  let current = "";
  for (let i = 0; i < pattern.length; i++) {
    const character = pattern[i] as string;
    if (character === "|") {
      literals.push(ENCODER.encode(current));
      current = "";
    } else if (character === "\\") {
      i++;
      const escaped = pattern[i];
      if (escaped === undefined || !isAsciiPunctuation(escaped)) return null;
      current += escaped;
    } else if (META.has(character)) {
      return null;
    } else {
      current += character;
    }
  }
  literals.push(ENCODER.encode(current));
  return literals;
}

function isAsciiPunctuation(character: string): boolean {
  return /^[!-/:-@[-`{-~]$/.test(character);
}

const ENCODER = new TextEncoder();
