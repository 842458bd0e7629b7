/** `hearth bench load`: generated blocks through the binary protocol, a bounded number of requests at a time. */
import { setMaxListeners } from "node:events";
import { formatCount, formatDuration, HearthError, toHearthError } from "../../../base/index.ts";
import { connect, type HearthClient } from "../../../client/index.ts";
import { type CommandContext, EXIT, type ExitCode, UsageError } from "../../command.ts";
import { LOAD_DEFAULTS, LoadGenerator } from "../../load/index.ts";
import { NodeApi } from "../../node-api.ts";
import { Progress } from "../../progress.ts";
import { StallWatch } from "../../stall-watch.ts";
import { parseTime } from "../../times.ts";
import { websocketAddress } from "../../websocket-address.ts";

interface Plan {
  readonly generator: LoadGenerator;
  readonly batchCount: number;
  readonly inFlightCount: number;
}

/** A write repeats within this budget while the cluster elects; a load should survive that. */
const CALL_TIMEOUT_MS = 30_000;

export async function run(context: CommandContext): Promise<ExitCode> {
  const plan = readPlan(context);
  const address = await websocketAddress(context);
  await using client = await connect({
    endpoints: [address],
    name: "hearth-bench-load",
    role: "segment-writer",
    connectTimeoutMs: context.globals.timeoutMs,
    defaultTimeoutMs: CALL_TIMEOUT_MS,
    maxInFlight: plan.inFlightCount + 1,
  });
  const loader = new Loader(plan, client, context);
  await loader.run();
  report(context, plan, loader);
  return EXIT.done;
}

function readPlan({ flags, nowMs }: CommandContext): Plan {
  const count = (name: string, whenAbsent: number, most = 1_000_000_000): number => {
    const written = flags.text(name);
    if (written === null) return whenAbsent;
    const value = /^\d+$/.test(written) ? Number(written) : Number.NaN;
    if (value >= 1 && value <= most) return value;
    throw new UsageError(
      `--${name}: "${written}" is not a whole number from 1 to ${formatCount(most)}`,
    );
  };
  const now = nowMs();
  const startAtMs = Math.round(parseTime("from", flags.text("from") ?? "now-1d", now));
  const endAtMs = Math.round(parseTime("to", flags.text("to") ?? "now", now));
  if (endAtMs < startAtMs) throw new UsageError("--to is before --from");
  const generator = new LoadGenerator({
    ...LOAD_DEFAULTS,
    seed: count("seed", LOAD_DEFAULTS.seed, 0xffff_ffff),
    blockCount: count("blocks", LOAD_DEFAULTS.blockCount),
    tenantCount: count("tenants", LOAD_DEFAULTS.tenantCount, 100_000),
    serviceCount: count("services", LOAD_DEFAULTS.serviceCount, 1_000_000),
    startAtMs,
    endAtMs,
  });
  return {
    generator,
    batchCount: count("batch", 1, 10_000),
    inFlightCount: count("in-flight", 64, 65_536),
  };
}

/** Keeps a number of requests open until every block is acknowledged. */
class Loader {
  readonly latenciesMs: Float64Array;
  readonly #plan: Plan;
  readonly #client: HearthClient;
  readonly #context: CommandContext;
  readonly #progress: Progress;
  readonly #stall: StallWatch;
  #next = 0;
  #done = 0;
  #requestCount = 0;
  elapsedMs = 0;

  constructor(plan: Plan, client: HearthClient, context: CommandContext) {
    const { blockCount } = plan.generator.options;
    this.#plan = plan;
    this.#client = client;
    this.#context = context;
    this.#progress = new Progress(
      { title: "adding blocks", unit: "blocks", total: blockCount },
      context,
    );
    this.#stall = new StallWatch({
      api: NodeApi.of(context),
      say: (text) => this.#progress.say(text),
    });
    this.latenciesMs = new Float64Array(Math.ceil(blockCount / plan.batchCount));
  }

  get requestCount(): number {
    return this.#requestCount;
  }

  async run(): Promise<void> {
    const startedAtMs = performance.now();
    // Every open request listens for Ctrl-C; that many listeners are no leak.
    setMaxListeners(0, this.#context.signal);
    this.#stall.start();
    try {
      await Promise.all(Array.from({ length: this.#plan.inFlightCount }, () => this.#lane()));
    } catch (error) {
      throw this.#brokenOff(toHearthError(error));
    } finally {
      this.#stall.stop();
      this.#progress.end();
      this.elapsedMs = performance.now() - startedAtMs;
    }
  }

  /** One request after another; the lanes together keep the pipe full. */
  async #lane(): Promise<void> {
    const { generator, batchCount } = this.#plan;
    const { signal } = this.#context;
    for (;;) {
      const start = this.#next;
      const end = Math.min(start + batchCount, generator.options.blockCount);
      if (start >= end) return;
      this.#next = end;
      const blocks = [...generator.blocks(start, end)];
      const sentAtMs = performance.now();
      await this.#client.addBlocks(blocks, { signal });
      this.latenciesMs[this.#requestCount++] = performance.now() - sentAtMs;
      this.#done += blocks.length;
      this.#progress.update(this.#done);
      this.#stall.moved();
    }
  }

  /** How far it came, and why not further. */
  #brokenOff(error: HearthError): HearthError {
    const { blockCount } = this.#plan.generator.options;
    const count = `Added ${formatCount(this.#done)} of ${formatCount(blockCount)} blocks`;
    const { silence } = this.#stall;
    const { code, reason, leader, next } = error;
    const text = silence === null ? count : `${count}, then ${silence}`;
    return new HearthError(code, `${text}: ${error.message}`, {
      reason,
      leader: leader ?? undefined,
      next: next ?? undefined,
      cause: error,
    });
  }
}

function report({ globals, spec, terminal }: CommandContext, plan: Plan, loader: Loader): void {
  const { blockCount, seed } = plan.generator.options;
  const latenciesMs = loader.latenciesMs.subarray(0, loader.requestCount).sort();
  const at = (share: number): number =>
    latenciesMs[Math.floor((latenciesMs.length - 1) * share)] ?? 0;
  const perSec = (blockCount / loader.elapsedMs) * 1_000;
  const percentiles = { p50Ms: at(0.5), p90Ms: at(0.9), p99Ms: at(0.99), maxMs: at(1) };
  if (globals.isJson) {
    const fields = {
      blocks: blockCount,
      requests: loader.requestCount,
      elapsedMs: loader.elapsedMs,
      blocksPerSec: perSec,
    };
    terminal.out(JSON.stringify({ schema: spec.schema, seed, ...fields, latency: percentiles }));
    return;
  }
  const words = Object.entries(percentiles).map(
    ([name, valueMs]) => `${name.slice(0, -2)} ${formatDuration(valueMs)}`,
  );
  terminal.out(
    `added ${formatCount(blockCount)} blocks in ${formatDuration(loader.elapsedMs)}, ${formatCount(perSec)}/s`,
  );
  terminal.out(
    `request latency  ${words.join("  ")}  (${plan.inFlightCount} in flight, ${plan.batchCount} per request)`,
  );
}
