/**
 * The least of HTTP/2 that a unary gRPC call needs, written onto a plain socket as raw-websocket.ts does for ours: a
 * general client would cost several times as much per call, and on a machine whose cores the servers share that would
 * be a handicap for the other side. Not a client: it trusts its server, and one call is in flight at a time.
 *
 *   client                                server
 *   preface, SETTINGS, WINDOW_UPDATE  ->  SETTINGS
 *   HEADERS (prebuilt), DATA, end     ->  HEADERS, DATA, HEADERS with end (trailers)
 *
 * The server is told to keep no header table, so headers that it sends can be skipped unread: an answer is right when
 * it holds a message, and a call that failed has trailers only.
 *
 * Source: RFC 9113 (frames), RFC 7541 (header fields as literals), the gRPC protocol over HTTP/2.
 */

import { connect, type Socket } from "node:net";

const PREFACE = Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "latin1");
const FRAME_HEADER_BYTES = 9;
const FRAME = {
  data: 0,
  headers: 1,
  reset: 3,
  settings: 4,
  ping: 6,
  goAway: 7,
  windowUpdate: 8,
} as const;
const FLAG = { endStream: 1, ack: 1, endHeaders: 4 } as const;
const SETTING = { headerTableSize: 1, enablePush: 2, initialWindowSize: 4 } as const;
/** Ours: large, and renewed long before it is used up. */
const WINDOW_BYTES = 1 << 30;
const WINDOW_RENEW_BYTES = 1 << 24;
/** What every server grants a connection before it says more. */
const SEND_WINDOW_BYTES = 65_535;
const GRPC_PREFIX_BYTES = 5;

export interface UnaryOptions {
  readonly port: number;
  /** "/etcdserverpb.KV/Put". */
  readonly path: string;
}

/** The message of an answer; borrowed until the call returns. */
export type OnMessage = (message: Uint8Array) => void;

export class Http2Unary {
  readonly #socket: Socket;
  readonly #headers: Uint8Array;
  #streamId = 1;
  #carry: Buffer = Buffer.alloc(0);
  #message: Uint8Array | null = null;
  #onMessage: OnMessage | null = null;
  #sendWindowBytes = SEND_WINDOW_BYTES;
  #receivedBytes = 0;

  static connect(options: UnaryOptions): Promise<Http2Unary> {
    return new Promise((resolve, reject) => {
      const socket = connect({ port: options.port, host: "127.0.0.1", noDelay: true });
      socket.once("error", reject);
      socket.once("connect", () => resolve(new Http2Unary(socket, options)));
    });
  }

  private constructor(socket: Socket, options: UnaryOptions) {
    this.#socket = socket;
    this.#headers = headerBlock(options);
    socket.removeAllListeners("error");
    socket.on("error", (error) => {
      if (this.#onMessage !== null) throw error;
    });
    socket.on("data", (chunk: Buffer) => this.#receive(chunk));
    const settings = Buffer.concat([
      setting(SETTING.headerTableSize, 0),
      setting(SETTING.enablePush, 0),
      setting(SETTING.initialWindowSize, WINDOW_BYTES),
    ]);
    socket.write(
      Buffer.concat([PREFACE, frame(FRAME.settings, 0, 0, settings), windowUpdate(WINDOW_BYTES)]),
    );
  }

  /** Sends one protobuf message, which may be changed again when the answer is there. */
  call(message: Uint8Array, onMessage: OnMessage): void {
    const dataBytes = GRPC_PREFIX_BYTES + message.length;
    this.#sendWindowBytes -= dataBytes;
    if (this.#sendWindowBytes < 0) throw new Error("The send window is used up");
    this.#onMessage = onMessage;
    this.#message = null;
    const streamId = this.#streamId;
    this.#streamId += 2;
    const prefix = Buffer.alloc(FRAME_HEADER_BYTES + GRPC_PREFIX_BYTES);
    writeFrameHeader(prefix, dataBytes, FRAME.data, FLAG.endStream, streamId);
    prefix.writeUInt32BE(message.length, FRAME_HEADER_BYTES + 1);
    this.#socket.write(
      Buffer.concat([
        frame(FRAME.headers, FLAG.endHeaders, streamId, this.#headers),
        prefix,
        message,
      ]),
    );
  }

  close(): void {
    this.#onMessage = null;
    this.#socket.destroy();
  }

  #receive(chunk: Buffer): void {
    const bytes = this.#carry.length === 0 ? chunk : Buffer.concat([this.#carry, chunk]);
    let position = 0;
    while (position + FRAME_HEADER_BYTES <= bytes.length) {
      const payloadBytes = bytes.readUIntBE(position, 3);
      const end = position + FRAME_HEADER_BYTES + payloadBytes;
      if (end > bytes.length) break;
      const payload = bytes.subarray(position + FRAME_HEADER_BYTES, end);
      this.#onFrame(bytes[position + 3] as number, bytes[position + 4] as number, payload);
      position = end;
    }
    this.#carry = bytes.subarray(position);
  }

  #onFrame(type: number, flags: number, payload: Buffer): void {
    switch (type) {
      case FRAME.data:
        this.#renewWindow(payload.length);
        // Small answers come in one frame; a message in pieces is put together.
        this.#message = this.#message === null ? payload : Buffer.concat([this.#message, payload]);
        return;
      case FRAME.headers:
        if ((flags & FLAG.endStream) !== 0) this.#onEnd();
        return;
      case FRAME.settings:
        if ((flags & FLAG.ack) === 0) this.#socket.write(frame(FRAME.settings, FLAG.ack, 0, EMPTY));
        return;
      case FRAME.ping:
        if ((flags & FLAG.ack) === 0) this.#socket.write(frame(FRAME.ping, FLAG.ack, 0, payload));
        return;
      case FRAME.windowUpdate:
        this.#sendWindowBytes += payload.readUInt32BE(0);
        return;
      case FRAME.reset:
        // Behind a whole answer, from a server that answered before it had looked at the end of the request (RFC 9113, 8.1).
        if (payload.readUInt32BE(0) === NO_ERROR) return;
        throw new Error("The server ends the call");
      case FRAME.goAway:
        throw new Error("The server ends the connection");
    }
  }

  #onEnd(): void {
    const message = this.#message;
    const onMessage = this.#onMessage;
    if (message === null || message.length < GRPC_PREFIX_BYTES) {
      throw new Error("The server refused a call of the load");
    }
    this.#onMessage = null;
    onMessage?.(message.subarray(GRPC_PREFIX_BYTES));
  }

  #renewWindow(bytes: number): void {
    this.#receivedBytes += bytes;
    if (this.#receivedBytes < WINDOW_RENEW_BYTES) return;
    this.#socket.write(windowUpdate(this.#receivedBytes));
    this.#receivedBytes = 0;
  }
}

const NO_ERROR = 0;
const EMPTY = new Uint8Array(0);

function writeFrameHeader(
  target: Buffer,
  payloadBytes: number,
  type: number,
  flags: number,
  streamId: number,
): void {
  target.writeUIntBE(payloadBytes, 0, 3);
  target[3] = type;
  target[4] = flags;
  target.writeUInt32BE(streamId, 5);
}

function frame(type: number, flags: number, streamId: number, payload: Uint8Array): Buffer {
  const bytes = Buffer.alloc(FRAME_HEADER_BYTES + payload.length);
  writeFrameHeader(bytes, payload.length, type, flags, streamId);
  bytes.set(payload, FRAME_HEADER_BYTES);
  return bytes;
}

function setting(name: number, value: number): Buffer {
  const bytes = Buffer.alloc(6);
  bytes.writeUInt16BE(name, 0);
  bytes.writeUInt32BE(value, 2);
  return bytes;
}

/** Of the whole connection. */
function windowUpdate(bytes: number): Buffer {
  const payload = Buffer.alloc(4);
  payload.writeUInt32BE(bytes, 0);
  return frame(FRAME.windowUpdate, 0, 0, payload);
}

/** Header fields as indexed or literal fields without indexing (RFC 7541, 6.1 and 6.2.2); the same for every call. */
function headerBlock({ port, path }: UnaryOptions): Uint8Array {
  const text = (value: string): number[] => [value.length, ...Buffer.from(value, "latin1")];
  return Uint8Array.from([
    0x83, // :method POST
    0x86, // :scheme http
    0x04, // :path
    ...text(path),
    0x01, // :authority
    ...text(`127.0.0.1:${port}`),
    0x0f, // content-type: index 31 with a prefix of 4 bits
    0x10,
    ...text("application/grpc"),
    0x00,
    ...text("te"),
    ...text("trailers"),
  ]);
}
