/** Dictionary records and entry chunks, between the writers of a server and the readers of a peer. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { isHearthError, Prng } from "../../src/base/index.ts";
import {
  type BlockMeta,
  BlockReader,
  ByteSink,
  CHUNK_HEADROOM_BYTES,
  EntryChunkReader,
  EntryChunkWriter,
  EntryWriter,
  HeldDictionaries,
  SentDictionaries,
} from "../../src/protocol/index.ts";
import { realBlocks, wireOf } from "./support.ts";

const DICTIONARY = 7;
const MAX_BYTES = 1 << 20;

/** Records and chunk of some blocks, with the position in each block's table as string id. */
function encode(metas: readonly BlockMeta[]): { records: Uint8Array; chunk: Uint8Array } {
  const sent = new SentDictionaries(MAX_BYTES, { records: new ByteSink() });
  const writer = new EntryChunkWriter();
  const entries = new EntryWriter();
  sent.begin(REAL);
  for (const [block, meta] of metas.entries()) {
    const ids = sent.of(DICTIONARY + block);
    for (const [id, text] of meta.stringTable.entries()) {
      const bytes = Buffer.from(text);
      if (id > 0) assert.ok(sent.tryAddString(ids, id, bytes, 0, bytes.length));
    }
    for (const [key, { tenant, name, labels }] of meta.datasets.entries()) {
      const ints = Int32Array.of(tenant, name, ...labels);
      assert.ok(sent.tryAddKey(ids, key, ints, 0, ints.length));
    }
    const keys = Uint32Array.from(meta.datasets.keys());
    const { tenant, createdBy } = meta;
    const bytes = entries.write(new BlockReader().reset(wireOf(meta)), { tenant, createdBy, keys });
    writer.addEntry(DICTIONARY + block, bytes);
  }
  const records = sent.takeRecords();
  assert.ok(records !== null);
  return { records: records.slice(), chunk: writer.finish(42).copy(CHUNK_HEADROOM_BYTES) };
}

function held(records: Uint8Array, maxBytes = MAX_BYTES): HeldDictionaries {
  return new HeldDictionaries(maxBytes).receive(records);
}

const REAL = realBlocks()
  .slice(0, 4)
  .map(({ meta }) => meta);

test("blocks come out of an entry chunk in place", () => {
  const { records, chunk } = encode(REAL);
  const reader = new EntryChunkReader(chunk, held(records));
  assert.equal(reader.appliedIndex, 42);
  assert.equal(reader.blockCount, REAL.length);
  for (const [i, meta] of REAL.entries()) {
    const block = reader.block(i);
    assert.equal(block.id, meta.id);
    assert.equal(block.createdBy, meta.stringTable[meta.createdBy]);
    assert.equal(block.datasetCount, meta.datasets.length);
    for (const [row, dataset] of meta.datasets.entries()) {
      const view = block.dataset(row);
      assert.equal(view.name, meta.stringTable[dataset.name]);
      assert.equal(view.tenant, meta.stringTable[dataset.tenant]);
      assert.equal(view.sizeBytes, dataset.sizeBytes);
      assert.equal(view.format, dataset.format);
      assert.deepEqual(view.tableOfContents, dataset.tableOfContents);
      assert.deepEqual([...view.labelInts], dataset.labels);
    }
    assert.throws(() => block.dataset(meta.datasets.length), RangeError);
  }
  assert.throws(() => reader.block(REAL.length), RangeError);
});

test("a chunk that refers to what was not sent is refused", () => {
  const { records, chunk } = encode(REAL);
  assert.throws(() => new EntryChunkReader(chunk, new HeldDictionaries(MAX_BYTES)), isHearthError);
  const forgotten = new Uint8Array(16);
  const before = held(records);
  const after = before.receive(forgotten);
  assert.notEqual(after, before);
  assert.throws(() => new EntryChunkReader(chunk, after), isHearthError);
  // What came before the word to forget keeps what it came with.
  assert.equal(new EntryChunkReader(chunk, before).block(0).toBlockMeta().id, REAL[0]?.id);
});

test("another database is other ids: everything is forgotten first", () => {
  const sent = new SentDictionaries(MAX_BYTES, { records: new ByteSink() });
  const add = (database: object, text: string): Uint8Array | null => {
    sent.begin(database);
    const ids = sent.of(1);
    const bytes = Buffer.from(text);
    if (!ids.hasString(5)) sent.tryAddString(ids, 5, bytes, 0, bytes.length);
    return sent.takeRecords()?.slice() ?? null;
  };
  const [one, other] = [{}, {}];
  const first = held(add(one, "a") as Uint8Array);
  assert.equal(add(one, "a"), null);
  const second = first.receive(add(other, "b") as Uint8Array);
  assert.equal(first.dictionary(1).text(5), "a");
  assert.equal(second.dictionary(1).text(5), "b");
});

test("records beyond the agreed bound, sent twice or without their strings are refused", () => {
  const { records } = encode(REAL);
  assert.throws(() => held(records, 1_000), /more records than agreed/);
  assert.throws(() => held(records).receive(records), /sent twice/);
  const key = Uint8Array.from(Buffer.alloc(32));
  const words = new Uint32Array(key.buffer);
  words.set([2, DICTIONARY, 1, 2, 5, 6]);
  assert.throws(() => held(key), /string 5 was not sent/);
  words[0] = 9;
  assert.throws(() => held(key), /kind 9/);
});

test("damaged records and chunks give typed errors, never a read outside of them", () => {
  const { records, chunk } = encode(REAL);
  const random = new Prng(20261122);
  const intact = held(records);
  let refused = 0;
  for (let round = 0; round < 20_000; round++) {
    const isChunk = round % 2 === 0;
    const good = isChunk ? chunk : records;
    const bytes = good.slice(
      0,
      random.nextInt(8) === 0 ? random.nextInt(good.length + 1) : good.length,
    );
    for (let i = random.nextInt(3); i >= 0 && bytes.length > 0; i--) {
      bytes[random.nextInt(bytes.length)] = [0, 1, 0x7f, 0xff, random.nextInt(256)][
        random.nextInt(5)
      ] as number;
    }
    try {
      const of = isChunk ? intact : held(bytes);
      for (const block of new EntryChunkReader(isChunk ? bytes : chunk, of)) block.toBlockMeta();
    } catch (error) {
      assert.ok(isHearthError(error), `round ${round}: ${String(error)}`);
      refused++;
    }
  }
  assert.ok(refused > 3_000, `${refused} refused`);
});
