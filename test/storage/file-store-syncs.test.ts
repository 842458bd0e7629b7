/** What a directory bucket syncs before it answers: a power cut must not take away what it acknowledged. */

import assert from "node:assert/strict";
import { mkdtempSync, rmSync, statSync } from "node:fs";
import { open } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { mock, test } from "node:test";
import { FileObjectStore } from "../../src/storage/file/file-store.ts";

test("a new object is synced with every directory that was made for it", async () => {
  const root = mkdtempSync(join(tmpdir(), "hearth-bucket-"));
  const handle = await open(root, "r");
  type Handle = typeof handle;
  const prototype = Object.getPrototypeOf(handle) as Handle;
  await handle.close();
  const { sync } = prototype;
  const synced = new Set<number>();
  mock.method(prototype, "sync", async function (this: Handle) {
    synced.add((await this.stat()).ino);
    await sync.call(this);
  });
  try {
    const store = new FileObjectStore({ directory: root });
    await store.put("a/b/c", new Uint8Array(3));
    for (const path of ["", "a", "a/b", "a/b/c"])
      assert.ok(synced.has(statSync(join(root, path)).ino), `"${path}" is synced`);
    await store.close();
  } finally {
    mock.restoreAll();
    rmSync(root, { recursive: true });
  }
});
