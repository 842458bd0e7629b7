/** The leader's part of deleting a tenant: state by state, over failures of the bucket and changes of the leader. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { HearthError } from "../../../src/base/index.ts";
import { COMMAND } from "../../../src/protocol/index.ts";
import {
  type BlockSpec,
  entry,
  HOUR_MS,
  ulidAt,
  WINDOW_MS,
  wireBlock,
} from "../../state/support.ts";
import { DeletionRig, objectKey, unreachable } from "../../support/deletion.ts";

let serial = 0;

function block(changes: Partial<BlockSpec> = {}): BlockSpec {
  const tenant = changes.tenant ?? "acme";
  const id = ulidAt(WINDOW_MS + 1_000, ++serial);
  return { id, tenant, level: 1, datasets: [{ tenant }], ...changes };
}

function segment(tenants: readonly string[], changes: Partial<BlockSpec> = {}): BlockSpec {
  const datasets = tenants.map((tenant) => ({ tenant, name: `of-${tenant}` }));
  return block({ tenant: "", level: 0, datasets, ...changes });
}

async function withRig(body: (rig: DeletionRig) => Promise<void>): Promise<void> {
  const rig = new DeletionRig();
  try {
    await body(rig);
  } finally {
    await rig.close();
  }
}

function steps(rig: DeletionRig): string[] {
  return rig.order.filter((item) => item.startsWith("step"));
}

const notLeader = (): HearthError =>
  new HearthError("unavailable", "Another member leads", { reason: "not_leader" });

describe("a leader with deleted tenants", () => {
  it("does nothing, and reads nothing, while there is none", () =>
    withRig(async (rig) => {
      rig.add(block());
      const result = await rig.leader().run();
      assert.equal(result.outcome, "nothing");
      assert.deepEqual(rig.order, []);
      assert.deepEqual(rig.store.calls, []);
    }));

  it("takes one from hidden to verified, and touches nothing of others", () =>
    withRig(async (rig) => {
      const keep = [
        rig.add(block({ tenant: "acm" })),
        rig.add(block({ tenant: "acme2", shard: 2 })),
        rig.add(segment(["other"])),
        rig.put("blocks/1/acme"),
        rig.put("blocks/acme/1/x/block.bin"),
        rig.put("other/1/acme/x"),
        rig.put("dlq/1/anonymous/x/meta.pb"),
      ];
      for (let i = 0; i < 300; i++) rig.add(block({ shard: i % 70 }));
      rig.put("blocks/99/acme/left-by-a-worker/block.bin");
      rig.put("dlq/4/acme/x/meta.pb");
      rig.put("dlq-quarantine/4/acme/x/meta.pb");
      rig.add(segment(["acme"]));
      rig.remove("acme");
      const result = await rig.finish(rig.leader());
      assert.deepEqual(rig.keys(), keep.sort());
      assert.match(result.text, /1 deleted tenant is closed/);
      const deletion = rig.deletion("acme");
      assert.equal(deletion.state, "verified");
      assert.deepEqual([deletion.blocks, deletion.shards, deletion.segments], [300, 70, 1]);
      // The segment's object is deleted with its entry, and noted by neither.
      assert.deepEqual([deletion.objects, deletion.objectBytes], [303, 3_030]);
      assert.equal(deletion.passes, 2);
      assert.equal(deletion.segmentsLeft, 0);
    }));

  it("deletes objects only behind a confirmation that came behind their list", () =>
    withRig(async (rig) => {
      rig.add(block());
      rig.add(segment(["acme"]));
      rig.remove("acme");
      await rig.finish(rig.leader());
      const calls = rig.order.map((item) => item.split(" ")[0]);
      for (const [i, call] of calls.entries()) {
        if (call !== "delete") continue;
        const before = calls.slice(0, i).findLast((other) => other !== "delete");
        assert.equal(before, "confirm", rig.order.join(", "));
      }
    }));

  it("removes the object of a segment before its entry, which says where it is", () =>
    withRig(async (rig) => {
      const own = segment(["acme"]);
      rig.add(own);
      rig.remove("acme");
      rig.store.onCall = (operation) => {
        if (operation === "delete") throw unreachable();
      };
      const leader = rig.leader();
      assert.equal((await leader.run()).outcome, "failed");
      assert.deepEqual(steps(rig), []);
      rig.store.onCall = () => {};
      await rig.finish(leader);
      assert.equal(rig.store.objects.has(objectKey(own)), false);
      assert.equal(rig.deletion("acme").segments, 1);
    }));

  it("waits for compaction while segments hold data of others, too, and goes on by itself", () =>
    withRig(async (rig) => {
      const mixed = segment(["acme", "other"]);
      const key = rig.add(mixed);
      rig.remove("acme");
      const leader = rig.leader();
      const waiting = await rig.finish(leader);
      assert.match(waiting.text, /1 wait for compaction/);
      assert.deepEqual([waiting.outcome, waiting.againAfterMs], ["nothing", 15_000]);
      const { state, segmentsLeft } = rig.deletion("acme");
      assert.deepEqual([state, segmentsLeft], ["emptied", 1]);
      assert.ok(rig.store.objects.has(key));
      // Nothing is written to the log for waiting.
      const before = rig.fixture.state.appliedIndex;
      await leader.run();
      assert.equal(rig.fixture.state.appliedIndex, before);
      const source = { tenant: "", shard: 1, blocks: [mixed.id] };
      rig.fixture.applyOne(entry.replaceBlocks({ newBlocks: [], source }));
      await rig.finish(leader);
      assert.equal(rig.deletion("acme").state, "verified");
    }));

  it("looks through the bucket again when a result of compaction comes late", () =>
    withRig(async (rig) => {
      const mixed = segment(["acme", "other"]);
      rig.add(mixed);
      rig.remove("acme");
      const leader = rig.leader();
      await rig.finish(leader);
      const late = block({ shard: 7 });
      rig.put(objectKey(late));
      const source = { tenant: "", shard: 1, blocks: [mixed.id] };
      rig.fixture.applyOne(entry.replaceBlocks({ newBlocks: [wireBlock(late)], source }));
      await rig.finish(leader);
      const deletion = rig.deletion("acme");
      assert.equal(deletion.state, "verified");
      assert.equal(deletion.lateBlocks, 1);
      assert.equal(rig.store.objects.has(objectKey(late)), false);
    }));

  it("asks nobody anything while names are only closed", () =>
    withRig(async (rig) => {
      rig.add(block());
      rig.remove("acme");
      const leader = rig.leader();
      await rig.finish(leader);
      rig.order.length = 0;
      rig.store.calls.length = 0;
      const { outcome, text } = await leader.run();
      assert.deepEqual([outcome, text], ["nothing", "1 deleted tenant is closed"]);
      assert.deepEqual([rig.order, rig.store.calls], [[], []]);
    }));

  it("opens the name when its time is over, once what came meanwhile is gone", () =>
    withRig(async (rig) => {
      rig.add(block());
      rig.remove("acme", HOUR_MS);
      const leader = rig.leader();
      await rig.finish(leader);
      rig.scheduler.advance(HOUR_MS - 60_000);
      await leader.run();
      assert.equal(rig.deletion("acme").state, "verified");
      const late = rig.put("blocks/5/acme/late/block.bin");
      rig.scheduler.advance(HOUR_MS);
      await leader.run();
      assert.equal(rig.store.objects.has(late), false);
      const { state, objects } = rig.deletion("acme");
      assert.deepEqual([state, objects], ["open", 2]);
      assert.equal(rig.fixture.state.hiddenAt, 0);
      assert.equal(rig.fixture.add(block()), 0);
    }));
});

describe("a leader that cannot delete", () => {
  it("names an unreachable bucket, waits longer each time, and goes on where it stopped", () =>
    withRig(async (rig) => {
      for (let i = 0; i < 10; i++) rig.add(block({ shard: i }));
      rig.remove("acme");
      const leader = rig.leader();
      let lists = 0;
      rig.store.onCall = (operation) => {
        if (operation === "list" && ++lists > 9) throw unreachable();
      };
      const waits: (number | undefined)[] = [];
      for (let i = 0; i < 8; i++) {
        const { outcome, reason, text, againAfterMs } = await leader.run();
        assert.deepEqual([outcome, reason], ["failed", "storage_unreachable"]);
        assert.match(text, /Cannot reach the bucket/);
        waits.push(againAfterMs);
      }
      assert.deepEqual(waits, [1_000, 2_000, 4_000, 8_000, 16_000, 32_000, 60_000, 60_000]);
      const { state, objects, place } = rig.deletion("acme");
      assert.equal(state, "unindexed");
      assert.ok(objects > 0 && objects < 10, `${objects} of ten`);
      assert.notEqual(place, "");
      const left = rig.keys();
      rig.store.onCall = () => {};
      rig.store.calls.length = 0;
      await leader.run();
      const behind = rig.store.calls.filter((call) => call.startsWith("delete "));
      assert.deepEqual(
        behind,
        left.map((key) => `delete ${key}`),
      );
      assert.equal(rig.deletion("acme").objects, 10);
    }));

  it("one object that cannot be deleted stops the step, and is not counted as gone", () =>
    withRig(async (rig) => {
      const bad = rig.add(block());
      rig.add(block());
      rig.remove("acme");
      rig.store.onCall = (operation, key) => {
        if (operation === "delete" && key === bad)
          throw new HearthError("permission_denied", "no", { reason: "storage_denied" });
      };
      const leader = rig.leader();
      const result = await leader.run();
      assert.deepEqual([result.outcome, result.reason], ["failed", "storage_denied"]);
      assert.equal(rig.deletion("acme").objects, 0);
      assert.deepEqual(rig.keys(), [bad]);
      rig.store.onCall = () => {};
      await rig.finish(leader);
      assert.deepEqual([rig.deletion("acme").state, rig.keys()], ["verified", []]);
    }));

  it("a bucket with more and more of it is worked through in bounded runs", () =>
    withRig(async (rig) => {
      rig.remove("acme");
      let made = 0;
      // Whoever lists finds more behind it: the list never ends.
      const more = (): void => {
        made++;
        rig.put(`blocks/1/acme/${String(made).padStart(9, "0")}/block.bin`);
      };
      more();
      rig.store.onCall = (operation) => {
        if (operation === "delete") more();
      };
      const leader = rig.leader();
      for (let i = 0; i < 3; i++) {
        const { outcome, againAfterMs } = await leader.run();
        assert.deepEqual([outcome, againAfterMs], ["done", 10]);
        assert.notEqual(rig.deletion("acme").state, "verified");
        assert.ok(made < 200 * (i + 1), `${made} objects in run ${i}`);
      }
      rig.store.onCall = () => {};
      await rig.finish(leader);
      assert.deepEqual([rig.deletion("acme").state, rig.keys()], ["verified", []]);
    }));

  it("takes a tenant of many shards out of the index in bounded entries and runs", () =>
    withRig(async (rig) => {
      const shards = 64 * 64 + 1;
      for (let i = 0; i < shards; i += 128) {
        const count = Math.min(128, shards - i);
        rig.fixture.add(...Array.from({ length: count }, (_, k) => block({ shard: i + k })));
      }
      rig.remove("acme");
      const leader = rig.leader();
      const { againAfterMs } = await leader.run();
      const deletion = rig.deletion("acme");
      assert.deepEqual([deletion.state, deletion.shards, againAfterMs], ["hidden", shards - 1, 10]);
      await rig.finish(leader);
      assert.deepEqual(
        [rig.deletion("acme").state, rig.deletion("acme").shards],
        ["verified", shards],
      );
    }));
});

describe("leaders that change while a tenant is deleted", () => {
  it("the next one goes on from the last note, and counts nothing twice", () =>
    withRig(async (rig) => {
      for (let i = 0; i < 20; i++) rig.add(block({ shard: i }));
      rig.remove("acme");
      for (let i = 0; rig.deletion("acme").state !== "verified"; i++) {
        assert.ok(i < 100, "it does not end");
        // Each leader gets two steps further, and loses its office behind them.
        rig.term++;
        const leader = rig.leader();
        let left = 2;
        rig.afterStep = () => {
          if (--left === 0) leader.abort.abort();
        };
        await leader.run().catch(() => {});
      }
      const { objects, blocks, passes } = rig.deletion("acme");
      assert.deepEqual([objects, blocks, passes], [20, 20, 2]);
      assert.deepEqual(rig.keys(), []);
    }));

  it("one that died between a deletion and its note leaves the rest to the next one", () =>
    withRig(async (rig) => {
      for (let i = 0; i < 5; i++) rig.add(block());
      rig.remove("acme");
      const first = rig.leader();
      rig.beforeStep = (command) => {
        if (command !== COMMAND.noteDeletion) return;
        first.abort.abort();
        throw notLeader();
      };
      await assert.rejects(first.run());
      assert.equal(rig.deletion("acme").objects, 0);
      assert.deepEqual(rig.keys(), []);
      rig.beforeStep = () => {};
      rig.term++;
      await rig.finish(rig.leader());
      assert.equal(rig.deletion("acme").state, "verified");
    }));

  it("two at once delete the same, and only the one of the term notes it", () =>
    withRig(async (rig) => {
      for (let i = 0; i < 12; i++) rig.add(block({ shard: i % 3 }));
      rig.remove("acme");
      const old = rig.leader();
      let second: Promise<unknown> = Promise.resolve();
      let isFirst = true;
      rig.store.beforeDelete = async () => {
        if (!isFirst) return;
        isFirst = false;
        rig.term = 2;
        second = rig.finish(rig.leader());
        await second;
      };
      // It has its own list, and finds nothing of it any more; what it notes is ignored.
      await old.run();
      await second;
      const { state, objects, blocks } = rig.deletion("acme");
      assert.deepEqual([state, blocks], ["verified", 12]);
      // What the old one was deleting at that moment is in nobody's note.
      assert.ok(objects > 0 && objects <= 12, `${objects} objects`);
      assert.deepEqual(rig.keys(), []);
    }));

  it("one that slept until the name was open again deletes nothing that came after", () =>
    withRig(async (rig) => {
      const listed = rig.add(block());
      rig.remove("acme");
      const old = rig.leader();
      let fresh = "";
      rig.beforeStep = (command) => {
        // It is about to take the entries out, and wakes up days later.
        if (command !== COMMAND.clearTenant || fresh !== "") return;
        fresh = "-";
        rig.term = 2;
      };
      await assert.rejects(old.run(), { reason: "not_leader" });
      const next = rig.leader();
      await rig.finish(next);
      assert.equal(rig.open("acme"), 0);
      fresh = rig.add(block());
      const again = await old.run().catch((error: unknown) => error);
      assert.ok(again !== undefined);
      assert.deepEqual(rig.keys(), [fresh]);
      assert.equal(rig.store.objects.has(listed), false);
    }));

  it("one whose list is read while the name is opened deletes nothing of the new tenant", () =>
    withRig(async (rig) => {
      rig.add(block());
      rig.remove("acme");
      const leader = rig.leader();
      await rig.finish(leader);
      rig.scheduler.advance(2 * HOUR_MS);
      // The last look: what it lists is the new tenant's by the time that it asks.
      let fresh = "";
      rig.store.onCall = (operation, key) => {
        if (operation !== "list" || key !== "blocks/" || fresh !== "") return;
        assert.equal(rig.open("acme"), 0);
        fresh = rig.add(block());
      };
      await assert.rejects(leader.run(), { reason: "not_leader" });
      assert.deepEqual(rig.keys(), [fresh]);
    }));

  it("an operator opens nothing that is not verified", () =>
    withRig(async (rig) => {
      rig.add(block());
      rig.remove("acme");
      assert.equal(rig.open("acme"), "tenant_deletion_running");
      await rig.finish(rig.leader());
      assert.equal(rig.open("acme"), 0);
      assert.equal(rig.deletion("acme").state, "open");
    }));
});
