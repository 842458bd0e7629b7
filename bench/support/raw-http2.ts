/**
 * A load generator for unary gRPC that costs next to nothing per call, so that the server under test is what is measured:
 * prebuilt HEADERS (literals without a dynamic table) and DATA frames, answers counted by their END_STREAM flags. Not a
 * client: it trusts the server, and looks at no header.
 */

import { connect, type Socket } from "node:net";

const PREFACE = Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "latin1");
const TYPE = { data: 0, headers: 1, reset: 3, settings: 4, ping: 6, goAway: 7, window: 8 } as const;
const FLAG = { ack: 1, endStream: 1, endHeaders: 4 } as const;
const HEADER_BYTES = 9;
/** Large enough that no answer of a run waits for a window. */
const WINDOW_BYTES = 0x7fff_0000;
const READ_BUFFER_BYTES = 256 * 1024;

function frame(type: number, flags: number, stream: number, payload: Uint8Array): Buffer {
  const bytes = Buffer.alloc(HEADER_BYTES + payload.length);
  bytes.writeUIntBE(payload.length, 0, 3);
  bytes[3] = type;
  bytes[4] = flags;
  bytes.writeUInt32BE(stream, 5);
  bytes.set(payload, HEADER_BYTES);
  return bytes;
}

/** Header fields without compression. */
function headerBlock(fields: Readonly<Record<string, string>>): Buffer {
  const parts: Buffer[] = [];
  for (const [name, value] of Object.entries(fields)) {
    if (name.length > 126 || value.length > 126) throw new Error("Too long for this encoder");
    const text = Buffer.from(name + value, "latin1");
    parts.push(Buffer.from([0, name.length]), text.subarray(0, name.length));
    parts.push(Buffer.from([value.length]), text.subarray(name.length));
  }
  return Buffer.concat(parts);
}

/** Both frames of a call to `path`; the stream number is written in when it is sent. */
export function callFrames(path: string, message: Uint8Array): Buffer {
  const headers = headerBlock({
    ":method": "POST",
    ":scheme": "http",
    ":path": path,
    ":authority": "127.0.0.1",
    "content-type": "application/grpc",
    te: "trailers",
    "grpc-timeout": "20S",
  });
  const prefix = Buffer.alloc(5);
  prefix.writeUInt32BE(message.length, 1);
  return Buffer.concat([
    frame(TYPE.headers, FLAG.endHeaders, 0, headers),
    frame(TYPE.data, FLAG.endStream, 0, Buffer.concat([prefix, message])),
  ]);
}

export class RawHttp2 {
  readonly #socket: Socket;
  #carry = Buffer.alloc(0);
  #nextStream = 1;
  /** Called for each call that has ended; `bytes` of DATA came since the last one. */
  onEnd: () => void = () => {};
  /** Data frames that came: an answer without one is a refusal. */
  dataFrames = 0;
  failure: Error | null = null;

  static connect(port: number): Promise<RawHttp2> {
    return new Promise((resolve, reject) => {
      let client: RawHttp2 | null = null;
      const socket = connect({
        port,
        host: "127.0.0.1",
        noDelay: true,
        onread: {
          buffer: Buffer.allocUnsafe(READ_BUFFER_BYTES),
          callback: (bytes, buffer) => {
            client?.receive(Buffer.from(buffer.buffer, buffer.byteOffset, bytes));
            return true;
          },
        },
      });
      socket.once("error", reject);
      socket.once("connect", () => {
        client = new RawHttp2(socket);
        resolve(client);
      });
    });
  }

  constructor(socket: Socket) {
    this.#socket = socket;
    const settings = Buffer.alloc(6);
    // SETTINGS_INITIAL_WINDOW_SIZE
    settings.writeUInt16BE(4, 0);
    settings.writeUInt32BE(WINDOW_BYTES, 2);
    socket.write(Buffer.concat([PREFACE, frame(TYPE.settings, 0, 0, settings)]));
    this.#widen();
  }

  /** Sends the calls, whose frames are copied. */
  send(calls: readonly Buffer[]): void {
    const parts = calls.map((call) => {
      const bytes = Buffer.from(call);
      const headersLength = bytes.readUIntBE(0, 3);
      bytes.writeUInt32BE(this.#nextStream, 5);
      bytes.writeUInt32BE(this.#nextStream, HEADER_BYTES + headersLength + 5);
      this.#nextStream += 2;
      return bytes;
    });
    this.#socket.write(parts.length === 1 ? (parts[0] as Buffer) : Buffer.concat(parts));
  }

  receive(chunk: Buffer): void {
    let bytes = this.#carry.length === 0 ? chunk : Buffer.concat([this.#carry, chunk]);
    while (bytes.length >= HEADER_BYTES) {
      const length = bytes.readUIntBE(0, 3);
      if (bytes.length < HEADER_BYTES + length) break;
      this.#take(
        bytes[3] as number,
        bytes[4] as number,
        bytes.subarray(HEADER_BYTES, HEADER_BYTES + length),
      );
      bytes = bytes.subarray(HEADER_BYTES + length);
    }
    this.#carry = Buffer.from(bytes);
  }

  close(): void {
    this.#socket.destroy();
  }

  #take(type: number, flags: number, payload: Buffer): void {
    if (type === TYPE.data) {
      this.dataFrames++;
      this.#received += payload.length;
      if (this.#received > WINDOW_BYTES / 2) this.#widen();
    } else if (type === TYPE.settings && (flags & FLAG.ack) === 0) {
      this.#socket.write(frame(TYPE.settings, FLAG.ack, 0, new Uint8Array(0)));
    } else if (type === TYPE.ping && (flags & FLAG.ack) === 0) {
      this.#socket.write(frame(TYPE.ping, FLAG.ack, 0, payload));
    } else if (type === TYPE.goAway || type === TYPE.reset) {
      this.failure = new Error(`The server ended the connection or a call: frame ${type}`);
      this.onEnd();
      return;
    }
    const canEnd = type === TYPE.data || type === TYPE.headers;
    if (canEnd && (flags & FLAG.endStream) !== 0) this.onEnd();
  }

  #received = 0;

  #widen(): void {
    const grant = Buffer.alloc(4);
    grant.writeUInt32BE(this.#received === 0 ? WINDOW_BYTES - 65_535 : this.#received);
    this.#received = 0;
    this.#socket.write(frame(TYPE.window, 0, 0, grant));
  }
}

export interface CallLoad {
  readonly connections: readonly RawHttp2[];
  /** Frames of the next call, from callFrames. */
  readonly next: () => Buffer;
  /** Calls in flight per connection. */
  readonly depth: number;
  readonly until: LoadEnd;
}

/** When no more calls are begun: after a time, or after so many on each connection. */
export type LoadEnd = { readonly durationMs: number } | { readonly calls: number };

/** Keeps `depth` calls in flight on each connection. Errors: what broke a connection, and refusals. */
export async function runCalls(load: CallLoad): Promise<{ calls: number; elapsedMs: number }> {
  const startedAtMs = performance.now();
  const counts = await Promise.all(
    load.connections.map((connection) => keepBusy(connection, load)),
  );
  const calls = counts.reduce((sum, count) => sum + count, 0);
  return { calls, elapsedMs: performance.now() - startedAtMs };
}

function keepBusy(connection: RawHttp2, { next, depth, until }: CallLoad): Promise<number> {
  const isOver = endOf(until);
  const dataBefore = connection.dataFrames;
  return new Promise((resolve, reject) => {
    let inFlight = 0;
    let done = 0;
    let free = depth;
    let isScheduled = false;
    const fill = (): void => {
      isScheduled = false;
      const isEnding = isOver(done);
      if (!isEnding && free > 0) {
        const calls = Array.from({ length: free }, next);
        inFlight += free;
        free = 0;
        connection.send(calls);
      }
      if (inFlight > 0 || !isEnding) return;
      if (connection.dataFrames - dataBefore < done)
        reject(new Error("Calls of the load were refused"));
      else resolve(done);
    };
    connection.onEnd = () => {
      if (connection.failure !== null) {
        reject(connection.failure);
        return;
      }
      inFlight--;
      done++;
      free++;
      if (isScheduled) return;
      isScheduled = true;
      setImmediate(fill);
    };
    fill();
  });
}

function endOf(until: LoadEnd): (done: number) => boolean {
  if ("calls" in until) return (done) => done >= until.calls;
  const endAtMs = performance.now() + until.durationMs;
  return () => performance.now() >= endAtMs;
}
