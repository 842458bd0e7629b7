import assert from "node:assert/strict";
import { afterEach, beforeEach, describe, it } from "node:test";
import { isHearthError } from "../../src/base/index.ts";
import { KeyBuffer } from "../../src/db/index.ts";
import { PlanChunkReader } from "../../src/protocol/index.ts";
import { QueryEngine } from "../../src/read/index.ts";
import { planAsker } from "../support/engine.ts";
import { blockOf, HOUR, isCode, NOON, service, TestIndex, ulid } from "./support.ts";

let index: TestIndex;

beforeEach(() => {
  index = new TestIndex();
});

afterEach(() => index.close());

describe("GetBlockMetadata", () => {
  it("returns whole blocks in request order, repeats included, missing ones skipped", () => {
    const specs = [1, 2, 3].map((random) => ({
      owner: "acme",
      shard: 4,
      random,
      datasets: [service(`s${random}`)],
    }));
    const late = {
      owner: "acme",
      shard: 4,
      created: NOON + 9 * HOUR,
      random: 4,
      datasets: [service("s4")],
    };
    index.add(...specs, late);
    const ids = specs.map(({ random }) => ulid(NOON, random));
    const lateId = ulid(NOON + 9 * HOUR, 4);
    const wanted = [
      lateId,
      ids[2],
      ids[0],
      ulid(NOON, 99),
      ids[2],
      ulid(NOON - 30 * HOUR, 1),
    ] as string[];
    const found = index.get("acme", 4, wanted);
    assert.deepEqual(found, [
      blockOf(late),
      blockOf(specs[2]!),
      blockOf(specs[0]!),
      blockOf(specs[2]!),
    ]);
    assert.deepEqual(index.get("acme", 5, ids), []);
    assert.deepEqual(index.get("", 4, ids), []);
    assert.deepEqual(index.get("nobody", 4, ids), []);
    assert.deepEqual(index.get("acme", 4, []), []);
  });

  it("refuses malformed ids and a missing list", () => {
    const bad = [
      "",
      "x",
      ulid(NOON, 1).toLowerCase(),
      `${ulid(NOON, 1)}0`,
      "8ZZZZZZZZZZZZZZZZZZZZZZZZZ",
      "01JNZYT6G000000000000000U0",
    ];
    for (const id of bad) {
      assert.throws(
        () => index.get("acme", 1, [ulid(NOON, 1), id]),
        isCode("invalid_argument", "bad_block_id"),
        id,
      );
    }
    const sink = (): void => assert.fail("chunk of a refused request");
    index.read((engine) => {
      assert.throws(
        () => engine.getBlockMetadata(null, planAsker(sink)),
        isCode("invalid_argument", "missing_block_list"),
      );
    });
  });
});

describe("caches", () => {
  it("see keys and strings that were added after they were filled", () => {
    const selectors = [
      '{service_name="b"}',
      '{service_name=~"b|c"}',
      '{service_name!="a"}',
      '{service_name=~"b.*"}',
      '{zone!="x"}',
    ];
    const ask = (): string[][] => selectors.map((selector) => index.found({ selector }));
    index.add({ owner: "acme", random: 1, datasets: [service("a")] });
    assert.deepEqual(ask(), [[], [], [], [], ["001:a"]]);
    index.add({
      owner: "acme",
      random: 2,
      datasets: [service("b"), { name: "z", sets: [[["zone", "x"]]] }],
    });
    assert.deepEqual(ask(), [["002:b"], ["002:b"], ["002:b,z"], ["002:b"], ["001:a", "002:b"]]);
    for (let i = 0; i < 700; i++)
      index.add({ owner: "acme", random: 100 + i, min: 0, max: 1, datasets: [service(`x${i}`)] });
    index.add({ owner: "acme", random: 3, datasets: [service("c"), service("b2")] });
    assert.deepEqual(ask().slice(0, 2), [["002:b"], ["002:b", "003:c"]]);
    assert.deepEqual(index.found({ selector: '{service_name=~"b.*"}' }), ["002:b", "003:b2"]);
  });

  it("forget nothing wrong when a shard is deleted and filled in another order", () => {
    const spec = { owner: "acme", random: 1, datasets: [service("a"), service("b")] };
    index.add(spec);
    assert.deepEqual(index.query({ labels: ["service_name"] }).length, 1);
    index.deleteShard("acme", 1);
    assert.deepEqual(index.found(), []);
    assert.deepEqual(index.labels({ labels: ["service_name"] }), []);
    const turned = { ...spec, datasets: [service("q"), service("b"), service("a")] };
    index.add(turned);
    assert.deepEqual(index.found(), ["001:q,b,a"]);
    assert.deepEqual(index.get("acme", 1, [ulid(NOON, 1)]), [blockOf(turned)]);
    assert.deepEqual(index.labels({ labels: ["service_name"] }), [["a"], ["b"], ["q"]]);
  });

  it("stay within their bound and right, however small it is", async () => {
    const small = new TestIndex({ cacheBytes: 20_000 });
    const datasets = Array.from({ length: 2000 }, (_, i) => service(`service-${i}`));
    small.add({ owner: "acme", datasets });
    for (let round = 0; round < 3; round++) {
      assert.equal(small.query({ labels: ["service_name"] })[0]?.datasets.length, 2000);
      assert.deepEqual(small.found({ selector: `{service_name="service-${round}"}` }), [
        `000:service-${round}`,
      ]);
      assert.equal(small.labels({ labels: ["service_name"] }).length, 2000);
      assert.equal(small.queryProto({ labels: ["service_name"] })[0]?.datasets.length, 2000);
      assert.ok(small.engine.cacheBytes <= 20_000, `${small.engine.cacheBytes} bytes`);
    }
    assert.ok(small.engine.counters.evictions > 0);
    await small.close();
  });
});

describe("answers", () => {
  it("arrive in chunks that each carry their own strings", async () => {
    const small = new TestIndex({ chunkBytes: 2048 });
    for (let i = 0; i < 100; i++)
      small.add({ owner: "acme", random: i, datasets: [service(`s${i % 7}`)] });
    const chunks: number[] = [];
    small.read((engine) => {
      const query = {
        tenants: ["acme"],
        startMs: NOON,
        endMs: NOON,
        selector: "{}",
        labels: ["service_name"],
      };
      engine.queryMetadata(query, (chunk) =>
        chunks.push(new PlanChunkReader(chunk.slice()).blockCount),
      );
    });
    assert.ok(chunks.length > 3, `${chunks.length} chunks`);
    assert.equal(
      chunks.reduce((sum, count) => sum + count, 0),
      100,
    );
    assert.deepEqual(
      small.query().map(({ id }) => id),
      Array.from({ length: 100 }, (_, i) => ulid(NOON, i)),
    );
    await small.close();
  });

  it("over the limit are refused with what was counted", async () => {
    const small = new TestIndex({ answerMaxBytes: 4096 });
    for (let i = 0; i < 100; i++)
      small.add({ owner: "acme", random: i, datasets: [service(`s${i}`)] });
    assert.throws(
      () => small.query(),
      (error) =>
        isHearthError(error) &&
        /\d+ blocks so far take \d+ bytes, limit is 4096/.test(error.message),
    );
    assert.equal(small.query({ selector: '{service_name="s7"}' }).length, 1);
    await small.close();
  });

  it("stop where the checkpoint or the sink says so, and the next query is whole", () => {
    for (let i = 0; i < 5; i++)
      index.add({ owner: "acme", shard: i, random: i, datasets: [service("a")] });
    const params = { tenants: ["acme"], startMs: NOON, endMs: NOON, selector: "{}", labels: [] };
    const stop = (): void => {
      throw new Error("stop");
    };
    index.read((engine) => {
      assert.throws(() => engine.queryMetadata(params, () => {}, stop), /stop/);
      assert.throws(() => engine.queryMetadata(params, stop), /stop/);
    });
    assert.equal(index.query().length, 5);
  });
});

describe("damage", () => {
  const damaged = (
    table: "blocks" | "keys" | "strings" | "dictionaries",
    key: Uint8Array,
    value: Uint8Array,
  ): void => {
    index.db.write(() => index.db.put(table, key, value));
    index.engine = new QueryEngine({}, { db: index.db });
    assert.throws(() => index.query({ labels: ["service_name"] }), isCode("data_loss"), table);
    assert.throws(() => index.query({ labels: ["service_name"] }), isCode("data_loss"), table);
    assert.equal(index.engine.counters.dataLosses, 2);
  };

  beforeEach(() => index.add({ owner: "acme", datasets: [service("a")] }));

  it("of an entry is an error, not an empty answer", () => {
    const key = new KeyBuffer(20);
    index.read(() => {
      index.db.scan("blocks", new Uint8Array(4), new Uint8Array(4).fill(255), (found) => {
        key.copy(0, found, 0, 20);
        return false;
      });
    });
    damaged("blocks", key.bytes, new Uint8Array(64).fill(1));
  });

  it("of a key chunk is an error", () =>
    damaged("keys", new KeyBuffer(8).u32(0, 1).bytes, Uint8Array.of(9, 0, 0, 0, 1, 0, 0, 0)));
  it("of a string chunk is an error", () =>
    damaged("strings", new KeyBuffer(8).u32(0, 1).bytes, Uint8Array.of(1, 0, 0, 0, 9, 0, 0, 0)));
  it("of a dictionary record is an error", () =>
    damaged("dictionaries", new KeyBuffer(4).u32(0, 1).bytes, new Uint8Array(2)));
});
