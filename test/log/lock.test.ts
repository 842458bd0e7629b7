import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { acquireDirectoryLock } from "../../src/log/index.ts";

const root = mkdtempSync(join(tmpdir(), "hearth-lock-"));
after(() => rmSync(root, { recursive: true, force: true }));

test("a release that fails leaves no claim behind", async () => {
  const directory = join(root, "release");
  const lock = await acquireDirectoryLock(directory);
  // A file cannot take the place of a directory.
  rmSync(join(directory, "lock.1"));
  mkdirSync(join(directory, "lock.1"));
  await assert.rejects(lock.release(), { code: "EISDIR" });
  assert.deepEqual(readdirSync(directory), ["lock.1"]);
});

test("a held directory is refused, a released one is free again", async () => {
  const directory = join(root, "a", "nested");
  const lock = await acquireDirectoryLock(directory);
  await assert.rejects(acquireDirectoryLock(directory), {
    reason: "log_locked",
    message: new RegExp(`${process.pid}`),
  });
  await lock.release();
  await (await acquireDirectoryLock(directory)).release();
});

test("a directory that cannot be used is named", async () => {
  const file = join(root, "a-file");
  writeFileSync(file, "");
  const directory = join(file, "raft");
  await assert.rejects(acquireDirectoryLock(directory), {
    code: "unavailable",
    reason: "log_directory_unusable",
    message: new RegExp(`^Cannot use the data directory "${directory}": ENOTDIR`),
  });
});

test("a lock of a dead process, of another boot or without sense is taken over", async () => {
  const child = spawn(process.execPath, ["-e", ""]);
  await new Promise((resolve) => child.once("exit", resolve));
  const directory = join(root, "b");
  const own = await acquireDirectoryLock(directory);
  const record = JSON.parse(readFileSync(join(directory, "lock.1"), "utf8")) as {
    pid: number;
    startTicks: string;
    bootId: string;
  };
  await own.release();
  const stale = [
    JSON.stringify({ ...record, pid: child.pid }),
    JSON.stringify({ ...record, startTicks: "1" }),
    JSON.stringify({ ...record, bootId: "another" }),
    "no json",
    "",
  ];
  for (const [i, text] of stale.entries()) {
    writeFileSync(join(directory, `lock.${i + 2}`), text);
    const lock = await acquireDirectoryLock(directory);
    assert.deepEqual(readdirSync(directory), [`lock.${i + 3}`], "older ones and claims are gone");
    await lock.release();
    rmSync(join(directory, `lock.${i + 3}`));
  }
});

test("of many that find a dead owner's lock, one gets it", async () => {
  const directory = join(root, "c");
  for (let round = 0; round < 50; round++) {
    const attempts = await Promise.allSettled(
      Array.from({ length: 8 }, () => acquireDirectoryLock(directory)),
    );
    const won = attempts.flatMap((attempt) =>
      attempt.status === "fulfilled" ? [attempt.value] : [],
    );
    assert.equal(won.length, 1, `round ${round}`);
    await won[0]?.release();
  }
});

test("claims that a crash has left are removed by the next holder, those of living processes stay", async () => {
  const gone = spawn(process.execPath, ["-e", ""]);
  await new Promise((resolve) => gone.once("exit", resolve));
  const living = spawn(process.execPath, ["-e", "setInterval(() => {}, 1000)"]);
  try {
    const directory = join(root, "d");
    const first = await acquireDirectoryLock(directory);
    const own = JSON.parse(readFileSync(join(directory, "lock.1"), "utf8")) as LockRecord;
    await first.release();
    const startTicks = startTicksOf(living.pid as number);
    const theirs = { ...own, pid: living.pid, startTicks };
    const claims: [pid: number | undefined, text: string, stays: boolean][] = [
      [gone.pid, JSON.stringify({ ...own, pid: gone.pid }), false],
      [gone.pid, "", false],
      [gone.pid, '{"pid":0}', false],
      [living.pid, JSON.stringify(theirs), true],
      // It may be about to write it, or to let go of a lock.
      [living.pid, "", true],
      [living.pid, '{"pid":0}', true],
      [living.pid, JSON.stringify({ ...theirs, startTicks: "1" }), false],
      [living.pid, JSON.stringify({ ...theirs, bootId: "another" }), false],
      // In a container each process has the id of the one before.
      [process.pid, JSON.stringify({ ...own, startTicks: "1" }), false],
      [process.pid, "", false],
    ];
    const nameOf = (i: number): string => `lock-claim.${claims[i]?.[0]}.00${i}`;
    for (const [i, [, text]] of claims.entries()) writeFileSync(join(directory, nameOf(i)), text);
    writeFileSync(join(directory, "lock-claim.notes"), "a person's");
    const lock = await acquireDirectoryLock(directory);
    const left = readdirSync(directory).filter((name) => name.startsWith("lock-claim."));
    const staying = claims.flatMap(([, , stays], i) => (stays ? [nameOf(i)] : []));
    assert.deepEqual(left.sort(), [...staying, "lock-claim.notes"].sort());
    await lock.release();
  } finally {
    living.kill("SIGKILL");
  }
});

interface LockRecord {
  readonly pid: number;
  readonly startTicks: string;
  readonly bootId: string;
}

function startTicksOf(pid: number): string {
  const text = readFileSync(`/proc/${pid}/stat`, "utf8");
  return text.slice(text.lastIndexOf(")") + 2).split(" ")[19] ?? "";
}
