/** `hearth job show`: one compaction job with everything that is known of it. */
import { formatCount } from "../../../base/index.ts";
import { type CommandContext, EXIT, type ExitCode } from "../../command.ts";
import { agoOf, durationOf, type JobAnswer } from "../../compaction/answers.ts";
import { NodeApi } from "../../node-api.ts";
import { formatTime } from "../../times.ts";

export async function run(context: CommandContext): Promise<ExitCode> {
  const { globals, terminal, spec, operands } = context;
  const name = operands[0] as string;
  const request = { method: "GET", path: `/api/v1/jobs/${encodeURIComponent(name)}` } as const;
  const { endpoint, value } = await NodeApi.of(context).json<JobAnswer>(request);
  if (globals.isJson) {
    terminal.out(JSON.stringify({ ...value, schema: spec.schema, endpoint }));
    return EXIT.done;
  }
  for (const line of jobLines(value)) terminal.out(line);
  return EXIT.done;
}

function jobLines(job: JobAnswer): string[] {
  const { asOf, leaseMs, worker, sourceBlocks, tombstoneNames } = job;
  const lease = leaseMs === null ? "-" : leaseMs === 0 ? "over" : `${durationOf(leaseMs)} left`;
  const facts: readonly (readonly [string, string])[] = [
    ["job", job.name],
    ["status", job.status],
    ["tenant", job.tenant === "" ? "- (segments of many tenants)" : job.tenant],
    ["shard", String(job.shard)],
    ["level", String(job.level)],
    ["added", `${formatTime(job.addedAtMs)}, ${agoOf(asOf, job.addedAtMs)} ago`],
    ["held by", worker ?? "-"],
    ["lease", lease],
    ["token", formatCount(job.token)],
    ["failures", formatCount(job.failures)],
  ];
  return [
    ...facts.map(([name, value]) => `${name.padEnd(8)}  ${value}`),
    ...(job.reasons.length === 0 ? ["reason    -"] : job.reasons.map(reasonLine)),
    `blocks    ${formatCount(sourceBlocks.length)}`,
    ...sourceBlocks.map((id) => `  ${id}`),
    ...(tombstoneNames.length === 0 ? [] : [`carries out ${tombstoneNames.length} tombstones`]),
    ...tombstoneNames.map((name) => `  ${name}`),
  ];
}

function reasonLine(line: string, position: number): string {
  return `${position === 0 ? "reason" : ""}`.padEnd(8) + `  ${line}`;
}
