import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { type BoltRecord, readBolt } from "../../../src/cli/go-snapshot/bolt-file.ts";
import type { DiskFile } from "../../../src/files/index.ts";
import { boltBytes, PAGE_BYTES } from "./fixture.ts";

const DAMAGED = { code: "data_loss", reason: "bolt_damaged" };
const NOT_BOLT = { code: "invalid_argument", reason: "not_bolt" };
const BRANCH = 1;
const OVERFLOWING = 3;

describe("a BoltDB file", () => {
  it("is read in the order of its keys, with buckets in buckets and long values", async () => {
    const records = await readAll(boltBytes("state"));
    const buckets = records.filter(({ key }) => key === null).map(({ path }) => path.join("/"));
    assert.deepEqual(buckets, [
      "compaction_block_queue",
      "compaction_job_plan",
      "nested",
      "nested/inner",
      "tombstones",
    ]);
    const queue = keysOf(records, "compaction_block_queue");
    assert.equal(queue.length, 199);
    assert.deepEqual(queue, [...queue].sort());
    const inner = records.filter(({ path, key }) => path[1] === "inner" && key !== null);
    assert.deepEqual(
      inner.map(({ value }) => value.length),
      [3_000, 1],
    );
  });

  it("is read as of the transaction before when the newer meta page is torn", async () => {
    const bytes = boltBytes("state");
    const newer = newerMeta(bytes);
    bytes.fill(0xff, newer + 70, newer + 72);
    assert.equal(keysOf(await readAll(bytes), "compaction_block_queue").length, 200);
    bytes.fill(0xff, PAGE_BYTES - newer + 70, PAGE_BYTES - newer + 72);
    await assert.rejects(readAll(bytes), NOT_BOLT);
  });

  it("is told from other files", async () => {
    for (const bytes of [Buffer.alloc(0), Buffer.alloc(100), Buffer.alloc(9_000, "hearth")])
      await assert.rejects(readAll(bytes), NOT_BOLT, `${bytes.length} bytes`);
  });

  it("is refused where it was cut, after what came before", async () => {
    const whole = boltBytes("state");
    const outcomes = new Set<string>();
    for (let end = 0; end < whole.length; end += PAGE_BYTES / 2)
      outcomes.add(await outcome(whole.subarray(0, end)));
    assert.deepEqual([...outcomes].sort(), ["bolt_damaged", "not_bolt", "read"]);
  });

  it("is never walked in a circle", async () => {
    const bytes = boltBytes("state");
    const at = pageOf(bytes, (flags) => flags === BRANCH);
    bytes.copy(bytes, at + 16 + 16 + 8, at + 16 + 8, at + 16 + 16);
    await assert.rejects(readAll(bytes), { ...DAMAGED, message: /page \d+ is met twice/ });
  });

  it("gives no memory for a page that only claims to be long", async () => {
    const bytes = boltBytes("state");
    const at = pageOf(bytes, (_, overflow) => overflow === OVERFLOWING - 1);
    bytes.writeUInt32LE(0xffff_ffff, at + 12);
    await assert.rejects(readAll(bytes), { ...DAMAGED, message: /goes on behind the file/ });
  });

  it("is read or refused, never worse, whatever bytes are changed", async () => {
    const whole = boltBytes("state");
    const change = fc.record({ at: fc.nat(whole.length - 1), to: fc.nat(255) });
    const changes = fc.array(change, { minLength: 1, maxLength: 40 });
    await fc.assert(
      fc.asyncProperty(changes, async (list) => {
        const bytes = Buffer.from(whole);
        // The meta pages stay: their checksums would refuse nearly every file.
        for (const { at, to } of list) bytes[Math.max(2 * PAGE_BYTES, at)] = to;
        await outcome(bytes);
      }),
      { numRuns: 300 },
    );
  });
});

async function readAll(bytes: Buffer): Promise<BoltRecord[]> {
  const records: BoltRecord[] = [];
  for await (const record of readBolt(inMemory(bytes))) records.push(record);
  return records;
}

/** "read", or the reason of a refusal; other errors are thrown. */
async function outcome(bytes: Buffer): Promise<string> {
  try {
    await readAll(bytes);
    return "read";
  } catch (error) {
    const { reason } = error as { reason?: string };
    if (reason !== "bolt_damaged" && reason !== "not_bolt") throw error;
    return reason;
  }
}

function keysOf(records: readonly BoltRecord[], bucket: string): string[] {
  const found: string[] = [];
  for (const { path, key } of records)
    if (path[0] === bucket && key !== null) found.push(Buffer.from(key).toString("hex"));
  return found;
}

/** Where the page begins that counts. */
function newerMeta(bytes: Buffer): number {
  const [first, second] = [bytes.readBigUInt64LE(64), bytes.readBigUInt64LE(PAGE_BYTES + 64)];
  return first > second ? 0 : PAGE_BYTES;
}

/** Where the last page of a kind begins: the one that the newest transaction uses. */
function pageOf(bytes: Buffer, isWanted: (flags: number, overflow: number) => boolean): number {
  for (let at = bytes.length - PAGE_BYTES; at > PAGE_BYTES; at -= PAGE_BYTES)
    if (isWanted(bytes.readUInt16LE(at + 8), bytes.readUInt32LE(at + 12))) return at;
  throw new Error("the file has no such page");
}

function inMemory(bytes: Buffer): DiskFile {
  return {
    read: async (target, position) => bytes.copy(target, 0, position),
    sizeBytes: async () => bytes.length,
    close: async () => {},
    write: () => assert.fail("nothing is written"),
  };
}
