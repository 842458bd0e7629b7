/** What commands make of a cluster: healthy, short of a member, without a quorum, with two leaders. */

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { HearthError } from "../../src/base/index.ts";
import { InterruptedError } from "../../src/cli/failure.ts";
import { runCommandLine } from "../../src/cli/main.ts";
import { nodeStatus } from "../support/fake-cluster.ts";
import { until } from "../support/until.ts";
import { withCluster } from "./cluster-support.ts";
import { hearth, NOW_MS, recordingTerminal, withNode } from "./support.ts";

const LEADING = { role: "leader", leaderId: "hearth-1", term: 7, lastIndex: 9, commitIndex: 9 };

describe("status of a cluster", () => {
  it("is one screen of truth", async () => {
    await withCluster(async ({ run }) => {
      const { code, out, talk } = await run("status");
      assert.deepEqual([code, talk], [0, ""]);
      assert.equal(
        out,
        [
          "cluster 8f1c2a04  healthy: 3 of 3 voters up, can lose 1",
          "leader  hearth-1  term 7, for 1h 12m",
          "NODE      ROLE      STATE  VERSION    APPLIED  LAG  CONTACT     DISK",
          "hearth-0  follower  ready  1.4.0    4,812,090    0        -  1.2 GiB",
          "hearth-1  leader    ready  1.4.0    4,812,090    -    12 ms  1.2 GiB",
          "hearth-2  follower  ready  1.4.0    4,811,970  120    24 ms  1.2 GiB",
          "index       1,204,551 blocks, 12,045,510 datasets, 1.1 GiB on disk",
          "compaction  14 jobs running, 0 failed, oldest waiting block 41 s",
          "asked       hearth-0: http 10.0.3.5:4040, websocket 10.0.3.5:4041 (uws)",
        ].join("\n"),
      );
    });
  });

  it("never hides a member that is down, says why, since when, and what to do: exit 4", async () => {
    await withCluster(async ({ run, cluster }) => {
      await run("status");
      cluster.loseMember("hearth-2", 250_123);
      const { code, out } = await run("status");
      assert.equal(code, 4);
      assert.equal(
        out,
        [
          "cluster 8f1c2a04  DEGRADED: 2 of 3 voters up, can lose 0",
          "  ! hearth-2 gives no answer since 4m 10s (connection refused); last known: applied 4,811,970",
          "    next: look at its process, its volume and the network to it",
          "    if it never comes back: hearth member remove hearth-2 --dry-run",
          "leader  hearth-1  term 7, for 1h 12m",
          "NODE      ROLE      STATE  VERSION     APPLIED  LAG  CONTACT     DISK",
          "hearth-0  follower  ready  1.4.0     4,812,090    0        -  1.2 GiB",
          "hearth-1  leader    ready  1.4.0     4,812,090    -    12 ms  1.2 GiB",
          "hearth-2  ?         down   1.4.0    4,811,970*    ?  4m 10s*  1.2 GiB",
          "* last known",
          "index       1,204,551 blocks, 12,045,510 datasets, 1.1 GiB on disk",
          "compaction  14 jobs running, 0 failed, oldest waiting block 41 s",
          "asked       hearth-0: http 10.0.3.5:4040, websocket 10.0.3.5:4041 (uws)",
        ].join("\n"),
      );
    });
  });

  it("answers without a quorum, and says how many voters are missing", async () => {
    await withCluster(async ({ run, cluster }) => {
      cluster.loseMember("hearth-1", 12_000);
      cluster.loseMember("hearth-2", 13_000);
      cluster.leaderId = null;
      const lonely = { state: "not ready", problem: "no leader for 12 s: reached 1 of 3 voters" };
      cluster.statuses.set("hearth-0", nodeStatus("hearth-0", lonely));
      const { code, out } = await run("status");
      assert.equal(code, 4);
      const lines = out.split("\n");
      assert.deepEqual(lines.slice(0, 6), [
        "cluster 8f1c2a04  NO LEADER: 1 of 3 voters up, 2 needed",
        "  ! nobody leads: 1 of 3 voters give an answer, 2 are needed",
        "    next: start the voters that are down; writes and strong reads wait until then",
        "    if a majority never comes back: docs/operate/recovery.md",
        "  ! hearth-0 is not ready: no leader for 12 s: reached 1 of 3 voters",
        `    next: ${lines[5]?.slice(10)}`,
      ]);
      assert.ok(lines.includes("leader  none known"));
      assert.ok(!out.includes("member remove"), "a removal needs a quorum");
      assert.equal(lines.filter((line) => /^hearth-\d/.test(line)).length, 3);
    });
  });

  it("with --json is one versioned object with every field", async () => {
    await withCluster(async ({ run, cluster, endpoint }) => {
      cluster.loseMember("hearth-2", 250_123);
      const { code, out, talk } = await run("status", "--json");
      assert.deepEqual([code, talk], [4, ""]);
      const { members, nodes, problems, ...rest } = JSON.parse(out);
      assert.deepEqual(rest, {
        schema: "hearth/status/v1",
        asOf: "2026-11-22T10:24:55.000Z",
        endpoint,
        askedNode: "hearth-0",
        clusterId: "8f1c2a04",
        state: "degraded",
        isHealthy: false,
        term: 7,
        leader: { id: "hearth-1", address: "10.0.3.6:4040" },
        leaderForMs: 4_320_000,
        voters: 3,
        votersUp: 2,
        failureTolerance: 0,
        learners: 0,
        isChanging: false,
        warnings: [],
      });
      assert.equal(nodes.length, 1);
      assert.equal(problems[0].member, "hearth-2");
      assert.deepEqual(members[2], {
        id: "hearth-2",
        nodeId: "0000000000000002",
        role: null,
        suffrage: "voter",
        isLeader: false,
        isSelf: false,
        isUp: false,
        state: "down",
        version: "1.4.0",
        appliedIndex: null,
        lagEntries: null,
        lastContactMs: 250_123,
        ageMs: null,
        diskBytes: null,
        address: "10.0.3.7:4040",
        problem: "gives no answer since 4m 10s (connection refused)",
      });
    });
  });

  it("another endpoint's own word shows a member that the asked node cannot reach", async () => {
    await withCluster(async ({ endpoint, cluster }) => {
      cluster.loseMember("hearth-2", 5_000);
      await withNode(
        () => ({ body: nodeStatus("hearth-2") }),
        async ({ endpoint: other }) => {
          const argv = ["status", "--endpoint", endpoint, "--endpoint", other];
          const { code, out } = await hearth(argv);
          assert.equal(code, 4);
          assert.match(out, /3 of 3 voters up/);
          assert.match(
            out,
            /! hearth-2 answers, but hearth-0 has no link to it \(connection refused, 10\.0\.3\.7:9099\)/,
          );
        },
      );
    });
  });

  it("what somebody should know is told, and is no reason for exit 4", async () => {
    await withCluster(async ({ run, cluster }) => {
      const checks = [
        { kind: "ready", name: "disk", state: "warning", reason: "read-only: 1.1 GiB free" },
        { kind: "ready", name: "peers", state: "warning", reason: "told elsewhere" },
      ];
      cluster.statuses.set("hearth-1", nodeStatus("hearth-1", { checks }));
      const { code, out } = await run("status");
      assert.equal(code, 0);
      assert.equal(out.split("\n")[1], "  ~ hearth-1: disk: read-only: 1.1 GiB free");
      assert.ok(!out.includes("told elsewhere"));
    });
  });

  it("a node that waits to be added tells of itself: exit 4", async () => {
    await withCluster(async ({ run, cluster }) => {
      cluster.members.splice(0);
      const problem = "waiting to be added: hearth member add hearth-0=10.0.3.5:9099";
      const waiting = { state: "starting", problem, clusterId: null, raft: null, index: null };
      cluster.statuses.set("hearth-0", nodeStatus("hearth-0", { ...waiting, logBytes: null }));
      const { code, out } = await run("status");
      assert.equal(code, 4);
      const lines = out.split("\n");
      assert.deepEqual(lines.slice(0, 2), [
        "cluster ?  STARTING: voters unknown",
        `  ! hearth-0: ${problem}`,
      ]);
      assert.ok(lines.some((line) => /^hearth-0 {2}\? +starting/.test(line)));
    });
  });

  it("a node that was removed shows the members and itself", async () => {
    await withCluster(async ({ run, cluster }) => {
      cluster.members.splice(0, 1);
      const problem = "removed from the cluster at log index 4,812,090";
      cluster.statuses.set("hearth-0", nodeStatus("hearth-0", { state: "not ready", problem }));
      const { code, out } = await run("status");
      assert.equal(code, 4);
      assert.match(out, /DEGRADED: 2 of 2 voters up, can lose 0/);
      assert.match(out, /! hearth-0: removed from the cluster at log index 4,812,090/);
      assert.equal(out.split("\n").filter((line) => /^hearth-\d/.test(line)).length, 3);
    });
  });

  it("with --watch comes again until Ctrl-C, an object per line with --json", async () => {
    await withCluster(async ({ endpoint }) => {
      const interrupt = new AbortController();
      const argv = ["status", "--watch", "--json", "--endpoint", endpoint];
      const { terminal, said } = recordingTerminal();
      const running = runCommandLine({
        argv,
        environment: {},
        terminal,
        signal: interrupt.signal,
        nowMs: () => NOW_MS,
      });
      await until("it comes again", () => said().out.includes("\n"));
      interrupt.abort(new InterruptedError());
      assert.equal(await running, 130);
      for (const line of said().out.split("\n"))
        assert.equal(JSON.parse(line).schema, "hearth/status/v1");
    });
  });

  it("two nodes that lead in one term: both views, nothing shown as well, exit 5", async () => {
    await withCluster(async ({ run, cluster }) => {
      const raft = { ...LEADING, appliedIndex: 9, voters: 3, reachableVoters: 2 };
      cluster.statuses.set("hearth-2", nodeStatus("hearth-2", { raft }));
      for (const argv of [
        ["status"],
        ["member", "list"],
        ["leader", "show"],
        ["member", "remove", "hearth-0", "--yes"],
      ]) {
        const { code, out, talk } = await run(...argv);
        assert.deepEqual([code, out], [5, ""], argv.join(" "));
        assert.match(
          talk,
          /^hearth: refused: two nodes of cluster 8f1c2a04 lead in term 7\n {2}plan {3}hearth-1 at 10\.0\.3\.6:4040: leads in term 7, .*\n {9}hearth-2 at 10\.0\.3\.7:4040: leads in term 7, commit 9/,
        );
      }
      assert.deepEqual(cluster.calls, []);
    });
  });

  it("a leader of an older term is no second one", async () => {
    await withCluster(async ({ run, cluster }) => {
      const raft = { ...LEADING, term: 6, appliedIndex: 9, voters: 3, reachableVoters: 1 };
      cluster.statuses.set("hearth-2", nodeStatus("hearth-2", { raft }));
      const { code, out } = await run("status");
      assert.equal(code, 0, out);
      assert.match(out, /^leader {2}hearth-1 {2}term 7, for 1h 12m$/m);
    });
  });
});

describe("members", () => {
  it("are listed with what is known of them", async () => {
    await withCluster(async ({ run, cluster }) => {
      await run("status");
      cluster.loseMember("hearth-2", 250_123);
      const { code, out } = await run("member", "list");
      assert.equal(code, 0);
      assert.equal(
        out,
        [
          "MEMBER    SUFFRAGE  ROLE      STATE  PEER ADDRESS      APPLIED  LAG  CONTACT",
          "hearth-0  voter     follower  ready  10.0.3.5:9099   4,812,090    0        -",
          "hearth-1  voter     leader    ready  10.0.3.6:9099   4,812,090    -    12 ms",
          "hearth-2  voter     ?         down   10.0.3.7:9099  4,811,970*    ?  4m 10s*",
          "* last known",
        ].join("\n"),
      );
      const { schema, clusterId, askedNode, members } = JSON.parse(
        (await run("member", "list", "--json")).out,
      );
      assert.deepEqual(
        [schema, clusterId, askedNode],
        ["hearth/member-list/v1", "8f1c2a04", "hearth-0"],
      );
      assert.deepEqual(
        members.map(({ id, peerAddress }: { id: string; peerAddress: string }) => [
          id,
          peerAddress,
        ]),
        [
          ["hearth-0", "10.0.3.5:9099"],
          ["hearth-1", "10.0.3.6:9099"],
          ["hearth-2", "10.0.3.7:9099"],
        ],
      );
    });
  });

  it("one is shown with its own word; one that is unknown has a suggestion", async () => {
    await withCluster(async ({ run }) => {
      const { code, out } = await run("member", "show", "hearth-2");
      assert.equal(code, 0);
      assert.equal(
        out,
        [
          "member                 hearth-2, voter",
          "node id                0000000000000002",
          "peer address           10.0.3.7:9099",
          "http address           10.0.3.7:4040",
          "websocket address      10.0.3.7:4041",
          "contact with hearth-0  24 ms ago, round trip 1 ms",
          "state                  ready",
          "version                1.4.0",
          "running for            1h 12m",
          "role                   follower in term 7, takes hearth-1 for the leader",
          "log indexes            last 4,812,090, committed 4,812,090, applied 4,811,970",
          "log                    128 MiB in /raft",
          "index                  1,204,551 blocks, 1.1 GiB in /data",
        ].join("\n"),
      );
      const missing = await run("member", "show", "hearth-7");
      assert.equal(missing.code, 1);
      assert.match(
        missing.talk,
        /^hearth: There is no member "hearth-7"\n {2}next {3}Did you mean hearth-/,
      );
    });
  });

  it("are added as learners, under the name that was given or the one they have", async () => {
    await withCluster(async ({ run, cluster }) => {
      const { code, out, talk } = await run("member", "add", "hearth-3=10.0.3.8:9099");
      assert.equal(code, 0, talk);
      assert.equal(out, "hearth-3 becomes a learner");
      assert.equal(talk, "next: hearth member promote hearth-3");
      assert.deepEqual(
        cluster.calls.map(({ wish }) => wish),
        [
          { address: "10.0.3.8:9099", serverId: "hearth-3", currentTerm: 7, dryRun: true },
          { address: "10.0.3.8:9099", serverId: "hearth-3", currentTerm: 7, dryRun: false },
        ],
      );
      const name = "metastore-3.svc.cluster.local.:9099";
      await run("member", "add", `${name}=metastore-3.svc.cluster.local.:9099`, "--dry-run");
      const wish = cluster.calls[2]?.wish as { readonly serverId: string } | undefined;
      assert.equal(wish?.serverId, name);
    });
  });

  for (const written of ["=10.0.3.8:9099", "a=", "a=b=c:1", "nonsense"]) {
    it(`member add ${written} is misuse`, async () => {
      await withCluster(async ({ run, cluster }) => {
        assert.equal((await run("member", "add", written)).code, 2);
        assert.ok(!cluster.members.some(({ suffrage }) => suffrage === "learner"));
      });
    });
  }

  it("a removal shows the consequences and asks; without a terminal it names the flag: exit 5", async () => {
    await withCluster(async ({ run, cluster }) => {
      const { code, out, talk } = await run("member", "remove", "hearth-2");
      assert.deepEqual([code, out], [5, ""]);
      assert.equal(
        talk,
        [
          "hearth: refused: this needs your yes",
          "  plan   hearth-2 is removed; its data directory cannot rejoin. Afterwards: 2 voters, the cluster can lose 0.",
          "         Replacing it? Add the new node first: hearth member add <server id>=<host:port>",
          "  next   hearth member remove hearth-2 --yes",
        ].join("\n"),
      );
      assert.equal(cluster.members.length, 3);
      const dry = await run("member", "remove", "hearth-2", "--dry-run");
      assert.equal(dry.code, 0);
      assert.match(
        dry.out,
        /^dry run: hearth-2 is removed; its data directory cannot rejoin\. Afterwards: 2 voters, the cluster can lose 0\.\n/,
      );
      assert.equal(cluster.members.length, 3);
      const done = await run("member", "remove", "hearth-2", "--yes", "--json");
      assert.equal(done.code, 0, done.talk);
      assert.deepEqual(JSON.parse(done.out), {
        schema: "hearth/change/v1",
        asOf: "2026-11-22T10:24:55.000Z",
        dryRun: false,
        changed: true,
        text: "hearth-2 is removed; its data directory cannot rejoin",
        voters: 2,
        failureTolerance: 0,
        members: [
          { serverId: "hearth-0", suffrage: "voter" },
          { serverId: "hearth-1", suffrage: "voter" },
        ],
        next: null,
      });
      assert.equal(cluster.members.length, 2);
    });
  });

  it("what is so already is success, and nothing is asked twice", async () => {
    await withCluster(async ({ run, cluster }) => {
      const { code, out } = await run("member", "promote", "hearth-2");
      assert.deepEqual([code, out], [0, "hearth-2 is a voter already."]);
      assert.equal(cluster.calls.length, 1, "the dry run said that there is nothing to do");
    });
  });

  it("a refusal of the cluster's state is exit 5, one for want of a leader is exit 1 with the leader", async () => {
    await withCluster(async ({ run, cluster }) => {
      cluster.refusal = new HearthError("failed_precondition", "The last voter cannot be removed");
      assert.equal((await run("member", "remove", "hearth-2", "--yes")).code, 5);
      cluster.refusal = new HearthError("unavailable", "This node does not lead", {
        leader: { id: "hearth-1", address: "10.0.3.6:4040" },
      });
      const { code, talk } = await run("member", "demote", "hearth-2", "--yes");
      assert.equal(code, 1);
      assert.match(talk, /\n {2}leader hearth-1 at 10\.0\.3\.6:4040/);
    });
  });

  it("a change that takes too long is told as what may still happen", async () => {
    await withCluster(async ({ run, cluster }) => {
      cluster.isStuck = true;
      const { code, talk } = await run("leader", "transfer", "--timeout", "2s");
      assert.equal(code, 1);
      assert.match(talk, /No outcome within 2000 ms\n {2}next {3}It may still take effect/);
    });
  });
});

describe("a change whose answer is lost", () => {
  it("is told as what may have happened: exit 1, not exit 3", async () => {
    await withCluster(async ({ run, cluster, close }) => {
      cluster.onChange = close;
      const { code, talk } = await run("leader", "transfer");
      assert.equal(code, 1, talk);
      assert.match(talk, /^hearth: The answer to the change was lost: /);
      assert.match(talk, /may have taken effect: look with hearth member list/);
    });
  });

  it("is made under the newest term that was seen, not under that of a node which is behind", async () => {
    await withCluster(async ({ run, cluster }) => {
      cluster.term = 5;
      await run("leader", "transfer");
      assert.deepEqual(
        cluster.calls.map(({ wish }) => (wish as { currentTerm: number }).currentTerm),
        [7, 7],
      );
    });
  });
});

describe("leadership and snapshots", () => {
  it("shows whom each member takes for the leader; nobody is exit 4", async () => {
    await withCluster(async ({ run, cluster }) => {
      cluster.statuses.delete("hearth-2");
      assert.equal(
        (await run("leader", "show")).out,
        [
          "leader  hearth-1  term 7, for 1h 12m, 2 of 3 voters up, can lose 0",
          "MEMBER    SEES LEADER             TERM",
          "hearth-0  hearth-1                   7",
          "hearth-1  hearth-1                   7",
          "hearth-2  ? (connection refused)     ?",
        ].join("\n"),
      );
      cluster.leaderId = null;
      cluster.statuses.delete("hearth-1");
      const { code, out } = await run("leader", "show", "--json");
      assert.deepEqual([code, JSON.parse(out).leader], [4, null]);
    });
  });

  it("is handed over to whom it was told, or to whoever is best", async () => {
    await withCluster(async ({ run, cluster }) => {
      assert.equal(
        (await run("leader", "transfer", "hearth-2")).out,
        "hearth-2 takes over the leadership",
      );
      await run("leader", "transfer", "--dry-run");
      assert.deepEqual(
        cluster.calls.map(({ wish }) => (wish as { serverId: string | null }).serverId),
        ["hearth-2", "hearth-2", null],
      );
    });
  });

  it("snapshots are listed and taken", async () => {
    await withCluster(async ({ run, cluster }) => {
      assert.equal(
        (await run("snapshot", "list")).out,
        [
          "SNAPSHOT  LOG INDEX  TERM     SIZE  TAKEN",
          "5d0c19e2  4,700,000     7  804 MiB  2026-11-21T22:26:40Z",
        ].join("\n"),
      );
      assert.equal(
        (await run("snapshot", "take", "--dry-run")).out,
        "dry run: snapshot of log index 4,812,090",
      );
      const { out, talk } = await run("snapshot", "take", "--json");
      assert.equal(talk, "");
      assert.equal(JSON.parse(out).snapshot.id, "77aa00ff");
      assert.deepEqual(
        cluster.calls.map(({ wish }) => wish),
        [{ dryRun: true }, { dryRun: false }],
      );
    });
  });
});
