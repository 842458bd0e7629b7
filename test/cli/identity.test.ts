import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { claimIdentity, type Identity } from "../../src/cli/server/identity.ts";

function partsOf({ clusterId, nodeId, serverId, founders }: Identity): readonly unknown[] {
  return [clusterId, nodeId, serverId, founders];
}

describe("whose data a directory holds", () => {
  let directory = "";
  before(() => {
    directory = mkdtempSync(join(tmpdir(), "hearth-identity-"));
  });
  after(() => rmSync(directory, { recursive: true }));

  it("is written once and stays", () => {
    const first = claimIdentity(directory, "a:9099");
    assert.equal(first.clusterId, "");
    assert.match(first.nodeId, /^[0-9a-f]{16}$/);
    assert.deepEqual(partsOf(claimIdentity(directory, "a:9099")), partsOf(first));
  });

  it("belongs to one cluster, once it does, and remembers who founded it", async () => {
    const identity = claimIdentity(directory, "a:9099");
    const founders = [{ id: identity.nodeId, serverId: "a:9099", address: "a:9099" }];
    identity.join({ clusterId: "8f1c2a04", founders });
    await identity.joined;
    identity.join({ clusterId: "8f1c2a04", founders: [] });
    assert.throws(() => identity.join({ clusterId: "1b770000", founders: [] }), {
      code: "failed_precondition",
      message: /Cannot join cluster 1b770000: the data of a:9099 belongs to cluster 8f1c2a04/,
    });
    const again = claimIdentity(directory, "a:9099");
    await again.joined;
    assert.deepEqual(partsOf(again), ["8f1c2a04", identity.nodeId, "a:9099", founders]);
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
    const member = '{"clusterId":"c","serverId":"a:9099","nodeId":"n","founders":[{"id":7}]}';
    for (const text of ["", "{", '{"clusterId":7}', "null", member]) {
      writeFileSync(file, text);
      assert.throws(
        () => claimIdentity(directory, "a:9099"),
        { code: "failed_precondition" },
        text,
      );
    }
  });

  it("a file of the time before founders were noted is taken as it is", () => {
    const file = join(directory, "identity.json");
    writeFileSync(file, '{"clusterId":"8f1c2a04","serverId":"a:9099"}');
    const identity = claimIdentity(directory, "a:9099");
    assert.deepEqual([identity.clusterId, identity.founders], ["8f1c2a04", null]);
    assert.match(identity.nodeId, /^[0-9a-f]{16}$/);
  });

  it("a log that is gone is not made anew under the same id", () => {
    const lost = join(directory, "lost");
    const first = claimIdentity(lost, "a:9099");
    first.noteLog();
    claimIdentity(lost, "a:9099").assertLogIsThere();
    mkdirSync(join(lost, "wal"));
    writeFileSync(join(lost, "wal", "0.seg"), "");
    first.noteLog();
    claimIdentity(lost, "a:9099").assertLogIsThere();
    rmSync(join(lost, "wal"), { recursive: true });
    assert.throws(() => claimIdentity(lost, "a:9099").assertLogIsThere(), {
      code: "failed_precondition",
      message: /this node has had a log, and its files are gone$/,
    });
  });

  it("a log without its identity is not taken for a new node's", () => {
    const other = join(directory, "other");
    mkdirSync(join(other, "wal"), { recursive: true });
    writeFileSync(join(other, "wal", "0.seg"), "");
    assert.throws(() => claimIdentity(other, "a:9099"), {
      code: "failed_precondition",
      message: /there is a log, but .*identity\.json, which says whose it is, is gone$/,
    });
  });
});
