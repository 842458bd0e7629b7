/** A process that is killed while it installs leaves the old state or the new one, and never a mix. */

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { cpSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { IndexDatabase } from "../../../src/db/index.ts";
import { verifyIndex } from "../../../src/state/index.ts";
import { dumpTables } from "../dump.ts";
import { RandomEntries } from "../random-entries.ts";
import { batchOf } from "../support.ts";
import { ImageRig, imageOf, MAP_SIZE_BYTES } from "./support.ts";

const KILLS = 12;
const CHILD = new URL(
  `./install-child${import.meta.url.endsWith(".ts") ? ".ts" : ".js"}`,
  import.meta.url,
).pathname;

function filled(seed: number, count: number): ImageRig {
  const rig = new ImageRig();
  const random = new RandomEntries(seed);
  const entries = Array.from({ length: count }, () => random.next());
  rig.state.apply([batchOf(entries, { firstIndex: 1 })]);
  return rig;
}

/** Starts the child, and kills it `afterMs` behind its first word, or behind its last for an infinite time. */
async function killDuringInstall(args: readonly string[], afterMs: number): Promise<string> {
  const child = spawn(process.execPath, [CHILD, ...args], { stdio: ["ignore", "pipe", "inherit"] });
  let said = "";
  const ended = once(child, "exit");
  const isOver = new Promise<void>((resolve) => {
    let isTimed = false;
    child.stdout.on("data", (data: Buffer) => {
      said += data.toString();
      if (said.includes("installed"))
        setTimeout(resolve, afterMs === Number.POSITIVE_INFINITY ? 50 : 0);
      if (isTimed || afterMs === Number.POSITIVE_INFINITY) return;
      isTimed = true;
      setTimeout(resolve, afterMs);
    });
  });
  await Promise.race([isOver, ended]);
  child.kill("SIGKILL");
  await ended;
  return said;
}

test("a killed install leaves the old state or the new one", async () => {
  const [before, after] = [filled(1, 120), filled(2, 400)];
  const image = imageOf(after.db, null);
  const expected = {
    old: before.read(dumpTables),
    new: after.read(dumpTables),
  };
  const position = [String(after.state.appliedIndex), String(after.state.appliedTerm)];
  const root = before.directory;
  await before.db.close();
  const work = `${root}-work`;
  const imageFile = join(after.directory, "image");
  writeFileSync(imageFile, image);
  const found = { old: 0, new: 0 };
  try {
    for (let kill = 0; kill < KILLS; kill++) {
      rmSync(work, { recursive: true, force: true });
      cpSync(root, work, { recursive: true });
      const afterMs = kill === KILLS - 1 ? Number.POSITIVE_INFINITY : (kill * 400) / KILLS;
      const said = await killDuringInstall([work, imageFile, ...position], afterMs);
      assert.match(said, /^opened 120\n/, `kill ${kill}`);
      const db = IndexDatabase.open({
        directory: work,
        mapSizeBytes: MAP_SIZE_BYTES,
        role: "writer",
      });
      assert.equal(db.outcome, "reused");
      db.beginRead();
      const rows = dumpTables(db);
      const { problems } = verifyIndex(db);
      db.endRead();
      await db.close();
      const which = rows.length === expected.new.length ? "new" : "old";
      assert.deepEqual(rows, expected[which], `kill ${kill} after ${afterMs} ms: ${said}`);
      assert.deepEqual(problems, []);
      if (said.includes("installed")) assert.equal(which, "new");
      const left = readdirSync(work).filter((name) => name.startsWith("lmdb"));
      assert.equal(left.length, 1, left.join(" "));
      found[which] += 1;
    }
    assert.ok(found.old > 0 && found.new > 0, JSON.stringify(found));
  } finally {
    await before.threads.close();
    rmSync(root, { recursive: true, force: true });
    rmSync(work, { recursive: true, force: true });
    await after.close();
  }
});
