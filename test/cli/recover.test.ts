/** Recovery of a lost quorum, with real processes: three nodes, two destroyed, one goes on with everything it held. */

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { SILENT_LOGGER } from "../../src/base/index.ts";
import { openRecovery, type RecoveryInput } from "../../src/cli/recover/single-voter.ts";
import { DurableLog, LOG_DEFAULTS, NODE_FILES } from "../../src/log/index.ts";
import { SnapshotFiles } from "../../src/snapshot/index.ts";
import { content, headAt, SMALL, sourceOf } from "../snapshot/support/harness.ts";
import { leaderOf, MemberProcess, startCluster } from "../support/cluster-process.ts";
import { until } from "../support/until.ts";
import { hearth, hearthAt, NOW_MS, type Said } from "./support.ts";

const BLOCKS = 400;

/** Blocks in the index of a node, by its own word. */
async function blocksOf({ httpUrl }: MemberProcess): Promise<number> {
  const answer = await fetch(`${httpUrl}/api/v1/status`).catch(() => null);
  const status = (await answer?.json()) as { index: { blocks: number } | null } | undefined;
  return status?.index?.blocks ?? -1;
}

/** Every file below a directory with the hash of its content; locks come and go. */
function contentOf(directory: string): Map<string, string> {
  const content = new Map<string, string>();
  for (const entry of readdirSync(directory, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile() || entry.name.startsWith("lock.")) continue;
    const path = join(entry.parentPath, entry.name);
    content.set(path, createHash("sha256").update(readFileSync(path)).digest("hex"));
  }
  return content;
}

describe("a cluster that lost its majority for good", () => {
  let directory = "";
  let raft = "";
  let old = "";
  let members: readonly MemberProcess[] = [];
  let survivor: MemberProcess;
  let clusterId = "";
  const extra: MemberProcess[] = [];
  const recover = (...argv: string[]): Promise<Said> =>
    hearth(["recover", "single-voter", "--dir", raft, "--snapshots-dir", raft, ...argv]);
  const load = (node: MemberProcess, seed: number): Promise<Said> =>
    hearthAt(
      node.httpUrl,
      ...["bench", "load", "--blocks", String(BLOCKS), "--batch", "20"],
      ...["--seed", String(seed), "--quiet"],
    );

  /** Repeats what is harmless to repeat: on a loaded machine an election may come in between. */
  const succeeds = (claim: string, command: () => Promise<Said>): Promise<void> =>
    until(claim, async () => (await command()).code === 0);

  before(async () => {
    directory = mkdtempSync(join(tmpdir(), "hearth-recover-"));
    members = await startCluster(directory);
    const leader = await leaderOf(members);
    survivor = members.find((member) => member !== leader) as MemberProcess;
    raft = join(survivor.directory, "raft");
    clusterId = (await survivor.view()).clusterId ?? "";
    await succeeds("blocks are written", () => load(leader, 1));
    await until("the follower holds everything", async () => (await blocksOf(survivor)) === BLOCKS);
  });
  after(async () => {
    await Promise.all([...members, ...extra].map((member) => member.kill()));
    rmSync(directory, { recursive: true, force: true });
  });

  it("is refused while the node runs: exit 5", async () => {
    const said = await recover("--dry-run");
    assert.equal(said.code, 5);
    assert.match(said.talk, /is in use by process \d+/);
  });

  it("a dry run says what is kept and lost, and changes nothing", async () => {
    await Promise.all(members.map((member) => member.kill()));
    old = join(directory, "old");
    for (const member of members) {
      if (member === survivor) continue;
      cpSync(member.directory, join(old, member.name), { recursive: true });
      rmSync(member.directory, { recursive: true });
    }
    const found = contentOf(survivor.directory);
    const { code, out, talk } = await recover("--dry-run");
    assert.equal(code, 0, talk);
    const others = members.filter((member) => member !== survivor).map(({ name }) => name);
    assert.match(
      out,
      new RegExp(
        `^${survivor.name} \\([0-9a-f]{16}\\) becomes the only voter of a new cluster, with the data of cluster ${clusterId}$`,
        "m",
      ),
    );
    assert.match(out, /^log {6}ends at log index \d+ of term \d+, from 20\d\d-/m);
    assert.match(out, /^lost {5}what the others acknowledged after log index \d+/m);
    for (const name of others) assert.match(out, new RegExp(`^out .*${name}`, "m"));
    assert.match(out, new RegExp(`^next .*--confirm=${survivor.name}$`, "m"));
    assert.deepEqual(contentOf(survivor.directory), found);
  });

  it("needs the name of the node: exit 5 without it, and with another one", async () => {
    const found = contentOf(survivor.directory);
    const without = await recover();
    assert.equal(without.code, 5);
    assert.match(
      without.talk,
      /^hearth: refused: this cannot be undone and needs the name of the node\n {2}plan {3}/,
    );
    const wrong = await recover("--confirm=node-7");
    assert.equal(wrong.code, 5);
    assert.match(wrong.talk, /this is the directory of node-\d, not of node-7/);
    assert.deepEqual(contentOf(survivor.directory), found);
  });

  it("goes on as the only voter of another cluster, with everything it held", async () => {
    const done = await recover(`--confirm=${survivor.name}`, "--json");
    assert.equal(done.code, 0, done.talk);
    const said = JSON.parse(done.out);
    assert.equal(said.formerClusterId, clusterId);
    assert.notEqual(said.clusterId, clusterId);
    await survivor.start();
    await survivor.ready();
    assert.equal(await blocksOf(survivor), BLOCKS);
    const view = await survivor.view();
    assert.equal(view.clusterId, said.clusterId);
    assert.deepEqual(
      view.members.map(({ serverId }) => serverId),
      [survivor.name],
    );
    assert.ok(view.term > said.lastTerm + 1_000, `${view.term}`);
    await succeeds("more blocks are written", () => load(survivor, 2));
    assert.equal(await blocksOf(survivor), 2 * BLOCKS);
    await succeeds("all is well", () => hearthAt(survivor.httpUrl, "status"));
  });

  it("an old member that comes back stays outside", async () => {
    const name = readdirSync(old)[0] as string;
    const lost = members.find((member) => member.name === name) as MemberProcess;
    cpSync(join(old, name), lost.directory, { recursive: true });
    await lost.start();
    await until("it says that it has no leader", async () =>
      /no leader/.test(await lost.readiness()),
    );
    assert.deepEqual(
      (await survivor.view()).members.map(({ serverId }) => serverId),
      [survivor.name],
    );
    const added = await hearthAt(survivor.httpUrl, "member", "add", `${name}=${lost.peerAddress}`);
    assert.notEqual(added.code, 0);
    assert.ok(added.talk.includes(clusterId), added.talk);
    await lost.kill();
  });

  it("new members are added, hold everything, and carry the quorum", async () => {
    const fresh = await MemberProcess.create({ name: "node-9", directory });
    extra.push(fresh);
    await fresh.start(["-metastore.raft.bootstrap-expect-peers=0"]);
    const run = (...argv: string[]): Promise<Said> => hearthAt(survivor.httpUrl, ...argv);
    await succeeds("it is added", () => run("member", "add", `node-9=${fresh.peerAddress}`));
    await succeeds("it is promoted", () => run("member", "promote", "node-9"));
    await fresh.ready();
    await until("it holds everything", async () => (await blocksOf(fresh)) === 2 * BLOCKS);
    await until("all is well", async () =>
      (await run("status")).out.includes("healthy: 2 of 2 voters up, can lose 0"),
    );
  });

  it("could be recovered again, from the same directory", async () => {
    await Promise.all([survivor, ...extra].map((member) => member.kill()));
    const { code, out } = await recover("--dry-run");
    assert.equal(code, 0);
    assert.match(out, /^out {6}node-9:/m);
  });
});

describe("a recovery that is cut short", () => {
  it("keeps the node from starting, and goes on where it stopped", async () => {
    const directory = mkdtempSync(join(tmpdir(), "hearth-recover-"));
    const [member] = await startCluster(directory, 1);
    try {
      assert.ok(member !== undefined);
      await member.kill();
      const raftDirectory = join(member.directory, "raft");
      const file = join(raftDirectory, "identity.json");
      const identity = JSON.parse(readFileSync(file, "utf8"));
      const recovery = { fromClusterId: identity.clusterId, startedAtMs: NOW_MS };
      const formerClusterIds = [identity.clusterId];
      writeFileSync(
        file,
        JSON.stringify({ ...identity, clusterId: "0badcafe", formerClusterIds, recovery }),
      );
      await member.start().catch(() => {});
      await until("it refuses to start", () => !member.isRunning);
      assert.match(member.process.output(), /a recovery of it has begun and not ended/);
      const done = await hearth([
        "recover",
        "single-voter",
        "--dir",
        raftDirectory,
        "--confirm",
        member.name,
      ]);
      assert.equal(done.code, 0, done.talk);
      assert.match(done.out, /is the only voter of cluster 0badcafe$/m);
      await member.start();
      await member.ready();
      assert.equal((await member.view()).clusterId, "0badcafe");
      await member.kill();
      const again = await hearth(["recover", "single-voter", "--dir", raftDirectory]);
      assert.deepEqual(
        [again.code, again.out],
        [0, `${member.name} is the only voter of cluster 0badcafe already`],
      );
    } finally {
      await member?.kill();
      rmSync(directory, { recursive: true, force: true });
    }
  });

  it("a log that begins behind a snapshot learns from that who the members are", async () => {
    const directory = mkdtempSync(join(tmpdir(), "hearth-recover-"));
    const nodeId = "00000000000000aa";
    const owner = { clusterId: "c0ffee00", nodeId };
    const options = { ...LOG_DEFAULTS, directory: join(directory, "wal"), owner };
    const log = await DurableLog.open(options, { files: NODE_FILES, logger: SILENT_LOGGER });
    log.resetTo({ index: 500, term: 7, appendedAtMs: NOW_MS });
    await log.close();
    const identity = { ...owner, serverId: "one", founders: null };
    writeFileSync(join(directory, "identity.json"), JSON.stringify(identity));
    await assert.rejects(openRecovery(inputFor(directory)), { reason: "log_without_members" });

    const files = await SnapshotFiles.open(
      { ...SMALL, directory },
      { files: NODE_FILES, logger: SILENT_LOGGER, newId: () => "s1" },
    );
    const head = headAt(500, 7);
    await files.take(head, sourceOf(head, content(1, 2_000)));
    const recovery = await openRecovery(inputFor(directory));
    assert.deepEqual(
      recovery.plan.membership.members.map(({ serverId }) => serverId),
      ["one"],
    );
    assert.deepEqual([recovery.plan.changed, recovery.plan.lastIndex], [false, 500]);
    await recovery.close();
    rmSync(directory, { recursive: true });
  });

  it("a directory without a cluster is refused, and stays as it is", async () => {
    const directory = mkdtempSync(join(tmpdir(), "hearth-recover-"));
    await assert.rejects(openRecovery(inputFor(directory)), {
      code: "failed_precondition",
      reason: "nothing_to_recover",
    });
    assert.deepEqual([...contentOf(directory).keys()], []);
    rmSync(directory, { recursive: true });
  });
});

function inputFor(directory: string): RecoveryInput {
  return {
    raftDirectory: directory,
    snapshotsDirectory: directory,
    segmentBytes: LOG_DEFAULTS.segmentBytes,
    groupMaxBytes: LOG_DEFAULTS.groupMaxBytes,
    peerAddress: "a:1",
    nowMs: NOW_MS,
  };
}
