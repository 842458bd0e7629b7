/**
 * Deletion of tenants against a plain definition of what may and what must go, object by object: random buckets, leaders that
 * overlap and die, a bucket that fails, clocks that jump, retention, compaction and writers at work meanwhile. Nothing that is
 * not a hidden tenant's is ever deleted, and what is goes within a bounded number of passes.
 *
 * DELETION_CASES=20000 tries more; DELETION_SEED repeats one.
 */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Prng } from "../../../src/base/index.ts";
import { COMMAND } from "../../../src/protocol/index.ts";
import { QUERY_ENGINE_DEFAULTS, QueryEngine } from "../../../src/read/index.ts";
import { verifyIndex } from "../../../src/state/index.ts";
import { type BlockSpec, entry, HOUR_MS, ulidAt, wireBlock } from "../../state/support.ts";
import { DeletionRig, type Leader, objectKey, unreachable } from "../../support/deletion.ts";
import { blockList, collectBlocks, planAsker } from "../../support/engine.ts";

const CASES = Number(process.env.DELETION_CASES ?? 100);
const SEED = Number(process.env.DELETION_SEED ?? 20_261_129);
/** A fresh database after so many: reports of earlier ones stay in it. */
const CASES_PER_RIG = 10;
const PARTITION_NS = 21_600_000_000_000n;
const PARTITION_MS = 6 * HOUR_MS;
const SHARDS = 3;

interface Stored {
  /** Whose data is in it. */
  readonly tenants: readonly string[];
  /** A deleted tenant's at some time of its life: it may go, whoever has the name by now. */
  isDoomed: boolean;
  /** Came when its tenant was hidden, and the state was not told: a pass may be past it, and the last look finds it. */
  isLate: boolean;
}

interface Live extends BlockSpec {
  readonly tenant: string;
  readonly shard: number;
  readonly tenants: readonly string[];
}

const sum = { deleted: 0, kept: 0, opened: 0, overlaps: 0, failures: 0, late: 0, refused: 0 };

class World {
  readonly #rig: DeletionRig;
  readonly #random: Prng;
  readonly #names: readonly string[];
  readonly #hidden = new Set<string>();
  readonly #objects = new Map<string, Stored>();
  /** Keys that leaders deleted. */
  readonly #deleted = new Set<string>();
  /** What the index holds, as far as anybody may see it. */
  #entries: Live[] = [];
  /** Operations of the bucket that fail before the next one works. */
  #failures = 0;
  #isQuiet = false;
  /** Who was hidden when others stopped. */
  #closed: ReadonlySet<string> = new Set();
  #broken: { readonly error: unknown } | null = null;
  #serial: number;
  #leader: Leader;
  /** One that was followed by another, and does not know it. */
  #former: Leader | null = null;

  constructor(rig: DeletionRig, random: Prng, number: number) {
    this.#rig = rig;
    this.#random = random;
    // Names that begin alike, one that is no part of a key, one beyond the first plane.
    this.#names = ["t", "t2", "\u{10000}", "a/b"].map((name) => `${name}${number}`);
    this.#serial = number * 1_000;
    rig.store.objects.clear();
    rig.store.calls.length = 0;
    rig.order.length = 0;
    rig.store.onCall = (operation, key) => this.#onCall(operation, key);
    rig.store.beforeDelete = async () => this.#maybeEvent();
    rig.beforeStep = () => this.#maybeEvent();
    rig.afterStep = (command) => {
      if (command === COMMAND.openTenant) this.#noteOpened();
    };
    rig.term++;
    this.#leader = rig.leader();
  }

  async play(): Promise<void> {
    for (let i = this.#random.nextInt(12); i >= 0; i--) this.#write();
    this.#request();
    for (let i = this.#random.nextInt(6); i >= 0; i--) {
      this.#event();
      const runs = [this.#leader.run()];
      if (this.#former !== null) runs.push(this.#former.run());
      sum.overlaps += runs.length - 1;
      await Promise.allSettled(runs);
    }
    await this.#settle();
    if (this.#broken !== null) throw this.#broken.error;
    this.#check();
  }

  /** On a leader's way, who takes whatever is thrown for a failure: a broken rule is kept for the end. */
  #maybeEvent(): void {
    if (this.#isQuiet || !this.#random.nextChance(0.1)) return;
    this.#keepingBroken(() => this.#event());
  }

  #keepingBroken(act: () => void): void {
    try {
      act();
    } catch (error) {
      this.#broken ??= { error };
      throw error;
    }
  }

  #event(): void {
    const random = this.#random;
    switch (random.nextInt(12)) {
      case 0:
      case 1:
        return this.#write();
      case 2:
      case 3:
        return this.#compact();
      case 4:
        return this.#request();
      case 5:
        return this.#open();
      case 6:
        return this.#lead(random.nextChance(0.5));
      case 7:
        this.#failures = random.nextInt(4);
        return;
      case 8:
        return this.#rig.scheduler.advance(random.pick([1, 60_000, HOUR_MS, 30 * HOUR_MS]));
      case 9:
        return this.#retire();
      case 10:
        this.#put(`dlq/${this.#shard()}/${this.#name()}/${this.#id()}/meta.pb`);
        return;
      default:
        this.#put(`blocks/${this.#shard()}/${this.#name()}/${this.#id()}/block.bin`);
    }
  }

  // -- what others do ---------------------------------------------------------------------------------------------

  #name(): string {
    // The last one is no part of a key, and nothing of its own is in the bucket.
    return this.#names[this.#random.nextInt(this.#names.length - 1)] as string;
  }

  #shard(): number {
    return this.#random.nextInt(SHARDS);
  }

  #id(): string {
    const agoMs = this.#random.pick([0, 1_000, PARTITION_MS, 3 * PARTITION_MS]);
    return ulidAt(this.#rig.nowMs() - agoMs, ++this.#serial);
  }

  /** A block of one tenant, or a segment of one or two. */
  #write(): void {
    const tenants = [this.#random.pick(this.#names)];
    const isSegment = this.#random.nextChance(0.5) || tenants[0]?.includes("/") === true;
    if (isSegment && this.#random.nextChance(0.5)) tenants.push(this.#random.pick(this.#names));
    const tenant = isSegment ? "" : (tenants[0] as string);
    const block = this.#block(tenant, tenants, isSegment ? 0 : 1);
    this.#put(objectKey(block), tenants);
    const isRefused = this.#hidden.has(tenant);
    const expected = isRefused ? "tenant_deleted" : 0;
    assert.equal(this.#rig.fixture.add(block), expected);
    if (isRefused) sum.refused++;
    else this.#entries.push(block);
  }

  #block(tenant: string, tenants: readonly string[], level: number): Live {
    const datasets = tenants.map((name) => ({ tenant: name }));
    return { id: this.#id(), tenant, tenants, shard: this.#shard(), level, datasets };
  }

  /** A worker splits a segment; its result may come when the tenant is not there any more. */
  #compact(): void {
    const segments = this.#entries.filter(({ tenant }) => tenant === "");
    if (segments.length === 0) return;
    const segment = this.#random.pick(segments);
    const own = [...new Set(segment.tenants)].filter((name) => !name.includes("/"));
    const made = own.map((name) => this.#block(name, [name], 1));
    for (const block of made) this.#put(objectKey(block), block.tenants);
    const source = { tenant: "", shard: segment.shard, blocks: [segment.id] };
    const newBlocks = made.map(wireBlock);
    this.#rig.fixture.applyOne(entry.replaceBlocks({ newBlocks, source }));
    this.#forget(segment);
    this.#erase(objectKey(segment));
    for (const block of made) {
      const stored = this.#objects.get(objectKey(block));
      if (stored !== undefined) stored.isLate = false;
      if (this.#hidden.has(block.tenant)) sum.late++;
      else this.#entries.push(block);
    }
  }

  /** Retention takes one shard of one partition; its objects are left to workers. */
  #retire(): void {
    if (this.#entries.length === 0) return;
    const { tenant, shard, id } = this.#random.pick(this.#entries);
    const startMs = partitionOf(id);
    const place = { timestampNs: BigInt(startMs) * 1_000_000n, durationNs: PARTITION_NS };
    const tombstone = { name: `r-${id}`, ...place, shard, tenant };
    this.#rig.fixture.applyOne(entry.deleteShard(tombstone));
    for (const block of this.#entries) {
      const isIn = block.tenant === tenant && block.shard === shard;
      if (isIn && partitionOf(block.id) === startMs) this.#erase(objectKey(block));
    }
    this.#entries = this.#entries.filter(
      (block) =>
        block.tenant !== tenant || block.shard !== shard || partitionOf(block.id) !== startMs,
    );
  }

  #request(): void {
    const name = this.#random.pick(this.#names);
    this.#rig.remove(name, this.#random.pick([0, 1, HOUR_MS]));
    if (this.#hidden.has(name)) return;
    this.#hidden.add(name);
    this.#entries = this.#entries.filter(({ tenant }) => tenant !== name);
    for (const stored of this.#objects.values()) this.#judge(stored);
  }

  #open(): void {
    const [name] = this.#hidden;
    if (name === undefined) return;
    const isVerified = this.#rig.deletion(name).state === "verified";
    assert.equal(this.#rig.open(name), isVerified ? 0 : "tenant_deletion_running");
    this.#noteOpened();
  }

  #lead(isKilled: boolean): void {
    this.#former = isKilled ? null : this.#leader;
    if (isKilled) this.#leader.abort.abort();
    this.#rig.term++;
    this.#leader = this.#rig.leader();
  }

  // -- the bucket -------------------------------------------------------------------------------------------------

  #put(key: string, tenants: readonly string[] = [key.split("/")[2] as string]): void {
    const name = key.split("/")[2] as string;
    const stored = { tenants, isDoomed: false, isLate: this.#hidden.has(name) };
    this.#judge(stored);
    this.#objects.set(key, stored);
    this.#rig.put(key);
  }

  #judge(stored: Stored): void {
    stored.isDoomed ||= stored.tenants.every((name) => this.#hidden.has(name));
  }

  /** By a worker. */
  #erase(key: string): void {
    this.#objects.delete(key);
    this.#rig.store.objects.delete(key);
  }

  #forget({ id }: Live): void {
    this.#entries = this.#entries.filter((block) => block.id !== id);
  }

  #onCall(operation: string, key: string): void {
    if (operation === "list") this.#maybeEvent();
    if (this.#failures > 0) {
      this.#failures--;
      sum.failures++;
      throw unreachable();
    }
    if (operation !== "delete") return;
    const stored = this.#objects.get(key);
    this.#keepingBroken(() =>
      assert.ok(stored?.isDoomed !== false, `deleted ${key}, which is of nobody that was deleted`),
    );
    if (!this.#objects.delete(key)) return;
    this.#deleted.add(key);
    sum.deleted++;
  }

  #noteOpened(): void {
    for (const name of this.#hidden) {
      if (this.#rig.deletion(name).state !== "open") continue;
      this.#hidden.delete(name);
      sum.opened++;
    }
  }

  // -- the end ----------------------------------------------------------------------------------------------------

  /** Others stop, compaction gets through, and a leader that nobody disturbs has so many runs. */
  async #settle(): Promise<void> {
    this.#isQuiet = true;
    this.#failures = 0;
    while (this.#entries.some(({ tenant }) => tenant === "")) this.#compact();
    this.#lead(true);
    for (let runs = 0; !this.#isOver(); runs++) {
      assert.ok(runs < RUNS_MAX, `not over after ${runs} runs`);
      const { outcome, text } = await this.#leader.run();
      assert.notEqual(outcome, "failed", text);
    }
    this.#closed = new Set(this.#hidden);
    // Those whose time is over by then are opened with a last look.
    this.#rig.scheduler.advance(2 * HOUR_MS);
    await this.#leader.run();
  }

  #isOver(): boolean {
    const states = [...this.#hidden].map((name) => this.#rig.deletion(name).state);
    return states.every((state) => state === "verified");
  }

  #check(): void {
    const { store, fixture } = this.#rig;
    for (const [key, { tenants, isDoomed, isLate }] of this.#objects) {
      assert.ok(store.objects.has(key), `${key} is gone`);
      const isOwn = tenants.every((name) => this.#closed.has(name)) && !key.startsWith("segments/");
      const mayStay = isLate && tenants.every((name) => this.#hidden.has(name));
      assert.ok(!isOwn || mayStay, `${key} was left`);
      if (!isDoomed) sum.kept++;
    }
    const queries = new QueryEngine(QUERY_ENGINE_DEFAULTS, { db: fixture.db });
    for (const block of this.#entries) {
      const list = blockList(block.tenant, block.shard, [block.id]);
      const found = fixture.read(() =>
        collectBlocks((sink) => queries.getBlockMetadata(list, planAsker(sink))),
      );
      assert.deepEqual(
        found.map(({ id }) => id),
        [block.id],
        `${block.tenant} lost a block`,
      );
    }
    for (const name of this.#closed) this.#checkReport(name);
  }

  /** Reports count nothing twice. The name is opened, so that the next world has room. */
  #checkReport(name: string): void {
    const { objects, segmentsLeft, state, closedForMs } = this.#rig.deletion(name);
    const deleted = [...this.#deleted].filter((key) => key.split("/")[2] === name).length;
    assert.ok(objects <= deleted, `${objects} objects of ${deleted} deleted`);
    assert.deepEqual([state, segmentsLeft], [closedForMs === 0 ? "verified" : "open", 0]);
    if (state === "verified") assert.equal(this.#rig.open(name), 0);
  }
}

/** Of each deletion: entries and first pass, second pass, and one more for what came late. */
const RUNS_MAX = 4;

function partitionOf(id: string): number {
  return Math.floor(timeOf(id) / PARTITION_MS) * PARTITION_MS;
}

const DIGITS = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";

/** Creation time of a ULID, Unix ms. */
function timeOf(id: string): number {
  return [...id.slice(0, 10)].reduce((time, digit) => time * 32 + DIGITS.indexOf(digit), 0);
}

describe("deletion of tenants", { timeout: 3_600_000 }, () => {
  it(`${CASES} random worlds: deletes what is a hidden tenant's, and nothing else`, async () => {
    for (let i = 0; i < CASES; ) {
      const rig = new DeletionRig();
      try {
        for (let k = 0; k < CASES_PER_RIG && i < CASES; k++, i++)
          await new World(rig, new Prng(SEED + i), i).play();
        assert.deepEqual(rig.fixture.read(verifyIndex).problems, []);
      } catch (error) {
        throw new Error(`seed ${SEED + i}: ${String(error)}`, { cause: error });
      } finally {
        await rig.close();
      }
    }
    // A model in which nothing happens would prove nothing.
    for (const [what, count] of Object.entries(sum))
      assert.ok(count > CASES / 50, JSON.stringify({ what, ...sum }));
  });
});
