/** `hearth index verify`: every finding as a line as it is found, sums at the end. */
import { formatCount, parseDuration } from "../../../base/index.ts";
import { connect } from "../../../client/index.ts";
import { type CommandContext, EXIT, type ExitCode, UsageError } from "../../command.ts";
import { NodeApi } from "../../node-api.ts";
import { Progress } from "../../progress.ts";
import { assertNotEmpty, openBucket } from "../../reconcile/bucket.ts";
import { NodeIndexSource } from "../../reconcile/index-source.ts";
import {
  type Finding,
  FINDING_KINDS,
  verifyIndex,
  type VerifyTotals,
} from "../../reconcile/verify.ts";
import { websocketAddress } from "../../websocket-address.ts";

export async function run(context: CommandContext): Promise<ExitCode> {
  const { globals, terminal, flags, signal, nowMs } = context;
  const options = { readsFooters: !flags.has("no-footers"), recentMs: recentOf(context), signal };
  const limit = limitOf(context);
  const store = await openBucket(context);
  await assertNotEmpty(store, signal);
  const { endpoint } = await NodeApi.of(context).json({ method: "GET", path: "/api/v1/status" });
  const api = NodeApi.of(context).at(endpoint);
  const client = await connect({
    endpoints: [await websocketAddress(context)],
    name: "hearth-index-verify",
    role: "tool",
    connectTimeoutMs: globals.timeoutMs,
    defaultTimeoutMs: globals.timeoutMs,
  });
  const findings: Finding[] = [];
  try {
    const index = new NodeIndexSource(api, client, signal);
    const shards = await index.shards();
    const total = shards.reduce((sum, { blocks }) => sum + blocks, 0);
    const progress = new Progress({ title: "comparing", unit: "blocks", total }, context);
    const totals = await verifyIndex(options, {
      store,
      index,
      nowMs,
      onFinding: (finding) => {
        if (findings.length >= limit) return;
        findings.push(finding);
        if (!globals.isJson) terminal.out(lineOf(finding));
      },
      onProgress: ({ entries }) => progress.update(entries),
    });
    progress.end();
    return report(context, totals, findings);
  } finally {
    await client.close();
    await store.close();
  }
}

function report(
  { globals, spec, terminal }: CommandContext,
  totals: VerifyTotals,
  findings: readonly Finding[],
): ExitCode {
  const count = FINDING_KINDS.reduce((sum, kind) => sum + totals.findings[kind], 0);
  if (globals.isJson) {
    const { findings: counts, ...rest } = totals;
    const isTruncated = findings.length < count;
    const fields = { ...rest, counts, isTruncated, findings };
    terminal.out(JSON.stringify({ schema: spec.schema, ...fields }));
  } else if (!globals.isQuiet) {
    for (const line of summary(totals, count, findings.length)) terminal.talk(line);
  }
  return count === 0 ? EXIT.done : EXIT.bad;
}

function summary(totals: VerifyTotals, count: number, shown: number): string[] {
  const { objects, entries, same, awaitingDeletion, recent } = totals;
  const lines = [
    `${formatCount(entries)} entries, ${formatCount(objects)} objects: ${formatCount(same)} the same`,
  ];
  const kinds = FINDING_KINDS.filter((kind) => totals.findings[kind] > 0);
  const counts = kinds.map((kind) => `${formatCount(totals.findings[kind])} ${kind}`);
  lines.push(count === 0 ? "no findings" : counts.join(", "));
  if (shown < count) lines.push(`the first ${formatCount(shown)} findings are named`);
  if (awaitingDeletion > 0)
    lines.push(`${formatCount(awaitingDeletion)} objects were compacted and wait to be deleted`);
  if (recent > 0) lines.push(`${formatCount(recent)} objects are too young to be judged`);
  return lines;
}

function lineOf({ kind, key, problem }: Finding): string {
  return problem === "" ? `${kind}  ${key}` : `${kind}  ${key}  ${problem}`;
}

function recentOf({ flags }: CommandContext): number {
  const written = flags.text("recent") ?? "1m";
  const parsed = parseDuration(written);
  if (parsed.ok && parsed.value >= 0) return parsed.value;
  throw new UsageError(`--recent: "${written}" is no duration; write 30s, 1m or 0s`);
}

function limitOf({ flags }: CommandContext): number {
  const written = flags.text("limit") ?? "10000";
  if (/^\d{1,6}$/.test(written)) return Number(written);
  throw new UsageError(`--limit: "${written}" is not a whole number up to 999999`);
}
