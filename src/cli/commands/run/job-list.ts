/** `hearth job list`: compaction jobs by name, those that the flags let through. */
import { formatCount } from "../../../base/index.ts";
import type { JobView } from "../../../client/index.ts";
import { type CommandContext, EXIT, type ExitCode } from "../../command.ts";
import {
  agoOf,
  durationOf,
  filterQuery,
  type JobListAnswer,
  tenantCell,
} from "../../compaction/answers.ts";
import { NodeApi } from "../../node-api.ts";
import { type Cell, type Column, formatTable } from "../../table.ts";

export const JOB_COLUMNS: readonly Column[] = [
  { title: "JOB", align: "left" },
  { title: "LEVEL", align: "right" },
  { title: "TENANT", align: "left" },
  { title: "SHARD", align: "right" },
  { title: "BLOCKS", align: "right" },
  { title: "STATUS", align: "left" },
  { title: "TOKEN", align: "right" },
  { title: "LEASE", align: "right" },
  { title: "FAILURES", align: "right" },
  { title: "HELD BY", align: "left" },
  { title: "AGE", align: "right" },
];

export async function run(context: CommandContext): Promise<ExitCode> {
  const { globals, terminal, spec } = context;
  const query = filterQuery(context, ["level", "tenant", "status", "limit", "after"]);
  const request = { method: "GET", path: `/api/v1/jobs${query}` } as const;
  const { endpoint, value } = await NodeApi.of(context).json<JobListAnswer>(request);
  const { asOf, jobs, next, total } = value;
  if (globals.isJson) {
    terminal.out(JSON.stringify({ schema: spec.schema, asOf, endpoint, total, next, jobs }));
    return EXIT.done;
  }
  const rows = jobs.map((job) => jobRow(job, asOf));
  for (const line of formatTable(JOB_COLUMNS, rows)) terminal.out(line);
  if (globals.isQuiet) return EXIT.done;
  terminal.talk(`${formatCount(jobs.length)} shown, ${formatCount(total)} in any state`);
  if (next !== null) terminal.talk(`next: hearth job list --after '${next}'`);
  return EXIT.done;
}

export function jobRow(job: JobView, asOf: string): Cell[] {
  return [
    job.name,
    job.level,
    tenantCell(job.tenant),
    job.shard,
    job.blocks,
    job.status,
    job.token,
    leaseCell(job.leaseMs),
    job.failures,
    job.worker,
    agoOf(asOf, job.addedAtMs),
  ];
}

function leaseCell(leaseMs: number | null): string | null {
  if (leaseMs === null) return null;
  return leaseMs === 0 ? "over" : durationOf(leaseMs);
}
