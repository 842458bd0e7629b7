/** `hearth query blocks`: plan a query and print the blocks it would read. */
import { formatCount } from "../../../base/index.ts";
import { blockTable, type JsonBlock, labelTable } from "../../block-view.ts";
import { type CommandContext, EXIT, type ExitCode } from "../../command.ts";
import { NodeApi } from "../../node-api.ts";
import { labelNames, queryBody } from "./query-range.ts";

export async function run(context: CommandContext): Promise<ExitCode> {
  const { globals, terminal } = context;
  const path = `/api/v1/query/blocks?timeout=${globals.timeoutMs}ms`;
  const request = { method: "POST", path, body: queryBody(context) } as const;
  const { endpoint, value } = await NodeApi.of(context).json<{ blocks: JsonBlock[] }>(request);
  const { blocks } = value;
  if (globals.isJson) {
    const asOf = new Date(context.nowMs()).toISOString();
    terminal.out(JSON.stringify({ schema: context.spec.schema, asOf, endpoint, blocks }));
    return EXIT.done;
  }
  if (blocks.length === 0) {
    if (!globals.isQuiet)
      terminal.talk("no blocks match; try a wider --from and --to, or {} as the selector");
    return EXIT.done;
  }
  const lines = labelNames(context).length > 0 ? labelTable(blocks) : blockTable(blocks);
  for (const line of lines) terminal.out(line);
  if (!globals.isQuiet)
    terminal.talk(`${formatCount(blocks.length)} ${blocks.length === 1 ? "block" : "blocks"}`);
  return EXIT.done;
}
