/** Runs one killer against what is installed in a workshop, and judges why it failed. */

import { type ChildProcess, spawn } from "node:child_process";
import { join } from "node:path";
import type { Killer } from "./types.ts";
import type { Workshop } from "./workshop.ts";

/** Seeds per child process: doubling keeps both quick kills quick and the start of Node cheap. */
const SEEDS_FIRST_CHUNK = 2;
const SEEDS_CHUNK_MAX = 64;

/** One process per mutant, and no shorter way to the same failure is looked for. */
const SIM_ARGS = ["--no-shrink", "--workers", "1", "--events", "20000"];

/** What became of one killer. */
export type Attempt =
  | {
      readonly isKilled: true;
      readonly by: string;
      readonly reason: string;
      readonly seeds: number;
    }
  | { readonly isKilled: false; readonly because: string };

export interface AttemptOptions {
  readonly firstSeed: number;
  readonly timeoutMs: number;
}

interface Ended {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
  readonly isOverTime: boolean;
}

/** A kill counts only if the same command passes on the original: `control` runs it there. */
export async function attempt(
  workshop: Workshop,
  killer: Killer,
  options: AttemptOptions,
  control: Workshop,
): Promise<Attempt> {
  switch (killer.kind) {
    case "sim":
      return attemptSim(workshop, killer, options, control);
    case "explore":
    case "crashpoints":
      return attemptCommand(workshop, killer, options);
    case "test":
      return attemptTest(workshop, killer, options);
  }
}

/** How a person would start it. */
export function describeKiller(killer: Killer): string {
  switch (killer.kind) {
    case "sim":
    case "explore":
    case "crashpoints":
      return [killer.kind, ...killer.args].join(" ");
    case "test":
      return `test ${killer.file}`;
  }
}

async function attemptSim(
  workshop: Workshop,
  killer: Extract<Killer, { kind: "sim" }>,
  options: AttemptOptions,
  control: Workshop,
): Promise<Attempt> {
  const endsAtMs = Date.now() + options.timeoutMs;
  let seed = options.firstSeed;
  let chunk = SEEDS_FIRST_CHUNK;
  let tried = 0;
  while (tried < killer.seedsMax && Date.now() < endsAtMs) {
    const count = Math.min(chunk, killer.seedsMax - tried);
    const args = [...SIM_ARGS, ...killer.args, "--seeds", String(count), "--seed", String(seed)];
    const ended = await runNode(workshop, ["test/sim/main.ts", ...args], endsAtMs - Date.now());
    if (ended.isOverTime) break;
    if (ended.status !== 0) {
      const failure = readFailure(ended);
      const failingSeed = failure.seed ?? seed;
      if (!killer.expect.test(failure.reason)) {
        return { isKilled: false, because: `failed for another reason: ${failure.reason}` };
      }
      const same = [...SIM_ARGS, ...killer.args, "--seeds", "1", "--seed", String(failingSeed)];
      const original = await runNode(control, ["test/sim/main.ts", ...same], options.timeoutMs);
      if (original.status !== 0) {
        const reason = readFailure(original).reason;
        return { isKilled: false, because: `seed ${failingSeed} fails without it: ${reason}` };
      }
      const seeds = tried + (failingSeed - seed) + 1;
      return { isKilled: true, by: describeKiller(killer), reason: failure.reason, seeds };
    }
    tried += count;
    seed += count;
    chunk = Math.min(2 * chunk, SEEDS_CHUNK_MAX);
  }
  return { isKilled: false, because: `${describeKiller(killer)}: ${tried} seeds passed` };
}

async function attemptCommand(
  workshop: Workshop,
  killer: Extract<Killer, { kind: "explore" | "crashpoints" }>,
  options: AttemptOptions,
): Promise<Attempt> {
  const args = [`test/${killer.kind}/main.ts`, ...killer.args];
  const ended = await runNode(workshop, args, options.timeoutMs);
  const by = describeKiller(killer);
  if (ended.isOverTime) return { isKilled: false, because: `${by}: not finished in time` };
  if (ended.status === 0) return { isKilled: false, because: `${by}: passed` };
  const { reason } = readFailure(ended);
  if (killer.expect.test(reason)) return { isKilled: true, by, reason, seeds: 0 };
  return { isKilled: false, because: `${by} failed for another reason: ${reason}` };
}

async function attemptTest(
  workshop: Workshop,
  killer: Extract<Killer, { kind: "test" }>,
  options: AttemptOptions,
): Promise<Attempt> {
  const pattern = `--test-name-pattern=${killer.expect.source}`;
  // A test that fails leaves timers and files behind.
  const args = ["--test-force-exit", "--test-reporter=tap", pattern, killer.file];
  const ended = await runNode(workshop, args, options.timeoutMs);
  const by = describeKiller(killer);
  if (ended.isOverTime) return { isKilled: false, because: `${by}: not finished in time` };
  const failed = [...ended.stdout.matchAll(/^\s*not ok \d+ - (.*)$/gm)].map((match) => match[1]);
  if (failed.length === 0) {
    const how = ended.status === 0 ? "passed" : `ended with status ${ended.status}`;
    return { isKilled: false, because: `${by}: ${how}` };
  }
  const reason = failed.find((name) => killer.expect.test(name ?? ""));
  if (reason !== undefined) return { isKilled: true, by, reason, seeds: 0 };
  return { isKilled: false, because: `${by} failed in another test: ${failed.join("; ")}` };
}

/** The compiled program of the workshop; the first argument that ends in .ts names it by its source. */
function runNode(workshop: Workshop, args: readonly string[], timeoutMs: number): Promise<Ended> {
  const compiled = args.map((arg) =>
    arg.endsWith(".ts") ? join(workshop.folder, "dist", arg.replace(/\.ts$/, ".js")) : arg,
  );
  const child = spawn(process.execPath, compiled, {
    cwd: workshop.folder,
    stdio: ["ignore", "pipe", "pipe"],
    env: { ...process.env, HEARTH_MUTANT: "1" },
  });
  running.add(child);
  return new Promise((resolve, reject) => {
    let stdout = "";
    let stderr = "";
    let isOverTime = false;
    child.stdout.setEncoding("utf8").on("data", (text: string) => {
      stdout = (stdout + text).slice(-400_000);
    });
    child.stderr.setEncoding("utf8").on("data", (text: string) => {
      stderr = (stderr + text).slice(-20_000);
    });
    const limit = setTimeout(
      () => {
        isOverTime = true;
        child.kill("SIGKILL");
      },
      Math.max(timeoutMs, 1),
    );
    child.on("error", reject);
    child.on("close", (status) => {
      clearTimeout(limit);
      running.delete(child);
      resolve({ status, stdout, stderr, isOverTime });
    });
  });
}

const running = new Set<ChildProcess>();

/** Ends what is still running: an interrupted run leaves nothing behind. */
export function endChildren(): void {
  for (const child of running) child.kill("SIGKILL");
}

/** What the command says about its first violation: the JSON line where there is one, else the end of stderr. */
function readFailure(ended: Ended): { reason: string; seed: number | null } {
  for (const line of ended.stdout.trim().split("\n").reverse()) {
    if (!line.startsWith("{")) continue;
    const found = firstViolation(JSON.parse(line));
    if (found !== null) return found;
  }
  const lines = ended.stderr.trim().split("\n");
  const error = lines.find((line) => /Error/.test(line)) ?? lines.at(-1) ?? "";
  return { reason: `no verdict, status ${ended.status}: ${error.trim()}`, seed: null };
}

/** Reads `firstViolation: { invariant, message, seed }`, the field that all our checking commands print. */
function firstViolation(report: unknown): { reason: string; seed: number | null } | null {
  if (typeof report !== "object" || report === null || !("firstViolation" in report)) return null;
  const violation = report.firstViolation;
  if (typeof violation !== "object" || violation === null) return null;
  const { invariant, message, seed } = violation as Record<string, unknown>;
  const reason = `${String(invariant)}: ${String(message)}`;
  return { reason, seed: typeof seed === "number" ? seed : null };
}
