/**
 * Which content of the index is in force, and whether it can be trusted.
 *
 * ```
 * <directory>/
 *   trust.json      {"bootId", "clean", "generation"}: written beside and renamed, so it is always one of two
 *   lmdb            generation 0          lmdb-<n>   generation n
 * ```
 *
 * A snapshot that takes the place of the state fills the next generation and becomes it with the rename of the mark. A
 * crash before it leaves the old one, a crash after it the new one; the other is removed by the next start.
 *
 * The mark also says under which boot of the machine the environment was used: it runs without syncs, so that an
 * unclean stop of the machine may have damaged it without a sign. Then everything is removed. For the same reason
 * neither filling nor changing needs a sync: what a change built on does not outlive an unclean stop either.
 *
 * Two things are synced, since a clean mark is believed after any stop of the machine: the content before it is marked
 * as clean, and the mark that it is in use before it is changed.
 */

import { mkdirSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { open, rm } from "node:fs/promises";
import { join } from "node:path";
import { replaceFile } from "../files/index.ts";

/** Why an environment was not reused, for the log line of the start. */
export type OpenOutcome = "created" | "reused" | "discarded_unclean_machine_stop";

const MARK_FILE = "trust.json";
/** Of LMDB, in the directory of a generation. */
const DATA_FILE = "data.mdb";
const FIRST_NAME = "lmdb";
const NAME = /^lmdb(?:-\d{1,15})?$/;

interface TrustMark {
  readonly bootId: string;
  readonly clean: boolean;
  readonly generation: number;
}

export function generationPath(directory: string, generation: number): string {
  return join(directory, nameOf(generation));
}

function nameOf(generation: number): string {
  return generation === 0 ? FIRST_NAME : `${FIRST_NAME}-${generation}`;
}

/** For the writer: what may be reused is, everything else goes. */
export function claimGeneration(directory: string): {
  readonly generation: number;
  readonly outcome: OpenOutcome;
} {
  mkdirSync(directory, { recursive: true });
  const mark = readMark(directory);
  const isTrusted = mark !== null && (mark.clean || mark.bootId === bootId());
  const generation = isTrusted ? mark.generation : 0;
  for (const name of readdirSync(directory)) {
    if (!NAME.test(name) || (isTrusted && name === nameOf(generation))) continue;
    rmSync(join(directory, name), { recursive: true, force: true });
  }
  mkdirSync(generationPath(directory, generation), { recursive: true });
  writeMark(directory, { bootId: bootId(), clean: false, generation });
  if (isTrusted) return { generation, outcome: "reused" };
  return { generation, outcome: mark === null ? "created" : "discarded_unclean_machine_stop" };
}

/** For a reader that was not told. */
export function trustedGeneration(directory: string): number {
  return readMark(directory)?.generation ?? 0;
}

/** An empty one, whatever an earlier attempt has left. */
export function createGeneration(directory: string, generation: number): void {
  const path = generationPath(directory, generation);
  rmSync(path, { recursive: true, force: true });
  mkdirSync(path, { recursive: true });
}

/** From here on a start finds this generation. */
export function recordGeneration(directory: string, generation: number): void {
  writeMark(directory, { bootId: bootId(), clean: false, generation });
}

/**
 * The closed environment is on the disk, with its name. LMDB without syncs does not do that, not even when it closes.
 * Errors: those of the disk. Cost: what the kernel has not written yet.
 */
export async function syncGeneration(directory: string, generation: number): Promise<void> {
  const path = generationPath(directory, generation);
  for (const synced of [join(path, DATA_FILE), path]) {
    const handle = await open(synced, "r");
    try {
      await handle.sync();
    } finally {
      await handle.close();
    }
  }
}

/** After `syncGeneration`: this content is believed from now on, whatever happens to the machine. */
export function recordCleanStop(directory: string, generation: number): void {
  writeMark(directory, { bootId: bootId(), clean: true, generation });
}

/** Gone already is fine. */
export function removeGeneration(directory: string, generation: number): Promise<void> {
  return rm(generationPath(directory, generation), { recursive: true, force: true });
}

function readMark(directory: string): TrustMark | null {
  try {
    const parsed: unknown = JSON.parse(readFileSync(join(directory, MARK_FILE), "utf8"));
    // Marks of earlier versions name no generation: there was one.
    const { bootId: boot, clean, generation = 0 } = parsed as Partial<TrustMark>;
    if (typeof boot !== "string" || typeof clean !== "boolean") return null;
    if (!Number.isSafeInteger(generation) || generation < 0) return null;
    return { bootId: boot, clean, generation };
  } catch {
    // Missing or unreadable both mean: nothing vouches for this directory.
    return null;
  }
}

/** Durable: a power cut right behind it must not bring back a mark that says clean. */
function writeMark(directory: string, mark: TrustMark): void {
  replaceFile(join(directory, MARK_FILE), `${JSON.stringify(mark)}\n`);
}

/** Changes with every boot of the machine; where the kernel does not say, nothing is trusted over a restart. */
function bootId(): string {
  try {
    return readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim();
  } catch {
    return `unknown-${process.pid}-${Date.now()}`;
  }
}
