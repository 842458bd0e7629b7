/** `hearth member demote`: a voter becomes a learner. */
import { runChange } from "../../change.ts";
import type { CommandContext, ExitCode } from "../../command.ts";
import { memberPath } from "./member-path.ts";

export function run(context: CommandContext): Promise<ExitCode> {
  const id = context.operands[0] as string;
  return runChange(context, {
    request: (guard) => ({
      method: "POST",
      path: `${memberPath(id)}/demote`,
      body: JSON.stringify(guard),
    }),
    question: `Demote ${id}?`,
    next: `hearth member promote ${id}   makes it a voter again`,
  });
}
