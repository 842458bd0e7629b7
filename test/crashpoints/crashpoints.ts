/** Crashes a recorded run at every operation of the disk, in every way that the disk model allows. R11. */

import { seededRandom } from "../log/support/log-harness.ts";
import { MemoryDisk } from "../log/support/memory-disk.ts";
import { DiskState, IMAGE_KIND, type ImageKind } from "./images.ts";
import type { CrashHistory, CrashSubject } from "./subject.ts";

export interface CrashSettings {
  readonly seed: number;
  /** At least that many images per subject, as far as its run has crash points. */
  readonly images: number;
  /** Operations of the recorded run. */
  readonly operations: number;
}

export interface CrashReport {
  readonly images: number;
  readonly recovered: number;
  /** The first ones, in words; `violationCount` has all. */
  readonly violations: readonly string[];
  readonly violationCount: number;
  /** Images by subject, kind of operation under way and kind of image. */
  readonly coverage: Readonly<Record<string, Record<string, Record<ImageKind, number>>>>;
}

const VIOLATIONS_MAX = 10;
const TORN: readonly ImageKind[] = [IMAGE_KIND.torn512, IMAGE_KIND.torn4096, IMAGE_KIND.reordered];

export async function runCrashPoints(
  subjects: readonly CrashSubject[],
  settings: CrashSettings,
): Promise<CrashReport> {
  const report = new Report();
  for (const subject of subjects) await crashSubject(subject, settings, report);
  return report;
}

class Report implements CrashReport {
  images = 0;
  recovered = 0;
  violationCount = 0;
  readonly violations: string[] = [];
  readonly coverage: Record<string, Record<string, Record<ImageKind, number>>> = {};

  violate(text: string): void {
    this.violationCount += 1;
    if (this.violations.length < VIOLATIONS_MAX) this.violations.push(text);
  }
}

async function crashSubject(
  subject: CrashSubject,
  { seed, images, operations }: CrashSettings,
  report: Report,
): Promise<void> {
  const recorder = new MemoryDisk();
  const history = await subject.record(recorder, { seed, operations });
  const points = recorder.operations.filter(({ kind }) => isPoint(kind)).length;
  // Two images of a point are certain, kept and lost; the rest are drawn.
  const draws = Math.max(TORN.length, Math.ceil((2 * images) / Math.max(1, points)) - 2);
  const counters = emptyCounters(subject.kinds);
  report.coverage[subject.name] = counters;
  const random = seededRandom(seed ^ 0x5bd1e995);
  const state = new DiskState();
  const underWay = new Map<string, number>();
  let promised = 0;
  for (const [number, operation] of recorder.operations.entries()) {
    if (operation.kind === "promise") promised = Math.max(promised, operation.value);
    else if (operation.kind === "begin" || operation.kind === "end") {
      const change = operation.kind === "begin" ? 1 : -1;
      underWay.set(operation.what, (underWay.get(operation.what) ?? 0) + change);
    }
    state.apply(operation, number);
    if (!isPoint(operation.kind)) continue;
    const kinds = kindsUnderWay(subject, state, underWay);
    for (const kind of imageKinds(draws)) {
      const files = state.image(kind, random);
      if (files === null) continue;
      report.images += 1;
      for (const what of kinds) {
        const counter = counters[what];
        if (counter !== undefined) counter[kind] += 1;
      }
      const problem = await problemOf(history, files, promised);
      if (problem === null) report.recovered += 1;
      else report.violate(`${subject.name} seed ${seed} operation ${number} ${kind}: ${problem}`);
    }
  }
}

/** Operations that change what a crash may leave. */
function isPoint(kind: string): boolean {
  return kind !== "promise" && kind !== "begin" && kind !== "end";
}

function* imageKinds(draws: number): Generator<ImageKind> {
  yield IMAGE_KIND.kept;
  yield IMAGE_KIND.lost;
  for (let i = 0; i < draws; i++) yield TORN[i % TORN.length] as ImageKind;
}

function kindsUnderWay(
  subject: CrashSubject,
  state: DiskState,
  underWay: ReadonlyMap<string, number>,
): Set<string> {
  const kinds = new Set<string>();
  for (const [what, count] of underWay) if (count > 0) kinds.add(what);
  for (const write of state.writes) {
    const kind = subject.kindOfWrite(write);
    if (kind !== null) kinds.add(kind);
  }
  return kinds;
}

async function problemOf(
  history: CrashHistory,
  files: ReadonlyMap<string, Uint8Array>,
  promised: number,
): Promise<string | null> {
  try {
    return await history.check(new MemoryDisk(files), promised);
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

function emptyCounters(kinds: readonly string[]): Record<string, Record<ImageKind, number>> {
  const counters: Record<string, Record<ImageKind, number>> = {};
  for (const kind of kinds)
    counters[kind] = { kept: 0, lost: 0, reordered: 0, torn512: 0, torn4096: 0 };
  return counters;
}

/** "subject kind image" of every counter that is zero: the run did not test what it should. */
export function uncovered({ coverage }: CrashReport): string[] {
  const zero: string[] = [];
  for (const [subject, kinds] of Object.entries(coverage))
    for (const [kind, images] of Object.entries(kinds))
      for (const [image, count] of Object.entries(images))
        if (count === 0) zero.push(`${subject} ${kind} ${image}`);
  return zero;
}
