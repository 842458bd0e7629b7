/** `hearth compaction dry-run`: what the planner would do if a worker asked now. */
import { type CommandContext, EXIT, type ExitCode } from "../../command.ts";
import { countOf, filterQuery, type PlanAnswer, tenantCell } from "../../compaction/answers.ts";
import { NodeApi } from "../../node-api.ts";
import { type Cell, type Column, formatTable } from "../../table.ts";

const COLUMNS: readonly Column[] = [
  { title: "JOB", align: "left" },
  { title: "WOULD BE", align: "left" },
  { title: "LEVEL", align: "right" },
  { title: "TENANT", align: "left" },
  { title: "BLOCKS", align: "right" },
  { title: "FAILURES", align: "right" },
  { title: "TAKEN FROM", align: "left" },
];

export async function run(context: CommandContext): Promise<ExitCode> {
  const { globals, terminal, spec } = context;
  const path = `/api/v1/compaction/plan${filterQuery(context, ["capacity"])}`;
  const { endpoint, value } = await NodeApi.of(context).json<PlanAnswer>({ method: "GET", path });
  if (globals.isJson) {
    terminal.out(JSON.stringify({ ...value, schema: spec.schema, endpoint }));
    return EXIT.done;
  }
  for (const line of planLines(value)) terminal.out(line);
  return EXIT.done;
}

function planLines({ assigned, created, evicted, requeuedBlocks }: PlanAnswer): string[] {
  const counts =
    `${countOf(assigned.length, "job")} would be handed out, ${created.length} made` +
    (evicted.length === 0 ? "" : `, ${evicted.length} given up`) +
    (requeuedBlocks === 0 ? "" : `, ${countOf(requeuedBlocks, "block")} queued again`);
  const rows: Cell[][] = [
    ...assigned.map(({ name, level, tenant, failures, takenFrom }): Cell[] => [
      name,
      "handed out",
      level,
      tenantCell(tenant),
      null,
      failures,
      takenFrom,
    ]),
    ...created.map(({ name, level, tenant, sourceBlocks }): Cell[] => [
      name,
      "made",
      level,
      tenantCell(tenant),
      sourceBlocks.length,
      null,
      null,
    ]),
    ...evicted.map((name): Cell[] => [name, "given up", null, null, null, null, null]),
  ];
  if (rows.length === 0) return [counts, "hearth compaction queue shows what waits, and for what"];
  return [counts, ...formatTable(COLUMNS, rows)];
}
