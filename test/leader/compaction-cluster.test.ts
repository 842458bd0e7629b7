/**
 * Compaction on three real nodes whose leaders are killed: nothing is lost, nothing is done twice, tokens only grow. Then an
 * operator steers the same cluster through a follower.
 */

import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import {
  collectBlocks,
  connect,
  type HearthClient,
  type PollRequest,
} from "../../src/client/index.ts";
import { REPORT_STATUS } from "../../src/protocol/index.ts";
import { blockMeta, ulidAt, wireBlock } from "../state/support.ts";
import { TestCluster } from "../support/cluster/test-cluster.ts";
import { steerThroughFollowers } from "./steering.ts";

const BATCH = 20;
const JOBS = 8;
const KILL_AFTER = [2, 5];
const POLLS_MAX = 600;
/** For what no leader is killed under. */
const PATIENCE = { timeoutMs: 60_000 };

type Report = PollRequest["reports"][number];

/** One worker that goes on until all jobs are done; an answer that is lost is asked for again under its number. */
class Worker {
  /** Sources by the job that consumed them, of jobs whose result was acknowledged. */
  readonly done = new Map<string, readonly string[]>();
  readonly results: string[] = [];
  readonly #client: HearthClient;
  #reports: Report[] = [];
  #highestToken = 0;

  constructor(client: HearthClient) {
    this.#client = client;
  }

  async run(onDone: (count: number) => Promise<void>): Promise<void> {
    for (let requestId = 1; this.done.size < JOBS; requestId++) {
      assert.equal(requestId < POLLS_MAX, true, `${this.done.size} jobs are done`);
      const reports = this.#reports;
      const poll = { worker: "w", requestId, capacity: 1, waitMs: 0, reports };
      const { jobs, assignments } = await this.#poll(poll);
      for (const { name, compacted } of reports) {
        assert.equal(this.done.has(name), false, `${name} is done once`);
        this.done.set(name, compacted?.source?.blocks ?? []);
      }
      this.#reports = jobs.map((job) => {
        const token = assignments.find(({ name }) => name === job.name)?.token ?? 0;
        assert.equal(token > this.#highestToken, true, `${token} after ${this.#highestToken}`);
        this.#highestToken = token;
        const { tenant, shard, sourceBlocks: blocks, level } = job;
        const id = ulidAt(Date.now(), 1_000 + requestId);
        this.results.push(id);
        const block = wireBlock({ id, shard, level: level + 1, tenant: "acme" });
        const compacted = { source: { tenant, shard, blocks }, newBlocks: [block] };
        return { name: job.name, token, status: REPORT_STATUS.success, reason: "", compacted };
      });
      if (reports.length > 0) await onDone(this.done.size);
      if (jobs.length === 0) await sleep(20);
    }
  }

  async #poll(poll: PollRequest): ReturnType<HearthClient["pollCompactionJobs"]> {
    for (let tries = 0; ; tries++) {
      try {
        return await this.#client.pollCompactionJobs(poll);
      } catch (error) {
        if (tries > 200) throw error;
        await sleep(100);
      }
    }
  }
}

test("leaders are killed while jobs are taken and completed", { timeout: 290_000 }, async () => {
  const directory = mkdtempSync(join(tmpdir(), "hearth-compaction-cluster-"));
  const flags = ["-hearth.reader-threads=1", "-log.level=warn"];
  const cluster = await TestCluster.create({ directory, nodeCount: 3, flags });
  await cluster.start();
  const client = await connect({
    endpoints: cluster.nodes.map(({ endpoint }) => endpoint),
    name: "test",
    maxWaitForConnectionMs: 60_000,
    defaultTimeoutMs: 5_000,
  });
  try {
    const sources = Array.from({ length: JOBS * BATCH }, (_, i) => ulidAt(Date.now(), i));
    await client.addBlocks(
      sources.map((id) => blockMeta({ id, shard: 1 })),
      PATIENCE,
    );
    const worker = new Worker(client);
    await worker.run(async (count) => {
      if (!KILL_AFTER.includes(count)) return;
      const leader = await cluster.waitForLeader();
      await leader.kill();
      await cluster.waitForLeader(undefined, (node) => node !== leader);
      leader.start();
    });
    const used = [...worker.done.values()].flat();
    assert.deepEqual(used.sort(), [...sources].sort(), "every block is compacted once");
    const left = await collectBlocks(
      client.getBlockMetadata({ tenant: "", shard: 1, blocks: sources }, PATIENCE),
    );
    assert.deepEqual(left, []);
    const made = await collectBlocks(
      client.getBlockMetadata({ tenant: "acme", shard: 1, blocks: worker.results }, PATIENCE),
    );
    assert.equal(made.length, JOBS);
    await steerThroughFollowers(cluster, client);
  } finally {
    await client.close();
    await cluster.killAll();
    rmSync(directory, { recursive: true, force: true });
  }
});
