import assert from "node:assert/strict";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { DryFiles, NODE_FILES, readWhole, withFile, writeAll } from "../../src/files/index.ts";

describe("files that only look written", () => {
  let directory = "";
  before(() => {
    directory = mkdtempSync(join(tmpdir(), "hearth-dry-"));
  });
  after(() => rmSync(directory, { recursive: true }));

  async function text(files: DryFiles, name: string): Promise<string> {
    const bytes = await withFile(files, join(directory, name), "read", (file) => readWhole(file));
    return Buffer.from(bytes).toString();
  }

  it("writes, creations, removals and renames are seen, and the disk stays as it was", async () => {
    for (const name of ["a", "b", "c"]) writeFileSync(join(directory, name), `file ${name}`);
    const files = new DryFiles(NODE_FILES);
    await withFile(files, join(directory, "a"), "durable", (file) =>
      writeAll(file, Buffer.from("FILE"), 0),
    );
    await withFile(files, join(directory, "new"), "create", (file) =>
      writeAll(file, Buffer.from("x"), 3),
    );
    await files.remove(join(directory, "b"));
    await files.rename(join(directory, "c"), join(directory, "d"));
    assert.deepEqual(await files.list(directory), ["a", "d", "new"]);
    assert.equal(await text(files, "a"), "FILE a");
    assert.equal(await text(files, "new"), "\0\0\0x");
    assert.equal(await text(files, "d"), "file c");
    await assert.rejects(text(files, "b"), { code: "ENOENT" });
    await assert.rejects(text(files, "c"), { code: "ENOENT" });
    await assert.rejects(files.remove(join(directory, "b")), { code: "ENOENT" });
    await assert.rejects(files.open(join(directory, "a"), "create"), { code: "EEXIST" });
    assert.deepEqual(readdirSync(directory).sort(), ["a", "b", "c"]);
    for (const name of ["a", "b", "c"])
      assert.equal(readFileSync(join(directory, name), "utf8"), `file ${name}`);
  });

  it("a removed file may be made again, and a write shows in a file that is open already", async () => {
    const files = new DryFiles(NODE_FILES);
    await files.remove(join(directory, "a"));
    const made = await files.open(join(directory, "a"), "create");
    const other = await files.open(join(directory, "a"), "read");
    await writeAll(made, Buffer.from("again"), 0);
    assert.equal(Buffer.from(await readWhole(other)).toString(), "again");
    assert.equal(await made.sizeBytes(), 5);
    assert.equal(readFileSync(join(directory, "a"), "utf8"), "file a");
  });
});
