/**
 * Every crash point of a random run: after each operation of the disk, with the write in flight kept, lost or torn,
 * the log must open and hold what was promised, and it must take new entries that survive in turn.
 *
 * CRASH_SEEDS=n runs more seeds (the release gate runs 50,000 images: 20 seeds).
 */

import assert from "node:assert/strict";
import { test } from "node:test";
import type { LogOptions } from "../../src/log/index.ts";
import type { HardState } from "../../src/raft/index.ts";
import { LogUnderTest, type ReadEntry, seededRandom } from "./support/log-harness.ts";
import { type CrashStyle, imageAfterCrash, MemoryDisk } from "./support/memory-disk.ts";

const OPTIONS: LogOptions = {
  directory: "/log",
  segmentBytes: 8192,
  groupMaxBytes: 2048,
  reuseMaxBytes: 2 * 8192,
  spaceRetryMs: 1,
};
const STYLES = ["kept", "lost", "prefix", "prefix", "suffix", "sectors", "sectors"] as const;
const SEEDS = Number(process.env.CRASH_SEEDS ?? 3);

/** What the log must hold once everything up to `sequence` is durable. */
interface Expected {
  readonly sequence: number;
  readonly entries: readonly number[];
  readonly hardState: HardState;
}

interface Run {
  readonly disk: MemoryDisk;
  /** By sequence, ascending; [0] is the empty log. */
  readonly states: readonly Expected[];
  readonly droppedThrough: number;
}

/** A random run: appends of all sizes, votes, replaced suffixes, dropped prefixes, several per turn. */
async function run(seed: number, steps: number): Promise<Run> {
  const random = seededRandom(seed);
  const disk = new MemoryDisk();
  const under = await LogUnderTest.open(disk, OPTIONS);
  const states: Expected[] = [
    { sequence: 0, entries: [], hardState: { term: 0, vote: "", abstains: false } },
  ];
  let entries: number[] = [];
  let hardState: HardState = { term: 0, vote: "", abstains: false };
  let term = 1;
  let droppedThrough = 0;
  for (let step = 1; step <= steps; step++) {
    const last = under.log.lastIndex;
    const kind = random();
    let promise: Promise<void>;
    if (kind < 0.1) {
      term += 1;
      hardState = { term, vote: `node-${step}`, abstains: false };
      promise = under.setHardState(term, hardState.vote);
    } else {
      const count = 1 + Math.floor(random() * 3);
      const settings = {
        term,
        tag: step % 1000,
        payloadBytes: Math.floor(random() * 600),
        appendedAtMs: step,
      };
      const canCut = kind < 0.2 && last > Math.max(under.log.commitIndex, under.log.firstIndex) + 1;
      const from = canCut
        ? last -
          Math.floor(
            random() *
              Math.min(20, last - Math.max(under.log.commitIndex, under.log.firstIndex) - 1),
          )
        : last + 1;
      entries = entries.slice(0, from - 1);
      for (let i = 0; i < count; i++) entries.push((from + i) * 1000 + (step % 1000));
      promise = canCut
        ? under.replaceFrom({ fromIndex: from, previousTerm: term }, count, settings)
        : under.append(count, settings);
    }
    const sequence = step;
    states.push({ sequence, entries: entries.slice(), hardState });
    const promised = promise.then(() => disk.promise(sequence));
    if (random() < 0.5) await promised;
    if (random() < 0.05)
      under.log.commitIndex = Math.max(under.log.commitIndex, under.log.durableIndex - 10);
    if (random() < 0.04 && under.log.commitIndex > under.log.firstIndex) {
      droppedThrough = under.log.commitIndex;
      under.log.truncatePrefix(Math.min(droppedThrough, under.log.durableIndex));
    }
  }
  await under.durable(under.log.setHardState(hardState));
  // Not closed: a crash does not close. The handles are memory.
  return { disk, states, droppedThrough };
}

const entryValue = (entry: ReadEntry): number => entry.value;

/** The state the recovered log is in, or undefined: then it holds something that never was. */
function matching(
  run: Run,
  found: { first: number; values: number[]; hardState: HardState },
): Expected | undefined {
  return run.states.findLast(({ entries, hardState }) => {
    if (hardState.term !== found.hardState.term || hardState.vote !== found.hardState.vote)
      return false;
    if (entries.length !== found.first - 1 + found.values.length) return false;
    // A payload of less than 8 bytes holds no number.
    return found.values.every((value, i) => value === 0 || value === entries[found.first - 1 + i]);
  });
}

async function checkImage(run: Run, count: number, style: CrashStyle, name: string): Promise<void> {
  const promised = run.disk.operations
    .slice(0, count)
    .reduce(
      (most, operation) => (operation.kind === "promise" ? Math.max(most, operation.value) : most),
      0,
    );
  const disk = new MemoryDisk(imageAfterCrash(new Map(), run.disk.operations, count, style));
  let under = await LogUnderTest.open(disk, OPTIONS);
  const first = under.log.firstIndex;
  assert.ok(first <= run.droppedThrough + 1, `${name}: the log begins at ${first}`);
  const values = (await under.entries()).map(entryValue);
  const state = matching(run, { first, values, hardState: under.log.hardState });
  assert.ok(
    state !== undefined,
    `${name}: ${values.length} entries from ${first} match no state of the run: ${JSON.stringify(values)} ${JSON.stringify(under.log.hardState)}; promised ${JSON.stringify(run.states[promised])}`,
  );
  assert.ok(
    state.sequence >= promised || isSame(state, run.states[promised] as Expected),
    `${name}: promised ${promised}, found ${state.sequence}`,
  );

  await under.append(2, { term: under.log.hardState.term + 1, tag: 999, payloadBytes: 300 });
  await under.setHardState(under.log.hardState.term + 1, "after");
  await under.log.close();
  assert.equal(disk.openFiles, 0, `${name}: all files closed`);
  under = await LogUnderTest.open(disk, OPTIONS);
  const again = (await under.entries()).map(entryValue);
  assert.equal(again.length, values.length + 2, `${name}: entries after the second start`);
  assert.deepEqual(
    again.slice(0, values.length),
    values,
    `${name}: old entries after the second start`,
  );
  assert.equal(under.log.hardState.vote, "after", name);
  await under.log.close();
}

/** A later state may equal an earlier one (a vote repeated at the end of the run). */
function isSame(a: Expected, b: Expected): boolean {
  return (
    a.hardState === b.hardState &&
    a.entries.length === b.entries.length &&
    a.entries.every((value, i) => value === b.entries[i])
  );
}

for (let seed = 1; seed <= SEEDS; seed++) {
  test(`every crash point of run ${seed} keeps what was promised`, async () => {
    const history = await run(seed, 120);
    const { operations } = history.disk;
    const random = seededRandom(seed * 7919);
    let images = 0;
    for (let count = 1; count <= operations.length; count++) {
      if (operations[count - 1]?.kind === "promise") continue;
      for (const inFlight of STYLES) {
        await checkImage(
          history,
          count,
          { inFlight, random },
          `seed ${seed}, operation ${count}, ${inFlight}`,
        );
        images += 1;
      }
    }
    assert.ok(images > 1000, `${images} images`);
  });
}

test("a crash inside the repair of a crash changes nothing", async () => {
  const history = await run(77, 60);
  const { operations } = history.disk;
  const random = seededRandom(4242);
  for (let count = 20; count <= operations.length; count += 3) {
    const torn = imageAfterCrash(new Map(), operations, count, { inFlight: "sectors", random });
    const repair = new MemoryDisk(torn);
    const before = await LogUnderTest.open(repair, OPTIONS);
    const values = (await before.entries()).map(entryValue);
    for (let during = 0; during <= repair.operations.length; during++) {
      const image = imageAfterCrash(torn, repair.operations, during, {
        inFlight: "sectors",
        random,
      });
      const after = await LogUnderTest.open(new MemoryDisk(image), OPTIONS);
      assert.deepEqual(
        (await after.entries()).map(entryValue),
        values,
        `operation ${count}, repair ${during}`,
      );
      await after.log.close();
    }
    await before.log.close();
  }
});

test("what a start found in the page cache alone is on the disk before anything stands on it", async () => {
  const history = await run(5, 80);
  const { operations } = history.disk;
  const random = seededRandom(1);
  const initial = new Map<string, Uint8Array>();
  for (let count = 10; count <= operations.length; count += 1) {
    const platter = imageAfterCrash(initial, operations, count, { inFlight: "lost", random });
    const pageCache = imageAfterCrash(initial, operations, count, { inFlight: "kept", random });
    const disk = new MemoryDisk(pageCache);
    const before = await LogUnderTest.open(disk, OPTIONS);
    await before.append(1, { term: before.log.hardState.term, tag: 998 });
    const first = before.log.firstIndex;
    const values = (await before.entries()).map(entryValue);
    const after = imageAfterCrash(platter, disk.operations, disk.operations.length, {
      inFlight: "lost",
      random,
    });
    await before.log.close();
    // A file whose creation was lost cannot be written through its descriptor in this model.
    if (after.size < disk.files.size) continue;
    const again = await LogUnderTest.open(new MemoryDisk(after), OPTIONS);
    // A segment may be back whose removal was lost.
    const found = (await again.entries(first)).map(entryValue);
    assert.deepEqual(found, values, `operation ${count}`);
    await again.log.close();
  }
});
