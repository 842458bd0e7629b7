/**
 * Polls that lie: every one is refused at the door, refused by the plan or told nothing, is counted by its reason, and
 * changes nothing of what an honest worker holds.
 */

import assert from "node:assert/strict";
import { test } from "node:test";
import { isHearthError } from "../../src/base/index.ts";
import {
  checkPoll,
  COMMAND,
  type CompactedBlocks,
  decodePollRequest,
  encodePlanUpdate,
  encodePolicyCommand,
  encodePollRequest,
  type JobPlan,
  type JobReport,
  LIMITS,
  type PollRequest,
  REPORT_STATUS,
} from "../../src/protocol/index.ts";
import {
  type Assignment,
  listJobs,
  prepare,
  type Prepared,
  verifyIndex,
} from "../../src/state/index.ts";
import { plainBlock } from "../state/compaction/model-world.ts";
import { CompactionWorld } from "../state/compaction/world.ts";
import { Random } from "../state/random-entries.ts";
import { entry, ulidAt, WINDOW_MS } from "../state/support.ts";

const SEED = Number(process.env.FUZZ_SEED ?? 1);
const ROUNDS = 1_500;
const LEASE_MS = 1e9;
const POLICY = { levels: [{ maxBlocks: 2, maxAgeMs: 0 }], leaseMs: LEASE_MS, failuresMax: 0 };
const NO_REPORT: JobReport = { name: "", token: 0, status: 1, reason: "", compacted: null };

/** What became of a poll. */
type Verdict =
  | { readonly kind: "door"; readonly reason: string }
  | ({ readonly kind: "planned" } & Prepared);

class Rig {
  readonly world = new CompactionWorld();
  readonly random = new Random(SEED);
  requests = 0;
  #ids = 0;

  constructor() {
    const payload = encodePolicyCommand(JSON.stringify(POLICY));
    this.#apply(COMMAND.setCompactionPolicy, payload);
  }

  addBlocks(count: number): void {
    for (let i = 0; i < count; i++) {
      const block = plainBlock({ id: ulidAt(WINDOW_MS, ++this.#ids), shard: 1 + (i >> 1) });
      this.world.apply([entry.addBlocks(block)], { term: 1, appendedAtMs: WINDOW_MS });
    }
  }

  /** By way of its bytes, as a poll comes. */
  send(poll: Partial<PollRequest>): Verdict {
    const whole = {
      worker: "liar",
      requestId: ++this.requests,
      capacity: 0,
      waitMs: 0,
      reports: [],
    };
    return this.sendBytes(encodePollRequest({ ...whole, ...poll }));
  }

  sendBytes(bytes: Uint8Array): Verdict {
    let poll: PollRequest;
    try {
      poll = decodePollRequest(new Uint8Array(bytes));
      checkPoll(poll);
    } catch (error) {
      assert.ok(isHearthError(error), String(error));
      assert.equal(error.code, "invalid_argument", error.message);
      assert.notEqual(error.reason, "", error.message);
      return { kind: "door", reason: error.reason };
    }
    const token = this.world.state.appliedIndex + 1;
    const prepared = this.world.read((db) =>
      prepare(db, [poll], { nowMs: WINDOW_MS, token, term: 1 }),
    );
    assert.ok(prepared !== null);
    if (!prepared.isEmpty) {
      const outcome = this.#apply(COMMAND.updateCompactionPlan, encodePlanUpdate(prepared.plan));
      assert.equal(outcome, 0, "the plan is applied");
    }
    return { kind: "planned", ...prepared };
  }

  #apply(command: number, payload: Uint8Array): number | undefined {
    return this.world.apply([{ command, payload }], { term: 1, appendedAtMs: WINDOW_MS })[0];
  }
}

interface Held {
  readonly plan: JobPlan;
  readonly token: number;
}

/** An honest worker takes jobs. */
function takeJobs(rig: Rig, count: number): Held[] {
  rig.send({ worker: "honest", capacity: count });
  const verdict = rig.send({ worker: "honest", capacity: count });
  assert.ok(verdict.kind === "planned");
  const { assignments = [], jobs = [] } = verdict.answers[0] ?? {};
  const tokens = new Map(assignments.map(({ name, token }: Assignment) => [name, token]));
  return jobs.map((plan) => ({ plan, token: tokens.get(plan.name) ?? 0 }));
}

function goodResult({ shard, sourceBlocks, level }: JobPlan): CompactedBlocks {
  const block = plainBlock({ id: ulidAt(WINDOW_MS, 1_000_000 + shard), shard, level: level + 1 });
  return { source: { tenant: "", shard, blocks: sourceBlocks }, newBlocks: [block] };
}

/** One lie about a held job, and how it must be taken. */
function lie(rig: Rig, { plan, token }: Held): readonly [PollRequest["reports"], string] {
  const { random } = rig;
  const { name } = plan;
  const success = { ...NO_REPORT, name, token, status: REPORT_STATUS.success };
  const good = goodResult(plan);
  const source = good.source as NonNullable<CompactedBlocks["source"]>;
  const block = good.newBlocks[0] as Uint8Array;
  const result = (compacted: CompactedBlocks): JobReport[] => [{ ...success, compacted }];
  const place = { id: ulidAt(WINDOW_MS, 77), shard: plan.shard, level: plan.level + 1 };
  const lies: readonly (() => readonly [PollRequest["reports"], string])[] = [
    () => [[{ ...success, name: `${name}x` }], "unknown_job"],
    () => [[{ ...success, name: "" }], "unknown_job"],
    () => [[{ ...success, name: "n".repeat(LIMITS.jobNameMaxBytes) }], "unknown_job"],
    () => [[{ ...success, name: "n".repeat(LIMITS.jobNameMaxBytes + 1) }], "string_too_long"],
    () => [[{ ...success, reason: "r".repeat(LIMITS.jobReasonMaxBytes + 1) }], "string_too_long"],
    () => {
      const wrong = [0, -1, token - 1, token + 1, 2 ** 53, Number.NaN, Number.POSITIVE_INFINITY];
      return [[{ ...success, token: random.pick(wrong) }], "wrong_token"];
    },
    () => [[{ ...success, status: random.pick([0, 5, 77, 255]) }], "unknown_status"],
    () => [[success, success], "duplicate_report"],
    () => [result({ ...good, source: { ...source, tenant: "acme" } }), "foreign_result"],
    () => [result({ ...good, source: { ...source, shard: plan.shard + 1 } }), "foreign_result"],
    () => [result({ ...good, source: { ...source, blocks: [ulidAt(1, 1)] } }), "foreign_result"],
    () => [result({ ...good, source: { ...source, blocks: ["no ulid"] } }), "bad_block_id"],
    () => [result({ ...good, newBlocks: [plainBlock({ ...place, shard: 99 })] }), "foreign_result"],
    () => [result({ ...good, newBlocks: [plainBlock({ ...place, level: 0 })] }), "foreign_result"],
    () => [result({ ...good, newBlocks: [new Uint8Array(random.below(64))] }), "bad_structure"],
    () => [result({ ...good, newBlocks: [badReference(block)] }), "bad_string_reference"],
    () => {
      const many = new Array<Uint8Array>(LIMITS.resultsPerPollMax + 1).fill(block);
      return [result({ ...good, newBlocks: many }), "too_many_"];
    },
    () => {
      const many = new Array<string>(LIMITS.sourcesPerJobMax + 1).fill(ulidAt(1, 1));
      return [result({ ...good, source: { ...source, blocks: many } }), "foreign_result"];
    },
  ];
  return random.pick(lies)();
}

/** Its owner is a string that the table does not have. */
function badReference(block: Uint8Array): Uint8Array {
  const bytes = block.slice();
  const owner = findOwner(bytes);
  new Int32Array(bytes.buffer)[owner >>> 2] = 1_000;
  return bytes;
}

/** Where the reference to the owner stands: behind the level, in the head. */
function findOwner(bytes: Uint8Array): number {
  const plain = plainBlock({ id: ulidAt(1, 1), tenant: "" });
  const named = plainBlock({ id: ulidAt(1, 1), tenant: "", level: 9 });
  const level = named.findIndex((byte, i) => byte !== plain[i]);
  assert.equal(level > 0 && level + 4 < bytes.length, true);
  return level + 4;
}

function stateOf(rig: Rig): unknown {
  const jobs = rig.world.read((db) => listJobs(db, Number.POSITIVE_INFINITY));
  const { counters } = rig.world.state;
  return { jobs, counters: { ...counters } };
}

test(`polls that lie are refused, told nothing and counted, seed ${SEED}`, async () => {
  const rig = new Rig();
  try {
    rig.addBlocks(20);
    const held = takeJobs(rig, 10);
    assert.equal(held.length, 10);
    const seen = new Map<string, number>();
    for (let i = 0; i < ROUNDS; i++) {
      const before = stateOf(rig);
      const [reports, expected] = lie(rig, rig.random.pick(held));
      const verdict = rig.send({ reports });
      const reason = reasonOf(verdict);
      assert.equal(reason.startsWith(expected), true, `${reason} instead of ${expected}`);
      assert.deepEqual(stateOf(rig), before, `${expected} changed something`);
      seen.set(expected, (seen.get(expected) ?? 0) + 1);
    }
    assert.equal(seen.size, 10, [...seen.keys()].join(" "));
    checkHonest(rig, held);
  } finally {
    await rig.world.close();
  }
});

/** The reason under which a poll is counted. */
function reasonOf(verdict: Verdict): string {
  if (verdict.kind === "door") return verdict.reason;
  if (verdict.refusals[0] !== null) return "foreign_result";
  assert.deepEqual(verdict.answers[0], { assignments: [], jobs: [] });
  const { unknown_job, wrong_token, unknown_status } = verdict.reports;
  const counted = Object.entries({ unknown_job, wrong_token, unknown_status });
  return counted.find(([, count]) => count > 0)?.[0] ?? "nothing";
}

/** Nothing was taken from the worker: each job can be completed, once. */
function checkHonest(rig: Rig, held: readonly Held[]): void {
  for (const { plan, token } of held) {
    const report = { ...NO_REPORT, name: plan.name, token, status: REPORT_STATUS.success };
    const reports = [{ ...report, compacted: goodResult(plan) }];
    const first = rig.send({ worker: "honest", reports });
    assert.equal(first.kind === "planned" && first.reports.completed, 1);
    const again = rig.send({ worker: "honest", reports });
    assert.equal(again.kind === "planned" && again.reports.unknown_job, 1);
  }
  const report = rig.world.readCommitted(verifyIndex);
  assert.deepEqual(report.problems, []);
  assert.equal(report.strayBlocks, 0);
}

test("a capacity of 2^32 - 1 is given what one plan holds", async () => {
  const rig = new Rig();
  try {
    rig.addBlocks(2 * 1_100);
    for (const [assigned, created] of [
      [0, 1_024],
      [1_024, 76],
      [76, 0],
    ] as const) {
      const verdict = rig.send({ capacity: 0xffff_ffff });
      assert.ok(verdict.kind === "planned");
      assert.equal(verdict.plan.assignedJobs.length, assigned);
      assert.equal(verdict.plan.newJobs.length, created);
    }
  } finally {
    await rig.world.close();
  }
});

test(`bytes of polls that were changed are polls or refused, seed ${SEED}`, async () => {
  const rig = new Rig();
  try {
    rig.addBlocks(20);
    const held = takeJobs(rig, 10);
    for (let i = 0; i < ROUNDS; i++) {
      const { plan, token } = rig.random.pick(held);
      const compacted = rig.random.below(2) === 0 ? null : goodResult(plan);
      const report = { ...NO_REPORT, name: plan.name, token: token + 1, compacted };
      const poll = { worker: "liar", requestId: i, capacity: 0, waitMs: 0, reports: [report] };
      rig.sendBytes(damaged(encodePollRequest(poll), rig.random));
    }
    checkHonest(rig, held);
  } finally {
    await rig.world.close();
  }
});

/** Some bytes changed, or the end cut off. */
function damaged(poll: Uint8Array, random: Random): Uint8Array {
  const bytes = poll.slice(0, random.below(8) === 0 ? random.below(poll.length) : poll.length);
  for (let n = random.below(4); n >= 0 && bytes.length > 0; n--) {
    bytes[random.below(bytes.length)] = random.below(256);
  }
  return bytes;
}
