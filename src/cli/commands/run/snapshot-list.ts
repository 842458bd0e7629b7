/** `hearth snapshot list`: what the asked node keeps, newest first. */
import { formatBytes } from "../../../base/index.ts";
import type { SnapshotView } from "../../../service/index.ts";
import { type CommandContext, EXIT, type ExitCode } from "../../command.ts";
import { NodeApi } from "../../node-api.ts";
import { type Column, formatTable } from "../../table.ts";
import { formatTime } from "../../times.ts";

interface SnapshotsAnswer {
  readonly asOf: string;
  readonly snapshots: readonly SnapshotView[];
}

const COLUMNS: readonly Column[] = [
  { title: "SNAPSHOT", align: "left" },
  { title: "LOG INDEX", align: "right" },
  { title: "TERM", align: "right" },
  { title: "SIZE", align: "right" },
  { title: "TAKEN", align: "left" },
];

export async function run(context: CommandContext): Promise<ExitCode> {
  const { globals, terminal, spec } = context;
  const request = { method: "GET", path: "/api/v1/snapshots" } as const;
  const { endpoint, value } = await NodeApi.of(context).json<SnapshotsAnswer>(request);
  const { asOf, snapshots } = value;
  if (globals.isJson) {
    terminal.out(JSON.stringify({ schema: spec.schema, asOf, endpoint, snapshots }));
    return EXIT.done;
  }
  const rows = snapshots.map(({ id, index, term, sizeBytes, takenAtMs }) => [
    id,
    index,
    term,
    formatBytes(sizeBytes),
    takenAtMs === null ? undefined : formatTime(takenAtMs),
  ]);
  for (const line of formatTable(COLUMNS, rows)) terminal.out(line);
  const count = `${snapshots.length} ${snapshots.length === 1 ? "snapshot" : "snapshots"}`;
  if (!globals.isQuiet) terminal.talk(count);
  return EXIT.done;
}
