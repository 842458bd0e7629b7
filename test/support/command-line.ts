/** The command lines of the project's own tools: one way to be asked for help, and one to be misunderstood. */

import { type ParseArgsConfig, parseArgs } from "node:util";

type OptionsConfig = NonNullable<ParseArgsConfig["options"]>;

type Parsed<Options extends OptionsConfig> = ReturnType<
  typeof parseArgs<{ options: Options; allowPositionals: true }>
>;

/**
 * `positionalsMax`: how many arguments may stand beside the options. Shape: null when help is asked for. Errors: throws
 * with a sentence for what is not understood.
 */
export function parseCommandLine<const Options extends OptionsConfig>(
  options: Options,
  argv: readonly string[],
  positionalsMax = 0,
): Parsed<Options> | null {
  if (argv.includes("--help") || argv.includes("-h")) return null;
  const parsed = parseArgs({ args: [...argv], options, allowPositionals: true });
  const tooMuch = parsed.positionals[positionalsMax];
  if (tooMuch !== undefined) throw new Error(`"${tooMuch}" is one argument too many`);
  return parsed;
}

/**
 * Reads the command line of this process with `read`. Help goes to stdout and ends it with 0; what is not understood is
 * named on stderr, with the usage, and ends it with 2.
 */
export function readCommandLine<Read>(
  usage: string,
  read: (argv: readonly string[]) => Read | null,
): Read {
  let value: Read | null;
  try {
    value = read(process.argv.slice(2));
  } catch (error) {
    // Node.js adds advice on arguments that begin with a dash, which none of ours do.
    const sentence = (error as Error).message.split(". To specify")[0];
    process.stderr.write(`${sentence}\n\n${usage}\n`);
    process.exit(2);
  }
  if (value !== null) return value;
  process.stdout.write(`${usage}\n`);
  process.exit(0);
}

/** Errors: throws with a sentence that names option and range. */
export function wholeNumber(name: string, text: string, least: number, most: number): number {
  const value = Number(text);
  if (text.trim() !== "" && Number.isInteger(value) && value >= least && value <= most)
    return value;
  throw new Error(`--${name} is "${text}", must be a whole number from ${least} to ${most}`);
}

/** Errors: throws with a sentence that names option and choices. */
export function oneOf<const Choice extends string>(
  name: string,
  text: string,
  choices: readonly Choice[],
): Choice {
  const found = choices.find((choice) => choice === text);
  if (found !== undefined) return found;
  throw new Error(`--${name} is "${text}", must be one of ${choices.join(", ")}`);
}
