/** An operator's hand on compaction, through a real server: binary protocol, HTTP and command line see the same. */

import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import {
  connect,
  type HearthClient,
  isHearthError,
  type JsonValue,
} from "../../src/client/index.ts";
import { hearth, type Said } from "../cli/support.ts";
import { blockMeta, ulidAt } from "../state/support.ts";
import { type ServerProcess, startServer } from "../support/server-process.ts";

const BATCH = 20;
/** How the jobs of a shard are named. */
const SHARD_OF = (shard: number): RegExp => new RegExp(`-S${shard}-L0$`);

let directory: string;
let server: ServerProcess;
let client: HearthClient;
let idCount = 0;

before(async () => {
  directory = mkdtempSync(join(tmpdir(), "hearth-control-"));
  server = await startServer({
    directory,
    flags: ["-metastore.compaction-job-lease-duration=40s", "-metastore.compaction-max-failures=1"],
  });
  client = await connect({
    endpoints: [server.endpoint],
    name: "test",
    maxWaitForConnectionMs: 60_000,
    defaultTimeoutMs: 60_000,
  });
});

after(async () => {
  await client.close();
  await server.kill();
  rmSync(directory, { recursive: true, force: true });
});

function cli(...argv: string[]): Promise<Said> {
  return hearth([...argv, "--endpoint", server.httpUrl]);
}

async function cliJson(...argv: string[]): Promise<Record<string, JsonValue & object>> {
  const said = await cli(...argv, "--json");
  assert.equal(said.code, 0, said.talk);
  return JSON.parse(said.out);
}

async function poll(capacity: number, worker = `w${++idCount}`): Promise<string[]> {
  const request = { worker, requestId: 1, capacity, waitMs: 0, reports: [] };
  return (await client.pollCompactionJobs(request)).jobs.map(({ name }) => name);
}

/** A full batch of a shard that nothing else uses, and its job. */
async function makeJob(shard: number): Promise<string> {
  const blocks = Array.from({ length: BATCH }, () => ({
    id: ulidAt(Date.now(), ++idCount),
    shard,
  }));
  await client.addBlocks(blocks.map(blockMeta));
  // The job is made by this poll, and handed out by a later one.
  await poll(1);
  const { jobs } = await client.compaction.jobs({ limit: 1_000 });
  const job = jobs.find(({ name }) => SHARD_OF(shard).test(name));
  assert.ok(job !== undefined, `no job of shard ${shard}`);
  return job.name;
}

function refused(code: string, reason: string): (error: unknown) => boolean {
  return (error) => isHearthError(error) && error.code === code && error.reason === reason;
}

describe("job control", () => {
  it("begins with what the flags say, and tells that compaction is off until then", async () => {
    assert.equal((await client.compaction.status()).policy, null);
    await assert.rejects(
      client.compaction.preview(),
      refused("failed_precondition", "compaction_off"),
    );
    assert.match((await cli("compaction", "status")).out, /compaction is off/);
    await poll(0);
    const { policy } = await client.compaction.status();
    assert.deepEqual([policy?.leaseMs, policy?.failuresMax, policy?.jobsMax], [40_000, 1, 10_000]);
  });

  it("shows what waits, what would be done and what there is, without changing it", async () => {
    const blocks = Array.from({ length: BATCH + 3 }, () => ({
      id: ulidAt(Date.now(), ++idCount),
      shard: 1,
    }));
    await client.addBlocks(blocks.map(blockMeta));
    const { queues } = await client.compaction.queues({ tenant: "", level: 0 });
    const own = queues.find(({ shard }) => shard === 1);
    assert.deepEqual([own?.blocks, own?.batches], [BATCH + 3, 1]);
    const before = await client.compaction.status();
    const plan = await client.compaction.preview({ capacity: 4 });
    const made = plan.created.find(({ shard }) => shard === 1);
    assert.equal(made?.sourceBlocks.length, BATCH);
    assert.deepEqual((await client.compaction.preview({ capacity: 4 })).created, plan.created);
    assert.deepEqual(await client.compaction.status(), before);
    await poll(4);
    const { jobs } = await client.compaction.jobs({ level: 0 });
    assert.ok(
      jobs.some(({ name }) => name === made?.name),
      "the plan is what the preview said",
    );
  });

  it("quarantines a job so that nobody gets it, with the reason, and retries it so that somebody does", async () => {
    const name = await makeJob(2);
    const dry = await cliJson("job", "quarantine", name, "--reason", "breaks workers", "--dry-run");
    assert.deepEqual([dry.dryRun, dry.changed, dry.logIndex], [true, true, null]);
    assert.equal((await client.compaction.job(name)).status, "unassigned");
    const done = await cliJson("job", "quarantine", name, "--reason", "breaks workers");
    assert.equal(done.changed, true);
    const job = await client.compaction.job(name);
    assert.deepEqual([job.status, job.reason], ["quarantined", "breaks workers"]);
    assert.equal(job.sourceBlocks.length, BATCH);
    assert.ok(!(await poll(100)).includes(name));
    assert.match((await cli("job", "list", "--status", "quarantined")).out, /quarantined/);
    await cliJson("job", "retry", name);
    assert.ok((await poll(100)).includes(name));
  });

  it("takes a job from its worker when it is retried", async () => {
    const name = await makeJob(3);
    assert.ok((await poll(100, "owner")).includes(name));
    const { token, worker } = await client.compaction.job(name);
    assert.equal(worker, "owner");
    await client.compaction.control("retry", [name]);
    const report = { name, token, status: 1, reason: "", compacted: null };
    const reply = await client.pollCompactionJobs({
      worker: "owner",
      requestId: 2,
      capacity: 0,
      waitMs: 0,
      reports: [report],
    });
    assert.ok(!reply.assignments.some((lease) => lease.name === name && lease.token === token));
  });

  it("cancels only with a yes; the blocks wait, and stay in the index", async () => {
    const name = await makeJob(4);
    const refusal = await cli("job", "cancel", name);
    assert.equal(refusal.code, 5);
    const parked = (await client.compaction.status()).parkedBlocks;
    await cliJson("job", "cancel", name, "--yes");
    await assert.rejects(client.compaction.job(name), refused("not_found", "no_such_job"));
    assert.equal((await client.compaction.status()).parkedBlocks, parked + BATCH);
    const again = await cli("job", "cancel", name, "--yes");
    assert.equal(again.code, 1);
    assert.match(again.talk, /There is no compaction job/);
  });

  it("keeps why a job failed, and finds exhausted ones by their status", async () => {
    const name = await makeJob(5);
    for (const worker of ["first", "second"]) {
      assert.ok((await poll(100, worker)).includes(name), worker);
      const { token } = await client.compaction.job(name);
      const report = { name, token, status: 3, reason: "disk full", compacted: null };
      await client.pollCompactionJobs({
        worker,
        requestId: 2,
        capacity: 0,
        waitMs: 0,
        reports: [report],
      });
    }
    const job = await client.compaction.job(name);
    assert.deepEqual([job.status, job.failures], ["exhausted", 1]);
    assert.deepEqual(job.reasons, ["1. first: disk full", "2. second: disk full"]);
    const retried = await cliJson("job", "retry", "--status", "exhausted");
    assert.ok((retried.jobs as unknown as { name: string }[]).some((one) => one.name === name));
    assert.equal((await client.compaction.job(name)).status, "unassigned");
  });

  it("makes and hands out nothing for what is paused, and goes on when it is resumed", async () => {
    const name = await makeJob(6);
    assert.match((await cli("compaction", "pause", "--level", "0")).out, /PAUSED: level 0/);
    assert.deepEqual(await poll(100), []);
    assert.match((await cli("status")).out, /^compaction {2}.*PAUSED: 1 level,/m);
    assert.equal((await cliJson("compaction", "resume", "--level", "0")).changed, true);
    assert.ok((await poll(100)).includes(name));
    assert.equal((await cliJson("compaction", "resume", "--all")).changed, false);
    assert.equal((await cli("compaction", "pause")).code, 2);
  });

  it("hands out no jobs of a paused tenant either, whether they were there before or not", async () => {
    const name = await makeJob(8);
    await client.compaction.changePolicy({ pause: { tenants: [""] } });
    assert.deepEqual(await poll(100), []);
    await client.compaction.changePolicy({ resume: { tenants: [""] } });
    assert.ok((await poll(100)).includes(name));
  });

  it("changes the policy for all or for a tenant, tried first, and refuses nonsense with every reason", async () => {
    const dry = await cliJson("compaction", "policy", "set", "lease=30s", "--dry-run");
    assert.equal((dry.after as { leaseMs?: number }).leaseMs, 30_000);
    assert.equal((await client.compaction.status()).policy?.leaseMs, 40_000);
    await cliJson("compaction", "policy", "set", "lease=30s", "level.1.max-age=1m");
    await cliJson("compaction", "policy", "set", "level.0.max-blocks=5", "--tenant", "acme");
    const { policy } = await client.compaction.status();
    assert.deepEqual([policy?.leaseMs, policy?.levels[1]?.maxAgeMs], [30_000, 60_000]);
    assert.match(
      (await cli("compaction", "policy", "show", "--tenant", "acme")).out,
      /max-blocks +5 /,
    );
    await cliJson("compaction", "policy", "unset", "--tenant", "acme");
    await cliJson("compaction", "policy", "unset", "lease", "level.1");
    const back = (await client.compaction.status()).policy;
    assert.deepEqual(
      [back?.leaseMs, back?.levels[1]?.maxAgeMs, back?.tenants],
      [40_000, 720_000, {}],
    );
    const set = { leaseMs: -1, jobsMax: "many", nonsense: true };
    await assert.rejects(client.compaction.changePolicy({ set }), (error: unknown) => {
      assert.ok(refused("invalid_argument", "bad_policy")(error));
      assert.match((error as Error).message, /leaseMs.*jobsMax|nonsense.*leaseMs/);
      return true;
    });
    assert.equal((await cli("compaction", "policy", "set", "leese=3s")).code, 2);
    assert.match((await cli("compaction", "policy", "set", "leese=3s")).talk, /Did you mean lease/);
  });

  it("tells programs what it tells people, as the schemas say", async () => {
    const name = await makeJob(10);
    const shown = await cliJson("job", "show", name);
    assert.deepEqual((shown.sourceBlocks as unknown[] | undefined)?.length, BATCH);
    await cliJson("compaction", "policy", "set", "level.0.max-blocks=7", "--tenant", "acme");
    for (const argv of [
      ["job", "list"],
      ["compaction", "status"],
      ["compaction", "queue"],
      ["compaction", "queue", "--by-tenant"],
      ["compaction", "dry-run"],
      ["compaction", "policy", "show"],
    ])
      assert.match(String((await cliJson(...argv)).schema), /^hearth\/[a-z-]+\/v1$/);
    const none = await cliJson("job", "retry", "--status", "exhausted", "--tenant", "nobody");
    assert.deepEqual([none.changed, none.jobs], [false, []]);
  });

  it("refuses questions that are none, and stays up", async () => {
    const bad: (() => Promise<unknown>)[] = [
      () => client.compaction.jobs({ limit: 0 }),
      () => client.compaction.jobs({ limit: 1_001 }),
      () => client.compaction.jobs({ status: "lost" as "assigned" }),
      () => client.compaction.jobs({ level: 1.5 }),
      () => client.compaction.job(""),
      () => client.compaction.job("x".repeat(1_201)),
      () => client.compaction.preview({ capacity: 2 ** 32 - 1 }),
      () => client.compaction.control("explode" as "retry", ["a"]),
      () => client.compaction.control("retry", []),
      () =>
        client.compaction.control(
          "retry",
          Array.from({ length: 1_001 }, (_, i) => `${i}`),
        ),
      () => client.compaction.control("retry", ["a"], { reason: "x".repeat(513) }),
      () => client.compaction.control("retry", ["a"], { reason: "\u001b[2J" }),
      () => client.compaction.changePolicy({ pause: { levels: [-1] } }),
      () => client.compaction.queues({ tenants: "acme" } as object),
    ];
    for (const ask of bad) {
      await assert.rejects(ask, refused("invalid_argument", "bad_request"), ask.toString());
    }
    await client.ping();
  });

  it("shows what waits by owner in the metrics, with the names of the reference", async () => {
    await client.addBlock(blockMeta({ id: ulidAt(Date.now(), ++idCount), shard: 77 }));
    // The commands before this may have taken longer than a worker is remembered.
    await poll(0);
    const text = await (await fetch(`${server.httpUrl}/metrics`)).text();
    for (const line of [
      /^pyroscope_metastore_compaction_block_queue_blocks\{tenant="",shard="77",level="0"\} 1$/m,
      /^pyroscope_metastore_compaction_block_queue_push_rejected_total\{tenant="other",shard="other",level="0"\} 0$/m,
      /^hearth_compaction_tenant_oldest_block_age_seconds\{tenant="",level="0"\} [\d.]+$/m,
      /^hearth_compaction_paused 0$/m,
      /^hearth_compaction_workers [1-9]\d*$/m,
      // Of the worker whose job was retried under it.
      /^hearth_compaction_stale_reports_total 1$/m,
    ]) {
      assert.match(text, line);
    }
  });

  it("keeps all of it over a restart", async () => {
    const name = await makeJob(9);
    await client.compaction.control("quarantine", [name], { reason: "wait" });
    await client.compaction.changePolicy({ pause: { levels: [2], tenants: ["acme"] } });
    await server.kill();
    const ports = [server.endpoint, server.httpUrl].map((text) => Number(text.split(":").at(-1)));
    server = await startServer({ directory, ports: ports as [number, number] });
    const job = await client.compaction.job(name);
    assert.deepEqual([job.status, job.reason], ["quarantined", "wait"]);
    const { policy } = await client.compaction.status();
    assert.deepEqual(
      [policy?.pausedLevels, policy?.pausedTenants, policy?.leaseMs],
      [[2], ["acme"], 40_000],
    );
  });
});
