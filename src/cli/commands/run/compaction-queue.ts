/** `hearth compaction queue`: the backlog, the longest waiting first. */
import { formatCount } from "../../../base/index.ts";
import { type CommandContext, EXIT, type ExitCode } from "../../command.ts";
import {
  agoOf,
  durationOf,
  filterQuery,
  type QueuesAnswer,
  tenantCell,
} from "../../compaction/answers.ts";
import { NodeApi } from "../../node-api.ts";
import { type Column, formatTable } from "../../table.ts";

const COLUMNS: readonly Column[] = [
  { title: "TENANT", align: "left" },
  { title: "SHARD", align: "right" },
  { title: "LEVEL", align: "right" },
  { title: "BLOCKS", align: "right" },
  { title: "BATCHES", align: "right" },
  { title: "OLDEST", align: "right" },
  { title: "DUE", align: "left" },
];

export async function run(context: CommandContext): Promise<ExitCode> {
  const { globals, terminal, spec, flags } = context;
  const query = new URLSearchParams(filterQuery(context, ["level", "tenant", "limit"]));
  if (flags.has("by-tenant")) query.set("byTenant", "true");
  const path = `/api/v1/compaction/queues${query.size === 0 ? "" : `?${query}`}`;
  const { endpoint, value } = await NodeApi.of(context).json<QueuesAnswer>({ method: "GET", path });
  const { asOf, queues, total, isCut } = value;
  if (globals.isJson) {
    terminal.out(JSON.stringify({ schema: spec.schema, asOf, endpoint, total, isCut, queues }));
    return EXIT.done;
  }
  const rows = queues.map((queue) => [
    tenantCell(queue.tenant),
    queue.shard,
    queue.level,
    queue.blocks,
    queue.batches,
    agoOf(asOf, queue.oldestAtMs),
    queue.isPaused ? "paused" : dueText(asOf, queue.dueAtMs, queue.batches),
  ]);
  for (const line of formatTable(COLUMNS, rows)) terminal.out(line);
  if (globals.isQuiet) return EXIT.done;
  terminal.talk(`${formatCount(queues.length)} of ${formatCount(total)} queues`);
  if (isCut) terminal.talk("there is more than was counted: name a tenant or a level");
  return EXIT.done;
}

/** A batch is a job when a worker asks; what is not one yet becomes it by its size or by its age. */
function dueText(asOf: string, dueAtMs: number | null, batches: number): string {
  if (batches > 0) return "now";
  if (dueAtMs === null) return "when full";
  const leftMs = dueAtMs - Date.parse(asOf);
  return leftMs <= 0 ? "now" : `in ${durationOf(leftMs)}`;
}
