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

/** Asynchronous calls, `inFlight` at any time. */
export function repeatAsync(
  name: string,
  work: () => Promise<unknown>,
  options: RepeatOptions & { readonly inFlight?: number } = {},
): Subject {
  const operationsPerCall = options.operationsPerCall ?? 1;
  const inFlight = options.inFlight ?? 1;
  return {
    name,
    async sample(targetMs) {
      const latencies: number[] = [];
      const cpu = process.cpuUsage();
      const startedAtMs = performance.now();
      const endAtMs = startedAtMs + targetMs;
      let calls = 0;
      const lane = async (): Promise<void> => {
        for (let now = performance.now(); now < endAtMs; ) {
          keep(await work());
          const after = performance.now();
          if (options.hasLatencies === true) latencies.push((after - now) * 1000);
          now = after;
          calls++;
        }
      };
      await Promise.all(Array.from({ length: inFlight }, lane));
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
