import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { HearthError, SILENT_LOGGER } from "../../../src/base/index.ts";
import {
  type ActivityResult,
  answerRequest,
  type Pin,
  PLACEMENT_DEFAULTS,
  PLACEMENT_KEYS,
  PLACEMENT_LIMIT_DEFAULTS,
  PlacementEngine,
  PlacementManager,
  type PlacementOptions,
} from "../../../src/leader/index.ts";
import {
  appendAddBlockEntry,
  type BlockMeta,
  ByteSink,
  decodeDistributionStats,
  decodePlacementRules,
  encodeBlock,
  encodePlacementRules,
} from "../../../src/protocol/index.ts";
import { MemoryStore } from "../../support/storage/memory-store.ts";
import { TestScheduler } from "../support.ts";

const START_MS = Date.UTC(2026, 0, 1);
const SECOND_MS = 1_000;
const MINUTE_MS = 60 * SECOND_MS;
/** Of 2026-01-01T00:00:00Z, as `id` needs it. */
const ID = "01KDVDNA00000000000000000A";

/** A member with its clock, which leads when it is told to. */
class Member {
  readonly scheduler = new TestScheduler();
  readonly manager: PlacementManager;
  engine = new PlacementEngine();
  isConfirmed = true;
  /** Of the wall clock against START_MS plus the time that has passed. */
  clockOffsetMs = 0;

  constructor(store: MemoryStore, options: Partial<PlacementOptions> = {}) {
    this.manager = new PlacementManager(
      { ...PLACEMENT_DEFAULTS, ...options },
      {
        store,
        thread: {
          run: async (request) => answerRequest(this.engine, structuredClone(request)),
          close: async () => {},
        },
        limits: () => ({ global: PLACEMENT_LIMIT_DEFAULTS, own: [] }),
        confirmLeadership: async () => {
          if (!this.isConfirmed)
            throw new HearthError("unavailable", "No majority", { reason: "not_leader" });
        },
        clock: { nowMs: () => this.nowMs() },
        scheduler: this.scheduler,
        logger: SILENT_LOGGER,
      },
    );
  }

  nowMs(): number {
    return START_MS + this.scheduler.monotonicMs() + this.clockOffsetMs;
  }

  /** Time passes, and what waits for it runs. */
  async pass(ms: number): Promise<void> {
    this.scheduler.advance(ms);
    await new Promise((resolve) => setImmediate(resolve));
  }

  /** Blocks of one dataset, a second apart, through the sampler as the proposer does it. */
  async write(dataset: string, sizes: readonly number[], seconds: number): Promise<void> {
    for (let i = 0; i < seconds; i++) {
      for (const [shard, sizeBytes] of sizes.entries()) {
        const copy = this.manager.sampler.take(entryOf(dataset, shard + 1, sizeBytes));
        assert.ok(copy !== null, "the sampler takes everything that is within its budget");
        this.manager.sampler.keep(copy);
      }
      await this.pass(SECOND_MS);
    }
  }

  cycle(): Promise<ActivityResult> {
    return this.manager.runNow();
  }
}

function entryOf(dataset: string, shard: number, sizeBytes: number): Uint8Array {
  const meta: BlockMeta = {
    formatVersion: 1,
    id: ID,
    tenant: 0,
    shard,
    compactionLevel: 0,
    minTimeMs: START_MS,
    maxTimeMs: START_MS + 1,
    createdBy: 3,
    sizeBytes: BigInt(sizeBytes),
    datasets: [
      {
        tenant: 1,
        name: 2,
        minTimeMs: START_MS,
        maxTimeMs: START_MS + 1,
        tableOfContents: [],
        sizeBytes: BigInt(sizeBytes),
        labels: [],
        format: 0,
      },
    ],
    stringTable: ["", "acme", dataset, "writer-0"],
    metadataOffset: 0n,
  };
  const block = new ByteSink();
  encodeBlock(meta, block);
  const entry = new ByteSink();
  appendAddBlockEntry(entry, block.copy());
  return entry.copy();
}

function rulesIn(store: MemoryStore): ReturnType<typeof decodePlacementRules> {
  const bytes = store.objects.get(PLACEMENT_KEYS.rules);
  assert.ok(bytes !== undefined, "there are rules in the bucket");
  return decodePlacementRules(bytes);
}

function pinOf(dataset: string, shards: number): Pin {
  return { tenant: "acme", dataset, shards, loadBalancing: null, pinnedAtMs: START_MS };
}

const ALL = { tenant: null, dataset: null, maxCount: 100 };
const { signal } = new AbortController();

describe("the placement's manager", () => {
  it("publishes what the load needs, from the blocks that writers add", async () => {
    const store = new MemoryStore();
    const member = new Member(store);
    member.manager.start(1);
    await member.cycle();
    // Half a megabyte per second: more than four units of 128 KiB after enough half-lives.
    await member.write("api", [300_000, 300_000], 600);
    await member.cycle();
    const { tenants, datasets } = rulesIn(store);
    assert.deepEqual(tenants, [{ tenantId: "acme" }]);
    assert.equal(datasets[0]?.name, "api");
    assert.ok((datasets[0]?.datasetShardLimit ?? 0) >= 5, JSON.stringify(datasets));
    const stats = decodeDistributionStats(store.objects.get(PLACEMENT_KEYS.stats)!);
    assert.deepEqual(stats.shards, [
      { id: 1, owner: "writer-0" },
      { id: 2, owner: "writer-0" },
    ]);
    assert.equal(member.manager.summary?.rates, 2);
  });

  it("writes an object only when it says something new, and now and then anyway", async () => {
    const store = new MemoryStore();
    const member = new Member(store);
    member.manager.start(1);
    await member.cycle();
    assert.deepEqual(store.puts, [PLACEMENT_KEYS.rules, PLACEMENT_KEYS.stats]);
    assert.equal((await member.cycle()).outcome, "nothing");
    assert.equal(store.puts.length, 2);
    const before = rulesIn(store).createdAtNs;
    for (let i = 0; i < 20; i++) await member.pass(15 * SECOND_MS);
    await member.cycle();
    assert.equal(store.puts.length, 4, "five minutes later both were written again");
    assert.ok(rulesIn(store).createdAtNs > before);
  });

  it("never takes the age of the rules back, whatever the clock of the next leader says", async () => {
    const store = new MemoryStore();
    const first = new Member(store);
    first.manager.start(1);
    await first.cycle();
    const before = rulesIn(store).createdAtNs;
    first.manager.stop();
    const second = new Member(store);
    second.clockOffsetMs = -10 * MINUTE_MS;
    second.manager.start(2);
    await second.cycle();
    assert.equal(rulesIn(store).createdAtNs, before);
    second.clockOffsetMs = MINUTE_MS;
    await second.manager.changePins({ kind: "pin", pin: pinOf("api", 3) }, signal);
    assert.ok(rulesIn(store).createdAtNs > before);
  });

  it("takes over the age of rules that a rival writes meanwhile", async () => {
    const store = new MemoryStore();
    const member = new Member(store);
    member.manager.start(1);
    await member.cycle();
    const later = BigInt(START_MS + 60 * MINUTE_MS) * 1_000_000n;
    const rival = encodePlacementRules({ tenants: [], datasets: [], createdAtNs: later });
    await store.put(PLACEMENT_KEYS.rules, rival);
    await member.manager.changePins({ kind: "pin", pin: pinOf("api", 3) }, signal);
    assert.equal(rulesIn(store).createdAtNs, later);
  });

  it("writes nothing when a majority does not confirm that it leads", async () => {
    const store = new MemoryStore();
    const member = new Member(store);
    member.isConfirmed = false;
    member.manager.start(1);
    const result = await member.cycle();
    assert.equal(result.reason, "not_leader");
    const change = member.manager.changePins({ kind: "pin", pin: pinOf("api", 3) }, signal);
    await assert.rejects(change, { reason: "not_leader" });
    assert.deepEqual(store.puts, []);
  });

  it("publishes nothing before the time that it is told to measure", async () => {
    const store = new MemoryStore();
    const member = new Member(store, { confidenceMs: MINUTE_MS });
    member.manager.start(1);
    assert.match((await member.cycle()).text, /another 60 s/);
    assert.equal(store.puts.length, 0);
    await member.pass(MINUTE_MS);
    await member.cycle();
    assert.ok(store.puts.includes(PLACEMENT_KEYS.rules));
  });

  it("replaces objects that cannot be read, and says so when the bucket fails", async () => {
    const store = new MemoryStore();
    store.objects.set(PLACEMENT_KEYS.rules, Buffer.from("garbage"));
    store.objects.set(PLACEMENT_KEYS.stats, Buffer.from([0xff]));
    const member = new Member(store);
    member.manager.start(1);
    assert.equal((await member.cycle()).outcome, "done");
    assert.deepEqual(rulesIn(store).datasets, []);
    store.failures.set(PLACEMENT_KEYS.rules, "storage_unavailable");
    const failed = await member.cycle();
    assert.equal(failed.outcome, "failed");
    assert.equal(failed.reason, "storage_unavailable");
    store.failures.clear();
    assert.equal((await member.cycle()).outcome, "nothing");
  });

  it("tries the statistics also when the rules cannot be written", async () => {
    const store = new MemoryStore();
    const put = store.put.bind(store);
    store.put = async (key, bytes) => {
      if (key === PLACEMENT_KEYS.rules)
        throw new HearthError("permission_denied", "No", { reason: "storage_denied" });
      await put(key, bytes);
    };
    const member = new Member(store);
    member.manager.start(1);
    assert.equal((await member.cycle()).reason, "storage_denied");
    assert.deepEqual(store.puts, [PLACEMENT_KEYS.stats]);
  });

  it("begins again when its thread has died", async () => {
    const store = new MemoryStore();
    const member = new Member(store);
    member.manager.start(1);
    await member.cycle();
    member.engine = new PlacementEngine();
    assert.equal((await member.cycle()).reason, "placement_thread_lost");
    assert.notEqual((await member.cycle()).outcome, "failed");
  });

  it("pins and unpins at once, shows it, and previews it before", async () => {
    const store = new MemoryStore();
    const member = new Member(store);
    member.manager.start(1);
    await member.cycle();
    const change = { kind: "pin", pin: pinOf("api", 7) } as const;
    const preview = await member.manager.preview(ALL, change, signal);
    assert.equal(preview.changes[0]?.shardsAfter, 7);
    assert.equal(rulesIn(store).datasets.length, 0, "a preview changes nothing");
    assert.equal(await member.manager.changePins(change, signal), true);
    assert.equal(rulesIn(store).datasets[0]?.datasetShardLimit, 7);
    assert.equal(await member.manager.changePins(change, signal), false, "once is enough");
    const follower = new Member(store);
    const { rows } = await follower.manager.show(ALL, signal);
    assert.equal(rows[0]?.pin?.shards, 7);
    const unpin = { kind: "unpin", tenant: "acme", dataset: "api" } as const;
    assert.equal(await member.manager.changePins(unpin, signal), true);
    assert.deepEqual(rulesIn(store).datasets, []);
  });

  it("keeps pins that it could read when their object is spoilt, and does not overwrite it", async () => {
    const store = new MemoryStore();
    const member = new Member(store);
    member.manager.start(1);
    await member.manager.changePins({ kind: "pin", pin: pinOf("api", 7) }, signal);
    store.objects.set(PLACEMENT_KEYS.pins, Buffer.from("{"));
    assert.notEqual((await member.cycle()).outcome, "failed");
    assert.equal(rulesIn(store).datasets[0]?.datasetShardLimit, 7);
    const change = member.manager.changePins({ kind: "pin", pin: pinOf("web", 2) }, signal);
    await assert.rejects(change, { reason: "bad_placement_object" });
  });

  it("refuses what only a leader can do on other members", async () => {
    const member = new Member(new MemoryStore());
    const refusal = { code: "unavailable", reason: "not_leader" };
    await assert.rejects(member.manager.preview(ALL, null, signal), refusal);
    const unpin = { kind: "unpin", tenant: "acme", dataset: "api" } as const;
    await assert.rejects(member.manager.changePins(unpin, signal), refusal);
    const off = new Member(new MemoryStore(), { updateIntervalMs: 0 });
    off.manager.start(1);
    await assert.rejects(off.manager.preview(ALL, null, signal), { reason: "placement_off" });
  });

  it("does not count blocks that are much older than their addition", async () => {
    const member = new Member(new MemoryStore());
    member.manager.start(1);
    await member.cycle();
    member.clockOffsetMs = 60 * MINUTE_MS;
    await member.write("api", [300_000], 5);
    await member.cycle();
    assert.equal(member.manager.summary?.oldBlocks, 5);
    assert.equal(member.manager.summary?.blocks, 0);
  });
});
