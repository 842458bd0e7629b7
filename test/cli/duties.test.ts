/** What only a leader does, as operators see it: over HTTP, by commands, on a real node. */
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { collectBlocks, connect, type HearthClient } from "../../src/client/index.ts";
import { encodeBlockMetaProto } from "../../src/protocol/index.ts";
import { blockMeta, HOUR_MS, ulidAt } from "../state/support.ts";
import { assertMatchesItsSchemas } from "../support/json-schema.ts";
import { inRoot } from "../support/project.ts";
import { type ServerProcess, startServer } from "../support/server-process.ts";
import { until } from "../support/until.ts";

const DAY_MS = 24 * HOUR_MS;

let directory = "";
let server: ServerProcess;
let client: HearthClient;

before(async () => {
  directory = mkdtempSync(join(tmpdir(), "hearth-duties-"));
  writeFileSync(join(directory, "overrides.yaml"), "overrides:\n  acme: {retention_period: 2d}\n");
  server = await startServer({
    directory,
    flags: [`-runtime-config.file=${join(directory, "overrides.yaml")}`],
  });
  client = await connect({ endpoints: [server.endpoint] });
});

after(async () => {
  await client.close();
  await server.stop();
  rmSync(directory, { recursive: true, force: true });
});

interface Ran {
  readonly status: number;
  readonly out: string;
  readonly talk: string;
}

/** Never blocks this process: its connections would seem dead to the server, and the server's to it. */
async function hearth(...argv: string[]): Promise<Ran> {
  const ran = await new Promise<Ran>((resolve) => {
    execFile(
      process.execPath,
      [inRoot("bin", "hearth.js"), ...argv, "--endpoint", server.httpUrl],
      { env: { ...process.env, HEARTH_TIMEOUT: "60s" } },
      (error, out, talk) => resolve({ status: error === null ? 0 : Number(error.code), out, talk }),
    );
  });
  if (argv.includes("--json")) assertMatchesItsSchemas(ran.out);
  return ran;
}

async function get(path: string): Promise<Record<string, unknown>> {
  const answer = await fetch(`${server.httpUrl}${path}`);
  assert.equal(answer.status, 200, path);
  return (await answer.json()) as Record<string, unknown>;
}

async function add(tenant: string, ageMs: number, shard = 1): Promise<void> {
  const atMs = Date.now() - ageMs;
  const times = { minTimeMs: atMs, maxTimeMs: atMs + 1_000 };
  const block = { id: ulidAt(atMs, shard), tenant, shard, level: 1, ...times };
  await client.addBlock(blockMeta(block));
}

describe("activities", () => {
  it("are listed with their last and next run", async () => {
    type Row = { readonly name: string; readonly isActive: boolean; readonly nextAtMs: number };
    let retention: Row | undefined;
    await until("retention is active", async () => {
      const { activities } = await get("/api/v1/activities");
      retention = (activities as Row[]).find(({ name }) => name === "retention");
      return retention?.isActive === true;
    });
    assert.ok((retention?.nextAtMs ?? 0) > Date.now() + 10 * 60_000);
  });
});

describe("activities, over the binary protocol and by command", () => {
  it("are the same as over HTTP", async () => {
    const { askedNode, activities } = await client.leaderActivities();
    const body = await get("/api/v1/activities");
    assert.equal(askedNode, body.askedNode);
    const overHttp = body.activities as { name: string }[];
    assert.deepEqual(
      activities.map((activity) => [activity.name, Object.keys(activity)]),
      overHttp.map((activity) => [activity.name, Object.keys(activity)]),
    );
    const dlq = activities.find(({ name }) => name === "dlq");
    assert.equal(dlq?.isActive, true);
    assert.equal(dlq?.failuresInRow, 0);
    const listed = await hearth("activity", "list");
    assert.equal(listed.status, 0, listed.talk);
    assert.match(listed.out, /^ACTIVITY +STATE +LAST RUN/);
    for (const { name } of activities) assert.match(listed.out, new RegExp(`\n${name} `));
    const asJson = JSON.parse((await hearth("activity", "list", "--json")).out) as {
      schema: string;
    };
    assert.equal(asJson.schema, "hearth/activities/v1");
  });
});

describe("retention", () => {
  it("is forecast, tried, and done by command", async () => {
    await add("acme", 4 * DAY_MS);
    await add("acme", 4 * DAY_MS, 2);
    await add("other", 4 * DAY_MS);
    await add("acme", HOUR_MS);
    const shown = await hearth("retention", "show");
    assert.match(
      shown.out,
      /^data is kept for 31d\na pass every 15m, grace 6h, 32 shards per pass\n/,
    );
    assert.match(shown.out, /\nacme +2d\n/);
    const forecast = JSON.parse((await hearth("retention", "forecast", "--json")).out) as {
      nextPass: { shards: number; bytes: number };
    };
    assert.deepEqual([forecast.nextPass.shards, forecast.nextPass.bytes], [2, 2_000]);
    assert.match((await hearth("retention", "run", "--dry-run", "--json")).out, /"dryRun":true/);
    assert.match((await hearth("retention", "show", "--json")).out, /"periodMs":172800000/);
    assert.match(
      (await hearth("retention", "run", "--dry-run")).out,
      /^next pass, .*: 2 shards, 2 blocks/,
    );
    const refused = await hearth("retention", "run");
    assert.equal(refused.status, 5, refused.talk);
    const done = await hearth("retention", "run", "--yes");
    assert.match(done.out, /^Removed 2 shards with 2 blocks/, done.talk);
    assert.match((await hearth("retention", "forecast")).out, /^next pass, .*: nothing\n/);
    const stats = await client.getTenant("acme");
    assert.ok(stats.oldestProfileAtMs > Date.now() - 2 * HOUR_MS);
    assert.equal((await client.getTenant("other")).dataIngested, true);
    assert.match((await hearth("retention", "run", "--yes", "--json")).out, /"outcome":"nothing"/);
    const metrics = await (await fetch(`${server.httpUrl}/metrics`)).text();
    assert.match(metrics, /\nhearth_retention_removed_blocks_total 2\n/);
  });
});

describe("dead letters", () => {
  it("written into the bucket by others come home by themselves", async () => {
    const count = 500;
    const atMs = Date.now() - HOUR_MS;
    const ids = Array.from({ length: count }, (_, i) => ulidAt(atMs, 10_000 + i));
    for (const [i, id] of ids.entries()) {
      const path = join(directory, "bucket", "dlq", String(i % 8), "anonymous", id);
      mkdirSync(path, { recursive: true });
      const meta = blockMeta({ id, shard: i % 8, minTimeMs: atMs, maxTimeMs: atMs });
      writeFileSync(join(path, "meta.pb"), await encodeBlockMetaProto(meta));
    }
    // A sweep of the leader's own may come between; and what was written this second is left alone.
    await until("every dead letter came home", async () => {
      const swept = await hearth("dlq", "sweep");
      assert.match(swept.out, /^Dead letters: recovered \d+[,\n]/, swept.talk);
      return !existsSync(join(directory, "bucket", "dlq"));
    });
    const shard1 = ids.filter((_, i) => i % 8 === 1);
    const found = await collectBlocks(
      client.getBlockMetadata({ tenant: "", shard: 1, blocks: shard1 }),
    );
    assert.equal(found.length, shard1.length);
    assert.match((await hearth("dlq", "show", "--json")).out, /"entries":0/);
    assert.match((await hearth("dlq", "sweep", "--json")).out, /"activity":"dlq"/);
    assert.match((await hearth("dlq", "show")).out, /^0 dead letters\n0 put aside/);
  });
});
