/** Ready-made subjects: a synchronous call in a loop, and asynchronous calls with a fixed number in flight. */

import type { Sample, Subject } from "./types.ts";

/** Calls between two looks at the clock are chosen so that a look costs nothing beside them. */
const BATCH_MIN_US = 200;
const LATENCIES_MAX = 1 << 20;

export interface RepeatOptions {
  /** Operations that one call stands for: blocks in a batch, datasets in an entry. Default 1. */
  readonly operationsPerCall?: number;
  /** Also measure each call (adds about 0.1 us to it). */
  readonly hasLatencies?: boolean;
}

/**
 * A synchronous piece of work, called in a loop until the target time has passed.
 *
 * The first sample warms up and finds how many calls fit between two looks at the clock. `work` must have an effect
 * the compiler cannot remove: return something that depends on all of it.
 */
export function repeat(name: string, work: () => unknown, options: RepeatOptions = {}): Subject {
  const operationsPerCall = options.operationsPerCall ?? 1;
  let callsPerBatch = 0;
  return {
    name,
    sample(targetMs) {
      if (callsPerBatch === 0) callsPerBatch = calibrate(work, targetMs);
      if (options.hasLatencies === true) return sampleLatencies(work, targetMs, operationsPerCall);
      const cpu = process.cpuUsage();
      const startedAtMs = performance.now();
      let calls = 0;
      let wallMs = 0;
      do {
        for (let i = 0; i < callsPerBatch; i++) keep(work());
        calls += callsPerBatch;
        wallMs = performance.now() - startedAtMs;
      } while (wallMs < targetMs);
      return { operations: calls * operationsPerCall, wallMs, cpuMs: cpuSinceMs(cpu) };
    },
  };
}

/** Asynchronous work: calls back once, with one or the other. */
export type Call = (done: () => void, failed: (error: unknown) => void) => void;

/** Asynchronous calls, `inFlight` at any time. */
export function repeatAsync(
  name: string,
  work: () => Promise<unknown>,
  options: RepeatOptions & { readonly inFlight?: number } = {},
): Subject {
  return repeatCalls(name, (done, failed) => void work().then(done, failed), options);
}

/**
 * The same for work that calls back: a promise and a suspended function per call would be a tenth of what the cheapest work takes.
 * Calls that end together are followed by their next ones together, when the turn in which they ended is over.
 */
export function repeatCalls(
  name: string,
  work: Call,
  options: RepeatOptions & { readonly inFlight?: number } = {},
): Subject {
  const operationsPerCall = options.operationsPerCall ?? 1;
  return {
    name,
    async sample(targetMs) {
      const cpu = process.cpuUsage();
      const startedAtMs = performance.now();
      const latencies: number[] = [];
      const calls = await runLanes(lanesOf(options.inFlight ?? 1, work), {
        goesOn: (_, nowMs) => nowMs - startedAtMs < targetMs,
        latencies: options.hasLatencies === true ? latencies : null,
      });
      const sample: Sample = {
        operations: Math.max(1, calls) * operationsPerCall,
        wallMs: performance.now() - startedAtMs,
        cpuMs: cpuSinceMs(cpu),
        latenciesUs: options.hasLatencies === true ? Float64Array.from(latencies) : undefined,
      };
      return sample;
    },
  };
}

interface LaneRules {
  /** Whether a lane begins another call, after so many of all lanes have ended. */
  readonly goesOn: (calls: number, nowMs: number) => boolean;
  /** Gets what each call took, us. */
  readonly latencies: number[] | null;
}

/** As many lanes of the same work. */
export function lanesOf(count: number, work: Call): readonly Call[] {
  return Array.from({ length: count }, () => work);
}

/** Calls by lanes, each one at a time. Resolves with how many there were when all lanes are done; rejects when one fails. */
export function runLanes(
  lanes: readonly Call[],
  { goesOn, latencies }: LaneRules,
): Promise<number> {
  return new Promise((resolve, reject) => {
    let calls = 0;
    let running = lanes.length;
    let hasFailed = false;
    let waiting: (() => void)[] = [];
    const fail = (error: unknown): void => {
      hasFailed = true;
      reject(error);
    };
    const beginWaiting = (): void => {
      const begins = waiting;
      waiting = [];
      for (const begin of begins) begin();
    };
    const startLane = (work: Call): void => {
      let begunAtMs = performance.now();
      const begin = (): void => {
        try {
          work(done, fail);
        } catch (error) {
          fail(error);
        }
      };
      const done = (): void => {
        calls++;
        const nowMs = performance.now();
        latencies?.push((nowMs - begunAtMs) * 1000);
        begunAtMs = nowMs;
        if (hasFailed || !goesOn(calls, nowMs)) {
          running--;
          if (running === 0) resolve(calls);
          return;
        }
        waiting.push(begin);
        if (waiting.length === 1) queueMicrotask(beginWaiting);
      };
      begin();
    };
    for (const work of lanes) startLane(work);
  });
}

/** Work that is done once per sample and measured as a whole: a restart, a bulk load. */
export function once(name: string, work: () => number | Promise<number>): Subject {
  return {
    name,
    async sample() {
      const cpu = process.cpuUsage();
      const startedAtMs = performance.now();
      const operations = await work();
      return { operations, wallMs: performance.now() - startedAtMs, cpuMs: cpuSinceMs(cpu) };
    },
  };
}

/** A subject that costs what two others cost together, one after the other: "engine + echo". */
export function sumOf(name: string, first: Subject, second: Subject): Subject {
  return {
    name,
    async sample(targetMs) {
      const a = await first.sample(targetMs / 2);
      const b = await second.sample(targetMs / 2);
      return {
        operations: 1,
        wallMs: a.wallMs / a.operations + b.wallMs / b.operations,
        cpuMs: a.cpuMs / a.operations + b.cpuMs / b.operations,
      };
    },
  };
}

/** CPU time of this process, all threads, since a `process.cpuUsage()`. */
export function cpuSinceMs(before: NodeJS.CpuUsage): number {
  const used = process.cpuUsage(before);
  return (used.user + used.system) / 1000;
}

let sink: unknown;

/** Makes a result observable, so that the work behind it cannot be optimised away. */
export function keep(value: unknown): void {
  sink = value;
}

/** The last kept value. Exists so that `sink` is read somewhere. */
export function kept(): unknown {
  return sink;
}

function calibrate(work: () => unknown, targetMs: number): number {
  let calls = 0;
  const startedAtMs = performance.now();
  let elapsedMs = 0;
  // Warm until the compiler has had its say: half the target, at least 20 calls.
  while (elapsedMs < targetMs / 2 || calls < 20) {
    keep(work());
    calls++;
    elapsedMs = performance.now() - startedAtMs;
    if (elapsedMs > targetMs * 4) break;
  }
  return Math.max(1, Math.round((calls / elapsedMs) * (BATCH_MIN_US / 1000)));
}

function sampleLatencies(work: () => unknown, targetMs: number, operationsPerCall: number): Sample {
  const latencies: number[] = [];
  const cpu = process.cpuUsage();
  const startedAtMs = performance.now();
  let now = startedAtMs;
  while (now - startedAtMs < targetMs && latencies.length < LATENCIES_MAX) {
    keep(work());
    const after = performance.now();
    latencies.push((after - now) * 1000);
    now = after;
  }
  return {
    operations: latencies.length * operationsPerCall,
    wallMs: now - startedAtMs,
    cpuMs: cpuSinceMs(cpu),
    latenciesUs: Float64Array.from(latencies),
  };
}
