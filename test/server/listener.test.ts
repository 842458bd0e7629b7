import assert from "node:assert/strict";
import { once } from "node:events";
import { request } from "node:http";
import { connect } from "node:net";
import { describe, test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { WebSocket } from "ws";
import { SILENT_LOGGER } from "../../src/base/index.ts";
import {
  type Connection,
  type Listener,
  type ListenerOptions,
  openListener,
  type SendResult,
} from "../../src/server/index.ts";
import { canSharePort } from "../../src/service/index.ts";
import { withMoreTime } from "../support/more-time.ts";
import { findFreePorts } from "../support/ports.ts";
import { until } from "../support/until.ts";

interface Rig {
  readonly listener: Listener;
  readonly port: number;
  readonly connections: Connection[];
  readonly rejected: string[];
  /** "open", "message", "drain", "close" of all connections, in order. */
  readonly events: string[];
  onMessage: (connection: Connection, frame: Uint8Array) => void;
}

const OPTIONS: ListenerOptions = {
  frameMaxBytes: 64 * 1024,
  outboundMaxBytes: 1024 * 1024,
  connectionsMax: 4,
  pingIntervalMs: 0,
};

/** Runs `body` with a listener that echoes; whatever happens, the listener is closed before the thread may end. */
async function withListener(
  transport: "uws" | "ws",
  body: (rig: Rig) => Promise<void>,
  options: Partial<ListenerOptions> = {},
): Promise<void> {
  const rig = {
    connections: [] as Connection[],
    rejected: [] as string[],
    events: [] as string[],
    onMessage: (connection: Connection, frame: Uint8Array) => void connection.send(frame),
  };
  const open = (connection: Connection) => {
    rig.connections.push(connection);
    rig.events.push("open");
    return {
      maybeAnswer: () => false,
      message: (frame: Uint8Array) => {
        rig.events.push("message");
        rig.onMessage(connection, frame);
      },
      drain: () => void rig.events.push("drain"),
      close: () => void rig.events.push("close"),
    };
  };
  const rejected = (reason: string) => void rig.rejected.push(reason);
  const listener = openListener(
    transport,
    { ...OPTIONS, ...options },
    { events: { open, rejected }, logger: SILENT_LOGGER },
  );
  try {
    const port = await listener.listen("127.0.0.1", 0);
    await body(Object.assign(rig, { listener, port }));
  } finally {
    listener.close();
  }
}

async function connectTo(port: number): Promise<WebSocket> {
  const socket = new WebSocket(`ws://127.0.0.1:${port}/`, { perMessageDeflate: false });
  await once(socket, "open");
  return socket;
}

async function nextMessage(socket: WebSocket): Promise<Buffer> {
  const [data] = (await once(socket, "message")) as [Buffer];
  return data;
}

for (const transport of ["uws", "ws"] as const) {
  describe(`listener on ${transport}`, () => {
    test("says which library runs", async () => {
      await withListener(transport, async ({ listener }) => {
        assert.equal(listener.kind, transport);
      });
    });

    test("carries binary messages both ways, in order", async () => {
      await withListener(transport, async ({ port, listener }) => {
        const socket = await connectTo(port);
        const received: number[] = [];
        socket.on("message", (data: Buffer) => received.push(data[0] as number));
        for (let i = 0; i < 100; i++) socket.send(new Uint8Array(1000).fill(i));
        await until("all echoes came", () => received.length === 100);
        assert.deepEqual(received, [...Array(100).keys()]);
        assert.equal(listener.connectionCount, 1);
        socket.terminate();
      });
    });

    test("a frame of exactly the limit passes, one byte more ends the connection", async () => {
      await withListener(transport, async ({ port, rejected, events }) => {
        const socket = await connectTo(port);
        socket.send(new Uint8Array(OPTIONS.frameMaxBytes));
        assert.equal((await nextMessage(socket)).length, OPTIONS.frameMaxBytes);
        socket.send(new Uint8Array(OPTIONS.frameMaxBytes + 1));
        await once(socket, "close");
        await until("the owner was told", () => events.includes("close"));
        assert.deepEqual(rejected, ["frame_too_large"]);
        assert.equal(events.filter((event) => event === "message").length, 1);
      });
    });

    test("a frame that claims to be huge is refused by its header, before its bytes come", async () => {
      await withListener(transport, async ({ port, rejected }) => {
        const socket = connect(port, "127.0.0.1");
        await once(socket, "connect");
        socket.write(
          "GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n",
        );
        await once(socket, "data");
        // A masked binary frame with a 64-bit length of 2^40.
        socket.write(Buffer.from([0x82, 0xff, 0, 0, 1, 0, 0, 0, 0, 0, 1, 2, 3, 4]));
        socket.resume();
        await once(socket, "close");
        await until("the refusal was counted", () => rejected.length > 0);
        assert.deepEqual(rejected, ["frame_too_large"]);
      });
    });

    test("a text message ends the connection with the code for it", async () => {
      await withListener(transport, async ({ port, rejected }) => {
        const socket = await connectTo(port);
        socket.send("hello");
        const [code] = (await once(socket, "close")) as [number];
        assert.equal(code, 1003);
        assert.deepEqual(rejected, ["text_message"]);
      });
    });

    test("plain HTTP gets 426", async () => {
      await withListener(transport, async ({ port, rejected }) => {
        const call = request({ port, host: "127.0.0.1", path: "/metrics", agent: false }).end();
        const [response] = await once(call, "response");
        response.resume();
        assert.equal(response.statusCode, 426);
        assert.deepEqual(rejected, ["not_websocket"]);
      });
    });

    test("one connection more than allowed is refused with 503", async () => {
      await withListener(
        transport,
        async ({ port, rejected }) => {
          const socket = await connectTo(port);
          const second = new WebSocket(`ws://127.0.0.1:${port}/`);
          const [error] = (await once(second, "error")) as [Error];
          assert.match(error.message, /503/);
          assert.deepEqual(rejected, ["connections_limit"]);
          socket.terminate();
        },
        { connectionsMax: 1 },
      );
    });

    test("a peer that does not read is closed, and its stream has no gap before that", async () => {
      await withListener(transport, async (rig) => {
        const socket = await connectTo(rig.port);
        socket.pause();
        const received: Buffer[] = [];
        socket.on("message", (data: Buffer) => received.push(data));
        const [connection] = rig.connections as [Connection];
        const results: SendResult[] = [];
        for (let i = 0; i < 2000 && results.at(-1) !== "overflow"; i++) {
          const frame = new Uint8Array(32 * 1024);
          new DataView(frame.buffer).setUint32(0, i);
          results.push(connection.send(frame));
          if (i % 16 === 0) await delay(0);
        }
        assert.ok(results.includes("buffered"), "the backlog was visible");
        assert.equal(results.at(-1), "overflow");
        assert.equal(
          connection.send(new Uint8Array(1)),
          "overflow",
          "a closed connection takes nothing",
        );
        assert.equal(connection.bufferedBytes, 0);
        connection.close(1002, "again");
        await until("the owner was told", () => rig.events.includes("close"));
        assert.deepEqual(rig.rejected, ["slow_peer"]);
        socket.resume();
        await once(socket, "close");
        for (const [i, data] of received.entries()) assert.equal(data.readUInt32BE(0), i, "no gap");
      });
    });

    test("drain comes when a backlog has left", async () => {
      await withListener(transport, async (rig) => {
        const socket = await connectTo(rig.port);
        socket.pause();
        const [connection] = rig.connections as [Connection];
        let sent = 0;
        while (connection.bufferedBytes < 256 * 1024) {
          connection.send(new Uint8Array(64 * 1024));
          sent++;
          if (sent % 8 === 0) await delay(0);
        }
        let received = 0;
        socket.on("message", () => received++);
        socket.resume();
        await until("everything came", () => received === sent);
        await until("the owner was told", () => rig.events.includes("drain"));
        assert.equal(connection.bufferedBytes, 0);
        socket.terminate();
      });
    });

    test("sends outside of a handler can be corked", async () => {
      await withListener(transport, async (rig) => {
        const socket = await connectTo(rig.port);
        const received: number[] = [];
        socket.on("message", (data: Buffer) => received.push(data[0] as number));
        const [connection] = rig.connections as [Connection];
        connection.cork(() => {
          for (let i = 0; i < 50; i++) connection.send(new Uint8Array([i]));
        });
        await until("all came", () => received.length === 50);
        assert.deepEqual(received, [...Array(50).keys()]);
        socket.terminate();
      });
    });

    test("a close from inside a handler is safe", async () => {
      await withListener(transport, async (rig) => {
        rig.onMessage = (connection) => {
          connection.close(1002, "bad");
          connection.send(new Uint8Array(1));
          connection.close(1002, "again");
          connection.cork(() => {});
        };
        const socket = await connectTo(rig.port);
        socket.send(new Uint8Array(1));
        const [code, reason] = (await once(socket, "close")) as [number, Buffer];
        assert.equal(code, 1002);
        assert.equal(reason.toString(), "bad");
        await until(
          "closed once",
          () => rig.events.filter((event) => event === "close").length === 1,
        );
      });
    });

    test("a peer that is silent and does not answer pings is dropped", async () => {
      await withListener(
        transport,
        async (rig) => {
          const socket = new WebSocket(`ws://127.0.0.1:${rig.port}/`, { autoPong: false });
          await once(socket, "open");
          await once(socket, "close");
          assert.deepEqual(rig.rejected, ["idle_peer"]);
        },
        { pingIntervalMs: 30 },
      );
    });

    test("a silent peer that answers pings stays", () =>
      withMoreTime(20, (pingIntervalMs) =>
        withListener(
          transport,
          async (rig) => {
            const socket = await connectTo(rig.port);
            let pings = 0;
            socket.on("ping", () => pings++);
            await until("pings came, or the end", () => pings >= 3 || rig.rejected.length > 0);
            assert.equal(rig.listener.connectionCount, 1);
            socket.terminate();
          },
          { pingIntervalMs },
        ),
      ));

    test("when it stops, peers learn that the server goes away, and new ones are not taken", async () => {
      await withListener(transport, async ({ port, listener }) => {
        const socket = await connectTo(port);
        listener.stopListening();
        const late = connect(port, "127.0.0.1");
        await once(late, "error");
        listener.closeConnections();
        const [code] = (await once(socket, "close")) as [number];
        assert.equal(code, 1001);
      });
    });

    test("listeners share a port that was named", {
      skip: transport === "ws" && !canSharePort(),
    }, async () => {
      const [port = 0] = await findFreePorts(1);
      const events = { open: () => assert.fail("not asked"), rejected: () => {} };
      const listeners = [1, 2].map(() =>
        openListener(transport, OPTIONS, { events, logger: SILENT_LOGGER }),
      );
      try {
        for (const listener of listeners)
          assert.equal(await listener.listen("127.0.0.1", port), port);
      } finally {
        for (const listener of listeners) listener.close();
      }
    });

    test("an address that cannot be had is a typed error", async () => {
      await withListener(transport, async () => {
        const events = { open: () => assert.fail("not asked"), rejected: () => {} };
        const second = openListener(transport, OPTIONS, { events, logger: SILENT_LOGGER });
        try {
          await assert.rejects(second.listen("192.0.2.1", 1), {
            code: "unavailable",
            reason: "listen_failed",
          });
        } finally {
          second.close();
        }
      });
    });
  });
}
