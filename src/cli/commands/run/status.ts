/** `hearth status`: one screen of truth. Exit 4 when nodes answer and not all is well. */
import { setTimeout as sleep } from "node:timers/promises";
import { askCluster, type ClusterAnswers } from "../../cluster/answers.ts";
import { buildScreen } from "../../cluster/screen.ts";
import { screenLines } from "../../cluster/screen-text.ts";
import { type CommandContext, EXIT, type ExitCode } from "../../command.ts";
import { reportFailure, UnreachableError } from "../../failure.ts";

const WAIT_INTERVAL_MS = 500;
/** A person sees a change at once, and the nodes do not notice that they are watched. */
const WATCH_INTERVAL_MS = 2_000;

export async function run(context: CommandContext): Promise<ExitCode> {
  const { flags } = context;
  if (flags.has("watch")) return watch(context);
  if (!flags.has("wait")) return show(context, await askCluster(context));
  const answers = await waitUntilReady(context);
  const code = show(context, answers);
  // What was waited for is the node itself: the others may be on their way still.
  return answers.asked.state === "ready" && code === EXIT.bad ? EXIT.done : code;
}

/** Errors: RefusedError when two nodes claim leadership in one term. */
function show(context: CommandContext, answers: ClusterAnswers): ExitCode {
  const { globals, terminal, spec } = context;
  const screen = buildScreen(answers);
  if (globals.isJson) {
    const nodes = [answers.asked, ...answers.others.map(({ status }) => status)];
    terminal.out(JSON.stringify({ schema: spec.schema, ...screen, nodes }));
  } else {
    if (context.flags.has("watch") && terminal.isOutTty) terminal.clear();
    for (const line of screenLines(screen, answers.asked)) terminal.out(line);
  }
  return screen.isHealthy ? EXIT.done : EXIT.bad;
}

/** Until Ctrl-C: a screen, or an object per line. Nodes that do not answer are told, and asked again. */
async function watch(context: CommandContext): Promise<ExitCode> {
  const { terminal, globals, signal } = context;
  for (let round = 0; ; round++) {
    const isText = !globals.isJson && !terminal.isOutTty;
    if (round > 0 && isText) terminal.out("");
    try {
      show(context, await askCluster(context));
    } catch (error) {
      signal.throwIfAborted();
      if (!(error instanceof UnreachableError)) throw error;
      reportFailure(error, globals.isJson, terminal);
    }
    await pause(WATCH_INTERVAL_MS, signal);
  }
}

/** Asks until the node is ready or the time is over; then what was seen last is the answer. */
async function waitUntilReady(context: CommandContext): Promise<ClusterAnswers> {
  const deadlineAtMs = performance.now() + context.globals.timeoutMs;
  for (;;) {
    const last = await askCluster(context).catch((error: unknown) => {
      if (error instanceof UnreachableError) return error;
      throw error;
    });
    const isOver = performance.now() >= deadlineAtMs;
    if (last instanceof UnreachableError) {
      if (isOver) throw last;
    } else if (isOver || last.asked.state === "ready") {
      return last;
    }
    await pause(WAIT_INTERVAL_MS, context.signal);
  }
}

async function pause(durationMs: number, signal: AbortSignal): Promise<void> {
  await sleep(durationMs, undefined, { signal }).catch(() => {});
  signal.throwIfAborted();
}
