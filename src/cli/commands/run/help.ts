/** `hearth help [command or topic]`. */
import { type CommandContext, EXIT, EXIT_MEANINGS, type ExitCode } from "../../command.ts";
import { commandHelp, groupHelp, overviewHelp } from "../../help.ts";
import { commandsBelow, findCommand, unknownCommand } from "../../parse.ts";
import { COMMANDS, HELP_SECTIONS } from "../catalog.ts";

export async function run({ operands, terminal }: CommandContext): Promise<ExitCode> {
  terminal.out((await helpText(operands)).trimEnd());
  return EXIT.done;
}

/** Errors: UsageError with a suggestion for what is neither a command nor a topic. */
async function helpText(words: readonly string[]): Promise<string> {
  const topic = words[0];
  if (topic === undefined) return overviewHelp(COMMANDS, HELP_SECTIONS);
  const command = findCommand(words, COMMANDS);
  if (topic === "exit-codes") return exitCodesHelp();
  if (topic === "config" && words.length === 1) {
    const { settingsHelp } = await import("../../reference/settings-help.ts");
    return settingsHelp();
  }
  if (topic === "metrics") {
    const { metricsHelp } = await import("../../reference/metrics-help.ts");
    return metricsHelp();
  }
  if (command !== null) return commandHelp(command);
  const group = commandsBelow(words, COMMANDS);
  if (group.length > 0) return groupHelp(group);
  throw unknownCommand(words, COMMANDS);
}

function exitCodesHelp(): string {
  return Object.entries(EXIT_MEANINGS)
    .map(([code, meaning]) => `${code.padStart(3)}  ${meaning}`)
    .join("\n");
}
