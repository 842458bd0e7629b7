/** Tenants that are being deleted: no answer of any kind shows anything of them, and what is theirs alone is not there. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { COMMAND, encodeTenantCommand } from "../../src/protocol/index.ts";
import { NOON, service, TestIndex, ulid } from "./support.ts";

const MIXED = ulid(NOON, 1);
const ALONE = ulid(NOON, 2);
const OWN = ulid(NOON, 3);
const FOREIGN = ulid(NOON, 4);

async function withIndex(body: (index: TestIndex) => void): Promise<void> {
  const index = new TestIndex();
  try {
    index.add(
      { id: MIXED, datasets: [service("a"), service("b", { tenant: "other" })] },
      { id: ALONE, datasets: [service("a")] },
      { id: OWN, owner: "acme", datasets: [service("a")] },
      { id: FOREIGN, owner: "other", datasets: [service("b", { tenant: "other" })] },
    );
    body(index);
  } finally {
    await index.close();
  }
}

function hide(index: TestIndex, tenant: string): void {
  index.apply(COMMAND.deleteTenant, encodeTenantCommand({ tenant, closedForMs: 0 }));
}

/** Everything that can be asked, in short. */
function answers(index: TestIndex): object {
  const both = { tenants: ["acme", "other"] };
  const blocks = (owner: string, ids: readonly string[]): number[] =>
    index.get(owner, 1, ids).map(({ datasets }) => datasets.length);
  const labels = (tenants: string[]): string[][] =>
    index.labels({ tenants, labels: ["service_name"] });
  return {
    acme: index.found({ tenants: ["acme"] }),
    other: index.found({ tenants: ["other"] }),
    both: index.found(both),
    proto: index.queryProto(both).length,
    labels: [labels(["acme"]), labels(["other"]), labels(["acme", "other"])],
    labelsProto: index.labelsProto({ tenants: ["acme", "other"], labels: ["service_name"] }),
    segments: blocks("", [MIXED, ALONE]),
    segmentsProto: index.getProto("", 1, [MIXED, ALONE]).map(({ datasets }) => datasets.length),
    own: blocks("acme", [OWN]),
    foreign: blocks("other", [FOREIGN]),
    tenants: index.read((engine) => engine.getTenants()),
    stats: ["acme", "other"].map(
      (name) => index.read((engine) => engine.getTenant(name)).dataIngested,
    ),
  };
}

describe("hidden tenants", () => {
  it("are in every answer before, and in none after", () =>
    withIndex((index) => {
      const other = ["001:b", "004:b"];
      assert.deepEqual(answers(index), {
        acme: ["001:a", "002:a", "003:a"],
        other,
        both: ["001:a,b", "002:a", "003:a", "004:b"],
        proto: 4,
        labels: [[["a"]], [["b"]], [["a"], ["b"]]],
        labelsProto: [["a"], ["b"]],
        segments: [2, 1],
        segmentsProto: [2, 1],
        own: [1],
        foreign: [1],
        tenants: ["acme", "other"],
        stats: [true, true],
      });
      hide(index, "acme");
      assert.deepEqual(answers(index), {
        acme: [],
        other,
        both: other,
        proto: 2,
        labels: [[], [["b"]], [["b"]]],
        labelsProto: [["b"]],
        segments: [1],
        segmentsProto: [1],
        own: [],
        foreign: [1],
        tenants: ["other"],
        stats: [false, true],
      });
    }));

  it("are known to an engine that had looked before, and again when one more is hidden", () =>
    withIndex((index) => {
      answers(index);
      hide(index, "unknown");
      assert.deepEqual(index.found({ tenants: ["acme"] }), ["001:a", "002:a", "003:a"]);
      assert.equal(index.get("", 1, [MIXED])[0]?.datasets.length, 2);
      hide(index, "other");
      assert.deepEqual(index.found({ tenants: ["acme", "other"] }), ["001:a", "002:a", "003:a"]);
      const [mixed] = index.get("", 1, [MIXED]);
      assert.equal(mixed?.datasets.length, 1);
      assert.ok(!mixed?.stringTable.includes("b"), "not even its strings leave");
    }));

  it("stay what they are for questions that are refused anyway", () =>
    withIndex((index) => {
      hide(index, "acme");
      assert.throws(() => index.found({ tenants: [] }), /at least one/);
      assert.throws(
        () => index.found({ tenants: ["acme"], selector: "{" }),
        /selector|parse|expected/i,
      );
    }));
});
