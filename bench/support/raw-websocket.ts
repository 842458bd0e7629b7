/**
 * A WebSocket load generator that costs next to nothing per message, so that the server under test is what is
 * measured: prebuilt frames written as they are (masked with the zero key, which leaves the payload unchanged), and
 * answers counted by their frame headers. Not a client: it trusts the server and never sends control frames.
 */

import { randomBytes } from "node:crypto";
import { connect, type Socket } from "node:net";
import {
  BUNDLE_MAX_BYTES,
  BundleReader,
  BundleWriter,
  createFrameHeader,
  OP,
  readFrameHeader,
} from "../../src/protocol/index.ts";

/** Called per binary message; the payload is buffer[start, end), borrowed until it returns. */
export type MessageVisitor = (buffer: Uint8Array, start: number, end: number) => void;

const READ_BUFFER_BYTES = 256 * 1024;
const OPCODE_BINARY = 0x82;

/** A client frame (FIN, binary, masked with key 0) around the payload. */
export function buildFrame(payload: Uint8Array): Uint8Array {
  const long = payload.length > 0xffff;
  const headerBytes = payload.length < 126 ? 6 : long ? 14 : 8;
  const frame = new Uint8Array(headerBytes + payload.length);
  const view = new DataView(frame.buffer);
  frame[0] = OPCODE_BINARY;
  if (payload.length < 126) frame[1] = 0x80 | payload.length;
  else if (long) {
    frame[1] = 0x80 | 127;
    view.setUint32(6, payload.length);
  } else {
    frame[1] = 0x80 | 126;
    view.setUint16(2, payload.length);
  }
  frame.set(payload, headerBytes);
  return frame;
}

export function concatBytes(parts: readonly Uint8Array[]): Uint8Array {
  return Buffer.concat(parts);
}

export class RawWebSocket {
  /** Called per frame of our protocol; of a server that knows nothing of it, per message. */
  onMessage: MessageVisitor = () => {};
  /** Whether the frames of `writeAll` travel in bundles, and the server's are taken apart. */
  usesBundles = false;
  readonly #socket: Socket;
  #carry: Uint8Array = new Uint8Array(0);
  #failed: Error | null = null;

  /** Connects and completes the upgrade. Rejects when the server answers with anything but 101. */
  static connect(port: number): Promise<RawWebSocket> {
    return new Promise((resolve, reject) => {
      let upgraded: RawWebSocket | null = null;
      let head = "";
      const socket = connect({
        port,
        host: "127.0.0.1",
        noDelay: true,
        onread: {
          buffer: Buffer.allocUnsafe(READ_BUFFER_BYTES),
          callback: (bytes, buffer) => {
            if (upgraded !== null) return upgraded.#receive(buffer.subarray(0, bytes));
            head += Buffer.from(buffer.subarray(0, bytes)).toString("latin1");
            const end = head.indexOf("\r\n\r\n");
            if (end < 0) return true;
            if (!head.startsWith("HTTP/1.1 101")) {
              reject(new Error(`Cannot upgrade: ${head.slice(0, 80)}`));
              return false;
            }
            upgraded = new RawWebSocket(socket);
            resolve(upgraded);
            return upgraded.#receive(Buffer.from(head.slice(end + 4), "latin1"));
          },
        },
      });
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

  private constructor(socket: Socket) {
    this.#socket = socket;
    socket.on("error", (error) => {
      this.#failed = error;
    });
  }

  /** Writes prebuilt frames. */
  write(frames: Uint8Array): void {
    if (this.#failed !== null) throw this.#failed;
    this.#socket.write(frames);
  }

  /** Writes prebuilt frames that are sent in one turn, as our client does: in bundles where the server takes them. */
  writeAll(frames: readonly Uint8Array[]): void {
    if (frames.length === 1) this.write(frames[0] as Uint8Array);
    else this.write(this.usesBundles ? bundles(frames) : concatBytes(frames));
  }

  close(): void {
    this.#socket.destroy();
  }

  #takeApart(message: Uint8Array): void {
    readFrameHeader(message, HEADER);
    if (!READER.open(message, HEADER)) throw new Error("The server sent a damaged bundle");
    while (READER.step()) this.onMessage(message, READER.start, READER.end);
  }

  #receive(bytes: Uint8Array): true {
    const data = this.#carry.length === 0 ? bytes : Buffer.concat([this.#carry, bytes]);
    let position = 0;
    while (position + 2 <= data.length) {
      const short = (data[position + 1] as number) & 0x7f;
      const headerBytes = short < 126 ? 2 : short === 126 ? 4 : 10;
      if (position + headerBytes > data.length) break;
      const length = payloadLength(data, position, short);
      const end = position + headerBytes + length;
      if (end > data.length) break;
      if (((data[position] as number) & 0x0f) === 2) {
        const start = position + headerBytes;
        if (this.usesBundles && data[start + 2] === OP.bundle)
          this.#takeApart(data.subarray(start, end));
        else this.onMessage(data, start, end);
      }
      position = end;
    }
    // Copied: the next read overwrites it, and slice() of a Buffer is a view.
    this.#carry = position === data.length ? EMPTY : new Uint8Array(data.subarray(position));
    return true;
  }
}

/** The payload of a frame of `buildFrame`: where it begins. */
function payloadOffset(frame: Uint8Array): number {
  const short = (frame[1] as number) & 0x7f;
  return short < 126 ? 6 : short === 126 ? 8 : 14;
}

/** The payloads of frames of `buildFrame` as messages of several each. */
function bundles(frames: readonly Uint8Array[]): Uint8Array {
  const messages: Uint8Array[] = [];
  const send = (message: Uint8Array): void => void messages.push(buildFrame(message));
  for (const frame of frames)
    WRITER.put(frame.subarray(payloadOffset(frame)), BUNDLE_MAX_BYTES, send);
  WRITER.flush(send);
  return messages.length === 1 ? (messages[0] as Uint8Array) : concatBytes(messages);
}

const WRITER = new BundleWriter();
const READER = new BundleReader();
const HEADER = createFrameHeader();

const EMPTY = new Uint8Array(0);

function payloadLength(data: Uint8Array, position: number, short: number): number {
  if (short < 126) return short;
  const view = new DataView(data.buffer, data.byteOffset);
  return short === 126 ? view.getUint16(position + 2) : view.getUint32(position + 6);
}

/** Makes the next frame when it is sent. Frames made ahead, by the thousand, would be collected in the time that is measured. */
export interface FrameSource {
  next(): Uint8Array;
}

export interface LoadResult {
  readonly requests: number;
  readonly elapsedMs: number;
  readonly perSec: number;
}

/**
 * Closed-loop load: keeps `depth` requests in flight on each connection for `durationMs`, in groups written at once.
 *
 * `frames` are prebuilt single-message frames, sent in turn, or a source of them whose frames stay as they are until as
 * many more as `depth` were asked for; `isLast` says whether an answer message ends a request.
 */
export async function runClosedLoop(options: {
  readonly sockets: readonly RawWebSocket[];
  readonly frames: readonly Uint8Array[] | FrameSource;
  readonly depth: number;
  readonly durationMs: number;
  readonly isLast?: (buffer: Uint8Array, start: number, end: number) => boolean;
}): Promise<LoadResult> {
  const { sockets, frames, depth, durationMs, isLast } = options;
  const startedAt = performance.now();
  let requests = 0;
  await Promise.all(
    sockets.map(
      (socket) =>
        new Promise<void>((resolve) => {
          let inFlight = 0;
          let answered = 0;
          // Of its own: an id may be in flight only once per connection.
          const source = sourceOf(frames);
          const refill = (): void => {
            answered = 0;
            if (performance.now() - startedAt >= durationMs) {
              if (inFlight === 0) resolve();
              return;
            }
            const parts: Uint8Array[] = [];
            while (inFlight < depth) {
              parts.push(source.next());
              inFlight++;
            }
            if (parts.length > 0) socket.writeAll(parts);
          };
          socket.onMessage = (buffer, start, end) => {
            if (isLast !== undefined && !isLast(buffer, start, end)) return;
            inFlight--;
            requests++;
            answered++;
            // Half of the window at a time: groups of frames per write, as a busy client would have them.
            if (answered >= depth / 2 || inFlight === 0) refill();
          };
          refill();
        }),
    ),
  );
  const elapsedMs = performance.now() - startedAt;
  return { requests, elapsedMs, perSec: (requests / elapsedMs) * 1000 };
}

function sourceOf(frames: readonly Uint8Array[] | FrameSource): FrameSource {
  if ("next" in frames) return frames;
  let position = 0;
  return { next: () => frames[position++ % frames.length] as Uint8Array };
}

/** Latencies in us of `count` requests, one at a time. */
export async function runDepthOne(
  socket: RawWebSocket,
  frames: readonly Uint8Array[],
  count: number,
): Promise<Float64Array> {
  const latencies = new Float64Array(count);
  for (let i = 0; i < count; i++) {
    const startedAt = performance.now();
    await new Promise<void>((resolve) => {
      socket.onMessage = () => resolve();
      socket.write(frames[i % frames.length] as Uint8Array);
    });
    latencies[i] = (performance.now() - startedAt) * 1000;
  }
  return latencies.sort();
}
