import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { INDEX_DATABASE_DEFAULTS, IndexDatabase, KeyBuffer, keyU32 } from "../../src/db/index.ts";

function open(directory: string, role: "writer" | "reader" = "writer"): IndexDatabase {
  return IndexDatabase.open({ ...INDEX_DATABASE_DEFAULTS, directory, role });
}

async function withDirectory(body: (directory: string) => Promise<void> | void): Promise<void> {
  const directory = mkdtempSync(join(tmpdir(), "hearth-db-"));
  try {
    await body(directory);
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

async function withDatabase(body: (db: IndexDatabase) => void): Promise<void> {
  await withDirectory(async (directory) => {
    const db = open(directory);
    try {
      body(db);
    } finally {
      await db.close();
    }
  });
}

function key(...words: readonly number[]): Uint8Array {
  const buffer = new KeyBuffer(words.length * 4);
  for (const [i, word] of words.entries()) buffer.u32(i * 4, word);
  return buffer.bytes;
}

function bytesAt(db: IndexDatabase, dbKey: Uint8Array): number[] | null {
  const length = db.get("blocks", dbKey);
  return length < 0 ? null : [...db.u8.subarray(0, length)];
}

const ONE = Uint8Array.of(1);
const TWO = Uint8Array.of(2, 2);

test("a value is read back from the start of the views", () =>
  withDatabase((db) => {
    const words = new Uint8Array(new Float64Array([1.5, -2]).buffer);
    db.write(() => db.put("blocks", key(1), words));
    db.beginRead();
    assert.equal(db.get("blocks", key(1)), 16);
    assert.deepEqual([...db.f64.subarray(0, 2)], [1.5, -2]);
    assert.equal(db.get("blocks", key(2)), -1);
    db.endRead();
  }));

test("putPart stores a part of a buffer, also after the part or the buffer is another one", () =>
  withDatabase((db) => {
    const bytes = Uint8Array.of(1, 2, 3, 4, 5);
    db.write(() => {
      db.putPart("blocks", key(1), bytes, 1, 3);
      db.putPart("blocks", key(2), bytes, 0, 5);
      bytes[4] = 9;
      db.putPart("blocks", key(3), bytes, 4, 5);
      db.putPart("blocks", key(4), Uint8Array.of(7, 8), 0, 1);
      db.putPart("blocks", key(1), bytes, 4, 5);
    });
    db.beginRead();
    const stored = [1, 2, 3, 4].map((word) => bytesAt(db, key(word)));
    assert.deepEqual(stored, [[9], [1, 2, 3, 4, 5], [9], [7]]);
    db.endRead();
  }));

test("lastKey finds the highest key of a range, inside of a write transaction, too", () =>
  withDatabase((db) => {
    const last = (start: number, end: number): number | null => {
      const found = db.lastKey("blocks", key(start), key(end));
      return found === null ? null : keyU32(found, 0);
    };
    db.write(() => {
      assert.equal(last(0, 9), null);
      for (const word of [2, 5, 7]) db.put("blocks", key(word), ONE);
      assert.deepEqual(
        [last(0, 9), last(0, 7), last(0, 6), last(2, 4), last(7, 9)],
        [7, 7, 5, null, null],
      );
      db.remove("blocks", key(7));
      assert.equal(last(0, 9), 5);
    });
    db.beginRead();
    assert.deepEqual([last(0, 9), last(0, 2)], [5, 2]);
    db.endRead();
  }));

test("putNew keeps what is there", () =>
  withDatabase((db) => {
    db.write(() => {
      assert.equal(db.putNew("blocks", key(1), ONE), true);
      assert.equal(db.putNew("blocks", key(1), TWO), false);
      assert.deepEqual(bytesAt(db, key(1)), [1]);
      db.put("blocks", key(1), TWO);
      assert.deepEqual(bytesAt(db, key(1)), [2, 2]);
    });
  }));

test("remove tells whether there was something", () =>
  withDatabase((db) => {
    db.write(() => {
      db.put("blocks", key(1), new Uint8Array(0));
      assert.equal(db.has("blocks", key(1)), true);
      assert.equal(db.remove("blocks", key(1)), true);
      assert.equal(db.remove("blocks", key(1)), false);
    });
  }));

test("a write that throws changes nothing", () =>
  withDatabase((db) => {
    db.write(() => db.put("blocks", key(1), ONE));
    const failure = new Error("injected failure");
    assert.throws(
      () =>
        db.write(() => {
          db.put("blocks", key(1), TWO);
          db.put("blocks", key(2), TWO);
          throw failure;
        }),
      failure,
    );
    assert.deepEqual(bytesAt(db, key(1)), [1]);
    assert.equal(bytesAt(db, key(2)), null);
  }));

test("a scan visits keys from start to before end, until it is told to stop", () =>
  withDatabase((db) => {
    db.write(() => {
      for (const word of [1, 2, 255, 256, 70_000, 4_000_000_000]) {
        db.put("blocks", key(word, 7), Uint8Array.of(word & 255));
      }
    });
    const seen: number[] = [];
    db.scan("blocks", key(2), key(70_000), (dbKey, length) => {
      assert.equal(length, 1);
      assert.equal(db.u8[0], keyU32(dbKey, 0) & 255);
      seen.push(keyU32(dbKey, 0));
      return true;
    });
    assert.deepEqual(seen, [2, 255, 256]);
    let visits = 0;
    db.scan("blocks", key(0), key(0xffff_ffff), () => ++visits < 2);
    assert.equal(visits, 2);
  }));

test("a read transaction sees one state, the next one sees the commit in between", () =>
  withDatabase((db) => {
    db.write(() => db.put("blocks", key(1), ONE));
    db.beginRead();
    assert.deepEqual(bytesAt(db, key(1)), [1]);
    assert.throws(() => db.beginRead(), /already open/);
    assert.throws(() => db.write(() => undefined), /open read transaction/);
    db.endRead();
    assert.throws(() => db.endRead(), /No read transaction/);
    db.write(() => db.put("blocks", key(1), TWO));
    db.beginRead();
    assert.deepEqual(bytesAt(db, key(1)), [2, 2]);
    db.endRead();
  }));

test("keys order numbers as unsigned big-endian, u64 up to 2^53", () =>
  withDatabase((db) => {
    const numbers = [0, 1, 0xffff_ffff, 0x1_0000_0000, Number.MAX_SAFE_INTEGER];
    db.write(() => {
      for (const value of [...numbers].reverse()) {
        db.put("blocks", new KeyBuffer(8).u64(0, value).bytes, ONE);
      }
    });
    const seen: string[] = [];
    db.scan("blocks", new Uint8Array(8), new Uint8Array(9).fill(0xff), (dbKey) => {
      seen.push(Buffer.from(new Uint8Array(dbKey)).toString("hex"));
      return true;
    });
    assert.deepEqual(seen, [...seen].sort());
    assert.equal(seen.length, numbers.length);
  }));

test("a directory of this boot is used again, after a clean stop and without one", () =>
  withDirectory(async (directory) => {
    const first = open(directory);
    assert.equal(first.outcome, "created");
    first.write(() => first.put("blocks", key(1), ONE));
    await first.close();
    const second = open(directory);
    assert.equal(second.outcome, "reused");
    assert.deepEqual(bytesAt(second, key(1)), [1]);
    // The mark says "running": as after a crash of the process.
    const mark = readFileSync(join(directory, "trust.json"), "utf8");
    assert.equal(JSON.parse(mark).clean, false);
    await second.close();
    writeFileSync(join(directory, "trust.json"), mark);
    const third = open(directory);
    assert.equal(third.outcome, "reused");
    await third.close();
  }));

test("a directory that another boot left without a clean stop is emptied", () =>
  withDirectory(async (directory) => {
    const first = open(directory);
    first.write(() => first.put("blocks", key(1), ONE));
    await first.close();
    for (const [clean, outcome] of [
      [true, "reused"],
      [false, "discarded_unclean_machine_stop"],
    ] as const) {
      writeFileSync(join(directory, "trust.json"), JSON.stringify({ bootId: "another", clean }));
      const db = open(directory);
      assert.equal(db.outcome, outcome);
      assert.equal(db.has("blocks", key(1)), clean);
      await db.close();
    }
  }));

test("a directory without a mark or with a damaged one is emptied", () =>
  withDirectory(async (directory) => {
    for (const damage of [
      (): void => writeFileSync(join(directory, "trust.json"), "{"),
      (): void => rmSync(join(directory, "trust.json")),
    ]) {
      const before = open(directory);
      before.write(() => before.put("blocks", key(1), ONE));
      await before.close();
      damage();
      const db = open(directory);
      assert.equal(db.outcome, "created");
      assert.equal(db.has("blocks", key(1)), false);
      await db.close();
    }
  }));
