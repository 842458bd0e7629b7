/** Three real nodes compare their states; one whose index was tampered with stops, and does not come back. */

import assert from "node:assert/strict";
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { LOAD_DEFAULTS, LoadGenerator } from "../../src/cli/load/index.ts";
import { connect } from "../../src/client/index.ts";
import { IndexDatabase, KeyBuffer } from "../../src/db/index.ts";
import { leaderOf, type MemberProcess, startCluster } from "../support/cluster-process.ts";
import { until } from "../support/until.ts";

let directory = "";
let members: readonly MemberProcess[] = [];

before(async () => {
  directory = mkdtempSync(join(tmpdir(), "hearth-checks-"));
  members = await startCluster(directory, 3, [
    "-hearth.state-check-interval=500ms",
    "-hearth.reader-threads=1",
  ]);
});
after(async () => {
  for (const member of members) await member.kill();
  rmSync(directory, { recursive: true });
});

async function metric(member: MemberProcess, name: string): Promise<number> {
  const answer = await fetch(`${member.httpUrl}/metrics`).catch(() => null);
  const text = (await answer?.text()) ?? "";
  return Number(new RegExp(`^${name} (\\S+)$`, "m").exec(text)?.[1] ?? Number.NaN);
}

const lastEqual = (member: MemberProcess): Promise<number> =>
  metric(member, "hearth_checksum_last_equal_index");

/** Changes a byte of a block, as a bad disk or a bug would, under a running node. */
async function corrupt(member: MemberProcess): Promise<void> {
  const names = readdirSync(member.directory, { recursive: true, encoding: "utf8" });
  const mark = names.find((name) => name.endsWith("trust.json")) ?? "";
  const db = IndexDatabase.open({
    directory: join(member.directory, mark.replace(/trust\.json$/, "")),
    mapSizeBytes: 64 * 1024 ** 3,
    role: "writer",
  });
  let key = new Uint8Array(0);
  let value = new Uint8Array(0);
  db.beginRead();
  const end = new KeyBuffer(4).u32(0, 0xffff_ffff).bytes;
  db.scan("blocks", new Uint8Array(1), end, (found, bytes) => {
    key = new Uint8Array(found);
    value = new Uint8Array(db.u8.subarray(0, bytes));
    return false;
  });
  db.endRead();
  value[value.length - 1] = (value[value.length - 1] as number) ^ 1;
  db.write(() => db.put("blocks", key, value));
  await db.close();
}

test("nodes with equal states go on; one that differs stops, and says so at every start", async () => {
  const leader = await leaderOf(members);
  const client = await connect({ endpoints: [leader.endpoint] });
  const source = new LoadGenerator({
    ...LOAD_DEFAULTS,
    startAtMs: Date.parse("2026-11-22T00:00:00Z"),
    endAtMs: Date.parse("2026-11-22T06:00:00Z"),
  });
  await client.addBlocks(Array.from({ length: 100 }, (_, i) => source.block(i)));
  await client.close();
  await until("all are found equal", async () => {
    const indexes = await Promise.all(members.map(lastEqual));
    return indexes.every((index) => index > 0);
  });
  for (const member of members) {
    assert.equal(await metric(member, "hearth_checksum_mismatches_total"), 0, member.name);
  }
  const victim = members.find((member) => member !== leader) as MemberProcess;
  await corrupt(victim);
  await until("the node with another state stops", () => !victim.isRunning);
  assert.match(
    victim.process.output(),
    /differs from that of the majority at log index [\d,]+ \(blocks\)/,
  );
  assert.match(victim.process.output(), /they were equal at log index [\d,]+/);
  const others = members.filter((member) => member !== victim);
  for (const other of others) {
    // It may apply the report that stopped the victim a moment later, and one more of a victim that stops slowly.
    await until(`${other.name} counts it`, async () => {
      return (await metric(other, "hearth_checksum_mismatches_total")) >= 1;
    });
    await until(`${other.name} goes on`, async () => (await other.readiness()) === "ready");
  }
  await victim.start();
  await until("it does not start again", () => !victim.isRunning);
  assert.match(victim.process.output(), /state_diverged|differs from that of the majority/);
});
