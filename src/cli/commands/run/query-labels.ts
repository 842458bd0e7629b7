/** `hearth query labels`: distinct combinations of label values, one column per name. */
import { type CommandContext, EXIT, type ExitCode, UsageError } from "../../command.ts";
import { NodeApi } from "../../node-api.ts";
import { formatTable } from "../../table.ts";
import { labelNames, queryBody } from "./query-range.ts";

interface LabelRow {
  readonly labels: readonly { readonly name: string; readonly value: string }[];
}

export async function run(context: CommandContext): Promise<ExitCode> {
  const { globals, terminal } = context;
  const names = labelNames(context);
  if (names.length === 0)
    throw new UsageError("--labels is missing", "For example --labels service_name");
  const path = `/api/v1/query/labels?timeout=${globals.timeoutMs}ms`;
  const request = { method: "POST", path, body: queryBody(context) } as const;
  const { endpoint, value } = await NodeApi.of(context).json<{ labels: LabelRow[] }>(request);
  if (globals.isJson) {
    const asOf = new Date(context.nowMs()).toISOString();
    terminal.out(
      JSON.stringify({ schema: context.spec.schema, asOf, endpoint, labels: value.labels }),
    );
    return EXIT.done;
  }
  const columns = names.map((name) => ({ title: name, align: "left" as const }));
  const rows = value.labels.map(({ labels }) =>
    names.map((name) => labels.find((label) => label.name === name)?.value || null),
  );
  for (const line of formatTable(columns, rows)) terminal.out(line);
  return EXIT.done;
}
