/** Closing a store while it works: it ends within a chunk, leaves what a start can judge, and touches nothing later. */

import assert from "node:assert/strict";
import { test } from "node:test";
import type { SnapshotSource } from "../../src/snapshot/index.ts";
import {
  chunkOf,
  content,
  headAt,
  openStore,
  peerSnapshot,
  reasonOf,
  ROOT,
  sourceOf,
} from "./support/harness.ts";
import { TreeDisk } from "./support/tree-disk.ts";

const CLOSED = { reason: "snapshot_closed" };

/** One that has a piece at every turn, for ever, or, from piece `pieces` on, none until it is closed. */
function slowSource(pieces = Number.POSITIVE_INFINITY): SnapshotSource & { asked: number } {
  let onClosed = (): void => {};
  return {
    ...{ index: 5, term: 1, asked: 0 },
    next() {
      return new Promise((resolve, reject) => {
        if (this.asked++ < pieces) setImmediate(resolve, new Uint8Array(300));
        else onClosed = () => reject(new Error("nobody wants it"));
      });
    },
    close: () => onClosed(),
  };
}

async function turnsUntil(holds: () => boolean): Promise<void> {
  while (!holds()) await new Promise((resolve) => setImmediate(resolve));
}

for (const [what, pieces] of [
  ["still hands out pieces", Number.POSITIVE_INFINITY],
  ["is waited for", 10],
] as const) {
  test(`a snapshot whose source ${what} is given up, and its files are gone`, async () => {
    const disk = new TreeDisk();
    const { store } = await openStore(disk);
    const source = slowSource(pieces);
    const taken = assert.rejects(store.take(headAt(5), source));
    await turnsUntil(() => source.asked > 10);
    await store.close();
    assert.deepEqual(await disk.list(ROOT), []);
    const { changes } = disk;
    await taken;
    await assert.rejects(store.take(headAt(6), sourceOf(headAt(6), content(1, 9))), CLOSED);
    await assert.rejects(store.retain(1), CLOSED);
    await store.close();
    assert.deepEqual([disk.changes, disk.openFiles], [changes, 0]);
  });
}

test("a snapshot that is being read back is given up at the next chunk", async () => {
  const disk = new TreeDisk();
  const { store } = await openStore(disk);
  let reads = 0;
  let closed: Promise<void> | null = null;
  disk.readFault = (_, path) => {
    if (!path.endsWith(".take.partial/data")) return null;
    reads++;
    if (reads === 5) closed = store.close();
    return null;
  };
  const source = sourceOf(headAt(5), content(1, 700 * 100));
  await assert.rejects(store.take(headAt(5), source), CLOSED);
  await closed;
  assert.ok(closed !== null && reads < 10, `${reads} reads`);
  assert.deepEqual(await disk.list(ROOT), []);
});

test("a received snapshot that is being verified waits for the next start", async () => {
  const bytes = content(7, 700 * 100);
  const meta = await peerSnapshot(new TreeDisk(), 40, bytes);
  const disk = new TreeDisk();
  const { store } = await openStore(disk);
  for (let i = 0; i < meta.chunkCount; i++)
    await store.storeChunk(meta, i, chunkOf(meta, bytes, i));
  const before = disk.reads;
  disk.readFault = (read) => {
    if (read === before + 10) void store.close();
    return null;
  };
  await assert.rejects(store.completeReceived(meta), CLOSED);
  await store.close();
  assert.ok(disk.reads < before + 20, `${disk.reads - before} reads`);
  disk.readFault = () => null;
  const again = await openStore(disk);
  assert.equal(await again.store.completeReceived(meta), true);
});

test("a chunk that is being written is written, one behind it is not", async () => {
  const bytes = content(7, 3333);
  const meta = await peerSnapshot(new TreeDisk(), 40, bytes);
  const disk = new TreeDisk();
  const { store } = await openStore(disk);
  await store.storeChunk(meta, 0, chunkOf(meta, bytes, 0));
  const storing = store.storeChunk(meta, 1, chunkOf(meta, bytes, 1));
  // It has begun by the next turn.
  await Promise.resolve();
  const waiting = store.storeChunk(meta, 2, chunkOf(meta, bytes, 2)).catch(reasonOf);
  await store.close();
  const { changes } = disk;
  assert.deepEqual([await storing, await waiting], [2, CLOSED.reason]);
  assert.equal(disk.changes, changes);
});

test("a source that is read for an install ends", async () => {
  const disk = new TreeDisk();
  const { store } = await openStore(disk);
  const meta = await store.take(headAt(5), sourceOf(headAt(5), content(1, 5000)));
  const source = store.open(meta);
  assert.notEqual(await source.next(), null);
  await store.close();
  await assert.rejects(source.next(), CLOSED);
  source.close();
  assert.equal(disk.openFiles, 0);
});
