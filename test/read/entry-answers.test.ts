/** Look-ups answered with stored entries say what those answered with plan chunks say, whatever the asker holds. */

import assert from "node:assert/strict";
import { afterEach, describe, test } from "node:test";
import fc from "fast-check";
import { isHearthError } from "../../src/base/index.ts";
import {
  type BlockMeta,
  ByteSink,
  CHUNK_HEADROOM_BYTES,
  COMMAND,
  encodeBlockBatch,
  EntryChunkReader,
  HeldDictionaries,
  PlanChunkReader,
  SentDictionaries,
} from "../../src/protocol/index.ts";
import { blockArbitrary, realBlocks } from "../protocol/support.ts";
import { blockList } from "../support/engine.ts";
import { NOON, TestIndex, ulid } from "./support.ts";

/** An asker with the peer at the other end: what leaves the one is received by the other. */
class Peer {
  readonly #dictionaries: SentDictionaries;
  #held: HeldDictionaries;
  /** Entry chunks that may leave before the asker is out of credit. */
  credit = Number.POSITIVE_INFINITY;
  chunks = { entries: 0, plan: 0 };
  recordBytes = 0;
  generations = 1;

  constructor(maxBytes: number) {
    this.#dictionaries = new SentDictionaries(maxBytes, { records: new ByteSink() });
    this.#held = new HeldDictionaries(maxBytes);
  }

  get dictionaries(): SentDictionaries | null {
    return this.credit > 0 ? this.#dictionaries : null;
  }

  look(index: TestIndex, tenant: string, shard: number, blocks: readonly string[]): BlockMeta[] {
    const found: BlockMeta[] = [];
    let isEnded = false;
    const take = (isLast: boolean): void => {
      assert.equal(isEnded, false, "a chunk after the last one");
      isEnded = isLast;
    };
    const asker = {
      peer: this,
      get dictionaries(): SentDictionaries | null {
        return this.peer.dictionaries;
      },
      chunk: (chunk: Uint8Array, isLast: boolean): void => {
        take(isLast);
        this.chunks.plan++;
        for (const block of new PlanChunkReader(chunk.slice())) found.push(block.toBlockMeta());
      },
      entries: (chunk: ByteSink, isLast: boolean): void => {
        take(isLast);
        this.chunks.entries++;
        this.credit--;
        this.#receive();
        const bytes = chunk.copy(CHUNK_HEADROOM_BYTES);
        const reader = new EntryChunkReader(bytes, this.#held);
        assert.equal(reader.appliedIndex, index.state.appliedIndex);
        let datasets = 0;
        for (const block of reader) {
          found.push(block.toBlockMeta());
          datasets += block.datasetCount;
        }
        assert.equal(reader.datasetCount, datasets);
      },
    };
    index.read((engine) => engine.getBlockMetadata(blockList(tenant, shard, blocks), asker));
    assert.equal(isEnded, true, "no last chunk");
    return found;
  }

  #receive(): void {
    const records = this.#dictionaries.takeRecords();
    if (records === null) return;
    this.recordBytes += records.length;
    const held = this.#held.receive(records.slice());
    if (held !== this.#held) this.generations++;
    this.#held = held;
  }
}

let index: TestIndex | null = null;

function open(options: ConstructorParameters<typeof TestIndex>[0] = {}): TestIndex {
  index = new TestIndex(options);
  return index;
}

afterEach(async () => {
  await index?.close();
  index = null;
});

function addMetas(to: TestIndex, metas: readonly BlockMeta[]): void {
  const payload = new ByteSink();
  encodeBlockBatch(payload, metas);
  to.apply(COMMAND.addBlocks, payload.view());
}

const ownerOf = (meta: BlockMeta): string => meta.stringTable[meta.tenant] ?? "";

/** Twenty blocks of different services, whose keys and strings differ. */
function twentyBlocks(to: TestIndex): string[] {
  const ids = Array.from({ length: 20 }, (_, i) => ulid(NOON, i));
  for (const [i, id] of ids.entries()) {
    const sets = [[["service_name", `service-${i}`] as const, ["zone", `z${i % 3}`] as const]];
    to.add({ owner: "acme", id, datasets: [{ name: `service-${i}`, sets }, { name: "all" }] });
  }
  return ids;
}

describe("answers made of stored entries", () => {
  test("equal those of plan chunks, for the real blocks", () => {
    const engine = open();
    const metas = realBlocks().map(({ meta }) => meta);
    addMetas(engine, metas);
    const peer = new Peer(1 << 20);
    for (let round = 0; round < 2; round++) {
      for (const meta of metas) {
        const owner = ownerOf(meta);
        const expected = engine.get(owner, meta.shard, [meta.id]);
        assert.equal(expected.length, 1);
        assert.deepEqual(peer.look(engine, owner, meta.shard, [meta.id]), expected);
      }
    }
    assert.deepEqual(peer.chunks, { entries: 2 * metas.length, plan: 0 });
  });

  test("equal those of plan chunks, for random blocks and any bound of the peer", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.uniqueArray(blockArbitrary, { minLength: 1, maxLength: 6, selector: ({ id }) => id }),
        fc.constantFrom(64, 500, 2_000, 1 << 20),
        fc.integer({ min: 1, max: 5 }),
        async (metas, maxBytes, credit) => {
          const engine = new TestIndex({ chunkBytes: 600 });
          try {
            for (const meta of metas) addMetas(engine, [meta]);
            const peer = new Peer(maxBytes);
            for (const meta of [...metas, ...metas]) {
              const owner = ownerOf(meta);
              const ids = metas.map(({ id }) => id);
              peer.credit = credit;
              const answer = peer.look(engine, owner, meta.shard, ids);
              assert.deepEqual(answer, engine.get(owner, meta.shard, ids));
            }
          } finally {
            await engine.close();
          }
        },
      ),
      { numRuns: 60 },
    );
  });

  test("send what ids mean once, and again after everything was forgotten", () => {
    const engine = open();
    const ids = twentyBlocks(engine);
    const large = new Peer(1 << 20);
    const expected = engine.get("acme", 1, ids);
    assert.deepEqual(large.look(engine, "acme", 1, ids), expected);
    const once = large.recordBytes;
    assert.deepEqual(large.look(engine, "acme", 1, [...ids, ...ids]), [...expected, ...expected]);
    assert.equal(large.recordBytes, once);
    assert.equal(large.generations, 1);

    const small = new Peer(1_500);
    for (const [i, id] of [...ids, ...ids].entries()) {
      assert.deepEqual(small.look(engine, "acme", 1, [id]), [expected[i % ids.length]]);
    }
    assert.ok(small.generations > 3, `${small.generations} generations`);
    assert.ok(small.chunks.entries > small.chunks.plan, JSON.stringify(small.chunks));
  });

  test("go on as plan chunks where an entry chunk could not leave at once, or has no room", () => {
    const engine = open({ chunkBytes: 300 });
    const ids = twentyBlocks(engine);
    const expected = engine.get("acme", 1, ids);
    const poor = new Peer(1 << 20);
    poor.credit = 2;
    assert.deepEqual(poor.look(engine, "acme", 1, ids), expected);
    assert.equal(poor.chunks.entries, 2);
    assert.ok(poor.chunks.plan > 0);
    const tiny = new Peer(1_500);
    assert.deepEqual(tiny.look(engine, "acme", 1, ids), expected);
    assert.ok(tiny.chunks.entries > 0 && tiny.chunks.plan > 0, JSON.stringify(tiny.chunks));
  });

  test("learn what was added after the peer was told of a dictionary", () => {
    const engine = open();
    const [first] = twentyBlocks(engine) as [string];
    const peer = new Peer(1 << 20);
    peer.look(engine, "acme", 1, [first]);
    const id = ulid(NOON, 99);
    engine.add({ owner: "acme", id, datasets: [{ name: "new", sets: [[["a", "b"]]] }] });
    assert.deepEqual(peer.look(engine, "acme", 1, [id]), engine.get("acme", 1, [id]));
    engine.deleteShard("acme", 1);
    assert.deepEqual(peer.look(engine, "acme", 1, [id]), []);
    engine.add({ owner: "acme", id, datasets: [{ name: "newer", sets: [[["a", "c"]]] }] });
    assert.deepEqual(peer.look(engine, "acme", 1, [id]), engine.get("acme", 1, [id]));
  });

  test("do not count on records that an error kept from leaving", () => {
    const engine = open({ answerMaxBytes: 900 });
    const ids = twentyBlocks(engine);
    const peer = new Peer(1 << 20);
    assert.throws(
      () => peer.look(engine, "acme", 1, ids),
      (error) => isHearthError(error) && error.code === "resource_exhausted",
    );
    for (const id of ids) {
      assert.deepEqual(peer.look(engine, "acme", 1, [id]), engine.get("acme", 1, [id]));
    }
    assert.equal(peer.chunks.plan, 0);
  });

  test("of nothing are one empty chunk", () => {
    const engine = open();
    const ids = twentyBlocks(engine);
    const peer = new Peer(1 << 20);
    assert.deepEqual(peer.look(engine, "acme", 1, []), []);
    assert.deepEqual(peer.look(engine, "nobody", 1, ids), []);
    assert.deepEqual(peer.chunks, { entries: 2, plan: 0 });
  });
});
