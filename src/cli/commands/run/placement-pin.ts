/** `hearth placement pin` and `hearth placement unpin`. */
import type { PlacementChange } from "../../../leader/index.ts";
import { askLeader } from "../../leader-api.ts";
import { type CommandContext, EXIT, type ExitCode, UsageError } from "../../command.ts";
import type { NodeRequest } from "../../node-api.ts";
import { changeText } from "../../placement-text.ts";

interface ChangeAnswer {
  readonly action: "pin" | "unpin";
  readonly tenant: string;
  readonly dataset: string;
  readonly dryRun: boolean;
  /** Null: a dry run. */
  readonly changed: boolean | null;
  /** Null: the rule stays as it is, or nothing was measured yet. */
  readonly effect: PlacementChange | null;
}

export async function run(context: CommandContext): Promise<ExitCode> {
  const { globals, terminal, spec } = context;
  const { endpoint, value } = await askLeader<ChangeAnswer>(context, requestOf(context));
  if (globals.isJson) {
    terminal.out(JSON.stringify({ ...value, schema: spec.schema, endpoint }));
    return EXIT.done;
  }
  const { action, tenant, dataset, dryRun, changed, effect } = value;
  const effectText = effect === null ? "the rule stays as it is" : changeText(effect);
  const name = `"${dataset}" of tenant "${tenant}"`;
  if (dryRun) terminal.out(`dry run: would ${action} ${name}: ${effectText}`);
  else if (changed === true) terminal.out(`${action}ned ${name}: ${effectText}`);
  else terminal.out(`${name} is ${action === "pin" ? "pinned so" : "not pinned"} already`);
  return EXIT.done;
}

function requestOf({ spec, operands, flags }: CommandContext): NodeRequest {
  const [tenant = "", dataset = ""] = operands;
  const dryRun = flags.has("dry-run");
  if (spec.path[1] === "unpin") {
    const query = new URLSearchParams({ tenant, dataset, dryRun: String(dryRun) });
    return { method: "DELETE", path: `/api/v1/placement/pins?${query.toString()}` };
  }
  const written = flags.text("shards") ?? "";
  if (!/^\d{1,9}$/.test(written))
    throw new UsageError("--shards is a whole number, at least 1", "hearth help placement pin");
  const loadBalancing = flags.text("load-balancing") ?? "";
  const body = { tenant, dataset, shards: Number(written), loadBalancing, dryRun };
  return { method: "POST", path: "/api/v1/placement/pins", body: JSON.stringify(body) };
}
