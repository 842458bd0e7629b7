/** `hearth tenant open`: the name of a deleted tenant may be used again. */
import { HearthError } from "../../../base/index.ts";
import { confirm } from "../../change.ts";
import { type CommandContext, EXIT, type ExitCode } from "../../command.ts";
import { NodeApi } from "../../node-api.ts";
import { type DeletionAnswer, stateText } from "../../tenant-text.ts";
import { askDeletions } from "./tenant-deletions.ts";

interface OpenAnswer {
  readonly changed: boolean;
  readonly deletion: DeletionAnswer;
}

export async function run(context: CommandContext): Promise<ExitCode> {
  const { flags, globals, operands, terminal } = context;
  const tenant = operands[0] as string;
  const api = NodeApi.of(context);
  const { value } = await askDeletions(api, tenant);
  const [deletion] = value.deletions;
  if (deletion === undefined) throw notDeleted(tenant);
  const plan = [`${tenant}: ${stateText(deletion)}`];
  if (flags.has("dry-run")) {
    const changed = deletion.state === "verified";
    if (globals.isJson)
      terminal.out(
        JSON.stringify({ schema: context.spec.schema, dryRun: true, changed, deletion }),
      );
    else for (const line of plan) terminal.out(line);
    return EXIT.done;
  }
  await confirm(context, plan, "Let it be used again?");
  const path = `/api/v1/tenants/${encodeURIComponent(tenant)}/open`;
  const { endpoint, value: answer } = await api.json<OpenAnswer>({ method: "POST", path });
  if (globals.isJson) terminal.out(JSON.stringify({ ...answer, dryRun: false, endpoint }));
  else terminal.out(answer.changed ? `${tenant} may be used again` : `${tenant} was open already`);
  return EXIT.done;
}

function notDeleted(tenant: string): HearthError {
  return new HearthError("not_found", `Tenant ${JSON.stringify(tenant)} was never deleted`, {
    reason: "no_such_deletion",
    next: "hearth tenant deletions shows those that were",
  });
}
