/** Three real processes as one cluster: forming it, writing and reading anywhere, losing members, changing them. */

import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { ACTION_HEADER } from "../../src/admin/index.ts";
import { LOAD_DEFAULTS, LoadGenerator } from "../../src/cli/load/index.ts";
import { connect, type HearthClient } from "../../src/client/index.ts";
import type { BlockMeta } from "../../src/protocol/index.ts";
import {
  foundingFlags,
  leaderOf,
  MemberProcess,
  startCluster,
  through,
} from "../support/cluster-process.ts";
import { findFreePorts } from "../support/ports.ts";
import { startServer } from "../support/server-process.ts";
import { until } from "../support/until.ts";

const BLOCKS = new LoadGenerator({
  ...LOAD_DEFAULTS,
  compactedShare: 0,
  startAtMs: Date.parse("2026-11-22T00:00:00Z"),
  endAtMs: Date.parse("2026-11-22T06:00:00Z"),
});

/** Elections and starts take long on a busy machine. */
const PATIENCE = { defaultTimeoutMs: 60_000, maxWaitForConnectionMs: 60_000 };

let directory = "";
let members: MemberProcess[] = [];
/** Everything that was acknowledged. */
const written: BlockMeta[] = [];

before(async () => {
  directory = mkdtempSync(join(tmpdir(), "hearth-members-"));
  members = [...(await startCluster(directory))];
});
after(async () => {
  for (const member of members) await member.kill();
  rmSync(directory, { recursive: true });
});

async function write(client: HearthClient, timeoutMs = 60_000): Promise<void> {
  const block = BLOCKS.block(written.length);
  await client.addBlock(block, { timeoutMs });
  written.push(block);
}

async function holds(client: HearthClient, block: BlockMeta): Promise<boolean> {
  const asked = { shard: block.shard, blocks: [block.id] };
  for await (const batch of client.getBlockMetadata(asked)) if (batch.blockCount > 0) return true;
  return false;
}

async function assertHasAll(member: MemberProcess): Promise<void> {
  await through(member, async (client) => {
    for (const block of written)
      assert.ok(await holds(client, block), `${member.name} ${block.id}`);
  });
}

interface Answer {
  readonly status: number;
  readonly body: {
    readonly changed?: boolean;
    readonly voters?: number;
    readonly error?: {
      readonly code: string;
      readonly message: string;
      readonly next: string | null;
      readonly leader: { readonly id: string; readonly address: string } | null;
    };
  };
}

async function change(
  member: MemberProcess,
  method: "POST" | "DELETE",
  path: string,
  body: object = {},
): Promise<Answer> {
  const mark = path.includes("?") ? "&" : "?";
  const answer = await fetch(`${member.httpUrl}${path}${mark}timeout=60s`, {
    method,
    headers: { [ACTION_HEADER]: "test", "content-type": "application/json" },
    ...(method === "POST" ? { body: JSON.stringify(body) } : {}),
  });
  return { status: answer.status, body: (await answer.json()) as Answer["body"] };
}

/** Groups of writes that it sent to the leader for its clients. */
async function forwardedBy(member: MemberProcess): Promise<number> {
  const text = await (await fetch(`${member.httpUrl}/metrics`)).text();
  const counts = text.matchAll(/^hearth_raft_forwarded_total\{[^}]*\} (\d+)$/gm);
  return [...counts].reduce((sum, [, count]) => sum + Number(count), 0);
}

const others = (than: MemberProcess): MemberProcess[] =>
  members.filter((member) => member !== than && member.isRunning);

describe("a cluster of three", () => {
  it("has one identity, three voters and one leader, whoever is asked", async () => {
    await until("all name the same leader, and are ready", async () => {
      const views = await Promise.all(members.map((member) => member.view()));
      const said = await Promise.all(members.map((member) => member.readiness()));
      const leaders = new Set(views.map(({ leader }) => leader?.id));
      return leaders.size === 1 && !leaders.has(undefined) && said.every((one) => one === "ready");
    });
    const { clusterId } = await (members[0] as MemberProcess).view();
    for (const member of members) {
      const view = await member.view();
      assert.equal(view.askedNode, member.name);
      assert.deepEqual(
        view.members.map(({ serverId, suffrage }) => [serverId, suffrage]),
        ["node-0", "node-1", "node-2"].map((name) => [name, "voter"]),
      );
      assert.equal(view.clusterId, clusterId);
    }
  });

  it("a write on any member is read on every other one right after the answer", async () => {
    for (const writer of members) {
      await through(writer, (client) => write(client));
      const newest = written.at(-1) as BlockMeta;
      for (const reader of members) {
        const isThere = await through(reader, (client) => holds(client, newest));
        assert.ok(isThere, `${writer.name} wrote, ${reader.name} read`);
      }
    }
  });

  it("is measured member by member", async () => {
    const leader = await leaderOf(members);
    const lines = [
      /^hearth_raft_voters 3$/m,
      /^hearth_raft_reachable_voters 3$/m,
      /^hearth_raft_failure_tolerance 1$/m,
      /^hearth_raft_peer_connected\{peer="node-\d"\} 1$/m,
      /^hearth_raft_peer_lag_entries\{peer="node-\d"\} 0$/m,
      /^hearth_raft_peer_bytes_total\{peer="node-\d",direction="sent"\} [1-9]/m,
      /^pyroscope_metastore_raft_state\{state="Leader"\} 1$/m,
    ];
    let text = "";
    // An entry of the leader's own may be on its way to a follower at any moment.
    await until(
      () => `each of ${lines.join(" ")} is in\n${text}`,
      async () => {
        text = await (await fetch(`${leader.httpUrl}/metrics`)).text();
        return lines.every((line) => line.test(text));
      },
    );
  });

  it("a client that knows a follower writes to the leader itself, and to the next one after it", async () => {
    const leader = await leaderOf(members);
    const [follower] = others(leader) as [MemberProcess];
    await through(follower, (client) => write(client));
    assert.ok((await forwardedBy(follower)) > 0, "one that keeps to the follower does not");
    const client = await connect({ ...PATIENCE, endpoints: [follower.endpoint] });
    const goDirectly = async (): Promise<boolean> => {
      const before = await forwardedBy(follower);
      await write(client);
      return (await forwardedBy(follower)) === before;
    };
    await until("a write goes to the leader", goDirectly);
    await leader.kill();
    await write(client);
    const next = await leaderOf(members);
    assert.notEqual(next.name, leader.name);
    await until("a write goes to the next leader", goDirectly);
    await client.close();
    await leader.start(foundingFlags(members));
    await leader.ready();
    await assertHasAll(leader);
  });

  it("goes on without its leader, and takes it back with everything it missed", async () => {
    const leader = await leaderOf(members);
    await leader.kill();
    const [survivor] = others(leader) as [MemberProcess];
    await through(survivor, async (client) => {
      for (let i = 0; i < 5; i++) await write(client);
    });
    const next = await leaderOf(members);
    assert.notEqual(next.name, leader.name);
    // What it says first is that the connection ended, until it has tried to make another one.
    let problem = "";
    await until(
      () => `a new connection is refused: ${problem}`,
      async () => {
        const { members: seen, reachableVoters } = await next.view();
        problem = seen.find(({ serverId }) => serverId === leader.name)?.problem ?? "";
        return reachableVoters === 2 && problem.includes("refused");
      },
    );
    await leader.start(foundingFlags(members));
    await leader.ready();
    await assertHasAll(leader);
  });

  it("without a majority nothing is acknowledged, and /ready says whom it cannot reach", async () => {
    const leader = await leaderOf(members);
    const [first, second] = others(leader) as [MemberProcess, MemberProcess];
    await first.kill();
    await second.kill();
    await until("the leader notices", async () => (await leader.readiness()) !== "ready");
    await until("the sentence names both", async () => {
      const sentence = await leader.readiness();
      return (
        /^not ready: no leader for [1-9]\d* s: reached 1 of 3 voters \(/.test(sentence) &&
        sentence.includes(first.name) &&
        sentence.includes(second.name)
      );
    });
    await through(leader, async (client) => {
      await assert.rejects(write(client, 500));
      await assert.rejects(client.getTenants({ timeoutMs: 500 }));
      assert.ok(Array.isArray(await client.getTenants({ consistency: "local" })));
    });
    assert.equal((await fetch(`${leader.httpUrl}/livez`)).status, 200);
    await Promise.all([first, second].map((member) => member.start(foundingFlags(members))));
    await Promise.all(members.map((member) => member.ready()));
    for (const member of members) await assertHasAll(member);
  });

  it("SIGTERM: the leader hands over first, and a client that writes meanwhile notices nothing", async () => {
    const endpoints = members.map(({ endpoint }) => endpoint);
    const client = await connect({ ...PATIENCE, endpoints, exactlyOnce: true });
    let isOver = false;
    const writing = (async () => {
      while (!isOver) await write(client);
    })();
    const leader = await leaderOf(members);
    const status = await leader.process.stop();
    isOver = true;
    await writing;
    await client.close();
    assert.equal(status, 0, leader.process.output());
    assert.match(leader.process.output(), /msg="leadership was handed over" leader=node-\d/);
    await leader.start(foundingFlags(members));
    await leader.ready();
    await assertHasAll(leader);
  });
});

describe("changing the members", () => {
  it("a fourth node waits, is added as a learner, becomes a voter; an old one is removed", async () => {
    const fourth = await MemberProcess.create({ name: "node-3", directory });
    await fourth.start(["-metastore.raft.bootstrap-expect-peers=0"]);
    members.push(fourth);
    await until("it says what it waits for", async () =>
      (await fourth.readiness()).startsWith("not ready: waiting to be added: hearth member add"),
    );
    const leader = await leaderOf(members);
    const [follower] = others(leader) as [MemberProcess];
    const wish = { address: fourth.peerAddress, serverId: fourth.name };
    const tried = await change(follower, "POST", "/api/v1/members", { ...wish, dryRun: true });
    assert.deepEqual([tried.status, tried.body.changed], [200, true]);
    const added = await change(follower, "POST", "/api/v1/members", wish);
    assert.deepEqual([added.status, added.body.changed, added.body.voters], [200, true, 3]);
    await fourth.ready();
    await assertHasAll(fourth);
    const promoted = await change(follower, "POST", "/api/v1/members/node-3/promote");
    assert.deepEqual([promoted.status, promoted.body.voters], [200, 4]);
    const [removed] = others(leader).filter(({ name }) => name !== "node-3") as [MemberProcess];
    const gone = await change(leader, "DELETE", `/api/v1/members/${removed.name}`);
    assert.deepEqual([gone.status, gone.body.voters], [200, 3]);
    await until("the removed one says so", async () =>
      /^not ready: removed from the cluster at log index \d+$/.test(await removed.readiness()),
    );
    await removed.process.stop();
    await removed.start();
    await until("and after a restart, too", async () =>
      (await removed.readiness()).startsWith("not ready: removed from the cluster at log index"),
    );
    await removed.kill();
    members = members.filter((member) => member !== removed);
    await through(fourth, (client) => write(client));
  });

  it("a node whose disk was emptied is refused under its old name, and waits", async () => {
    const leader = await leaderOf(members);
    const [wiped] = others(leader) as [MemberProcess];
    await wiped.kill();
    rmSync(wiped.directory, { recursive: true });
    await wiped.start(["-metastore.raft.bootstrap-expect-peers=0"]);
    await until("it waits", async () =>
      (await wiped.readiness()).startsWith("not ready: waiting to be added"),
    );
    const refused = await change(leader, "POST", "/api/v1/members", {
      address: wiped.peerAddress,
    });
    assert.equal(refused.status, 412, JSON.stringify(refused.body));
    assert.match(refused.body.error?.message ?? "", /a disk that was emptied is a new node$/);
    assert.equal(
      refused.body.error?.next,
      `Remove the old member first: hearth member remove ${wiped.name}`,
    );
    const removed = await change(leader, "DELETE", `/api/v1/members/${wiped.name}`);
    assert.equal(removed.status, 200, JSON.stringify(removed.body));
    const added = await change(leader, "POST", "/api/v1/members", { address: wiped.peerAddress });
    assert.equal(added.status, 200, JSON.stringify(added.body));
    await wiped.ready();
    await assertHasAll(wiped);
  });

  it("a node that asks to be taken in becomes a voter by itself", async () => {
    const joins = await MemberProcess.create({ name: "node-4", directory });
    const seeds = members.map(
      ({ peerAddress }) => `-metastore.raft.bootstrap-peers=${peerAddress}`,
    );
    await joins.start(["-metastore.raft.auto-join", ...seeds]);
    await joins.ready();
    await until("it votes", async () => {
      const { members: seen } = await joins.view();
      return seen.some(({ isSelf, suffrage }) => isSelf && suffrage === "voter");
    });
    await assertHasAll(joins);
    const leader = await leaderOf(members);
    assert.equal((await change(leader, "DELETE", "/api/v1/members/node-4")).status, 200);
    await joins.kill();
  });

  it("a member that comes back under another address is found there", async () => {
    const leader = await leaderOf(members);
    const [moved] = others(leader) as [MemberProcess];
    const before = (await leader.view()).configurationIndex;
    await moved.kill();
    const [port] = await findFreePorts(1);
    await moved.start([
      `-metastore.raft.bind-address=127.0.0.1:${port}`,
      `-metastore.raft.advertise-address=127.0.0.1:${port}`,
    ]);
    await moved.ready();
    await until("the configuration has it", async () => {
      const { configurationIndex } = await leader.view();
      return configurationIndex > before;
    });
    // Its lines come by another way than its answers.
    const line = new RegExp(`another address".*127.0.0.1:${port}`);
    await until("whoever led says so", () =>
      members.some((member) => line.test(member.process.output())),
    );
    await moved.kill();
    await moved.start();
    await moved.ready();
  });

  it("a node of another cluster is refused, and each keeps its own data", async () => {
    const leader = await leaderOf(members);
    const other = await MemberProcess.create({ name: "other", directory });
    await other.start();
    await other.ready();
    const refused = await change(leader, "POST", "/api/v1/members", {
      address: other.peerAddress,
    });
    assert.deepEqual([refused.status, refused.body.error?.code], [412, "failed_precondition"]);
    assert.match(refused.body.error?.message ?? "", /cluster/);
    assert.notEqual((await other.view()).clusterId, (await leader.view()).clusterId);
    await other.kill();
  });

  it("a stale term, an unknown member and the leader itself are refused with their codes", async () => {
    const leader = await leaderOf(members);
    const stale = await change(leader, "DELETE", "/api/v1/members/node-3?currentTerm=1");
    assert.deepEqual([stale.status, stale.body.error?.code], [400, "invalid_argument"]);
    const unknown = await change(leader, "DELETE", "/api/v1/members/nobody");
    assert.deepEqual([unknown.status, unknown.body.error?.code], [404, "not_found"]);
    // Of one that leads no more it would not be refused.
    let itself: Answer | undefined;
    await until("the leader is asked while it leads", async () => {
      const { name } = await leaderOf(members);
      itself = await change(leader, "DELETE", `/api/v1/members/${name}?dryRun=true`);
      return itself.status !== 200;
    });
    assert.deepEqual([itself?.status, itself?.body.error?.code], [412, "failed_precondition"]);
  });
});

describe("a node that is alone", () => {
  it("goes on without a peer port that another one has", async () => {
    const own = join(directory, "alone");
    const flags = [`-metastore.raft.bind-address=${members[0]?.peerAddress}`];
    const server = await startServer({ directory: own, flags });
    const text = await (await fetch(`${server.httpUrl}/ready?verbose`)).text();
    assert.match(text, /^\[!\]peers no peer port: /m);
    assert.equal(await server.stop(), 0);
  });
});
