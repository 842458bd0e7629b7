import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { test } from "node:test";

/** V8 says on stderr what it does not know, and goes on. */
test("V8 knows the flag that gives heaps room", () => {
  const entry = new URL("../../src/base/index.js", import.meta.url).href;
  const script = `import { giveHeapRoom } from ${JSON.stringify(entry)}; giveHeapRoom(); console.log("given");`;
  const child = spawnSync(process.execPath, ["--input-type=module", "-e", script], {
    encoding: "utf8",
  });
  assert.equal(child.stderr, "");
  assert.equal(child.stdout, "given\n");
});
