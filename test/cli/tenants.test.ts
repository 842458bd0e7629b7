/** Deleting a tenant as operators and other components do it: commands, HTTP and gRPC of a real node. */
import assert from "node:assert/strict";
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { after, before, describe, it } from "node:test";
import { connect, type HearthClient } from "../../src/client/index.ts";
import { blockMeta, HOUR_MS, ulidAt } from "../state/support.ts";
import { CallError, GrpcClient } from "../support/grpc/client.ts";
import { type ServerProcess, startServer } from "../support/server-process.ts";
import { hearthAt, type Said } from "./support.ts";

let directory = "";
let server: ServerProcess;
let client: HearthClient;

before(async () => {
  directory = mkdtempSync(join(tmpdir(), "hearth-tenants-"));
  server = await startServer({ directory });
  client = await connect({ endpoints: [server.endpoint] });
});

after(async () => {
  await client.close();
  await server.stop();
  rmSync(directory, { recursive: true, force: true });
});

function run(...argv: string[]): Promise<Said> {
  return hearthAt(server.httpUrl, ...argv);
}

/** A block and its object; where that is. */
async function add(tenant: string, shard: number): Promise<string> {
  const atMs = Date.now() - HOUR_MS;
  const id = ulidAt(atMs, shard);
  const path = join(directory, "bucket", "blocks", String(shard), tenant, id, "block.bin");
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, "0123456789");
  const times = { minTimeMs: atMs, maxTimeMs: atMs + 1_000 };
  const datasets = [{ tenant }];
  await client.addBlock(blockMeta({ id, tenant, shard, level: 1, datasets, ...times }));
  return path;
}

async function ask(
  method: string,
  path: string,
  isMeant = true,
): Promise<{ status: number; code: unknown }> {
  const headers: Record<string, string> = isMeant ? { "content-type": "application/json" } : {};
  const answer = await fetch(`${server.httpUrl}${path}`, { method, headers });
  const { error } = (await answer.json()) as { error?: { code: unknown } };
  return { status: answer.status, code: error?.code };
}

describe("a tenant that is deleted by command", () => {
  it("is gone when the command says so, with a report, and can be opened again", async () => {
    const own = await add("acme", 1);
    const other = await add("other", 1);
    const unconfirmed = await run("tenant", "delete", "acme");
    assert.equal(unconfirmed.code, 5);
    assert.match(unconfirmed.talk, /needs its name/);
    assert.equal((await run("tenant", "delete", "acme", "--confirm=other")).code, 5);
    assert.equal((await run("tenant", "delete", "acme", "--yes")).code, 5);
    for (const form of [[], ["--json"]]) {
      const dry = await run("tenant", "delete", "acme", "--dry-run", ...form);
      assert.equal(dry.code, 0, dry.talk);
    }
    assert.equal((await client.getTenant("acme")).dataIngested, true);

    const done = await run("tenant", "delete", "acme", "--confirm=acme", "--wait");
    assert.equal(done.code, 0, done.talk);
    assert.match(done.out, /^acme: verified: nothing is left; its name is closed until /);
    assert.deepEqual([existsSync(own), existsSync(other)], [false, true]);
    assert.equal((await client.getTenant("acme")).dataIngested, false);
    assert.equal((await client.getTenant("other")).dataIngested, true);
    await assert.rejects(add("acme", 2), { code: "invalid_argument", reason: "tenant_deleted" });

    const listed = await run("tenant", "deletions", "acme", "--json");
    const { deletions } = JSON.parse(listed.out) as { deletions: Record<string, unknown>[] };
    const { state, blocks, objects, problem } = deletions[0] ?? {};
    assert.deepEqual([state, blocks, objects, problem], ["verified", 1, 1, null]);

    // What was said before is said again, and changes nothing.
    const repeated = await run("tenant", "delete", "acme", "--confirm=acme", "--wait", "--json");
    assert.equal(repeated.code, 0, repeated.talk);

    assert.equal((await run("tenant", "open", "nobody", "--yes")).code, 1);
    const opened = await run("tenant", "open", "acme", "--yes");
    assert.deepEqual([opened.code, opened.out], [0, "acme may be used again"]);
    const again = await run("tenant", "open", "acme", "--yes");
    assert.deepEqual([again.code, again.out], [0, "acme was open already"]);
    for (const form of ["--yes", "--dry-run"]) {
      const told = await run("tenant", "open", "acme", form, "--json");
      assert.equal(told.code, 0, told.talk);
      assert.equal((JSON.parse(told.out) as { changed: unknown }).changed, false);
    }
    await add("acme", 3);
    assert.equal((await client.getTenant("acme")).dataIngested, true);
  });
});

describe("a tenant that is deleted over HTTP", () => {
  it("has to be named twice, by who means it", async () => {
    await add("web", 1);
    assert.deepEqual(await ask("DELETE", "/api/v1/tenants/web?confirm=web", false), {
      status: 403,
      code: "permission_denied",
    });
    for (const query of ["", "?confirm=", "?confirm=we"]) {
      const refused = await ask("DELETE", `/api/v1/tenants/web${query}`);
      assert.deepEqual(refused, { status: 412, code: "failed_precondition" });
    }
    const unknown = await ask("DELETE", "/api/v1/tenants/web?confirm=web&now=1");
    assert.equal(unknown.status, 400);
    assert.equal((await client.getTenant("web")).dataIngested, true);
    for (let i = 0; i < 2; i++)
      assert.equal((await ask("DELETE", "/api/v1/tenants/web?confirm=web")).status, 200);
    assert.equal((await client.tenantDeletions("web")).length, 1);
    assert.equal((await client.getTenant("web")).dataIngested, false);
  });

  it("is opened only where there is one", async () => {
    assert.deepEqual(await ask("POST", "/api/v1/tenants/nobody/open"), {
      status: 404,
      code: "not_found",
    });
    assert.equal((await ask("GET", "/api/v1/tenant-deletions?who=web")).status, 400);
  });
});

describe("a tenant that is deleted over gRPC", () => {
  it("is OK also when it is repeated or unknown, and an argument that is none without a name", async () => {
    const grpc = new GrpcClient(server.grpcAddress);
    try {
      const remove = (tenant: string): Promise<object> =>
        grpc.call("/metastore.v1.TenantService/DeleteTenant", { tenant_id: tenant });
      await add("rpc", 1);
      for (const tenant of ["rpc", "rpc", "never-seen"]) assert.deepEqual(await remove(tenant), {});
      assert.equal((await client.getTenant("rpc")).dataIngested, false);
      await assert.rejects(remove(""), (error) => error instanceof CallError && error.code === 3);
      await assert.rejects(
        remove("x".repeat(2_000)),
        (error) => error instanceof CallError && error.code === 3,
      );
    } finally {
      grpc.close();
    }
  });
});
