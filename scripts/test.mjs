/**
 * `npm test`: every test file in a process of its own, quick ones first, two at a time.
 *
 * `npm test -- log raft/election` runs the files whose path contains one of the words; `--quick` leaves out the files
 * that work for minutes.
 * Our own runner instead of `node --test`, because its options differ between Node.js 20, 22 and 24, and because a
 * long file must show that it is alive and has to end at a limit.
 */

import { spawn } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ensureReady } from "./lib/ensure.mjs";
import { fail, inRoot, ROOT, say } from "./lib/project.mjs";

/** Files matching this run after all others: they work for minutes, and a quick failure should come first. */
const SLOW = /(^|\/)(model|crash)\/|(crash|fuzz|soak|slow)[^/]*\.test\.ts$/;

/** Two cores are what CI has; a slow file may start a server of its own beside its load. */
const CONCURRENCY = 2;

/**
 * A file past its limit hangs: on two cores a quick one works for less than 70 s, a slow one for less than five minutes.
 * A busy machine may take several times as long.
 */
const FILE_LIMIT_MS = { quick: 600_000, slow: 1_200_000 };

/** A running file says so this often. */
const HEARTBEAT_MS = 30_000;

function findTests(folder = "test") {
  const found = [];
  for (const item of readdirSync(inRoot(folder), { withFileTypes: true })) {
    const path = `${folder}/${item.name}`;
    if (item.isDirectory()) found.push(...findTests(path));
    else if (item.name.endsWith(".test.ts")) found.push(path);
  }
  return found.sort();
}

/**
 * Runs one file; `lane` tells apart those under way at the same time. Result: counts from its TAP summary, and the text
 * to print when it failed.
 */
function runFile(path, scratch, lane) {
  const kind = SLOW.test(path) ? "slow" : "quick";
  const reportPath = join(scratch, path.replaceAll("/", "-"));
  const startedAtMs = Date.now();
  const child = spawn(
    process.execPath,
    [
      "--enable-source-maps",
      "--test-reporter=tap",
      "--test-reporter-destination=stdout",
      "--test-reporter=spec",
      `--test-reporter-destination=${reportPath}`,
      inRoot("dist", path.replace(/\.ts$/, ".js")),
    ],
    // A group of its own, so that servers started by a hanging test end with it.
    {
      cwd: ROOT,
      detached: true,
      env: { ...process.env, TEST_LANE: String(lane) },
      stdio: ["ignore", "pipe", "pipe"],
    },
  );
  return new Promise((resolve) => {
    let tap = "";
    let errors = "";
    let isOverLimit = false;
    child.stdout.on("data", (chunk) => (tap += chunk));
    child.stderr.on("data", (chunk) => (errors = (errors + chunk).slice(-20_000)));
    const heartbeat = setInterval(
      () => say(`  ...   ${path} ${seconds(startedAtMs)}`),
      HEARTBEAT_MS,
    );
    const limit = setTimeout(() => {
      isOverLimit = true;
      endGroup(child.pid);
    }, FILE_LIMIT_MS[kind]);
    child.on("close", (code, signal) => {
      clearInterval(heartbeat);
      clearTimeout(limit);
      endGroup(child.pid);
      const counts = readCounts(tap);
      // A file that ends before its tests did reports no failure: the status decides.
      const isPassed = code === 0 && counts.fail === 0 && counts.pass + counts.skipped > 0;
      const ending = isOverLimit
        ? `killed after ${FILE_LIMIT_MS[kind] / 1000} s`
        : `status ${signal ?? code}`;
      const report = isPassed ? "" : `${readReport(reportPath)}\n${errors}\n${path}: ${ending}`;
      resolve({ path, isPassed, counts, startedAtMs, report });
    });
  });
}

function endGroup(pid) {
  try {
    process.kill(-pid, "SIGKILL");
  } catch {
    // No member of the group is left: the usual case.
  }
}

function readCounts(tap) {
  const count = (name) => Number(tap.match(new RegExp(`^# ${name} (\\d+)$`, "m"))?.[1] ?? 0);
  return {
    pass: count("pass"),
    fail: count("fail") + count("cancelled"),
    // Of a skipped suite the summary counts nothing.
    skipped: Math.max(count("skipped"), tap.match(/^ok \d+ .*# SKIP/gm)?.length ?? 0),
  };
}

function readReport(path) {
  try {
    const text = readFileSync(path, "utf8");
    const start = text.indexOf("failing tests:");
    return start < 0 ? text.slice(-8_000) : text.slice(start);
  } catch {
    return "";
  }
}

function seconds(startedAtMs) {
  return `${((Date.now() - startedAtMs) / 1000).toFixed(1)} s`;
}

async function runAll(paths) {
  const scratch = mkdtempSync(join(tmpdir(), "hearth-test-"));
  const waiting = [
    ...paths.filter((path) => !SLOW.test(path)),
    ...paths.filter((path) => SLOW.test(path)),
  ];
  const results = [];
  const work = async (lane) => {
    for (let path = waiting.shift(); path !== undefined; path = waiting.shift()) {
      const result = await runFile(path, scratch, lane);
      results.push(result);
      const { pass, fail: failed, skipped } = result.counts;
      const rest = `${failed > 0 ? `, ${failed} failed` : ""}${skipped > 0 ? `, ${skipped} skipped` : ""}`;
      const word = result.isPassed ? "ok  " : "FAIL";
      say(
        `  ${word}  ${path}  ${pass} passed${rest}  ${seconds(result.startedAtMs)}  [${results.length}/${paths.length}]`,
      );
      if (!result.isPassed) say(result.report);
    }
  };
  await Promise.all(Array.from({ length: CONCURRENCY }, (_, lane) => work(lane)));
  rmSync(scratch, { recursive: true, force: true });
  return results;
}

async function main(args) {
  await ensureReady();
  const isQuick = args.includes("--quick");
  const patterns = args.filter((arg) => !arg.startsWith("--"));
  const paths = findTests()
    .filter((path) => !(isQuick && SLOW.test(path)))
    .filter((path) => patterns.length === 0 || patterns.some((pattern) => path.includes(pattern)));
  if (paths.length === 0) throw new Error(`No test file matches ${patterns.join(" or ")}`);
  const startedAtMs = Date.now();
  say(`${paths.length} test files on Node.js ${process.versions.node}`);
  const results = await runAll(paths);
  const failed = results.filter((result) => !result.isPassed);
  const sum = (name) => results.reduce((total, result) => total + result.counts[name], 0);
  for (const { path } of failed) say(`  FAIL  ${path}`);
  say(`${results.length} files in ${seconds(startedAtMs)}`);
  // A crashed file has no failed test of its own but must not read as success.
  const failedCount = Math.max(sum("fail"), failed.length);
  process.stdout.write(`${sum("pass")} passed, ${failedCount} failed\n`);
  process.exitCode = failed.length === 0 ? 0 : 1;
}

main(process.argv.slice(2)).catch(fail);
