import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { claimIdentity } from "../../src/cli/server/identity.ts";

describe("whose data a directory holds", () => {
  let directory = "";
  before(() => {
    directory = mkdtempSync(join(tmpdir(), "hearth-identity-"));
  });
  after(() => rmSync(directory, { recursive: true }));

  it("is written once and stays", () => {
    const first = claimIdentity(directory, "a:9099");
    assert.match(first.clusterId, /^[0-9a-f]{8}$/);
    assert.deepEqual(claimIdentity(directory, "a:9099"), first);
  });

  it("another node is refused, with both names and the cure", () => {
    assert.throws(() => claimIdentity(directory, "b:9099"), {
      code: "failed_precondition",
      message: /belongs to the node "a:9099", this one is "b:9099"$/,
      next: /^Set metastore\.raft\.server-id to a:9099/,
    });
  });

  it("a damaged file is refused and left as it is", () => {
    const file = join(directory, "identity.json");
    for (const text of ["", "{", '{"clusterId":7}', "null"]) {
      writeFileSync(file, text);
      assert.throws(
        () => claimIdentity(directory, "a:9099"),
        { code: "failed_precondition" },
        text,
      );
    }
  });
});
