/** `hearth bench worker`: simulated compaction workers, for as long or as many jobs as they are told. */
import { setMaxListeners } from "node:events";
import { formatCount, formatDuration, parseDuration, TIMER_MAX_MS } from "../../../base/index.ts";
import { connect, type HearthClient } from "../../../client/index.ts";
import { type CommandContext, EXIT, type ExitCode, UsageError } from "../../command.ts";
import { websocketAddress } from "../../websocket-address.ts";
import {
  SimulatedWorker,
  type SimulatedWorkerOptions,
  WORKER_FAULTS,
  type WorkerFault,
  type WorkerStats,
} from "../../worker/index.ts";

interface Plan {
  readonly workerCount: number;
  /** Of the first worker; the others have names and seeds of their own. */
  readonly worker: SimulatedWorkerOptions;
  readonly forMs: number;
  readonly jobsMax: number;
}

const WORKERS_MAX = 64;
const CAPACITY_MAX = 1_024;
const NO_LIMIT = Number.POSITIVE_INFINITY;
const REPORT_INTERVAL_MS = 10_000;
/** Time to finish what is in hand, beyond the work itself. */
const DRAIN_GRACE_MS = 10_000;
const NAME = "hearth-bench-worker";

export async function run(context: CommandContext): Promise<ExitCode> {
  const plan = readPlan(context);
  await using client = await connect({
    endpoints: [await websocketAddress(context)],
    name: NAME,
    role: "compaction-worker",
    connectTimeoutMs: context.globals.timeoutMs,
    // The metadata of a job is read again while the cluster elects.
    defaultTimeoutMs: 30_000,
  });
  const bench = new WorkerBench(plan, client, context);
  await bench.run();
  bench.report();
  return EXIT.done;
}

class WorkerBench {
  readonly #plan: Plan;
  readonly #context: CommandContext;
  readonly #workers: readonly SimulatedWorker[];
  readonly #drain = new AbortController();
  readonly #startedAtMs = performance.now();
  #elapsedMs = 0;

  constructor(plan: Plan, client: HearthClient, context: CommandContext) {
    this.#plan = plan;
    this.#context = context;
    const { worker, workerCount } = plan;
    // Two benches at once, and one that is started again, are other workers than this one.
    const session = Math.floor(context.nowMs()).toString(36);
    this.#workers = Array.from({ length: workerCount }, (_, i) => {
      const own = { ...worker, name: `${NAME}-${session}-${i + 1}`, seed: worker.seed + i };
      return new SimulatedWorker(own, { client, onReported: () => this.#checkJobs() });
    });
  }

  async run(): Promise<void> {
    const { forMs, worker } = this.#plan;
    const { signal } = this.#context;
    setMaxListeners(0, this.#drain.signal, signal);
    const timer = setTimeout(() => this.#drain.abort(), forMs);
    const ticker = setInterval(() => this.#say(), REPORT_INTERVAL_MS);
    const hard = new AbortController();
    this.#drain.signal.addEventListener("abort", () => {
      const limitMs = worker.workMs + DRAIN_GRACE_MS;
      setTimeout(() => hard.abort(), limitMs).unref();
    });
    const stop = { signal: AbortSignal.any([signal, hard.signal]), drain: this.#drain.signal };
    try {
      await Promise.all(this.#workers.map((one) => one.run(stop)));
      signal.throwIfAborted();
    } finally {
      clearTimeout(timer);
      clearInterval(ticker);
      this.#elapsedMs = performance.now() - this.#startedAtMs;
    }
  }

  report(): void {
    const { globals, spec, terminal } = this.#context;
    const stats = this.#total();
    const elapsedMs = Math.round(this.#elapsedMs);
    const jobsPerSec = rate(stats.completed, elapsedMs);
    if (globals.isJson) {
      const { workerCount: workers } = this.#plan;
      terminal.out(
        JSON.stringify({ schema: spec.schema, workers, elapsedMs, jobsPerSec, ...stats }),
      );
      return;
    }
    const { completed, sourceBlocks, newBlocks, tombstones } = stats;
    terminal.out(
      `completed ${formatCount(completed)} jobs in ${formatDuration(elapsedMs)}, ${jobsPerSec.toFixed(1)}/s: ` +
        `${formatCount(sourceBlocks)} blocks became ${formatCount(newBlocks)}, ` +
        `${formatCount(tombstones)} tombstones`,
    );
    terminal.out(troubles(stats));
  }

  #checkJobs(): void {
    if (this.#total().completed >= this.#plan.jobsMax) this.#drain.abort();
  }

  #say(): void {
    if (this.#context.globals.isQuiet) return;
    const elapsedMs = performance.now() - this.#startedAtMs;
    const { completed, taken } = this.#total();
    this.#context.terminal.talk(
      `${formatDuration(Math.round(elapsedMs / 1_000) * 1_000)}  ${formatCount(taken)} jobs taken, ` +
        `${formatCount(completed)} completed, ${rate(completed, elapsedMs).toFixed(1)}/s`,
    );
  }

  #total(): WorkerStats {
    const [first, ...others] = this.#workers.map(({ stats }) => stats);
    const total = { ...(first as WorkerStats) };
    for (const stats of others) {
      for (const name of Object.keys(total) as (keyof WorkerStats)[]) total[name] += stats[name];
    }
    return total;
  }
}

function rate(count: number, elapsedMs: number): number {
  return elapsedMs === 0 ? 0 : Math.round((count / elapsedMs) * 10_000) / 10;
}

function troubles({ taken, empty, failed, lost, crashes, stalls, late }: WorkerStats): string {
  return (
    `of ${formatCount(taken)} taken: ${formatCount(failed)} failed, ${formatCount(lost)} lost, ` +
    `${formatCount(empty)} without sources; ${formatCount(crashes)} crashes, ` +
    `${formatCount(stalls)} stalls, ${formatCount(late)} late`
  );
}

function readPlan({ flags }: CommandContext): Plan {
  const count = (name: string, whenAbsent: number, most: number): number => {
    const written = flags.text(name);
    if (written === null) return whenAbsent;
    const value = /^\d+$/.test(written) ? Number(written) : Number.NaN;
    if (value >= 1 && value <= most) return value;
    throw new UsageError(
      `--${name}: "${written}" is not a whole number from 1 to ${formatCount(most)}`,
    );
  };
  const duration = (name: string): number | null => {
    const written = flags.text(name);
    if (written === null) return null;
    const parsed = parseDuration(written);
    if (!parsed.ok) throw new UsageError(`--${name}: ${parsed.reason}`);
    if (parsed.value >= 0 && parsed.value <= TIMER_MAX_MS) return parsed.value;
    throw new UsageError(`--${name}: ${written} is not from 0 to 24 days`);
  };
  const share = (name: WorkerFault): number => {
    const value = Number(flags.text(name) ?? "0");
    if (value >= 0 && value <= 1) return value;
    throw new UsageError(`--${name}: "${flags.text(name)}" is not a share from 0 to 1`);
  };
  const faults = {
    fail: share("fail"),
    crash: share("crash"),
    stall: share("stall"),
    late: share("late"),
  };
  if (WORKER_FAULTS.reduce((sum, fault) => sum + faults[fault], 0) > 1)
    throw new UsageError("--fail, --crash, --stall and --late are more than 1 together");
  return {
    workerCount: count("workers", 1, WORKERS_MAX),
    worker: {
      name: NAME,
      capacity: count("capacity", 4, CAPACITY_MAX),
      workMs: duration("work") ?? 1_000,
      silenceMs: duration("silence") ?? 20_000,
      faults,
      seed: count("seed", 1, 0x7fff_ffff),
      pollIntervalMs: duration("poll"),
    },
    forMs: duration("for") ?? 60_000,
    jobsMax: count("jobs", NO_LIMIT, 1_000_000_000),
  };
}
