/** `hearth dlq sweep`: a sweep now. */
import { type CommandContext, EXIT, type ExitCode } from "../../command.ts";
import { askLeader } from "../../leader-api.ts";

export async function run(context: CommandContext): Promise<ExitCode> {
  const { globals, terminal } = context;
  const { value } = await askLeader<{ readonly outcome: string; readonly text: string }>(context, {
    method: "POST",
    path: "/api/v1/dlq/sweep",
  });
  terminal.out(globals.isJson ? JSON.stringify(value) : value.text);
  return value.outcome === "failed" ? EXIT.failed : EXIT.done;
}
