/** Compaction through a real server: workers that poll, jobs that are done once, whatever dies meanwhile. */

import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, it } from "node:test";
import {
  type CompactionJob,
  collectBlocks,
  connect,
  type HearthClient,
  isHearthError,
  type PollRequest,
} from "../../src/client/index.ts";
import { REPORT_STATUS } from "../../src/protocol/index.ts";
import { type BlockSpec, blockMeta, ulidAt, wireBlock } from "../state/support.ts";
import { type ServerProcess, startServer } from "../support/server-process.ts";
import { untilTrue } from "../support/until.ts";

const BATCH = 20;

interface Rig {
  server: ServerProcess;
  client: HearthClient;
  readonly directory: string;
}

async function withServer(body: (rig: Rig) => Promise<void>): Promise<void> {
  const directory = mkdtempSync(join(tmpdir(), "hearth-compaction-"));
  const server = await startServer({ directory });
  const client = await connect({
    endpoints: [server.endpoint],
    name: "test",
    // A call waits for a server that is being started again.
    maxWaitForConnectionMs: 60_000,
    defaultTimeoutMs: 60_000,
  });
  const rig: Rig = { server, client, directory };
  try {
    await body(rig);
  } finally {
    await rig.client.close();
    await rig.server.kill();
    rmSync(directory, { recursive: true, force: true });
  }
}

let idCount = 0;

function segments(count: number, shard = 1): BlockSpec[] {
  return Array.from({ length: count }, () => ({ id: ulidAt(Date.now(), ++idCount), shard }));
}

async function add(client: HearthClient, blocks: readonly BlockSpec[]): Promise<void> {
  await client.addBlocks(blocks.map(blockMeta));
}

function emptyPoll(changes: Partial<PollRequest> = {}): PollRequest {
  return { worker: "w", requestId: 1, capacity: 0, waitMs: 0, reports: [], ...changes };
}

/** The result of a job: one block of the next level. */
function resultOf(job: Pick<CompactionJob, "shard" | "level">): BlockSpec {
  return {
    id: ulidAt(Date.now(), ++idCount),
    shard: job.shard,
    level: job.level + 1,
    tenant: "acme",
  };
}

async function ids(
  client: HearthClient,
  tenant: string,
  blocks: readonly string[],
): Promise<string[]> {
  const found = await collectBlocks(client.getBlockMetadata({ tenant, shard: 1, blocks }));
  return found.map(({ id }) => id);
}

/** Turns compaction on: it is off until a worker has polled. */
async function turnOn(client: HearthClient): Promise<void> {
  await client.pollCompactionJobs(emptyPoll({ worker: "first" }));
}

describe("compaction of a running server", () => {
  it("hands a full batch to a worker that waits, and takes the result once", () =>
    withServer(async ({ client }) => {
      await turnOn(client);
      const sources = segments(BATCH);
      const stop = new AbortController();
      const taken: string[] = [];
      const results: string[] = [];
      const worker = (async (): Promise<void> => {
        for await (const job of client.compactionJobs({ capacity: 2, signal: stop.signal })) {
          taken.push(...job.sourceBlocks);
          const block = resultOf(job);
          results.push(block.id);
          job.complete({ newBlocks: [blockMeta(block)] });
        }
      })();
      await add(client, sources);
      const wanted = sources.map(({ id }) => id);
      await untilTrue(async () => (await ids(client, "acme", results)).length === 1);
      assert.deepEqual(taken.sort(), wanted.sort());
      assert.deepEqual(await ids(client, "", wanted), []);
      stop.abort(new Error("enough"));
      await assert.rejects(worker, /enough/);
    }));

  it("gives a job to another worker when the first one fails it", () =>
    withServer(async ({ client }) => {
      await turnOn(client);
      await add(client, segments(BATCH));
      const names: string[] = [];
      for await (const job of client.compactionJobs({ capacity: 1 })) {
        names.push(job.name);
        if (names.length === 1) job.fail(new Error("disk full"));
        else {
          job.complete({ newBlocks: [blockMeta(resultOf(job))] });
          break;
        }
      }
      assert.equal(names[0], names[1]);
    }));

  it("loses nothing and repeats nothing when the server is killed", () =>
    withServer(async (rig) => {
      const { client, directory } = rig;
      await turnOn(client);
      const sources = segments(2 * BATCH);
      await add(client, sources);
      const first = await takeJobs(client, "a", 1);
      assert.equal(first.length, 1);
      const ports = portsOf(rig.server);
      await rig.server.kill();
      rig.server = await startServer({ directory, ports });
      const job = first[0] as (typeof first)[number];
      const result = resultOf(job);
      const report = {
        name: job.name,
        token: job.token,
        status: REPORT_STATUS.success,
        reason: "",
        compacted: {
          source: { tenant: job.tenant, shard: job.shard, blocks: job.sourceBlocks },
          newBlocks: [wireBlock(result)],
        },
      };
      const poll = emptyPoll({ worker: "a", requestId: 100, capacity: 1, reports: [report] });
      await client.pollCompactionJobs(poll);
      assert.deepEqual(await ids(client, "acme", [result.id]), [result.id]);
      const left = await ids(
        client,
        "",
        sources.map(({ id }) => id),
      );
      assert.equal(left.length, BATCH, "the sources of one job are gone");
      const again = await client.pollCompactionJobs({ ...poll, requestId: 101, reports: [report] });
      assert.deepEqual(await ids(client, "acme", [result.id]), [result.id]);
      assert.deepEqual(
        again.assignments.some(({ name }) => name === job.name),
        false,
      );
    }));

  it("answers a repeated poll alike", () =>
    withServer(async ({ client }) => {
      await turnOn(client);
      await add(client, segments(3 * BATCH));
      await client.pollCompactionJobs(emptyPoll({ capacity: 3 }));
      const poll = emptyPoll({ requestId: 2, capacity: 2 });
      const first = await client.pollCompactionJobs(poll);
      const second = await client.pollCompactionJobs(poll);
      assert.equal(first.jobs.length, 2);
      assert.deepEqual(second.jobs, first.jobs);
      const tokens = (reply: typeof first): number[] => reply.assignments.map(({ token }) => token);
      assert.deepEqual(tokens(second), tokens(first));
    }));

  it("finds blocks that were there before compaction was turned on", () =>
    withServer(async ({ client }) => {
      await add(client, segments(BATCH));
      const jobs = await takeJobs(client, "late", 1);
      assert.equal(jobs[0]?.sourceBlocks.length, BATCH);
    }));

  it("logs nothing for workers that have nothing to do", () =>
    withServer(async ({ client }) => {
      await turnOn(client);
      const before = await client.readIndex();
      for (let i = 0; i < 20; i++) {
        await client.pollCompactionJobs(emptyPoll({ requestId: i, capacity: 4_294_967_295 }));
      }
      assert.equal((await client.readIndex()).logIndex, before.logIndex);
    }));

  it("refuses results that do not belong to the job, and changes nothing", () =>
    withServer(async ({ client }) => {
      await turnOn(client);
      await add(client, segments(BATCH));
      const [job] = await takeJobs(client, "w", 1);
      assert.ok(job !== undefined);
      const source = { tenant: "", shard: 1, blocks: job.sourceBlocks };
      const good = wireBlock(resultOf(job));
      const hostile: [string, object][] = [
        ["foreign owner", { source: { ...source, tenant: "acme" }, newBlocks: [good] }],
        ["foreign shard", { source: { ...source, shard: 2 }, newBlocks: [good] }],
        ["foreign source", { source: { ...source, blocks: [ulidAt(1, 1)] }, newBlocks: [good] }],
        ["malformed id", { source: { ...source, blocks: ["no ulid"] }, newBlocks: [good] }],
        ["block elsewhere", { source, newBlocks: [wireBlock({ ...resultOf(job), shard: 9 })] }],
        ["same level", { source, newBlocks: [wireBlock({ ...resultOf(job), level: 0 })] }],
        ["no block", { source, newBlocks: [new Uint8Array(8)] }],
      ];
      let requestId = 1_000;
      for (const [what, compacted] of hostile) {
        const report = { name: job.name, token: job.token, status: 2, reason: "", compacted };
        const poll = emptyPoll({ requestId: ++requestId, reports: [report] as never });
        await assert.rejects(client.pollCompactionJobs(poll), hasCode("invalid_argument"), what);
      }
      const twice = { name: job.name, token: job.token, status: 1, reason: "", compacted: null };
      const poll = emptyPoll({ requestId: ++requestId, reports: [twice, twice] });
      await assert.rejects(client.pollCompactionJobs(poll), hasCode("invalid_argument"));
      for (const [token, status] of [
        [job.token + 1, 1],
        [job.token, 0],
        [job.token, 77],
      ] as const) {
        const report = { ...twice, token, status };
        const reply = await client.pollCompactionJobs(
          emptyPoll({ requestId: ++requestId, reports: [report] }),
        );
        assert.deepEqual(reply, { jobs: [], assignments: [] });
      }
      const kept = await client.pollCompactionJobs(
        emptyPoll({ requestId: ++requestId, reports: [twice] }),
      );
      assert.equal(kept.assignments[0]?.token, job.token, "the job is still held");
    }));
});

type TakenJob = Awaited<ReturnType<HearthClient["pollCompactionJobs"]>>["jobs"][number] & {
  readonly token: number;
};

/** Polls until that many jobs were given. */
async function takeJobs(client: HearthClient, worker: string, count: number): Promise<TakenJob[]> {
  const taken: TakenJob[] = [];
  for (let requestId = 1; taken.length < count; requestId++) {
    const capacity = count - taken.length;
    const reply = await client.pollCompactionJobs(
      emptyPoll({ worker, requestId, capacity, waitMs: 5_000 }),
    );
    for (const job of reply.jobs) {
      const token = reply.assignments.find(({ name }) => name === job.name)?.token ?? 0;
      taken.push({ ...job, token });
    }
  }
  return taken;
}

function hasCode(code: string): (error: unknown) => boolean {
  return (error) => isHearthError(error) && error.code === code;
}

function portsOf({ endpoint, httpUrl }: ServerProcess): [number, number] {
  return [Number(endpoint.split(":").at(-1)), Number(httpUrl.split(":").at(-1))];
}
