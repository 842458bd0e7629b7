/** `hearth retention run`: a pass now. What would go is shown first. */
import { confirm } from "../../change.ts";
import { type CommandContext, EXIT, type ExitCode } from "../../command.ts";
import { askLeader } from "../../leader-api.ts";
import { NodeApi } from "../../node-api.ts";
import { type ForecastAnswer, forecastLines } from "./retention-forecast.ts";

interface RunAnswer {
  readonly outcome: string;
  readonly text: string;
}

export async function run(context: CommandContext): Promise<ExitCode> {
  const { flags, globals, terminal } = context;
  const forecast = await NodeApi.of(context).json<ForecastAnswer>({
    method: "GET",
    path: "/api/v1/retention/forecast?ahead=1ms",
  });
  const plan = forecastLines(forecast.value);
  if (flags.has("dry-run")) {
    if (globals.isJson) terminal.out(JSON.stringify({ ...forecast.value, dryRun: true }));
    else for (const line of plan) terminal.out(line);
    return EXIT.done;
  }
  await confirm(context, plan, "Remove what is due?");
  const { value } = await askLeader<RunAnswer>(context, {
    method: "POST",
    path: "/api/v1/retention/run",
  });
  terminal.out(globals.isJson ? JSON.stringify(value) : value.text);
  return value.outcome === "failed" ? EXIT.failed : EXIT.done;
}
