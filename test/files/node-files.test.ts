/** Writes to the real disk, awaited by another thread and in place. */

import assert from "node:assert/strict";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { NODE_FILES, writeFully } from "../../src/files/index.ts";

describe("writes to the real disk", () => {
  let directory = "";
  before(async () => {
    directory = await mkdtemp(join(tmpdir(), "hearth-files-"));
  });
  after(() => rm(directory, { recursive: true }));

  const bytes = Uint8Array.from({ length: 3000 }, (_, i) => i % 251);
  const range = { start: 100, end: 2100 };

  test("one in place has ended when the call returns, any other has not", async () => {
    const path = join(directory, "file");
    const file = await NODE_FILES.open(path, "create");
    let ended = 0;
    const done = (error: Error | null): void => {
      assert.equal(error, null);
      ended += 1;
    };
    writeFully(file, bytes, range, 7, done, true);
    assert.equal(ended, 1);
    assert.deepEqual((await readFile(path)).subarray(7), Buffer.from(bytes.subarray(100, 2100)));
    await new Promise<void>((resolve) => {
      writeFully(file, bytes, range, 2007, (error) => {
        done(error);
        resolve();
      });
      assert.equal(ended, 1);
    });
    assert.equal((await readFile(path)).length, 4007);
    await file.close();
  });

  test("an error is told later, in place as well", async () => {
    await (await NODE_FILES.open(join(directory, "other"), "create")).close();
    const file = await NODE_FILES.open(join(directory, "other"), "read");
    for (const inPlace of [false, true]) {
      let hasReturned = false;
      const error = await new Promise<Error | null>((resolve) => {
        const done = (failure: Error | null): void => {
          assert.ok(hasReturned);
          resolve(failure);
        };
        writeFully(file, bytes, range, 0, done, inPlace);
        hasReturned = true;
      });
      assert.equal((error as NodeJS.ErrnoException).code, "EBADF");
    }
    await file.close();
  });
});
