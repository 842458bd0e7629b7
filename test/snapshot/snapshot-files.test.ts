/** Taking, reading, receiving and keeping snapshots on a disk that works. */

import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, it, test } from "node:test";
import { fileURLToPath } from "node:url";
import { NODE_FILES } from "../../src/files/index.ts";
import type { SnapshotMeta } from "../../src/raft/index.ts";
import { SNAPSHOT_LIMITS, type SnapshotSource } from "../../src/snapshot/index.ts";
import {
  chunkOf,
  content,
  headAt,
  openStore,
  peerSnapshot,
  readAll,
  reasonOf,
  receiveRest,
  ROOT,
  SMALL,
  sourceOf,
} from "./support/harness.ts";
import { TreeDisk } from "./support/tree-disk.ts";

describe("take", () => {
  for (const sizeBytes of [1, 299, 699, 700, 701, 1400, 5000]) {
    it(`gives ${sizeBytes} bytes back, also after a restart`, async () => {
      const disk = new TreeDisk();
      const bytes = content(1, sizeBytes);
      const { store } = await openStore(disk);
      assert.equal(store.latest, null);
      const source = sourceOf(headAt(9, 3), bytes);
      const meta = await store.take(headAt(9, 3), source);
      assert.deepEqual(store.latest, meta);
      assert.equal(meta.chunkCount, Math.ceil(sizeBytes / 700));
      assert.ok(source.closed > 0, "the source is closed");
      const again = await openStore(disk);
      assert.deepEqual(again.store.latest, meta);
      assert.deepEqual(await readAll(again.store.open(meta)), Buffer.from(bytes));
      for (let chunk = 0; chunk < meta.chunkCount; chunk++) {
        const read = await again.store.readChunk(meta.id, chunk);
        assert.deepEqual(Buffer.from(read ?? []), Buffer.from(chunkOf(meta, bytes, chunk)));
      }
      assert.equal(await again.store.readChunk(meta.id, meta.chunkCount), null);
      assert.equal(await again.store.readChunk("other", 0), null);
      assert.equal(disk.openFiles, 0);
      assert.deepEqual(again.lines, []);
    });
  }

  it("cuts pieces of every size into the same chunks", async () => {
    const bytes = content(2, 3000);
    const digests = new Set<string>();
    for (const pieceBytes of [1, 699, 700, 701, 3000]) {
      const { store } = await openStore(new TreeDisk());
      const meta = await store.take(headAt(5), sourceOf(headAt(5), bytes, pieceBytes));
      digests.add(meta.digest);
    }
    assert.equal(digests.size, 1);
  });

  it("leaves nothing when the source fails, and takes the next one", async () => {
    const disk = new TreeDisk();
    const { store } = await openStore(disk);
    const failing: SnapshotSource = {
      ...sourceOf(headAt(5), content(1, 2000)),
      next: () => Promise.reject(new Error("deadline")),
    };
    await assert.rejects(store.take(headAt(5), failing), /deadline/);
    assert.deepEqual(await disk.list(ROOT), []);
    await store.take(headAt(5), sourceOf(headAt(5), content(1, 2000)));
    assert.equal(store.latest?.index, 5);
    assert.equal(disk.openFiles, 0);
  });

  it("refuses an image without bytes", async () => {
    const { store } = await openStore(new TreeDisk());
    const empty = sourceOf(headAt(5), new Uint8Array(0));
    await assert.rejects(store.take(headAt(5), empty), { reason: "snapshot_empty" });
  });

  it("refuses a second one while one is under way", async () => {
    const { store } = await openStore(new TreeDisk());
    const first = store.take(headAt(5), sourceOf(headAt(5), content(1, 2000)));
    const second = sourceOf(headAt(6), content(2, 2000));
    await assert.rejects(store.take(headAt(6), second), { reason: "snapshot_busy" });
    assert.equal(second.closed, 1);
    await first;
    await store.take(headAt(6), sourceOf(headAt(6), content(2, 2000)));
  });

  it("does not name a snapshot whose bytes do not read back", async () => {
    const disk = new TreeDisk();
    const { store } = await openStore(disk);
    const head = headAt(5);
    const source = sourceOf(head, content(1, 2000));
    let partial = "";
    const next = source.next.bind(source);
    source.next = async () => {
      const piece = await next();
      if (piece === null) {
        [partial = ""] = await disk.list(ROOT);
        const data = disk.bytesOf(`${ROOT}/${partial}/data`).slice();
        data[3] = (data[3] ?? 0) ^ 1;
        disk.replace(`${ROOT}/${partial}/data`, data);
      }
      return piece;
    };
    await assert.rejects(store.take(head, source), { reason: "snapshot_damaged" });
    assert.match(partial, /\.take\.partial$/);
    assert.equal(store.latest, null);
    assert.deepEqual(await disk.list(ROOT), []);
  });
});

describe("receive", () => {
  const bytes = content(7, 3333);

  it("keeps chunks in order and completes", async () => {
    const meta = await peerSnapshot(new TreeDisk(), 40, bytes);
    const disk = new TreeDisk();
    const { store } = await openStore(disk);
    assert.equal(await store.storeChunk(meta, 1, chunkOf(meta, bytes, 1)), 0, "a gap");
    assert.equal(await store.storeChunk(meta, 0, chunkOf(meta, bytes, 0)), 1);
    assert.equal(await store.storeChunk(meta, 0, chunkOf(meta, bytes, 0)), 1, "a repeat");
    assert.equal(await store.storeChunk(meta, 2, chunkOf(meta, bytes, 2)), 1, "a gap");
    assert.equal(await store.storeChunk(meta, 1, new Uint8Array(699)), 1, "too short");
    assert.equal(await receiveRest(store, meta, bytes), true);
    assert.deepEqual(store.latest, meta);
    assert.equal(await store.storeChunk(meta, 0, chunkOf(meta, bytes, 0)), meta.chunkCount);
    assert.equal(await store.completeReceived(meta), true, "a repeat");
    assert.deepEqual(await readAll(store.open(meta)), Buffer.from(bytes));
    assert.equal(disk.openFiles, 0);
  });

  it("keeps chunks that arrive without waiting for each other", async () => {
    const meta = await peerSnapshot(new TreeDisk(), 40, bytes);
    const { store } = await openStore(new TreeDisk());
    const answers = [0, 1, 2, 3, 4].map((i) => store.storeChunk(meta, i, chunkOf(meta, bytes, i)));
    assert.deepEqual(await Promise.all(answers), [1, 2, 3, 4, 5]);
    assert.equal(await store.completeReceived(meta), true);
  });

  it("lets only so many chunks wait", async () => {
    const meta = await peerSnapshot(new TreeDisk(), 40, content(7, 700 * 12));
    const { store } = await openStore(new TreeDisk());
    const answers = Array.from({ length: 12 }, (_, i) =>
      store.storeChunk(meta, i, chunkOf(meta, content(7, 700 * 12), i)),
    );
    const next = await Promise.all(answers);
    assert.deepEqual(next.slice(0, 8), [1, 2, 3, 4, 5, 6, 7, 8]);
    assert.deepEqual(next.slice(8), [0, 0, 0, 0]);
  });

  it("goes on after a restart where the durable part ended", async () => {
    const meta = await peerSnapshot(new TreeDisk(), 40, bytes);
    const disk = new TreeDisk();
    for (let chunk = 0; chunk < meta.chunkCount; chunk++) {
      const { store } = await openStore(disk);
      assert.equal(await store.storeChunk(meta, chunk, chunkOf(meta, bytes, chunk)), chunk + 1);
      assert.equal(store.latest, null);
    }
    const { store } = await openStore(disk);
    assert.equal(await store.completeReceived(meta), true);
    assert.deepEqual(await readAll(store.open(meta)), Buffer.from(bytes));
  });

  it("replaces what it was receiving when chunk 0 of another snapshot comes", async () => {
    const older = await peerSnapshot(new TreeDisk(), 30, bytes);
    const newer = await peerSnapshot(new TreeDisk(), 40, content(8, 2000));
    const disk = new TreeDisk();
    const { store } = await openStore(disk);
    // In both directions: a new leader may offer an older one, and has no other.
    await store.storeChunk(older, 0, chunkOf(older, bytes, 0));
    assert.equal(await store.storeChunk(newer, 1, chunkOf(newer, content(8, 2000), 1)), 0);
    assert.equal(await store.storeChunk(older, 1, chunkOf(older, bytes, 1)), 2, "still there");
    await store.storeChunk(newer, 0, chunkOf(newer, content(8, 2000), 0));
    assert.equal(await store.completeReceived(older), false);
    assert.equal((await disk.list(ROOT)).length, 1);
    assert.equal(await receiveRest(store, older, bytes), true);
    assert.equal((await disk.list(ROOT)).length, 1);
  });

  it("drops the whole when it is not what the meta says, and can start again", async () => {
    const meta = await peerSnapshot(new TreeDisk(), 40, bytes);
    const disk = new TreeDisk();
    const { store, lines } = await openStore(disk);
    const wrong = bytes.slice();
    wrong[2000] = (wrong[2000] ?? 0) ^ 64;
    assert.equal(await receiveRest(store, meta, wrong), false);
    assert.equal(lines.at(-1)?.message, "a received snapshot is damaged");
    assert.deepEqual(await disk.list(ROOT), []);
    assert.equal(await receiveRest(store, meta, bytes), true);
  });

  it("notices that the disk changed a chunk before it completes", async () => {
    const meta = await peerSnapshot(new TreeDisk(), 40, bytes);
    const disk = new TreeDisk();
    const { store } = await openStore(disk);
    for (let i = 0; i < meta.chunkCount; i++) {
      await store.storeChunk(meta, i, chunkOf(meta, bytes, i));
    }
    const path = `${ROOT}/${(await disk.list(ROOT))[0]}/data`;
    const data = disk.bytesOf(path).slice();
    data[1500] = (data[1500] ?? 0) ^ 1;
    disk.replace(path, data);
    assert.equal(await store.completeReceived(meta), false);
    assert.equal(await receiveRest(store, meta, bytes), true);
  });

  it("refuses to complete what is not all here", async () => {
    const meta = await peerSnapshot(new TreeDisk(), 40, bytes);
    const { store } = await openStore(new TreeDisk());
    await store.storeChunk(meta, 0, chunkOf(meta, bytes, 0));
    assert.equal(await store.completeReceived(meta), false);
  });

  it("refuses metas that make no sense, before it touches the disk", async () => {
    const meta = await peerSnapshot(new TreeDisk(), 40, bytes);
    const { chunkMaxBytes, chunkCountMax } = SNAPSHOT_LIMITS;
    const bad: Partial<Record<keyof SnapshotMeta, unknown>>[] = [
      { id: "../../etc/passwd" },
      { id: "" },
      { id: "a".repeat(65) },
      { digest: meta.digest.slice(1) },
      { index: -1 },
      { index: 1.5 },
      { index: 2 ** 53 },
      { term: Number.NaN },
      { chunkBytes: 0 },
      { chunkBytes: chunkMaxBytes + 1, sizeBytes: chunkMaxBytes + 1, chunkCount: 1 },
      { chunkCount: chunkCountMax + 1, sizeBytes: (chunkCountMax + 1) * 700 },
      { chunkCount: meta.chunkCount + 1 },
      { sizeBytes: 0, chunkCount: 0 },
      { appendedAtMs: -5 },
      { membership: null },
      { membership: { index: 41, membership: meta.membership.membership } },
      { membership: { index: 1, membership: { ...meta.membership.membership, voters: [1] } } },
      { membership: { index: 1, membership: { ...meta.membership.membership, members: [{}] } } },
    ];
    const disk = new TreeDisk();
    const { store } = await openStore(disk);
    const { changes } = disk;
    for (const part of bad) {
      const wrong = { ...meta, ...part } as SnapshotMeta;
      await assert.rejects(
        store.storeChunk(wrong, 0, chunkOf(meta, bytes, 0)),
        (error) => reasonOf(error) === "snapshot_bad_meta",
        JSON.stringify(part),
      );
    }
    assert.equal(disk.changes, changes);
    assert.equal(await receiveRest(store, meta, bytes), true, "the store lives on");
    const twin = { ...meta, digest: "0".repeat(64) };
    await assert.rejects(store.storeChunk(twin, 0, chunkOf(meta, bytes, 0)), {
      reason: "snapshot_bad_meta",
    });
  });

  it("goes on beside a snapshot that is being taken", async () => {
    const meta = await peerSnapshot(new TreeDisk(), 40, bytes);
    const disk = new TreeDisk();
    const { store } = await openStore(disk);
    const taking = store.take(headAt(20), sourceOf(headAt(20), content(3, 9000), 10));
    assert.equal(await receiveRest(store, meta, bytes), true);
    const taken = await taking;
    assert.deepEqual(store.complete, [taken, meta]);
    assert.deepEqual(store.latest, meta);
  });
});

describe("retain", () => {
  it("keeps the newest, and what is being read until a later call", async () => {
    const disk = new TreeDisk();
    const { store } = await openStore(disk);
    for (const index of [10, 20, 30, 40]) {
      await store.take(headAt(index), sourceOf(headAt(index), content(index, 2000)));
    }
    const [oldest] = store.complete as [SnapshotMeta];
    const reader = store.open(oldest);
    assert.notEqual(await reader.next(), null);
    await store.retain(2);
    assert.deepEqual(
      store.complete.map(({ index }) => index),
      [10, 30, 40],
    );
    assert.notEqual(await reader.next(), null);
    reader.close();
    reader.close();
    await store.retain(2);
    assert.deepEqual(
      store.complete.map(({ index }) => index),
      [30, 40],
    );
    assert.equal((await disk.list(ROOT)).length, 2);
    assert.equal(await store.readChunk(oldest.id, 0), null);
    await assert.rejects(store.open(oldest).next(), { reason: "snapshot_gone" });
    assert.equal(disk.openFiles, 0);
  });

  it("keeps the one that was taken last of several at one log index, whatever their ids", async () => {
    const disk = new TreeDisk();
    const ids = ["b", "c", "a"];
    const { store } = await openStore(disk, SMALL, () => ids.shift() ?? "none");
    for (const index of [10, 10, 10])
      await store.take(headAt(index), sourceOf(headAt(index), content(index, 2000)));
    assert.equal(store.latest?.id, "a");
    await store.retain(1);
    assert.deepEqual(
      store.complete.map(({ id }) => id),
      ["a"],
    );
  });

  it("counts none that are ahead of the state, and leaves them", async () => {
    const disk = new TreeDisk();
    const { store } = await openStore(disk);
    for (const index of [10, 20, 30, 40]) {
      await store.take(headAt(index), sourceOf(headAt(index), content(index, 2000)));
    }
    await store.retain(1, 20);
    assert.deepEqual(
      store.complete.map(({ index }) => index),
      [20, 30, 40],
    );
  });

  it("drops a receive that a complete snapshot has overtaken, and no other", async () => {
    const meta = await peerSnapshot(new TreeDisk(), 40, content(1, 2000));
    const disk = new TreeDisk();
    const { store } = await openStore(disk);
    await store.storeChunk(meta, 0, chunkOf(meta, content(1, 2000), 0));
    await store.take(headAt(39), sourceOf(headAt(39), content(2, 100)));
    await store.retain(1);
    assert.equal(await store.storeChunk(meta, 2, new Uint8Array(600)), 1);
    await store.take(headAt(41), sourceOf(headAt(41), content(2, 100)));
    await store.retain(1);
    assert.equal(await store.storeChunk(meta, 1, new Uint8Array(700)), 0);
    assert.equal((await disk.list(ROOT)).length, 1);
  });
});

test("the real disk does the same", async () => {
  const directory = await mkdtemp(join(tmpdir(), "hearth-snapshot-"));
  try {
    const bytes = content(5, 10_000);
    const options = { ...SMALL, directory };
    const { store } = await openStore(NODE_FILES, options);
    const first = await store.take(headAt(7), sourceOf(headAt(7), bytes));
    const meta = await peerSnapshot(new TreeDisk(), 40, bytes);
    await store.storeChunk(meta, 0, chunkOf(meta, bytes, 0));
    const again = await openStore(NODE_FILES, options);
    assert.deepEqual(again.store.complete, [first]);
    assert.equal(again.lines[0]?.message, "goes on receiving a snapshot");
    assert.equal(await receiveRest(again.store, meta, bytes), true);
    await again.store.retain(1);
    assert.deepEqual(await NODE_FILES.list(join(directory, "snapshots")), [
      `0000000000000040-0000000000000001-${meta.id}`,
    ]);
    assert.deepEqual(await readAll(again.store.open(meta)), Buffer.from(bytes));
  } finally {
    await rm(directory, { recursive: true });
  }
});

test("an unusable directory is named", async () => {
  // Below a file: no directory can be made there.
  const options = { ...SMALL, directory: fileURLToPath(import.meta.url) };
  await assert.rejects(openStore(NODE_FILES, options), (error: Error) =>
    error.message.startsWith(`Cannot write snapshot ${options.directory}/snapshots: ENOTDIR`),
  );
});
