/** Changes of the compaction policy: what is patched, what is refused, and that nothing depends on this program's defaults. */

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { COMPACTION_DEFAULTS, changePolicy } from "../../../src/state/index.ts";

const BASE = { ...COMPACTION_DEFAULTS, leaseMs: 20_000 };
const CURRENT = JSON.stringify(BASE);

type Parts = { set?: object; pause?: object; resume?: object };

function change(parts: Parts, current: string | null = CURRENT) {
  return changePolicy(current, JSON.stringify({ base: BASE, ...parts }));
}

/** The policy after a change that must be taken. */
function after(parts: Parts, current: string | null = CURRENT): Record<string, unknown> {
  const result = change(parts, current);
  assert.ok(result.ok, JSON.stringify(result));
  return JSON.parse(result.json) as Record<string, unknown>;
}

function problems(parts: Parts): string {
  const result = change(parts);
  assert.ok(!result.ok);
  return result.problems.join("; ");
}

describe("a change of the compaction policy", () => {
  it("changes what it names, and nothing else", () => {
    assert.deepEqual(after({ set: { failuresMax: 7 } }), { ...BASE, failuresMax: 7 });
  });

  it("begins with the policy that it brings along where there is none", () => {
    assert.deepEqual(after({ set: { jobsMax: 5 } }, null), { ...BASE, jobsMax: 5 });
  });

  it("goes back to the value that it brings along, not to one of this program", () => {
    const changed = JSON.stringify({ ...BASE, leaseMs: 1_000 });
    assert.equal(after({ set: { leaseMs: null } }, changed).leaseMs, 20_000);
  });

  it("is no change when all is so already", () => {
    const result = change({ set: { leaseMs: 20_000 } });
    assert.ok(result.ok && !result.isChanged);
    const other = change({ set: { leaseMs: 20_001 } });
    assert.ok(other.ok && other.isChanged);
  });

  it("patches a level by its position, half of it as well", () => {
    const levels = after({ set: { levels: { 1: { maxAgeMs: 5_000 } } } }).levels as object[];
    assert.deepEqual(levels[1], { maxBlocks: 10, maxAgeMs: 5_000 });
    assert.deepEqual(levels[0], BASE.levels[0]);
  });

  it("replaces all levels by a list", () => {
    const levels = [{ maxBlocks: 4, maxAgeMs: 0 }];
    assert.deepEqual(after({ set: { levels } }).levels, levels);
  });

  it("adds a level behind the last, and none behind a gap", () => {
    const level = { maxBlocks: 3, maxAgeMs: 1 };
    assert.equal((after({ set: { levels: { 3: level } } }).levels as object[]).length, 4);
    assert.match(problems({ set: { levels: { 4: level } } }), /levels\[3\]/);
  });

  it("gives a tenant a level of its own, filled from the general one", () => {
    const set = { tenants: { acme: { levels: { 1: { maxAgeMs: 9_000 } } } } };
    const { tenants } = after({ set }) as { tenants: Record<string, { levels: unknown[] }> };
    assert.deepEqual(tenants.acme?.levels, [null, { maxBlocks: 10, maxAgeMs: 9_000 }]);
  });

  it("gives a tenant a number of jobs of its own, and takes it back", () => {
    const own = after({ set: { tenants: { acme: { jobsMax: 3 } } } });
    assert.deepEqual(own.tenants, { acme: { jobsMax: 3 } });
    const set = { tenants: { acme: { jobsMax: null } } };
    assert.deepEqual(after({ set }, JSON.stringify(own)).tenants, {});
    assert.match(problems({ set: { tenants: { acme: { jobsMax: -1 } } } }), /jobsMax" is -1/);
  });

  it("forgets a tenant that has nothing of its own any more", () => {
    const set = { tenants: { acme: { levels: { 0: { maxAgeMs: 9_000 } } } } };
    const own = JSON.stringify(after({ set }));
    for (const undo of [
      { acme: null },
      { acme: { levels: null } },
      { acme: { levels: { 0: null } } },
    ]) {
      assert.deepEqual(after({ set: { tenants: undo } }, own).tenants, {}, JSON.stringify(undo));
    }
  });

  it("keeps a tenant apart whatever its name is", () => {
    const set = JSON.parse('{"tenants":{"__proto__":{"levels":{"0":{"maxAgeMs":1}}}}}') as object;
    const result = change({ set });
    assert.ok(result.ok);
    assert.match(result.json, /"__proto__":\{"levels"/);
  });

  it("pauses and resumes levels and tenants, each once and in order", () => {
    const paused = after({ pause: { levels: [2, 0, 2], tenants: ["b", "a"] } });
    assert.deepEqual(
      [paused.pausedLevels, paused.pausedTenants],
      [
        [0, 2],
        ["a", "b"],
      ],
    );
    const resumed = after({ resume: { levels: [2], tenants: ["a", "x"] } }, JSON.stringify(paused));
    assert.deepEqual([resumed.pausedLevels, resumed.pausedTenants], [[0], ["b"]]);
  });

  it("of two changes, whichever comes first, both count", () => {
    const one = { set: { failuresMax: 9 } };
    const two = { pause: { levels: [1] } };
    const first = after(two, JSON.stringify(after(one)));
    assert.deepEqual(first, after(one, JSON.stringify(after(two))));
  });

  it("is refused with every problem of what the policy would be", () => {
    const text = problems({ set: { leaseMs: -1, jobsMax: 1e9, leese: 3 } });
    for (const part of [/"leaseMs" is -1/, /"jobsMax" is 1000000000/, /"leese" is not a setting/]) {
      assert.match(text, part);
    }
    assert.match(
      problems({ set: { tenants: { acme: { leaseMs: 3 } } } }),
      /not a setting of a tenant/,
    );
    assert.match(problems({ set: { tenants: [] } }), /"tenants"/);
    assert.match(problems({ pause: { levels: [99] } }), /pausedLevels/);
  });

  it("is refused when it is no change at all", () => {
    for (const json of ["", "[]", "3", '{"set":[]}', '{"reset":{}}', '{"pause":{"level":[1]}}']) {
      assert.ok(!changePolicy(CURRENT, json).ok, json);
    }
  });
});
