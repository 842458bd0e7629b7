/**
 * Kills a writing process at random moments, again and again over the same files, and checks after every restart
 * that each acknowledged block is there. Some kills hit recovery and replay, some restarts find no index at all.
 *
 * CRASH_ROUNDS=n sets the number of kills (CI: 200, about half a second each); CRASH_SEED repeats a run's choices,
 * though not its timing.
 */

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { after, test } from "node:test";
import { fileURLToPath } from "node:url";
import { BLOCKS_PER_RUN } from "./blocks.ts";
import { seededRandom } from "../log/support/log-harness.ts";

const ROUNDS = Number(process.env.CRASH_ROUNDS ?? 30);
const SEED = Number(process.env.CRASH_SEED ?? Date.now() % 1_000_000);
const CHILD = fileURLToPath(new URL("./child.js", import.meta.url));
/** A round that takes longer hangs. */
const ROUND_LIMIT_MS = 240_000;

const directory = mkdtempSync(join(tmpdir(), "hearth-crash-"));
after(() => rmSync(directory, { recursive: true, force: true }));

type Range = readonly [first: number, count: number];

interface RoundPlan {
  readonly firstNumber: number;
  readonly seed: number;
  readonly check: readonly Range[];
  /** Kill that long after the start, or after `ready`. Null: not before everything was checked. */
  readonly killAfterMs: { readonly from: "spawn" | "ready"; readonly ms: number } | null;
}

interface RoundResult {
  readonly acked: Range[];
  readonly checkedBlocks: number | null;
  readonly wasReady: boolean;
}

function runRound(plan: RoundPlan): Promise<RoundResult> {
  const checkPath = join(directory, "check.json");
  writeFileSync(checkPath, JSON.stringify(plan.check));
  const args = [
    CHILD,
    join(directory, "data"),
    String(plan.firstNumber),
    String(plan.seed),
    checkPath,
  ];
  const child = spawn(process.execPath, args, { stdio: ["ignore", "pipe", "pipe"] });
  const acked: Range[] = [];
  let checkedBlocks: number | null = null;
  let wasReady = false;
  let trouble = "";
  const kill = (): void => void child.kill("SIGKILL");
  const limit = setTimeout(() => {
    trouble += `no end within ${ROUND_LIMIT_MS} ms\n`;
    kill();
  }, ROUND_LIMIT_MS);
  const { killAfterMs } = plan;
  if (killAfterMs?.from === "spawn") setTimeout(kill, killAfterMs.ms);
  child.stderr.on("data", (text: Buffer) => (trouble += text.toString()));
  createInterface({ input: child.stdout }).on("line", (line) => {
    const [word, first, count] = line.split(" ");
    if (word === "acked") acked.push([Number(first), Number(count)]);
    if (word === "missing") trouble += `acknowledged blocks are missing: ${first}\n`;
    if (word === "checked") checkedBlocks = Number(first);
    if (word === "checked" && killAfterMs === null) kill();
    if (word === "ready") wasReady = true;
    if (word === "ready" && killAfterMs?.from === "ready") setTimeout(kill, killAfterMs.ms);
  });
  return new Promise((resolve, reject) => {
    child.on("close", (code, signal) => {
      clearTimeout(limit);
      if (trouble !== "") reject(new Error(trouble));
      else if (signal !== "SIGKILL")
        reject(new Error(`The process ended by itself with ${code ?? signal}`));
      else resolve({ acked, checkedBlocks, wasReady });
    });
  });
}

test(`${ROUNDS} kills lose no acknowledged block (CRASH_SEED=${SEED})`, async () => {
  const random = seededRandom(SEED);
  const allAcked: Range[] = [];
  let unchecked: Range[] = [];
  let firstNumber = 1;
  const seen = { kills: 0, duringStart: 0, withoutIndex: 0 };
  for (let round = 1; round <= ROUNDS; round++) {
    const isDuringStart = random() < 0.25;
    const killAfterMs = isDuringStart
      ? { from: "spawn" as const, ms: 100 + random() * 300 }
      : { from: "ready" as const, ms: random() * 120 };
    if (random() < 0.04) {
      rmSync(join(directory, "data", "index"), { recursive: true, force: true });
      seen.withoutIndex += 1;
    }
    const seed = Math.floor(random() * 1e9);
    const result = await runRound({ firstNumber, seed, check: unchecked, killAfterMs });
    if (result.checkedBlocks !== null) unchecked = [];
    unchecked.push(...result.acked);
    allAcked.push(...result.acked);
    // What was in flight may be there too: its numbers are not used again.
    if (result.wasReady) firstNumber += BLOCKS_PER_RUN + 10;
    seen.kills += 1;
    if (!result.wasReady) seen.duringStart += 1;
  }
  const last = await runRound({ firstNumber, seed: 1, check: allAcked, killAfterMs: null });
  const total = allAcked.reduce((sum, [, count]) => sum + count, 0);
  assert.equal(last.checkedBlocks, total);
  // A round on a busy machine ends before many writes do.
  assert.ok(total > ROUNDS, `only ${total} blocks were acknowledged over ${ROUNDS} rounds`);
  process.stdout.write(`# ${JSON.stringify({ seed: SEED, acknowledgedBlocks: total, ...seen })}\n`);
});

test("a second process on the same data directory is refused while the first one lives", async () => {
  const data = join(directory, "locked");
  const args = [CHILD, data, "1", "1", "-"];
  const first = spawn(process.execPath, args, { stdio: ["ignore", "pipe", "inherit"] });
  await new Promise((resolve) => first.stdout.once("data", resolve));
  const second = spawn(process.execPath, args, { stdio: ["ignore", "ignore", "pipe"] });
  let said = "";
  second.stderr.on("data", (text: Buffer) => (said += text.toString()));
  const code = await new Promise((resolve) => second.once("close", resolve));
  assert.notEqual(code, 0);
  assert.match(said, new RegExp(`in use by process ${first.pid}`));
  const closed = new Promise((resolve) => first.once("close", resolve));
  first.kill("SIGKILL");
  await closed;
});
