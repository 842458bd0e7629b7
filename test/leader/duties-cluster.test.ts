/** Duties of a leader that dies in the middle of them: the next one finishes, nothing twice, nothing left. */
import assert from "node:assert/strict";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { collectBlocks } from "../../src/client/index.ts";
import { encodeBlockMetaProto } from "../../src/protocol/index.ts";
import { blockMeta, HOUR_MS, ulidAt } from "../state/support.ts";
import { leaderOf, type MemberProcess, startCluster, through } from "../support/cluster-process.ts";
import { until } from "../support/until.ts";

const COUNT = 3_000;
const SHARDS = 8;

let directory = "";
let members: readonly MemberProcess[] = [];
const bucket = (): string => join(directory, "bucket");

before(async () => {
  directory = mkdtempSync(join(tmpdir(), "hearth-duties-cluster-"));
  members = await startCluster(directory, 3, [
    `-storage.filesystem.dir=${bucket()}`,
    "-metastore.index.dlq-recovery-check-interval=1s",
  ]);
});

after(async () => {
  await Promise.all(members.map((member) => member.kill()));
  rmSync(directory, { recursive: true, force: true });
});

/** Objects, not directories: a member killed between the two calls of a deletion leaves an empty one, which is no entry. */
function entriesLeft(): number {
  let left = 0;
  for (let shard = 0; shard < SHARDS; shard++) {
    const path = join(bucket(), "dlq", String(shard), "anonymous");
    if (!existsSync(path)) continue;
    left += readdirSync(path).filter((id) => existsSync(join(path, id, "meta.pb"))).length;
  }
  return left;
}

describe("a leader that is killed", () => {
  it("while it drains dead letters leaves them to the next one", async () => {
    const atMs = Date.now() - HOUR_MS;
    const ids = Array.from({ length: COUNT }, (_, i) => ulidAt(atMs, i + 1));
    for (const [i, id] of ids.entries()) {
      const path = join(bucket(), "dlq", String(i % SHARDS), "anonymous", id);
      mkdirSync(path, { recursive: true });
      const meta = blockMeta({ id, shard: i % SHARDS, minTimeMs: atMs, maxTimeMs: atMs });
      writeFileSync(join(path, "meta.pb"), await encodeBlockMetaProto(meta));
    }
    const first = await leaderOf(members);
    await until("some dead letters came home", () => entriesLeft() < COUNT);
    await first.kill();
    assert.ok(entriesLeft() > 0, "the leader was done before it was killed");
    const others = members.filter((member) => member !== first);
    await until("all dead letters came home", () => entriesLeft() === 0);
    assert.equal(existsSync(join(bucket(), "dlq-quarantine")), false);
    await first.start();
    await first.ready();
    for (const member of [...others, first]) {
      const found = await through(member, async (client) => {
        const shards = Array.from({ length: SHARDS }, (_, shard) => {
          const blocks = ids.filter((_id, i) => i % SHARDS === shard);
          return collectBlocks(client.getBlockMetadata({ tenant: "", shard, blocks }));
        });
        return (await Promise.all(shards)).flat().map(({ id }) => id);
      });
      assert.deepEqual(found.sort(), [...ids].sort(), `${member.name} has every block, once`);
    }
  });
});
