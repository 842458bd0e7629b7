/**
 * Flips one byte, or zeroes one sector, anywhere in the files of a written log. Nothing that was promised may be
 * missing in silence: the log refuses, abstains, or has everything. R13, as far as the log alone goes.
 */

import { isHearthError } from "../../src/base/index.ts";
import { inspectLog, type LogOptions } from "../../src/log/index.ts";
import { LogUnderTest, type ReadEntry, seededRandom } from "../log/support/log-harness.ts";
import { MemoryDisk } from "../log/support/memory-disk.ts";
import { diskPosition } from "../log/support/segment-image.ts";
import { difference, type ModelState } from "./log-model.ts";
import { CRASH_LOG, LogRun } from "./log-subject.ts";

export const ROT_OUTCOME = {
  /** The start, or a read, says that the log is damaged. */
  refused: "refused",
  /** The damage was cut; the hard state is right and abstains. */
  abstained: "abstained",
  /** A killed process' last sectors: a lost one cannot be told from a write that did not finish. */
  tornRule: "tornRule",
  /** Everything is there: the bytes meant nothing. */
  harmless: "harmless",
} as const;
export type RotOutcome = (typeof ROT_OUTCOME)[keyof typeof ROT_OUTCOME];

export const FAULTS = ["flip", "sector"] as const;
type Fault = (typeof FAULTS)[number];

export interface RotReport {
  flips: number;
  /** "closed flip refuse" and the like: how the log was left, what was done to it, the policy; then outcomes. */
  readonly outcomes: Record<string, Record<RotOutcome, number>>;
  readonly violations: string[];
  violationCount: number;
}

interface WrittenLog {
  readonly files: ReadonlyMap<string, Uint8Array>;
  /** Everything in it was promised. */
  readonly state: ModelState;
  /** The newest used segment, and where its last group begins. */
  readonly lastGroup: { readonly name: string; readonly start: number };
}

interface Rot {
  readonly name: string;
  /** Bytes [start, end) are changed. */
  readonly start: number;
  readonly end: number;
  readonly fault: Fault;
}

const SECTOR_BYTES = 512;
const OPERATIONS = 150;
const FLIPS_PER_LOG = 500;
const VIOLATIONS_MAX = 10;
const POLICIES = ["refuse", "abstain"] as const;

export async function runBitRot(settings: { seed: number; flips: number }): Promise<RotReport> {
  const report: RotReport = { flips: 0, outcomes: {}, violations: [], violationCount: 0 };
  const random = seededRandom(settings.seed);
  for (let round = 0; report.flips < settings.flips; round++) {
    const isClosed = round % 2 === 0;
    const log = await writeLog(settings.seed * 1000 + round, isClosed);
    for (let i = 0; i < FLIPS_PER_LOG && report.flips < settings.flips; i++) {
      const rot = chooseRot(log, random);
      report.flips += 1;
      const policy = POLICIES[i % 2] as (typeof POLICIES)[number];
      const key = `${isClosed ? "closed" : "killed"} ${rot.fault} ${policy}`;
      report.outcomes[key] ??= { refused: 0, abstained: 0, tornRule: 0, harmless: 0 };
      const outcome = await outcomeOf(log, rot, { ...CRASH_LOG, damagePolicy: policy }, isClosed);
      if (outcome.ok) {
        (report.outcomes[key] as Record<RotOutcome, number>)[outcome.kind] += 1;
        continue;
      }
      report.violationCount += 1;
      const where = `${key} seed ${settings.seed} round ${round} ${rot.name} ${rot.start}`;
      if (report.violations.length < VIOLATIONS_MAX)
        report.violations.push(`${where}: ${outcome.problem}`);
    }
  }
  return report;
}

async function writeLog(seed: number, isClosed: boolean): Promise<WrittenLog> {
  const disk = new MemoryDisk();
  const run = new LogRun(disk, seed);
  await run.open();
  for (let step = 1; step <= OPERATIONS; step++) await run.step(step);
  await run.finish();
  const killed = copy(disk.files);
  await run.under.log.close();
  const files = isClosed ? copy(disk.files) : killed;
  const lastGroup = { name: "", start: 0 };
  let name = "";
  await inspectLog(
    "/log",
    (record) => {
      if (record.kind === "segment") name = record.file;
      if (record.kind !== "entries" && record.kind !== "hardState" && record.kind !== "membership")
        return;
      lastGroup.name = name;
      lastGroup.start = record.groupStart;
    },
    new MemoryDisk(files),
  );
  return { files, state: run.states.at(-1) as ModelState, lastGroup };
}

function copy(files: ReadonlyMap<string, Uint8Array>): Map<string, Uint8Array> {
  return new Map([...files].map(([name, bytes]) => [name, bytes.slice()]));
}

function chooseRot(log: WrittenLog, random: () => number): Rot {
  const names = [...log.files.keys()];
  const name = names[Math.floor(random() * names.length)] as string;
  const bytes = log.files.get(name) as Uint8Array;
  const at = Math.floor(random() * bytes.length);
  if (random() < 0.5) return { name, start: at, end: at + 1, fault: "flip" };
  const start = Math.floor(at / SECTOR_BYTES) * SECTOR_BYTES;
  return { name, start, end: Math.min(start + SECTOR_BYTES, bytes.length), fault: "sector" };
}

type Outcome =
  | { readonly ok: true; readonly kind: RotOutcome }
  | { readonly ok: false; readonly problem: string };

async function outcomeOf(
  log: WrittenLog,
  rot: Rot,
  options: LogOptions,
  isClosed: boolean,
): Promise<Outcome> {
  const files = new Map(log.files);
  const bytes = (files.get(rot.name) as Uint8Array).slice();
  if (rot.fault === "sector") bytes.fill(0, rot.start, rot.end);
  else bytes[rot.start] = (bytes[rot.start] as number) ^ (1 << (rot.start % 8));
  files.set(rot.name, bytes);
  const disk = new MemoryDisk(files);
  try {
    const first = await openAndRead(disk, options);
    // What a read finds is dealt with by the next start, where the log may abstain.
    const found =
      first.kind === "damagedRead" && options.damagePolicy === "abstain"
        ? await openAndRead(disk, options)
        : first;
    if (found.kind === "damagedRead") {
      return options.damagePolicy === "abstain"
        ? { ok: false, problem: "the next start did not deal with a damaged read" }
        : { ok: true, kind: ROT_OUTCOME.refused };
    }
    return judge(log, rot, found, isClosed);
  } catch (error) {
    if (isHearthError(error) && /^log_(damaged|segment_missing|promises_lost)$/.test(error.reason))
      return { ok: true, kind: ROT_OUTCOME.refused };
    return { ok: false, problem: `unexpected error: ${String(error)}` };
  }
}

type Found =
  | { readonly kind: "damagedRead" }
  | { readonly kind: "read"; readonly under: LogUnderTest; readonly entries: ReadEntry[] };

async function openAndRead(disk: MemoryDisk, options: LogOptions): Promise<Found> {
  const under = await LogUnderTest.open(disk, options);
  try {
    return { kind: "read", under, entries: await under.entries() };
  } catch (error) {
    if (isHearthError(error) && error.reason === "log_damaged") return { kind: "damagedRead" };
    throw error;
  } finally {
    await under.log.close();
  }
}

function judge(
  log: WrittenLog,
  rot: Rot,
  { under, entries }: Found & { readonly kind: "read" },
  isClosed: boolean,
): Outcome {
  const problem = difference(log.state, under.log, entries);
  if (under.log.recoveredDamage !== null) return judgeAbstained(log.state, under, entries);
  if (problem === null) return { ok: true, kind: ROT_OUTCOME.harmless };
  const isLastGroup =
    rot.name === log.lastGroup.name && rot.end > diskPosition(log.lastGroup.start);
  if (!isClosed && rot.fault === "sector" && isLastGroup)
    return { ok: true, kind: ROT_OUTCOME.tornRule };
  return { ok: false, problem: `silent loss: ${problem}` };
}

/** Term and vote must be the newest; the entries must be a state that the log once had, which the sum of them shows. */
function judgeAbstained(
  state: ModelState,
  { log }: LogUnderTest,
  entries: readonly ReadEntry[],
): Outcome {
  const { term, vote, abstains } = log.hardState;
  if (!abstains) return { ok: false, problem: "the hard state does not abstain" };
  if (term !== state.hardState.term || vote !== state.hardState.vote)
    return { ok: false, problem: `term ${term} and vote ${vote} are not the newest` };
  if (entries.length !== log.lastIndex - log.firstIndex + 1)
    return { ok: false, problem: "not every entry can be read" };
  if (log.commitIndex > Math.max(state.commitIndex, log.firstIndex - 1))
    return { ok: false, problem: `commit index ${log.commitIndex} was made up` };
  // Below what was known to be committed nothing is ever replaced.
  const { base } = state;
  for (const { index, value } of entries) {
    const expected = state.entries[index - base.index - 1];
    if (index <= log.commitIndex && index > base.index && value !== expected?.value)
      return { ok: false, problem: `entry ${index} is not the committed one` };
  }
  return { ok: true, kind: ROT_OUTCOME.abstained };
}

/** Counters that have to move, or the run has tested nothing. */
export function unmoved({ outcomes }: RotReport): string[] {
  const expected: readonly [string, RotOutcome][] = [
    ["closed flip refuse", ROT_OUTCOME.refused],
    ["closed flip refuse", ROT_OUTCOME.harmless],
    ["closed flip abstain", ROT_OUTCOME.abstained],
    ["closed sector refuse", ROT_OUTCOME.refused],
    ["closed sector abstain", ROT_OUTCOME.abstained],
    ["killed flip refuse", ROT_OUTCOME.refused],
    ["killed flip abstain", ROT_OUTCOME.abstained],
    ["killed sector refuse", ROT_OUTCOME.refused],
    ["killed sector abstain", ROT_OUTCOME.abstained],
  ];
  return expected
    .filter(([key, outcome]) => (outcomes[key]?.[outcome] ?? 0) === 0)
    .map(([key, outcome]) => `${key} ${outcome}`);
}
