/**
 * Every crash point of random runs of taking, receiving, completing and retaining: whatever a power cut leaves, the
 * store opens, has every snapshot that it said it had, each with its bytes, goes on receiving where it said it was,
 * and takes new snapshots that survive in turn. Nothing whole is called damaged.
 *
 * CRASH_SEEDS=n runs more seeds.
 */

import assert from "node:assert/strict";
import { test } from "node:test";
import { Prng } from "../../src/base/index.ts";
import type { SnapshotMeta } from "../../src/raft/index.ts";
import type { SnapshotFiles } from "../../src/snapshot/index.ts";
import {
  chunkOf,
  content,
  headAt,
  openStore,
  peerSnapshot,
  readAll,
  receiveRest,
  ROOT,
  sourceOf,
} from "./support/harness.ts";
import { type CrashStyle, type DiskOperation, TreeDisk } from "./support/tree-disk.ts";

const STYLES: readonly CrashStyle["unsynced"][] = ["kept", "lost", "prefix", "random", "random"];
const SEEDS = Number(process.env.CRASH_SEEDS ?? 1);

/** What somebody outside was told, at one point of the run. */
interface Promised {
  /** Complete ones that must be there. */
  readonly complete: readonly SnapshotMeta[];
  /** The receive that must go on at this chunk, if any. */
  readonly receiving: { readonly meta: SnapshotMeta; readonly nextChunk: number } | null;
}

interface Run {
  readonly operations: readonly DiskOperation[];
  /** Bytes of every snapshot that may be found, by digest. */
  readonly contents: ReadonlyMap<string, Uint8Array>;
  /** Ids of those that were being received: only these may be taken up again. */
  readonly reached: ReadonlySet<string>;
}

class Runner {
  readonly #prng: Prng;
  readonly disk: TreeDisk;
  readonly contents = new Map<string, Uint8Array>();
  readonly reached = new Set<string>();
  store!: SnapshotFiles;
  promised: Promised;
  #index = 10;
  #peer: { meta: SnapshotMeta; bytes: Uint8Array } | null = null;

  constructor(prng: Prng, disk: TreeDisk, promised: Promised) {
    this.#prng = prng;
    this.disk = disk;
    this.promised = promised;
  }

  async run(steps: number): Promise<Run> {
    ({ store: this.store } = await openStore(this.disk));
    for (let step = 0; step < steps; step++) {
      const kind = this.#prng.nextFloat();
      if (kind < 0.2) await this.#take();
      else if (kind < 0.75) await this.#receive();
      else if (kind < 0.9) await this.#complete();
      else await this.#retain(this.#prng.nextBetween(1, 3));
    }
    const { contents, reached } = this;
    return { operations: this.disk.operations, contents, reached };
  }

  #promise(promised: Partial<Promised>): void {
    this.promised = { ...this.promised, ...promised };
    this.disk.promise(this.promised);
  }

  #bytes(): Uint8Array {
    const bytes = content(this.#prng.nextU32(), this.#prng.nextBetween(1, 2500));
    return bytes;
  }

  async #take(): Promise<void> {
    this.#index += this.#prng.nextBetween(0, 5);
    const bytes = this.#bytes();
    const head = headAt(this.#index);
    // What a crash may find named before the promise.
    const expected = await peerSnapshot(new TreeDisk(), this.#index, bytes);
    this.contents.set(expected.digest, bytes);
    const meta = await this.store.take(head, sourceOf(head, bytes));
    assert.equal(meta.digest, expected.digest);
    this.#promise({ complete: [...this.promised.complete, meta] });
  }

  async #receive(): Promise<void> {
    if (this.#peer === null || this.#prng.nextChance(0.08)) {
      this.#index += this.#prng.nextBetween(1, 5);
      const bytes = this.#bytes();
      const meta = await peerSnapshot(new TreeDisk(), this.#index, bytes);
      this.#peer = { meta, bytes };
      this.contents.set(meta.digest, bytes);
      this.reached.add(meta.id);
    }
    const { meta, bytes } = this.#peer;
    const known = this.promised.receiving;
    const next = known?.meta.id === meta.id ? known.nextChunk : 0;
    if (next === meta.chunkCount) return;
    if (next === 0) this.#promise({ receiving: null });
    const nextChunk = await this.store.storeChunk(meta, next, chunkOf(meta, bytes, next));
    assert.ok(nextChunk > next, "the chunk is kept");
    this.#promise({ receiving: { meta, nextChunk } });
  }

  async #complete(): Promise<void> {
    const { receiving } = this.promised;
    if (receiving === null || receiving.nextChunk < receiving.meta.chunkCount) return;
    this.#promise({ receiving: null });
    assert.equal(await this.store.completeReceived(receiving.meta), true);
    this.#peer = null;
    this.#promise({ complete: [...this.promised.complete, receiving.meta] });
  }

  async #retain(count: number): Promise<void> {
    this.#promise({ complete: this.store.complete.slice(-count), receiving: null });
    await this.store.retain(count);
    this.#peer = null;
  }
}

const NOTHING: Promised = { complete: [], receiving: null };

function promisedAt(operations: readonly DiskOperation[], count: number): Promised {
  for (let i = count - 1; i >= 0; i--) {
    const operation = operations[i] as DiskOperation;
    if (operation.kind === "promise") return operation.promise as Promised;
  }
  return NOTHING;
}

async function checkContents(store: SnapshotFiles, run: Run, name: string): Promise<void> {
  for (const meta of store.complete) {
    const expected = run.contents.get(meta.digest);
    assert.ok(expected !== undefined, `${name}: ${meta.id} was never made`);
    assert.deepEqual(await readAll(store.open(meta)), Buffer.from(expected), `${name}: ${meta.id}`);
  }
}

/** Opens the disk and holds it against what was promised; goes on, and opens it again. */
async function checkDisk(
  disk: TreeDisk,
  run: Run,
  promised: Promised,
  name: string,
): Promise<void> {
  const { store, lines } = await openStore(disk);
  const complaints = lines.filter(({ level }) => level !== "info");
  assert.deepEqual(complaints, [], `${name}: nothing is damaged`);
  await checkContents(store, run, name);
  for (const meta of promised.complete) {
    assert.ok(
      store.complete.some(({ id }) => id === meta.id),
      `${name}: snapshot ${meta.id} at ${meta.index} is gone`,
    );
  }
  if (promised.receiving !== null) {
    const { meta, nextChunk } = promised.receiving;
    const bytes = run.contents.get(meta.digest) as Uint8Array;
    const found = await store.storeChunk(meta, meta.chunkCount, new Uint8Array(0));
    assert.ok(found >= nextChunk, `${name}: goes on at ${found}, promised ${nextChunk}`);
    assert.ok(await receiveRest(store, meta, bytes), `${name}: what was received completes`);
  }
  const bytes = content(4242, 1500);
  const last = await store.take(headAt(9999), sourceOf(headAt(9999), bytes));
  await store.retain(2);
  assert.ok((await disk.list(ROOT)).length <= 3, `${name}: ${await disk.list(ROOT)}`);
  const again = await openStore(disk);
  assert.deepEqual(again.store.latest, last, `${name}: after the second start`);
  assert.deepEqual(await readAll(again.store.open(last)), Buffer.from(bytes), name);
  assert.equal(disk.openFiles, 0, `${name}: all files are closed`);
}

for (let seed = 1; seed <= SEEDS; seed++) {
  test(`every crash point of run ${seed} keeps what was promised`, async (t) => {
    const prng = new Prng(seed);
    const run = await new Runner(prng, new TreeDisk(), NOTHING).run(45);
    const { operations } = run;
    const random = (): number => prng.nextFloat();
    let images = 0;
    for (let count = 1; count <= operations.length; count++) {
      if (operations[count - 1]?.kind === "promise") continue;
      const promised = promisedAt(operations, count);
      for (const unsynced of STYLES) {
        const disk = TreeDisk.crashed(operations, count, { unsynced, random });
        await checkDisk(disk, run, promised, `seed ${seed}, operation ${count}, ${unsynced}`);
        images++;
      }
    }
    t.diagnostic(`${images} images`);
    assert.ok(images > 700, `${images} images`);
  });
}

test("a crash inside of a start changes nothing", async () => {
  const prng = new Prng(77);
  const run = await new Runner(prng, new TreeDisk(), NOTHING).run(40);
  const { operations } = run;
  const random = (): number => prng.nextFloat();
  let images = 0;
  for (let count = 5; count <= operations.length; count += 2) {
    const torn = TreeDisk.crashed(operations, count, { unsynced: "random", random });
    const recorded = torn.operations.length;
    await openStore(torn);
    for (let during = recorded; during <= torn.operations.length; during++) {
      const disk = TreeDisk.crashed(torn.operations, during, { unsynced: "random", random });
      const name = `operation ${count}, start ${during - recorded}`;
      await checkDisk(disk, run, promisedAt(operations, count), name);
      images++;
    }
  }
  assert.ok(images > 500, `${images} images`);
});

test("what a start found in the page cache alone is on the disk before anything stands on it", async () => {
  const prng = new Prng(5);
  const first = await new Runner(prng, new TreeDisk(), NOTHING).run(40);
  const random = (): number => prng.nextFloat();
  let cases = 0;
  for (let count = 5; count <= first.operations.length; count++) {
    // The process ends here, the next one works on, and then the power goes.
    const disk = TreeDisk.killed(first.operations, count);
    const { store } = await openStore(disk);
    const complete = [...store.complete];
    const { receiving } = promisedAt(first.operations, count);
    let promised: Promised = { complete, receiving: null };
    if (receiving !== null) {
      const { meta } = receiving;
      const nextChunk = await store.storeChunk(meta, meta.chunkCount, new Uint8Array(0));
      promised = { complete, receiving: { meta, nextChunk } };
    }
    for (const unsynced of ["lost", "random"] as const) {
      const after = TreeDisk.crashed(disk.operations, disk.operations.length, {
        unsynced,
        random,
      });
      await checkDisk(after, first, promised, `operation ${count}, ${unsynced}`);
      cases++;
    }
  }
  assert.ok(cases > 300, `${cases} cases`);
});
