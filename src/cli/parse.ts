/** From words to a command with its flags. Nothing is guessed: what is unknown is an error with a suggestion. */
import { parseArgs } from "node:util";
import { suggest } from "../base/index.ts";
import {
  type CommandSpec,
  commandName,
  type FlagSpec,
  type ParsedFlags,
  UsageError,
} from "./command.ts";
import { nodeFlags, OUTPUT_FLAGS, ownFlags } from "./global-flags.ts";

/** Longest path first, so that `query blocks` wins over `query`. */
export function findCommand(
  words: readonly string[],
  commands: readonly CommandSpec[],
): CommandSpec | null {
  const matching = commands.filter((spec) => spec.path.every((word, i) => words[i] === word));
  return matching.sort((left, right) => right.path.length - left.path.length)[0] ?? null;
}

/** Commands of a group: `hearth block` names three. */
export function commandsBelow(
  words: readonly string[],
  commands: readonly CommandSpec[],
): CommandSpec[] {
  return commands.filter((spec) => words.every((word, i) => spec.path[i] === word));
}

/** The error for words that name no command. */
export function unknownCommand(
  words: readonly string[],
  commands: readonly CommandSpec[],
): UsageError {
  const first = words[0] as string;
  const group = commandsBelow([first], commands);
  if (group.length === 0) {
    const names = new Set(commands.map((spec) => spec.path[0]));
    const near = suggest(first, names);
    const next =
      near === null ? "hearth --help lists all commands" : `Did you mean hearth ${near}?`;
    return new UsageError(`unknown command "${first}"`, next);
  }
  const seconds = group.map((spec) => spec.path[1] ?? "");
  const second = words[1];
  if (second === undefined)
    return new UsageError(`"hearth ${first}" needs one of: ${seconds.join(", ")}`);
  const near = suggest(second, seconds);
  const next =
    near === null ? `It has ${seconds.join(", ")}` : `Did you mean hearth ${first} ${near}?`;
  return new UsageError(`unknown command "${first} ${second}"`, next);
}

/** Every flag a command takes, its own first. */
export function allFlags(spec: CommandSpec): FlagSpec[] {
  // What takes the server's flags takes no other flag with a value: the two could not be told apart.
  const output = OUTPUT_FLAGS.filter(
    ({ name, value }) =>
      (value === undefined || spec.takesServerFlags !== true) && !isReplaced(spec, name),
  );
  return [...ownFlags(spec), ...nodeFlags(spec), ...output];
}

function isReplaced({ replaced = {} }: CommandSpec, name: string): boolean {
  return Object.hasOwn(replaced, name);
}

export interface ParsedArguments {
  readonly flags: ParsedFlags;
  readonly operands: readonly string[];
}

/** Errors: UsageError for an unknown flag, a missing or needless value, a wrong number of operands. */
export function parseCommandArguments(spec: CommandSpec, args: readonly string[]): ParsedArguments {
  const known = allFlags(spec);
  const options = Object.fromEntries(
    known.map((flag) => [
      flag.name,
      {
        type: flag.value === undefined ? ("boolean" as const) : ("string" as const),
        multiple: true,
      },
    ]),
  );
  const { tokens } = parseArgs({
    args: [...args],
    options,
    strict: false,
    allowPositionals: true,
    tokens: true,
  });
  const values = new Map<string, string[]>();
  const operands: string[] = [];
  for (const token of tokens) {
    if (token.kind === "positional") operands.push(token.value);
    if (token.kind !== "option") continue;
    const flag = known.find((candidate) => candidate.name === token.name);
    if (flag === undefined || !token.rawName.startsWith("--"))
      throw unknownFlag(spec, token.rawName, known);
    addValue(values, flag, token.value);
  }
  if (!values.has("help")) checkOperandCount(spec, operands);
  return { flags: new FlagValues(values), operands };
}

function addValue(values: Map<string, string[]>, flag: FlagSpec, value: string | undefined): void {
  if (flag.value === undefined && value !== undefined) {
    throw new UsageError(`--${flag.name} takes no value`);
  }
  if (flag.value !== undefined && value === undefined) {
    throw new UsageError(`--${flag.name} needs a value: --${flag.name} ${flag.value}`);
  }
  const earlier = values.get(flag.name);
  if (earlier === undefined) values.set(flag.name, [value ?? ""]);
  else if (flag.isRepeatable === true || flag.value === undefined) earlier.push(value ?? "");
  else throw new UsageError(`--${flag.name} is given twice`);
}

function unknownFlag(spec: CommandSpec, rawName: string, known: readonly FlagSpec[]): UsageError {
  const name = rawName.replace(/^-+/, "");
  const near = suggest(
    name,
    known.map((flag) => flag.name),
  );
  const next =
    near === null ? `${commandName(spec)} --help lists all flags` : `Did you mean --${near}?`;
  return new UsageError(`unknown flag ${rawName}`, next);
}

function checkOperandCount(spec: CommandSpec, operands: readonly string[]): void {
  const [least, most] = spec.operandCount;
  if (operands.length < least) {
    throw new UsageError(
      `${commandName(spec)} needs ${spec.operands}`,
      `${commandName(spec)} --help shows examples`,
    );
  }
  if (operands.length <= most) return;
  const extra = operands[most] as string;
  throw new UsageError(
    `"${extra}" is one argument too many`,
    `${commandName(spec)} --help shows examples`,
  );
}

class FlagValues implements ParsedFlags {
  readonly #values: ReadonlyMap<string, readonly string[]>;

  constructor(values: ReadonlyMap<string, readonly string[]>) {
    this.#values = values;
  }

  has(name: string): boolean {
    return this.#values.has(name);
  }

  text(name: string): string | null {
    return this.#values.get(name)?.at(-1) ?? null;
  }

  list(name: string): readonly string[] {
    return this.#values.get(name) ?? [];
  }
}

/** Errors: UsageError for a flag that other commands have, naming what serves here. */
export function refuseReplaced(spec: CommandSpec, args: readonly string[]): void {
  for (const argument of args) {
    const name = /^--([^=]+)/.exec(argument)?.[1] ?? "";
    if (isReplaced(spec, name))
      throw new UsageError(`unknown flag --${name}`, `Did you mean ${spec.replaced?.[name]}?`);
  }
}

/** For commands that pass flags on to the server's parser: only the switches of the output are taken out. */
export function splitServerArguments(
  spec: CommandSpec,
  args: readonly string[],
): { own: string[]; server: string[] } {
  const own: string[] = [];
  const server: string[] = [];
  const switches = new Set(
    allFlags(spec)
      .filter((flag) => flag.value === undefined)
      .map((flag) => `--${flag.name}`),
  );
  for (const argument of args) (switches.has(argument) ? own : server).push(argument);
  return { own, server };
}
