/** What is said of a commit that failed. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { HearthError } from "../../src/base/index.ts";
import { explainWriteError } from "../../src/db/write-error.ts";

const IO_ERROR = new Error("Input/output error");

test("an error on a full disk names the disk and keeps what LMDB said", () => {
  const explained = explainWriteError(IO_ERROR, "/data/index", () => 4_096);
  assert.ok(explained instanceof Error);
  assert.equal(explained.message, "the disk of /data/index is full (Input/output error)");
  assert.equal(explained.cause, IO_ERROR);
});

test("an error with room on the disk, and one of ours, stay what they are", () => {
  assert.equal(
    explainWriteError(IO_ERROR, "/data/index", () => 2 ** 30),
    IO_ERROR,
  );
  const ours = new HearthError("data_loss", "damaged");
  assert.equal(
    explainWriteError(ours, "/data/index", () => 0),
    ours,
  );
});

test("a disk that cannot be asked explains nothing", () => {
  assert.equal(explainWriteError(IO_ERROR, "/nowhere/at/all"), IO_ERROR);
});
