/** The placement's own thread, over a real one. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { OwnPlacementThread, type PlacementRequest } from "../../../src/leader/index.ts";

const VIEW: PlacementRequest = {
  kind: "view",
  objects: { rules: null, stats: null, pins: null },
  filter: { tenant: null, dataset: null, maxCount: 10 },
};

test("it answers until it is closed, and no thread is started behind that", async () => {
  const thread = new OwnPlacementThread();
  assert.equal((await thread.run(VIEW)).kind, "viewed");
  const late = thread.run(VIEW);
  const closed = thread.close();
  await assert.rejects(thread.run(VIEW), { code: "unavailable", reason: "stopping" });
  assert.equal((await late).kind, "viewed");
  await closed;
  await assert.rejects(thread.run(VIEW), { reason: "stopping" });
  await thread.close();
});
