/** `hearth config show`: effective settings, and where each comes from. */
import { configYaml, formatProblems, loadConfig, shownSettings } from "../../../config/index.ts";
import { type CommandContext, EXIT, type ExitCode } from "../../command.ts";

export async function run(context: CommandContext): Promise<ExitCode> {
  const { environment, flags, globals, serverArguments, terminal } = context;
  const result = loadConfig({ argv: serverArguments, environment });
  if (result.config === null) {
    for (const line of formatProblems(result)) terminal.talk(line);
    return EXIT.misuse;
  }
  const isDiff = flags.has("diff");
  const settings = shownSettings(result.values, result.origins).filter(
    (shown) => !isDiff || !shown.isDefault,
  );
  if (globals.isJson) {
    terminal.out(JSON.stringify({ schema: context.spec.schema, settings }));
    return EXIT.done;
  }
  if (flags.has("yaml")) {
    terminal.out(configYaml(result.values, isDiff ? "diff" : "all").trimEnd());
    return EXIT.done;
  }
  const nameWidth = Math.max(0, ...settings.map(({ name }) => name.length));
  const valueWidth = Math.min(40, Math.max(0, ...settings.map(({ value }) => value.length)));
  for (const { name, value, origin } of settings) {
    const shown = value === "" ? '""' : value;
    const line = flags.has("origin")
      ? `${name.padEnd(nameWidth)}  ${shown.padEnd(valueWidth)}  ${origin}`
      : `${name.padEnd(nameWidth)}  ${shown}`;
    terminal.out(line);
  }
  return EXIT.done;
}
