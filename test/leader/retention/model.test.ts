/**
 * Retention against a plain definition of what may and what must go, block by block, with random partitions, periods and
 * clocks: nothing inside its tenant's period is ever deleted, and what is past period and grace is gone after a bounded
 * number of passes. Choosing alone, without an index: test/leader/model has the whole of it.
 *
 * RETENTION_CASES=2000000 tries more.
 */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Prng } from "../../../src/base/index.ts";
import { RetentionPass, RetentionPolicy, SteadyClock } from "../../../src/leader/index.ts";

const CASES = Number(process.env.RETENTION_CASES ?? 100_000);
const SEED = Number(process.env.RETENTION_SEED ?? 20_261_128);

const HOUR_MS = 3_600_000;
const PARTITION_MS = 6 * HOUR_MS;
const NAMES = ["-", "acme", "anonymous", "b", "\u{10000}", "\uffee"];

interface Block {
  /** "" is the anonymous owner. */
  readonly owner: string;
  /** Whose data is in it. */
  readonly tenants: readonly string[];
  readonly startMs: number;
  readonly shard: number;
  readonly newestMs: number;
}

interface World {
  readonly random: Prng;
  readonly defaultMs: number;
  readonly overridesMs: Map<string, number>;
  readonly graceMs: number;
  readonly countMax: number;
  blocks: Block[];
  /** Anonymous shards without blocks: partition start and shard. */
  empties: { readonly startMs: number; readonly shard: number }[];
  trueMs: number;
  offsetMs: number;
}

function pick<T>(random: Prng, values: readonly T[]): T {
  return values[random.nextU32() % values.length] as T;
}

function makeWorld(random: Prng): World {
  const trueMs = 1_800_000_000_000 + (random.nextU32() % 100) * HOUR_MS;
  const hours = [0, 1, 5, 6, 12, 13, 24, 48];
  const overridesMs = new Map<string, number>();
  for (const name of ["", ...NAMES]) {
    if (random.nextU32() % 3 === 0) overridesMs.set(name, pick(random, hours) * HOUR_MS);
  }
  const blocks: Block[] = [];
  const empties: World["empties"] = [];
  const count = random.nextU32() % 9;
  for (let i = 0; i < count; i++) {
    const startMs =
      Math.floor(trueMs / PARTITION_MS) * PARTITION_MS - (random.nextU32() % 14) * PARTITION_MS;
    const owner = random.nextU32() % 3 === 0 ? "" : pick(random, NAMES);
    const tenants = owner === "" ? [pick(random, NAMES), pick(random, NAMES)] : [owner];
    const shard = 1 + (random.nextU32() % 3);
    // Around the creation, sometimes far off in either direction, sometimes exactly on an edge.
    const offMs = pick(random, [0, 1, HOUR_MS, PARTITION_MS, -48 * HOUR_MS, 30 * HOUR_MS]);
    if (owner === "" && random.nextU32() % 4 === 0) empties.push({ startMs, shard });
    else blocks.push({ owner, tenants, startMs, shard, newestMs: startMs + offMs });
  }
  return {
    random,
    defaultMs: pick(random, hours) * HOUR_MS,
    overridesMs,
    graceMs: pick(random, [0, 1, HOUR_MS, PARTITION_MS]),
    countMax: pick(random, [1, 2, 3, 32]),
    blocks,
    empties,
    trueMs,
    offsetMs: 0,
  };
}

function periodOf(world: World, tenant: string): number {
  const own = tenant === "" ? undefined : world.overridesMs.get(tenant);
  const periodMs = own ?? world.defaultMs;
  return periodMs === 0 ? Number.POSITIVE_INFINITY : periodMs;
}

function shardOf({ owner, startMs, shard }: Pick<Block, "owner" | "startMs" | "shard">): string {
  return `${owner} ${startMs} ${shard}`;
}

/** Whether a tenant has something in the partition. */
function isShared({ blocks }: World, startMs: number): boolean {
  return blocks.some((block) => block.owner !== "" && block.startMs === startMs);
}

/** One pass over the world as an index would list it; returns how many shards went. */
function runPass(world: World, nowMs: number): number {
  const pass = new RetentionPass(new RetentionPolicy(world, nowMs), world);
  const shards = new Map<
    string,
    { place: Omit<Block, "newestMs">; blocks: number; newestMs: number }
  >();
  for (const block of world.blocks) {
    const known = shards.get(shardOf(block));
    if (known === undefined)
      shards.set(shardOf(block), { place: block, blocks: 1, newestMs: block.newestMs });
    else {
      known.blocks += 1;
      known.newestMs = Math.max(known.newestMs, block.newestMs);
    }
  }
  for (const empty of world.empties) {
    const place = { ...empty, owner: "", tenants: [] };
    if (!shards.has(shardOf(place))) shards.set(shardOf(place), { place, blocks: 0, newestMs: 0 });
  }
  for (const { place, blocks, newestMs } of shards.values()) {
    const { owner, startMs, shard } = place;
    const partition = { startMs, durationMs: PARTITION_MS };
    if (!pass.mayHold(owner, partition)) continue;
    pass.look(owner, partition, { shard, blocks, bytes: 1, newestMs }, !isShared(world, startMs));
  }
  const due = pass.take();
  for (const { tenant, startMs, shard } of due) remove(world, { owner: tenant, startMs, shard });
  assert.equal(due.length, Math.min(world.countMax, pass.totals.shards));
  return due.length;
}

function remove(world: World, place: Pick<Block, "owner" | "startMs" | "shard">): void {
  const name = shardOf(place);
  for (const block of world.blocks) if (shardOf(block) === name) assertMayGo(world, block);
  world.blocks = world.blocks.filter((block) => shardOf(block) !== name);
  world.empties = world.empties.filter((empty) => shardOf({ ...empty, owner: "" }) !== name);
}

/** How far the time that retention goes by may be ahead of the true one: allowance and slew of the steady clock. */
const TOLERANCE_MS = 10_000 + 0.01 * 200 * HOUR_MS;

function assertMayGo(world: World, block: Block): void {
  for (const tenant of block.tenants) {
    const keptSinceMs = world.trueMs + TOLERANCE_MS - periodOf(world, tenant);
    if (block.newestMs < keptSinceMs) continue;
    const { defaultMs, overridesMs, trueMs } = world;
    const facts = JSON.stringify({ block, trueMs, overrides: [...overridesMs], defaultMs });
    assert.fail(`deleted data of ${tenant}: ${facts}`);
  }
}

/** What has to be gone once passes find nothing more, at a time they all go by. */
function assertNothingLeft(world: World, nowMs: number): void {
  const longestMs = Math.max(
    periodOf(world, ""),
    ...[...world.overridesMs.keys()].map((tenant) => periodOf(world, tenant)),
  );
  for (const block of world.blocks) {
    if (block.owner === "" && isShared(world, block.startMs)) continue;
    const cutOffMs = nowMs - (block.owner === "" ? longestMs : periodOf(world, block.owner));
    const isPartitionPast = block.startMs + PARTITION_MS + world.graceMs < cutOffMs;
    // The unit of deletion is the shard: its newest block decides.
    const isPast = world.blocks.every(
      (other) => shardOf(other) !== shardOf(block) || other.newestMs < cutOffMs,
    );
    if (isPartitionPast && isPast) assert.fail(`kept ${JSON.stringify({ block, nowMs })}`);
  }
}

/** Plays one world; what was removed and kept, and how often the clock jumped. */
function play(random: Prng): { removed: number; kept: number; jumps: number } {
  const world = makeWorld(random);
  const clock = new SteadyClock({
    clock: { nowMs: () => world.trueMs + world.offsetMs },
    scheduler: { monotonicMs: () => world.trueMs },
  });
  clock.begin(random.nextU32() % 2 === 0 ? 0 : world.trueMs);
  let removed = 0;
  let jumps = 0;
  const passes = 1 + (random.nextU32() % 3);
  for (let pass = 0; pass < passes; pass++) {
    removed += runPass(world, clock.read().nowMs);
    world.trueMs += (random.nextU32() % 20) * HOUR_MS;
    if (random.nextU32() % 4 !== 0) continue;
    // The clock jumps, for good: by seconds, hours, years, forward or back.
    world.offsetMs += pick(random, [5_000, HOUR_MS, 9e10, -HOUR_MS, -9e10]);
    jumps += 1;
  }
  const nowMs = clock.read().nowMs;
  const most = Math.ceil((world.blocks.length + world.empties.length) / world.countMax) + 2;
  let more = 0;
  while (runPass(world, nowMs) > 0) if (++more > most) assert.fail("passes do not end");
  assertNothingLeft(world, nowMs);
  return { removed, kept: world.blocks.length, jumps };
}

describe("retention", () => {
  it(`${CASES} random worlds: keeps what is inside its period, removes what is past it`, () => {
    const sum = { removed: 0, kept: 0, jumps: 0 };
    for (let i = 0; i < CASES; i++) {
      try {
        const { removed, kept, jumps } = play(new Prng(SEED + i));
        sum.removed += removed;
        sum.kept += kept;
        sum.jumps += jumps;
      } catch (error) {
        throw new Error(`seed ${SEED + i}`, { cause: error });
      }
    }
    // A model that never gets to delete or to keep anything would prove nothing.
    const isTelling = sum.removed > CASES / 2 && sum.kept > CASES / 2 && sum.jumps > CASES / 10;
    assert.ok(isTelling, JSON.stringify(sum));
  });
});
