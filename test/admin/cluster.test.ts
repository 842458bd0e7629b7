import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { changeRoutes, clusterRoutes, type Route } from "../../src/admin/index.ts";
import { HearthError, SILENT_LOGGER } from "../../src/base/index.ts";
import { FakeCluster } from "../support/fake-cluster.ts";
import { ask, type RequestParts } from "./support.ts";

const JSON_TYPE = { "content-type": "application/json" };

function routesOf(cluster: FakeCluster | null): Route[] {
  let clockMs = 1_000;
  const control = (): FakeCluster | null => cluster;
  const nowMs = (): number => Date.parse("2026-11-22T10:24:55Z");
  const clock = (): number => {
    clockMs += 100;
    return clockMs;
  };
  return [
    ...clusterRoutes({ control, nowMs, clockMs: clock }),
    ...changeRoutes({ control, snapshots: control, logger: SILENT_LOGGER, nowMs }),
  ];
}

function post(body: object | string, parts: RequestParts = {}): RequestParts {
  const text = typeof body === "string" ? body : JSON.stringify(body);
  return { method: "POST", body: text, headers: JSON_TYPE, ...parts };
}

describe("the members over HTTP", () => {
  it("the view of the asked node, without asking anybody", async () => {
    const cluster = new FakeCluster();
    cluster.statuses.clear();
    const answer = await ask(routesOf(cluster), "/api/v1/cluster");
    const { schema, asOf, clusterId, askedNode, term, leader, members } = answer.json();
    assert.equal(answer.status, 200);
    assert.deepEqual(
      [schema, asOf, clusterId, askedNode, term],
      ["hearth/cluster/v1", "2026-11-22T10:24:55.000Z", "8f1c2a04", "hearth-0", 7],
    );
    assert.deepEqual(leader, { id: "hearth-1", address: "10.0.3.6:4040" });
    assert.equal(members.length, 3);
  });

  it("with ?collect each has its own word and its age, or why it gave none", async () => {
    const cluster = new FakeCluster();
    cluster.statuses.delete("hearth-2");
    const { members } = (await ask(routesOf(cluster), "/api/v1/members?collect=1s")).json();
    const [first, , third] = members;
    assert.equal(first.id, "hearth-0");
    assert.equal(first.status.raft.appliedIndex, 4_812_090);
    assert.ok(first.ageMs >= 3 && first.ageMs < 1_000);
    assert.equal(first.statusProblem, null);
    assert.deepEqual(
      [third.status, third.ageMs, third.statusProblem],
      [null, null, "connection refused"],
    );
  });

  it("the last word of a member that fell silent stays, and grows old", async () => {
    const cluster = new FakeCluster();
    const routes = routesOf(cluster);
    await ask(routes, "/api/v1/members?collect=1s");
    cluster.statuses.delete("hearth-2");
    const { members } = (await ask(routes, "/api/v1/members?collect=1s")).json();
    const silent = members[2];
    assert.equal(silent.status.raft.appliedIndex, 4_811_970);
    assert.ok(silent.ageMs >= 100, `${silent.ageMs}`);
    assert.equal(silent.statusProblem, "connection refused");
  });

  it("what is no member any more is forgotten", async () => {
    const cluster = new FakeCluster();
    const routes = routesOf(cluster);
    await ask(routes, "/api/v1/members?collect=1s");
    const [gone] = cluster.members.splice(2, 1);
    await ask(routes, "/api/v1/members?collect=1s");
    cluster.members.push(gone as (typeof cluster.members)[number]);
    const { members } = (await ask(routes, "/api/v1/members")).json();
    assert.equal(members[2].status, null);
    assert.notEqual(members[1].status, null);
  });

  it("one member by its server id, with colons and dots, or by its node id", async () => {
    const cluster = new FakeCluster();
    const name = "metastore-2.metastore.prod.svc.cluster.local.:9099";
    Object.assign(cluster.members[2] as object, { serverId: name });
    const routes = routesOf(cluster);
    for (const id of [name, encodeURIComponent(name), "0000000000000002"]) {
      const answer = await ask(routes, `/api/v1/members/${id}`);
      assert.equal(answer.json().member?.id, name, id);
    }
    const missing = await ask(routes, "/api/v1/members/hearth-11");
    assert.equal(missing.status, 404);
    assert.equal(missing.json().error.next, "Did you mean hearth-1?");
  });

  it("a node that does not know its cluster yet says so", async () => {
    for (const path of ["/api/v1/cluster", "/api/v1/members?collect=1s", "/api/v1/members/x"]) {
      const answer = await ask(routesOf(null), path);
      assert.equal(answer.status, 503, path);
      assert.equal(answer.headers["retry-after"], "1");
      assert.match(answer.json().error.message, /does not know yet which cluster/);
    }
  });

  for (const [query, message] of [
    ["collect=1", /"1" has no unit|no unit/],
    ["collect=0s", /not between 1ms and 10s/],
    ["collect=1h", /not between 1ms and 10s/],
    ["colect=1s", /Unknown parameter "colect"; known are collect/],
  ] as const) {
    it(`?${query} is refused`, async () => {
      const answer = await ask(routesOf(new FakeCluster()), `/api/v1/members?${query}`);
      assert.equal(answer.status, 400);
      assert.match(answer.json().error.message, message);
    });
  }
});

describe("changes over HTTP", () => {
  it("a dry run answers what would be, and the change answers the same", async () => {
    const cluster = new FakeCluster();
    const routes = routesOf(cluster);
    const body = { address: "10.0.3.8:9099", serverId: "hearth-3", currentTerm: 7 };
    const tried = (await ask(routes, "/api/v1/members", post({ ...body, dryRun: true }))).json();
    assert.equal(cluster.members.length, 3);
    const done = (await ask(routes, "/api/v1/members", post(body))).json();
    assert.deepEqual(done, tried);
    assert.equal(done.schema, "hearth/change/v1");
    assert.deepEqual([done.changed, done.voters, done.failureTolerance], [true, 3, 1]);
    assert.equal(cluster.members.length, 4);
    assert.deepEqual(cluster.calls, [
      { name: "addMember", wish: { ...body, dryRun: true } },
      { name: "addMember", wish: { ...body, dryRun: false } },
    ]);
  });

  it("each route calls its change with the member, the guard and the time", async () => {
    const cluster = new FakeCluster();
    const routes = routesOf(cluster);
    const guard = { currentTerm: 7, dryRun: true };
    await ask(routes, "/api/v1/members/a%3A9099/promote?timeout=30s", post(guard)).catch(() => {});
    await ask(routes, "/api/v1/members/hearth-2/demote", post(guard));
    await ask(routes, "/api/v1/members/hearth-2?dryRun&currentTerm=7", {
      method: "DELETE",
      headers: { "x-hearth-action": "1" },
    });
    await ask(routes, "/api/v1/leader/transfer", post({ to: "hearth-2", ...guard }));
    await ask(routes, "/api/v1/leader/transfer", post(""));
    await ask(routes, "/api/v1/snapshots", post({ dryRun: true }));
    assert.deepEqual(cluster.calls, [
      { name: "promoteMember", wish: { serverId: "a:9099", timeoutMs: 30_000, ...guard } },
      { name: "demoteMember", wish: { serverId: "hearth-2", ...guard } },
      { name: "removeMember", wish: { serverId: "hearth-2", ...guard } },
      { name: "transferLeadership", wish: { serverId: "hearth-2", timeoutMs: 10_000, ...guard } },
      {
        name: "transferLeadership",
        wish: { serverId: null, timeoutMs: 10_000, currentTerm: 0, dryRun: false },
      },
      { name: "take", wish: { dryRun: true } },
    ]);
  });

  it("the largest 64-bit term means whatever the term is", async () => {
    const cluster = new FakeCluster();
    const body = { currentTerm: "9223372036854775807", dryRun: true };
    assert.equal(
      (await ask(routesOf(cluster), "/api/v1/members/hearth-2/demote", post(body))).status,
      200,
    );
  });

  it("a refusal keeps its code, its next step and the leader hint", async () => {
    const cluster = new FakeCluster();
    cluster.refusal = new HearthError("unavailable", "This node does not lead", {
      reason: "not_leader",
      leader: { id: "hearth-1", address: "10.0.3.6:4040" },
      next: "Ask the leader",
    });
    const answer = await ask(routesOf(cluster), "/api/v1/members/hearth-2/demote", post({}));
    assert.equal(answer.status, 503);
    assert.deepEqual(answer.json().error, {
      code: "unavailable",
      message: "This node does not lead",
      next: "Ask the leader",
      leader: { id: "hearth-1", address: "10.0.3.6:4040" },
      requestId: "test-1",
    });
  });

  it("a change that does not end is given up, and the answer says that it may have happened", async () => {
    const cluster = new FakeCluster();
    cluster.isStuck = true;
    const answer = await ask(
      routesOf(cluster),
      "/api/v1/members/hearth-2/demote?timeout=10ms",
      post({}),
    );
    assert.equal(answer.status, 504);
    assert.match(answer.json().error.next, /may still take effect/);
  });

  it("snapshots are listed with what names them", async () => {
    const { snapshots } = (await ask(routesOf(new FakeCluster()), "/api/v1/snapshots")).json();
    assert.deepEqual(
      snapshots.map(({ id, index }: { id: string; index: number }) => [id, index]),
      [["5d0c19e2", 4_700_000]],
    );
  });
});

describe("hostile requests for changes", () => {
  const path = "/api/v1/members";
  const good = { address: "10.0.3.8:9099" };
  const bodies: readonly (readonly [body: object | string, message: RegExp])[] = [
    ["", /body is empty/],
    ["[]", /must be a JSON object, not a list/],
    ["{", /not JSON/],
    [{}, /address: "" is not host:port/],
    [{ address: 7 }, /address must be a string/],
    [{ address: "host" }, /not host:port/],
    [{ address: "host:0" }, /not host:port/],
    [{ address: "host:65536" }, /not host:port/],
    [{ address: "http://host:1" }, /not host:port/],
    [{ address: "a:b:1" }, /not host:port/],
    [{ address: "[::1]" }, /not host:port/],
    [{ address: "ho st:1" }, /spaces or control/],
    [{ address: `${"h".repeat(600)}:1` }, /longer than 512 bytes/],
    [{ ...good, serverId: "a\u001b[2J" }, /serverId must not hold/],
    [{ ...good, serverId: "a\u202eb" }, /serverId must not hold/],
    [{ ...good, serverId: "x".repeat(257) }, /longer than 256/],
    [{ ...good, dryRun: "yes" }, /dryRun must be true or false/],
    [{ ...good, dry_run: 1 }, /dryRun must be true or false/],
    [{ ...good, dryrun: true }, /Unknown field "dryrun"/],
    [{ ...good, currentTerm: -1 }, /must not be negative/],
    [{ ...good, currentTerm: 1.5 }, /whole number/],
  ];
  for (const [body, message] of bodies) {
    it(`${JSON.stringify(body).slice(0, 60)} is refused`, async () => {
      const cluster = new FakeCluster();
      const answer = await ask(routesOf(cluster), path, post(body));
      assert.equal(answer.status, 400);
      assert.match(answer.json().error.message, message);
      assert.deepEqual(cluster.calls, []);
    });
  }

  it("addresses of every form are taken", async () => {
    for (const address of [
      "10.0.3.8:9099",
      "[fd00::1]:9099",
      "a.b.svc.cluster.local.:9099",
      "h:1",
    ]) {
      const answer = await ask(routesOf(new FakeCluster()), path, post({ address }));
      assert.equal(answer.status, 200, address);
    }
  });

  it("a dry run that is misspelt is no removal", async () => {
    const cluster = new FakeCluster();
    for (const query of [
      "dryrun=true",
      "dryRun=yes",
      "currentTerm=-1",
      "currentTerm=99999999999999999",
    ]) {
      const answer = await ask(routesOf(cluster), `/api/v1/members/hearth-2?${query}`, {
        method: "DELETE",
        headers: { "x-hearth-action": "1" },
      });
      assert.equal(answer.status, 400, query);
    }
    assert.deepEqual(cluster.calls, []);
  });

  const foreign: readonly (readonly [what: string, headers: Record<string, string>])[] = [
    ["a form", { "content-type": "application/x-www-form-urlencoded" }],
    ["a form of plain text", { "content-type": "text/plain" }],
    ["no content type", {}],
    [
      "a page of another origin",
      { ...JSON_TYPE, origin: "http://evil.example", host: "node:4040" },
    ],
    ["a page without an origin", { ...JSON_TYPE, origin: "null", host: "node:4040" }],
    ["a page of another site", { ...JSON_TYPE, "sec-fetch-site": "cross-site" }],
    ["a page of a sibling", { ...JSON_TYPE, "sec-fetch-site": "same-site" }],
  ];
  for (const [what, headers] of foreign) {
    it(`${what} changes nothing`, async () => {
      const cluster = new FakeCluster();
      const routes = routesOf(cluster);
      const tried = [
        await ask(routes, path, { method: "POST", body: JSON.stringify(good), headers }),
        await ask(routes, "/api/v1/members/hearth-2/promote", { method: "POST", headers }),
        await ask(routes, "/api/v1/members/hearth-2", { method: "DELETE", headers }),
        await ask(routes, "/api/v1/leader/transfer", { method: "POST", headers }),
        await ask(routes, "/api/v1/snapshots", { method: "POST", headers }),
      ];
      assert.deepEqual(
        tried.map(({ status }) => status),
        [403, 403, 403, 403, 403],
      );
      assert.deepEqual(cluster.calls, []);
    });
  }

  it("a page that the node itself serves may", async () => {
    const headers = {
      ...JSON_TYPE,
      origin: "http://node:4040",
      host: "node:4040",
      "sec-fetch-site": "same-origin",
    };
    const answer = await ask(routesOf(new FakeCluster()), path, post(good, { headers }));
    assert.equal(answer.status, 200);
  });
});
