/** Images taken and installed by the real threads: what comes out is what went in, while both go on. */

import assert from "node:assert/strict";
import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { isHearthError } from "../../../src/base/index.ts";
import { IndexDatabase, META_KEYS } from "../../../src/db/index.ts";
import { verifyIndex } from "../../../src/state/index.ts";
import { loadZstd } from "../../../src/state/snapshot/zstd.ts";
import { dumpTables } from "../dump.ts";
import { RandomEntries } from "../random-entries.ts";
import { batchOf, type Entry } from "../support.ts";
import { type ImageRig, imageOf, MAP_SIZE_BYTES, sourceOf, withRigs } from "./support.ts";

function apply(rig: ImageRig, entries: readonly Entry[]): void {
  const firstIndex = rig.state.appliedIndex + 1;
  rig.state.apply([batchOf(entries, { firstIndex, appendedAtMs: 1 })]);
}

function some(source: RandomEntries, count: number): Entry[] {
  return Array.from({ length: count }, () => source.next());
}

function generationsOnDisk({ directory }: ImageRig): string[] {
  return readdirSync(directory).filter((name) => name.startsWith("lmdb"));
}

for (const compression of ["zstd", "none"] as const) {
  test(`an installed image has every row of the state, and both go on alike, ${compression}`, () =>
    withRigs(
      2,
      async (from, to) => {
        const random = new RandomEntries(7);
        apply(from, some(random, 300));
        apply(to, some(new RandomEntries(8), 50));
        const source = await from.snapshots.open();
        assert.equal(source.index, from.state.appliedIndex);
        await to.snapshots.install(source, source);
        assert.equal(to.state.appliedIndex, from.state.appliedIndex);
        assert.equal(to.state.counters.blocks, from.state.counters.blocks);
        assert.deepEqual(to.read(dumpTables), from.read(dumpTables));
        assert.deepEqual(to.read(verifyIndex).problems, []);
        const more = some(random, 100);
        apply(from, more);
        apply(to, more);
        assert.deepEqual(to.read(dumpTables), from.read(dumpTables));
        assert.deepEqual(to.read(verifyIndex).problems, []);
      },
      { compression },
    ));
}

test("an image is of one moment, whatever is applied while it is taken", () =>
  withRigs(2, async (from, to) => {
    const random = new RandomEntries(3);
    apply(from, some(random, 200));
    const before = from.read(dumpTables);
    const source = await from.snapshots.open();
    const pieces: Uint8Array[] = [];
    for (let piece = await source.next(); piece !== null; piece = await source.next()) {
      pieces.push(piece);
      apply(from, some(random, 20));
    }
    source.close();
    await to.snapshots.install(source, sourceOf(Buffer.concat(pieces), 1_000));
    assert.deepEqual(to.read(dumpTables), before);
    assert.notDeepEqual(from.read(dumpTables), before);
  }));

test("the old generation goes when the readers have left it, and not before", () =>
  withRigs(2, async (from, to) => {
    apply(from, some(new RandomEntries(1), 20));
    let leave = (): void => {};
    to.onGeneration = () => new Promise((resolve) => (leave = resolve));
    const reader = IndexDatabase.open({
      directory: to.directory,
      mapSizeBytes: MAP_SIZE_BYTES,
      role: "reader",
    });
    const source = await from.snapshots.open();
    await to.snapshots.install(source, source);
    assert.deepEqual(generationsOnDisk(to), ["lmdb", "lmdb-1"]);
    // A reader that was not told sees what it saw.
    reader.beginRead();
    assert.equal(dumpTables(reader).length, 1);
    reader.endRead();
    await reader.useGeneration(to.db.generation);
    reader.beginRead();
    assert.deepEqual(dumpTables(reader), to.read(dumpTables));
    reader.endRead();
    await reader.close();
    leave();
    await to.snapshots.stop();
    assert.deepEqual(generationsOnDisk(to), ["lmdb-1"]);
  }));

test("a state can be replaced again and again", () =>
  withRigs(2, async (from, to) => {
    const random = new RandomEntries(4);
    for (let round = 1; round <= 4; round++) {
      apply(from, some(random, 30));
      const source = await from.snapshots.open();
      await to.snapshots.install(source, source);
      assert.equal(to.db.generation, round);
      assert.deepEqual(to.read(dumpTables), from.read(dumpTables), `round ${round}`);
    }
  }));

test("an image that cannot be installed leaves the state as it was", () =>
  withRigs(2, async (from, to) => {
    apply(from, some(new RandomEntries(1), 50));
    apply(to, some(new RandomEntries(2), 50));
    const before = to.read(dumpTables);
    const image = imageOf(from.db, await loadZstd());
    const position = { index: from.state.appliedIndex, term: 1 };
    const attempts = {
      cut: sourceOf(image.subarray(0, image.length - 30)),
      "of another index": sourceOf(image),
      "that cannot be read": { next: () => Promise.reject(new Error("disk gone")) },
    };
    for (const [what, source] of Object.entries(attempts)) {
      const claimed = what === "of another index" ? { ...position, index: 7 } : position;
      await assert.rejects(to.snapshots.install(claimed, source), isHearthError, what);
      assert.deepEqual(to.read(dumpTables), before, what);
      assert.deepEqual(generationsOnDisk(to), ["lmdb"], what);
    }
    await to.snapshots.install(position, sourceOf(image));
    assert.deepEqual(to.read(dumpTables), from.read(dumpTables));
  }));

test("an image whose counters no state could begin with is damaged, and never comes into force", () =>
  withRigs(2, async (from, to) => {
    apply(from, some(new RandomEntries(1), 20));
    const { appliedIndex } = from.state;
    from.db.write(() => from.db.put("meta", META_KEYS.counters, new Uint8Array(8)));
    const image = imageOf(from.db, null);
    await assert.rejects(to.snapshots.install({ index: appliedIndex, term: 1 }, sourceOf(image)), {
      code: "data_loss",
      reason: "image_damaged",
    });
    assert.equal(to.state.appliedIndex, 0);
    assert.deepEqual(generationsOnDisk(to), ["lmdb"]);
  }));

test("an image that is no longer wanted ends its transaction", () =>
  withRigs(1, async (rig) => {
    apply(rig, some(new RandomEntries(1), 200));
    const source = await rig.snapshots.open();
    assert.notEqual(await source.next(), null);
    source.close();
    source.close();
    await assert.rejects(source.next(), { reason: "image_cancelled" });
    // Another one can be taken at once, before the thread has let go of the first.
    const again = await rig.snapshots.open();
    assert.notEqual(await again.next(), null);
    await source.ended;
    again.close();
    await again.ended;
  }));

test("an image that takes too long is given up", () =>
  withRigs(
    1,
    async (rig) => {
      apply(rig, some(new RandomEntries(1), 200));
      await assert.rejects(
        async () => {
          // Its time may be over before this thread hears that it has begun.
          const source = await rig.snapshots.open();
          while ((await source.next()) !== null);
        },
        { reason: "image_deadline" },
      );
    },
    { rateBytesPerSec: 10, deadlineMs: 50 },
  ));

test("an image under which the file grows too much is given up, and the next one succeeds", () =>
  withRigs(
    1,
    async (rig) => {
      const random = new RandomEntries(1);
      apply(rig, some(random, 200));
      const source = await rig.snapshots.open();
      for (let i = 0; i < 10; i++) apply(rig, some(random, 50));
      await assert.rejects(
        async () => {
          while ((await source.next()) !== null);
        },
        { reason: "image_growth" },
      );
      await source.ended;
      // The next one is allowed more.
      const again = await rig.snapshots.open();
      assert.equal(again.index, rig.state.appliedIndex);
      apply(rig, some(random, 10));
      assert.notEqual(await again.next(), null);
      again.close();
    },
    { rateBytesPerSec: 100, growthMinBytes: 16_384, growthRatio: 0 },
  ));

test("the rate is kept", () =>
  withRigs(
    1,
    async (rig) => {
      apply(rig, some(new RandomEntries(1), 100));
      const startedAtMs = performance.now();
      const source = await rig.snapshots.open();
      let bytes = 0;
      for (let piece = await source.next(); piece !== null; piece = await source.next()) {
        bytes += piece.length;
      }
      const leastMs = (1_000 * bytes) / 200_000;
      const tookMs = performance.now() - startedAtMs;
      assert.equal(tookMs >= leastMs, true, `${bytes} bytes took ${tookMs} ms`);
    },
    { rateBytesPerSec: 200_000, compression: "none" },
  ));

test("a new start removes what an install has left unfinished", () =>
  withRigs(1, async (rig) => {
    apply(rig, some(new RandomEntries(1), 20));
    const expected = rig.read(dumpTables);
    const filler = IndexDatabase.open({
      directory: rig.directory,
      mapSizeBytes: MAP_SIZE_BYTES,
      role: "filler",
      generation: 1,
    });
    await filler.close();
    await rig.db.close();
    assert.equal(existsSync(join(rig.directory, "lmdb-1")), true);
    const db = IndexDatabase.open({
      directory: rig.directory,
      mapSizeBytes: MAP_SIZE_BYTES,
      role: "writer",
    });
    assert.deepEqual([db.generation, db.outcome], [0, "reused"]);
    assert.equal(existsSync(join(rig.directory, "lmdb-1")), false);
    db.beginRead();
    assert.deepEqual(dumpTables(db), expected);
    db.endRead();
    await db.close();
  }));
