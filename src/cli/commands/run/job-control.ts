/** `hearth job retry|quarantine|cancel`: an operator's hand on compaction jobs, tried before it is done. */
import type { ControlResult } from "../../../client/index.ts";
import { confirm } from "../../change.ts";
import { type CommandContext, EXIT, type ExitCode, UsageError } from "../../command.ts";
import {
  type ControlAnswer,
  countOf,
  filterQuery,
  type JobListAnswer,
} from "../../compaction/answers.ts";
import { NodeApi } from "../../node-api.ts";
import { formatTable } from "../../table.ts";
import { JOB_COLUMNS, jobRow } from "./job-list.ts";

type Action = "retry" | "quarantine" | "cancel";

const WORDS: Readonly<Record<Action, { done: string; will: string }>> = {
  retry: { done: "retried", will: "to be handed out anew, failures forgotten" },
  quarantine: { done: "quarantined", will: "to be kept and handed to nobody" },
  cancel: { done: "cancelled", will: "to end without a result; the blocks are queued again later" },
};
/** Of one change. */
const NAMES_MAX = 1_000;

export async function run(context: CommandContext): Promise<ExitCode> {
  const { spec, flags, terminal } = context;
  const action = spec.path[1] as Action;
  const api = NodeApi.of(context);
  const names = await jobNames(context, api);
  if (names.length === 0) {
    const asOf = new Date(context.nowMs()).toISOString();
    const nothing = { schema: spec.schema, asOf, ...NOTHING };
    if (context.globals.isJson) terminal.out(JSON.stringify(nothing));
    else terminal.out("no job is like that");
    return EXIT.done;
  }
  const reason = flags.text("reason") ?? "";
  const send = async (dryRun: boolean): Promise<ControlAnswer> => {
    const body = JSON.stringify({ action, names, reason, dryRun });
    return (await api.json<ControlAnswer>({ method: "POST", path: "/api/v1/jobs", body })).value;
  };
  const tried = await send(true);
  if (flags.has("dry-run")) return report(context, action, tried);
  const plan = [`${countOf(tried.jobs.length, "job")} ${WORDS[action].will}`];
  await confirm(context, plan, `${action} ${countOf(tried.jobs.length, "job")}?`);
  return report(context, action, await send(false));
}

/** After a change the rows are the jobs as they were before it. */
const FORMER_COLUMNS = JOB_COLUMNS.map((column) =>
  column.title === "STATUS" ? { ...column, title: "WAS" } : column,
);

const NOTHING = {
  dryRun: false,
  changed: false,
  logIndex: null,
  term: null,
  jobs: [],
  missing: [],
};

/** Those that are named, or all that the flags describe. Errors: UsageError when neither is said. */
async function jobNames(context: CommandContext, api: NodeApi): Promise<readonly string[]> {
  const { operands, flags } = context;
  const filters = ["status", "level", "tenant"].filter((name) => flags.has(name));
  if (operands.length > 0) {
    if (filters.length > 0) throw new UsageError(`--${filters[0]} is for jobs that are not named`);
    return operands;
  }
  if (!flags.has("status"))
    throw new UsageError("name the jobs, or say which: --status exhausted", "hearth job list");
  const query = new URLSearchParams(filterQuery(context, ["status", "level", "tenant"]));
  query.set("limit", String(NAMES_MAX));
  const path = `/api/v1/jobs?${query}`;
  const { value } = await api.json<JobListAnswer>({ method: "GET", path });
  return value.jobs.map(({ name }) => name);
}

function report(
  { globals, terminal, spec }: CommandContext,
  action: Action,
  answer: ControlAnswer,
): ExitCode {
  const { asOf, dryRun, changed, logIndex, term, jobs, missing }: ControlAnswer & ControlResult =
    answer;
  if (globals.isJson) {
    const fields = { asOf, dryRun, changed, logIndex, term, jobs, missing };
    terminal.out(JSON.stringify({ schema: spec.schema, ...fields }));
    return EXIT.done;
  }
  const count = countOf(jobs.length, "job");
  if (dryRun) terminal.out(`dry run: ${count} ${WORDS[action].will}`);
  else if (changed) terminal.out(`${WORDS[action].done} ${count} at log index ${logIndex}`);
  else terminal.out("nothing changed: the jobs have ended meanwhile");
  const rows = jobs.map((job) => jobRow(job, asOf));
  for (const line of formatTable(dryRun ? JOB_COLUMNS : FORMER_COLUMNS, rows)) terminal.out(line);
  for (const name of missing) terminal.talk(`there is no job ${name}`);
  return EXIT.done;
}
