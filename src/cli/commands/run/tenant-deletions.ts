/** `hearth tenant deletions`: how far deletions are, and reports of those that are over. */
import { type CommandContext, EXIT, type ExitCode } from "../../command.ts";
import { NodeApi } from "../../node-api.ts";
import { deletionLines, type DeletionsAnswer } from "../../tenant-text.ts";

export async function run(context: CommandContext): Promise<ExitCode> {
  const { globals, operands, terminal } = context;
  const { endpoint, value } = await askDeletions(NodeApi.of(context), operands[0] ?? null);
  if (globals.isJson) {
    terminal.out(JSON.stringify({ ...value, endpoint }));
    return EXIT.done;
  }
  for (const deletion of value.deletions) {
    for (const line of deletionLines(deletion)) terminal.out(line);
  }
  if (value.deletions.length === 0 && !globals.isQuiet) terminal.talk("no tenant was deleted");
  const { activity, askedNode } = value;
  if (activity?.isActive === true && activity.lastOutcome === "failed")
    terminal.out(`! ${askedNode} leads and cannot go on: ${activity.lastText}`);
  return EXIT.done;
}

export function askDeletions(
  api: NodeApi,
  tenant: string | null,
): Promise<{ readonly endpoint: string; readonly value: DeletionsAnswer }> {
  const query = tenant === null ? "" : `?tenant=${encodeURIComponent(tenant)}`;
  return api.json<DeletionsAnswer>({ method: "GET", path: `/api/v1/tenant-deletions${query}` });
}
