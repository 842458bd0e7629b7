/** `hearth snapshot take`: now, on the asked node. */
import type { SnapshotTaken } from "../../../service/index.ts";
import { type CommandContext, EXIT, type ExitCode } from "../../command.ts";
import { NodeApi } from "../../node-api.ts";

/** The node ends in time by itself and says more than silence would. */
const ANSWER_GRACE_MS = 1_000;

export async function run(context: CommandContext): Promise<ExitCode> {
  const { globals, terminal, spec, flags, signal } = context;
  const { endpoints, timeoutMs } = globals;
  const dryRun = flags.has("dry-run");
  const api = new NodeApi({ endpoints, timeoutMs: timeoutMs + ANSWER_GRACE_MS, signal });
  if (!dryRun && !globals.isQuiet && !globals.isJson) terminal.talk("taking a snapshot ...");
  const { endpoint, value } = await api.json<SnapshotTaken & { readonly asOf: string }>({
    method: "POST",
    path: `/api/v1/snapshots?timeout=${timeoutMs}ms`,
    body: JSON.stringify({ dryRun }),
  });
  const { asOf, changed, text, snapshot } = value;
  if (globals.isJson) {
    const fields = { asOf, endpoint, dryRun, changed, text, snapshot };
    terminal.out(JSON.stringify({ schema: spec.schema, ...fields }));
  } else {
    terminal.out(dryRun ? `dry run: ${text}` : text);
  }
  return EXIT.done;
}
