/**
 * A server in this process that does what a test says: it speaks real frames over a real socket and knows nothing
 * else. It says hello by itself, and everything else goes to the script of the test.
 */
import { once } from "node:events";
import type { AddressInfo, Socket } from "node:net";
import { type WebSocket, WebSocketServer } from "ws";
import { HearthError } from "../../src/base/index.ts";
import {
  appendFrameHeader,
  ByteSink,
  createFrameHeader,
  decodeHello,
  encodeErrorReply,
  encodeHelloReply,
  encodeLeaderNotice,
  encodeWriteReply,
  FLAG,
  FRAME_HEADER_BYTES,
  type Hello,
  type HelloReply,
  type LeaderNotice,
  OP,
  readFrameHeader,
  type WriteReply,
} from "../../src/protocol/index.ts";
import { framesOf } from "../server/support.ts";
import { findFreePorts } from "../support/ports.ts";

/** What the server does with a request; absent answers stay absent. */
export type Script = (request: FakeRequest) => void;

const HELLO: HelloReply = {
  protocol: 1,
  nodeId: "node-0",
  clusterId: "cluster-0",
  version: "0.0.0-test",
  frameMaxBytes: 1024 * 1024,
  inFlightMax: 256,
  chunkMaxBytes: 1024,
  dictionaryMaxBytes: 0,
  leader: null,
  bundleMaxBytes: 0,
};

export interface FakeServerOptions {
  readonly hello?: Partial<HelloReply>;
  /** Answers the hello with this error. */
  readonly helloError?: HearthError;
  /** Accepts connections and says nothing. */
  readonly isMute?: boolean;
  readonly port?: number;
}

/** Only a test that fails waits that long. */
const DESERTED_LIMIT_MS = 60_000;

export class FakeServer {
  /** What happens to each request. */
  script: Script = () => {};
  readonly requests: FakeRequest[] = [];
  readonly hellos: Hello[] = [];
  /** Messages that came, of which a bundle has several requests. */
  messages = 0;
  bundles = 0;
  /** Bytes. */
  largestBundle = 0;
  /** Below the WebSockets, in order of arrival. */
  readonly sockets: Socket[] = [];
  readonly #options: FakeServerOptions;
  readonly #server: WebSocketServer;
  #leader: LeaderNotice | null = null;
  readonly #waiters: { readonly opcode: number; readonly count: number; resolve(): void }[] = [];

  private constructor(server: WebSocketServer, options: FakeServerOptions) {
    this.#server = server;
    this.#options = options;
    server.on("connection", (socket, request) => {
      this.sockets.push(request.socket);
      socket.on("error", () => {});
      socket.on("message", (data: Buffer) => this.#onMessage(socket, data));
    });
  }

  static async start(options: FakeServerOptions = {}): Promise<FakeServer> {
    // None of those that outgoing connections are given: a client that dials a server that is down could meet itself.
    const port = options.port ?? (await findFreePorts(1))[0];
    const server = new WebSocketServer({ host: "127.0.0.1", port, perMessageDeflate: false });
    const fake = new FakeServer(server, options);
    await once(server, "listening");
    return fake;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  get endpoint(): string {
    return `127.0.0.1:${this.port}`;
  }

  get connectionCount(): number {
    return this.#server.clients.size;
  }

  /** Resolves when nobody is connected any more; the server notices a little later than the client. */
  async whenDeserted(): Promise<void> {
    const closing = [...this.#server.clients].map((socket) => once(socket, "close"));
    let timer: NodeJS.Timeout | undefined;
    const limit = new Promise<never>((_resolve, reject) => {
      const message = `${closing.length} connections stay open`;
      timer = setTimeout(() => reject(new Error(message)), DESERTED_LIMIT_MS);
    });
    try {
      await Promise.race([Promise.all(closing), limit]);
    } finally {
      clearTimeout(timer);
    }
  }

  received(opcode: number): FakeRequest[] {
    return this.requests.filter((request) => request.opcode === opcode);
  }

  /** Resolves when `count` requests of that operation have arrived since the start. */
  async waitFor(opcode: number, count = 1): Promise<FakeRequest> {
    if (this.received(opcode).length < count) {
      await new Promise<void>((resolve) => {
        this.#waiters.push({ opcode, count, resolve });
      });
    }
    return this.received(opcode)[count - 1] as FakeRequest;
  }

  /** Tells every connection who leads; from now on hellos say it too. */
  tellLeader(leader: LeaderNotice): void {
    this.#leader = leader;
    const frame = answerFrame({ opcode: OP.leader_changed, requestId: 0, flags: 0 }, (sink) =>
      encodeLeaderNotice(sink, leader),
    );
    for (const socket of this.#server.clients) socket.send(frame);
  }

  /** Cuts all connections without a word. */
  kill(): void {
    for (const socket of this.#server.clients) socket.terminate();
  }

  /** Closes all connections with a code. */
  closeAll(code: number): void {
    for (const socket of this.#server.clients) socket.close(code);
  }

  async stop(): Promise<void> {
    this.kill();
    await new Promise<void>((resolve) => {
      this.#server.close(() => resolve());
    });
  }

  #onMessage(socket: WebSocket, message: Buffer): void {
    this.messages++;
    const frames = framesOf(message);
    if (frames.length > 1) {
      this.bundles++;
      this.largestBundle = Math.max(this.largestBundle, message.length);
    }
    for (const frame of frames) this.#onFrame(socket, Buffer.from(frame));
  }

  #onFrame(socket: WebSocket, frame: Buffer): void {
    const request = new FakeRequest(socket, frame);
    if (request.opcode === OP.hello) {
      this.#onHello(request);
      return;
    }
    this.requests.push(request);
    this.script(request);
    for (const waiter of [...this.#waiters]) {
      if (this.received(waiter.opcode).length < waiter.count) continue;
      this.#waiters.splice(this.#waiters.indexOf(waiter), 1);
      waiter.resolve();
    }
  }

  #onHello(request: FakeRequest): void {
    this.hellos.push(decodeHello(request.payload));
    const { helloError, isMute, hello } = this.#options;
    if (isMute === true) return;
    if (helloError !== undefined) request.fail(helloError);
    else {
      const reply = { ...HELLO, leader: this.#leader, ...hello };
      request.answer((sink) => encodeHelloReply(sink, reply));
    }
  }
}

/** A request as it arrived, with ways to answer it. */
export class FakeRequest {
  readonly socket: WebSocket;
  readonly opcode: number;
  readonly flags: number;
  readonly requestId: number;
  readonly timeoutMs: number;
  readonly aux: number;
  readonly payload: Uint8Array;

  constructor(socket: WebSocket, frame: Buffer) {
    const header = createFrameHeader();
    const refusal = readFrameHeader(frame, header);
    if (refusal !== null) throw new Error(`The client sent a bad frame: ${refusal}`);
    this.socket = socket;
    this.opcode = header.opcode;
    this.flags = header.flags;
    this.requestId = header.requestId;
    this.timeoutMs = header.timeoutMs;
    this.aux = header.aux;
    this.payload = frame.subarray(FRAME_HEADER_BYTES);
  }

  /** One frame of the answer; the last one unless `flags` says otherwise. */
  answer(write: (sink: ByteSink) => unknown = () => {}, flags: number = FLAG.last): void {
    this.socket.send(answerFrame({ ...this, flags }, write));
  }

  answerBytes(bytes: Uint8Array, flags: number = FLAG.last): void {
    this.answer((sink) => sink.append(bytes), flags);
  }

  answerWrite(reply: WriteReply): void {
    this.answer((sink) => encodeWriteReply(sink, reply));
  }

  fail(error: HearthError): void {
    this.answer((sink) => encodeErrorReply(sink, error), FLAG.last | FLAG.error);
  }
}

export function answerFrame(
  header: { readonly opcode: number; readonly requestId: number; readonly flags: number },
  write: (sink: ByteSink) => unknown = () => {},
): Uint8Array {
  const { opcode, requestId, flags } = header;
  const sink = new ByteSink();
  appendFrameHeader(sink, { opcode, flags, requestId, timeoutMs: 0, aux: 0 });
  write(sink);
  return sink.copy();
}

/** An error as servers send it. */
export function refusal(
  code: HearthError["code"],
  details: ConstructorParameters<typeof HearthError>[2] = {},
): HearthError {
  return new HearthError(code, `refused with ${code}`, details);
}
