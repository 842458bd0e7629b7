/** `hearth compaction policy show|set|unset`: the policy that all members follow. */
import type { CompactionPolicy } from "../../../client/index.ts";
import { type CommandContext, EXIT, type ExitCode, UsageError } from "../../command.ts";
import { type OverviewAnswer, pauseSentence, type PolicyAnswer } from "../../compaction/answers.ts";
import {
  policyLines,
  setPatch,
  tenantLines,
  unsetPatch,
} from "../../compaction/policy-settings.ts";
import { NodeApi } from "../../node-api.ts";
import { formatTable } from "../../table.ts";
import { reportPolicyChange } from "./compaction-pause.ts";

const EXAMPLES = "hearth compaction policy --help shows examples";

export async function run(context: CommandContext): Promise<ExitCode> {
  const [verb = "show", ...operands] = context.operands;
  const tenant = context.flags.text("tenant");
  switch (verb) {
    case "show":
      if (operands.length > 0) throw new UsageError(`"${operands[0]}" is one argument too many`);
      return show(context, tenant);
    case "set":
      if (operands.length === 0) throw new UsageError("set needs <setting>=<value>", EXAMPLES);
      return change(context, setPatch(operands, tenant));
    case "unset":
      if (operands.length === 0 && tenant === null)
        throw new UsageError("unset needs a setting", EXAMPLES);
      // A tenant without settings named: all that it has of its own.
      return change(
        context,
        operands.length === 0
          ? { tenants: { [tenant ?? ""]: null } }
          : unsetPatch(operands, tenant),
      );
    default:
      throw new UsageError(`"${verb}" is none of show, set, unset`, EXAMPLES);
  }
}

async function show(context: CommandContext, tenant: string | null): Promise<ExitCode> {
  const { globals, terminal } = context;
  const request = { method: "GET", path: "/api/v1/compaction" } as const;
  const { endpoint, value } = await NodeApi.of(context).json<OverviewAnswer>(request);
  const { asOf, policy } = value;
  if (globals.isJson) {
    terminal.out(JSON.stringify({ schema: "hearth/compaction-policy/v1", asOf, endpoint, policy }));
    return EXIT.done;
  }
  if (policy === null) {
    terminal.out("there is no policy yet: the first poll of a worker sets one, and so does set");
    return EXIT.done;
  }
  for (const line of showLines(policy, tenant)) terminal.out(line);
  return EXIT.done;
}

function showLines(policy: CompactionPolicy, tenant: string | null): string[] {
  if (tenant !== null) {
    const own = tenantLines(policy, tenant);
    if (own.length === 0) return [`tenant "${tenant}" has no settings of its own`];
    return tableOf(own);
  }
  const tenants = Object.keys(policy.tenants);
  const paused = pauseSentence(policy);
  return [
    ...tableOf(policyLines(policy)),
    ...(paused === null ? [] : [paused]),
    ...(tenants.length === 0 ? [] : [`settings of their own: ${tenants.join(", ")}`]),
  ];
}

function tableOf(lines: readonly { name: string; value: string; help: string }[]): string[] {
  return formatTable(
    [
      { title: "SETTING", align: "left" },
      { title: "VALUE", align: "right" },
      { title: "MEANING", align: "left" },
    ],
    lines.map(({ name, value, help }) => [name, value, help]),
  );
}

async function change(context: CommandContext, set: object): Promise<ExitCode> {
  const body = JSON.stringify({ set, dryRun: context.flags.has("dry-run") });
  const request = { method: "POST", path: "/api/v1/compaction/policy", body } as const;
  const { value } = await NodeApi.of(context).json<PolicyAnswer>(request);
  return reportPolicyChange(context, value);
}
