/** Bytes that changed, files that are gone, disks that fail: never a wrong snapshot, always an answer with a path. */

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { isHearthError } from "../../src/base/index.ts";
import type { SnapshotMeta } from "../../src/raft/index.ts";
import type { SnapshotFiles } from "../../src/snapshot/index.ts";
import { decodeHashRecords, encodeHashRecords } from "../../src/snapshot/hashes.ts";
import { decodeHead, encodeHead } from "../../src/snapshot/meta.ts";
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
import { errorOf, TreeDisk } from "./support/tree-disk.ts";

const BYTES = content(3, 190);
const TINY = { ...SMALL, chunkBytes: 64 };
const FILES = ["data", "hashes", "head"] as const;

async function twoSnapshots(): Promise<{
  disk: TreeDisk;
  older: SnapshotMeta;
  newer: SnapshotMeta;
}> {
  const disk = new TreeDisk();
  const { store } = await openStore(disk, TINY);
  const older = await store.take(headAt(5), sourceOf(headAt(5), content(9, 100)));
  const newer = await store.take(headAt(8), sourceOf(headAt(8), BYTES));
  return { disk, older, newer };
}

function pathOf(meta: SnapshotMeta): string {
  return `${ROOT}/000000000000000${meta.index}-0000000000000001-${meta.id}`;
}

/** The newer snapshot must not come out with other bytes, and the older one must still be whole. */
async function checkDamage(
  disk: TreeDisk,
  older: SnapshotMeta,
  newer: SnapshotMeta,
  name: string,
): Promise<void> {
  const { store, lines } = await openStore(disk, TINY);
  if (store.latest?.id === newer.id) {
    await assert.rejects(readAll(store.open(newer)), { reason: "snapshot_damaged" }, name);
    assert.equal(await store.readChunk(newer.id, 0), null, name);
  }
  assert.deepEqual(store.latest, older, `${name}: the older one takes its place`);
  const line = lines.find(({ level }) => level === "error");
  assert.equal(line?.fields?.path, pathOf(newer), `${name}: the log names it`);
  assert.deepEqual(await readAll(store.open(older)), Buffer.from(content(9, 100)), name);
  const again = await openStore(disk, TINY);
  assert.deepEqual([again.store.latest, again.lines], [older, []], `${name}: said once`);
  assert.equal(disk.openFiles, 0, name);
}

describe("damage", () => {
  for (const file of FILES) {
    it(`every flipped bit of ${file} is noticed`, async () => {
      const { disk, older, newer } = await twoSnapshots();
      const whole = disk.bytesOf(`${pathOf(newer)}/${file}`).slice();
      for (let at = 0; at < whole.length; at++) {
        const flipped = whole.slice();
        flipped[at] = (flipped[at] ?? 0) ^ (1 << (at % 8));
        const copy = new TreeDisk(disk.operations);
        copy.replace(`${pathOf(newer)}/${file}`, flipped);
        await checkDamage(copy, older, newer, `${file} byte ${at}`);
      }
    });

    it(`every cut of ${file} and every byte more is noticed`, async () => {
      const { disk, older, newer } = await twoSnapshots();
      const whole = disk.bytesOf(`${pathOf(newer)}/${file}`).slice();
      const longer = new Uint8Array(whole.length + 1);
      longer.set(whole);
      for (let end = 0; end <= longer.length; end++) {
        if (end === whole.length) continue;
        const copy = new TreeDisk(disk.operations);
        copy.replace(`${pathOf(newer)}/${file}`, longer.slice(0, end));
        await checkDamage(copy, older, newer, `${file} of ${end} bytes`);
      }
    });

    it(`a missing ${file} is noticed`, async () => {
      const { disk, older, newer } = await twoSnapshots();
      await disk.remove(`${pathOf(newer)}/${file}`);
      await checkDamage(disk, older, newer, file);
    });
  }

  it("every flip of every bit of a head is refused", async () => {
    const { newer } = await twoSnapshots();
    const head = encodeHead(newer);
    assert.deepEqual(decodeHead(head), { ok: true, meta: newer });
    for (let bit = 0; bit < head.length * 8; bit++) {
      const flipped = head.slice();
      flipped[bit >> 3] = (flipped[bit >> 3] ?? 0) ^ (1 << (bit & 7));
      const result = decodeHead(flipped);
      assert.ok(!result.ok && result.version === null, `bit ${bit}`);
    }
  });

  it("files of one snapshot under the name of another are refused", async () => {
    const { disk, older, newer } = await twoSnapshots();
    for (const file of FILES) {
      disk.replace(`${pathOf(newer)}/${file}`, disk.bytesOf(`${pathOf(older)}/${file}`));
    }
    await checkDamage(disk, older, newer, "copied");
  });

  it("data and hashes of another snapshot under its head are refused", async () => {
    const { disk, older, newer } = await twoSnapshots();
    const other = new TreeDisk();
    const { store } = await openStore(other, TINY);
    const twin = await store.take(headAt(8), sourceOf(headAt(8), content(4, BYTES.length)));
    for (const file of ["data", "hashes"] as const) {
      disk.replace(`${pathOf(newer)}/${file}`, other.bytesOf(`${pathOf(twin)}/${file}`));
    }
    await checkDamage(disk, older, newer, "swapped");
  });

  it("random bytes as head or hashes are refused, not thrown over", () => {
    for (let seed = 0; seed < 2000; seed++) {
      const bytes = content(seed, seed % 200);
      assert.equal(decodeHead(bytes).ok, false);
      assert.equal(decodeHashRecords(bytes).length, 0);
    }
    const records = encodeHashRecords([content(1, 32), content(2, 32)], 0);
    assert.equal(decodeHashRecords(records).length, 2);
    assert.equal(decodeHashRecords(records.subarray(40)).length, 0, "not the first");
  });

  it("keeps only so many damaged ones", async () => {
    const disk = new TreeDisk();
    const { store } = await openStore(disk, TINY);
    for (const index of [1, 2, 3, 4, 5]) {
      const meta = await store.take(headAt(index), sourceOf(headAt(index), BYTES));
      disk.replace(`${pathOf(meta)}/data`, new Uint8Array(190));
      await assert.rejects(readAll(store.open(meta)), { reason: "snapshot_damaged" });
      assert.equal(store.latest, null);
    }
    const names = await disk.list(ROOT);
    assert.equal(names.length, 1);
    assert.match(names[0] ?? "", /^0000000000000005-.*\.damaged$/);
  });

  it("a later format is refused and left alone", async () => {
    const { disk, newer } = await twoSnapshots();
    const { crc32c } = await import("@node-rs/crc32");
    const crc = crc32c(new TextEncoder().encode("{}"), 2).toString(16).padStart(8, "0");
    const head = new TextEncoder().encode(`hearth-snapshot 2 ${crc} 2\n{}\n`);
    disk.replace(`${pathOf(newer)}/head`, head);
    await assert.rejects(openStore(disk, TINY), { reason: "snapshot_version_unsupported" });
    assert.equal((await disk.list(ROOT)).length, 2);
  });
});

/** What the owner does over time; each step tells what it was promised. */
async function work(store: SnapshotFiles, peer: SnapshotMeta, done: string[]): Promise<void> {
  await store.take(headAt(5), sourceOf(headAt(5), content(9, 100)));
  done.push("taken");
  await store.storeChunk(peer, 0, chunkOf(peer, BYTES, 0));
  assert.equal(await receiveRest(store, peer, BYTES), true);
  done.push("received");
  await store.retain(1);
}

describe("a disk that fails", () => {
  it("every failing change ends the store, and the next start has what was promised", async () => {
    const peer = await peerSnapshot(new TreeDisk(), 8, BYTES);
    const probe = new TreeDisk();
    await work((await openStore(probe)).store, peer, []);
    for (let at = 0; at < probe.changes; at++) {
      const disk = new TreeDisk();
      disk.fault = (change, path) => (change === at ? errorOf("EIO", path) : "none");
      const done: string[] = [];
      const opened = await openStore(disk).catch((error: unknown) => error);
      if (!("store" in (opened as object))) {
        assert.equal(reasonOf(opened), "snapshot_write_failed", `change ${at}`);
        continue;
      }
      const { store } = opened as { store: SnapshotFiles };
      const error: unknown = await work(store, peer, done).then(
        () => null,
        (reason: unknown) => reason,
      );
      assert.ok(isHearthError(error), `change ${at}: ${String(error)}`);
      assert.equal(error.reason, "snapshot_write_failed", `change ${at}`);
      assert.match(error.message, /\/data\/snapshots/, `change ${at} names the path`);
      const { changes } = disk;
      const take = store.take(headAt(9), sourceOf(headAt(9), BYTES));
      await assert.rejects(take, error, "nothing is tried again");
      await assert.rejects(store.storeChunk(peer, 0, chunkOf(peer, BYTES, 0)), error);
      await assert.rejects(store.retain(1), error);
      assert.equal(disk.changes, changes, `change ${at}: nothing more is written`);
      assert.equal(disk.openFiles, 0, `change ${at}: files are closed`);
      disk.fault = () => "none";
      const again = await openStore(disk);
      const indexes = again.store.complete.map(({ index }) => index);
      if (done.includes("received")) assert.ok(indexes.includes(8), `change ${at}`);
      else if (done.includes("taken")) assert.ok(indexes.includes(5), `change ${at}`);
      await work(again.store, peer, []);
      assert.equal(again.store.latest?.id, peer.id);
    }
  });

  it("a full disk fails the call alone, and what was begun makes room", async () => {
    const peer = await peerSnapshot(new TreeDisk(), 8, BYTES);
    const probe = new TreeDisk();
    const probed = await openStore(probe);
    const first = probe.changes;
    await work(probed.store, peer, []);
    let refusals = 0;
    for (let at = first; at < probe.changes; at++) {
      const disk = new TreeDisk();
      // Room is made by removing and renaming, so only what needs room fails.
      let isNext = false;
      disk.fault = (change, path) => {
        isNext ||= change === at;
        if (!isNext || !/\/(data|head|hashes)$/.test(path)) return "none";
        isNext = false;
        return errorOf("ENOSPC", path);
      };
      const { store } = await openStore(disk);
      const error: unknown = await work(store, peer, []).then(
        () => null,
        (reason: unknown) => reason,
      );
      if (error === null) continue;
      assert.equal(reasonOf(error), "snapshot_disk_full", `change ${at}`);
      refusals++;
      const left = (await disk.list(ROOT)).filter((name) => name.includes("partial"));
      assert.deepEqual(left, [], `change ${at}: room was made`);
      await work(store, peer, []);
      assert.equal(store.latest?.id, peer.id, `change ${at}: the store lives on`);
      assert.equal(disk.openFiles, 0);
    }
    assert.ok(refusals > 10, `${refusals} refusals`);
  });

  it("short writes are finished", async () => {
    const peer = await peerSnapshot(new TreeDisk(), 8, BYTES);
    const disk = new TreeDisk();
    disk.fault = (change) => (change % 2 === 0 ? "short" : "none");
    const { store } = await openStore(disk);
    await work(store, peer, []);
    disk.fault = () => "short";
    await work(store, peer, []);
    assert.deepEqual(await readAll(store.open(peer)), Buffer.from(BYTES));
  });

  it("a failing read fails the call alone, with the path", async () => {
    const peer = await peerSnapshot(new TreeDisk(), 8, BYTES);
    const probe = new TreeDisk();
    const { store: probed } = await openStore(probe);
    const first = probe.reads;
    await work(probed, peer, []);
    await readAll(probed.open(peer));
    for (let at = first; at < probe.reads; at++) {
      const disk = new TreeDisk();
      disk.readFault = (read, path) => (read === at ? errorOf("EIO", path) : null);
      const { store } = await openStore(disk);
      const error: unknown = await work(store, peer, [])
        .then(() => readAll(store.open(peer)))
        .then(
          () => null,
          (reason: unknown) => reason,
        );
      assert.equal(disk.openFiles, 0, `read ${at}`);
      // The last reads only make room after something else failed, or are repeated by what follows.
      if (error === null) continue;
      assert.match(reasonOf(error), /^snapshot_(read|write)_failed$/, `read ${at}: ${error}`);
      assert.match(String(error), /\/data\/snapshots/, `read ${at}`);
    }
  });
});
