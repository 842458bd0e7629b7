/** Acknowledged first, visible a little later: no reader may ever miss what was acknowledged. */

import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { Worker } from "node:worker_threads";
import {
  nextTurn,
  Prng,
  SILENT_LOGGER,
  SYSTEM_CLOCK,
  SYSTEM_SCHEDULER,
} from "../../src/base/index.ts";
import { followDemand } from "../../src/cli/server/demand.ts";
import { IndexDatabase } from "../../src/db/index.ts";
import { DurableLog } from "../../src/log/index.ts";
import type { CommittedBatch } from "../../src/protocol/index.ts";
import { SharedState } from "../../src/read/index.ts";
import {
  type ApplyOutcome,
  NO_PEERS,
  type ReadIndexResult,
  REPLICA_DEFAULTS,
  Replica,
  type SnapshotSource,
} from "../../src/replica/index.ts";
import { STATE_DEFAULTS, StateMachine } from "../../src/state/index.ts";
import { addBlocksBody } from "../crash/blocks.ts";
import { MemoryDisk } from "../log/support/memory-disk.ts";
import { untilTrue } from "../support/until.ts";
import { FakeStore } from "./snapshot-support.ts";
import { HeldTime, LOG_OPTIONS, reasonOf, Rig, SELF, StagedState } from "./support.ts";

const LAZY = { commitMaxDelayMs: 20, eagerCommitMs: 60 };

interface Lazy<State> {
  readonly rig: Rig;
  readonly state: State;
  readonly time: HeldTime;
}

/** Its start was a while ago: commits wait, for as long as the test lets them. */
async function lazyWith<State extends StagedState>(
  state: State,
  more: object = {},
): Promise<Lazy<State>> {
  const time = new HeldTime();
  const rig = await Rig.start({ state, scheduler: time, options: { ...LAZY, ...more } });
  time.pass(LAZY.eagerCommitMs);
  return { rig, state, time };
}

function lazyRig(more: object = {}): Promise<Lazy<StagedState>> {
  return lazyWith(new StagedState(), more);
}

/** Notes what happens in which order. */
class PuttingOffState extends StagedState {
  readonly events: string[] = [];
  writeFailure: Error | null = null;

  override stage(batches: readonly CommittedBatch[]): ApplyOutcome {
    this.events.push("stage");
    return super.stage(batches);
  }

  writeStaged(): void {
    if (this.writeFailure !== null) throw this.writeFailure;
    this.events.push("write");
  }

  override commit(): void {
    this.events.push("commit");
    super.commit();
  }
}

async function puttingOffRig(): Promise<Lazy<PuttingOffState>> {
  const lazy = await lazyWith(new PuttingOffState());
  lazy.state.events.length = 0;
  return lazy;
}

test("what outcomes do not need is done after the answers, once, also when nothing else comes", async () => {
  const { rig, state } = await puttingOffRig();
  for (let i = 0; i < 2; i++) {
    const answered = rig.propose().then(() => state.events.push("answer"));
    await answered;
    await untilTrue(() => state.events.at(-1) === "write");
  }
  assert.deepEqual(state.events, ["stage", "answer", "write", "stage", "answer", "write"]);
  await rig.replica.stop();
  assert.equal(state.events.at(-1), "commit");
});

test("a commit leaves nothing to be done after the answers", async () => {
  const { rig, state } = await puttingOffRig();
  rig.replica.demandCommit();
  const answered = rig.propose().then(() => state.events.push("answer"));
  await answered;
  for (let turn = 0; turn < 5; turn++) await nextTurn(SYSTEM_SCHEDULER);
  assert.deepEqual(state.events, ["stage", "commit", "answer"]);
  await rig.replica.stop();
});

test("a failure after the answers is final, and what was answered is in the log", async () => {
  const { rig, state } = await puttingOffRig();
  state.writeFailure = new Error("no space");
  assert.ok((await rig.propose()).ok);
  const { lastIndex } = rig.log;
  await untilTrue(() => rig.fatal.length > 0);
  assert.equal(reasonOf(await rig.propose()), "failed");
  assert.equal(rig.log.durableIndex, lastIndex);
});

test("while nobody reads, writes are answered before they are committed, and share commits", async () => {
  const { rig, state, time } = await lazyRig();
  const { commits } = state;
  for (let i = 0; i < 10; i++) assert.ok((await rig.propose()).ok);
  const published = rig.published.at(-1);
  assert.ok(state.committedIndex < state.appliedIndex, "nothing was staged");
  assert.equal(published?.commitIndex, state.appliedIndex, "a grant covers what was answered");
  assert.equal(published?.appliedIndex, state.committedIndex, "only what is committed is claimed");
  time.pass(LAZY.commitMaxDelayMs);
  assert.equal(state.committedIndex, state.appliedIndex);
  assert.equal(rig.published.at(-1)?.appliedIndex, state.appliedIndex);
  assert.equal(state.commits - commits, 1);
  await rig.replica.stop();
});

test("a demand commits at once, and every piece for a while", async () => {
  const { rig, state, time } = await lazyRig();
  await rig.propose();
  assert.ok(state.committedIndex < state.appliedIndex);
  rig.replica.demandCommit();
  assert.equal(state.committedIndex, state.appliedIndex);
  assert.equal(rig.published.at(-1)?.appliedIndex, state.appliedIndex);
  for (let i = 0; i < 3; i++) {
    await rig.propose();
    assert.equal(state.committedIndex, state.appliedIndex);
  }
  time.pass(LAZY.eagerCommitMs);
  await rig.propose();
  assert.ok(state.committedIndex < state.appliedIndex, "the while is over");
  await rig.replica.stop();
});

test("a read index that was asked for here is granted for what is visible already", async () => {
  const { rig, state } = await lazyRig();
  await rig.propose();
  assert.ok(state.committedIndex < state.appliedIndex);
  const read = await rig.readIndex();
  assert.ok(read.ok && read.index <= state.committedIndex, JSON.stringify(read));
  await rig.replica.stop();
});

test("nothing is committed for whoever asks for an index and does not look at the state", async () => {
  const { rig, state } = await lazyRig();
  await rig.propose();
  const { commits } = state;
  const confirmed = await new Promise<ReadIndexResult>((resolve) =>
    rig.replica.confirmIndex(resolve),
  );
  assert.ok(confirmed.ok && confirmed.index === state.appliedIndex, JSON.stringify(confirmed));
  assert.equal(state.commits, commits);
  await rig.replica.stop();
});

test("bytes that wait for the commit are bounded", async () => {
  const { rig, state } = await lazyRig({ commitMaxBytes: 2_000 });
  for (let i = 0; i < 30; i++) {
    await rig.propose(1, { payloadBytes: 400 });
    assert.ok(state.appliedIndex - state.committedIndex < 6);
  }
  await rig.replica.stop();
});

test("what a snapshot makes visible is published with it, not with the next write", async () => {
  class ImageState extends StagedState {
    openSnapshot(): SnapshotSource {
      const { committedIndex: index, appliedTerm: term } = this;
      return { index, term, next: async () => null, close: () => {} };
    }
  }
  const time = new HeldTime();
  const state = new ImageState();
  const rig = await Rig.start({
    ...{ state, scheduler: time, snapshots: new FakeStore() },
    options: { ...LAZY, commitMaxDelayMs: 60_000 },
  });
  time.pass(LAZY.eagerCommitMs);
  await rig.propose();
  assert.ok(state.committedIndex < state.appliedIndex);
  assert.equal((await rig.replica.takeSnapshot()).index, state.appliedIndex);
  assert.equal(rig.published.at(-1)?.appliedIndex, state.appliedIndex);
  await rig.replica.stop();
});

test("a stop commits what is staged", async () => {
  const { rig, state } = await lazyRig();
  await rig.propose();
  assert.ok(state.committedIndex < state.appliedIndex);
  await rig.replica.stop();
  assert.equal(state.committedIndex, state.appliedIndex);
  assert.equal(rig.published.at(-1)?.appliedIndex, state.appliedIndex);
});

test("a commit that fails ends the service; the log still has what was answered", async () => {
  const { rig, state, time } = await lazyRig();
  state.commitFailure = new Error("map full");
  assert.ok((await rig.propose()).ok);
  time.pass(LAZY.commitMaxDelayMs);
  assert.equal(rig.fatal[0]?.reason, "apply_failed");
  assert.equal(rig.published.at(-1)?.isLeader, false);
  assert.equal(rig.published.at(-1)?.appliedIndex, state.committedIndex);
  assert.equal(reasonOf(await rig.propose()), "failed");
  await rig.replica.stop();
  const again = await Rig.start({ disk: rig.disk });
  assert.equal(again.state.appliedIndex, state.appliedIndex + 1);
  await again.replica.stop();
});

/** What the reader thread says at its end. */
interface ReaderReport {
  readonly reads: number;
  readonly waited: number;
  /** Reads whose grant was below an acknowledgement that came before them. */
  readonly missed: number;
  /** Longest wait for a granted index, ms. */
  readonly longestMs: number;
}

/** A reader that had to wait for the timer would be found out, on the slowest machine, too. */
const COMMIT_MAX_DELAY_MS = 120_000;

test("a reader thread never misses an acknowledged write, and never waits for the timer", async () => {
  const directory = mkdtempSync(join(tmpdir(), "hearth-commit-"));
  const mapSizeBytes = 1024 ** 3;
  const db = IndexDatabase.open({ directory, mapSizeBytes, role: "writer" });
  const stateMachine = new StateMachine(STATE_DEFAULTS, { db, logger: SILENT_LOGGER });
  const disk = new MemoryDisk();
  const log = await DurableLog.open(LOG_OPTIONS, { files: disk, logger: SILENT_LOGGER });
  const shared = SharedState.create();
  const random = new Prng(1);
  const replica = new Replica(
    {
      ...REPLICA_DEFAULTS,
      nodeId: SELF.id,
      bootstrap: [SELF],
      commitMaxDelayMs: COMMIT_MAX_DELAY_MS,
    },
    {
      log,
      stateMachine,
      transport: NO_PEERS,
      snapshots: null,
      clock: SYSTEM_CLOCK,
      scheduler: SYSTEM_SCHEDULER,
      random: () => random.nextU32(),
      logger: SILENT_LOGGER,
      publish: (state) => shared.publish(state),
      onFatal: (error) => assert.fail(error),
    },
  );
  const stopDemand = followDemand(shared, replica, SYSTEM_SCHEDULER);
  await replica.start();
  const acked = new Int32Array(new SharedArrayBuffer(4));
  const extension = import.meta.url.endsWith(".ts") ? "ts" : "js";
  const worker = new Worker(new URL(`./commit-reader.${extension}`, import.meta.url), {
    workerData: { directory, mapSizeBytes, shared: shared.buffer, acked: acked.buffer },
  });
  const reported = new Promise<ReaderReport>((resolve, reject) => {
    worker.once("message", resolve);
    worker.once("error", reject);
  });
  let isOver = false;
  void reported.finally(() => {
    isOver = true;
  });
  for (let first = 0; !isOver; first++) {
    const body = addBlocksBody(first, 1);
    await new Promise<void>((resolve) => {
      replica.propose({ body, bodyBytes: body.length, count: 1 }, (result) => {
        assert.ok(result.ok);
        Atomics.store(acked, 0, result.firstIndex);
        resolve();
      });
    });
  }
  const report = await reported;
  await worker.terminate();
  stopDemand();
  await replica.stop();
  await db.close();
  rmSync(directory, { recursive: true, force: true });
  assert.equal(report.missed, 0);
  assert.ok(report.reads > 20, `${report.reads} reads`);
  assert.ok(report.waited > 0, "no read found anything uncommitted: the test shows nothing");
  assert.ok(report.longestMs < COMMIT_MAX_DELAY_MS / 2, `a read waited ${report.longestMs} ms`);
});
