/** Snapshots of real nodes: taken on demand, an index rebuilt from one, and a new member that is brought up by one. */

import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { ACTION_HEADER } from "../../src/admin/index.ts";
import { LOAD_DEFAULTS, LoadGenerator } from "../../src/cli/load/index.ts";
import type { HearthClient } from "../../src/client/index.ts";
import type { BlockMeta } from "../../src/protocol/index.ts";
import type { SnapshotTaken, SnapshotView } from "../../src/service/index.ts";
import { leaderOf, MemberProcess, startCluster, through } from "../support/cluster-process.ts";
import { until } from "../support/until.ts";

/** More than one of the smallest segments of the log, so that the first one can go. */
const BLOCKS = 50_000;
const BATCH = 250;
const CHECKED = 200;
const FLAGS = [
  "-hearth.log-segment-size=36MiB",
  "-metastore.raft.trailing-logs=0",
  "-metastore.snapshot-rate-limit=0",
  "-hearth.reader-threads=1",
];

/** Nodes that take, send or install an image are busy. */
const PATIENT = { defaultTimeoutMs: 120_000 };

const SOURCE = new LoadGenerator({
  ...LOAD_DEFAULTS,
  startAtMs: Date.parse("2026-11-20T00:00:00Z"),
  endAtMs: Date.parse("2026-11-22T06:00:00Z"),
});

let directory = "";
let members: MemberProcess[] = [];
let written = 0;
/** Has a snapshot, and a log that begins behind its first entry. */
let taker: MemberProcess;

before(async () => {
  directory = mkdtempSync(join(tmpdir(), "hearth-snapshots-"));
  members = [...(await startCluster(directory, 2, FLAGS))];
});
after(async () => {
  for (const member of members) await member.kill();
  rmSync(directory, { recursive: true });
});

async function writeBlocks(client: HearthClient, count: number): Promise<void> {
  for (let left = count; left > 0; left -= BATCH) {
    const first = written;
    const blocks = Array.from({ length: Math.min(BATCH, left) }, (_, i) => SOURCE.block(first + i));
    await client.addBlocks(blocks);
    written += blocks.length;
  }
}

async function find(client: HearthClient, block: BlockMeta): Promise<number> {
  let found = 0;
  const tenant = block.stringTable[block.tenant] ?? "";
  const asked = { tenant, shard: block.shard, blocks: [block.id] };
  for await (const batch of client.getBlockMetadata(asked)) found += batch.blockCount;
  return found;
}

/** Strong reads of blocks from all over what was acknowledged. */
async function assertHasBlocks(member: MemberProcess): Promise<void> {
  await through(
    member,
    async (client) => {
      for (let i = 0; i < CHECKED; i++) {
        const block = SOURCE.block(Math.floor((i * (written - 1)) / (CHECKED - 1)));
        assert.equal(await find(client, block), 1, `${member.name} lacks ${block.id}`);
      }
    },
    PATIENT,
  );
}

async function metric(member: MemberProcess, name: string): Promise<number> {
  const text = await (await fetch(`${member.httpUrl}/metrics`)).text();
  return Number(new RegExp(`^${name} (\\S+)$`, "m").exec(text)?.[1] ?? Number.NaN);
}

async function post<T>(member: MemberProcess, path: string, body: object): Promise<T> {
  const answer = await fetch(`${member.httpUrl}${path}?timeout=2m`, {
    method: "POST",
    headers: { [ACTION_HEADER]: "test", "content-type": "application/json" },
    body: JSON.stringify(body),
  });
  assert.equal(answer.status, 200, await answer.clone().text());
  return (await answer.json()) as T;
}

async function listed(member: MemberProcess): Promise<readonly SnapshotView[]> {
  const answer = await fetch(`${member.httpUrl}/api/v1/snapshots`);
  return ((await answer.json()) as { snapshots: readonly SnapshotView[] }).snapshots;
}

function indexDirectory(member: MemberProcess): string {
  const found = readdirSync(member.directory, { recursive: true, encoding: "utf8" });
  const mark = found.find((path) => path.endsWith("trust.json"));
  assert.notEqual(mark, undefined, found.join(" "));
  return join(member.directory, (mark as string).replace(/trust\.json$/, ""));
}

describe("snapshots of real nodes", () => {
  it("one is taken on demand, listed, and cuts the log", async () => {
    const leader = await leaderOf(members);
    taker = leader;
    await through(leader, (client) => writeBlocks(client, BLOCKS), PATIENT);
    const logBytes = await metric(leader, "hearth_log_bytes");
    const dry = await post<SnapshotTaken>(leader, "/api/v1/snapshots", { dryRun: true });
    assert.deepEqual([dry.changed, dry.snapshot], [true, null]);
    const askedAtMs = Date.now();
    const taken = await post<SnapshotTaken>(leader, "/api/v1/snapshots", {});
    assert.match(taken.text, /^Took and verified a snapshot of log index [\d,]+, /);
    const view = taken.snapshot as SnapshotView;
    assert.equal(view.index >= BLOCKS / BATCH, true);
    const takenAtMs = view.takenAtMs ?? 0;
    assert.ok(takenAtMs >= askedAtMs && takenAtMs <= Date.now(), `${takenAtMs}`);
    assert.deepEqual(await listed(leader), [view]);
    await until("the log is cut", async () => {
      return (await metric(leader, "hearth_log_bytes")) < logBytes;
    });
    assert.equal(await metric(leader, "hearth_snapshot_taken_total"), 1);
    assert.equal(await metric(leader, "hearth_snapshot_bytes"), view.sizeBytes);
    assert.equal(await metric(leader, "hearth_raft_snapshot_index"), view.index);
    const again = await post<SnapshotTaken>(leader, "/api/v1/snapshots", {});
    assert.deepEqual([again.changed, again.snapshot], [false, view]);
  });

  it("a node whose index is gone comes back from snapshot and log", async () => {
    const member = taker;
    await through(member, (client) => writeBlocks(client, 1_000), PATIENT);
    for (const how of ["stop", "kill"] as const) {
      await member.process[how]();
      rmSync(indexDirectory(member), { recursive: true });
      await member.start();
      const said = new Set<string>();
      await until("it is ready", async () => {
        const text = await member.readiness();
        said.add(text.replaceAll(/\d+/g, "N"));
        return text === "ready";
      });
      await until(
        () => `it says where the index came from\n${[...said].join("\n")}`,
        () => /index filled from a snapshot/.test(member.process.output()),
      );
      await assertHasBlocks(member);
    }
  });

  it("a new member is brought up by a snapshot while writes go on", async () => {
    const leader = await leaderOf(members);
    await post(leader, "/api/v1/snapshots", {});
    const newcomer = await MemberProcess.create({ name: "node-2", directory, flags: FLAGS });
    members.push(newcomer);
    await newcomer.start(["-metastore.raft.bootstrap-expect-peers=0"]);
    await until("it waits to be added", async () =>
      (await newcomer.readiness()).startsWith("not ready: waiting to be added"),
    );
    const wish = { address: newcomer.peerAddress, serverId: "node-2" };
    let isJoined = false;
    await through(
      leader,
      async (client) => {
        const writing = (async () => {
          while (!isJoined) await writeBlocks(client, BATCH);
        })();
        try {
          await post(leader, "/api/v1/members", wish);
          await newcomer.ready();
        } finally {
          isJoined = true;
          await writing;
        }
      },
      PATIENT,
    );
    assert.equal(await metric(newcomer, "hearth_snapshot_installed_total"), 1);
    await assertHasBlocks(newcomer);
    let generations: string[] = [];
    await until(
      () => `the index of the start is gone: ${generations.join(" ")}`,
      () => {
        generations = readdirSync(indexDirectory(newcomer)).filter((n) => n.startsWith("lmdb"));
        return generations.join() === "lmdb-1";
      },
    );
  });

  it("snapshots of another cluster are refused", async () => {
    const alone = await MemberProcess.create({ name: "alone", directory, flags: FLAGS });
    members.push(alone);
    const foreign = join(alone.directory, "foreign");
    mkdirSync(foreign);
    writeFileSync(join(foreign, "snapshots.json"), JSON.stringify({ clusterId: "deadbeef" }));
    await alone.start([`-metastore.raft.snapshots-dir=${foreign}`]);
    await until("it has ended", () => !alone.isRunning);
    assert.match(alone.process.output(), /holds those of cluster deadbeef/);
    assert.match(readFileSync(join(foreign, "snapshots.json"), "utf8"), /deadbeef/);
  });
});
