import assert from "node:assert/strict";
import { describe, it } from "node:test";
import {
  Health,
  type HealthCheck,
  healthRoutes,
  healthRpcRoute,
  nodeChecks,
  type NodeView,
} from "../../src/admin/index.ts";
import { ask } from "./support.ts";

const CHECKS: readonly HealthCheck[] = [
  {
    name: "leader",
    kind: "ready",
    check: () => ({ state: "failed", reason: "no leader for 12 s" }),
  },
  { name: "log", kind: "ready", check: () => ({ state: "ok" }) },
  {
    name: "disk",
    kind: "ready",
    check: () => ({ state: "warning", reason: "read-only: 1.1 GiB free" }),
  },
  { name: "apply", kind: "live", check: () => ({ state: "ok" }) },
];

const routes = (checks: readonly HealthCheck[]): ReturnType<typeof healthRoutes> =>
  healthRoutes(new Health(checks));

describe("probes", () => {
  it("not ready is 503 with the first reason in one line", async () => {
    for (const path of ["/ready", "/readyz"]) {
      const answer = await ask(routes(CHECKS), path);
      assert.equal(answer.status, 503);
      assert.equal(answer.text, "not ready: no leader for 12 s\n");
      assert.equal(answer.headers["cache-control"], "no-store");
    }
  });

  it("live does not ask the checks of ready", async () => {
    const answer = await ask(routes(CHECKS), "/livez");
    assert.deepEqual([answer.status, answer.text], [200, "live\n"]);
  });

  it("verbose lists every check", async () => {
    const answer = await ask(routes(CHECKS), "/ready?verbose");
    assert.equal(
      answer.text,
      "[-]leader failed: no leader for 12 s\n[+]log ok\n[!]disk read-only: 1.1 GiB free\nnot ready: no leader for 12 s\n",
    );
  });

  it("an excluded check does not count; an unknown one is told", async () => {
    const answer = await ask(routes(CHECKS), "/ready?exclude=leader&exclude=leadr&verbose=1");
    assert.equal(answer.status, 200);
    assert.equal(
      answer.text,
      "[+]leader excluded: ok\n[+]log ok\n[!]disk read-only: 1.1 GiB free\n[!]leadr is no check, nothing was excluded\nready\n",
    );
  });

  it("one check can be asked by name", async () => {
    assert.equal((await ask(routes(CHECKS), "/ready/leader")).status, 503);
    assert.equal((await ask(routes(CHECKS), "/ready/log")).text, "[+]log ok\n");
    assert.equal((await ask(routes(CHECKS), "/ready/disk")).status, 200);
    const unknown = await ask(routes(CHECKS), "/ready/nothing");
    assert.equal(unknown.status, 404);
    assert.equal(unknown.json().error.next, "Checks are leader, log, disk");
  });

  it("a check that throws has failed, and the others are still asked", async () => {
    const broken: HealthCheck = {
      name: "broken",
      kind: "ready",
      check: () => {
        throw new Error("bug");
      },
    };
    const answer = await ask(routes([broken, ...CHECKS.slice(1)]), "/ready?verbose");
    assert.equal(answer.status, 503);
    assert.match(
      answer.text,
      /^\[-\]broken failed: the check itself failed: Error: bug\n\[\+\]log ok/,
    );
  });
});

const SERVING: NodeView = {
  phase: { kind: "running" },
  hasLeader: true,
  leaderlessMs: 0,
  voterCount: 3,
  reachableVoterCount: 3,
  otherVoters: [
    { name: "hearth-0", isReached: true, problem: null },
    { name: "hearth-1", isReached: true, problem: null },
  ],
  seat: { kind: "member" },
  lag: null,
  peerPortProblem: null,
  hasGivenUpLeadership: false,
  applyPendingMs: 0,
  applyPendingIndex: 0,
  logWritePendingMs: 0,
  space: null,
  indexSpaceProblem: null,
  indexFullProblem: null,
  readerCount: 4,
  readerRunningCount: 4,
  readerFailedRestartCount: 0,
  consistentMs: 20_000,
  minReadyMs: 15_000,
};

async function sentence(path: string, change: Partial<NodeView>): Promise<string> {
  const view = { ...SERVING, ...change };
  return (await ask(routes(nodeChecks(() => view)), path)).text.trimEnd();
}

describe("readiness in words", () => {
  const cases: readonly (readonly [situation: string, change: Partial<NodeView>, words: string])[] =
    [
      ["serving", {}, "ready"],
      [
        "starting",
        { phase: { kind: "starting", doing: "opening the log" } },
        "not ready: starting: opening the log",
      ],
      [
        "replaying",
        {
          phase: {
            kind: "replaying",
            appliedIndex: 812_000,
            lastIndex: 1_204_551,
            entriesPerSec: 90_000,
          },
        },
        "not ready: replaying log: 812,000 of 1,204,551, about 4 s left",
      ],
      [
        "replaying, rate not known yet",
        { phase: { kind: "replaying", appliedIndex: 0, lastIndex: 10, entriesPerSec: 0 } },
        "not ready: replaying log: 0 of 10",
      ],
      [
        "no leader",
        {
          hasLeader: false,
          leaderlessMs: 12_000,
          reachableVoterCount: 2,
          otherVoters: [
            { name: "hearth-0", isReached: false, problem: "refused" },
            { name: "hearth-1", isReached: false, problem: null },
            { name: "hearth-2", isReached: true, problem: null },
          ],
        },
        "not ready: no leader for 12 s: reached 2 of 3 voters (hearth-2; hearth-0 refused, hearth-1 gave no answer)",
      ],
      [
        "looking for peers",
        { phase: { kind: "waiting", text: "waiting for peers: found 2 of 3 (a, b), try 4 of 20" } },
        "not ready: waiting for peers: found 2 of 3 (a, b), try 4 of 20",
      ],
      [
        "removed",
        { hasLeader: false, seat: { kind: "removed", atIndex: 4_812_090 } },
        "not ready: removed from the cluster at log index 4,812,090",
      ],
      [
        "added, and not told the log yet",
        { hasLeader: false, seat: { kind: "expected", clusterId: "8f1c2a04" } },
        "not ready: waiting for the leader of cluster 8f1c2a04 to send its log",
      ],
      [
        "outside of its cluster",
        { hasLeader: false, seat: { kind: "outside", clusterId: "8f1c2a04" } },
        "not ready: not a member of cluster 8f1c2a04 as far as its log goes: being added, or removed",
      ],
      [
        "behind",
        { consistentMs: null, lag: { entries: 18_204, entriesPerSec: 9_100 } },
        "not ready: 18,204 entries behind the leader, catching up at 9,100/s, about 2 s left",
      ],
      [
        "one peer is silent",
        { otherVoters: [{ name: "a", isReached: false, problem: "refused" }] },
        "ready",
      ],
      ["slow disk", { logWritePendingMs: 1_999 }, "ready"],
      ["stalled disk", { logWritePendingMs: 3_200 }, "not ready: a log write is pending for 3.2 s"],
      [
        "stalled disk of the leader",
        { logWritePendingMs: 3_200, hasGivenUpLeadership: true },
        "not ready: a log write is pending for 3.2 s; leadership was given up",
      ],
      [
        "stalled for want of room",
        { logWritePendingMs: 3_200, space: { text: "ENOSPC", isReadOnly: true } },
        "not ready: a log write is pending for 3.2 s (ENOSPC)",
      ],
      ["full disk", { space: { text: "ENOSPC", isReadOnly: true } }, "ready"],
      ["some readers down", { readerRunningCount: 1 }, "ready"],
      [
        "all readers down",
        { readerRunningCount: 0 },
        "not ready: no reader thread is running, 4 are being started",
      ],
      ["not consistent", { consistentMs: null }, "not ready: no read would be consistent yet"],
      [
        "waiting time",
        { consistentMs: 4_000 },
        "not ready: consistent for 4 s of 15 s (metastore.min-ready-duration)",
      ],
      ["waiting time over", { consistentMs: 15_000 }, "ready"],
      [
        "stopping",
        { phase: { kind: "stopping", doing: "finishing requests", leftMs: 11_000 } },
        "not ready: shutting down: finishing requests, 11 s left",
      ],
    ];
  for (const [situation, change, words] of cases) {
    it(situation, async () => {
      assert.equal(await sentence("/ready", change), words);
    });
  }

  it("a full disk is told to who asks for every word", async () => {
    const space = { text: "ENOSPC: no space left on device, write", isReadOnly: false };
    const verbose = async (isReadOnly: boolean): Promise<string> =>
      sentence("/ready?verbose", { space: { ...space, isReadOnly } });
    assert.match(
      await verbose(false),
      /^\[!\]disk no room for the next segment of the log: ENOSPC/m,
    );
    assert.match(await verbose(true), /^\[!\]disk read-only: ENOSPC/m);
    const indexSpaceProblem = "812 MiB free on the disk of /data, below 1.0 GiB";
    assert.match(
      await sentence("/ready?verbose", {
        indexSpaceProblem,
        space: { ...space, isReadOnly: true },
      }),
      /^\[!\]disk read-only: ENOSPC.*; little room for the index: 812 MiB free on .*\n(.*\n)*ready$/m,
    );
    assert.match(
      await sentence("/ready?verbose", { indexSpaceProblem, indexFullProblem: "12 MiB are left" }),
      /^\[!\]disk no room for more blocks: 12 MiB are left\n(.*\n)*ready$/m,
    );
    assert.match(await sentence("/ready?verbose", {}), /^\[\+\]disk ok$/m);
  });

  it("live fails only for what a restart cures", async () => {
    const harmless: Partial<NodeView> = {
      phase: { kind: "starting", doing: "x" },
      hasLeader: false,
      logWritePendingMs: 60_000,
      readerRunningCount: 0,
      consistentMs: null,
    };
    assert.equal(await sentence("/livez", harmless), "live");
    assert.equal(
      await sentence("/livez", { applyPendingMs: 63_000, applyPendingIndex: 4_812_091 }),
      "not live: entry 4,812,091 committed but not applied for 1m 3s",
    );
    assert.equal(
      await sentence("/livez", { readerRunningCount: 0, readerFailedRestartCount: 5 }),
      "not live: all reader threads exited, 5 restarts failed",
    );
  });
});

describe("the health service in the protocol of Connect", () => {
  const PATH = "/grpc.health.v1.Health/Check";
  const routeOf = (state: "ok" | "failed", reason = ""): ReturnType<typeof healthRpcRoute>[] => {
    const phase: HealthCheck = { name: "phase", kind: "ready", check: () => ({ state, reason }) };
    return [healthRpcRoute(new Health([phase, ...CHECKS]))];
  };
  const json = (body: string, type = "application/json"): Parameters<typeof ask>[2] => ({
    body,
    headers: { "content-type": type },
  });

  it("says whether the node runs, whoever leads", async () => {
    const types = ["application/json", "application/json; charset=utf-8", "Application/JSON"];
    for (const type of types) {
      for (const body of ["", "{}", '{"service":"pyroscope.metastore"}']) {
        const answer = await ask(routeOf("ok"), PATH, json(body, type));
        assert.deepEqual([answer.status, answer.text], [200, '{"status":"SERVING"}']);
        assert.equal(answer.headers["content-type"], "application/json");
      }
    }
    const stopping = await ask(routeOf("failed", "stopping"), PATH, json("{}"));
    assert.deepEqual([stopping.status, stopping.text], [200, '{"status":"NOT_SERVING"}']);
  });

  it("speaks protobuf, too", async () => {
    const parts = { body: "", headers: { "content-type": "application/proto" } };
    const answer = await ask(routeOf("ok"), PATH, parts);
    assert.equal(answer.headers["content-type"], "application/proto");
    assert.equal(Buffer.from(answer.text).toString("hex"), "0801");
  });

  it("refuses what it does not know", async () => {
    const unknown = await ask(routeOf("ok"), PATH, json('{"service":"x"}'));
    assert.deepEqual([unknown.status, unknown.json().code], [404, "not_found"]);
    for (const body of ["[]", "{", '{"service":7}']) {
      const bad = await ask(routeOf("ok"), PATH, json(body));
      assert.deepEqual([bad.status, bad.json().code], [400, "invalid_argument"]);
    }
    assert.equal((await ask(routeOf("ok"), PATH, json("{}", "text/plain"))).status, 415);
  });
});
