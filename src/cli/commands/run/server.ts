/** `hearth server`, or `hearth -flag=value ...`: configuration, then the node, then signals until it stops. */
import { giveHeapRoom, HearthError, type Logger } from "../../../base/index.ts";
import type { FileTree } from "../../../files/index.ts";
import { formatProblems, type LoadResult, loadConfig } from "../../../config/index.ts";
import { type CommandContext, EXIT, type ExitCode, type Terminal } from "../../command.ts";
import { reportFailure } from "../../failure.ts";
import { programTitle, programVersion } from "../../program.ts";
import type { LineLogger } from "../../server/logging.ts";

/** What a server needs of its command line. */
export type ServerContext = Pick<
  CommandContext,
  "environment" | "serverArguments" | "terminal" | "nowMs"
>;

/** `disk`: a test's own under the log, in the place of the real one. */
export async function run(context: ServerContext, disk?: FileTree): Promise<ExitCode> {
  const { environment, serverArguments, terminal } = context;
  const loaded = loadConfig({ argv: serverArguments, environment });
  const answered = await answerQuestions(loaded, terminal);
  if (answered) return EXIT.done;
  const hasWarnings = loaded.problems.length > 0;
  if (loaded.config === null) {
    for (const line of formatProblems(loaded)) terminal.talk(line);
    return EXIT.misuse;
  }
  const { LineLogger: Lines } = await import("../../server/logging.ts");
  const logger = Lines.create(loaded.config.logger, {
    write: (line) => void process.stderr.write(line),
    nowMs: context.nowMs,
  });
  if (hasWarnings)
    for (const { place, message } of loaded.problems) logger.warn(message, { place });
  sayAccepted(loaded, logger);
  const code = await serve(loaded, { logger, terminal, disk });
  logger.flush();
  return code;
}

/** `-help`, `-help-all`, `-version`: as in the reference, on stdout, and nothing starts. */
async function answerQuestions(loaded: LoadResult, terminal: Terminal): Promise<boolean> {
  const question = loaded.asks[0];
  if (question === undefined) return false;
  if (question === "version") {
    terminal.out(programTitle());
    return true;
  }
  const { serverHelp } = await import("../../reference/settings-help.ts");
  terminal.out(serverHelp(question));
  return true;
}

/** Names of other components in a shared file, and settings without a function here: listed once. */
function sayAccepted({ foreign, unused }: LoadResult, logger: Logger): void {
  if (foreign.length > 0)
    logger.info("settings of other components ignored", { names: foreign.join(" ") });
  if (unused.length > 0)
    logger.info("settings without a function in this version", { names: unused.join(" ") });
}

/** Runs until a signal or a failure; the exit code says which. */
async function serve(
  loaded: LoadResult,
  {
    logger,
    terminal,
    disk,
  }: { logger: LineLogger; terminal: Terminal; disk: FileTree | undefined },
): Promise<ExitCode> {
  const [{ HearthNode }, { METRIC_CATALOG, MetricRegistry }, { bannerLines }, { NodeLimits }] =
    await Promise.all([
      import("../../server/node.ts"),
      import("../../../metrics/index.ts"),
      import("../../server/banner.ts"),
      import("../../server/runtime.ts"),
    ]);
  const { config } = loaded;
  if (config === null) return EXIT.misuse;
  giveHeapRoom();
  const ending = new Ending(logger);
  const metrics = new MetricRegistry(
    { hasDefaultMetrics: true },
    { specs: METRIC_CATALOG, logger },
  );
  const version = programVersion();
  logger.info("hearth is starting", { version, node: process.version, pid: process.pid });
  const runtime = new NodeLimits(config, { loaded, logger: logger.child("limits"), metrics });
  const node = new HearthNode(config, {
    logger,
    metrics,
    loaded,
    limits: runtime.limits,
    version,
    ...(disk === undefined ? {} : { files: disk }),
    onFatal: (error) => ending.fatal(error),
  });
  node.start().then(
    () => {
      if (terminal.isTalkTty)
        for (const line of bannerLines(config, node.state, node.addresses.grpc))
          terminal.talk(line);
    },
    (error: unknown) => ending.failedStart(error),
  );
  const end = await ending.wait();
  const { delayMs, timeoutMs } = config.shutdown;
  if (end.isOrderly && delayMs > 0) await delay(delayMs);
  runtime.limits.stop();
  // After a failure nothing that is left can be trusted, but threads at work would crash the process on its way out.
  const stopped = end.isOrderly ? node.stop() : node.endThreads();
  const isInTime = await Promise.race([
    stopped.then(() => true),
    delay(timeoutMs).then(() => false),
  ]);
  // A person looks at the last line; the steps of the stop stand behind the reason.
  if (terminal.isTalkTty && ending.startFailure !== null) {
    logger.flush();
    reportFailure(ending.startFailure, false, terminal);
  }
  // What failed on the way down counts: nothing was acknowledged that is not durable, but not everything became so.
  const code = ending.fatalCode ?? end.code;
  if (isInTime) return code;
  logger.error("stop took too long; ending anyway", { limitMs: timeoutMs });
  return code === EXIT.done ? EXIT.failed : code;
}

function delay(durationMs: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, durationMs).unref();
  });
}

interface End {
  readonly code: ExitCode;
  readonly isOrderly: boolean;
}

/** One Ctrl-C under npm arrives two or three times, from the terminal and from each parent that passes it on. */
const ECHO_MS = 1_000;

/** Why the server ends: the first reason counts. A second signal ends the process at once. */
class Ending {
  readonly #logger: Logger;
  readonly #end: Promise<End>;
  #resolve: (end: End) => void = () => {};
  #startFailure: Error | null = null;
  #signalledAtMs: number | null = null;
  #fatalCode: ExitCode | null = null;

  constructor(logger: Logger) {
    this.#logger = logger;
    this.#end = new Promise((resolve) => {
      this.#resolve = resolve;
    });
    for (const signal of ["SIGTERM", "SIGINT"] as const)
      process.on(signal, () => this.#signalled(signal));
    // A bug: what is in memory cannot be trusted any more, and the log brings everything back.
    process.on("uncaughtException", (error) => this.#bug(error));
  }

  get startFailure(): Error | null {
    return this.#startFailure;
  }

  /** Of the failure after which the node could not go on, also when the end had another reason; null: none. */
  get fatalCode(): ExitCode | null {
    return this.#fatalCode;
  }

  wait(): Promise<End> {
    return this.#end;
  }

  fatal(error: HearthError): void {
    const code = error.reason === "log_write_failed" ? EXIT.durableWriteFailed : EXIT.failed;
    this.#logger.error("node cannot go on", {
      reason: error.reason,
      error: error.message,
      next: error.next,
      exit: code,
    });
    this.#fatalCode ??= code;
    this.#resolve({ code, isOrderly: false });
  }

  failedStart(error: unknown): void {
    // Then it did not fail: it was given up, and the stop is under way.
    if (this.#signalledAtMs !== null) return;
    const failure = error instanceof Error ? error : new Error(String(error));
    const next = failure instanceof HearthError ? failure.next : null;
    this.#logger.error("start failed", { error: failure.message, next });
    this.#startFailure = failure;
    this.#resolve({ code: EXIT.failed, isOrderly: true });
  }

  #bug(error: Error): void {
    this.#logger.error("uncaught error", { error: error.stack ?? error.message });
    this.#resolve({ code: EXIT.failed, isOrderly: false });
  }

  #signalled(signal: NodeJS.Signals): void {
    const nowMs = performance.now();
    if (this.#signalledAtMs !== null) {
      if (nowMs - this.#signalledAtMs > ECHO_MS) endBy(signal);
      return;
    }
    this.#signalledAtMs = nowMs;
    this.#logger.info("stopping", { signal });
    this.#resolve({ code: EXIT.done, isOrderly: true });
  }
}

/** As if nobody handled the signal: threads at work would crash an exit. The first process of a container is immune. */
function endBy(signal: NodeJS.Signals): void {
  process.removeAllListeners(signal);
  process.kill(process.pid, signal);
  process.exit(EXIT.interrupted);
}
