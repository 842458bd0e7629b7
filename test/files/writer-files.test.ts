/** The real disk with a thread for the writes of a log. */

import assert from "node:assert/strict";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { type DiskFile, WriterFiles } from "../../src/files/index.ts";

describe("writes by a thread of their own", () => {
  let directory = "";
  before(async () => {
    directory = await mkdtemp(join(tmpdir(), "hearth-writer-"));
  });
  after(() => rm(directory, { recursive: true }));

  function write(file: DiskFile, bytes: Uint8Array, position: number): Promise<number> {
    return new Promise((resolve, reject) => {
      file.write(bytes, { start: 0, end: bytes.length }, position, (error, writtenBytes) => {
        if (error === null) resolve(writtenBytes);
        else reject(error);
      });
    });
  }

  test("end in the order in which they were asked for, and leave what was asked for", async () => {
    const files = new WriterFiles();
    const path = join(directory, "order");
    const file = await files.open(path, "create");
    const memories = [1, 2, 3].map((value) => files.allocate(50_000).fill(value));
    const ended: number[] = [];
    for (let round = 0; round < 40; round++) {
      const writes = memories.map(async (bytes, i) => {
        assert.ok(file.queues?.(bytes));
        assert.equal(await write(file, bytes, i * 25_000), 50_000);
        ended.push(i);
      });
      await Promise.all(writes);
    }
    assert.deepEqual(
      ended,
      Array.from({ length: 120 }, (_, n) => n % 3),
    );
    const found = await readFile(path);
    assert.equal(found.length, 100_000);
    for (let at = 0; at < found.length; at += 1000)
      assert.equal(found[at], Math.min(3, 1 + Math.floor(at / 25_000)), `at ${at}`);
    await file.close();
    await files.close();
  });

  test("of other memory are made as ever, and are not for a line", async () => {
    const files = new WriterFiles();
    const path = join(directory, "other");
    const file = await files.open(path, "create");
    const bytes = new Uint8Array(1000).fill(9);
    assert.equal(file.queues?.(bytes), false);
    assert.equal(await write(file, bytes, 0), 1000);
    const other = new WriterFiles();
    assert.equal(file.queues?.(other.allocate(1000)), false);
    assert.deepEqual(await readFile(path), Buffer.from(bytes));
    await file.close();
    await files.close();
    await other.close();
  });

  test("fail with the one before them, untried", async () => {
    const files = new WriterFiles();
    const path = join(directory, "failing");
    const good = await files.open(path, "create");
    const bad = await files.open(path, "read");
    const memory = files.allocate(4096).fill(1);
    await write(good, memory, 0);
    const results = await Promise.allSettled([
      write(good, memory, 4096),
      write(bad, memory, 8192),
      write(good, memory, 12_288),
    ]);
    assert.deepEqual(
      results.map((result) => (result.status === "fulfilled" ? "done" : result.reason.code)),
      ["done", "EBADF", "EBADF"],
    );
    await assert.rejects(write(good, memory, 16_384), { code: "EBADF" }, "and all later ones");
    // Long enough for a write that nobody should make.
    await delay(100);
    assert.equal((await readFile(path)).length, 8192);
    await good.close();
    await bad.close();
    await files.close();
  });

  test("are told later, also when they have failed", async () => {
    const files = new WriterFiles();
    const path = join(directory, "later");
    await (await files.open(path, "create")).close();
    const file = await files.open(path, "read");
    const memory = files.allocate(4096);
    for (let i = 0; i < 2; i++) {
      let hasReturned = false;
      const error = new Promise<Error | null>((resolve) => {
        file.write(memory, { start: 0, end: 4096 }, 0, (failure) => {
          assert.ok(hasReturned);
          resolve(failure);
        });
        hasReturned = true;
      });
      assert.equal(((await error) as NodeJS.ErrnoException).code, "EBADF");
    }
    await file.close();
    await files.close();
  });
});
