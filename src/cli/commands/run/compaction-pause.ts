/** `hearth compaction pause|resume`: levels and tenants for which no jobs are made or handed out. */
import type { CompactionPolicy } from "../../../client/index.ts";
import { type CommandContext, EXIT, type ExitCode, UsageError } from "../../command.ts";
import { levelList, pauseSentence, type PolicyAnswer } from "../../compaction/answers.ts";
import { policyChanges } from "../../compaction/policy-settings.ts";
import { NodeApi } from "../../node-api.ts";
import { formatTable } from "../../table.ts";

export async function run(context: CommandContext): Promise<ExitCode> {
  const { spec, flags } = context;
  const verb = spec.path[1] as "pause" | "resume";
  const levels = levelList(context);
  const tenants = flags.list("tenant");
  const all = flags.has("all");
  const isNothing = levels.length + tenants.length === 0 && !all;
  if (isNothing) {
    const or = verb === "resume" ? ", or --all" : "";
    throw new UsageError(
      `hearth compaction ${verb} needs --level or --tenant${or}`,
      `hearth compaction ${verb} --help shows examples`,
    );
  }
  const dryRun = flags.has("dry-run");
  const body = JSON.stringify({ levels, tenants, ...(verb === "resume" ? { all } : {}), dryRun });
  const path = `/api/v1/compaction/${verb}`;
  const { value } = await NodeApi.of(context).json<PolicyAnswer>({ method: "POST", path, body });
  return reportPolicyChange(context, value);
}

/** What a change of the policy came to; the same for all commands that make one. */
export function reportPolicyChange(
  { globals, terminal, spec }: CommandContext,
  { asOf, dryRun, changed, logIndex, term, before, after }: PolicyAnswer,
): ExitCode {
  if (globals.isJson) {
    const fields = { asOf, dryRun, changed, logIndex, term, before, after };
    terminal.out(JSON.stringify({ schema: spec.schema, ...fields }));
    return EXIT.done;
  }
  const head = dryRun ? "dry run: " : "";
  if (!changed) terminal.out(`${head}nothing to change: it is so already`);
  else if (dryRun) terminal.out("dry run: the policy would be changed");
  else terminal.out(`the policy is changed from log index ${logIndex} on`);
  for (const line of changeTable(before, after)) terminal.out(line);
  terminal.out(pauseSentence(after) ?? "nothing is paused");
  return EXIT.done;
}

const CHANGE_COLUMNS = [
  { title: "SETTING", align: "left" },
  { title: "BEFORE", align: "right" },
  { title: "AFTER", align: "right" },
] as const;

/** Of the first policy of a cluster every setting is new: `policy show` has them. */
function changeTable(before: CompactionPolicy | null, after: CompactionPolicy): string[] {
  const changes = before === null ? [] : policyChanges(before, after);
  if (changes.length === 0) return [];
  const rows = changes.map((change) => [change.name, change.before, change.after]);
  return formatTable(CHANGE_COLUMNS, rows);
}
