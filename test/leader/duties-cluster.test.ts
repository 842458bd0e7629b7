/** Duties of a leader that dies in the middle of them: the next one finishes, nothing twice, nothing left. */
import assert from "node:assert/strict";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { after, before, describe, it } from "node:test";
import { collectBlocks, type TenantDeletion } from "../../src/client/index.ts";
import { encodeBlockMetaProto } from "../../src/protocol/index.ts";
import { blockMeta, HOUR_MS, ulidAt } from "../state/support.ts";
import { leaderOf, type MemberProcess, startCluster, through } from "../support/cluster-process.ts";
import { until } from "../support/until.ts";

const COUNT = 3_000;
const ROUNDS_MAX = 5;
const SHARDS = 8;
/** Shards of the tenant that is deleted: each is a step of its own. */
const TENANT_SHARDS = 300;
const PER_SHARD = 4;

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
    left += namesIn(path).filter((id) => existsSync(join(path, id, "meta.pb"))).length;
  }
  return left;
}

/** None when there is no such directory: a leader removes one with its last entry, at any time. */
function namesIn(path: string): string[] {
  try {
    return readdirSync(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return [];
    throw error;
  }
}

/** The leader that was killed between the first and the last of these entries; once more when it was done before. */
async function killInTheMiddle(write: () => Promise<void>): Promise<MemberProcess> {
  for (let round = 1; ; round++) {
    await write();
    const leader = await leaderOf(members);
    await until("some dead letters came home", () => entriesLeft() < COUNT);
    await leader.kill();
    if (entriesLeft() > 0) return leader;
    assert.ok(round < ROUNDS_MAX, "every leader was done before it was killed");
    await leader.start();
    await leader.ready();
  }
}

/** Where the object of a block is. */
function objectPath({ shard, tenant, id }: { shard: number; tenant: string; id: string }): string {
  return join(bucket(), "blocks", String(shard), tenant, id, "block.bin");
}

async function report(member: MemberProcess): Promise<TenantDeletion> {
  const deletions = await through(member, (client) => client.tenantDeletions("acme"));
  assert.equal(deletions.length, 1);
  return deletions[0] as TenantDeletion;
}

describe("a leader that is killed", () => {
  it("while it drains dead letters leaves them to the next one", async () => {
    const atMs = Date.now() - HOUR_MS;
    const ids: string[] = [];
    const first = await killInTheMiddle(async () => {
      for (let i = ids.length, end = i + COUNT; i < end; i++) {
        const id = ulidAt(atMs, i + 1);
        const path = join(bucket(), "dlq", String(i % SHARDS), "anonymous", id);
        mkdirSync(path, { recursive: true });
        const meta = blockMeta({ id, shard: i % SHARDS, minTimeMs: atMs, maxTimeMs: atMs });
        writeFileSync(join(path, "meta.pb"), await encodeBlockMetaProto(meta));
        ids.push(id);
      }
    });
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

  it("while it deletes a tenant leaves it to the next one", async (t) => {
    const atMs = Date.now() - HOUR_MS;
    const blocks = ["acme", "other"].flatMap((tenant) =>
      Array.from({ length: TENANT_SHARDS * PER_SHARD }, (_, i) => ({
        id: ulidAt(atMs, 10_000 + i),
        tenant,
        shard: i % TENANT_SHARDS,
        level: 1,
        minTimeMs: atMs,
        maxTimeMs: atMs,
        datasets: [{ tenant }],
      })),
    );
    for (const block of blocks) {
      mkdirSync(dirname(objectPath(block)), { recursive: true });
      writeFileSync(objectPath(block), "0123456789");
    }
    const count = TENANT_SHARDS * PER_SHARD;
    const left = (tenant: string): number =>
      blocks.filter((block) => block.tenant === tenant && existsSync(objectPath(block))).length;
    const first = await leaderOf(members);
    await through(first, async (client) => {
      for (let i = 0; i < blocks.length; i += 200)
        await client.addBlocks(blocks.slice(i, i + 200).map(blockMeta));
      await client.deleteTenant("acme");
    });
    await until("some objects are deleted", () => left("acme") < count);
    await first.kill();
    t.diagnostic(`killed with ${left("acme")} of ${count} objects left`);
    const [second] = members.filter((member) => member !== first) as [MemberProcess];
    const isOver = async (): Promise<boolean> => (await report(second)).state === "verified";
    await until("the deletion is verified", isOver);
    await first.start();
    await first.ready();
    const [reported, ...others] = await Promise.all(members.map(report));
    for (const other of others) assert.deepEqual(other, reported);
    const { state, shards, blocks: gone, objects, segmentsLeft } = reported as TenantDeletion;
    assert.deepEqual([state, shards, gone, segmentsLeft], ["verified", TENANT_SHARDS, count, 0]);
    // Nothing was counted twice; what the first one deleted right before its end is in nobody's note.
    assert.ok(objects > 0 && objects <= count, `${objects} objects`);
    assert.deepEqual([left("acme"), left("other")], [0, count]);
    for (const member of members) {
      await through(member, async (client) => {
        assert.equal((await client.getTenants()).includes("acme"), false);
        assert.equal((await client.getTenant("acme")).dataIngested, false);
        assert.equal((await client.getTenant("other")).dataIngested, true);
      });
    }
  });
});
