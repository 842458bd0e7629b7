/** Deleting a tenant: what each command does and refuses, and that nothing of others is touched. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import {
  type ClearTenant,
  COMMAND,
  encodeTenantCommand,
  type NoteDeletion,
  validateCommand,
} from "../../src/protocol/index.ts";
import {
  COMPACTION_DEFAULTS,
  listFlushed,
  listOrphans,
  listTombstones,
  readDeletions,
  STATE_LIMITS,
  type StoredDeletion,
} from "../../src/state/index.ts";
import { encodePolicyCommand } from "../../src/protocol/index.ts";
import {
  type BlockSpec,
  entry,
  type Entry,
  HOUR_MS,
  type StateFixture,
  ulidAt,
  WINDOW_MS,
  wireBlock,
  withState,
} from "./support.ts";

const DAY_MS = 24 * HOUR_MS;

function remove(tenant: string, closedForMs = DAY_MS): Entry {
  return { command: COMMAND.deleteTenant, payload: encodeTenantCommand({ tenant, closedForMs }) };
}

function clear(id: number, changes: Partial<ClearTenant> = {}): Entry {
  const payload = encodeTenantCommand({ term: 1, id, shardsMax: 64, segments: [], ...changes });
  return { command: COMMAND.clearTenant, payload };
}

function note(id: number, changes: Partial<NoteDeletion> = {}): Entry {
  const payload = encodeTenantCommand({
    term: 1,
    id,
    from: "",
    to: "",
    objects: 0,
    bytes: 0,
    isEnd: true,
    segmentsLeft: 0,
    ...changes,
  });
  return { command: COMMAND.noteDeletion, payload };
}

function open(id: number, term = 0): Entry {
  return { command: COMMAND.openTenant, payload: encodeTenantCommand({ term, id }) };
}

let serial = 0;
function block(changes: Partial<BlockSpec> = {}): BlockSpec {
  const id = ulidAt(WINDOW_MS + 1_000, ++serial);
  return { id, tenant: "acme", level: 1, datasets: [{ tenant: "acme" }], ...changes };
}

function segment(tenants: readonly string[], changes: Partial<BlockSpec> = {}): BlockSpec {
  const datasets = tenants.map((tenant) => ({ tenant, name: `of-${tenant}` }));
  return block({ tenant: "", level: 0, datasets, ...changes });
}

function deletionOf(fixture: StateFixture, tenant = "acme"): StoredDeletion {
  const found = fixture.read(readDeletions).findLast((deletion) => deletion.tenant === tenant);
  assert.ok(found, `no deletion of ${tenant}`);
  return found;
}

/** Hides the tenant and takes everything it owns out of the index; its id. */
function hideAndClear(fixture: StateFixture, tenant = "acme"): number {
  assert.equal(fixture.applyOne(remove(tenant)), 0);
  const { id } = deletionOf(fixture, tenant);
  while (deletionOf(fixture, tenant).state === "hidden") {
    assert.equal(fixture.applyOne(clear(id)), 0);
  }
  return id;
}

describe("deletion of a tenant, in the state", () => {
  it("hides the tenant with the entry, and refuses its blocks from then on", () =>
    withState((fixture) => {
      assert.equal(fixture.add(block()), 0);
      assert.equal(fixture.state.hiddenAt, 0);
      assert.equal(fixture.applyOne(remove("acme")), 0);
      assert.equal(fixture.state.hiddenAt, fixture.state.appliedIndex);
      assert.equal(deletionOf(fixture).state, "hidden");
      assert.equal(fixture.add(block()), "tenant_deleted");
      // All or nothing: one block of the tenant refuses the entry.
      assert.equal(fixture.add(block({ tenant: "other" }), block()), "tenant_deleted");
      assert.equal(fixture.add(block({ tenant: "other" })), 0);
      assert.equal(fixture.add(segment(["acme", "other"])), 0);
    }));

  it("keeps what is hidden over a restart, and writes the record of before while nobody is", () =>
    withState(async (fixture) => {
      fixture.add(block());
      fixture.applyOne(remove("acme"));
      const { hiddenAt } = fixture.state;
      await fixture.restart();
      assert.equal(fixture.state.hiddenAt, hiddenAt);
      assert.equal(fixture.add(block()), "tenant_deleted");
    }));

  it("changes nothing when it is asked again", () =>
    withState((fixture) => {
      assert.equal(fixture.applyOne(remove("acme")), 0);
      const before = deletionOf(fixture);
      assert.equal(fixture.applyOne(remove("acme", 7)), 1);
      assert.deepEqual(deletionOf(fixture), before);
    }));

  it("takes a name that no block had", () =>
    withState((fixture) => {
      const id = hideAndClear(fixture, "unknown");
      assert.equal(deletionOf(fixture, "unknown").id, id);
      assert.equal(deletionOf(fixture, "unknown").state, "unindexed");
    }));

  it("refuses more deletions than may be at once, and takes the one below", () =>
    withState((fixture) => {
      for (let i = 0; i < STATE_LIMITS.deletionsMax; i++) {
        assert.equal(fixture.applyOne(remove(`t${i}`)), 0, `deletion ${i}`);
      }
      assert.equal(fixture.applyOne(remove("one too many")), "too_many_deletions");
    }));

  it("removes a bounded number of shards per entry, the oldest first, and those of nobody else", () =>
    withState((fixture) => {
      for (let i = 0; i < 5; i++) {
        const id = ulidAt(WINDOW_MS + i * 6 * HOUR_MS, i + 100);
        fixture.add(block({ id, shard: 5 - i }), block({ id, tenant: "other" }));
      }
      fixture.add(block({ shard: 2 }), block({ shard: 1 }));
      fixture.applyOne(remove("acme"));
      const { id } = deletionOf(fixture);
      assert.equal(fixture.applyOne(clear(id, { shardsMax: 3 })), 0);
      assert.equal(deletionOf(fixture).state, "hidden");
      assert.equal(deletionOf(fixture).shards, 3);
      assert.equal(fixture.applyOne(clear(id, { shardsMax: 64 })), 0);
      const { state, shards, blocks, bytes } = deletionOf(fixture);
      assert.deepEqual(
        { state, shards, blocks, bytes },
        {
          state: "unindexed",
          shards: 7,
          blocks: 7,
          bytes: 7_000,
        },
      );
      assert.equal(fixture.applyOne(clear(id)), 1);
      assert.equal(fixture.state.counters.blocks, 5);
    }));

  it("ignores a step of another term, of another deletion, and from another place", () =>
    withState((fixture) => {
      fixture.add(block());
      fixture.applyOne(remove("acme"));
      const { id } = deletionOf(fixture);
      assert.equal(fixture.applyOne(clear(id, { term: 2 })), 1);
      assert.equal(fixture.applyOne(clear(id + 1)), 1);
      assert.equal(fixture.applyOne(note(id)), 1, "it is not out of the index");
      assert.equal(fixture.applyOne(clear(id)), 0);
      assert.equal(fixture.applyOne(note(id, { term: 9 })), 1);
      assert.equal(fixture.applyOne(note(id, { from: "blocks/1" })), 1);
      assert.equal(
        fixture.applyOne(note(id, { to: "blocks/2", objects: 3, bytes: 9, isEnd: false })),
        0,
      );
      assert.equal(
        fixture.applyOne(note(id, { to: "blocks/2", objects: 3, bytes: 9, isEnd: false })),
        1,
        "twice",
      );
      const { objects, objectBytes, place } = deletionOf(fixture);
      assert.deepEqual(
        { objects, objectBytes, place },
        { objects: 3, objectBytes: 9, place: "blocks/2" },
      );
    }));

  it("is verified by a further pass that finds nothing, and not while segments are left", () =>
    withState((fixture) => {
      const id = hideAndClear(fixture);
      fixture.applyOne(note(id, { objects: 2 }));
      assert.equal(deletionOf(fixture).state, "emptied");
      fixture.applyOne(note(id, { objects: 1 }));
      assert.equal(deletionOf(fixture).state, "emptied", "the pass has found something");
      fixture.applyOne(note(id, { segmentsLeft: 1 }));
      assert.equal(deletionOf(fixture).state, "emptied", "a segment is left");
      fixture.applyOne(note(id));
      const { state, passes, objects } = deletionOf(fixture);
      assert.deepEqual({ state, passes, objects }, { state: "verified", passes: 4, objects: 3 });
    }));

  it("opens only what is verified, by the leader only when the time is over", () =>
    withState((fixture) => {
      const id = hideAndClear(fixture);
      assert.equal(fixture.applyOne(open(id)), "tenant_deletion_running");
      fixture.applyOne(note(id));
      fixture.applyOne(note(id));
      const verifiedAtMs = deletionOf(fixture).verifiedAtMs ?? 0;
      const at = (appendedAtMs: number) => ({ appendedAtMs });
      assert.equal(fixture.applyOne(open(id, 1), at(verifiedAtMs + DAY_MS - 1)), 1);
      assert.equal(fixture.applyOne(open(id, 2), at(verifiedAtMs + DAY_MS)), 1, "another term");
      assert.equal(fixture.add(block()), "tenant_deleted");
      assert.equal(fixture.applyOne(open(id, 1), at(verifiedAtMs + DAY_MS)), 0);
      assert.equal(deletionOf(fixture).state, "open");
      assert.equal(fixture.state.hiddenAt, 0);
      assert.equal(fixture.add(block()), 0);
      assert.equal(fixture.applyOne(open(id)), 1, "again");
      assert.equal(fixture.applyOne(remove("acme")), 0, "a second life");
    }));

  it("never opens by itself what was closed for ever", () =>
    withState((fixture) => {
      fixture.applyOne(remove("acme", 0));
      const { id } = deletionOf(fixture);
      fixture.apply([clear(id), note(id), note(id)]);
      assert.equal(deletionOf(fixture).state, "verified");
      assert.equal(fixture.applyOne(open(id, 1), { appendedAtMs: WINDOW_MS + 1_000 * DAY_MS }), 1);
      assert.equal(fixture.applyOne(open(id)), 0);
    }));

  it("does not take results of compaction, and looks at the bucket again", () =>
    withState((fixture) => {
      const mixed = segment(["acme", "other"]);
      fixture.add(mixed);
      const id = hideAndClear(fixture);
      fixture.apply([note(id), note(id)]);
      assert.equal(deletionOf(fixture).state, "verified");
      const newBlocks = [wireBlock(block()), wireBlock(block({ tenant: "other" }))];
      const source = { tenant: "", shard: 1, blocks: [mixed.id] };
      assert.equal(fixture.applyOne(entry.replaceBlocks({ source, newBlocks })), 0);
      const { state, lateBlocks, verifiedAtMs } = deletionOf(fixture);
      assert.deepEqual(
        { state, lateBlocks, verifiedAtMs },
        {
          state: "unindexed",
          lateBlocks: 1,
          verifiedAtMs: null,
        },
      );
      assert.equal(fixture.state.counters.blocks, 1, "the block of the other tenant");
    }));

  it("removes segments with data of deleted tenants alone, and leaves all others", () =>
    withState((fixture) => {
      const own = segment(["acme"]);
      const two = segment(["acme", "gone"]);
      const mixed = segment(["acme", "other"]);
      const foreign = segment(["other"]);
      const bare = segment([]);
      fixture.add(own, two, mixed, foreign, bare);
      const id = hideAndClear(fixture);
      const all = [own, two, mixed, foreign, bare].map((spec) => spec.id);
      const segments = [
        { shard: 1, ids: all },
        { shard: 9, ids: all },
      ];
      assert.equal(fixture.applyOne(clear(id, { segments })), 0);
      assert.equal(deletionOf(fixture).segments, 1);
      hideAndClear(fixture, "gone");
      assert.equal(fixture.applyOne(clear(id, { segments })), 0);
      assert.equal(deletionOf(fixture).segments, 2);
      assert.equal(fixture.state.counters.blocks, 3);
      const named = fixture.read((db) => listTombstones(db, Number.POSITIVE_INFINITY));
      assert.deepEqual(
        named.map(({ tombstone }) => tombstone.blocks?.blocks),
        [[own.id], [two.id]],
      );
      // It cannot return while its tombstone lives.
      assert.equal(fixture.add(own), 1);
    }));

  it("takes its blocks out of the compaction queue with their shards", () =>
    withState((fixture) => {
      const policy = {
        ...COMPACTION_DEFAULTS,
        levels: [
          { maxBlocks: 2, maxAgeMs: 0 },
          { maxBlocks: 2, maxAgeMs: 0 },
        ],
      };
      const payload = encodePolicyCommand(JSON.stringify(policy));
      fixture.applyOne({ command: COMMAND.setCompactionPolicy, payload });
      fixture.add(block(), block(), block({ tenant: "other" }), block({ tenant: "other" }));
      assert.equal(fixture.read((db) => listFlushed(db, 1, 10)).length, 2);
      hideAndClear(fixture);
      assert.equal(fixture.read((db) => listFlushed(db, 1, 10)).length, 1);
      assert.deepEqual(
        fixture.read((db) => listOrphans(db, 10)),
        [],
      );
    }));

  it("keeps so many reports, and forgets those of the oldest requests first, also behind a restart", () =>
    withState(async (fixture) => {
      const more = 3;
      const all = STATE_LIMITS.deletionReportsMax + more;
      const ids: number[] = [];
      for (let i = 0; i < all; i++) {
        const id = fixture.state.appliedIndex + 1;
        // Requested one after the other, opened later and the other way round in pairs.
        fixture.apply([remove(`tenant-${i}`), clear(id), note(id), note(id)]);
        ids.push(id);
        if (i % 2 === 0) continue;
        fixture.apply([open(id), open(ids.at(-2) as number)]);
        if (i === 501) await fixture.restart();
      }
      assert.equal(all % 2, 1);
      fixture.apply([open(ids.at(-1) as number)]);
      assert.deepEqual(
        fixture.read(readDeletions).map(({ id, state }) => [id, state]),
        ids.slice(more).map((id) => [id, "open"]),
      );
    }));

  it("refuses payloads that are none, at the door and in the log", () =>
    withState((fixture) => {
      const text = (value: unknown): Uint8Array => new TextEncoder().encode(JSON.stringify(value));
      const bad: [number, unknown][] = [
        [COMMAND.deleteTenant, { tenant: "", closedForMs: 1 }],
        [COMMAND.deleteTenant, { tenant: "x".repeat(2_000), closedForMs: 1 }],
        [COMMAND.deleteTenant, { tenant: "x", closedForMs: -1 }],
        [COMMAND.clearTenant, { term: 1, id: 1, shardsMax: 1e6, segments: [] }],
        [
          COMMAND.clearTenant,
          { term: 1, id: 1, shardsMax: 1, segments: [{ shard: 1, ids: ["x"] }] },
        ],
        [COMMAND.noteDeletion, { term: 1, id: 1 }],
        [COMMAND.openTenant, null],
      ];
      for (const [command, value] of bad) {
        const payload = text(value);
        assert.ok(validateCommand(command, 1, payload), JSON.stringify(value));
        assert.equal(fixture.applyOne({ command, payload }), "bad_payload", JSON.stringify(value));
      }
      assert.deepEqual(fixture.read(readDeletions), []);
    }));
});
