/** `hearth activity list`: one line for each activity of the leader, on the asked node. */
import { formatDuration } from "../../../base/index.ts";
import type { LeaderActivitiesView, LeaderActivityView } from "../../../client/index.ts";
import { type CommandContext, EXIT, type ExitCode } from "../../command.ts";
import { NodeApi } from "../../node-api.ts";
import { type Cell, type Column, formatTable } from "../../table.ts";
import { formatTime } from "../../times.ts";

const COLUMNS: readonly Column[] = [
  { title: "ACTIVITY", align: "left" },
  { title: "STATE", align: "left" },
  { title: "LAST RUN", align: "left" },
  { title: "TOOK", align: "right" },
  { title: "OUTCOME", align: "left" },
  { title: "NEXT RUN", align: "left" },
  { title: "RESULT", align: "left" },
];

export async function run(context: CommandContext): Promise<ExitCode> {
  const { globals, terminal } = context;
  const request = { method: "GET", path: "/api/v1/activities" } as const;
  const { endpoint, value } = await NodeApi.of(context).json<LeaderActivitiesView>(request);
  if (globals.isJson) {
    terminal.out(JSON.stringify({ ...value, endpoint }));
    return EXIT.done;
  }
  for (const line of formatTable(COLUMNS, value.activities.map(row))) terminal.out(line);
  const isLeading = value.activities.some(({ isActive }) => isActive);
  if (!isLeading && !globals.isQuiet)
    terminal.talk(`${value.askedNode} does not lead: ask the leader`);
  return EXIT.done;
}

function row(activity: LeaderActivityView): Cell[] {
  const { name, lastStartedAtMs, lastDurationMs, lastOutcome, nextAtMs, lastText } = activity;
  return [
    name,
    stateOf(activity),
    lastStartedAtMs === null ? null : formatTime(lastStartedAtMs),
    lastDurationMs === null ? null : formatDuration(lastDurationMs),
    lastOutcome,
    nextAtMs === null ? null : formatTime(nextAtMs),
    lastText === "" ? null : lastText,
  ];
}

function stateOf({ isEnabled, isActive, isRunning, failuresInRow }: LeaderActivityView): string {
  if (!isEnabled) return "off";
  if (!isActive) return "not leading";
  if (isRunning) return "running";
  return failuresInRow > 0 ? `failing, ${failuresInRow} in a row` : "waiting";
}
