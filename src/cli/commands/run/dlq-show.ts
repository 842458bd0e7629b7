/** `hearth dlq show`: depth, age, and what came of entries on the asked node. */
import { formatCount, formatDuration } from "../../../base/index.ts";
import { type CommandContext, EXIT, type ExitCode } from "../../command.ts";
import { NodeApi } from "../../node-api.ts";
import { formatTime } from "../../times.ts";

interface DlqAnswer {
  readonly askedNode: string;
  readonly entries: number | null;
  readonly oldestAgeMs: number;
  readonly quarantined: number | null;
  readonly attempts: Readonly<Record<string, number>>;
  readonly activity: {
    readonly isActive: boolean;
    readonly lastStartedAtMs: number | null;
    readonly lastText: string;
  };
}

export async function run(context: CommandContext): Promise<ExitCode> {
  const { globals, terminal } = context;
  const request = { method: "GET", path: "/api/v1/dlq" } as const;
  const { endpoint, value } = await NodeApi.of(context).json<DlqAnswer>(request);
  if (globals.isJson) {
    terminal.out(JSON.stringify({ ...value, endpoint }));
    return EXIT.done;
  }
  const { entries, oldestAgeMs, quarantined, attempts, activity, askedNode } = value;
  if (!activity.isActive) terminal.out(`${askedNode} does not lead: the leader sweeps`);
  if (entries === null) terminal.out("no sweep has ended on this node yet");
  else {
    const age = entries === 0 ? "" : `, the oldest for ${formatDuration(oldestAgeMs)}`;
    terminal.out(`${formatCount(entries)} dead letters${age}`);
    terminal.out(`${formatCount(quarantined ?? 0)} put aside below dlq-quarantine/`);
  }
  if (activity.lastStartedAtMs !== null)
    terminal.out(`last sweep ${formatTime(activity.lastStartedAtMs)}: ${activity.lastText}`);
  for (const [status, count] of Object.entries(attempts)) {
    if (count > 0) terminal.out(`  ${status} ${formatCount(count)}`);
  }
  return EXIT.done;
}
