import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { LOAD_DEFAULTS, LoadGenerator } from "../../../src/cli/load/index.ts";
import type { IndexSource } from "../../../src/cli/reconcile/index-source.ts";
import { type Finding, verifyIndex } from "../../../src/cli/reconcile/verify.ts";
import type { BlockMeta } from "../../../src/protocol/index.ts";
import type { BlockState } from "../../../src/service/index.ts";
import { blockObject, type BlockObjectFile } from "../../support/storage/block-objects.ts";
import { MemoryStore } from "../../support/storage/memory-store.ts";

const START_MS = Date.parse("2026-11-20T00:00:00Z");
const BLOCKS = 400;
const LOAD = new LoadGenerator({
  ...LOAD_DEFAULTS,
  blockCount: BLOCKS,
  compactedShare: 0.3,
  startAtMs: START_MS,
  endAtMs: START_MS + 24 * 3_600_000,
});
const OBJECTS: readonly BlockObjectFile[] = Array.from({ length: BLOCKS }, (_, i) =>
  blockObject(LOAD.block(i)),
);

function ownerOf(meta: BlockMeta): string {
  return meta.stringTable[meta.tenant] ?? "";
}

/** An index in memory, in pages of a few. */
class MemoryIndex implements IndexSource {
  readonly entries = new Map<string, BlockMeta>();
  readonly removed = new Set<string>();
  /** Called before each page: what happens meanwhile. */
  onPage: () => void = () => {};

  add(meta: BlockMeta): void {
    this.entries.set(meta.id, meta);
  }

  async shards() {
    const places = new Map<string, { tenant: string; shard: number; blocks: number }>();
    for (const meta of this.entries.values()) {
      const place = { tenant: ownerOf(meta), shard: meta.shard, blocks: 1 };
      places.set(`${place.shard}:${place.tenant}`, place);
    }
    return [...places.values()];
  }

  async blocks(tenant: string, shard: number, after: string) {
    this.onPage();
    return [...this.entries.values()]
      .filter((meta) => ownerOf(meta) === tenant && meta.shard === shard && meta.id > after)
      .sort((a, b) => (a.id < b.id ? -1 : 1))
      .slice(0, 7)
      .map(({ id, compactionLevel: level, sizeBytes }) => {
        return { id, level, sizeBytes: Number(sizeBytes) };
      });
  }

  async states(tenant: string, shard: number, ids: readonly string[]) {
    return ids.map((id): BlockState => {
      const meta = this.entries.get(id);
      if (meta !== undefined && ownerOf(meta) === tenant && meta.shard === shard) return "present";
      return this.removed.has(id) ? "removed" : "absent";
    });
  }

  async metadata(_tenant: string, _shard: number, ids: readonly string[]) {
    const found = ids.flatMap((id) => this.entries.get(id) ?? []);
    return new Map(found.map((meta) => [meta.id, meta]));
  }
}

interface Both {
  readonly store: MemoryStore;
  readonly index: MemoryIndex;
}

function everything(): Both {
  const [store, index] = [new MemoryStore(), new MemoryIndex()];
  for (const { key, bytes, meta } of OBJECTS) {
    store.objects.set(key, bytes);
    index.add(meta);
  }
  return { store, index };
}

async function verify({ store, index }: Both, { readsFooters = true, nowMs = START_MS } = {}) {
  const findings: Finding[] = [];
  const { signal } = new AbortController();
  const totals = await verifyIndex(
    { readsFooters, recentMs: 60_000, signal },
    {
      store,
      index,
      nowMs: () => nowMs,
      onFinding: (finding) => findings.push(finding),
      onProgress: () => {},
    },
  );
  const told = findings.map(({ kind, key }) => `${kind} ${key}`).sort();
  return { totals, findings, told };
}

describe("verifying an index", () => {
  it("finds nothing where both are the same, and changes nothing", async () => {
    const both = everything();
    const { totals, told } = await verify(both);
    assert.deepEqual(told, []);
    assert.equal(totals.same, BLOCKS);
    assert.equal(totals.objects, BLOCKS);
    assert.deepEqual(both.store.puts, []);
  });

  it("names exactly what was taken out of either side, whatever it is", async () => {
    const some = fc.uniqueArray(fc.nat(BLOCKS - 1), { maxLength: 8 });
    await fc.assert(
      fc.asyncProperty(some, some, fc.boolean(), async (objects, entries, readsFooters) => {
        const both = everything();
        const expected: string[] = [];
        for (const i of objects) {
          const { key } = OBJECTS[i] as BlockObjectFile;
          both.store.objects.delete(key);
          if (!entries.includes(i)) expected.push(`missing ${key}`);
        }
        for (const i of entries) {
          const { key, meta } = OBJECTS[i] as BlockObjectFile;
          both.index.entries.delete(meta.id);
          if (!objects.includes(i)) expected.push(`orphan ${key}`);
        }
        const { told } = await verify(both, { readsFooters });
        assert.deepEqual(told, expected.sort());
      }),
      { numRuns: 40 },
    );
  });

  it("finds a whole directory that is gone, and one that nobody knows", async () => {
    const both = everything();
    const gone = OBJECTS.filter(({ key }) => key.startsWith("segments/3/"));
    for (const { key } of gone) both.store.objects.delete(key);
    const unknown = OBJECTS.filter(({ key }) => key.startsWith("segments/5/"));
    for (const { meta } of unknown) both.index.entries.delete(meta.id);
    const { told } = await verify(both);
    const expected = [
      ...gone.map(({ key }) => `missing ${key}`),
      ...unknown.map(({ key }) => `orphan ${key}`),
    ];
    assert.ok(gone.length > 3 && unknown.length > 3);
    assert.deepEqual(told, expected.sort());
  });

  it("says what differs between an object and its entry", async () => {
    const both = everything();
    const [first, second, third] = OBJECTS as [BlockObjectFile, BlockObjectFile, BlockObjectFile];
    both.index.add({ ...first.meta, maxTimeMs: first.meta.maxTimeMs + 1 });
    both.index.add({ ...second.meta, sizeBytes: 1n });
    const [dataset, ...others] = third.meta.datasets;
    const changed = { ...dataset!, minTimeMs: dataset!.minTimeMs + 1 };
    both.index.add({ ...third.meta, datasets: [changed, ...others] });
    const { findings } = await verify(both);
    const problems = new Map(findings.map(({ key, problem }) => [key, problem]));
    assert.equal(findings.length, 3);
    assert.equal(problems.get(first.key), "differs: max time");
    assert.equal(problems.get(second.key), "differs: size");
    assert.equal(problems.get(third.key), `differs: dataset 1 of ${third.meta.datasets.length}`);
    const quick = await verify(both, { readsFooters: false });
    assert.deepEqual(quick.told, [`mismatched ${second.key}`]);
  });

  it("takes tables of strings in another order for the same", async () => {
    const both = everything();
    const { meta } = OBJECTS[0] as BlockObjectFile;
    const [empty = "", ...strings] = meta.stringTable;
    const moved = (reference: number): number => (reference === 0 ? 0 : reference + 1);
    const labels = (list: readonly number[]): number[] => {
      const out: number[] = [];
      for (let at = 0; at < list.length; ) {
        const count = list[at] as number;
        out.push(count, ...list.slice(at + 1, at + 1 + 2 * count).map(moved));
        at += 1 + 2 * count;
      }
      return out;
    };
    both.index.add({
      ...meta,
      tenant: moved(meta.tenant),
      createdBy: moved(meta.createdBy),
      stringTable: [empty, "one more", ...strings],
      datasets: meta.datasets.map((dataset) => ({
        ...dataset,
        tenant: moved(dataset.tenant),
        name: moved(dataset.name),
        labels: labels(dataset.labels),
      })),
    });
    assert.deepEqual((await verify(both)).told, []);
  });

  it("names objects that are spoilt, cut off, of another block, or none, and goes on", async () => {
    const both = everything();
    const [spoilt, cut, foreign, denied] = OBJECTS as unknown as BlockObjectFile[];
    const flipped = Uint8Array.from(spoilt!.bytes);
    flipped[flipped.length - 20]! ^= 1;
    both.store.objects.set(spoilt!.key, flipped);
    both.store.objects.set(cut!.key, cut!.bytes.subarray(0, 60));
    both.store.objects.set(foreign!.key, (OBJECTS[9] as BlockObjectFile).bytes);
    both.store.failures.set(denied!.key, "storage_denied");
    both.store.objects.set("blocks/readme.txt", Buffer.from("hello"));
    both.store.objects.set(`blocks/01/x/${foreign!.meta.id}/block.bin`, foreign!.bytes);
    const { told, totals } = await verify(both);
    assert.deepEqual(
      told,
      [
        `unreadable ${spoilt!.key}`,
        `unreadable ${cut!.key}`,
        `misplaced ${foreign!.key}`,
        `unreadable ${denied!.key}`,
        "stray blocks/readme.txt",
        `stray blocks/01/x/${foreign!.meta.id}/block.bin`,
      ].sort(),
    );
    assert.equal(totals.same, BLOCKS - 4);
  });

  it("does not take what changes meanwhile for a difference", async () => {
    const both = everything();
    const late = OBJECTS.slice(0, 20);
    for (const { meta } of late) both.index.entries.delete(meta.id);
    let pages = 0;
    both.index.onPage = () => {
      if (++pages === 10) for (const { meta } of late) both.index.add(meta);
    };
    const { told } = await verify(both);
    assert.ok(pages > 10);
    const early = told.filter((text) => !text.startsWith("orphan"));
    assert.deepEqual(early, []);
  });

  it("counts objects that wait to be deleted, and those that are too young, apart", async () => {
    const both = everything();
    const [first, second] = OBJECTS as unknown as BlockObjectFile[];
    both.index.entries.delete(first!.meta.id);
    both.index.removed.add(first!.meta.id);
    both.index.entries.delete(second!.meta.id);
    const { told, totals } = await verify(both, { nowMs: 30_000 });
    assert.deepEqual(told, []);
    assert.equal(totals.awaitingDeletion, 1);
    assert.equal(totals.recent, 1);
  });

  it("finds a segment of one tenant among the anonymous ones", async () => {
    const both = everything();
    const meta = LOAD.block(0);
    const owned = { ...meta, tenant: 1, compactionLevel: 0, id: "01KDVDNA00000000000000000A" };
    const object = blockObject(owned);
    assert.match(object.key, /^segments\//);
    both.store.objects.set(object.key, object.bytes);
    both.index.add(object.meta);
    assert.deepEqual((await verify(both)).told, []);
    both.store.objects.delete(object.key);
    assert.deepEqual((await verify(both)).told, [`missing ${object.key}`]);
  });

  it("fails when the bucket cannot be listed", async () => {
    const both = everything();
    both.store.failures.set("segments/", "storage_unavailable");
    await assert.rejects(verify(both), { reason: "storage_unavailable" });
  });
});
