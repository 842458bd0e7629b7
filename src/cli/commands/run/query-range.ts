/** What the two queries share: tenants, a time range, label names; and the body of their request. */
import { type CommandContext, UsageError } from "../../command.ts";
import { parseTime } from "../../times.ts";

/** JSON text of QueryMetadataRequest. Errors: UsageError for a missing tenant, a time that is none, an empty range. */
export function queryBody(context: CommandContext): string {
  const { flags, operands } = context;
  const tenants = flags.list("tenant");
  if (tenants.length === 0) {
    throw new UsageError("--tenant is missing", "hearth tenant list shows who has data");
  }
  const nowMs = context.nowMs();
  const startMs = Math.round(parseTime("from", flags.text("from") ?? "now-1h", nowMs));
  const endMs = Math.round(parseTime("to", flags.text("to") ?? "now", nowMs));
  if (startMs > endMs) {
    const [from, to] = [startMs, endMs].map((atMs) => new Date(atMs).toISOString());
    throw new UsageError(
      `--from (${from}) is after --to (${to})`,
      "Without --from it is an hour ago, without --to now",
    );
  }
  return JSON.stringify({
    tenantId: tenants,
    startTime: String(startMs),
    endTime: String(endMs),
    query: operands[0] ?? "",
    labels: labelNames(context),
  });
}

/** `--labels a,b --labels c` is three names. */
export function labelNames(context: CommandContext): string[] {
  return context.flags
    .list("labels")
    .flatMap((written) => written.split(","))
    .map((name) => name.trim())
    .filter((name) => name !== "");
}
