import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { hearth, type Said } from "../support.ts";
import { boltBytes, PAGE_BYTES } from "./fixture.ts";

describe("hearth data inspect go-snapshot", () => {
  let directory: string;
  const inspect = (name: string, bytes: Uint8Array, ...flags: string[]): Promise<Said> => {
    const path = join(directory, name);
    writeFileSync(path, bytes);
    return hearth(["data", "inspect", "go-snapshot", path, ...flags]);
  };
  before(() => {
    directory = mkdtempSync(join(tmpdir(), "hearth-go-snapshot-"));
  });
  after(() => rmSync(directory, { recursive: true }));

  it("shows queue and tombstones, and counts every bucket", async () => {
    const { code, out, talk } = await inspect("state.db", boltBytes("state"));
    assert.deepEqual({ code, talk }, { code: 0, talk: "" });
    const lines = out.split("\n");
    assert.equal(
      lines[0],
      'queue 01J8E2V3000000000000000002  tenant "tenant-a", shard 7, level 1; log index 259, 2024-09-23T00:00:00Z',
    );
    assert.deepEqual(lines.slice(199), [
      'tombstone 4f0d397b4268aca8-TA-S1-L0  2 blocks of tenant "A", shard 1; log index 9, 2024-09-23T00:00:00Z',
      'tombstone acme-S3  shard 3 of tenant "acme", 2024-09-23T00:00:00Z to 2024-09-23T06:00:00Z; log index 10, 2024-09-23T00:00:00Z',
      "BUCKET                  RECORDS      SIZE",
      "compaction_block_queue      199  11.3 KiB",
      "compaction_job_plan           0       0 B",
      "nested                        2   2.9 KiB",
      "tombstones                    2     191 B",
    ]);
  });

  it("prints one object per line for programs", async () => {
    const { out } = await inspect("state.db", boltBytes("state"), "--json");
    const records = out.split("\n").map((line) => JSON.parse(line));
    assert.deepEqual(records[0], {
      schema: "hearth/data-inspect/v1",
      kind: "block_queue_entry",
      index: 259,
      id: "01J8E2V3000000000000000002",
      appendedAtNs: "1727049600000000000",
      level: 1,
      shard: 7,
      tenant: "tenant-a",
      isExact: true,
    });
    assert.deepEqual(records[200].tombstone, {
      blocks: null,
      shard: {
        name: "acme-S3",
        timestampNs: "1727049600000000000",
        durationNs: "21600000000000",
        shard: 3,
        tenant: "acme",
      },
    });
    const { kind, name, records: count } = records.at(-1);
    assert.deepEqual({ kind, name, count }, { kind: "bucket", name: "tombstones", count: 2 });
  });

  it("goes on behind records that it cannot read, and says so", async () => {
    const { code, out, talk } = await inspect("bad.db", boltBytes("bad-records"));
    assert.deepEqual({ code, talk }, { code: 4, talk: "2 problems found" });
    assert.match(out, /^! compaction_block_queue 0000000000000fff30: .*the value has 2 bytes/m);
    assert.match(out, /^! compaction_block_queue 73686f7274: .*the key has 5 bytes/m);
    assert.match(out, /^tombstone x .*; not all of it is understood$/m);
    assert.match(out, /^compaction_block_queue +201 /m);
  });

  it("shows what comes before damage", async () => {
    const bytes = boltBytes("state");
    const at = bytes.lastIndexOf(Buffer.from("01J8E2V3000000000000000150"));
    const page = Math.floor(at / PAGE_BYTES) * PAGE_BYTES;
    bytes.fill(0, page, page + PAGE_BYTES);
    const { code, out } = await inspect("damaged.db", bytes);
    assert.equal(code, 4);
    assert.match(out, /^queue 01J8E2V3000000000000000002 /);
    assert.match(out, /^! compaction_block_queue: Cannot read the BoltDB file further: page /m);
  });

  it("refuses what is no such file, and says what to do", async () => {
    const zstd = await inspect("state.bin", Buffer.of(0x28, 0xb5, 0x2f, 0xfd, 0, 0));
    assert.equal(zstd.code, 2);
    assert.match(zstd.talk, /compressed with zstd[\s\S]*next +Decompress it first: zstd -d /);
    const other = await inspect("other.db", Buffer.from("no database"));
    assert.deepEqual([other.code, /no BoltDB file/.test(other.talk)], [2, true]);
    const line = ["data", "inspect", "go-snapshot"];
    const missing = await hearth([...line, join(directory, "missing")]);
    assert.deepEqual([missing.code, /There is no file/.test(missing.talk)], [2, true]);
    assert.deepEqual((await hearth([...line, directory])).code, 2);
    assert.match((await hearth(line)).talk, /Which file\?/);
    assert.match((await hearth(["data", "inspect", "log", "x"])).talk, /one operand too many/);
  });
});
