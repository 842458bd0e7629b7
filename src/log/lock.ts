/**
 * One process per data directory: a file that names its owner.
 *
 * The kernel does not hold it (Node has no flock), so a dead owner's file is taken over. Alive means: a process of
 * that id with that start time, since ids are used again. Processes in different pid namespaces on one volume do not
 * see each other; there the orchestrator has to keep them apart.
 */

import { link, readFile, rename, rm, writeFile } from "node:fs/promises";
import { randomBytes } from "node:crypto";
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { HearthError } from "../base/index.ts";
import type { LogErrorReason } from "./errors.ts";

interface LockRecord {
  readonly pid: number;
  /** Start of the process in clock ticks since boot; "" where the system does not say. */
  readonly startTicks: string;
  readonly bootId: string;
}

export interface DirectoryLock {
  release(): Promise<void>;
}

const LOCK_FILE = "lock";
/** A killed owner may still be inside a last write; the kernel lets go of it in well under this time. */
const DYING_WAIT_MS = 5000;
const DYING_POLL_MS = 20;

/**
 * Takes the directory for this process, creating it when missing. To be done before anything else opens it.
 *
 * Errors: HearthError failed_precondition, reason log_locked, naming the process that holds it.
 */
export async function acquireDirectoryLock(directory: string): Promise<DirectoryLock> {
  mkdirSync(directory, { recursive: true });
  const path = join(directory, LOCK_FILE);
  const own = await ownRecord();
  const deadline = Date.now() + DYING_WAIT_MS;
  while (!(await tryClaim(path, own))) {
    const held = await readRecord(path);
    if (held === null) continue;
    const state = await ownerState(held.record);
    if (state === "dead") {
      await discard(path, held.text);
    } else if (state === "alive" || Date.now() > deadline) {
      throw locked(directory, held.record.pid);
    } else {
      await sleep(DYING_POLL_MS);
    }
  }
  return { release: () => release(path, own) };
}

/** Publishes the whole record or nothing: `link` fails when the name exists. */
async function tryClaim(path: string, own: string): Promise<boolean> {
  const temporary = `${path}.${process.pid}.${randomBytes(6).toString("hex")}`;
  await writeFile(temporary, own, { flag: "wx" });
  try {
    await link(temporary, path);
    return true;
  } catch (error) {
    if (hasCode(error, "EEXIST")) return false;
    throw error;
  } finally {
    await rm(temporary, { force: true });
  }
}

/** Null when it is gone by now. */
async function readRecord(path: string): Promise<{ record: LockRecord; text: string } | null> {
  try {
    const text = await readFile(path, "utf8");
    return { record: parseRecord(text), text };
  } catch (error) {
    if (hasCode(error, "ENOENT")) return null;
    throw error;
  }
}

/** Text that nobody of us writes names nobody alive. */
function parseRecord(text: string): LockRecord {
  try {
    const parsed = JSON.parse(text) as Partial<LockRecord>;
    return { pid: Number(parsed.pid), startTicks: String(parsed.startTicks), bootId: String(parsed.bootId) };
  } catch {
    return { pid: 0, startTicks: "", bootId: "" };
  }
}

/**
 * Takes a dead owner's file away. Another process may have done so and claimed the name since we looked: then what
 * we hold in our hands is its file, and we put it back.
 */
async function discard(path: string, expected: string): Promise<void> {
  const aside = `${path}.${process.pid}.${randomBytes(6).toString("hex")}`;
  try {
    await rename(path, aside);
  } catch (error) {
    if (hasCode(error, "ENOENT")) return;
    throw error;
  }
  try {
    if ((await readFile(aside, "utf8")) !== expected) await link(aside, path);
  } finally {
    await rm(aside, { force: true });
  }
}

async function release(path: string, own: string): Promise<void> {
  const held = await readRecord(path);
  if (held?.text === own) await rm(path, { force: true });
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
