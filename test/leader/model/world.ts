/**
 * One world: some tenants whose blocks grow old, some of which are deleted, under leaders that follow one another, overlap
 * and have clocks that jump, over a bucket that fails. After whatever leaders did, what is gone from index and bucket is
 * held against the rules; at the end, what is left.
 */
import assert from "node:assert/strict";
import type { Prng } from "../../../src/base/index.ts";
import type { RetentionCleaner } from "../../../src/leader/index.ts";
import { COMMAND } from "../../../src/protocol/index.ts";
import { type BlockSpec, type Entry, entry, ulidAt, wireBlock } from "../../state/support.ts";
import { type DeletionRig, objectKey, unreachable } from "../../support/deletion.ts";
import { BucketModel } from "./bucket.ts";
import {
  drawBlocksCount,
  drawNames,
  drawPeriodMs,
  drawPlace,
  drawSettings,
  type Place,
  type Settings,
} from "./draw.ts";
import { latestMs, type Member, newCleaner, newMember } from "./member.ts";
import type { Sums } from "./messages.ts";
import { type Block, HOUR_MS, leftBehind, PARTITION_MS, whoseDataIsKept } from "./rules.ts";
import { readSeen, type SeenIndex } from "./seen.ts";

/** Of each tenant. */
const DELETED_PER_STEP = 0.025;
/** More shards than a world has. */
const ALL = 10_000;

/** Of each deletion: entries and first pass, second pass, and one more for what came late. */
const DELETER_RUNS_MAX = 4;

export class DutiesWorld {
  readonly #rig: DeletionRig;
  readonly #random: Prng;
  readonly #names = drawNames();
  readonly #settings: Settings;
  /** Deleted tenants, and the first serial after the request. */
  readonly #hidden = new Map<string, number>();
  readonly #bucket: BucketModel;
  /** What the index holds, by serial. Of hidden tenants: what it may still hold. */
  readonly #blocks = new Map<number, Block>();
  /** Operations of the bucket that fail before the next one works. */
  #failures = 0;
  #isQuiet = false;
  /** Leaders have changed nothing since the last time. */
  #isJudged = true;
  #broken: { readonly error: unknown } | null = null;
  #serial: number;
  readonly #sums: Sums;
  #member: Member;
  /** One that was followed by another, and does not know it. */
  #former: Member | null = null;

  constructor(
    rig: DeletionRig,
    random: Prng,
    /** `serial`: the first that no block has. `sums`: what happens is added to them. */
    { serial, sums }: { readonly serial: number; readonly sums: Sums },
  ) {
    this.#rig = rig;
    this.#random = random;
    this.#serial = serial;
    this.#sums = sums;
    this.#settings = drawSettings(random, this.#names);
    this.#bucket = new BucketModel(rig, this.#hidden);
    rig.store.calls.length = 0;
    rig.order.length = 0;
    rig.store.onCall = (operation, key) => this.#onCall(operation, key);
    rig.store.beforeDelete = async () => this.#maybeEvent(0.02);
    rig.beforeStep = (command) => {
      if (command === COMMAND.retireShards) this.#maybe(0.2, () => this.#writeBeside());
      this.#maybeEvent(0.05);
    };
    rig.afterStep = (command) => {
      this.#isJudged = false;
      if (command === COMMAND.openTenant) this.#noteOpened();
    };
    this.#member = this.#newMember();
  }

  /** The serial that the next world begins with. */
  async play(): Promise<number> {
    this.#begin();
    for (let steps = this.#random.nextBetween(2, 3); steps > 0; steps--) {
      for (let i = this.#random.nextInt(8); i > 0; i--) this.#event();
      for (const name of this.#names)
        if (this.#random.nextChance(DELETED_PER_STEP)) this.#request(name);
      await this.#turn();
      this.#judge();
    }
    await this.#settle();
    await this.#clear();
    if (this.#broken !== null) throw this.#broken.error;
    return this.#serial;
  }

  // -- what others do ---------------------------------------------------------------------------------------------

  #begin(): void {
    const specs: BlockSpec[] = [];
    for (const name of this.#names) {
      for (let i = drawBlocksCount(this.#random); i > 0; i--) specs.push(this.#draw([name]));
      for (let i = this.#random.nextInt(3); i > 0; i--) this.#leave(name);
    }
    for (let i = this.#random.nextInt(6); i > 0; i--) specs.push(this.#drawSegment());
    if (specs.length > 0) assert.equal(this.#apply(entry.addBlocks(...specs)), 0);
  }

  /** One after the other, or at the same time; the one that is not told of its end goes on as well. */
  async #turn(): Promise<void> {
    this.#rig.fixture.state.commit();
    const runs: Promise<unknown>[] = [];
    for (const member of [this.#member, this.#former]) {
      if (member === null) continue;
      if (member === this.#former) this.#sums.overlaps++;
      runs.push(member.leader.run(), this.#retire(member));
      if (this.#random.nextChance(0.5)) await Promise.allSettled(runs);
    }
    await Promise.allSettled(runs);
    this.#noteVerified();
  }

  #retire({ cleaner, leader }: Member): Promise<unknown> {
    return cleaner.run(leader.office);
  }

  /** On a leader's way, who takes whatever is thrown for a failure: a broken rule is kept for the end. */
  #maybeEvent(probability: number): void {
    this.#maybe(probability, () => this.#event());
  }

  #maybe(probability: number, act: () => void): void {
    if (this.#isQuiet || !this.#random.nextChance(probability)) return;
    this.#keepingBroken(() => {
      // By what holds now, before it changes.
      this.#judge();
      act();
    });
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
    // By what holds now, before it changes.
    this.#judge();
    const random = this.#random;
    switch (random.nextInt(14)) {
      case 0:
      case 1:
      case 2:
        return this.#write();
      case 3:
      case 4:
        return this.#compact();
      case 5:
        return this.#request(this.#random.pick(this.#names));
      case 6:
        return this.#open();
      case 7:
        return this.#lead(random.nextChance(0.5));
      case 8:
        this.#failures = random.nextInt(4);
        return;
      case 9:
      case 10:
        return this.#pass(random.nextInt(20) * HOUR_MS);
      case 11:
        return this.#jump();
      case 12:
        return this.#changePeriod();
      default:
        this.#leave(this.#random.pick(this.#names));
    }
  }

  /** An object of a tenant's own that no index knows of. */
  #leave(name: string): void {
    if (name.includes("/")) return;
    // Below dlq/ the directory of that name is everybody's.
    const roots = name === "anonymous" ? ["blocks"] : ["blocks", "dlq", "dlq-quarantine"];
    const shard = this.#random.nextBetween(1, 3);
    this.#bucket.put(`${this.#random.pick(roots)}/${shard}/${name}/${this.#serial++}/x`);
  }

  #pass(ms: number): void {
    this.#rig.scheduler.advance(ms);
  }

  /** For good: by seconds, hours, years, forward or back. */
  #jump(): void {
    this.#member.clock.offsetMs += this.#random.pick([5_000, HOUR_MS, 9e10, -HOUR_MS, -9e10]);
    this.#sums.jumps++;
  }

  #changePeriod(): void {
    const name = this.#random.pick(this.#names);
    const { overridesMs } = this.#settings;
    if (!overridesMs.delete(name)) overridesMs.set(name, drawPeriodMs(this.#random));
    this.#sums.periods++;
  }

  #draw(tenants: readonly string[]): BlockSpec {
    // A name that is no part of a key is in segments alone.
    const [first = ""] = tenants;
    return first.includes("/") ? this.#block("", tenants, 0) : this.#block(first, tenants, 1);
  }

  #drawSegment(): BlockSpec {
    const tenants = [this.#random.pick(this.#names), this.#random.pick(this.#names)];
    return this.#block("", tenants, 0);
  }

  /** Known to the model from here on. */
  #block(owner: string, tenants: readonly string[], level: number, place?: Place): BlockSpec {
    const { startMs, createdAtMs, newestMs, shard } =
      place ?? drawPlace(this.#random, this.#rig.nowMs());
    const serial = this.#serial++;
    const id = ulidAt(createdAtMs, serial);
    const datasets = tenants.map((tenant) => ({ tenant }));
    const times = { minTimeMs: newestMs - 1, maxTimeMs: newestMs };
    const spec = { id, tenant: owner, shard, level, ...times, datasets };
    this.#blocks.set(serial, { serial, id, owner, shard, startMs, createdAtMs, newestMs, tenants });
    this.#bucket.put(objectKey(spec), tenants);
    return spec;
  }

  #write(): void {
    const isSegment = this.#random.nextChance(0.3);
    const [first] = this.#hidden.keys();
    const isRepeat = first !== undefined && this.#random.nextChance(0.3);
    const name = isRepeat ? first : this.#random.pick(this.#names);
    const spec = isSegment ? this.#drawSegment() : this.#draw([name]);
    const isRefused = this.#hidden.has(spec.tenant ?? "");
    assert.equal(this.#apply(entry.addBlocks(spec)), isRefused ? "tenant_deleted" : 0);
    if (!isRefused) return;
    this.#sums.refused++;
    this.#blocks.delete(this.#serial - 1);
  }

  /** A worker splits a segment; its result may come when the tenant is not there any more. */
  #compact(of: (segment: Block) => boolean = () => true): void {
    const segments = [...this.#blocks.values()].filter((block) => block.owner === "" && of(block));
    if (segments.length === 0) return;
    const segment = this.#random.pick(segments);
    const own = [...new Set(segment.tenants)].filter((name) => !name.includes("/"));
    const made = own.map((name) => this.#block(name, [name], 1, splitOf(segment)));
    const source = { tenant: "", shard: segment.shard, blocks: [segment.id] };
    const newBlocks = made.map(wireBlock);
    this.#apply(entry.replaceBlocks({ newBlocks, source }));
    this.#blocks.delete(segment.serial);
    this.#bucket.erase(objectKey({ id: segment.id, tenant: "", shard: segment.shard }));
    for (const spec of made) this.#noteResult(spec);
  }

  /** Of a hidden tenant it is left out of the index, and its object gone with the next pass. */
  #noteResult(spec: BlockSpec): void {
    const stored = this.#bucket.objects.get(objectKey(spec));
    if (stored !== undefined) stored.isLate = false;
    if (!this.#hidden.has(spec.tenant ?? "")) return;
    this.#sums.late++;
    for (const [serial, { id }] of this.#blocks) if (id === spec.id) this.#blocks.delete(serial);
  }

  /** New data where there is some already: a shard that was chosen to go must not take it along. */
  #writeBeside(): void {
    const blocks = [...this.#blocks.values()].filter(({ owner }) => !this.#hidden.has(owner));
    if (blocks.length === 0) return;
    const { owner, tenants, shard, startMs, createdAtMs } = this.#random.pick(blocks);
    const place = { shard, startMs, createdAtMs, newestMs: this.#rig.nowMs() };
    const spec = this.#block(owner, tenants, owner === "" ? 0 : 1, place);
    assert.equal(this.#apply(entry.addBlocks(spec)), 0);
  }

  #apply(one: Entry): number | string {
    const { fixture, term } = this.#rig;
    return fixture.applyOne(one, { term, appendedAtMs: this.#rig.nowMs() });
  }

  #request(name: string): void {
    this.#rig.remove(name, this.#random.pick([0, 1, HOUR_MS, 30 * HOUR_MS]));
    if (this.#hidden.has(name)) return;
    this.#sums.requested++;
    this.#hidden.set(name, this.#serial);
    this.#bucket.deleted.delete(name);
    this.#bucket.judgeAll();
  }

  #open(): void {
    const [name] = this.#hidden.keys();
    if (name === undefined) return;
    const isVerified = this.#rig.deletion(name).state === "verified";
    assert.equal(this.#rig.open(name), isVerified ? 0 : "tenant_deletion_running");
    this.#noteOpened();
  }

  /** And whoever has the name by then begins at once. */
  #reopen(): void {
    for (const name of this.#hidden.keys()) {
      if (this.#rig.deletion(name).state !== "verified") continue;
      assert.equal(this.#rig.open(name), 0);
      this.#noteOpened();
      this.#leave(name);
      return;
    }
  }

  // -- leaders ----------------------------------------------------------------------------------------------------

  #newMember(): Member {
    const rig = this.#rig;
    rig.term++;
    // Somebody wrote within the last day, if only a mark.
    const newestAtMs = Math.max(rig.fixture.state.appliedAtMs, rig.nowMs() - 23 * HOUR_MS);
    return newMember(rig, this.#settings, this.#random.nextChance(0.5) ? newestAtMs : 0);
  }

  #lead(isKilled: boolean): void {
    this.#former = isKilled ? null : this.#member;
    if (isKilled) this.#member.leader.abort.abort();
    this.#member = this.#newMember();
  }

  #onCall(operation: string, key: string): void {
    if (operation === "list") {
      this.#maybeEvent(0.005);
      this.#maybe(0.01, () => this.#reopen());
    }
    if (this.#failures > 0) {
      this.#failures--;
      this.#sums.failures++;
      throw unreachable();
    }
    if (operation !== "delete") return;
    this.#keepingBroken(() => assert.equal(this.#bucket.noteDeleted(key), null));
    this.#sums.objects++;
  }

  // -- judging ----------------------------------------------------------------------------------------------------

  /** What has left the index since the last time had to be of deleted tenants alone, or past its period. */
  #judge(): void {
    if (this.#isJudged) return;
    this.#isJudged = true;
    this.#look();
  }

  #look(): SeenIndex {
    const { fixture } = this.#rig;
    fixture.state.commit();
    const seen = fixture.read(readSeen);
    const nowMs = latestMs(this.#member.clock, this.#rig.nowMs());
    const retiredSegments: Block[] = [];
    for (const block of this.#blocks.values()) {
      if (seen.serials.has(block.serial)) continue;
      this.#blocks.delete(block.serial);
      const tenant = whoseDataIsKept(block, this.#settings, nowMs, this.#hidden);
      if (tenant !== null) assert.fail(`deleted data of ${tenant}: ${this.#facts(block)}`);
      if (block.tenants.every((name) => this.#hidden.has(name))) continue;
      this.#sums.retired++;
      if (block.owner === "") retiredSegments.push(block);
    }
    // Compaction may still be at work where a tenant has something.
    for (const { startMs, id } of retiredSegments)
      for (const block of this.#blocks.values())
        assert.ok(block.owner === "" || block.startMs !== startMs, `${id} was not alone`);
    assert.equal(seen.serials.size, this.#blocks.size, "the index holds blocks that it should not");
    return seen;
  }

  #facts(block: Block): string {
    const { overridesMs, ...settings } = this.#settings;
    const overrides = block.tenants.map((name) => [name, overridesMs.get(name)]);
    return JSON.stringify({ block, overrides, ...settings, nowMs: this.#rig.nowMs() });
  }

  /** Verified means: nothing is left. */
  #noteVerified(): void {
    for (const [name, serial] of this.#hidden) {
      const { state, objects, requestedAtMs } = this.#rig.deletion(name);
      if (state !== "verified") continue;
      assert.equal(this.#bucket.leftOf(name, { isLate: false }), null);
      assert.ok(objects <= (this.#bucket.deleted.get(name) ?? 0), `${name}: counted twice`);
      for (const block of this.#blocks.values()) {
        assert.notEqual(block.owner, name);
        const isOlder = block.serial < serial && block.createdAtMs <= requestedAtMs;
        assert.ok(!isOlder || !block.tenants.includes(name), `verified before ${block.id} went`);
      }
    }
  }

  #noteOpened(): void {
    for (const name of this.#hidden.keys()) {
      if (this.#rig.deletion(name).state !== "open") continue;
      this.#hidden.delete(name);
      this.#sums.opened++;
    }
  }

  // -- the end ----------------------------------------------------------------------------------------------------

  /** Others stop, and leaders that nobody disturbs have so many passes. */
  async #settle(): Promise<void> {
    this.#isQuiet = true;
    this.#failures = 0;
    const isOfHidden = ({ tenants }: Block): boolean =>
      tenants.some((name) => this.#hidden.has(name));
    while ([...this.#blocks.values()].some((block) => block.owner === "" && isOfHidden(block)))
      this.#compact(isOfHidden);
    this.#lead(true);
    await this.#finishRetention(this.#member.cleaner, this.#settings.shardsPerPassMax);
    this.#sums.kept += this.#blocks.size;
    await this.#finishDeletions();
  }

  async #finishRetention(cleaner: RetentionCleaner, shardsPerPassMax: number): Promise<void> {
    const { shards } = this.#look();
    // The anonymous owner's shards are alone only when the last tenant's are gone.
    let left = 2 + Math.ceil(shards / shardsPerPassMax);
    for (;;) {
      const { outcome, text } = await cleaner.run(this.#member.leader.office);
      assert.notEqual(outcome, "failed", text);
      this.#rig.fixture.state.commit();
      if (outcome === "nothing") break;
      assert.ok(left-- > 0, "passes do not end");
    }
    this.#judge();
    const { graceMs } = this.#settings;
    const nowMs = this.#rig.nowMs();
    const block = leftBehind(this.#blocks.values(), this.#settings, { nowMs, graceMs });
    if (block !== null) assert.fail(`kept ${this.#facts(block)}`);
  }

  async #finishDeletions(): Promise<void> {
    for (let runs = 0; ![...this.#hidden.keys()].every((name) => this.#isVerified(name)); runs++) {
      assert.ok(runs < DELETER_RUNS_MAX, `not over after ${runs} runs`);
      const { outcome, text } = await this.#member.leader.run();
      assert.notEqual(outcome, "failed", text);
      this.#rig.fixture.state.commit();
    }
    this.#judge();
    this.#noteVerified();
    this.#sums.verified += this.#hidden.size;
    for (const { tenants } of this.#blocks.values())
      for (const name of tenants) assert.ok(!this.#hidden.has(name), `data of ${name} is left`);
    // Those whose time is over by then are opened with a last look.
    this.#pass(31 * HOUR_MS);
    const closed = [...this.#hidden.keys()].filter(
      (name) => this.#rig.deletion(name).closedForMs > 0,
    );
    await this.#member.leader.run();
    for (const name of closed) {
      assert.ok(!this.#hidden.has(name), `${name} is still closed`);
      assert.equal(this.#bucket.leftOf(name, { isLate: true }), null);
    }
    while (this.#hidden.size > 0) this.#open();
  }

  #isVerified(name: string): boolean {
    return this.#rig.deletion(name).state === "verified";
  }

  /** Long after all periods nothing is left, so that the next world begins with nothing. */
  async #clear(): Promise<void> {
    this.#settings.overridesMs.clear();
    this.#settings.defaultMs = HOUR_MS;
    this.#pass(10 * 24 * HOUR_MS + PARTITION_MS);
    const { clock } = this.#member;
    const settings = { ...this.#settings, shardsPerPassMax: ALL };
    const cleaner = newCleaner(this.#rig, settings, { clock, newestForeignEntryAtMs: 0 });
    await this.#finishRetention(cleaner, ALL);
    const { serials, shards } = this.#look();
    assert.deepEqual([serials.size, shards], [0, 0]);
    this.#rig.store.objects.clear();
  }
}

/** Where a worker puts what it made of a segment: into its partition, with its data. */
function splitOf({ startMs, newestMs, shard }: Block): Place {
  return { startMs, createdAtMs: startMs, newestMs, shard };
}
