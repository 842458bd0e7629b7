/** A small file that is replaced: whole, and durable with its name. */

import assert from "node:assert/strict";
import fs, { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { syncBuiltinESMExports } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, afterEach, before, describe, it, mock } from "node:test";
import { replaceFile } from "../../src/files/index.ts";

describe("a small file that is replaced", () => {
  let directory = "";
  let path = "";
  before(() => {
    directory = mkdtempSync(join(tmpdir(), "hearth-replace-"));
    path = join(directory, "mark.json");
  });
  afterEach(() => {
    mock.restoreAll();
    syncBuiltinESMExports();
  });
  after(() => rmSync(directory, { recursive: true }));

  it("holds the new text, also over what a crash has left aside, and leaves nothing beside it", () => {
    writeFileSync(`${path}.new`, "half of a lo");
    replaceFile(path, "first");
    replaceFile(path, "second");
    assert.equal(readFileSync(path, "utf8"), "second");
    assert.deepEqual(readdirSync(directory), ["mark.json"]);
  });

  it("has its name on the disk before the call returns", () => {
    const steps: string[] = [];
    const { fsyncSync, renameSync } = fs;
    mock.method(fs, "fsyncSync", (fd: number) => {
      steps.push(fs.fstatSync(fd).isDirectory() ? "sync of the directory" : "sync of the file");
      fsyncSync(fd);
    });
    mock.method(fs, "renameSync", (from: string, to: string) => {
      steps.push("rename");
      renameSync(from, to);
    });
    syncBuiltinESMExports();
    replaceFile(path, "third");
    // Node.js may sync the content by a way of its own.
    assert.deepEqual(
      steps.filter((step) => step !== "sync of the file"),
      ["rename", "sync of the directory"],
    );
  });

  it("stays as it was when the new one cannot be written", () => {
    replaceFile(path, "good");
    mock.method(fs, "writeFileSync", () => {
      throw Object.assign(new Error("ENOSPC: no space left on device"), { code: "ENOSPC" });
    });
    syncBuiltinESMExports();
    assert.throws(() => replaceFile(path, "lost"), { code: "ENOSPC" });
    assert.equal(readFileSync(path, "utf8"), "good");
  });
});
