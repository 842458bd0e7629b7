/**
 * The network between members against the WebSocket stack that clients use, and against a bare socket. Both ends are in
 * this process, so CPU is that of sender and receivers together. Every variant carries the same bytes of the same codec:
 * what differs is how frames travel.
 */

import { createRequire } from "node:module";
import { connect, createServer, type Server, type Socket } from "node:net";
import type * as Uws from "uWebSockets.js";
import WebSocket from "ws";
import { Prng, SILENT_LOGGER, SYSTEM_SCHEDULER } from "../../../src/base/index.ts";
import {
  createPeerNetwork,
  PEER_DEFAULTS,
  type TcpPeerNetwork,
} from "../../../src/cluster/index.ts";
import {
  CODEC_LIMITS,
  decodeMessage,
  encodeMessage,
  joinPieces,
  MESSAGE_CODEC,
} from "../../../src/raft/codec/index.ts";
import { type Append, type AppendReply, type Message, MESSAGE } from "../../../src/raft/index.ts";
import {
  type BenchCase,
  type PreparedCase,
  repeatAsync,
  type Subject,
} from "../../harness/index.ts";

/** Two followers and a sender. */
const FOLLOWERS = ["b", "c"] as const;
const BIND = "127.0.0.1";

/** Sends a message to a follower; resolves when its reply has arrived. */
type Ask = (message: Message) => Promise<void>;

interface Transport {
  readonly ask: Ask;
  close(): Promise<void> | void;
}

/** Replies come in the order of messages, per follower. */
class Replies {
  readonly #waiting = new Map<string, (() => void)[]>(FOLLOWERS.map((id) => [id, []]));

  wait(from: string): Promise<void> {
    return new Promise((resolve) => this.#waiting.get(from)?.push(resolve));
  }

  take(from: string): void {
    this.#waiting.get(from)?.shift()?.();
  }
}

function replyTo({ from, to, term }: Message): AppendReply {
  const hint = { isRejected: false, hintIndex: 0, hintTerm: 0 };
  return { kind: MESSAGE.appendReply, from: to, to: from, term, index: 1, ...hint };
}

/** One entry (src/protocol/command/entry-body.ts): u32 payload bytes, u16 command, u16 version, 8 B, payload to 8. */
function entryBody(payloadBytes: number): Uint8Array {
  const body = new Uint8Array(16 + Math.ceil(payloadBytes / 8) * 8);
  const view = new DataView(body.buffer);
  view.setUint32(0, payloadBytes, true);
  view.setUint16(4, 1, true);
  view.setUint16(6, 1, true);
  return body;
}

function appendOf(to: string, payloadBytes: number): Append {
  const body = entryBody(payloadBytes);
  const batch = { kind: 1, firstIndex: 1, term: 1, appendedAtMs: 7, count: 1 } as const;
  const batches = [{ ...batch, body, bodyBytes: body.length }];
  const place = { previousIndex: 0, previousTerm: 0, commitIndex: 0 };
  return { kind: MESSAGE.append, from: "a", to, term: 1, ...place, batches };
}

// -- ours ----------------------------------------------------------------------------------------------------------

async function openPeers(): Promise<Transport> {
  const replies = new Replies();
  const networks: TcpPeerNetwork[] = [];
  const members: { id: string; serverId: string; address: string }[] = [];
  for (const [i, id] of ["a", ...FOLLOWERS].entries()) {
    const prng = new Prng(i);
    const network = createPeerNetwork(
      {
        ...PEER_DEFAULTS,
        listenHost: BIND,
        listenPort: 0,
        introduction: {
          clusterId: "bench",
          nodeId: id,
          serverId: id,
          addresses: { peer: "", http: "", websocket: "" },
          version: "",
          bootNonce: `${i}`.padStart(16, "0"),
        },
      },
      {
        codec: MESSAGE_CODEC,
        scheduler: SYSTEM_SCHEDULER,
        random: () => prng.nextU32(),
        logger: SILENT_LOGGER,
      },
    );
    network.setHandler({
      onMessage: (message) =>
        id === "a" ? replies.take(message.from) : network.send(replyTo(message)),
      onUnreachable: () => {},
      onRequest: (_request, answer) => answer({ ok: true, body: new Uint8Array(0) }),
    });
    networks.push(network);
    members.push({ id, serverId: id, address: `${BIND}:${await network.listen()}` });
  }
  const [sender] = networks as [TcpPeerNetwork];
  sender.setMembers(members);
  while (!sender.peers().every(({ isConnected }) => isConnected)) {
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  return {
    ask: (message) => {
      const answered = replies.wait(message.to);
      sender.send(message);
      return answered;
    },
    close: async () => {
      await Promise.all(networks.map((network) => network.close()));
    },
  };
}

// -- WebSocket: uWebSockets.js has no client, so the dialling side is ws ---------------------------------------------

/** Alone in memory at a multiple of 8: uWebSockets.js takes its buffer back when the handler returns. */
function owned(bytes: ArrayBuffer): Uint8Array {
  return new Uint8Array(bytes.slice(0));
}

async function openWebSockets(): Promise<Transport> {
  const uws = createRequire(import.meta.url)("uWebSockets.js") as typeof Uws;
  const replies = new Replies();
  const apps: Uws.TemplatedApp[] = [];
  const sockets = new Map<string, WebSocket>();
  for (const id of FOLLOWERS) {
    const app = uws.App();
    apps.push(app);
    app.ws("/*", {
      maxPayloadLength: CODEC_LIMITS.messageMaxBytes,
      maxBackpressure: 256 * 1024 * 1024,
      message: (socket, bytes) => {
        const message = decodeMessage(owned(bytes));
        socket.send(joinPieces(encodeMessage(replyTo(message))), true);
      },
    });
    const port = await new Promise<number>((resolve) =>
      app.listen(BIND, 0, (token) => resolve(token ? uws.us_socket_local_port(token) : 0)),
    );
    const socket = new WebSocket(`ws://${BIND}:${port}`, { perMessageDeflate: false });
    await new Promise((resolve) => socket.once("open", resolve));
    socket.on("message", (data: Buffer) => {
      const bytes = data.byteOffset % 8 === 0 ? data : new Uint8Array(data);
      replies.take(decodeMessage(bytes).from);
    });
    sockets.set(id, socket);
  }
  return {
    ask: (message) => {
      const answered = replies.wait(message.to);
      sockets.get(message.to)?.send(joinPieces(encodeMessage(message)));
      return answered;
    },
    close: () => {
      for (const socket of sockets.values()) socket.terminate();
      for (const app of apps) app.close();
    },
  };
}

// -- a bare socket: the codec's bytes and nothing else ----------------------------------------------------------------

const LENGTH_OFFSET = 8;

/** Frames by the length that the codec's own head carries; no checks, no bounds, no queue. */
function readFrames(socket: Socket, onFrame: (bytes: Uint8Array) => void): void {
  let held: Buffer = Buffer.alloc(0);
  socket.on("data", (chunk: Buffer) => {
    held = held.length === 0 ? chunk : Buffer.concat([held, chunk]);
    while (held.length >= LENGTH_OFFSET + 4) {
      const bytes = held.readUInt32LE(LENGTH_OFFSET);
      if (held.length < bytes) return;
      onFrame(new Uint8Array(held.subarray(0, bytes)));
      held = held.subarray(bytes);
    }
  });
}

function writePieces(socket: Socket, message: Message): void {
  socket.cork();
  for (const piece of encodeMessage(message).pieces) socket.write(piece);
  socket.uncork();
}

async function openBareSockets(): Promise<Transport> {
  const replies = new Replies();
  const sockets = new Map<string, Socket>();
  const servers: Server[] = [];
  for (const id of FOLLOWERS) {
    const server = createServer({ noDelay: true }, (socket) => {
      readFrames(socket, (bytes) => writePieces(socket, replyTo(decodeMessage(bytes))));
    });
    servers.push(server);
    await new Promise<void>((resolve) => server.listen(0, BIND, resolve));
    const { port } = server.address() as { port: number };
    const socket = connect({ host: BIND, port, noDelay: true });
    await new Promise((resolve) => socket.once("connect", resolve));
    readFrames(socket, (bytes) => replies.take(decodeMessage(bytes).from));
    sockets.set(id, socket);
  }
  return {
    ask: (message) => {
      const answered = replies.wait(message.to);
      writePieces(sockets.get(message.to) as Socket, message);
      return answered;
    },
    close: () => {
      for (const socket of sockets.values()) socket.destroy();
      for (const server of servers) server.close();
    },
  };
}

// -- cases -----------------------------------------------------------------------------------------------------------

/** One operation: an append to each follower, and both replies. */
function subjectOf(
  name: string,
  { ask }: Transport,
  payloadBytes: number,
  inFlight: number,
): Subject {
  const messages = FOLLOWERS.map((id) => appendOf(id, payloadBytes));
  const round = (): Promise<unknown> => Promise.all(messages.map(ask));
  return repeatAsync(name, round, { inFlight, hasLatencies: true });
}

async function prepare(
  open: () => Promise<Transport>,
  name: string,
  payloadBytes: number,
  inFlight: number,
): Promise<PreparedCase> {
  const peers = await openPeers();
  const other = await open();
  return {
    ours: subjectOf("peer network", peers, payloadBytes, inFlight),
    limit: subjectOf(name, other, payloadBytes, inFlight),
    close: async () => {
      await peers.close();
      await other.close();
    },
  };
}

/** What matters of a shape, and how far the other side may be ahead. */
const SHAPES = [
  { shape: "append-64KiB", payloadBytes: 65_000, inFlight: 16, metric: "rate", atLeast: 1 },
  { shape: "ping-pong-100B", payloadBytes: 16, inFlight: 1, metric: "p50Us", atLeast: 0.7 },
] as const;

export const cases: readonly BenchCase[] = SHAPES.flatMap(
  ({ shape, payloadBytes, inFlight, metric, atLeast }): BenchCase[] => {
    const form = metric === "rate" ? "ours/limit" : "limit/ours";
    return [
      {
        name: `cluster/transport/${shape}/websocket`,
        about:
          "One append to two followers and back, against ws on the dialling side and uWebSockets.js on the other.",
        goals: [
          { metric, form, atLeast },
          { metric: "cpuUs", form: "limit/ours" },
        ],
        sampleMs: 300,
        isLong: true,
        prepare: () => prepare(openWebSockets, "ws and uWebSockets.js", payloadBytes, inFlight),
      },
      {
        name: `cluster/transport/${shape}/bare-socket`,
        about:
          "One append to two followers and back, against node:net without frames, checks and bounds.",
        goals: [
          { metric, form, atLeast: 0.6 },
          { metric: "cpuUs", form: "limit/ours" },
        ],
        sampleMs: 300,
        isLong: true,
        prepare: () => prepare(openBareSockets, "node:net", payloadBytes, inFlight),
      },
    ];
  },
);
