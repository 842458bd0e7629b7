/** What a command makes of the nodes it asks: healthy, not ready, silent, or no node at all. */

import assert from "node:assert/strict";
import { type AddressInfo, createServer, type Socket } from "node:net";
import { describe, it } from "node:test";
import { nodeStatus } from "../support/fake-cluster.ts";
import { findFreePorts } from "../support/ports.ts";
import { withCluster } from "./cluster-support.ts";
import { hearth, withNode } from "./support.ts";

describe("health and status", () => {
  it("health speaks the form a script wants", async () => {
    let status = 200;
    await withNode(
      () => ({ status, body: status === 200 ? "ready\n" : "not ready: no leader for 12 s\n" }),
      async ({ endpoint }) => {
        const ask = async (...flags: string[]): Promise<[number, string]> => {
          const { code, out } = await hearth(["health", ...flags, "--endpoint", endpoint]);
          return [code, out];
        };
        assert.deepEqual(await ask(), [0, "ready"]);
        assert.deepEqual(await ask("--quiet"), [0, ""]);
        assert.deepEqual(await ask("--format", "nagios"), [0, "HEARTH OK - ready"]);
        status = 503;
        assert.deepEqual(await ask(), [4, "not ready: no leader for 12 s"]);
        assert.deepEqual(await ask("--format", "nagios"), [
          2,
          "HEARTH CRITICAL - not ready: no leader for 12 s",
        ]);
        assert.deepEqual(await ask("--format", "prometheus"), [
          4,
          `hearth_up{endpoint="${endpoint}"} 0`,
        ]);
        const [code, out] = await ask("--json");
        assert.equal(code, 4);
        assert.equal(JSON.parse(out).isHealthy, false);
      },
    );
  });

  it("health takes no other program for a node", async () => {
    await withNode(
      () => ({ body: "<h1>Welcome</h1>" }),
      async ({ endpoint }) => {
        const said = await hearth(["health", "--endpoint", endpoint]);
        assert.deepEqual([said.code, said.out], [3, ""]);
        assert.match(said.talk, /what answers there is no node of Hearth/);
        const nagios = await hearth(["health", "--format", "nagios", "--endpoint", endpoint]);
        assert.deepEqual(
          [nagios.code, nagios.out],
          [2, "HEARTH CRITICAL - what answers there is no node of Hearth"],
        );
      },
    );
  });

  const NODE = {
    schema: "hearth/node-status/v1",
    asOf: "2026-11-22T10:24:55.112Z",
    nodeId: "hearth-0",
    clusterId: "8f1c2a04",
    version: "1.4.0",
    state: "ready",
    problem: null,
    uptimeMs: 4_320_000,
    pid: 1,
    httpAddress: "0.0.0.0:4040",
    websocketAddress: "0.0.0.0:4041",
    listener: "uws",
    dataDirectory: "/data",
    logDirectory: "/raft",
    raft: {
      role: "leader",
      leaderId: "hearth-0",
      leaderForMs: 60_000,
      term: 7,
      lastIndex: 4_812_095,
      commitIndex: 4_812_095,
      appliedIndex: 4_812_090,
      voters: 1,
      reachableVoters: 1,
    },
    index: { blocks: 1_204_551, datasets: 12_045_510, bytes: 5, databaseBytes: 1_288_490_189 },
    compaction: null,
    stateCheck: null,
    logBytes: 134_217_728,
    readers: { running: 3, wanted: 3, connections: 12 },
    checks: [],
  };

  /** A node that knows of no members. */
  function alone(status: () => object): Parameters<typeof withNode>[0] {
    return ({ url }) => {
      if (url === "/api/v1/status") return { body: status() };
      const error = { code: "unavailable", message: "not yet", next: null, leader: null };
      return { status: 503, body: { error } };
    };
  }

  it("status is one screen", async () => {
    await withNode(
      alone(() => NODE),
      async ({ endpoint }) => {
        const said = await hearth(["status", "--endpoint", endpoint]);
        assert.equal(said.code, 0);
        assert.equal(
          said.out,
          [
            "cluster 8f1c2a04  healthy: 1 of 1 voter up, can lose 0",
            "leader  hearth-0  term 7, for 1m",
            "NODE      ROLE    STATE  VERSION    APPLIED  LAG  CONTACT     DISK",
            "hearth-0  leader  ready  1.4.0    4,812,090    -        -  1.3 GiB",
            "index       1,204,551 blocks, 12,045,510 datasets, 1.2 GiB on disk",
            "asked       hearth-0: http 0.0.0.0:4040, websocket 0.0.0.0:4041 (uws)",
          ].join("\n"),
        );
      },
    );
  });

  it("a node that is not ready is exit 4, with the reason and the next step", async () => {
    const starting = {
      ...NODE,
      state: "starting",
      problem: "starting: opening the log",
      clusterId: null,
      raft: null,
      index: null,
      compaction: null,
      stateCheck: null,
      logBytes: null,
      websocketAddress: null,
      listener: null,
    };
    await withNode(
      alone(() => starting),
      async ({ endpoint }) => {
        const said = await hearth(["status", "--endpoint", endpoint]);
        assert.equal(said.code, 4);
        assert.equal(
          said.out,
          [
            "cluster ?  STARTING: voters unknown",
            "  ! hearth-0: starting: opening the log",
            `    next: ${endpoint}/ready?verbose lists every check`,
            "leader  none known",
            "NODE      ROLE  STATE     VERSION  APPLIED  LAG  CONTACT  DISK",
            "hearth-0  ?     starting  1.4.0          ?    ?        -     ?",
            "asked       hearth-0: http 0.0.0.0:4040, websocket not listening yet",
          ].join("\n"),
        );
      },
    );
  });

  it("--wait asks until it is ready", async () => {
    let asked = 0;
    await withNode(
      alone(() => (asked++ === 0 ? { ...NODE, state: "not ready", problem: "x" } : NODE)),
      async ({ endpoint }) => {
        assert.equal((await hearth(["status", "--wait", "--endpoint", endpoint])).code, 0);
        assert.equal(asked, 2);
      },
    );
  });
});

describe("addresses", () => {
  it("names addresses that others can use, of members that listen on every interface", async () => {
    await withCluster(async ({ run, cluster }) => {
      const status = nodeStatus("hearth-1");
      const state = { state: "not ready", problem: "replaying log", httpAddress: "0.0.0.0:4040" };
      cluster.statuses.set("hearth-1", { ...status, ...state });
      assert.match((await run("status")).out, /next: http:\/\/10\.0\.3\.6:4040\/ready\?verbose/);
      const { leader, members } = JSON.parse((await run("status", "--json")).out);
      assert.equal(leader.address, "10.0.3.6:4040");
      assert.equal(members[1].address, "10.0.3.6:4040");
    });
  });
});

describe("nodes that do not answer", () => {
  /** Where nobody listens, and no other test will. */
  const nobody = async (): Promise<string> => `http://127.0.0.1:${(await findFreePorts(1))[0]}`;

  it("exit 3 with a reason for each", async () => {
    const gone = await nobody();
    const argv = [
      "tenant",
      "list",
      "--timeout",
      // Enough for a refusal on a busy machine; a name server may keep silent for as long.
      "5s",
      "--endpoint",
      gone,
      "--endpoint",
      "http://no-such-host.invalid:4040",
    ];
    const said = await hearth(argv);
    assert.equal(said.code, 3);
    const [first, refused, unknown, next] = said.talk.split("\n");
    assert.equal(first, "hearth: no node answered");
    assert.match(refused ?? "", /connection refused: nothing listens there$/);
    assert.match(unknown ?? "", /unknown host name|name server does not answer|no answer within/);
    assert.match(next ?? "", /^ {2}next {3}Name a node that runs/);
    const { error } = JSON.parse((await hearth([...argv, "--json"])).talk);
    assert.equal(error.code, "unavailable");
    assert.match(error.message, /^no node answered; http:\S+ connection refused: .*; http:\S+ /);
  });

  it("the first that answers is asked; HEARTH_ENDPOINTS names them too", async () => {
    const gone = await nobody();
    await withNode(
      () => ({ body: { tenantIds: ["a"] } }),
      async ({ endpoint }) => {
        const environment = { HEARTH_ENDPOINTS: `${gone}, ${endpoint.replace("http://", "")}` };
        const said = await hearth(["tenant", "list"], { environment });
        assert.deepEqual([said.code, said.out], [0, "a"]);
      },
    );
  });

  it("what is no node is told apart from silence", async () => {
    await withNode(
      () => ({ body: "<html>hello</html>" }),
      async ({ endpoint }) => {
        const said = await hearth(["tenant", "list", "--endpoint", endpoint]);
        assert.equal(said.code, 1);
        assert.equal(
          said.talk,
          `hearth: ${endpoint} did not answer with JSON\n  next   Is this the HTTP port of a Hearth node?`,
        );
      },
    );
  });

  it("what hangs is given up after the timeout", async () => {
    const endpoint = await withServer(() => {});
    const said = await hearth(["tenant", "list", "--timeout", "50ms", "--endpoint", endpoint.url]);
    await endpoint.close();
    assert.equal(said.code, 3);
    assert.match(said.talk, /no answer within 50ms, nor from \/ready: it hangs, or it is no node/);
    assert.match(said.talk, /next {3}Name a node that runs/);
  });

  it("a node that is there and takes too long says itself what keeps it", async () => {
    await withNode(
      (request) =>
        request.url === "/ready"
          ? { status: 503, body: "not ready: no leader for 12 s: reached 1 of 3 voters\n" }
          : null,
      async ({ endpoint }) => {
        // Long enough that a busy machine answers the second question in time.
        const said = await hearth(["tenant", "list", "--timeout", "1s", "--endpoint", endpoint]);
        assert.equal(said.code, 3);
        assert.deepEqual(said.talk.split("\n"), [
          "hearth: no node answered within 1s",
          `  ${endpoint}  no answer within 1s; /ready there says: not ready: no leader for 12 s: reached 1 of 3 voters`,
          "  next   hearth status says what is wrong, also without a leader; or wait longer: --timeout",
        ]);
      },
    );
  });

  it("what speaks no HTTP is told so", async () => {
    const endpoint = await withServer((socket) => void socket.end("220 ready\r\n\r\n"));
    const said = await hearth(["tenant", "list", "--endpoint", endpoint.url]);
    await endpoint.close();
    assert.equal(said.code, 3);
    assert.match(said.talk, /it does not speak HTTP there/);
  });
});

/** Something that listens, and is no node. */
async function withServer(
  onSocket: (socket: Socket) => void,
): Promise<{ url: string; close: () => Promise<void> }> {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on("error", () => {});
    onSocket(socket);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}`,
    close: () => {
      for (const socket of sockets) socket.destroy();
      return new Promise((resolve) => server.close(() => resolve()));
    },
  };
}
