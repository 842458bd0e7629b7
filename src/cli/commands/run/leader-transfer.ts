/** `hearth leader transfer`: hands the leadership over and waits for the outcome. */
import { runChange } from "../../change.ts";
import type { CommandContext, ExitCode } from "../../command.ts";

export function run(context: CommandContext): Promise<ExitCode> {
  const to = context.operands[0];
  return runChange(context, {
    request: (guard) => ({
      method: "POST",
      path: "/api/v1/leader/transfer",
      body: JSON.stringify({ ...(to === undefined ? {} : { to }), ...guard }),
    }),
  });
}
