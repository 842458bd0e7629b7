/** `hearth tenant show`: when a tenant's data begins and ends. */
import { type CommandContext, EXIT, type ExitCode } from "../../command.ts";
import { NodeApi } from "../../node-api.ts";
import { formatTime } from "../../times.ts";

interface TenantAnswer {
  readonly stats: {
    readonly dataIngested: boolean;
    readonly oldestProfileTime: string;
    readonly newestProfileTime: string;
  };
}

export async function run(context: CommandContext): Promise<ExitCode> {
  const { globals, operands, terminal } = context;
  const tenant = operands[0] as string;
  const path = `/api/v1/tenants/${encodeURIComponent(tenant)}?timeout=${globals.timeoutMs}ms`;
  const { endpoint, value } = await NodeApi.of(context).json<TenantAnswer>({ method: "GET", path });
  const { dataIngested, oldestProfileTime, newestProfileTime } = value.stats;
  const oldestAtMs = dataIngested ? Number(oldestProfileTime) : null;
  const newestAtMs = dataIngested ? Number(newestProfileTime) : null;
  if (globals.isJson) {
    const asOf = new Date(context.nowMs()).toISOString();
    const { schema } = context.spec;
    terminal.out(
      JSON.stringify({ schema, asOf, endpoint, tenant, dataIngested, oldestAtMs, newestAtMs }),
    );
    return EXIT.done;
  }
  const show = (timeMs: number | null): string => (timeMs === null ? "-" : formatTime(timeMs));
  terminal.out(`tenant  ${tenant}`);
  terminal.out(`oldest  ${show(oldestAtMs)}`);
  terminal.out(`newest  ${show(newestAtMs)}`);
  if (!dataIngested && !globals.isQuiet) terminal.talk("no data of this tenant is in the index");
  return EXIT.done;
}
