/** An operator's hand on a real cluster, always through a node that does not lead: every member shows what came of it. */

import assert from "node:assert/strict";
import type { CompactionAdmin, HearthClient } from "../../src/client/index.ts";
import { hearth } from "../cli/support.ts";
import { blockMeta, ulidAt } from "../state/support.ts";
import type { TestCluster, TestNode } from "../support/cluster/index.ts";
import { until } from "../support/until.ts";

const CALL_LIMIT_MS = 60_000;
const BATCH = 20;
/** Blocks of their own, apart from what the test has compacted. */
const SHARD = 2;
const SERIAL_START = 10_000;

/** Takes no worker into account but `client`. Errors: rejects with what a member says instead. */
export async function steerThroughFollowers(
  cluster: TestCluster,
  client: HearthClient,
): Promise<void> {
  const follower = await someFollower(cluster);
  const name = await takeJob(client);
  await cancelJob(cluster, follower, name);
  await pauseAndChange(cluster, follower);
  await pin(cluster, follower);
}

async function someFollower(cluster: TestCluster): Promise<TestNode> {
  for (const node of cluster.nodes) await node.waitUntilReady(CALL_LIMIT_MS);
  const leader = await cluster.waitForLeader();
  return cluster.nodes.find((node) => node !== leader) as TestNode;
}

/** A job that a worker has and will not finish. */
async function takeJob(client: HearthClient): Promise<string> {
  const ids = Array.from({ length: BATCH }, (_, i) => ulidAt(Date.now(), SERIAL_START + i));
  const options = { timeoutMs: CALL_LIMIT_MS };
  await client.addBlocks(
    ids.map((id) => blockMeta({ id, shard: SHARD })),
    options,
  );
  // A job is planned some time after its blocks came, and blocks that were compacted before may make jobs of their own.
  let requestId = 0;
  let name = "";
  await until("a worker gets a job for the new blocks", async () => {
    const poll = { worker: "idle", requestId: ++requestId, capacity: 1, waitMs: 0, reports: [] };
    const { jobs } = await client.pollCompactionJobs(poll, options);
    name = jobs.find(({ shard }) => shard === SHARD)?.name ?? "";
    return name !== "";
  });
  return name;
}

async function cancelJob(cluster: TestCluster, follower: TestNode, name: string): Promise<void> {
  const body = { action: "quarantine", names: [name], reason: "by hand" };
  await follower.postJson("/api/v1/jobs", body, CALL_LIMIT_MS);
  for (const node of cluster.nodes) {
    const path = `/api/v1/jobs/${encodeURIComponent(name)}`;
    const job = (await node.getJson(path, CALL_LIMIT_MS)) as Awaited<
      ReturnType<CompactionAdmin["job"]>
    >;
    assert.equal(job.status, "quarantined", `as ${node.serverId} shows it`);
  }
  await follower.postJson("/api/v1/jobs", { action: "cancel", names: [name] }, CALL_LIMIT_MS);
}

async function pauseAndChange(cluster: TestCluster, follower: TestNode): Promise<void> {
  const pause = { levels: [1], tenants: ["acme"] };
  await follower.postJson("/api/v1/compaction/pause", pause, CALL_LIMIT_MS);
  const set = { leaseMs: 77_000 };
  await follower.postJson("/api/v1/compaction/policy", { set }, CALL_LIMIT_MS);
  for (const node of cluster.nodes) {
    const { policy } = (await node.getJson("/api/v1/compaction", CALL_LIMIT_MS)) as Awaited<
      ReturnType<CompactionAdmin["status"]>
    >;
    assert.deepEqual(policy?.pausedLevels, [1], node.serverId);
    assert.deepEqual(policy.pausedTenants, ["acme"], node.serverId);
    assert.equal(policy.leaseMs, 77_000, node.serverId);
  }
}

/** Pins are the leader's business: a follower names it, and the command goes there. */
async function pin(cluster: TestCluster, follower: TestNode): Promise<void> {
  const wish = { tenant: "acme", dataset: "checkout", shards: 3 };
  let said = "";
  // On a busy machine leadership may move at any time, also to the one that is asked.
  await until(
    () => `a follower refuses a pin; it says ${said}`,
    async () => {
      const asked = await someFollower(cluster);
      said = await asked.postJson("/api/v1/placement/pins", wish, CALL_LIMIT_MS).then(
        (answer) => JSON.stringify(answer),
        (error: unknown) => String(error),
      );
      return /does not lead/.test(said);
    },
  );
  const argv = ["placement", "pin", "acme", "checkout", "--shards", "3"];
  const { code, talk } = await hearth([...argv, "--endpoint", follower.httpUrl, "--json"]);
  assert.equal(code, 0, talk);
  for (const node of cluster.nodes) {
    const { pins } = (await node.getJson("/api/v1/placement", CALL_LIMIT_MS)) as {
      readonly pins: readonly { readonly dataset: string; readonly shards: number }[];
    };
    const shown = pins.map(({ dataset, shards }) => [dataset, shards]);
    assert.deepEqual(shown, [["checkout", 3]], node.serverId);
  }
}
