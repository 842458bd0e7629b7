/** What is on the disk when the trust mark says so: the mark is believed after a power cut, too. */

import assert from "node:assert/strict";
import fs, { mkdtempSync, readFileSync, rmSync, statSync } from "node:fs";
import { open as openHandle } from "node:fs/promises";
import { syncBuiltinESMExports } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { mock, test } from "node:test";
import { INDEX_DATABASE_DEFAULTS, IndexDatabase } from "../../src/db/index.ts";

interface Sync {
  readonly inode: number;
  /** What the mark said by then; null: there was none. */
  readonly isClean: boolean | null;
}

/** Notes every sync of a file or directory, and lets it happen. */
async function watchSyncs(directory: string) {
  const syncs: Sync[] = [];
  const note = (inode: number): void => {
    let isClean: boolean | null = null;
    try {
      const mark = readFileSync(join(directory, "trust.json"), "utf8");
      isClean = (JSON.parse(mark) as { clean: boolean }).clean;
    } catch {
      // Not written yet.
    }
    syncs.push({ inode, isClean });
  };
  const { fsyncSync } = fs;
  mock.method(fs, "fsyncSync", (fd: number) => {
    const found = fs.fstatSync(fd);
    // Node.js may write the mark itself through this one, too.
    if (found.isDirectory()) note(found.ino);
    fsyncSync(fd);
  });
  syncBuiltinESMExports();
  const handle = await openHandle(directory, "r");
  type Handle = typeof handle;
  const prototype = Object.getPrototypeOf(handle) as Handle;
  await handle.close();
  const { sync } = prototype;
  mock.method(prototype, "sync", async function (this: Handle) {
    note((await this.stat()).ino);
    await sync.call(this);
  });
  return syncs;
}

test("content is synced before it is marked as clean, and the mark before content changes", async () => {
  const directory = mkdtempSync(join(tmpdir(), "hearth-syncs-"));
  try {
    const syncs = await watchSyncs(directory);
    const inodeOf = (...names: string[]): number => statSync(join(directory, ...names)).ino;
    const db = IndexDatabase.open({ ...INDEX_DATABASE_DEFAULTS, directory, role: "writer" });
    assert.deepEqual(syncs, [{ inode: inodeOf(), isClean: false }]);
    db.write(() => db.put("blocks", new Uint8Array(4), new Uint8Array(8)));
    syncs.length = 0;
    await db.close();
    assert.deepEqual(syncs, [
      { inode: inodeOf("lmdb", "data.mdb"), isClean: false },
      { inode: inodeOf("lmdb"), isClean: false },
      { inode: inodeOf(), isClean: true },
    ]);
  } finally {
    mock.restoreAll();
    syncBuiltinESMExports();
    rmSync(directory, { recursive: true });
  }
});
