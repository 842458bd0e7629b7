/** What goes wrong around a leader's duties: it is named in the status, the node goes on and leads, nothing is deleted. */
import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { connect, type HearthClient } from "../../src/client/index.ts";
import { blockMeta, HOUR_MS, ulidAt } from "../state/support.ts";
import { type ServerProcess, startServer } from "../support/server-process.ts";
import { until } from "../support/until.ts";

let directory = "";
let server: ServerProcess;
let client: HearthClient;
const bucket = (): string => join(directory, "elsewhere");
const overrides = (): string => join(directory, "overrides.yaml");

interface Activity {
  readonly name: string;
  readonly isActive: boolean;
  readonly lastOutcome: string | null;
  readonly lastReason: string | null;
  readonly failuresInRow: number;
}

async function get<T>(path: string): Promise<T> {
  const answer = await fetch(`${server.httpUrl}${path}`);
  assert.equal(answer.status, 200, path);
  return (await answer.json()) as T;
}

async function activity(name: string): Promise<Activity> {
  const { activities } = await get<{ activities: readonly Activity[] }>("/api/v1/activities");
  const found = activities.find((other) => other.name === name);
  assert.ok(found !== undefined, name);
  return found;
}

async function dueShards(): Promise<number> {
  const forecast = await get<{ nextPass: { shards: number } }>("/api/v1/retention/forecast");
  return forecast.nextPass.shards;
}

before(async () => {
  directory = mkdtempSync(join(tmpdir(), "hearth-bad-input-"));
  writeFileSync(bucket(), "a file where the bucket should be");
  writeFileSync(overrides(), "overrides:\n  acme: {retention_period: 90d}\n");
  server = await startServer({
    directory,
    flags: [
      `-storage.filesystem.dir=${bucket()}`,
      `-runtime-config.file=${overrides()}`,
      "-runtime-config.reload-period=100ms",
      "-metastore.index.dlq-recovery-check-interval=200ms",
    ],
  });
  client = await connect({ endpoints: [server.endpoint] });
});

after(async () => {
  await client.close();
  await server.stop();
  rmSync(directory, { recursive: true, force: true });
});

describe("a bucket that cannot be reached", () => {
  it("fails its activities by name, leaves the node leading, and is forgotten when it comes back", async () => {
    await until("the sweep failed twice", async () => (await activity("dlq")).failuresInRow >= 2);
    const { lastOutcome, lastReason, isActive } = await activity("dlq");
    assert.deepEqual([lastOutcome, lastReason, isActive], ["failed", "storage_unavailable", true]);
    assert.equal((await fetch(`${server.httpUrl}/ready`)).status, 200);
    const metrics = await (await fetch(`${server.httpUrl}/metrics`)).text();
    assert.match(
      metrics,
      /hearth_storage_failures_total\{operation="iter",reason="storage_unavailable"\} \d/,
    );
    rmSync(bucket());
    mkdirSync(bucket());
    await until("the sweep goes well", async () => (await activity("dlq")).failuresInRow === 0);
    await until("the log says so", () => server.output().includes("activity works again"));
  });
});

describe("overrides that are no good", () => {
  it("keep the good ones in force: nothing becomes due by a slip", async () => {
    const atMs = Date.now() - 40 * 24 * HOUR_MS;
    const block = {
      id: ulidAt(atMs, 1),
      tenant: "acme",
      level: 1,
      minTimeMs: atMs,
      maxTimeMs: atMs,
    };
    await client.addBlock(blockMeta(block));
    assert.equal(await dueShards(), 0);
    const isGood = async (): Promise<boolean> => {
      const metrics = await (await fetch(`${server.httpUrl}/metrics`)).text();
      return metrics.includes("\nhearth_config_last_reload_successful 1\n");
    };
    for (const slip of ["retention_period: -1d", "retention_perod: 90d", "retention_period: 90"]) {
      writeFileSync(overrides(), `overrides:\n  acme: {${slip}}\n`);
      await until(`"${slip}" is told of`, async () => !(await isGood()));
      assert.equal(await dueShards(), 0, slip);
      const { problems } = await get<{ problems: readonly string[] }>("/api/v1/retention");
      assert.match(problems.join("\n"), /overrides\.yaml:2:\d+: .*retention_per/, slip);
      writeFileSync(overrides(), "overrides:\n  acme: {retention_period: 91d}\n");
      await until("a good file counts again", isGood);
      assert.deepEqual((await get<{ problems: unknown }>("/api/v1/retention")).problems, []);
    }
    // The same tenant without an override: the period of all.
    writeFileSync(overrides(), "overrides: {}\n");
    await until("the override is gone", async () => (await dueShards()) === 1);
  });
});
