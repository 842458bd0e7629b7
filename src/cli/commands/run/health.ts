/** `hearth health`: the readiness of one node, in the form a script or a monitoring system wants. */
import { type CommandContext, EXIT, type ExitCode, UsageError } from "../../command.ts";
import { UnreachableError } from "../../failure.ts";
import { NodeApi, type NodeAnswer, READY_TEXT } from "../../node-api.ts";

/** Plugins of monitoring systems have exit codes of their own: anything above 3 would read as "unknown". */
const NAGIOS_CRITICAL: ExitCode = 2;
const FORMATS = ["text", "json", "nagios", "prometheus"];

export async function run(context: CommandContext): Promise<ExitCode> {
  const { flags, globals } = context;
  const format = globals.isJson ? "json" : (flags.text("format") ?? "text");
  if (!FORMATS.includes(format)) {
    throw new UsageError(`--format: "${format}" is not one of ${FORMATS.join(", ")}`);
  }
  const path = flags.has("live") ? "/livez" : "/ready";
  try {
    const answer = refuseStrangers(await NodeApi.of(context).ask({ method: "GET", path }));
    const isGood = answer.status === 200;
    print(context, format, { endpoint: answer.endpoint, isGood, text: answer.body.trim() });
    if (isGood) return EXIT.done;
    return format === "nagios" ? NAGIOS_CRITICAL : EXIT.bad;
  } catch (error) {
    // A monitoring system reads its own form also when nobody answers.
    if (!(error instanceof UnreachableError) || format === "text" || format === "json") throw error;
    const endpoint = globals.endpoints[0] ?? "";
    print(context, format, {
      endpoint,
      isGood: false,
      text: error.attempts[0]?.reason ?? error.message,
    });
    return format === "nagios" ? NAGIOS_CRITICAL : EXIT.unreachable;
  }
}

/** A page of some proxy with status 200 is no health. */
function refuseStrangers(answer: NodeAnswer): NodeAnswer {
  if (READY_TEXT.test(answer.body)) return answer;
  const attempt = { endpoint: answer.endpoint, reason: "what answers there is no node of Hearth" };
  const next = "Name the HTTP port of a node: --endpoint http://host:4040";
  throw new UnreachableError("no node answered", [attempt], next);
}

interface HealthAnswer {
  readonly endpoint: string;
  readonly isGood: boolean;
  readonly text: string;
}

function print(context: CommandContext, format: string, answer: HealthAnswer): void {
  const { globals, terminal } = context;
  const { endpoint, isGood, text } = answer;
  switch (format) {
    case "json": {
      const asOf = new Date(context.nowMs()).toISOString();
      terminal.out(
        JSON.stringify({ schema: context.spec.schema, asOf, endpoint, isHealthy: isGood, text }),
      );
      return;
    }
    case "nagios":
      terminal.out(`HEARTH ${isGood ? "OK" : "CRITICAL"} - ${text}`);
      return;
    case "prometheus":
      terminal.out(`hearth_up{endpoint="${endpoint}"} ${isGood ? 1 : 0}`);
      return;
    default:
      if (!globals.isQuiet) terminal.out(text);
  }
}
