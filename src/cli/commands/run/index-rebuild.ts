/** `hearth index rebuild`: every block object of the bucket becomes an entry of the index. */
import { formatCount } from "../../../base/index.ts";
import { connect, type HearthClient } from "../../../client/index.ts";
import { type CommandContext, EXIT, type ExitCode } from "../../command.ts";
import { Progress } from "../../progress.ts";
import { assertNotEmpty, openBucket } from "../../reconcile/bucket.ts";
import { countBlockObjects } from "../../reconcile/count.ts";
import { type RebuildProblem, rebuildIndex, type RebuildTotals } from "../../reconcile/rebuild.ts";
import { websocketAddress } from "../../websocket-address.ts";

/** Problems that are named; all are counted. */
const PROBLEMS_MAX = 10_000;

export async function run(context: CommandContext): Promise<ExitCode> {
  const { flags, signal } = context;
  const isDryRun = flags.has("dry-run");
  const store = await openBucket(context);
  await assertNotEmpty(store, signal);
  const client = isDryRun ? null : await connectTo(context);
  const problems: RebuildProblem[] = [];
  try {
    const total = await countBlockObjects(store, signal);
    const progress = new Progress({ title: "reading objects", unit: "objects", total }, context);
    const totals = await rebuildIndex(
      { isDryRun, signal },
      {
        store,
        client,
        onProgress: ({ objects }) => progress.update(objects),
        onProblem: (problem) => {
          if (problems.length < PROBLEMS_MAX) problems.push(problem);
        },
      },
    );
    progress.end();
    return report(context, totals, problems);
  } finally {
    await client?.close();
    await store.close();
  }
}

async function connectTo(context: CommandContext): Promise<HearthClient> {
  const { timeoutMs } = context.globals;
  return connect({
    endpoints: [await websocketAddress(context)],
    name: "hearth-index-rebuild",
    role: "tool",
    connectTimeoutMs: timeoutMs,
    defaultTimeoutMs: timeoutMs,
  });
}

function report(
  { flags, globals, spec, terminal }: CommandContext,
  totals: RebuildTotals,
  problems: readonly RebuildProblem[],
): ExitCode {
  const dryRun = flags.has("dry-run");
  const { objects, blocks } = totals;
  const left = Object.values(totals.problems).reduce((sum, count) => sum + count, 0);
  const exit = left === 0 ? EXIT.done : EXIT.bad;
  if (globals.isJson) {
    const fields = { dryRun, objects, blocks, left, problemCounts: totals.problems, problems };
    terminal.out(JSON.stringify({ schema: spec.schema, ...fields }));
    return exit;
  }
  for (const { key, problem } of problems) terminal.talk(`${key}: ${problem}`);
  const verb = dryRun ? "dry run: would add" : "added";
  terminal.out(`${verb} ${formatCount(blocks)} blocks from ${formatCount(objects)} objects`);
  const reasons = Object.entries(totals.problems).map(
    ([reason, count]) => `${formatCount(count)} ${reason}`,
  );
  if (left > 0) terminal.talk(`${formatCount(left)} left out: ${reasons.join(", ")}`);
  return exit;
}
