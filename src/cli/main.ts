/**
 * The entry of the program. Two faces (ux, 2): a first argument with a dash is the server with the reference's flags,
 * as containers start it; a word is a subcommand. Everything heavy is behind a lazy import.
 */
import type { Terminal } from "./command.ts";
import {
  type CommandContext,
  type CommandSpec,
  EXIT,
  type ExitCode,
  UsageError,
} from "./command.ts";
import { COMMANDS, HELP_SECTIONS } from "./commands/catalog.ts";
import { InterruptedError, reportFailure } from "./failure.ts";
import { NODE_FLAGS, OUTPUT_FLAGS, readGlobals } from "./global-flags.ts";
import { commandHelp, groupHelp, overviewHelp } from "./help.ts";
import {
  commandsBelow,
  findCommand,
  type ParsedArguments,
  parseCommandArguments,
  refuseReplaced,
  splitServerArguments,
  unknownCommand,
} from "./parse.ts";
import { programTitle } from "./program.ts";
import { processTerminal } from "./terminal.ts";

export interface MainInput {
  /** Without node and script. */
  readonly argv: readonly string[];
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly terminal: Terminal;
  readonly signal: AbortSignal;
  readonly nowMs: () => number;
}

/** Runs one command line. Never rejects: failures are printed and become the exit code. */
export async function runCommandLine(input: MainInput): Promise<ExitCode> {
  const { argv, terminal } = input;
  try {
    return await dispatch(input);
  } catch (error) {
    // Whatever was under way then, and however it put that: it ended because somebody pressed Ctrl-C.
    const { reason } = input.signal;
    const cause = reason instanceof InterruptedError ? reason : error;
    return reportFailure(cause, argv.includes("--json"), terminal);
  }
}

async function dispatch(input: MainInput): Promise<ExitCode> {
  const { argv, terminal } = input;
  const first = argv[0];
  if (first === undefined || first === "-h" || first === "--help") {
    terminal.out(overviewHelp(COMMANDS, HELP_SECTIONS).trimEnd());
    return EXIT.done;
  }
  // A question to the server's flags, answered without loading the server.
  if (argv.length === 1 && /^--?version$/.test(first)) {
    terminal.out(programTitle());
    return EXIT.done;
  }
  if (first.startsWith("-")) {
    refuseMisplaced(argv);
    return startServer(input, argv);
  }
  const words = argv.filter((word, i) => !word.startsWith("-") && i < 2);
  const spec = findCommand(words, COMMANDS);
  if (spec === null) return answerGroup(input, words);
  return runCommand(spec, input, argv.slice(spec.path.length));
}

/** `hearth --endpoint URL status`: no flag of the server, so it is clear what was meant. */
function refuseMisplaced(argv: readonly string[]): void {
  const [first = ""] = argv;
  const isMeant = [...NODE_FLAGS, ...OUTPUT_FLAGS].some(
    ({ name }) => name !== "help" && (first === `--${name}` || first.startsWith(`--${name}=`)),
  );
  if (!isMeant) return;
  const word = argv.slice(1).find((candidate) => commandsBelow([candidate], COMMANDS).length > 0);
  const next =
    word === undefined ? "hearth --help lists all commands" : `hearth ${word} ${first} ...`;
  throw new UsageError(`${first} stands behind the command that it is for`, next);
}

/** `hearth block --help` and `hearth block` show what the group has; a wrong word gets a suggestion. */
function answerGroup({ argv, terminal }: MainInput, words: readonly string[]): ExitCode {
  const group = commandsBelow(words.slice(0, 1), COMMANDS);
  const isHelpAsked = argv.includes("--help") || argv.includes("-h");
  if (group.length > 0 && words.length === 1 && isHelpAsked) {
    terminal.out(groupHelp(group).trimEnd());
    return EXIT.done;
  }
  throw unknownCommand(words, COMMANDS);
}

function startServer(input: MainInput, serverArguments: readonly string[]): Promise<ExitCode> {
  const spec = COMMANDS.find((candidate) => candidate.path[0] === "server") as CommandSpec;
  refuseReplaced(spec, serverArguments);
  return execute(spec, input, { serverArguments, parsed: parseCommandArguments(spec, []) });
}

async function runCommand(
  spec: CommandSpec,
  input: MainInput,
  args: readonly string[],
): Promise<ExitCode> {
  refuseReplaced(spec, args);
  const isServer = spec.takesServerFlags === true;
  const { own, server } = isServer ? splitServerArguments(spec, args) : { own: args, server: [] };
  // The one short flag: everybody's fingers know it.
  const parsed = parseCommandArguments(
    spec,
    own.map((word) => (word === "-h" ? "--help" : word)),
  );
  if (parsed.flags.has("help")) {
    input.terminal.out(commandHelp(spec).trimEnd());
    return EXIT.done;
  }
  return execute(spec, input, { serverArguments: server, parsed });
}

interface Prepared {
  readonly serverArguments: readonly string[];
  readonly parsed: ParsedArguments;
}

async function execute(spec: CommandSpec, input: MainInput, prepared: Prepared): Promise<ExitCode> {
  const { flags, operands } = prepared.parsed;
  const context: CommandContext = {
    spec,
    operands,
    flags,
    serverArguments: prepared.serverArguments,
    globals: readGlobals(spec, flags, input.environment),
    terminal: input.terminal,
    environment: input.environment,
    signal: input.signal,
    nowMs: input.nowMs,
  };
  const { run } = await spec.load();
  return run(context);
}

/** What bin/hearth.js calls: the process's own arguments, streams and signals. */
export async function main(): Promise<void> {
  const argv = process.argv.slice(2);
  const interrupt = new AbortController();
  const isServer = argv[0]?.startsWith("-") === true;
  const handlesSignals = findCommand(argv, COMMANDS)?.handlesSignals === true;
  // A server has an orderly stop of its own; a command ends at the second Ctrl-C whatever it does.
  if (!isServer && !handlesSignals) {
    process.once("SIGINT", () => {
      interrupt.abort(new InterruptedError());
      process.once("SIGINT", () => process.exit(EXIT.interrupted));
    });
  }
  const terminal = processTerminal(argv.includes("--no-color"));
  const code = await runCommandLine({
    argv,
    environment: process.env,
    terminal,
    signal: interrupt.signal,
    nowMs: () => Date.now(),
  });
  await terminal.flush();
  process.exit(code);
}
