/** `hearth dev` as people use it: three nodes with data, commands against them, Ctrl-C. */

import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { planNodes } from "../../src/cli/dev/plan.ts";
import { assertMatchesItsSchema } from "../support/json-schema.ts";
import { inRoot } from "../support/project.ts";
import { until } from "../support/until.ts";
import { hearth, hearthAt, type Said } from "./support.ts";

interface DevAnswer {
  readonly directory: string;
  readonly nodes: readonly { readonly name: string; readonly pid: number; readonly http: string }[];
  readonly sample: { readonly blockCount: number; readonly tenants: readonly string[] };
}

interface Dev {
  readonly child: ChildProcess;
  readonly talk: () => string;
  readonly answer: DevAnswer;
  readonly ended: Promise<number | null>;
}

/** A test that fails must not leave them behind, nor wait for them. */
const RUNNING = new Set<ChildProcess>();
after(() => {
  for (const child of RUNNING) child.kill("SIGTERM");
});

async function startDev(...argv: string[]): Promise<Dev> {
  const flags = ["--base-port", "0", "--timeout", "120s", "--json", ...argv];
  const child = spawn(process.execPath, [inRoot("bin", "hearth.js"), "dev", ...flags], {
    stdio: ["ignore", "pipe", "pipe"],
  });
  let out = "";
  let talk = "";
  child.stdout.on("data", (part: Buffer) => {
    out += part.toString();
  });
  child.stderr.on("data", (part: Buffer) => {
    talk += part.toString();
  });
  const ended = new Promise<number | null>((resolve) => child.once("close", resolve));
  RUNNING.add(child);
  void ended.then(() => RUNNING.delete(child));
  await until("the nodes are ready", () => out.includes("\n") || child.exitCode !== null, 130_000);
  assert.notEqual(out, "", talk);
  return { child, talk: () => talk, answer: JSON.parse(out), ended };
}

function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

describe("three nodes on one machine", () => {
  let dev: Dev;
  const first = (): string => dev.answer.nodes[0]?.http ?? "";
  const run = (...argv: string[]): Promise<Said> => hearthAt(first(), ...argv);

  /** Of the member that leads; an election may be under way. */
  const leaderId = async (): Promise<string> => {
    let id: string | undefined;
    await until("somebody leads", async () => {
      id = JSON.parse((await run("leader", "show", "--json")).out).leader?.id;
      return id !== undefined;
    });
    return id as string;
  };

  before(async () => {
    dev = await startDev("--nodes", "3", "--sample");
  });

  it("are one cluster with sample data, and say so", async () => {
    let out = "";
    // The asked node may be a follower that still applies the last of them.
    await until(
      () => `all three are well, with every block\n${out}`,
      async () => {
        ({ out } = await run("status"));
        return (
          /^cluster [0-9a-f]{8} {2}healthy: 3 of 3 voters up, can lose 1$/m.test(out) &&
          /^index +1,000 blocks/m.test(out)
        );
      },
    );
    assert.equal(dev.answer.sample.blockCount, 1_000);
    const [tenant = ""] = dev.answer.sample.tenants;
    const found = await run(
      "query",
      "blocks",
      "{}",
      "--tenant",
      tenant,
      "--from",
      "0",
      "--to",
      "9999999999999",
    );
    assert.equal(found.code, 0, found.talk);
    assert.notEqual(found.out.split("\n").length, 1);
    assertMatchesItsSchema((await run("status", "--json")).out);
    assertMatchesItsSchema((await run("member", "list", "--json")).out);
  });

  it("hand the leadership over to whom one names", async () => {
    const before = await leaderId();
    const to = dev.answer.nodes.find(({ name }) => name !== before)?.name ?? "";
    const dry = await run("leader", "transfer", to, "--dry-run");
    assert.equal(dry.code, 0, dry.talk);
    assert.equal(await leaderId(), before);
    let moved: Said | undefined;
    // It may be refused, and be too late, while the target is busy with something else.
    await until(
      () => `it takes over\n${moved?.talk}`,
      async () => {
        moved = await run("leader", "transfer", to, "--timeout", "20s");
        return moved.code === 0;
      },
    );
    await until(
      "it leads",
      async () => JSON.parse((await run("leader", "show", "--json")).out).leader?.id === to,
    );
  });

  it("go on without one that is killed; status tells, and a removal asks first", async () => {
    const leader = await leaderId();
    const killed = dev.answer.nodes.find(({ name, http }) => name !== leader && http !== first());
    assert.ok(killed !== undefined);
    process.kill(killed.pid, "SIGKILL");
    await until("it is told", () =>
      dev.talk().includes(`${killed.name} (process ${killed.pid}) has ended by SIGKILL`),
    );
    await until("it is down", async () =>
      (await run("status")).out.includes(`! ${killed.name} gives no answer`),
    );
    await until("the others are well", async () => {
      const { code, out } = await run("status");
      return code === 4 && out.includes("DEGRADED: 2 of 3 voters up, can lose 0");
    });
    const refused = await run("member", "remove", killed.name);
    assert.equal(refused.code, 5);
    assert.match(refused.talk, /Afterwards: 2 voters, the cluster can lose 0/);
    const removed = await run("member", "remove", killed.name, "--yes");
    assert.equal(removed.code, 0, removed.talk);
    await until("two are well", async () => (await run("status")).code === 0);
  });

  it("without a quorum status still answers", async () => {
    const other = dev.answer.nodes.find(({ http, pid }) => http !== first() && isRunning(pid));
    assert.ok(other !== undefined);
    process.kill(other.pid, "SIGKILL");
    await until("nobody leads", async () =>
      (await run("status")).out.includes("NO LEADER: 1 of 2 voters up, 2 needed"),
    );
    const { code, out } = await run("status");
    assert.equal(code, 4);
    assert.match(out, /docs\/operate\/recovery\.md/);
  });

  it("end with Ctrl-C, all of them, and leave nothing behind", async () => {
    dev.child.kill("SIGINT");
    assert.equal(await dev.ended, 0, dev.talk());
    for (const { pid, name } of dev.answer.nodes) assert.ok(!isRunning(pid), name);
    assert.ok(!existsSync(dev.answer.directory));
  });
});

describe("a directory for dev", () => {
  it("keeps data and ports from start to start", async () => {
    const directory = mkdtempSync(join(tmpdir(), "hearth-dev-test-"));
    const end = async ({ child, ended }: Dev): Promise<number | null> => {
      child.kill("SIGTERM");
      return ended;
    };
    const once = await startDev("--dir", directory, "--sample");
    const ask = (...argv: string[]): Promise<Said> =>
      hearthAt(once.answer.nodes[0]?.http ?? "", ...argv, "--json");
    const taken = await ask("snapshot", "take");
    assert.equal(taken.code, 0, taken.talk);
    assertMatchesItsSchema(taken.out);
    const listed = await ask("snapshot", "list");
    assertMatchesItsSchema(listed.out);
    assert.equal(JSON.parse(listed.out).snapshots[0].id, JSON.parse(taken.out).snapshot.id);
    assert.equal(await end(once), 0, once.talk());
    const raft = join(directory, "hearth-0", "raft");
    const seen = await hearth(["data", "inspect", "snapshot", "--verify", "--dir", raft]);
    assert.equal(seen.code, 0, seen.talk);
    assert.match(seen.out, /sound, all data read/);
    const again = await startDev("--dir", directory);
    const [node] = again.answer.nodes;
    assert.equal(node?.http, once.answer.nodes[0]?.http);
    const status = await hearthAt(node?.http ?? "", "status", "--json");
    assert.equal(JSON.parse(status.out).nodes[0].index.blocks, 1_000);
    assert.equal(await end(again), 0, again.talk());
    const other = await hearth(["dev", "--dir", directory, "--nodes", "3"]);
    assert.deepEqual([other.code, existsSync(directory)], [2, true]);
    assert.match(other.talk, /is of 1 nodes, not of 3/);
    rmSync(directory, { recursive: true });
  });

  it("has ports that no outgoing connection takes while a node is down", async () => {
    const directory = mkdtempSync(join(tmpdir(), "hearth-dev-test-"));
    const wish = { directory, nodeCount: 3, basePort: 0 };
    const nodes = await planNodes(wish);
    const ports = nodes.flatMap(({ httpPort, websocketPort, grpcPort, peerPort }) => [
      httpPort,
      websocketPort,
      grpcPort,
      peerPort,
    ]);
    assert.equal(new Set(ports).size, 12);
    for (const port of ports) assert.ok(port >= 10_000 && port < 32_768, `${port}`);
    assert.deepEqual(await planNodes(wish), nodes);
    rmSync(directory, { recursive: true });
  });

  it("a count that makes no sense is misuse", async () => {
    for (const count of ["0", "10", "x", "-1"])
      assert.equal((await hearth(["dev", `--nodes=${count}`])).code, 2, count);
  });
});
