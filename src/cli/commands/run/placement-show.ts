/** `hearth placement show`: the busiest datasets, or one of them shard by shard. */
import { formatBytes, formatCount, formatDuration } from "../../../base/index.ts";
import type { PlacementRow, PlacementTable } from "../../../leader/index.ts";
import { type CommandContext, EXIT, type ExitCode } from "../../command.ts";
import { NodeApi } from "../../node-api.ts";
import { placementQuery } from "../../placement-text.ts";
import { type Column, formatTable } from "../../table.ts";

type ShowAnswer = PlacementTable & { readonly asOf: string };

const COLUMNS: readonly Column[] = [
  { title: "TENANT", align: "left" },
  { title: "DATASET", align: "left" },
  { title: "SHARDS", align: "right" },
  { title: "STRATEGY", align: "left" },
  { title: "LOAD/S", align: "right" },
  { title: "BUSIEST SHARD/S", align: "right" },
  { title: "PINNED", align: "left" },
];

const SHARD_COLUMNS: readonly Column[] = [
  { title: "SHARD", align: "right" },
  { title: "WRITER", align: "left" },
  { title: "LOAD/S", align: "right" },
];

export async function run(context: CommandContext): Promise<ExitCode> {
  const { globals, terminal, spec } = context;
  const request = { method: "GET", path: `/api/v1/placement${placementQuery(context)}` } as const;
  const { endpoint, value } = await NodeApi.of(context).json<ShowAnswer>(request);
  if (globals.isJson) {
    terminal.out(JSON.stringify({ ...value, schema: spec.schema, endpoint }));
    return EXIT.done;
  }
  for (const problem of value.problems) terminal.talk(`! ${problem}`);
  const [only] = value.rows;
  const isOne = only !== undefined && value.matched === 1;
  for (const line of formatTable(COLUMNS, value.rows.map(rowOf))) terminal.out(line);
  if (isOne && only.load.length > 0) {
    terminal.out("");
    const shards = only.load.map(({ id, owner, bytesPerSec }) => [
      String(id),
      owner,
      formatBytes(bytesPerSec),
    ]);
    for (const line of formatTable(SHARD_COLUMNS, shards)) terminal.out(line);
  }
  if (!globals.isQuiet) terminal.talk(summaryOf(value));
  return EXIT.done;
}

function rowOf(row: PlacementRow): (string | number | null)[] {
  const { tenant, dataset, shards, placement, bytesPerSec, load, pin } = row;
  const busiest = load[0]?.bytesPerSec;
  const pinned = pin === null ? null : `${pin.shards}`;
  return [
    tenant,
    dataset === "" ? "(index of the tenant)" : dataset,
    shards,
    placement.strategy,
    formatBytes(bytesPerSec),
    busiest === undefined ? null : formatBytes(busiest),
    pinned,
  ];
}

function summaryOf({ rulesAtMs, asOf, matched, rows, rules, bytesPerSec }: ShowAnswer): string {
  if (rulesAtMs === null) return "no rules in the bucket yet: every dataset has its default";
  const age = formatDuration(Math.max(0, Date.parse(asOf) - rulesAtMs));
  const shown = rows.length < matched ? `${formatCount(rows.length)} of ` : "";
  const count = `${shown}${formatCount(matched)} of ${formatCount(rules)} rules`;
  return `${count}, ${formatBytes(bytesPerSec)}/s, made ${age} ago`;
}
