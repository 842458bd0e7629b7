/** `hearth placement preview`: what the leader would publish next, against what it has published. */
import { formatBytes, formatCount } from "../../../base/index.ts";
import type { PlacementPreview } from "../../../leader/index.ts";
import { askLeader } from "../../leader-api.ts";
import { type CommandContext, EXIT, type ExitCode } from "../../command.ts";
import { placementQuery, strategyText } from "../../placement-text.ts";
import { type Column, formatTable } from "../../table.ts";

const COLUMNS: readonly Column[] = [
  { title: "TENANT", align: "left" },
  { title: "DATASET", align: "left" },
  { title: "SHARDS", align: "right" },
  { title: "THEN", align: "right" },
  { title: "STRATEGY", align: "left" },
  { title: "LOAD/S", align: "right" },
  { title: "MOVES", align: "right" },
];

export async function run(context: CommandContext): Promise<ExitCode> {
  const { globals, terminal, spec } = context;
  const path = `/api/v1/placement/preview${placementQuery(context)}`;
  const { endpoint, value } = await askLeader<PlacementPreview>(context, { method: "GET", path });
  if (globals.isJson) {
    terminal.out(JSON.stringify({ ...value, schema: spec.schema, endpoint }));
    return EXIT.done;
  }
  const { changes, matched, bytesPerSec, movedBytesPerSec } = value;
  const rows = changes.map((change) => [
    change.tenant,
    change.dataset === "" ? "(index of the tenant)" : change.dataset,
    change.shardsBefore,
    change.shardsAfter,
    strategyText(change),
    formatBytes(change.bytesPerSec),
    `${Math.round(change.movedShare * 100)} %`,
  ]);
  if (rows.length > 0) for (const line of formatTable(COLUMNS, rows)) terminal.out(line);
  if (globals.isQuiet) return EXIT.done;
  const moved = `${formatBytes(movedBytesPerSec)} of ${formatBytes(bytesPerSec)}/s would move`;
  terminal.talk(
    matched === 0 ? "nothing would change" : `${formatCount(matched)} change, ${moved}`,
  );
  return EXIT.done;
}
