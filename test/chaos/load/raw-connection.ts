/**
 * A connection that keeps no rule a client keeps: no limit on what is in flight, no look at time limits, and, if it is told
 * so, no reading. Frames are written as they are, masked with the key zero, which leaves a payload unchanged.
 */

import { randomBytes } from "node:crypto";
import { connect, type Socket } from "node:net";
import { buildFrame, writeRequestHeader } from "../../../src/client/frames.ts";
import { encodeHello, OP, PROTOCOL_MAX, PROTOCOL_MIN } from "../../../src/protocol/index.ts";

/** A frame of the binary protocol, borrowed until the call returns. */
export type FrameVisitor = (frame: Uint8Array) => void;

const OPCODE_BINARY = 0x82;
const MASKED = 0x80;
/** Requests of the connection begin behind its Hello. */
export const FIRST_REQUEST_ID = 2;

export class RawConnection {
  onFrame: FrameVisitor = () => {};
  /** In words, once it is closed. */
  closedBy: string | null = null;
  readonly #socket: Socket;
  #carry: Buffer = Buffer.alloc(0);

  private constructor(socket: Socket) {
    this.#socket = socket;
    socket.on("error", (error) => {
      this.closedBy ??= error.message;
    });
    socket.on("close", () => {
      this.closedBy ??= "the server";
    });
    socket.on("data", (bytes: Buffer) => this.#receive(bytes));
  }

  /** Connects, says Hello and waits for its answer. Errors: rejects when there is none. */
  static async open(port: number, name: string): Promise<RawConnection> {
    const connection = new RawConnection(await upgraded(port));
    await new Promise<void>((resolve, reject) => {
      connection.onFrame = () => resolve();
      connection.#socket.once("close", () => reject(new Error(`closed by ${connection.closedBy}`)));
      connection.write(messageOf(helloFrame(name)));
    });
    connection.onFrame = () => {};
    return connection;
  }

  /** Bytes that the kernel has not taken yet. */
  get waitingBytes(): number {
    return this.#socket.writableLength;
  }

  /** Messages as `messageOf` makes them, any number in one piece. */
  write(messages: Uint8Array): void {
    if (this.closedBy === null) this.#socket.write(messages);
  }

  /** Reads nothing any more: what the server sends piles up at its side. */
  goDeaf(): void {
    this.#socket.pause();
  }

  /** Reads again: what was sent meanwhile arrives. */
  hearAgain(): void {
    this.#socket.resume();
  }

  close(): void {
    this.closedBy ??= "this side";
    this.#socket.destroy();
  }

  #receive(bytes: Buffer): void {
    const data = this.#carry.length === 0 ? bytes : Buffer.concat([this.#carry, bytes]);
    let position = 0;
    for (;;) {
      const end = endOfMessage(data, position);
      if (end === null) break;
      if (data[position] === OPCODE_BINARY) this.onFrame(data.subarray(end.payload, end.message));
      position = end.message;
    }
    this.#carry = data.subarray(position);
  }
}

/** Where payload and message of the server end; null: not all of it is here. */
function endOfMessage(
  data: Buffer,
  position: number,
): { readonly payload: number; readonly message: number } | null {
  if (position + 2 > data.length) return null;
  const short = (data[position + 1] as number) & 0x7f;
  const payload = position + (short < 126 ? 2 : short === 126 ? 4 : 10);
  if (payload > data.length) return null;
  const length =
    short < 126
      ? short
      : short === 126
        ? data.readUInt16BE(position + 2)
        : data.readUInt32BE(position + 6);
  return payload + length > data.length ? null : { payload, message: payload + length };
}

/** The message of a client around a frame of ours. Owned. */
export function messageOf(frame: Uint8Array): Buffer {
  const { length } = frame;
  const code = length < 126 ? length : length <= 0xffff ? 126 : 127;
  const headBytes = code < 126 ? 6 : code === 126 ? 8 : 14;
  const message = Buffer.alloc(headBytes + length);
  message[0] = OPCODE_BINARY;
  message[1] = MASKED | code;
  if (code === 126) message.writeUInt16BE(length, 2);
  if (code === 127) message.writeUInt32BE(length, 6);
  message.set(frame, headBytes);
  return message;
}

function helloFrame(name: string): Uint8Array {
  const versions = { protocolMin: PROTOCOL_MIN, protocolMax: PROTOCOL_MAX };
  const settings = {
    name,
    role: "tool",
    dictionaryMaxBytes: 0,
    wantsLeader: false,
    bundleMaxBytes: 0,
  };
  const frame = buildFrame((sink) => encodeHello(sink, { ...versions, ...settings }));
  writeRequestHeader(frame, { opcode: OP.hello, requestId: 1, timeoutMs: 0, aux: 0 });
  return frame;
}

/** Errors: rejects unless the server answers 101. */
function upgraded(port: number): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect({ port, host: "127.0.0.1", noDelay: true });
    let head = "";
    const onData = (bytes: Buffer): void => {
      head += bytes.toString("latin1");
      if (!head.includes("\r\n\r\n")) return;
      socket.off("data", onData);
      socket.off("error", reject);
      // The server does not speak before it has heard a Hello: nothing stands behind the head.
      if (head.startsWith("HTTP/1.1 101")) resolve(socket);
      else reject(new Error(`Cannot upgrade: ${head.slice(0, 80)}`));
    };
    socket.on("data", onData);
    socket.once("error", reject);
    socket.once("connect", () => {
      const key = randomBytes(16).toString("base64");
      socket.write(
        `GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n` +
          `Sec-WebSocket-Key: ${key}\r\nSec-WebSocket-Version: 13\r\n\r\n`,
      );
    });
  });
}
