/** Writes go to the leader by themselves, and are none the worse for a wrong word on who that is. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { ConnectOptions, HearthClient } from "../../src/client/index.ts";
import { leaderEndpoint } from "../../src/client/endpoint.ts";
import { type LeaderNotice, OP } from "../../src/protocol/index.ts";
import { until } from "../support/until.ts";
import { type FakeRequest, type FakeServer, refusal } from "./fake-server.ts";
import { nextStatus, startClient, startServer, type Teardown } from "./fixture.ts";

/** Only a test that fails waits that long. */
const PATIENCE = { timeoutMs: 60_000 };

interface Trio {
  /** The one that the client knows. */
  readonly first: FakeServer;
  readonly second: FakeServer;
  readonly third: FakeServer;
  connect(options?: Partial<ConnectOptions>): Promise<HearthClient>;
}

/** Members node-0 to node-2, all of which take writes. */
async function startTrio(t: Teardown): Promise<Trio> {
  const start = async (position: number): Promise<FakeServer> => {
    const server = await startServer(t, { hello: { nodeId: `node-${position}` } });
    server.script = acknowledge;
    return server;
  };
  const [first, second, third] = [await start(0), await start(1), await start(2)];
  const connect = (options: Partial<ConnectOptions> = {}): Promise<HearthClient> =>
    startClient(t, [first.endpoint], options);
  return { first, second, third, connect };
}

function acknowledge(request: FakeRequest): void {
  if (request.opcode === OP.ping) request.answer();
  else request.answerWrite({ logIndex: 1, term: 1 });
}

function notice(server: FakeServer, position: number, term: number): LeaderNotice {
  return { id: `node-${position}`, address: server.endpoint, term };
}

const write = (client: HearthClient): Promise<unknown> =>
  client.addBlock(new Uint8Array(8), PATIENCE);

const writesAt = (server: FakeServer): number => server.received(OP.add_block).length;

/** Writes until one has arrived there; every write is answered meanwhile. */
async function writeUntilAt(client: HearthClient, server: FakeServer): Promise<void> {
  const before = writesAt(server);
  await until("a write arrives there", async () => {
    await write(client);
    return writesAt(server) > before;
  });
}

describe("the leader that a member names", () => {
  it("in its hello gets the writes; reads stay", async (t) => {
    const { first, second, connect } = await startTrio(t);
    first.tellLeader(notice(second, 1, 5));
    const client = await connect();
    assert.equal(first.hellos[0]?.wantsLeader, true);
    await writeUntilAt(client, second);
    const before = writesAt(first);
    for (let i = 0; i < 10; i++) await write(client);
    await client.ping();
    assert.equal(writesAt(first), before);
    assert.equal(first.received(OP.ping).length, 1);
  });

  it("later is followed to, and the status says so", async (t) => {
    const { first, second, third, connect } = await startTrio(t);
    first.tellLeader(notice(second, 1, 5));
    const client = await connect();
    const statuses = client.status()[Symbol.asyncIterator]();
    await writeUntilAt(client, second);
    first.tellLeader(notice(third, 2, 6));
    assert.deepEqual((await nextStatus(statuses, "leaderChanged")).leader, {
      id: "node-2",
      address: third.endpoint,
    });
    await writeUntilAt(client, third);
    await second.whenDeserted();
  });

  it("may be told by the former leader alone", async (t) => {
    const { first, second, third, connect } = await startTrio(t);
    first.tellLeader(notice(second, 1, 5));
    const client = await connect();
    await writeUntilAt(client, second);
    second.tellLeader(notice(third, 2, 6));
    await writeUntilAt(client, third);
  });

  it("may be the member itself: then there is one connection", async (t) => {
    const { first, second, connect } = await startTrio(t);
    first.tellLeader(notice(second, 1, 5));
    const client = await connect();
    await writeUntilAt(client, second);
    // Under another name than the client has for it.
    const { port } = first;
    first.tellLeader({ id: "node-0", address: `localhost:${port}`, term: 6 });
    await second.whenDeserted();
    await writeUntilAt(client, first);
    assert.equal(first.hellos.length, 1);
  });

  it("does not matter to a client that keeps to its endpoints", async (t) => {
    const { first, second, connect } = await startTrio(t);
    first.tellLeader(notice(second, 1, 5));
    const client = await connect({ followLeader: false });
    assert.equal(first.hellos[0]?.wantsLeader, false);
    let isRefused = false;
    first.script = (request) => {
      if (isRefused) return acknowledge(request);
      isRefused = true;
      const leader = { id: "node-1", address: second.endpoint };
      request.fail(refusal("unavailable", { reason: "not_leader", leader }));
    };
    await write(client);
    assert.equal(writesAt(first), 2);
    assert.equal(second.hellos.length, 0);
  });
});

describe("a word that is old or wrong", () => {
  it("of an older term never takes the place of a newer one", async (t) => {
    const { first, second, third, connect } = await startTrio(t);
    const stale = await startServer(t);
    first.tellLeader(notice(second, 1, 5));
    const client = await connect();
    await writeUntilAt(client, second);
    first.tellLeader({ id: "node-3", address: stale.endpoint, term: 4 });
    // Of two in one term one is wrong; the first one is kept.
    first.tellLeader({ id: "node-3", address: stale.endpoint, term: 5 });
    first.tellLeader(notice(third, 2, 6));
    await writeUntilAt(client, third);
    assert.equal(stale.hellos.length, 0);
  });

  it("without a term, in a refusal, does not either", async (t) => {
    const { first, second, third, connect } = await startTrio(t);
    first.tellLeader(notice(second, 1, 5));
    const client = await connect();
    await writeUntilAt(client, second);
    const before = writesAt(first);
    const leader = { id: "node-2", address: third.endpoint };
    second.script = (request) =>
      request.fail(refusal("unavailable", { reason: "not_leader", leader }));
    await write(client);
    assert.equal(third.hellos.length, 0);
    assert.equal(writesAt(first), before + 1, "another member is asked next");
  });

  it("from members that point at each other leads nobody around", async (t) => {
    const { first, second, third, connect } = await startTrio(t);
    first.tellLeader(notice(second, 1, 5));
    second.tellLeader(notice(third, 2, 5));
    third.tellLeader(notice(second, 1, 5));
    const client = await connect();
    await writeUntilAt(client, second);
    for (let i = 0; i < 10; i++) await write(client);
    assert.deepEqual(
      [first, second, third].map(({ hellos }) => hellos.length),
      [1, 1, 0],
    );
  });

  it("on an address where nobody answers costs nothing, and is tried again", async (t) => {
    const { first, connect } = await startTrio(t);
    const gone = await startServer(t);
    const { port, endpoint } = gone;
    await gone.stop();
    first.tellLeader({ id: "node-1", address: endpoint, term: 5 });
    const client = await connect();
    await write(client);
    assert.equal(writesAt(first), 1);
    const back = await startServer(t, { port, hello: { nodeId: "node-1" } });
    back.script = acknowledge;
    await writeUntilAt(client, back);
  });

  it("on an address that swallows everything holds no write up", async (t) => {
    const { first, connect } = await startTrio(t);
    const mute = await startServer(t, { isMute: true });
    first.tellLeader({ id: "node-1", address: mute.endpoint, term: 5 });
    const client = await connect({ connectTimeoutMs: 120_000 });
    await until("it is being asked", () => mute.hellos.length === 1);
    for (let i = 0; i < 5; i++) await write(client);
    assert.equal(writesAt(first), 5);
  });

  it("on an address of another member or another cluster gets no write there", async (t) => {
    const { first, second, third, connect } = await startTrio(t);
    const foreign = await startServer(t, { hello: { nodeId: "node-1", clusterId: "other" } });
    first.tellLeader(notice(third, 1, 5));
    const client = await connect();
    await until("it found somebody else", () => third.hellos.length === 1);
    await third.whenDeserted();
    first.tellLeader(notice(foreign, 1, 6));
    await until("it found another cluster", () => foreign.hellos.length === 1);
    await foreign.whenDeserted();
    await write(client);
    first.tellLeader(notice(second, 1, 7));
    await writeUntilAt(client, second);
    assert.deepEqual([writesAt(third), writesAt(foreign)], [0, 0]);
    assert.deepEqual([third.hellos.length, foreign.hellos.length], [1, 1]);
  });

  it("is nothing that a frame may demand: one that names nobody is ignored", async (t) => {
    const { first, second, connect } = await startTrio(t);
    const client = await connect();
    await write(client);
    for (const wrong of [{ id: "" }, { address: "" }, { address: "not an address" }, { term: 0 }])
      first.tellLeader({ ...notice(second, 1, 5), ...wrong });
    await client.ping();
    first.tellLeader(notice(second, 1, 5));
    await writeUntilAt(client, second);
    assert.equal(first.hellos.length, 1);
  });
});

describe("a leader that goes", () => {
  it("by dying: its writes are repeated elsewhere", async (t) => {
    const { first, second, connect } = await startTrio(t);
    first.tellLeader(notice(second, 1, 5));
    const client = await connect();
    await writeUntilAt(client, second);
    second.script = () => {};
    const before = writesAt(second);
    const open = write(client);
    await until("the leader has it", () => writesAt(second) > before);
    await second.stop();
    await open;
    await write(client);
  });

  it("by hanging: its writes are repeated at the next one, as soon as that is known", async (t) => {
    const { first, second, third, connect } = await startTrio(t);
    first.tellLeader(notice(second, 1, 5));
    // The hang itself is found out late.
    const client = await connect({ keepAliveIntervalMs: 0 });
    await writeUntilAt(client, second);
    second.script = () => {};
    const before = writesAt(second);
    const open = Array.from({ length: 10 }, () => write(client));
    await until("the leader has them", () => writesAt(second) === before + 10);
    first.tellLeader(notice(third, 2, 6));
    await Promise.all(open);
    assert.equal(writesAt(third), 10);
  });

  it("again and again, under load: every write is answered", async (t) => {
    const { first, second, third, connect } = await startTrio(t);
    const client = await connect({ maxWaitForConnectionMs: 60_000 });
    let isOver = false;
    let count = 0;
    const writers = Array.from({ length: 8 }, async () => {
      while (!isOver) {
        await write(client);
        count++;
      }
    });
    for (let term = 1; term <= 40; term++) {
      const [server, position] = [first, second, third].map((each, i) => [each, i] as const)[
        term % 3
      ] as readonly [FakeServer, number];
      first.tellLeader(notice(server, position, term));
      // A few of them are cut off as well.
      if (term % 5 === 0) server.kill();
      const wanted = count + 20;
      await until("writes go on", () => count >= wanted);
    }
    isOver = true;
    await Promise.all(writers);
    await writeUntilAt(client, second);
  });
});

describe("an address that a member names", () => {
  it("is dialled no less safely than the connection it came by", () => {
    assert.equal(leaderEndpoint("b:4041", "a:4041"), "b:4041");
    assert.equal(leaderEndpoint("b:4041", "wss://a:4041"), "wss://b:4041");
    assert.equal(leaderEndpoint("wss://b:4041", "a:4041"), "wss://b:4041");
    assert.equal(leaderEndpoint("ws://b:4041", "wss://a:4041"), null);
    assert.equal(leaderEndpoint("http://b:4041", "a:4041"), null);
    assert.equal(leaderEndpoint("", "a:4041"), null);
  });
});
