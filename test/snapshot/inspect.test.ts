import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { NODE_FILES } from "../../src/files/index.ts";
import { inspectSnapshots, SnapshotFiles } from "../../src/snapshot/index.ts";
import { hearth } from "../cli/support.ts";
import { content, headAt, recordingLogger, SMALL, sourceOf } from "./support/harness.ts";

describe("snapshots under inspection", () => {
  let directory = "";
  const names: string[] = [];

  before(async () => {
    directory = mkdtempSync(join(tmpdir(), "hearth-snapshots-"));
    let id = 0;
    const files = await SnapshotFiles.open(
      { ...SMALL, directory },
      { files: NODE_FILES, logger: recordingLogger(), newId: () => `s${id++}` },
    );
    for (const index of [10, 20]) {
      const head = headAt(index, 3);
      await files.take(head, sourceOf(head, content(index, 2_000)));
    }
    mkdirSync(join(directory, "snapshots", "0000000000000030-0000000000000003-x.partial"));
    names.push(...(await NODE_FILES.list(join(directory, "snapshots"))));
  });
  after(() => rmSync(directory, { recursive: true }));

  it("are told, newest first, with what was begun and not ended", async () => {
    const records = await inspectSnapshots({ directory, verifiesData: true });
    assert.deepEqual(
      records.map(({ kind, name }) => [kind, name]),
      [
        ["unfinished", names[2]],
        ["snapshot", names[1]],
        ["snapshot", names[0]],
      ],
    );
    const said = await hearth(["data", "inspect", "snapshot", "--dir", directory]);
    assert.equal(said.code, 0, said.talk);
    assert.equal(
      said.out.split("\n")[2],
      `${names[1]}                20     3  2 KiB  1970-01-01T00:00:01Z       1  complete`,
    );
  });

  it("damage shows when all data is read: exit 4, and the files stay as they are", async () => {
    const path = join(directory, "snapshots", names[0] ?? "", "data");
    const bytes = readFileSync(path);
    bytes[1_000] = (bytes[1_000] ?? 0) ^ 1;
    writeFileSync(path, bytes);
    const argv = ["data", "inspect", "snapshot", "--dir", directory];
    assert.equal((await hearth(argv)).code, 0, "head and hashes are good");
    const said = await hearth([...argv, "--verify", "--json"]);
    assert.equal(said.code, 4);
    assert.equal(
      said.talk,
      "1 snapshot is damaged; the next start puts them aside and uses an older one",
    );
    const { snapshots } = JSON.parse(said.out);
    assert.deepEqual(snapshots[2], {
      kind: "problem",
      name: names[0],
      what: "chunk 1 does not fit its hash",
    });
    assert.deepEqual(await NODE_FILES.list(join(directory, "snapshots")), names);
  });

  it("a directory without any is misuse, with the setting to name", async () => {
    const empty = mkdtempSync(join(directory, "empty-"));
    const said = await hearth(["data", "inspect", "snapshot", "--dir", empty]);
    assert.equal(said.code, 2);
    assert.match(said.talk, /Name metastore\.raft\.snapshots-dir with --dir/);
  });
});
