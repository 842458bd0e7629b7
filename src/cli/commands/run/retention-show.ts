/** `hearth retention show`: periods, grace, and how passes on the asked node went. */
import { formatDurationSetting } from "../../../base/index.ts";
import { type CommandContext, EXIT, type ExitCode } from "../../command.ts";
import { NodeApi } from "../../node-api.ts";
import { formatTable } from "../../table.ts";
import { formatTime } from "../../times.ts";

interface RetentionAnswer {
  readonly schema: string;
  readonly askedNode: string;
  readonly intervalMs: number;
  readonly graceMs: number;
  readonly shardsPerPassMax: number;
  readonly defaultPeriodMs: number;
  readonly overrides: readonly { readonly tenant: string; readonly periodMs: number }[];
  readonly problems: readonly string[];
  readonly activity: {
    readonly isActive: boolean;
    readonly lastStartedAtMs: number | null;
    readonly lastOutcome: string | null;
    readonly lastText: string;
    readonly nextAtMs: number | null;
  };
}

export async function run(context: CommandContext): Promise<ExitCode> {
  const { globals, terminal } = context;
  const request = { method: "GET", path: "/api/v1/retention" } as const;
  const { endpoint, value } = await NodeApi.of(context).json<RetentionAnswer>(request);
  if (globals.isJson) {
    terminal.out(JSON.stringify({ ...value, endpoint }));
    return EXIT.done;
  }
  const isEver = value.defaultPeriodMs === 0;
  terminal.out(`data is kept ${isEver ? "" : "for "}${periodText(value.defaultPeriodMs)}`);
  if (value.intervalMs === 0) terminal.out("passes are switched off: nothing is ever removed");
  else {
    const every = formatDurationSetting(value.intervalMs);
    const grace = formatDurationSetting(value.graceMs);
    terminal.out(
      `a pass every ${every}, grace ${grace}, ${value.shardsPerPassMax} shards per pass`,
    );
  }
  for (const line of activityLines(value)) terminal.out(line);
  for (const problem of value.problems) terminal.out(`! ${problem}`);
  if (value.problems.length > 0) terminal.out("! so periods are those of the file before");
  if (value.overrides.length === 0) return EXIT.done;
  const columns = [
    { title: "TENANT", align: "left" },
    { title: "PERIOD", align: "right" },
  ] as const;
  const rows = value.overrides.map(({ tenant, periodMs }) => [tenant, periodText(periodMs)]);
  for (const line of formatTable(columns, rows)) terminal.out(line);
  return EXIT.done;
}

function activityLines({ activity, askedNode }: RetentionAnswer): string[] {
  const { lastStartedAtMs, lastOutcome, lastText, nextAtMs, isActive } = activity;
  const lines: string[] = [];
  if (!isActive) lines.push(`${askedNode} does not lead: passes are made by the leader`);
  if (lastStartedAtMs !== null)
    lines.push(`last pass here ${formatTime(lastStartedAtMs)}, ${lastOutcome ?? "?"}: ${lastText}`);
  if (nextAtMs !== null) lines.push(`next pass ${formatTime(nextAtMs)}`);
  return lines;
}

/** Periods are thought of in days. */
function periodText(ms: number): string {
  if (ms === 0) return "for ever";
  return ms % DAY_MS === 0 ? `${ms / DAY_MS}d` : formatDurationSetting(ms);
}

const DAY_MS = 86_400_000;
