/** `hearth compaction status`: whether compaction keeps up, on one screen. */
import { formatCount, formatDurationSetting } from "../../../base/index.ts";
import { type CommandContext, EXIT, type ExitCode } from "../../command.ts";
import { agoOf, countOf, type OverviewAnswer, pauseSentence } from "../../compaction/answers.ts";
import { NodeApi } from "../../node-api.ts";
import { type Column, formatTable } from "../../table.ts";

const COLUMNS: readonly Column[] = [
  { title: "LEVEL", align: "left" },
  { title: "WAITING", align: "right" },
  { title: "QUEUES", align: "right" },
  { title: "BATCHES", align: "right" },
  { title: "OLDEST", align: "right" },
  { title: "UNASSIGNED", align: "right" },
  { title: "ASSIGNED", align: "right" },
  { title: "REASSIGNED", align: "right" },
  { title: "EXHAUSTED", align: "right" },
  { title: "FULL AT", align: "right" },
  { title: "OLD AT", align: "right" },
];
const WORKERS_SHOWN = 10;

export async function run(context: CommandContext): Promise<ExitCode> {
  const { globals, terminal, spec } = context;
  const request = { method: "GET", path: "/api/v1/compaction" } as const;
  const { endpoint, value } = await NodeApi.of(context).json<OverviewAnswer>(request);
  if (globals.isJson) {
    terminal.out(JSON.stringify({ ...value, schema: spec.schema, endpoint }));
    return EXIT.done;
  }
  for (const line of overviewLines(value)) terminal.out(line);
  return EXIT.done;
}

function overviewLines(overview: OverviewAnswer): string[] {
  const { policy, levels, asOf } = overview;
  if (policy === null) return ["compaction is off: the first poll of a worker turns it on"];
  const paused = pauseSentence(policy);
  const rows = levels.map((level) => [
    level.isPaused ? `${level.level} paused` : String(level.level),
    level.queuedBlocks,
    level.queues,
    level.batches,
    level.oldestAtMs === null ? null : agoOf(asOf, level.oldestAtMs),
    level.unassigned,
    level.assigned,
    level.reassigned,
    level.exhausted,
    level.maxBlocks,
    level.maxAgeMs === 0 ? null : formatDurationSetting(level.maxAgeMs),
  ]);
  return [
    `${countOf(overview.jobs, "job")}, ${formatCount(overview.quarantined)} quarantined`,
    ...(paused === null ? [] : [paused]),
    ...formatTable(COLUMNS, rows),
    `${countOf(overview.parkedBlocks, "block")} of jobs without a result wait to be queued again, ` +
      `${countOf(overview.orphans, "result")} only in the object store`,
    ...workerLines(overview),
    ...(overview.isCut ? ["there is more than was counted"] : []),
  ];
}

function workerLines({ workers, asOf }: OverviewAnswer): string[] {
  if (workers.length === 0) return ["no worker has taken a job yet"];
  const shown = workers.slice(0, WORKERS_SHOWN);
  const others = workers.length - shown.length;
  return [
    `workers   ${shown.map(({ name, seenAtMs }) => `${name} (${agoOf(asOf, seenAtMs)} ago)`).join(", ")}` +
      (others === 0 ? "" : ` and ${others} more`),
  ];
}
