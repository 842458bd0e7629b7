/** `hearth block get`: blocks by owner, shard and id. */
import { blockTable, type JsonBlock } from "../../block-view.ts";
import { type CommandContext, EXIT, type ExitCode, UsageError } from "../../command.ts";
import { NodeApi } from "../../node-api.ts";

export async function run(context: CommandContext): Promise<ExitCode> {
  const { flags, globals, operands, terminal } = context;
  const shard = flags.text("shard") ?? "0";
  if (!/^\d+$/.test(shard)) throw new UsageError(`--shard: "${shard}" is not a whole number`);
  const list = { tenant: flags.text("tenant") ?? "", shard: Number(shard), blocks: operands };
  const path = `/api/v1/blocks/get?timeout=${globals.timeoutMs}ms`;
  const body = JSON.stringify({ blocks: list });
  const answer = await NodeApi.of(context).json<{ blocks: JsonBlock[] }>({
    method: "POST",
    path,
    body,
  });
  const { blocks } = answer.value;
  const found = new Set(blocks.map((block) => block.id));
  const missing = operands.filter((id) => !found.has(id));
  if (globals.isJson) {
    const asOf = new Date(context.nowMs()).toISOString();
    const { schema } = context.spec;
    terminal.out(JSON.stringify({ schema, asOf, endpoint: answer.endpoint, blocks, missing }));
  } else {
    if (blocks.length > 0) for (const line of blockTable(blocks)) terminal.out(line);
    for (const id of missing) terminal.talk(`not found: ${id}`);
  }
  return missing.length === 0 ? EXIT.done : EXIT.bad;
}
