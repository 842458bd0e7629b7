/** What becomes of the answers of a snapshot store: which failures are final, and what the core hears of the others. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { HearthError, type Scheduler, SILENT_LOGGER } from "../../src/base/index.ts";
import type { DurableLog } from "../../src/log/index.ts";
import type { Message, Raft, SnapshotChunk, SnapshotMeta } from "../../src/raft/index.ts";
import { MESSAGE } from "../../src/raft/index.ts";
import {
  REPLICA_DEFAULTS,
  type ReplicaOptions,
  type SnapshotHead,
  type SnapshotSource,
  type StateMachine,
} from "../../src/replica/index.ts";
import { InstallProgress } from "../../src/replica/install.ts";
import { Snapshots } from "../../src/replica/snapshots.ts";
import { createReplicaStats } from "../../src/replica/types.ts";
import type { SnapshotErrorReason } from "../../src/snapshot/index.ts";
import { FakeStore, MEMBERSHIP, metaAt } from "./snapshot-support.ts";
import { FakeState } from "./support.ts";

function headAt(index: number): SnapshotHead {
  return { index, term: 1, membership: MEMBERSHIP, appendedAtMs: 0 };
}

function failure(reason: SnapshotErrorReason): HearthError {
  return new HearthError("unavailable", reason, { reason });
}

class ImageState extends FakeState {
  install: NonNullable<StateMachine["install"]> = async () => {};
  closed = 0;
  /** Given later, once this is called. */
  open: ((source: SnapshotSource) => void) | null = null;
  refuse: (error: Error) => void = () => {};
  isSlow = false;

  openSnapshot(): SnapshotSource | Promise<SnapshotSource> {
    if (!this.isSlow) return this.sourceAt(this.appliedIndex);
    return new Promise((resolve, reject) => {
      this.open = resolve;
      this.refuse = reject;
    });
  }

  sourceAt(index: number): SnapshotSource {
    const term = this.appliedTerm;
    return { index, term, next: async () => null, close: () => (this.closed += 1) };
  }
}

/** The class under test between a store and a core that only listens. */
class Bench {
  readonly store = new FakeStore();
  readonly state = new ImageState();
  readonly told: unknown[][] = [];
  readonly cuts: number[] = [];
  readonly sent: Message[] = [];
  readonly failed: string[] = [];
  readonly snapshots: Snapshots;
  readonly stats = createReplicaStats();
  inputs = 0;
  nowMs = 0;

  constructor(overrides: Partial<ReplicaOptions> = {}) {
    const core: Partial<Raft> = {
      term: 1,
      chunkStored: ({ index }, nextChunk, isDamaged) =>
        this.told.push(["stored", index, nextChunk, isDamaged]),
      snapshotTaken: ({ index }) => this.told.push(["taken", index]),
      compact: (throughIndex) => this.told.push(["compact", throughIndex]),
    };
    const log: Partial<DurableLog> = {
      firstIndex: 1,
      truncatePrefix: (throughIndex) => {
        this.cuts.push(throughIndex);
      },
    };
    const options: ReplicaOptions = {
      ...REPLICA_DEFAULTS,
      nodeId: "a",
      snapshotLogBytes: 100,
      snapshotKeepEntries: 10,
      ...overrides,
    };
    const scheduler: Scheduler = {
      monotonicMs: () => this.nowMs,
      defer: (task) => task(),
      after: () => () => {},
    };
    this.snapshots = new Snapshots(options, {
      core: core as Raft,
      log: log as DurableLog,
      store: this.store,
      stateMachine: this.state,
      installer: {
        stateMachine: this.state,
        store: this.store,
        progress: new InstallProgress(scheduler),
      },
      clock: { nowMs: () => 1_000_000 + this.nowMs },
      scheduler,
      // Half of what is possible: an interval of 1.5.
      random: () => 0x8000_0000,
      logger: SILENT_LOGGER,
      stats: this.stats,
      send: (message) => this.sent.push(message),
      onInput: () => (this.inputs += 1),
      onFailed: (error) => this.failed.push(error.reason),
    });
  }

  async storeAll(chunks: number): Promise<void> {
    for (let chunk = 0; chunk < chunks; chunk++) {
      this.snapshots.store({ meta: metaAt(50), chunk, bytes: new Uint8Array(3) });
    }
    await turns();
  }

  async takeAt(index: number): Promise<void> {
    this.state.appliedIndex = index;
    this.state.appliedTerm = 1;
    this.snapshots.take(headAt(index));
    await turns();
  }
}

async function turns(): Promise<void> {
  for (let i = 0; i < 3; i++) await new Promise((resolve) => setImmediate(resolve));
}

test("chunks are reported one after the other, and the last one with what the whole is", async () => {
  for (const isWhole of [true, false]) {
    const bench = new Bench();
    bench.store.completeReceived = async () => isWhole;
    await bench.storeAll(2);
    assert.deepEqual(bench.told, [
      ["stored", 50, 1, false],
      ["stored", 50, 2, !isWhole],
    ]);
    assert.equal(bench.inputs, 2);
    assert.deepEqual(bench.failed, []);
  }
});

for (const reason of ["snapshot_bad_meta", "snapshot_disk_full"] as const) {
  test(`${reason} makes the sender begin again, and the member lives on`, async () => {
    const bench = new Bench();
    const { storeChunk } = bench.store;
    bench.store.storeChunk = () => Promise.reject(failure(reason));
    await bench.storeAll(1);
    assert.deepEqual(bench.told, [["stored", 50, 0, true]]);
    bench.store.storeChunk = storeChunk;
    await bench.storeAll(2);
    assert.deepEqual(bench.told.at(-1), ["stored", 50, 2, false]);
    assert.deepEqual(bench.failed, []);
  });
}

test("a disk that is full when the whole is to be kept is no failure, either", async () => {
  const bench = new Bench();
  bench.store.completeReceived = () => Promise.reject(failure("snapshot_disk_full"));
  await bench.storeAll(2);
  assert.deepEqual(bench.told.at(-1), ["stored", 50, 0, true]);
  assert.deepEqual(bench.failed, []);
});

test("any other failure to keep what arrives is final", async () => {
  for (const reason of ["snapshot_write_failed", "snapshot_read_failed"] as const) {
    for (const method of ["storeChunk", "completeReceived"] as const) {
      const bench = new Bench();
      bench.store[method] = (): Promise<never> => Promise.reject(failure(reason));
      await bench.storeAll(2);
      assert.ok(bench.failed.includes(reason), `${method} ${reason}`);
      assert.equal(
        bench.told.some(([, , nextChunk]) => nextChunk === 2),
        false,
      );
    }
  }
});

test("a snapshot that was taken is offered and lets the log be cut below it", async () => {
  const bench = new Bench();
  await bench.takeAt(50);
  assert.deepEqual(bench.told, [
    ["taken", 50],
    ["compact", 40],
  ]);
  assert.deepEqual(bench.cuts, [40]);
  assert.equal(bench.state.closed, 1);
});

test("a dead store is final also when it dies while a snapshot is taken", async () => {
  const bench = new Bench();
  bench.store.take = () => Promise.reject(failure("snapshot_write_failed"));
  await bench.takeAt(50);
  assert.deepEqual(bench.failed, ["snapshot_write_failed"]);
});

test("any other attempt that fails costs nothing: the log stays whole, and more of it brings the next one", async () => {
  const bench = new Bench();
  const { take } = bench.store;
  for (const error of [
    failure("snapshot_disk_full"),
    failure("snapshot_damaged"),
    new Error("x"),
  ]) {
    bench.store.take = () => Promise.reject(error);
    await bench.takeAt(50);
  }
  assert.deepEqual([bench.failed, bench.told, bench.cuts], [[], [], []]);
  assert.equal(bench.snapshots.isDue, false);
  bench.snapshots.noteApplied(1, 100);
  assert.equal(bench.snapshots.isDue, true);
  bench.store.take = take;
  await bench.takeAt(60);
  assert.deepEqual(bench.cuts, [50]);
});

/** The first one, as the core hands it out. */
function chunkOf(meta: SnapshotMeta): SnapshotChunk {
  const way = { kind: MESSAGE.snapshotChunk, from: "a", to: "b", term: 1 };
  return { ...way, meta, chunk: 0, bytes: new Uint8Array(0) };
}

test("a snapshot that turns out to be damaged never cuts the log, and the next one does not wait for more log", async () => {
  const bench = new Bench();
  await bench.takeAt(50);
  const chunk = chunkOf(metaAt(50, "s50"));
  bench.snapshots.send(chunk);
  await turns();
  assert.equal(bench.sent.length, 1);
  bench.store.latest = null;
  bench.store.readChunk = async () => null;
  bench.snapshots.send(chunk);
  await turns();
  assert.deepEqual([bench.sent.length, bench.cuts, bench.failed], [1, [40], []]);
  assert.equal(bench.snapshots.isDue, true);
  await bench.takeAt(55);
  assert.equal(bench.snapshots.isDue, false);
  assert.deepEqual(bench.cuts, [40, 45]);
  // One that had to go for newer ones is no loss.
  bench.snapshots.send(chunk);
  await turns();
  assert.equal(bench.snapshots.isDue, false);
});

test("where a snapshot is gone another one of its log index takes its place", async () => {
  const bench = new Bench();
  await bench.takeAt(50);
  const chunk = chunkOf(metaAt(50, "damaged"));
  bench.store.readChunk = async () => null;
  bench.told.length = 0;
  bench.snapshots.send(chunk);
  await turns();
  assert.deepEqual(bench.told, [["taken", 50]]);
  assert.equal(bench.snapshots.isDue, false);
});

test("old snapshots that cannot be removed stay when the disk is full, and are final otherwise", async () => {
  for (const [reason, expected] of [
    ["snapshot_disk_full", []],
    ["snapshot_write_failed", ["snapshot_write_failed"]],
  ] as const) {
    const bench = new Bench();
    bench.store.retain = () => Promise.reject(failure(reason));
    await bench.takeAt(50);
    assert.deepEqual(bench.failed, expected);
    assert.deepEqual(bench.cuts, [40]);
  }
});

test("an image that is opened later is of one of the states committed meanwhile", async () => {
  const bench = new Bench();
  bench.state.isSlow = true;
  await bench.takeAt(50);
  bench.snapshots.noteVisible(headAt(53));
  bench.snapshots.noteVisible(headAt(58));
  assert.equal(bench.snapshots.isDue, false);
  bench.state.open?.(bench.state.sourceAt(53));
  await turns();
  assert.deepEqual(bench.told, [
    ["taken", 53],
    ["compact", 43],
  ]);
});

test("an image of no state that is known is not used, and neither is one that cannot be opened", async () => {
  const bench = new Bench();
  bench.state.isSlow = true;
  await bench.takeAt(50);
  for (let i = 0; i < 3_000; i++) bench.snapshots.noteVisible(headAt(60 + i));
  bench.state.open?.(bench.state.sourceAt(50));
  await turns();
  assert.deepEqual([bench.told, bench.state.closed, bench.stats.snapshotFailures.take], [[], 1, 1]);
  await bench.takeAt(70);
  bench.state.refuse(new Error("no thread"));
  await turns();
  assert.deepEqual([bench.told, bench.stats.snapshotFailures.take, bench.failed], [[], 2, []]);
  bench.state.isSlow = false;
  await bench.takeAt(80);
  assert.deepEqual(bench.cuts, [70]);
});

test("who asks for a snapshot is told what became of one that began after the question", async () => {
  const bench = new Bench();
  bench.state.isSlow = true;
  await bench.takeAt(50);
  let answer: number | string | null = null;
  const ask = (): void => {
    bench.snapshots.takeNow().then(
      ({ index }) => (answer = index),
      (error: HearthError) => (answer = error.reason),
    );
  };
  ask();
  bench.state.open?.(bench.state.sourceAt(50));
  await turns();
  assert.equal(answer, null);
  assert.equal(bench.snapshots.isDue, true);
  await bench.takeAt(55);
  bench.state.open?.(bench.state.sourceAt(55));
  await turns();
  assert.equal(answer, 55);
  ask();
  await bench.takeAt(60);
  bench.state.refuse(failure("snapshot_disk_full"));
  await turns();
  assert.equal(answer, "snapshot_disk_full");
  ask();
  await bench.snapshots.stop();
  await turns();
  assert.equal(answer, "shutting_down");
});

test("a stop waits for the file that is being written, and nothing comes of that", async () => {
  for (const isTaken of [true, false]) {
    const bench = new Bench();
    let end = (): void => {};
    bench.store.take = ({ index }) =>
      new Promise((resolve, reject) => {
        end = () => (isTaken ? resolve(metaAt(index)) : reject(failure("snapshot_write_failed")));
      });
    await bench.takeAt(50);
    let hasStopped = false;
    const stopped = bench.snapshots.stop().then(() => (hasStopped = true));
    await turns();
    assert.equal(hasStopped, false);
    end();
    await stopped;
    assert.deepEqual([bench.told, bench.cuts, bench.failed], [[], [], []]);
  }
});

test("a stop waits for an image on its way into the state, and for chunks on theirs to the disk", async () => {
  const bench = new Bench();
  const ends: (() => void)[] = [];
  bench.state.install = () => new Promise((_, reject) => ends.push(() => reject(new Error("x"))));
  bench.store.storeChunk = () =>
    new Promise((_, reject) => ends.push(() => reject(failure("snapshot_closed"))));
  bench.snapshots.install(metaAt(50)).catch(() => {});
  bench.snapshots.store({ meta: metaAt(60), chunk: 0, bytes: new Uint8Array(3) });
  await turns();
  assert.equal(ends.length, 2);
  let hasStopped = false;
  const stopped = bench.snapshots.stop().then(() => (hasStopped = true));
  for (const end of ends) {
    await turns();
    assert.equal(hasStopped, false);
    end();
  }
  await stopped;
  assert.deepEqual([bench.told, bench.failed], [[], []]);
});

test("time takes a snapshot when enough entries have come, after one to two intervals", async () => {
  const limits = { snapshotLogBytes: 1_000_000, snapshotIntervalMs: 1_000, snapshotThreshold: 10 };
  const bench = new Bench(limits);
  bench.nowMs = 1_600;
  assert.equal(bench.snapshots.isDue, false);
  bench.snapshots.noteApplied(9, 9);
  assert.equal(bench.snapshots.isDue, false);
  bench.snapshots.noteApplied(1, 1);
  assert.equal(bench.snapshots.isDue, true);
  await bench.takeAt(10);
  bench.snapshots.noteApplied(10, 10);
  bench.nowMs = 3_099;
  assert.equal(bench.snapshots.isDue, false);
  bench.nowMs = 3_100;
  assert.equal(bench.snapshots.isDue, true);
});

test("snapshots leave a pause in proportion to what they take, unless one is asked for", async () => {
  const bench = new Bench({ snapshotRestRatio: 2 });
  bench.state.isSlow = true;
  await bench.takeAt(10);
  bench.nowMs = 100;
  bench.state.open?.(bench.state.sourceAt(10));
  await turns();
  bench.snapshots.noteApplied(1, 1_000);
  bench.nowMs = 299;
  assert.equal(bench.snapshots.isDue, false);
  bench.nowMs = 300;
  assert.equal(bench.snapshots.isDue, true);
  bench.nowMs = 200;
  void bench.snapshots.takeNow();
  assert.equal(bench.snapshots.isDue, true);
});
