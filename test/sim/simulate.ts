/** One seed from the beginning to the verdict. */

import { AssertionError } from "../../src/base/index.ts";
import { BLIND, checkBlindly } from "./blind-check.ts";
import { Cluster } from "./cluster.ts";
import { OPERATION } from "./commands.ts";
import { Coverage } from "./coverage.ts";
import { HearthSimError, Violation } from "./failure.ts";
import type { HistoryItem } from "./history.ts";
import { LivenessPhase } from "./liveness.ts";
import { Nemesis } from "./nemesis.ts";
import { drawPlan, type PlanOptions } from "./plan.ts";
import { Streams } from "./random.ts";

export const PHASES = ["safety", "liveness", "all"] as const;
export type PhaseChoice = (typeof PHASES)[number];

export interface SimOptions extends PlanOptions {
  /** Events of the safety phase. */
  readonly events: number;
  readonly phase: PhaseChoice;
}

export interface SimResult {
  readonly seed: number;
  readonly events: number;
  readonly traceHash: number;
  /** Processor time of the run, ms: tells the speed also where others use the machine. */
  readonly cpuMs: number;
  readonly coverage: Readonly<Record<string, number>>;
  readonly violation: SimViolation | null;
}

export interface SimViolation {
  readonly invariant: string;
  readonly message: string;
  /** The newest events, oldest first. */
  readonly recent: readonly string[];
}

/** Promises go on at least this often, whatever has happened. */
const TURN_EVERY = 32;
/** One seed in so many is checked blindly, too. */
const BLIND_EVERY = 4;
/** Operations per key that the blind checker looks at. */
const BLIND_ITEMS_MAX = 300;

/** From the last fault to the count of who is healthy, us. */
const SETTLE_US = 50_000;

/** Events before the liveness phase when it alone is wanted. */
const LIVENESS_SHARE = 0.3;

export async function simulate(seed: number, options: SimOptions): Promise<SimResult> {
  const cpuBefore = process.cpuUsage();
  const streams = new Streams(seed);
  const coverage = new Coverage();
  const cluster = new Cluster(drawPlan(streams, options), streams, coverage);
  const run = new Run(cluster);
  let violation: SimViolation | null = null;
  const onRejection = (error: unknown): void => run.note(error);
  process.on("unhandledRejection", onRejection);
  try {
    const nemesis = new Nemesis(cluster);
    cluster.start();
    nemesis.start();
    const share = options.phase === "liveness" ? LIVENESS_SHARE : 1;
    await run.until(() => cluster.loop.events >= options.events * share);
    nemesis.stop();
    if (options.phase !== "safety") {
      // A change of members that was asked for a moment ago must be in a log before anybody counts who is needed.
      const settledUs = cluster.loop.nowUs + SETTLE_US;
      await run.until(() => cluster.loop.nowUs >= settledUs);
      const liveness = new LivenessPhase(cluster);
      if (liveness.begin()) {
        await run.until(() => cluster.loop.nowUs >= liveness.endsAtUs);
        liveness.check();
      }
    }
    if (seed % BLIND_EVERY === 0) checkHistoryBlindly(cluster.history.items, coverage);
  } catch (error) {
    // What fails inside of the driver comes out as the end of a process.
    violation = describe(Violation.first ?? error, cluster);
  } finally {
    process.off("unhandledRejection", onRejection);
  }
  const { events, traceHash } = cluster.loop;
  const { user, system } = process.cpuUsage(cpuBefore);
  const cpuMs = (user + system) / 1000;
  const { counts } = coverage;
  return { seed, events, traceHash: traceHash >>> 0, cpuMs, coverage: counts, violation };
}

class Run {
  readonly #cluster: Cluster;
  #noted: unknown = null;

  constructor(cluster: Cluster) {
    this.#cluster = cluster;
    Violation.first = null;
  }

  /** An error that nobody was there to catch. */
  note(error: unknown): void {
    this.#noted ??= error;
  }

  async until(isOver: () => boolean): Promise<void> {
    const cluster = this.#cluster;
    const { loop } = cluster;
    while (!isOver()) {
      if (!loop.step()) throw new HearthSimError("Nothing happens any more");
      if (loop.hasResolved || loop.events % TURN_EVERY === 0) {
        loop.hasResolved = false;
        await nextTurn();
      }
      cluster.checkEvent();
      // Checks also fail inside of promises of the driver, which catches what is thrown there.
      if (Violation.first !== null) throw Violation.first;
      if (this.#noted !== null) throw this.#noted;
    }
  }
}

/** After everything that promises have to do. */
function nextTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

function describe(error: unknown, { loop }: Cluster): SimViolation {
  if (error instanceof HearthSimError) throw error;
  const isOurs = error instanceof Violation;
  const invariant = isOurs
    ? error.invariant
    : error instanceof AssertionError
      ? "assertion"
      : "exception";
  const message = isOurs
    ? error.message
    : error instanceof Error
      ? (error.stack ?? error.message)
      : String(error);
  return { invariant, message, recent: loop.recentEvents() };
}

function checkHistoryBlindly(items: readonly HistoryItem[], coverage: Coverage): void {
  const byKey = new Map<number, HistoryItem[]>();
  for (const item of items) {
    if (item.operation === OPERATION.increment) continue;
    const slot = item.operation * 256 + item.key;
    const list = byKey.get(slot);
    if (list === undefined) byKey.set(slot, [item]);
    else if (list.length < BLIND_ITEMS_MAX) list.push(item);
  }
  for (const [slot, list] of byKey) {
    const verdict = checkBlindly(closed(list));
    if (verdict === BLIND.violated) {
      throw new Violation("linearizable", `operations on ${slot}: ${JSON.stringify(list)}`);
    }
    if (verdict === BLIND.linearizable) coverage.hit("blindChecked");
  }
}

/** A prefix of a history: what began before its end and was not over then is open. */
function closed(items: readonly HistoryItem[]): HistoryItem[] {
  const endUs = items.at(-1)?.invokedUs ?? 0;
  return items.map((item) => {
    const isOpen = item.returnedUs > endUs;
    return isOpen ? { ...item, returnedUs: Number.POSITIVE_INFINITY } : item;
  });
}
