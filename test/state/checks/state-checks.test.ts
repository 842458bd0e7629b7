/** Three states that are given one log, and compare themselves through it, with the real threads. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { type Logger, SILENT_LOGGER } from "../../../src/base/index.ts";
import { type IndexDatabase, KeyBuffer } from "../../../src/db/index.ts";
import { COMMAND, encodeStateCheck, type StateCheck } from "../../../src/protocol/index.ts";
import {
  type Divergence,
  STATE_DEFAULTS,
  StateChecks,
  StateMachine,
  type StateOptions,
} from "../../../src/state/index.ts";
import { digestState } from "../../../src/state/checks/digest.ts";
import { until } from "../../support/until.ts";
import { RandomEntries } from "../random-entries.ts";
import { batchOf, type Entry } from "../support.ts";
import { ImageRig, imageOf, MAP_SIZE_BYTES, sourceOf } from "../snapshot/support.ts";

const NODES = ["a", "b", "c"] as const;

function checkEntry(check: StateCheck): Entry {
  return { command: COMMAND.checkState, payload: encodeStateCheck(check) };
}

interface Member {
  readonly db: IndexDatabase;
  readonly state: StateMachine;
  readonly checks: StateChecks;
  readonly diverged: Divergence[];
  readonly said: string[];
}

/** Applies one log to every member; reports come back into it. */
class Trio {
  readonly #rigs: ImageRig[] = [];
  readonly members: Member[] = [];
  readonly #reports: Entry[] = [];
  #index = 0;

  constructor(options: readonly Partial<StateOptions>[]) {
    for (const [i, node] of NODES.entries()) {
      const rig = new ImageRig();
      this.#rigs.push(rig);
      this.members.push(this.#member(node, rig, options[i] ?? {}));
    }
  }

  #member(node: string, { db, threads }: ImageRig, options: Partial<StateOptions>): Member {
    const diverged: Divergence[] = [];
    const said: string[] = [];
    const logger: Logger = {
      ...SILENT_LOGGER,
      error: (message, fields) => void said.push(`${message}: ${JSON.stringify(fields)}`),
    };
    // However busy the machine of the test is.
    const checks = new StateChecks(
      { openWaitMs: 60_000 },
      {
        ...{ db, threads, logger, node },
        mapSizeBytes: MAP_SIZE_BYTES,
        voters: () => NODES,
        report: (report) => void this.#reports.push(checkEntry(report)),
        onDiverged: (divergence) => void diverged.push(divergence),
      },
    );
    const state = new StateMachine(
      { ...STATE_DEFAULTS, ...options },
      { db, logger: SILENT_LOGGER, onCheck: (check, index) => checks.onCheck(check, index) },
    );
    return { db, state, checks, diverged, said };
  }

  /** Stages everywhere; members end their transactions at different entries. */
  apply(entries: readonly Entry[]): void {
    const batch = batchOf(entries, { firstIndex: this.#index + 1, appendedAtMs: 1 });
    for (const [i, { state }] of this.members.entries()) {
      state.stage([batch]);
      if (i !== 1) state.commit();
    }
    this.#index += entries.length;
  }

  #commit(): void {
    for (const { state } of this.members) state.commit();
  }

  /** A whole check in the middle of other entries: every member takes part, and hears what all have found. */
  async check(random: RandomEntries): Promise<number> {
    this.apply([checkEntry({ kind: "prepare" })]);
    // A thread that opens the index waits for the writer.
    this.#commit();
    await until("a thread of every member waits for the mark", () =>
      this.members.every(({ checks }) => checks.isReady),
    );
    const before = [random.next(), random.next()];
    this.apply([...before, checkEntry({ kind: "mark" }), random.next(), random.next()]);
    const atIndex = this.#index - 2;
    this.#commit();
    await until("every member reports", () => this.#reports.length === NODES.length);
    this.apply(this.#reports.splice(0));
    this.#commit();
    return atIndex;
  }

  async checkIsEqual(random: RandomEntries): Promise<number> {
    const atIndex = await this.check(random);
    for (const { checks } of this.members) assert.equal(checks.lastEqualIndex, atIndex);
    return atIndex;
  }

  async close(): Promise<void> {
    this.#commit();
    for (const { checks } of this.members) checks.stop();
    for (const rig of this.#rigs) await rig.close();
  }
}

async function withTrio(body: (trio: Trio, random: RandomEntries) => Promise<void>): Promise<void> {
  // What is left to sweep differs between them.
  const trio = new Trio([{}, { sweepRowsPerTransaction: 1 }, { sweepRowsPerTransaction: 5 }]);
  try {
    const random = new RandomEntries(11);
    for (let i = 0; i < 10; i++) trio.apply(Array.from({ length: 30 }, () => random.next()));
    await body(trio, random);
  } finally {
    await trio.close();
  }
}

function corruptOneBlock(db: IndexDatabase): void {
  let key = new Uint8Array(0);
  let value = new Uint8Array(0);
  const end = new KeyBuffer(4).u32(0, 0xffff_ffff).bytes;
  db.beginRead();
  db.scan("blocks", new Uint8Array(1), end, (found, bytes) => {
    key = new Uint8Array(found);
    value = new Uint8Array(db.u8.subarray(0, bytes));
    return true;
  });
  db.endRead();
  assert.notEqual(key.length, 0);
  value[value.length - 1] = (value[value.length - 1] as number) ^ 1;
  db.write(() => db.put("blocks", key, value));
}

test("equal states are found equal at the very index, whatever is swept and wherever it is cut", () =>
  withTrio(async (trio, random) => {
    await trio.checkIsEqual(random);
    for (const { checks, diverged, said } of trio.members) {
      assert.deepEqual([checks.mismatches, diverged, said], [0, [], []]);
    }
  }));

test("a row that was corrupted on one member is found, and member and table are named", () =>
  withTrio(async (trio, random) => {
    const equalAt = await trio.checkIsEqual(random);
    const [a, b, c] = trio.members as [Member, Member, Member];
    corruptOneBlock(c.db);
    await trio.check(random);
    const [divergence] = c.diverged;
    assert.deepEqual(divergence?.tables, ["blocks"]);
    assert.equal(divergence?.lastEqualIndex, equalAt);
    assert.ok((divergence?.atIndex ?? 0) > equalAt);
    assert.equal(c.checks.mismatches, 1);
    for (const sound of [a, b]) {
      assert.deepEqual(sound.diverged, []);
      assert.match(sound.said.join("\n"), /differs from that of the majority.*"node":"c".*blocks/);
    }
  }));

test("the digest of an installed image is that of its source", async () => {
  const [from, to] = [new ImageRig(), new ImageRig()];
  try {
    const random = new RandomEntries(5);
    const entries = Array.from({ length: 200 }, () => random.next());
    from.state.apply([batchOf(entries, { firstIndex: 1 })]);
    const position = { index: 200, term: from.state.appliedTerm };
    await to.snapshots.install(position, sourceOf(imageOf(from.db, null)));
    const digests = to.read((db) => digestState(db));
    assert.deepEqual(
      digests,
      from.read((db) => digestState(db)),
    );
    assert.ok(Object.keys(digests).length > 5, JSON.stringify(digests));
    corruptOneBlock(to.db);
    assert.notEqual(to.read((db) => digestState(db)).blocks, digests.blocks);
  } finally {
    await from.close();
    await to.close();
  }
});
