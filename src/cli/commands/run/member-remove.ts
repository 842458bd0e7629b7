/** `hearth member remove`: consequences first, then the question. */
import { runChange } from "../../change.ts";
import type { CommandContext, ExitCode } from "../../command.ts";
import { memberPath } from "./member-path.ts";

export function run(context: CommandContext): Promise<ExitCode> {
  const id = context.operands[0] as string;
  return runChange(context, {
    request: ({ dryRun, currentTerm }) => ({
      method: "DELETE",
      path: `${memberPath(id)}?dryRun=${dryRun}&currentTerm=${currentTerm}`,
    }),
    consequences: () => [
      "Replacing it? Add the new node first: hearth member add <server id>=<host:port>",
    ],
    question: `Remove ${id}?`,
  });
}
