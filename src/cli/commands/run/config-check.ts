/** `hearth config check`: the same check the server runs, without starting. */
import { formatProblems, loadConfig } from "../../../config/index.ts";
import { type CommandContext, EXIT, type ExitCode } from "../../command.ts";

export async function run(context: CommandContext): Promise<ExitCode> {
  const { environment, globals, serverArguments, terminal } = context;
  const result = loadConfig({ argv: serverArguments, environment });
  const hasErrors = result.config === null;
  if (globals.isJson) {
    const { file, problems, foreign, unused } = result;
    terminal.out(JSON.stringify({ schema: context.spec.schema, file, problems, foreign, unused }));
  } else if (!globals.isQuiet || hasErrors) {
    for (const line of formatProblems(result)) terminal.out(line);
    const quietly = [...result.foreign, ...result.unused];
    if (quietly.length > 0 && !globals.isQuiet) {
      terminal.talk(`accepted, without effect here: ${quietly.join(", ")}`);
    }
  }
  return hasErrors ? EXIT.misuse : EXIT.done;
}
