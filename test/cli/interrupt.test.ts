/** Ctrl-C while a command waits: exit code 130, whatever it waited for. */
import assert from "node:assert/strict";
import { it } from "node:test";
import { InterruptedError } from "../../src/cli/failure.ts";
import { hearth, withNode } from "./support.ts";

const DELETION = {
  tenant: "acme",
  id: 7,
  state: "hidden",
  requestedAtMs: 1_795_343_095_000,
  blocks: 1,
  shards: 1,
  bytes: 5,
  segments: 0,
  segmentsLeft: 0,
  objects: 0,
  objectBytes: 0,
  passes: 0,
  lateBlocks: 0,
  closedForMs: 0,
  verifiedAtMs: null,
  openedAtMs: null,
  problem: null,
};

it("the wait for the deletion of a tenant ends; the deletion goes on", async () => {
  const interrupt = new AbortController();
  let asked = 0;
  await withNode(
    ({ method, url }) => {
      if (method === "DELETE") return { body: { logIndex: 7, term: 2, deletion: DELETION } };
      if (!url.includes("tenant-deletions"))
        return { body: { stats: { dataIngested: false, oldestProfileTime: "0" } } };
      asked += 1;
      // The first question is that of the plan, the others are those of the wait.
      if (asked === 2) interrupt.abort(new InterruptedError());
      return { body: { deletions: asked === 1 ? [] : [DELETION], store: null, activity: null } };
    },
    async ({ endpoint }) => {
      const argv = ["tenant", "delete", "acme", "--confirm=acme", "--wait", "--endpoint", endpoint];
      const said = await hearth(argv, { signal: interrupt.signal });
      assert.deepEqual([said.code, said.out], [130, ""]);
      assert.deepEqual(said.talk.split("\n").slice(-2), [
        "the deletion goes on: hearth tenant deletions acme   says how far it is",
        "hearth: interrupted",
      ]);
    },
  );
});

it("a command whose node keeps silent ends", async () => {
  const interrupt = new AbortController();
  await withNode(
    () => {
      interrupt.abort(new InterruptedError());
      return null;
    },
    async ({ endpoint }) => {
      const argv = ["tenant", "list", "--json", "--timeout", "5m", "--endpoint", endpoint];
      const said = await hearth(argv, { signal: interrupt.signal });
      assert.equal(said.code, 130);
      assert.equal(JSON.parse(said.talk).error.code, "cancelled");
    },
  );
});
