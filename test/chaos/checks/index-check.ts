/**
 * Checks that believe the log indexes in the answers: sharper than the blind ones, and they name what went wrong.
 *
 *   stale            a read from a state that lacks something finished before the read began
 *   real-time-write  a write stands in the log below something finished before it began
 *   lost             an acknowledged element is missing in a state that is past its index
 *   early            an element is seen in a state before its index
 *   diverged         two states at one index differ, or a later state lacks what an earlier one had
 *   refused-applied  a refused element is seen
 *   same-index       two writes were told the same place in the log
 *   non-monotonic    a client sees less than it has seen before
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

export function checkByIndex(history: History): readonly Violation[] {
  return [
    ...checkRealTime(history),
    ...checkPlaces(history.writes),
    ...checkStates(history),
    ...checkMonotonic(history.reads),
  ];
}

function checkRealTime({ writes, reads }: History): Violation[] {
  const placed = [
    ...writes.filter(({ outcome }) => outcome === OUTCOME.acked),
    ...reads.filter(({ appliedIndex }) => appliedIndex > 0),
  ];
  const byStart = [...placed].sort((a, b) => a.invokedAtMs - b.invokedAtMs);
  const byEnd = [...placed].sort((a, b) => a.returnedAtMs - b.returnedAtMs);
  const violations: Violation[] = [];
  let ended = 0;
  let floorIndex = 0;
  for (const operation of byStart) {
    for (; ended < byEnd.length; ended++) {
      const other = byEnd[ended] as Write | Read;
      if (other.returnedAtMs >= operation.invokedAtMs) break;
      floorIndex = Math.max(floorIndex, indexOf(other));
    }
    if ("seen" in operation) {
      if (operation.appliedIndex >= floorIndex) continue;
      const text = `index ${floorIndex} was finished before ${describeRead(operation)}`;
      violations.push({ check: "stale", text });
    } else if (operation.logIndex <= floorIndex) {
      const text = `index ${floorIndex} was finished before ${describeWrite(operation)}`;
      violations.push({ check: "real-time-write", text });
    }
  }
  return violations;
}

function indexOf(operation: Write | Read): number {
  return "seen" in operation ? operation.appliedIndex : operation.logIndex;
}

function checkPlaces(writes: readonly Write[]): Violation[] {
  const owners = new Map<number, Write>();
  const violations: Violation[] = [];
  for (const write of writes) {
    if (write.outcome !== OUTCOME.acked) continue;
    const owner = owners.get(write.logIndex);
    if (owner === undefined) owners.set(write.logIndex, write);
    else {
      const text = `${describeWrite(owner)}; ${describeWrite(write)}`;
      violations.push({ check: "same-index", text });
    }
  }
  return violations;
}

/** Every read against the acknowledged writes of its key, and against the reads before it in the log. */
function checkStates({ writes, reads }: History): Violation[] {
  const writesByKey = groupByKey(writes);
  const violations: Violation[] = [];
  for (const [key, own] of groupByKey(reads)) {
    const writesHere = writesByKey.get(key) ?? [];
    for (const read of own) violations.push(...checkState(read, writesHere));
    violations.push(...checkGrowth(own));
  }
  return violations;
}

function checkState(read: Read, writes: readonly Write[]): Violation[] {
  const violations: Violation[] = [];
  const report = (check: string, write: Write): void => {
    violations.push({ check, text: `${describeWrite(write)}; ${describeRead(read)}` });
  };
  for (const write of writes) {
    const isSeen = (read.seen & (1 << write.element)) !== 0;
    if (write.outcome === OUTCOME.refused && isSeen) report("refused-applied", write);
    if (write.outcome !== OUTCOME.acked || read.appliedIndex === 0) continue;
    if (write.logIndex <= read.appliedIndex && !isSeen) report("lost", write);
    if (write.logIndex > read.appliedIndex && isSeen) report("early", write);
  }
  return violations;
}

function checkGrowth(reads: readonly Read[]): Violation[] {
  const placed = reads.filter(({ appliedIndex }) => appliedIndex > 0);
  placed.sort((a, b) => a.appliedIndex - b.appliedIndex);
  const violations: Violation[] = [];
  for (let i = 1; i < placed.length; i++) {
    const [before, after] = [placed[i - 1] as Read, placed[i] as Read];
    const isSame = before.appliedIndex === after.appliedIndex;
    const isFine = isSame ? before.seen === after.seen : (before.seen & ~after.seen) === 0;
    if (isFine) continue;
    const text = `${describeRead(before)}; ${describeRead(after)}`;
    violations.push({ check: "diverged", text });
  }
  return violations;
}

/** A client does one thing at a time, so what it saw must not shrink. */
function checkMonotonic(reads: readonly Read[]): Violation[] {
  const last = new Map<string, Read>();
  const violations: Violation[] = [];
  for (const read of [...reads].sort((a, b) => a.invokedAtMs - b.invokedAtMs)) {
    const slot = `${read.client}/${read.key}`;
    const before = last.get(slot);
    last.set(slot, read);
    if (before === undefined || (before.seen & ~read.seen) === 0) continue;
    const text = `${describeRead(before)}; ${describeRead(read)}`;
    violations.push({ check: "non-monotonic", text });
  }
  return violations;
}

function groupByKey<T extends { readonly key: number }>(items: readonly T[]): Map<number, T[]> {
  const groups = new Map<number, T[]>();
  for (const item of items) {
    const group = groups.get(item.key);
    if (group === undefined) groups.set(item.key, [item]);
    else group.push(item);
  }
  return groups;
}
