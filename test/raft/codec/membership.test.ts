/** Configurations and snapshot descriptions as bytes. */

import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { isHearthError } from "../../../src/base/index.ts";
import { appendEntry, ByteSink, COMMAND, iterateEntries } from "../../../src/protocol/index.ts";
import {
  CODEC_LIMITS,
  CODEC_REASONS,
  decodeMembership,
  decodeMembershipBatch,
  decodeSnapshotMeta,
  encodeMembership,
  encodeMembershipBody,
  encodeSnapshotMeta,
  membershipProblem,
} from "../../../src/raft/codec/index.ts";
import type { Member, Membership } from "../../../src/raft/index.ts";
import { membership as anyMembership, snapshotMeta } from "./arbitraries.ts";

const RUNS = 300;
const SEED = 20_261_122;

function member(id: string, values: Partial<Member> = {}): Member {
  return { id, serverId: `server-${id}`, address: `${id}:1`, ...values };
}

function membership(values: Partial<Membership> = {}): Membership {
  return {
    members: [member("a"), member("b"), member("c")],
    voters: ["a", "b"],
    votersOutgoing: [],
    learners: ["c"],
    learnersNext: [],
    ...values,
  };
}

/** The value, or the reason of the refusal. */
function attempt<T>(decode: () => T): T | string {
  try {
    return decode();
  } catch (error) {
    assert.ok(isHearthError(error), `threw ${String(error)}`);
    assert.ok((CODEC_REASONS as readonly string[]).includes(error.reason), error.reason);
    return error.reason;
  }
}

test("a configuration comes back as it was, from the middle of a buffer, too", () => {
  const property = fc.property(anyMembership, fc.nat(9), (value, offset) => {
    assert.equal(membershipProblem(value), null);
    const bytes = encodeMembership(value);
    assert.equal(bytes.length % 8, 0);
    const inside = new Uint8Array(bytes.length + 2 * offset);
    inside.set(bytes, offset);
    assert.deepEqual(decodeMembership(inside, offset, bytes.length), value);
  });
  fc.assert(property, { numRuns: RUNS, seed: SEED });
});

test("equal configurations are equal bytes, whatever the order of their members", () => {
  const shuffled = membership({ members: [member("c"), member("a"), member("b")] });
  assert.deepEqual(encodeMembership(shuffled), encodeMembership(membership()));
});

test("a configuration is refused for each rule that it breaks", () => {
  const many = Array.from({ length: CODEC_LIMITS.membersMax + 1 }, (_, i) => member(`n${i + 100}`));
  const ids = many.map(({ id }) => id);
  const cases: readonly (readonly [RegExp | null, Partial<Membership>])[] = [
    [null, {}],
    [null, { votersOutgoing: ["b"] }],
    [null, { voters: ["a"], votersOutgoing: ["b"], learnersNext: ["b"] }],
    [/no voter/, { voters: [] }],
    [/not sorted/, { voters: ["b", "a"] }],
    [/not sorted/, { voters: ["a", "a", "b"] }],
    [/stranger/, { voters: ["a", "b", "d"] }],
    [/twice/, { members: [member("a"), member("b"), member("c"), member("a")] }],
    [/no role/, { learners: [] }],
    [/exclude/, { voters: ["a", "b", "c"] }],
    [/exclude/, { learnersNext: ["b"] }],
    [/exclude/, { votersOutgoing: ["c"] }],
    [/exclude/, { votersOutgoing: ["b"], learnersNext: ["b"] }],
    [/not a node id/, { members: [member("../a")], voters: ["../a"], learners: [] }],
    [/not a node id/, { members: [member("")], voters: [""], learners: [] }],
    [/server id/, { members: [member("a", { serverId: "\ud800" })], voters: ["a"], learners: [] }],
    [
      /address/,
      {
        members: [member("a", { address: "x".repeat(CODEC_LIMITS.addressMaxBytes + 1) })],
        voters: ["a"],
        learners: [],
      },
    ],
    [null, { members: many.slice(1), voters: ids.slice(1), learners: [] }],
    [/65 members/, { members: many, voters: ids, learners: [] }],
  ];
  for (const [problem, values] of cases) {
    const value = membership(values);
    const found = membershipProblem(value);
    if (problem === null) {
      assert.equal(found, null, JSON.stringify(values).slice(0, 200));
      assert.deepEqual(decodeMembership(encodeMembership(value)), value);
      continue;
    }
    assert.match(found ?? "accepted", problem);
    assert.throws(() => encodeMembership(value), /Cannot encode a membership/);
  }
});

test("cut, damaged and random bytes of a configuration give an error or a good one", () => {
  let accepted = 0;
  const property = fc.property(anyMembership, fc.integer({ min: 1, max: 255 }), (value, change) => {
    const bytes = encodeMembership(value);
    for (let at = 0; at < bytes.length; at++) {
      assert.equal(typeof attempt(() => decodeMembership(bytes, 0, at)), "string", `cut at ${at}`);
      const damaged = bytes.slice();
      damaged[at] = (damaged[at] as number) ^ change;
      const result = attempt(() => decodeMembership(damaged));
      if (typeof result === "string") continue;
      accepted++;
      assert.equal(membershipProblem(result), null);
      assert.deepEqual(encodeMembership(result), damaged, "one value, one encoding");
    }
  });
  fc.assert(property, { numRuns: RUNS / 5, seed: SEED });
  assert.ok(accepted > 1000, `${accepted} accepted`);
  const random = fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
    attempt(() => decodeMembership(bytes));
  });
  fc.assert(random, { numRuns: 5 * RUNS, seed: SEED });
});

test("a membership batch is one entry that counts and applies like any other", () => {
  const body = encodeMembershipBody(membership());
  const seen: number[] = [];
  iterateEntries(body, body.length, (command) => seen.push(command));
  assert.deepEqual(seen, [COMMAND.membership]);
  const batch = { body, bodyBytes: body.length };
  assert.deepEqual(decodeMembershipBatch(batch), membership());
  const noop = new ByteSink();
  appendEntry(noop, COMMAND.noop, encodeMembership(membership()));
  const cases: readonly (readonly [string, Uint8Array, number])[] = [
    ["nothing", body, 0],
    ["two entries", new Uint8Array([...body, ...body]), 2 * body.length],
    ["cut off", body, body.length - 8],
    ["another command", noop.copy(), noop.length],
  ];
  for (const [what, bytes, bodyBytes] of cases) {
    const result = attempt(() => decodeMembershipBatch({ body: bytes, bodyBytes }));
    assert.equal(typeof result, "string", what);
  }
  const later = body.slice();
  later[6] = 2;
  assert.equal(
    attempt(() => decodeMembershipBatch({ body: later, bodyBytes: later.length })),
    "bad_content",
  );
});

test("a snapshot's description comes back as it was; damaged it is an error or a good one", () => {
  let accepted = 0;
  const property = fc.property(snapshotMeta, fc.integer({ min: 1, max: 255 }), (meta, change) => {
    const bytes = encodeSnapshotMeta(meta);
    assert.deepEqual(decodeSnapshotMeta(bytes), meta);
    for (let at = 0; at < bytes.length; at++) {
      const cut = bytes.subarray(0, at);
      assert.equal(typeof attempt(() => decodeSnapshotMeta(cut)), "string", `cut at ${at}`);
      const damaged = bytes.slice();
      damaged[at] = (damaged[at] as number) ^ change;
      const result = attempt(() => decodeSnapshotMeta(damaged));
      if (typeof result === "string") continue;
      accepted++;
      assert.deepEqual(encodeSnapshotMeta(result), damaged, "one value, one encoding");
    }
  });
  fc.assert(property, { numRuns: RUNS / 10, seed: SEED });
  assert.ok(accepted > 1000, `${accepted} accepted`);
});

test("chunks of a snapshot must add up to its size", () => {
  const [meta] = fc.sample(snapshotMeta, { numRuns: 1, seed: SEED });
  assert.ok(meta !== undefined);
  const cases = [
    { chunkCount: meta.chunkCount + 1 },
    { chunkCount: 0 },
    { sizeBytes: 0, chunkCount: 0 },
    { chunkBytes: 0 },
    { chunkBytes: CODEC_LIMITS.chunkMaxBytes + 1, chunkCount: 1 },
    { membership: { ...meta.membership, index: meta.index + 1 } },
    { index: 0, membership: { ...meta.membership, index: 0 } },
  ];
  for (const values of cases) {
    assert.throws(
      () => encodeSnapshotMeta({ ...meta, ...values }),
      /Cannot encode/,
      JSON.stringify(values),
    );
  }
});
