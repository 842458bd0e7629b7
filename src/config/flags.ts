/**
 * Go-style flags: `-name=value`, `-name value`, `--name=value`, bare booleans, repeats, `--` ends.
 *
 * The rules are those of Go's flag package, because container argument lists are written for it: a boolean never
 * takes the next argument (`-flag false` would leave "false" over), and one or two dashes mean the same.
 */
import { suggest } from "../base/index.ts";
import { isForeignFlag, missedEffect } from "./foreign.ts";
import { flagNames, isYamlOnly, settingByName } from "./settings.ts";
import type { Assignment, Problem, Setting, SourceResult } from "./types.ts";

export interface FlagResult extends SourceResult {
  /** What stood after `--` or is no flag; the server takes none. */
  readonly rest: string[];
  /** `-help`, `-help-all`, `-version`, `-h`: asked for instead of a start. */
  readonly asks: readonly FlagQuestion[];
}

export type FlagQuestion = "help" | "help-all" | "version";

const QUESTIONS: Readonly<Record<string, FlagQuestion>> = {
  h: "help",
  help: "help",
  "help-all": "help-all",
  version: "version",
};

/** A known flag name this near to a foreign one is more likely a slip than another component's flag. */
const SLIP_DISTANCE_MAX = 2;

/** Reads an argument list; never throws, all problems are in the result. */
export function parseFlags(argv: readonly string[]): FlagResult {
  const parser = new FlagParser(argv);
  parser.run();
  return parser;
}

class FlagParser implements FlagResult {
  readonly assignments: Assignment[] = [];
  readonly problems: Problem[] = [];
  readonly foreign: string[] = [];
  readonly rest: string[] = [];
  readonly asks: FlagQuestion[] = [];
  readonly #argv: readonly string[];
  #position = 0;

  constructor(argv: readonly string[]) {
    this.#argv = argv;
  }

  run(): void {
    while (this.#position < this.#argv.length) {
      const argument = this.#argv[this.#position++] as string;
      if (argument === "--") {
        this.rest.push(...this.#argv.slice(this.#position));
        break;
      }
      if (argument.length < 2 || !argument.startsWith("-")) {
        this.rest.push(argument);
        continue;
      }
      this.#readFlag(argument);
    }
    for (const word of this.rest) {
      this.#fail(`"${word}" is not a flag, and the server takes no other arguments`);
    }
  }

  #readFlag(argument: string): void {
    const body = argument.replace(/^--?/, "");
    const equals = body.indexOf("=");
    const name = equals < 0 ? body : body.slice(0, equals);
    const inlineValue = equals < 0 ? null : body.slice(equals + 1);
    if (name === "" || name.startsWith("-")) {
      this.#fail(`"${argument}" is not a flag: write -name=value`);
      return;
    }
    const question = QUESTIONS[name];
    if (question !== undefined) {
      this.asks.push(question);
      return;
    }
    const setting = settingByName(name);
    if (setting === undefined || isYamlOnly(setting)) this.#readUnknown(name, inlineValue);
    else this.#readKnown(setting, inlineValue);
  }

  #readKnown(setting: Setting, inlineValue: string | null): void {
    let raw = inlineValue;
    if (raw === null && setting.kind === "boolean") raw = "true";
    if (raw === null) {
      if (this.#position >= this.#argv.length) {
        this.#fail(`-${setting.name} needs a value: write -${setting.name}=value`);
        return;
      }
      raw = this.#argv[this.#position++] as string;
    }
    this.assignments.push({
      setting,
      writtenAs: `-${setting.name}`,
      raw,
      origin: { kind: "flag" },
    });
  }

  #readUnknown(name: string, inlineValue: string | null): void {
    if (!isForeignFlag(name)) {
      const near = suggest(name, flagNames());
      const hint = near === null ? "See hearth -help" : `Did you mean -${near}?`;
      this.#fail(`-${name}: unknown flag. ${hint}`);
      return;
    }
    const slip = suggest(name, flagNames(), SLIP_DISTANCE_MAX);
    const missed = missedEffect(`-${name}`);
    if (slip !== null)
      this.#warn(`-${name}: ignored as a flag of another component. Did you mean -${slip}?`);
    else if (missed !== null) this.#warn(missed);
    this.foreign.push(`-${name}`);
    // Whether it is a boolean is not known: what does not look like a flag is taken as its value.
    const next = this.#argv[this.#position];
    if (inlineValue === null && next !== undefined && !next.startsWith("-")) this.#position++;
  }

  #warn(message: string): void {
    this.problems.push({ severity: "warning", place: "flag", message });
  }

  #fail(message: string): void {
    this.problems.push({ severity: "error", place: "flag", message });
  }
}
