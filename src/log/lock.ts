/**
 * One process per data directory: a file that names its owner.
 *
 * The kernel does not hold it (Node has no flock), so a dead owner's lock is taken over. Alive means: a process of
 * that id with that start time, since ids are used again. Processes in different pid namespaces on one volume do not
 * see each other; there the orchestrator has to keep them apart.
 *
 * The file is `lock.<generation>`, and the highest generation counts. Who finds its owner gone claims the next
 * generation, which `link` gives to one process only, and then removes the older ones. The highest file never goes
 * away without a higher one being there, so whoever claims a generation from an outdated view sees the higher one
 * when it looks again. (Taking the dead file away and claiming the same name let two of eight win.)
 *
 * A claim is written aside as `lock-claim.<process>.<random>`, which a crash may leave; the next holder removes it.
 */

import { randomBytes } from "node:crypto";
import { link, mkdir, readdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { HearthError } from "../base/index.ts";
import { type LogErrorReason, unusable } from "./errors.ts";

interface LockRecord {
  readonly pid: number;
  /** Start of the process in clock ticks since boot; "" where the system does not say. */
  readonly startTicks: string;
  readonly bootId: string;
}

export interface DirectoryLock {
  release(): Promise<void>;
}

const LOCK_NAME = /^lock\.(\d+)$/;
const CLAIM_NAME = /^lock-claim\.(\d+)\.[0-9a-f]+$/;
/** Claims of this process that are under way: an earlier one with the same id, as in a container, may have left others. */
const OWN_CLAIMS = new Set<string>();
/** A released lock: a record that names nobody. */
const NOBODY = '{"pid":0}\n';
/** A killed owner may still be inside a last write; the kernel lets go of it in well under this time. */
const DYING_WAIT_MS = 5000;
const DYING_POLL_MS = 20;

/**
 * Takes the directory for this process, creating it when missing. To be done before anything else opens it.
 *
 * Errors: HearthError failed_precondition, reason log_locked, naming the process that holds it; unavailable, reason
 * log_directory_unusable, when nothing can be written there.
 */
export async function acquireDirectoryLock(directory: string): Promise<DirectoryLock> {
  try {
    return await acquire(directory);
  } catch (error) {
    throw error instanceof HearthError ? error : unusable(directory, error, "data directory");
  }
}

async function acquire(directory: string): Promise<DirectoryLock> {
  await mkdir(directory, { recursive: true });
  const own = await ownRecord();
  const deadline = Date.now() + DYING_WAIT_MS;
  for (;;) {
    const [newest = 0] = await generations(directory);
    const state = newest === 0 ? "dead" : await holderState(directory, newest);
    if (state === "dead") {
      if (await tryClaim(directory, newest + 1, own)) return lockOf(directory, newest + 1);
    } else if (state.kind === "alive" || Date.now() > deadline) {
      throw locked(directory, state.pid);
    } else {
      await sleep(DYING_POLL_MS);
    }
  }
}

function lockOf(directory: string, generation: number): DirectoryLock {
  return {
    release: async () => {
      const claim = await writeClaim(directory, NOBODY);
      try {
        await rename(claim, lockPath(directory, generation));
      } finally {
        await removeClaim(claim);
      }
    },
  };
}

function lockPath(directory: string, generation: number): string {
  return join(directory, `lock.${generation}`);
}

/** Highest first. */
async function generations(directory: string): Promise<number[]> {
  const found: number[] = [];
  for (const name of await readdir(directory)) {
    const match = LOCK_NAME.exec(name);
    if (match !== null) found.push(Number(match[1]));
  }
  return found.sort((a, b) => b - a);
}

/** Publishes the whole record or nothing: `link` fails when the name exists. */
async function tryClaim(directory: string, generation: number, own: string): Promise<boolean> {
  const claim = await writeClaim(directory, own);
  try {
    await link(claim, lockPath(directory, generation));
  } catch (error) {
    if (hasCode(error, "EEXIST")) return false;
    throw error;
  } finally {
    await removeClaim(claim);
  }
  const [newest, ...older] = await generations(directory);
  if (newest !== generation) {
    await rm(lockPath(directory, generation), { force: true });
    return false;
  }
  for (const outdated of older) await rm(lockPath(directory, outdated), { force: true });
  await removeStaleClaims(directory);
  return true;
}

async function writeClaim(directory: string, text: string): Promise<string> {
  const path = join(directory, `lock-claim.${process.pid}.${randomBytes(6).toString("hex")}`);
  OWN_CLAIMS.add(path);
  try {
    await writeFile(path, text, { flag: "wx" });
  } catch (error) {
    // On a full disk the name is there without the text, and a node that is started again and again would leave many.
    await removeClaim(path);
    throw error;
  }
  return path;
}

async function removeClaim(path: string): Promise<void> {
  await rm(path, { force: true });
  OWN_CLAIMS.delete(path);
}

/** By the holder, and only what nobody is claiming with: without its file a claim would fail for no reason. */
async function removeStaleClaims(directory: string): Promise<void> {
  for (const name of await readdir(directory)) {
    const pid = Number(CLAIM_NAME.exec(name)?.[1] ?? 0);
    const path = join(directory, name);
    if (pid === 0 || !(await isStaleClaim(path, pid))) continue;
    // It is in nobody's way: no start fails over it.
    await rm(path, { force: true }).catch(() => {});
  }
}

async function isStaleClaim(path: string, pid: number): Promise<boolean> {
  if (pid === process.pid) return !OWN_CLAIMS.has(path);
  const record = parseRecord(await readFile(path, "utf8").catch(() => ""));
  // Not written yet, or of a release: then the name alone says whose it is.
  if (record.pid !== pid) return !isRunning(pid);
  return (await ownerState(record)) === "dead";
}

type HolderState = "dead" | { readonly kind: "alive" | "dying"; readonly pid: number };

async function holderState(directory: string, generation: number): Promise<HolderState> {
  let text: string;
  try {
    text = await readFile(lockPath(directory, generation), "utf8");
  } catch (error) {
    // Somebody claimed the next generation and removed this one: claiming that one will fail.
    if (hasCode(error, "ENOENT")) return "dead";
    throw error;
  }
  const record = parseRecord(text);
  const state = await ownerState(record);
  return state === "dead" ? state : { kind: state, pid: record.pid };
}

/** Text that nobody of us writes names nobody alive. */
function parseRecord(text: string): LockRecord {
  try {
    const parsed = JSON.parse(text) as Partial<LockRecord>;
    return {
      pid: Number(parsed.pid),
      startTicks: String(parsed.startTicks),
      bootId: String(parsed.bootId),
    };
  } catch {
    return { pid: 0, startTicks: "", bootId: "" };
  }
}

async function ownRecord(): Promise<string> {
  const stat = await processStat(process.pid);
  const record: LockRecord = {
    pid: process.pid,
    startTicks: stat?.startTicks ?? "",
    bootId: await bootId(),
  };
  return `${JSON.stringify(record)}\n`;
}

async function ownerState(record: LockRecord): Promise<"alive" | "dying" | "dead"> {
  if (!Number.isSafeInteger(record.pid) || record.pid <= 0) return "dead";
  if (record.bootId !== (await bootId())) return "dead";
  if (record.startTicks === "") return isRunning(record.pid) ? "alive" : "dead";
  const stat = await processStat(record.pid);
  if (stat === null || stat.startTicks !== record.startTicks) return "dead";
  return stat.state === "Z" || stat.state === "X" ? "dying" : "alive";
}

function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return hasCode(error, "EPERM");
  }
}

/** State letter and start time from /proc; null when there is no such process, or no /proc. */
async function processStat(pid: number): Promise<{ state: string; startTicks: string } | null> {
  try {
    const text = await readFile(`/proc/${pid}/stat`, "utf8");
    // The command name, in parentheses, may hold anything; the fields behind it are plain.
    const fields = text.slice(text.lastIndexOf(")") + 2).split(" ");
    return { state: fields[0] ?? "", startTicks: fields[19] ?? "" };
  } catch {
    return null;
  }
}

async function bootId(): Promise<string> {
  try {
    return (await readFile("/proc/sys/kernel/random/boot_id", "utf8")).trim();
  } catch {
    return "";
  }
}

function locked(directory: string, pid: number): HearthError {
  const message = `Data directory ${directory} is in use by process ${pid}`;
  return new HearthError("failed_precondition", message, {
    reason: "log_locked" satisfies LogErrorReason,
    next: "Stop that process, or choose another data directory",
  });
}

function hasCode(error: unknown, code: string): boolean {
  return error instanceof Error && (error as NodeJS.ErrnoException).code === code;
}
