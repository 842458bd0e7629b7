/** One member whose peers are played by the test: what a driver owes to its log and to its callers while it follows. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { SILENT_LOGGER } from "../../src/base/index.ts";
import { DurableLog } from "../../src/log/index.ts";
import { type Append, type Batch, BATCH_KIND, MESSAGE } from "../../src/raft/index.ts";
import { entriesBody } from "../log/support/log-harness.ts";
import { MemoryDisk } from "../log/support/memory-disk.ts";
import { untilTrue } from "../support/until.ts";
import type { ReadIndexResult } from "../../src/replica/index.ts";
import {
  HandTransport,
  HeldTime,
  LOG_OPTIONS,
  reasonOf,
  Rig,
  type RigParts,
  SELF,
} from "./support.ts";

const PEERS = ["node-b", "node-c"].map((id) => ({ id, serverId: id, address: id }));
const BOOTSTRAP = [SELF, ...PEERS];

/** Ticks of an hour: nothing happens by itself. */
async function following(
  options: RigParts["options"] = {},
): Promise<{ rig: Rig; transport: HandTransport }> {
  const transport = new HandTransport();
  const patient = { bootstrap: BOOTSTRAP, tickMs: 3_600_000 };
  const rig = await Rig.start({ transport, options: { ...patient, ...options } });
  return { rig, transport };
}

function entries(firstIndex: number, term: number, count: number): Batch {
  const body = entriesBody(1, count, 64);
  const place = { firstIndex, term, appendedAtMs: 0, count };
  return { kind: BATCH_KIND.entries, ...place, body, bodyBytes: body.length };
}

function append(over: Partial<Append>): Append {
  const head = { kind: MESSAGE.append, from: "node-b", to: SELF.id, term: 2 };
  return { ...head, previousIndex: 1, previousTerm: 1, batches: [], commitIndex: 0, ...over };
}

test("the log hears of a commit only after it has all work of the turn: a truncation comes first", async () => {
  const { rig, transport } = await following();
  const calls: string[] = [];
  const { log } = rig;
  const truncate = log.truncateSuffix.bind(log);
  log.truncateSuffix = (cut) => {
    calls.push(`from ${cut.fromIndex}, commit ${log.commitIndex}`);
    truncate(cut);
  };
  transport.deliver(append({ batches: [entries(2, 2, 4)] }));
  // Another leader in the same turn: replaces from 3 on, has committed what it brings, and brings more.
  const next = { term: 3, from: "node-c", previousIndex: 2, previousTerm: 2 };
  transport.deliver(append({ ...next, batches: [entries(3, 3, 1)], commitIndex: 3 }));
  const last = { term: 3, from: "node-c", previousIndex: 3, previousTerm: 3 };
  transport.deliver(append({ ...last, batches: [entries(4, 3, 2)], commitIndex: 5 }));
  assert.deepEqual([calls, log.commitIndex], [[], 0]);
  const isDone = (): boolean =>
    transport.sent.some(
      (m) => m.kind === MESSAGE.appendReply && m.to === "node-c" && m.index === 5,
    );
  await untilTrue(isDone);
  assert.deepEqual(calls, ["from 3, commit 0"]);
  assert.deepEqual([log.commitIndex, log.lastIndex, rig.state.appliedIndex], [5, 5, 5]);
  assert.deepEqual(
    rig.state.entries.map(({ term }) => term),
    [1, 2, 3, 3, 3],
  );
  assert.deepEqual(rig.fatal, []);
  await rig.replica.stop();
});

test("what arrived together is one turn, which begins when all of it was handed over", async () => {
  const transport = new HandTransport(true);
  const options = { bootstrap: BOOTSTRAP, tickMs: 3_600_000 };
  const rig = await Rig.start({ transport, options });
  // The start has a turn and a write of its own.
  await new Promise((resolve) => setImmediate(resolve));
  await untilTrue(() => rig.log.isIdle);
  const { writes } = rig.log.stats;
  transport.deliver(append({ batches: [entries(2, 2, 1)] }));
  transport.deliver(append({ previousIndex: 2, previousTerm: 2, batches: [entries(3, 2, 1)] }));
  await new Promise((resolve) => setImmediate(resolve));
  assert.ok(rig.log.isIdle, "more may come");
  transport.arrived();
  assert.ok(!rig.log.isIdle, "the disk has both at once");
  await untilTrue(() => transport.sent.some((m) => m.kind === MESSAGE.appendReply));
  assert.equal(rig.log.stats.writes, writes + 1);
  await rig.replica.stop();
});

test("reads that wait for a leader are bounded, and those within are granted in the end", async () => {
  const { rig, transport } = await following({ readsMax: 3 });
  const reads = Array.from({ length: 3 }, () => rig.readIndex());
  const refusal = await rig.readIndex();
  assert.equal(reasonOf(refusal), "reads_waiting");
  assert.ok(!refusal.ok && refusal.error.sent === "no");
  assert.ok(
    refusal.error.code === "resource_exhausted" && refusal.error.retryAfterMs !== undefined,
  );
  assert.equal(rig.replica.stats.refused.reads_waiting, 1);
  transport.deliver(append({}));
  const asked = (): (typeof transport.sent)[number] | undefined =>
    transport.sent.find(({ kind }) => kind === MESSAGE.readIndex);
  await untilTrue(() => asked() !== undefined);
  const request = asked();
  assert.ok(request?.kind === MESSAGE.readIndex && request.to === "node-b");
  const { requestId } = request;
  const head = { kind: MESSAGE.readIndexReply, from: "node-b", to: SELF.id, term: 2 } as const;
  transport.deliver({ ...head, requestId, index: 7 });
  for (const read of reads) assert.deepEqual(await read, { ok: true, index: 7, term: 2 });
  const again = rig.readIndex();
  await rig.replica.stop();
  assert.equal(reasonOf(await again), "shutting_down");
});

/** A member without a leader, or that follows; ticks of 100 ms of a time that only the test lets pass. */
async function waiting(): Promise<{ rig: Rig; transport: HandTransport; pass: Pass }> {
  const scheduler = new HeldTime();
  const transport = new HandTransport();
  const options = { bootstrap: BOOTSTRAP, tickMs: 100, electionTicks: 5, heartbeatTicks: 1 };
  const rig = await Rig.start({ transport, scheduler, options });
  const pass = async (ms: number, onTick: () => void = () => {}): Promise<void> => {
    for (let passed = 0; passed < ms; passed += 100) {
      onTick();
      scheduler.pass(100);
      // Its turn, and what that leads to.
      for (let i = 0; i < 3; i++) await new Promise((resolve) => setImmediate(resolve));
    }
  };
  return { rig, transport, pass };
}

/** Returns what the read has been told so far. */
function told(read: Promise<ReadIndexResult>): () => ReadIndexResult | null {
  let result: ReadIndexResult | null = null;
  void read.then((found) => {
    result = found;
  });
  return () => result;
}

type Pass = (ms: number, onTick?: () => void) => Promise<void>;

test("a read is refused after a second without a leader, and not before", async () => {
  const { rig, pass } = await waiting();
  const first = told(rig.readIndex());
  await pass(1_000);
  assert.equal(first(), null);
  const second = told(rig.readIndex());
  await pass(100);
  assert.equal(second(), null);
  const result = first();
  assert.ok(result?.ok === false);
  const { code, reason, message, leader, sent, retryAfterMs } = result.error;
  assert.deepEqual(
    { code, reason, message, leader, sent, retryAfterMs },
    {
      code: "unavailable",
      reason: "no_leader",
      message: "No read index within 1 s: there is no leader",
      leader: null,
      sent: "no",
      retryAfterMs: 100,
    },
  );
  assert.equal(rig.replica.stats.refused.no_leader, 1);
  await rig.replica.stop();
});

test("a read waits for a leader that is there, and is refused as soon as that is lost", async () => {
  const { rig, transport, pass } = await waiting();
  const heartbeat = (): void => transport.deliver(append({}));
  await pass(100, heartbeat);
  assert.equal(rig.replica.status().leader?.id, "node-b");
  const read = told(rig.readIndex());
  await pass(5_000, heartbeat);
  assert.equal(read(), null);
  // At most two election timeouts until it knows.
  await pass(1_000);
  assert.equal(rig.replica.status().leader, null);
  await pass(100);
  const result = read();
  assert.ok(result !== null && reasonOf(result) === "no_leader");
  await rig.replica.stop();
});

/** A log as it was before members were logged. */
async function oldLog(): Promise<MemoryDisk> {
  const disk = new MemoryDisk();
  const log = await DurableLog.open(LOG_OPTIONS, { files: disk, logger: SILENT_LOGGER });
  log.setHardState({ term: 1, vote: "", abstains: false });
  log.append(entries(1, 1, 3));
  log.flush();
  await log.close();
  return disk;
}

test("a log without members belongs to its only member, and is refused to one of several", async () => {
  const disk = await oldLog();
  for (const bootstrap of [BOOTSTRAP, []]) {
    const refused = await Rig.open({ disk, options: { bootstrap } });
    await assert.rejects(refused.replica.start(), (error: Error & { next?: string }) => {
      assert.deepEqual((error as { reason?: string }).reason, "log_without_members");
      assert.match(
        error.message,
        /The log ends at index 3, but neither it nor a snapshot says who/,
      );
      assert.match(error.next ?? "", /start it once as the only member/);
      return true;
    });
    assert.equal(refused.replica.status().phase, "failed");
    await refused.replica.stop();
  }
  const rig = await Rig.start({ disk });
  assert.equal(rig.replica.status().role, "leader");
  assert.equal(rig.state.appliedIndex, 4);
  assert.ok((await rig.propose()).ok);
  await rig.replica.stop();
});
