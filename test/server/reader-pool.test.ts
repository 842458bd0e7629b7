import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer } from "node:net";
import { describe, test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { isDeepStrictEqual } from "node:util";
import { HearthError } from "../../src/base/index.ts";
import {
  decodeErrorReply,
  decodeHelloReply,
  decodeJsonMessage,
  decodeTenantsReply,
  decodeWriteReply,
  encodeJsonMessage,
  type LeaderNotice,
  OP,
  PlanChunkReader,
} from "../../src/protocol/index.ts";
import { until } from "../support/until.ts";
import { FrameClient, type PoolRig, withPool } from "./pool-support.ts";
import {
  type Answer,
  BLOCK,
  blockPayload,
  encoded,
  frame,
  helloFrame,
  queryPayload,
  readAnswer,
  tenantPayload,
} from "./support.ts";

async function withClient(
  rig: PoolRig,
  body: (client: FrameClient) => Promise<void>,
): Promise<void> {
  const client = await FrameClient.connect(rig.pool.address?.port ?? 0);
  try {
    await body(client);
  } finally {
    client.close();
  }
}

function blocksOf(answer: Answer): string[] {
  const chunk = new PlanChunkReader(answer.payload);
  return Array.from({ length: chunk.blockCount }, (_, i) => chunk.block(i).id);
}

/** More than a turn of a thread takes, and less than lies between the starts of main's clock and of a thread's. */
const TURN_MS = 50;

const QUERY = { opcode: OP.query_metadata, payload: queryPayload() };
const wide = {
  minTimeMs: 1,
  maxTimeMs: 900,
  datasets: BLOCK.datasets.map((each) => ({ ...each, minTimeMs: 1, maxTimeMs: 900 })),
};

for (const transport of ["uws", "ws"] as const) {
  describe(`reader pool on ${transport}`, () => {
    test("a write is seen by the read that follows it, on every reader", async () => {
      await withPool({ transport, readersCount: 2 }, async (rig) => {
        const clients: FrameClient[] = [];
        for (let i = 0; i < 6; i++)
          clients.push(await FrameClient.connect(rig.pool.address?.port ?? 0));
        try {
          for (let i = 0; i < 20; i++) {
            const id = `01HQZX5T8M00000000000000${String(i).padStart(2, "0")}`;
            const writer = clients[i % 6] as FrameClient;
            const added = await writer.call({
              opcode: OP.add_block,
              payload: blockPayload({ ...wide, id }),
            });
            assert.equal(added.error, null);
            assert.equal(decodeWriteReply(added.payload).logIndex, i + 1);
            const reader = clients[(i * 5 + 1) % 6] as FrameClient;
            const found = await reader.call(QUERY);
            assert.equal(found.error, null);
            assert.equal(blocksOf(found).length, i + 1, `after write ${i}`);
          }
        } finally {
          for (const client of clients) client.close();
        }
      });
    });

    test("starts and stops cleanly, again and again, with open connections and requests", async () => {
      for (let i = 0; i < (transport === "uws" ? 5 : 2); i++) {
        await withPool({ transport, readersCount: 2 }, async (rig) => {
          const client = await FrameClient.connect(rig.pool.address?.port ?? 0);
          assert.equal((await client.call(QUERY)).error, null);
          // A read that waits for an index that never comes, and a write.
          rig.shared.publish({
            term: 1,
            commitIndex: 9,
            appliedIndex: 0,
            isLeader: true,
            canGrantReads: true,
          });
          client.socket.send(frame({ ...QUERY, requestId: 100 }));
          client.socket.send(
            frame({ opcode: OP.add_block, requestId: 101, payload: blockPayload() }),
          );
          // With its answer the read is there too.
          assert.equal((await client.answerTo(101)).error, null);
          const closed = once(client.socket, "close");
          await rig.pool.stop();
          const [code] = (await closed) as [number];
          assert.equal(code, 1001, "peers learn that the server goes away");
          assert.deepEqual(
            rig.logs.filter(({ level }) => level === "error"),
            [],
          );
        });
      }
    });

    test("a port that is taken is a typed error and leaves nothing running", async () => {
      const taken = createServer().listen(0, "127.0.0.1");
      await once(taken, "listening");
      const { port } = taken.address() as { port: number };
      await assert.rejects(
        withPool({ transport, port }, async () => assert.fail("it must not start")),
        { code: "unavailable", reason: "listen_failed" },
      );
      taken.close();
    });
  });
}

describe("reader pool", () => {
  test("a second pool on the same port is refused, although threads share ports", async () => {
    await withPool({ readersCount: 1, port: 0 }, async (rig) => {
      const port = rig.pool.address?.port ?? 0;
      assert.notEqual(port, 0, "a free one was chosen");
      await assert.rejects(
        withPool({ port }, async () => {}),
        { reason: "listen_failed" },
      );
      await withClient(rig, async (client) => {
        assert.equal((await client.call({ opcode: OP.ping })).error, null);
      });
    });
  });

  test("where ports cannot be shared, further readers serve local connections only", async () => {
    await withPool({ transport: "ws", readersCount: 3 }, async (rig) => {
      assert.equal(rig.pool.servingCount, 3);
      await withClient(rig, async (client) => {
        assert.equal((await client.call({ opcode: OP.ping })).error, null);
      });
    });
  });

  test("main reads the deadline of a write by its own clock, not by that of the thread that took it", async () => {
    await withPool({}, async (rig) => {
      await withClient(rig, async (client) => {
        const timeoutMs = 60_000;
        const beganAtMs = performance.now();
        const write = { opcode: OP.add_block, timeoutMs, payload: blockPayload() };
        assert.equal((await client.call(write)).error, null);
        const endedAtMs = performance.now();
        const deadlineAtMs = rig.proposer.lastProposal?.deadlineAtMs ?? 0;
        // A thread takes a request to have begun at its last look at the clock, in the turn in which it came (TurnClock).
        const latestMs = beganAtMs + timeoutMs - TURN_MS;
        assert.ok(deadlineAtMs >= latestMs, `${deadlineAtMs} is before ${latestMs}`);
        assert.ok(deadlineAtMs <= endedAtMs + timeoutMs, `${deadlineAtMs} is after ${endedAtMs}`);
      });
    });
  });

  test("what main refuses reaches the client with its reason and leader", async () => {
    await withPool({}, async (rig) => {
      const leader = { id: "n2", address: "host:1" };
      rig.proposer.refusal = new HearthError("unavailable", "Not the leader", {
        reason: "not_leader",
        leader,
      });
      rig.proposer.publish(false);
      await withClient(rig, async (client) => {
        const added = await client.call({ opcode: OP.add_block, payload: blockPayload() });
        assert.equal(added.error?.reason, "not_leader");
        assert.deepEqual(added.error?.leader, leader);
        const found = await client.call(QUERY);
        assert.equal(found.error?.reason, "not_leader");
      });
    });
  });

  test("a read waits until its granted index is applied, without polling", async () => {
    await withPool({}, async (rig) => {
      await withClient(rig, async (client) => {
        rig.shared.publish({
          term: 1,
          commitIndex: 1,
          appliedIndex: 0,
          isLeader: true,
          canGrantReads: true,
        });
        const query = client.call(QUERY);
        await delay(30);
        assert.equal(client.answers.length, 1, "only hello was answered");
        const added = await client.call({ opcode: OP.add_block, payload: blockPayload(wide) });
        assert.equal(added.error, null);
        assert.deepEqual(blocksOf(await query), [BLOCK.id]);
      });
    });
  });

  test("a read whose index does not come in time is unavailable", async () => {
    await withPool({}, async (rig) => {
      await withClient(rig, async (client) => {
        rig.shared.publish({
          term: 1,
          commitIndex: 1,
          appliedIndex: 0,
          isLeader: true,
          canGrantReads: true,
        });
        const found = await client.call({ ...QUERY, timeoutMs: 50 });
        assert.equal(found.error?.code, "unavailable");
        assert.equal(found.error?.reason, "not_caught_up");
      });
    });
  });

  test("a reader that dies is replaced, and given up when that happens too often", async () => {
    await withPool({ restartsPerMinuteMax: 1 }, async (rig) => {
      rig.proposer.isAnsweringTwice = true;
      const isReplaced = () =>
        rig.logs.some(({ message }) => message === "restarting a reader thread") &&
        rig.pool.servingCount === 1;
      const isGivenUp = () => rig.gaveUp.length > 0;
      for (const hasEnded of [isReplaced, isGivenUp]) {
        await withClient(rig, async (client) => {
          const closed = once(client.socket, "close");
          client.socket.send(
            frame({ opcode: OP.add_block, requestId: 9, payload: blockPayload() }),
          );
          await closed;
        });
        await until("the pool has dealt with it", hasEnded);
      }
      assert.equal(rig.gaveUp.length, 1);
      assert.equal(rig.gaveUp[0]?.reason, "reader_restarts");
      const crashes = rig.logs.filter(({ message }) => message === "reader thread crashed");
      assert.equal(crashes.length, 2);
      assert.match(String(crashes[0]?.fields.error), /which was not asked/);
      const metrics = await rig.pool.metrics();
      assert.deepEqual(metrics, [], "dead readers report nothing");
      assert.throws(() => rig.pool.openLocal({ onOpen() {}, onFrame() {}, onClose() {} }), {
        reason: "no_reader",
      });
    });
  });

  test("a hello names the leader that main told of last, on every thread", async () => {
    await withPool({ readersCount: 2 }, async (rig) => {
      const leader = { id: "n2", address: "n2:4041", term: 7 };
      rig.pool.tellLeader({ ...leader, term: 6 });
      rig.pool.tellLeader(leader);
      for (let i = 0; i < 8; i++) {
        await until("a hello names the leader", async () => {
          let named: LeaderNotice | null = null;
          await withClient(rig, async ({ answers: [hello] }) => {
            named = decodeHelloReply((hello as Answer).payload).leader;
          });
          return isDeepStrictEqual(named, leader);
        });
      }
    });
  });

  test("node info tells of member, replica and server", async () => {
    await withPool({ readersCount: 2 }, async (rig) => {
      await withClient(rig, async (client) => {
        const info = JSON.parse(
          decodeJsonMessage((await client.call({ opcode: OP.node_info })).payload),
        );
        assert.equal(info.nodeId, "n1");
        assert.equal(info.role, "leader");
        assert.equal(info.readersServing, 2);
        assert.equal(info.transport, "uws");
      });
    });
  });

  test("inspection reads the state machine, where allowed", async () => {
    await withPool({ allowRawCommands: true }, async (rig) => {
      await withClient(rig, async (client) => {
        const ask = async (question: object): Promise<unknown> => {
          const payload = encoded((sink) => encodeJsonMessage(sink, JSON.stringify(question)));
          return JSON.parse(
            decodeJsonMessage((await client.call({ opcode: OP.inspect, payload })).payload),
          );
        };
        const exists = await ask({ op: "tombstone_exists", tenant: "a", shard: 1, block: "x" });
        assert.deepEqual(exists, { result: false });
        const listed = await ask({ op: "list_tombstones", before: "2030-01-01T00:00:00Z" });
        assert.deepEqual(listed, { result: [] });
      });
    });
  });

  test("counts what it serves", async () => {
    await withPool({ readersCount: 2 }, async (rig) => {
      await withClient(rig, async (client) => {
        await client.call(QUERY);
        await client.call({ ...QUERY, payload: new Uint8Array(5) });
        await client.call({ opcode: OP.add_block, payload: blockPayload() });
        const metrics = await rig.pool.metrics();
        assert.equal(metrics.length, 2);
        const requests = metrics.flatMap((each) => each.requests);
        const count = (route: string, code: number) =>
          requests
            .filter((each) => each.route === route && each.code === code)
            .reduce((sum, each) => sum + each.count, 0);
        assert.equal(count("query_metadata", 0), 1);
        assert.equal(count("query_metadata", 3), 1);
        assert.equal(count("add_block", 0), 1);
        assert.equal(
          metrics.reduce((sum, each) => sum + each.connections, 0),
          1,
        );
        assert.equal(
          metrics.reduce((sum, each) => sum + each.writeEntries, 0),
          1,
        );
      });
    });
  });

  test("a local connection speaks the same protocol", async () => {
    await withPool({}, async (rig) => {
      const frames: Answer[] = [];
      const closes: { reason: string; isDraining: boolean }[] = [];
      let opened = 0;
      const channel = rig.pool.openLocal({
        onOpen: () => opened++,
        onFrame: (bytes) => void frames.push(readAnswer(bytes)),
        onClose: (close) => void closes.push(close),
      });
      assert.equal(opened, 0, "no callback before the opener has the channel");
      channel.send(helloFrame(1));
      await until("hello is answered", () => frames.length === 1);
      channel.send(frame({ opcode: OP.get_tenants, requestId: 2, payload: tenantPayload("") }));
      await until("the request is answered", () => frames.length === 2);
      assert.equal(opened, 1);
      assert.deepEqual(decodeTenantsReply((frames[1] as Answer).payload).tenants, []);
      channel.send(new Uint8Array(3));
      await until("it ends", () => closes.length > 0);
      assert.equal(decodeErrorReply((frames[2] as Answer).payload).reason, "frame_too_short");
      assert.equal(closes.length, 1);
    });
  });

  test("a local connection learns that the server stops", async () => {
    const closes: { isDraining: boolean }[] = [];
    await withPool({}, async (rig) => {
      rig.pool.openLocal({
        onOpen: () => {},
        onFrame: () => {},
        onClose: (close) => void closes.push(close),
      });
    });
    await until("it ends", () => closes.length > 0);
    assert.equal(closes.length, 1);
    assert.equal(closes[0]?.isDraining, true);
  });
});
