import assert from "node:assert/strict";
import { describe, it } from "node:test";
import {
  Health,
  landingRoute,
  metricsRoute,
  type NodeStatus,
  type Route,
  statusRoutes,
} from "../../src/admin/index.ts";
import { ask } from "./support.ts";

const STATUS: NodeStatus = {
  nodeId: "hearth-0",
  clusterId: "8f1c2a04",
  version: "1.4.0",
  state: "ready",
  problem: null,
  uptimeMs: 5_000,
  pid: 1,
  httpAddress: "0.0.0.0:4040",
  websocketAddress: "0.0.0.0:4041",
  listener: "uws",
  dataDirectory: "/data",
  logDirectory: "/raft",
  raft: null,
  index: null,
  compaction: null,
  stateCheck: null,
  logBytes: null,
  readers: { running: 1, wanted: 1, connections: null },
};

const health = new Health([
  { name: "log", kind: "ready", check: () => ({ state: "ok" }) },
  { name: "apply", kind: "live", check: () => ({ state: "failed", reason: "stuck" }) },
]);

const routes: Route[] = statusRoutes({
  status: () => STATUS,
  buildInfo: {
    version: "1.4.0",
    revision: "",
    branch: "",
    buildUser: "",
    buildDate: "",
    goVersion: "node v20",
  },
  configYaml: (view) => `view: ${view}\n`,
  runtimeYaml: (view) => `limits: ${view}\n`,
  health,
  nowMs: () => 0,
});

describe("status", () => {
  it("is one versioned object with every field and every check", async () => {
    const answer = await ask(routes, "/api/v1/status");
    assert.deepEqual(answer.json(), {
      schema: "hearth/node-status/v1",
      asOf: "1970-01-01T00:00:00.000Z",
      ...STATUS,
      checks: [
        { kind: "live", name: "apply", state: "failed", reason: "stuck" },
        { kind: "ready", name: "log", state: "ok", reason: null },
      ],
    });
  });

  it("shows the configuration in the three views of the reference", async () => {
    const view = async (target: string): Promise<string> => (await ask(routes, target)).text;
    assert.equal(await view("/api/v1/status/config"), "view: all\n");
    assert.equal(await view("/api/v1/status/config?mode=diff"), "view: diff\n");
    assert.equal(await view("/api/v1/status/config/diff"), "view: diff\n");
    assert.equal(await view("/api/v1/status/config/default"), "view: defaults\n");
    assert.equal((await ask(routes, "/api/v1/status/config?mode=x")).status, 400);
  });

  it("shows the limits per tenant in two views", async () => {
    const view = async (target: string): Promise<string> => (await ask(routes, target)).text;
    assert.equal(await view("/runtime_config"), "limits: all\n");
    assert.equal(await view("/runtime_config?mode=diff"), "limits: diff\n");
    assert.equal((await ask(routes, "/runtime_config?mode=defaults")).status, 400);
  });

  it("says its version", async () => {
    assert.equal((await ask(routes, "/api/v1/status/buildinfo")).json().data.version, "1.4.0");
  });
});

describe("pages", () => {
  it("the landing page lists every path, escaped, and loads nothing", async () => {
    const landing = landingRoute({
      routes: () => [
        ...routes,
        { method: "GET", path: "/a<b>", summary: 'x & "y"', handle: () => assert.fail() },
      ],
      title: () => "Hearth <test>",
      readiness: () => health.evaluate("live"),
    });
    const answer = await ask([landing], "/");
    assert.match(answer.headers["content-security-policy"] ?? "", /default-src 'none'/);
    assert.ok(answer.text.includes("Hearth &lt;test&gt;"));
    assert.ok(answer.text.includes("This node is not ready: stuck."));
    assert.ok(answer.text.includes("<code>/a&lt;b&gt;</code>"));
    assert.ok(answer.text.includes("x &amp; &quot;y&quot;"));
    assert.ok(answer.text.includes('<a href="/api/v1/status">'));
    assert.ok(!/<script|http:|https:/.test(answer.text));
  });

  it("metrics keep the content type of the exposition", async () => {
    const route = metricsRoute({
      expose: async () => ({ contentType: "text/plain; version=0.0.4", body: "x 1\n" }),
    });
    const answer = await ask([route], "/metrics");
    assert.deepEqual(
      [answer.headers["content-type"], answer.text],
      ["text/plain; version=0.0.4", "x 1\n"],
    );
  });
});
