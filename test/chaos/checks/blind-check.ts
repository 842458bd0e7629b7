/**
 * Is there any order of the operations on each key that explains what clients have seen and keeps real time? Believes
 * no log index. Exact, and no search: keys are sets that only grow, and a read sees the whole set.
 *
 * The sets that were read must form a chain, each holding the one before it. That gives every operation a rank:
 *
 *   rank 2i      writes of what the i-th set has more than the one before it
 *   rank 2i + 1  reads that saw the i-th set
 *   last         acknowledged writes that nobody has seen
 *
 * Operations of one rank do not disturb each other; of two ranks the lower goes first. So the order exists if and only
 * if no operation was over before one of a lower rank began: then real time never points down, every circle of "must
 * come before" would have to stay in one rank, and real time alone has no circles.
 */

import {
  describeRead,
  describeWrite,
  type History,
  OUTCOME,
  type Read,
  type Violation,
  type Write,
} from "../history.ts";

const CHECK = "linearizable";

export interface BlindReport {
  readonly violations: readonly Violation[];
  readonly keys: number;
  /** Keys with at least one write and one read that saw something. */
  readonly keysWithReads: number;
}

export function checkBlindly({ writes, reads }: History): BlindReport {
  const byKey = new Map<number, { writes: Write[]; reads: Read[] }>();
  const of = (key: number): { writes: Write[]; reads: Read[] } => {
    const known = byKey.get(key);
    if (known !== undefined) return known;
    const fresh = { writes: [], reads: [] };
    byKey.set(key, fresh);
    return fresh;
  };
  for (const write of writes) of(write.key).writes.push(write);
  for (const read of reads) of(read.key).reads.push(read);
  const violations: Violation[] = [];
  let keysWithReads = 0;
  for (const own of byKey.values()) {
    const violation = checkKey(own);
    if (violation !== null) violations.push(violation);
    if (own.writes.length > 0 && own.reads.some(({ seen }) => seen !== 0)) keysWithReads += 1;
  }
  return { violations, keys: byKey.size, keysWithReads };
}

interface Ranked {
  readonly rank: number;
  readonly operation: Write | Read;
}

function checkKey({ writes, reads }: History): Violation | null {
  const sets = [...new Set(reads.map(({ seen }) => seen))].sort((a, b) => size(a) - size(b));
  const problem = chainProblem(sets, reads) ?? unwrittenProblem(sets, writes);
  if (problem !== null) return { check: CHECK, text: problem };
  const ranked = rank(sets, writes, reads).sort((a, b) => a.rank - b.rank);
  return inOrder(ranked);
}

function chainProblem(sets: readonly number[], reads: readonly Read[]): string | null {
  for (let i = 1; i < sets.length; i++) {
    const [before, after] = [sets[i - 1] as number, sets[i] as number];
    if ((before & after) === before) continue;
    const show = (set: number): string =>
      describeRead(reads.find(({ seen }) => seen === set) as Read);
    return `two reads exclude each other: ${show(before)}; ${show(after)}`;
  }
  return null;
}

function unwrittenProblem(sets: readonly number[], writes: readonly Write[]): string | null {
  let possible = 0;
  for (const { element, outcome } of writes) {
    if (outcome !== OUTCOME.refused) possible |= 1 << element;
  }
  const strange = (sets.at(-1) ?? 0) & ~possible;
  if (strange === 0) return null;
  const element = Math.log2(strange & -strange);
  const write = writes.find((candidate) => candidate.element === element);
  return write === undefined
    ? `element ${element} was read and nobody has written it`
    : `a write that was refused was read: ${describeWrite(write)}`;
}

function rank(sets: readonly number[], writes: readonly Write[], reads: readonly Read[]): Ranked[] {
  const rankOfSet = new Map(sets.map((set, i) => [set, 2 * i + 1]));
  const ranked: Ranked[] = reads.map((operation) => ({
    rank: rankOfSet.get(operation.seen) as number,
    operation,
  }));
  for (const write of writes) {
    if (write.outcome === OUTCOME.refused) continue;
    const first = sets.findIndex((set) => (set & (1 << write.element)) !== 0);
    // An open write that nobody saw may never have happened.
    if (first < 0 && write.outcome === OUTCOME.unknown) continue;
    ranked.push({ rank: first < 0 ? 2 * sets.length : 2 * first, operation: write });
  }
  return ranked;
}

/** `ranked` ascends. Errors: the first pair whose later part was over before the earlier one began. */
function inOrder(ranked: readonly Ranked[]): Violation | null {
  // Of all lower ranks, and of the rank at hand, the operation that began last.
  let latestBelow: Write | Read | null = null;
  let latestHere: Write | Read | null = null;
  let rankHere = -1;
  for (const { rank: own, operation } of ranked) {
    if (own !== rankHere) {
      latestBelow = later(latestBelow, latestHere);
      latestHere = null;
      rankHere = own;
    }
    if (latestBelow !== null && operation.returnedAtMs < latestBelow.invokedAtMs) {
      const text = `must come first, but began after the other was over: ${describe(latestBelow)}; ${describe(operation)}`;
      return { check: CHECK, text };
    }
    latestHere = later(latestHere, operation);
  }
  return null;
}

function later(a: Write | Read | null, b: Write | Read | null): Write | Read | null {
  if (a === null || b === null) return a ?? b;
  return a.invokedAtMs >= b.invokedAtMs ? a : b;
}

function describe(operation: Write | Read): string {
  return "seen" in operation ? describeRead(operation) : describeWrite(operation);
}

function size(set: number): number {
  let count = 0;
  for (let rest = set; rest !== 0; rest &= rest - 1) count += 1;
  return count;
}
