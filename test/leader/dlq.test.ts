/** Recovery of dead letters: what is kept, what is put aside, and what many lanes and two leaders may not do. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { HearthError } from "../../src/base/index.ts";
import { DLQ_DEFAULTS } from "../../src/leader/index.ts";
import { encodeBlockMetaProto } from "../../src/protocol/index.ts";
import { GuardedStore } from "../../src/storage/index.ts";
import { type BlockSpec, blockMeta, ulidAt, WINDOW_MS } from "../state/support.ts";
import { type DlqRig, dlqRig } from "../support/dlq.ts";

let count = 0;

async function put(
  rig: DlqRig,
  changes: Partial<BlockSpec> = {},
  keyChanges: { shard?: string; tenant?: string } = {},
): Promise<string> {
  const spec = { id: ulidAt(WINDOW_MS, ++count), shard: 3, ...changes };
  const { shard = String(spec.shard), tenant = spec.tenant ?? "anonymous" } = keyChanges;
  const key = `dlq/${shard}/${tenant}/${spec.id}/meta.pb`;
  await rig.store.put(key, await encodeBlockMetaProto(blockMeta(spec)));
  return key;
}

function keys(rig: DlqRig): string[] {
  return [...rig.store.objects.keys()].sort();
}

describe("dead letters", () => {
  it("come home many at a time, each once, and leave nothing", async () => {
    const rig = dlqRig();
    for (let i = 0; i < 2_500; i++)
      await put(rig, { shard: i % 12, ...(i % 2 === 0 ? {} : { tenant: "acme", level: 1 }) });
    rig.scheduler.advance(5_000);
    const result = await rig.run();
    assert.equal(result.text, "Dead letters: recovered 2,500");
    assert.equal(new Set(rig.proposed).size, 2_500);
    assert.equal(rig.proposed.length, 2_500);
    assert.deepEqual(keys(rig), []);
    assert.equal(rig.recovery.status().entries, 0);
  });

  it("one that has just arrived is left for a moment, and the next sweep comes soon", async () => {
    const rig = dlqRig();
    await put(rig);
    const first = await rig.run();
    assert.equal(first.againAfterMs, 1_500);
    assert.deepEqual(rig.proposed, []);
    rig.scheduler.advance(1_500);
    await rig.run();
    assert.equal(rig.proposed.length, 1);
  });

  it("what is empty or broken is kept for a minute, then put aside with the reason", async () => {
    const rig = dlqRig();
    const empty = `dlq/1/anonymous/${ulidAt(WINDOW_MS, 1)}/meta.pb`;
    const broken = `dlq/1/anonymous/${ulidAt(WINDOW_MS, 2)}/meta.pb`;
    await rig.store.put(empty, new Uint8Array(0));
    await rig.store.put(broken, new Uint8Array([0xff, 0xff, 0xff]));
    rig.scheduler.advance(59_000);
    await rig.run();
    assert.deepEqual(keys(rig), [empty, broken]);
    assert.equal(rig.recovery.status().attempts.unsettled, 2);
    rig.scheduler.advance(1_000);
    const result = await rig.run();
    assert.equal(result.text, "Dead letters: recovered 0, put aside 2");
    const aside = [empty, broken].map((key) => key.replace("dlq/", "dlq-quarantine/"));
    const reasons = aside.map((key) => key.replace("meta.pb", "reason.txt"));
    assert.deepEqual(keys(rig), [...aside, ...reasons].sort());
    const text = new TextDecoder().decode(rig.store.objects.get(reasons[0] as string)?.bytes);
    assert.equal(text, "empty: It is empty\n");
    const { attempts, quarantined } = rig.recovery.status();
    assert.deepEqual([attempts.empty, attempts.unmarshal_error, quarantined], [1, 1, 2]);
  });

  it("one that is still being written is never judged by its first half", async () => {
    const rig = dlqRig();
    const key = await put(rig);
    const whole = rig.store.objects.get(key)?.bytes as Uint8Array;
    rig.store.objects.set(key, { bytes: whole.slice(0, 20), modifiedAtMs: 0 });
    // It grows between the first look and the second.
    rig.store.onCall = (operation) => {
      if (operation === "head") rig.store.objects.set(key, { bytes: whole, modifiedAtMs: 1 });
    };
    await rig.run();
    assert.deepEqual(keys(rig), [key]);
    await rig.run();
    assert.deepEqual(keys(rig), []);
    assert.equal(rig.proposed.length, 1);
  });

  it("metadata of another block than the key says is put aside, not added", async () => {
    const rig = dlqRig();
    await put(rig, {}, { shard: "4" });
    await put(rig, {}, { tenant: "acme" });
    await put(rig, { tenant: "acme", level: 1 }, { tenant: "other" });
    await put(rig, { minTimeMs: 10, maxTimeMs: 5 });
    rig.scheduler.advance(60_000);
    await rig.run();
    assert.deepEqual(rig.proposed, []);
    assert.equal(rig.recovery.status().attempts.invalid_metadata, 4);
  });

  it("a clock of the store that is ahead delays judging, and nothing else", async () => {
    const rig = dlqRig();
    const key = `dlq/1/anonymous/${ulidAt(WINDOW_MS, 1)}/meta.pb`;
    rig.store.objects.set(key, { bytes: new Uint8Array(0), modifiedAtMs: 4e12 });
    await rig.run();
    assert.deepEqual(keys(rig), [key]);
    rig.scheduler.advance(61_000);
    await rig.run();
    assert.equal(rig.recovery.status().attempts.empty, 1);
  });

  it("entries that cannot be read wait longer each time, and do not hold others up", async () => {
    const rig = dlqRig();
    const bad = await put(rig);
    rig.store.onCall = (operation, key) => {
      if (operation === "get" && key === bad)
        throw new HearthError("permission_denied", "no", { reason: "storage_denied" });
    };
    let reads = 0;
    for (let i = 0; i < 40; i++) {
      rig.scheduler.advance(15_000);
      await put(rig);
      rig.scheduler.advance(1_000);
      const result = await rig.run();
      if (result.outcome === "failed") reads += 1;
    }
    assert.equal(rig.proposed.length, 40);
    assert.ok(reads <= 7, `${reads} reads in ten minutes`);
    const { entries, oldestAgeMs } = rig.recovery.status();
    assert.deepEqual([entries, oldestAgeMs], [1, 640_000]);
  });

  it("the end of the leadership ends the sweep for all lanes, and is counted once", async () => {
    const rig = dlqRig();
    for (let i = 0; i < 200; i++) await put(rig);
    rig.scheduler.advance(5_000);
    rig.answer = () => new HearthError("unavailable", "not the leader", { reason: "not_leader" });
    const result = await rig.run();
    assert.equal(result.outcome, "stopped");
    assert.equal(rig.recovery.status().attempts.leadership_change, 1);
    assert.ok(rig.proposed.length <= DLQ_DEFAULTS.parallelMax, `${rig.proposed.length} were tried`);
    assert.equal(keys(rig).length, 200);
  });

  it("a deposed leader proposes nothing and deletes nothing", async () => {
    const rig = dlqRig();
    await put(rig);
    await rig.store.put(`dlq/1/anonymous/${ulidAt(WINDOW_MS, 1)}/meta.pb`, new Uint8Array(0));
    rig.scheduler.advance(100_000);
    rig.isLeading = false;
    await rig.run();
    assert.deepEqual(rig.proposed, []);
    assert.equal(keys(rig).length, 2);
  });

  it("a bucket that cannot be listed fails the sweep and changes nothing that is known", async () => {
    const rig = dlqRig();
    await put(rig);
    await rig.run();
    rig.store.onCall = () => {
      throw new HearthError("unavailable", "gone", { reason: "storage_unavailable" });
    };
    await assert.rejects(rig.run(), { reason: "storage_unavailable" });
    assert.equal(rig.recovery.status().entries, 1);
  });

  it("a bucket that may not be read, or not be listed, loses nothing and is named", async () => {
    const rig = dlqRig();
    const key = await put(rig);
    rig.scheduler.advance(100_000);
    let denied = "get";
    rig.store.onCall = (operation) => {
      if (operation === denied)
        throw new HearthError("permission_denied", "no", { reason: "storage_denied" });
    };
    const result = await rig.run();
    assert.deepEqual([result.outcome, result.reason], ["failed", "dlq_read_error"]);
    denied = "list";
    await assert.rejects(rig.run(), { reason: "storage_denied" });
    assert.deepEqual(keys(rig), [key]);
    assert.deepEqual(rig.proposed, []);
  });

  it("a bad entry stays where its copy cannot be written", async () => {
    const rig = dlqRig();
    const key = "dlq/3/anonymous/01KDVDNA00000000000000000A/meta.pb";
    await rig.store.put(key, new TextEncoder().encode("garbage"));
    rig.scheduler.advance(100_000);
    rig.store.onCall = (operation) => {
      if (operation === "put")
        throw new HearthError("permission_denied", "no", { reason: "storage_denied" });
    };
    await assert.rejects(rig.run(), { reason: "storage_denied" });
    assert.deepEqual(keys(rig), [key]);
  });

  it("a list that repeats itself ends the sweep, and decides nothing twice", async () => {
    const rig = dlqRig();
    const key = await put(rig);
    rig.scheduler.advance(5_000);
    const inner = rig.store.list.bind(rig.store);
    rig.store.list = async function* list(options) {
      do yield* inner(options);
      while (options.prefix === "dlq/");
    };
    // What the node puts around every store.
    const guard = { prefix: "", timeoutMs: 60_000, tellsOperations: false };
    const guarded = new GuardedStore({ ...guard, monotonicMs: () => 0 }, rig.store);
    rig.store.onCall = (operation) => {
      if (operation === "delete") throw new HearthError("permission_denied", "no");
    };
    await assert.rejects(rig.runOver(guarded), { reason: "storage_listing_stuck" });
    assert.deepEqual(keys(rig), [key]);
    assert.equal(rig.proposed.length, 1);
  });

  it("an object that is not deleted is met again, as a duplicate", async () => {
    const rig = dlqRig();
    const key = await put(rig);
    rig.scheduler.advance(5_000);
    let isBroken = true;
    rig.store.onCall = (operation) => {
      if (operation === "delete" && isBroken) throw new HearthError("permission_denied", "no");
    };
    await rig.run();
    assert.deepEqual(keys(rig), [key]);
    isBroken = false;
    await rig.run();
    assert.deepEqual(keys(rig), []);
    assert.equal(rig.proposed.length, 2);
  });

  it("a sweep is bounded, and the next one goes on behind it", async () => {
    const rig = dlqRig({ entriesPerSweepMax: 1_000 });
    for (let i = 0; i < 2_500; i++)
      await rig.store.put(`dlq/stray-${String(i).padStart(5, "0")}`, new Uint8Array(1));
    const key = await put(rig, { shard: 9 });
    rig.store.objects.delete(key);
    await put(rig, {}, { shard: "zz" });
    rig.scheduler.advance(100_000);
    for (let i = 0; i < 3; i++) await rig.run();
    assert.equal(rig.recovery.status().attempts.invalid_metadata, 1);
    assert.equal(rig.recovery.status().attempts.stray, 2_500);
  });
});
