/** `hearth tenant list`: one name per line, so that it can be piped. */
import { type CommandContext, EXIT, type ExitCode } from "../../command.ts";
import { NodeApi } from "../../node-api.ts";

export async function run(context: CommandContext): Promise<ExitCode> {
  const { globals, terminal } = context;
  const path = `/api/v1/tenants?timeout=${globals.timeoutMs}ms`;
  const { endpoint, value } = await NodeApi.of(context).json<{ tenantIds: string[] }>({
    method: "GET",
    path,
  });
  if (globals.isJson) {
    const asOf = new Date(context.nowMs()).toISOString();
    terminal.out(
      JSON.stringify({ schema: context.spec.schema, asOf, endpoint, tenants: value.tenantIds }),
    );
    return EXIT.done;
  }
  for (const tenant of value.tenantIds) terminal.out(tenant);
  if (value.tenantIds.length === 0 && !globals.isQuiet) {
    terminal.talk(
      "no tenant owns a block yet; fresh segments belong to the anonymous owner until they are compacted",
    );
  }
  return EXIT.done;
}
